//! BPF instructions: the one model of them, which everything else here uses.
//!
//! [`Insn`] is an instruction word as it stands in memory, in either byte order. [`Op`] is what one or two words mean, with every
//! reserved field checked: what decodes is an instruction of the instruction set, and encodes to the same words again.
//!
//! Sources: RFC 9669 (the instruction set), and for what compilers emit beyond it (`may_goto`, address-space casts,
//! load-acquire and store-release, indirect calls and jumps) the kernel's `Documentation/bpf` and `linux/bpf.h`.

mod decode;
mod encode;
mod op;
#[cfg(test)]
mod tests;
mod text;

pub use decode::{DecodeError, decode};
pub use encode::encode;
pub use op::{AluOp, AtomicOp, Callee, Condition, Immediate, Op, Operand, Reg, Size, Width};

use jitlink_core::Endian;

/// The size of an instruction word in bytes.
pub const WORD: usize = 8;

/// One instruction word (RFC 9669, section 3): opcode, two registers, an offset and an immediate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Insn {
    /// The opcode: class in the low three bits.
    pub code: u8,
    /// The destination register's number.
    pub dst: u8,
    /// The source register's number, or what kind of call or immediate this is.
    pub src: u8,
    /// A distance in bytes (memory) or instruction words (jumps), or a variant of an operation.
    pub off: i16,
    /// A constant.
    pub imm: i32,
}

impl Insn {
    /// The word that these bytes hold.
    pub fn read(bytes: [u8; WORD], endian: Endian) -> Insn {
        let (high, low) = (bytes[1] >> 4, bytes[1] & 15);
        let (off, imm) = ([bytes[2], bytes[3]], [bytes[4], bytes[5], bytes[6], bytes[7]]);
        match endian {
            Endian::Little => {
                Insn { code: bytes[0], dst: low, src: high, off: i16::from_le_bytes(off), imm: i32::from_le_bytes(imm) }
            }
            Endian::Big => {
                Insn { code: bytes[0], dst: high, src: low, off: i16::from_be_bytes(off), imm: i32::from_be_bytes(imm) }
            }
        }
    }

    /// The bytes of the word.
    pub fn write(self, endian: Endian) -> [u8; WORD] {
        let (registers, off, imm) = match endian {
            Endian::Little => (self.src << 4 | self.dst & 15, self.off.to_le_bytes(), self.imm.to_le_bytes()),
            Endian::Big => (self.dst << 4 | self.src & 15, self.off.to_be_bytes(), self.imm.to_be_bytes()),
        };
        [self.code, registers, off[0], off[1], imm[0], imm[1], imm[2], imm[3]]
    }

    /// Whether this is the first of the two words of a 64-bit immediate load (RFC 9669, section 5.4).
    pub fn is_wide(self) -> bool {
        self.code == 0x18
    }
}

/// The words that bytes hold; `None` if they are no multiple of eight bytes.
pub fn words(bytes: &[u8], endian: Endian) -> Option<Vec<Insn>> {
    let (words, rest) = bytes.as_chunks::<WORD>();
    rest.is_empty().then(|| words.iter().map(|word| Insn::read(*word, endian)).collect())
}

/// The bytes of words.
pub fn bytes(words: &[Insn], endian: Endian) -> Vec<u8> {
    words.iter().flat_map(|word| word.write(endian)).collect()
}
