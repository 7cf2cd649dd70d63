//! Code in the form that the interpreter runs.
//!
//! Instruction words are decoded once. Each word becomes one [`Inst`] of the same index, so a jump goes as many of them as the
//! words say, and the index of an instruction that fails is its place in the program. All that could be wrong with an instruction
//! by itself is found here: the interpreter never meets a register that does not exist, or a jump to outside of the code.
//!
//! **Invariant:** an instruction goes on at most [`PADDING`] words after itself, and so many traps stand at the end of the code. Jumps
//! go to the first word of an instruction of the code. So whatever runs, the next instruction is inside of [`Unit::insts`].

mod compile;
mod fuse;

pub(crate) use compile::{Link, Source, compile};

use jitlink_arch_bpf::insn::{AtomicOp, Insn, Size, decode};
use jitlink_core::Endian;

/// A register's index in the machine's array. One of sixteen, so that no check is needed to index the array; programs name eleven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Slot {
    #[default]
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
}

impl Slot {
    pub(crate) const ALL: [Slot; 16] = [
        Slot::R0,
        Slot::R1,
        Slot::R2,
        Slot::R3,
        Slot::R4,
        Slot::R5,
        Slot::R6,
        Slot::R7,
        Slot::R8,
        Slot::R9,
        Slot::R10,
        Slot::R11,
        Slot::R12,
        Slot::R13,
        Slot::R14,
        Slot::R15,
    ];
}

/// How many [`Code::Trap`]s follow the code: as many words as the longest instruction goes on.
pub(crate) const PADDING: usize = 4;

/// An instruction, ready to run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Inst {
    /// What to do.
    pub(crate) code: Code,
    /// The destination.
    pub(crate) dst: Slot,
    /// The source.
    pub(crate) src: Slot,
    /// Bytes from an address.
    pub(crate) off: i16,
    /// Which entry of the machine's cache of areas a memory access uses.
    pub(crate) site: u8,
    /// What else there is to say: of atomic operations which, of loads in foreign byte order how, of jumps the length in words.
    pub(crate) extra: u8,
    /// One more register of an instruction that does the work of several.
    pub(crate) third: Slot,
    /// A constant; the lower half of a 64-bit one.
    pub(crate) imm: i32,
    /// How far a jump goes, from this instruction; the upper half of a 64-bit constant.
    pub(crate) jump: i32,
}

impl Inst {
    /// The 64-bit constant.
    #[inline(always)]
    pub(crate) fn wide(&self) -> u64 {
        u64::from(self.imm as u32) | u64::from(self.jump as u32) << 32
    }
}

/// What instructions do. `64` and `32` are the width, `R` and `I` the kind of second operand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
#[rustfmt::skip]
pub(crate) enum Code {
    /// There is no instruction here: after the end of the code, or the second word of one.
    #[default]
    Trap,
    Add64R, Add64I, Sub64R, Sub64I, Mul64R, Mul64I, Div64R, Div64I, SDiv64R, SDiv64I, Mod64R, Mod64I, SMod64R, SMod64I,
    Or64R, Or64I, And64R, And64I, Xor64R, Xor64I, Lsh64R, Lsh64I, Rsh64R, Rsh64I, Arsh64R, Arsh64I, Mov64R, Mov64I,
    Add32R, Add32I, Sub32R, Sub32I, Mul32R, Mul32I, Div32R, Div32I, SDiv32R, SDiv32I, Mod32R, Mod32I, SMod32R, SMod32I,
    Or32R, Or32I, And32R, And32I, Xor32R, Xor32I, Lsh32R, Lsh32I, Rsh32R, Rsh32I, Arsh32R, Arsh32I, Mov32R, Mov32I,
    Neg64, Neg32, Sx64From8, Sx64From16, Sx64From32, Sx32From8, Sx32From16,
    Swap16, Swap32, Swap64, Low16, Low32, Nop,
    /// Replaces the upper half by that of the constant, unless the lower half is zero.
    Cast,
    /// A cast in a program without an arena.
    NoArena,
    LoadWide,
    Load8, Load16, Load32, Load64, LoadS8, LoadS16, LoadS32,
    Store8R, Store16R, Store32R, Store64R, Store8I, Store16I, Store32I, Store64I,
    /// A load or store in the byte order that is not the host's; `extra` is a packed [`Foreign`].
    Foreign,
    /// An atomic operation; `extra` is a packed [`Atomic`].
    Atomic,
    PacketAbsolute, PacketIndirect,
    Jump,
    Eq64R, Eq64I, Ne64R, Ne64I, Gt64R, Gt64I, Ge64R, Ge64I, Lt64R, Lt64I, Le64R, Le64I, Set64R, Set64I,
    SGt64R, SGt64I, SGe64R, SGe64I, SLt64R, SLt64I, SLe64R, SLe64I,
    Eq32R, Eq32I, Ne32R, Ne32I, Gt32R, Gt32I, Ge32R, Ge32I, Lt32R, Lt32I, Le32R, Le32I, Set32R, Set32I,
    SGt32R, SGt32I, SGe32R, SGe32I, SLt32R, SLt32I, SLe32R, SLe32I,
    MayGoto,
    JumpRegister,
    /// Calls the helper of a number.
    CallHelper,
    /// Calls the host's function of an index, or what is not there (-1).
    CallHost,
    /// Calls a function of this code.
    CallLocal,
    /// Calls the function at an address.
    CallFar,
    CallRegister,
    Exit,
    // What follows does the work of several: see `fuse`.
    /// Adds `off` to the destination, then compares.
    AddEq64R, AddEq64I, AddNe64R, AddNe64I, AddGt64R, AddGt64I, AddGe64R, AddGe64I, AddLt64R, AddLt64I, AddLe64R, AddLe64I,
    /// Source and third register, or source and constant, give the destination.
    Add3R, Sub3R, Mul3R, Xor3R, Add3I, And3I, Lsh3I, Rsh3I,
    /// Adds source and the register whose number is the constant, which gives the third register; loads from there.
    IndexLoad8, IndexLoad16, IndexLoad32, IndexLoad64,
}

/// A run of code.
#[derive(Debug)]
pub(crate) struct Unit {
    start: u64,
    endian: Endian,
    words: Box<[Insn]>,
    insts: Box<[Inst]>,
    /// By place.
    functions: Vec<UnitFunction>,
    /// The names of what calls would call that is not there, by the index of their word.
    missing: Vec<(usize, String)>,
}

/// A function of a [`Unit`].
#[derive(Clone, Debug)]
pub(crate) struct UnitFunction {
    pub(crate) name: String,
    /// The index of its first word.
    pub(crate) first: usize,
    /// How many words.
    pub(crate) len: usize,
}

impl Unit {
    /// The same code, faster.
    pub(crate) fn fused(mut self) -> Unit {
        let words = self.words.len();
        // The padding stays as it is.
        fuse::fuse(&mut self.insts[..words]);
        self
    }

    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// In bytes.
    pub(crate) fn size(&self) -> u64 {
        self.words.len() as u64 * 8
    }

    pub(crate) fn endian(&self) -> Endian {
        self.endian
    }

    /// The instructions, with [`PADDING`] traps after them.
    #[inline(always)]
    pub(crate) fn insts(&self) -> &[Inst] {
        &self.insts
    }

    /// The index of the instruction at an address, if there is one.
    pub(crate) fn index(&self, address: u64) -> Option<usize> {
        let offset = address.wrapping_sub(self.start);
        if offset >= self.size() || !offset.is_multiple_of(8) {
            return None;
        }
        let index = (offset / 8) as usize;
        (self.insts[index].code != Code::Trap).then_some(index)
    }

    /// The text of the instruction at an index; empty if there is none.
    pub(crate) fn text(&self, index: usize) -> String {
        decode(&self.words, index).map(|op| op.to_string()).unwrap_or_default()
    }

    pub(crate) fn address(&self, index: usize) -> u64 {
        self.start + index as u64 * 8
    }

    /// The function that holds an instruction.
    pub(crate) fn function(&self, index: usize) -> Option<&UnitFunction> {
        let after = self.functions.partition_point(|function| function.first <= index);
        self.functions[..after].last().filter(|function| index - function.first < function.len)
    }

    /// What the call at an index would call, if it is not there.
    pub(crate) fn missing(&self, index: usize) -> Option<&str> {
        let found = self.missing.binary_search_by_key(&index, |(word, _)| *word);
        found.ok().map(|at| self.missing[at].1.as_str())
    }
}

/// What [`Inst::extra`] of an atomic operation holds: the operation above two bits of size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Atomic {
    pub(crate) op: AtomicOp,
    pub(crate) size: Size,
}

/// What [`Inst::extra`] of a load or store in foreign byte order holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    pub(crate) size: Size,
    pub(crate) kind: ForeignKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForeignKind {
    Load,
    LoadSigned,
    StoreReg,
    StoreImm,
}

const SIZES: [Size; 4] = [Size::B, Size::H, Size::W, Size::DW];
const FOREIGN: [ForeignKind; 4] =
    [ForeignKind::Load, ForeignKind::LoadSigned, ForeignKind::StoreReg, ForeignKind::StoreImm];
const ATOMICS: [AtomicOp; 12] = [
    AtomicOp::Add { fetch: false },
    AtomicOp::Or { fetch: false },
    AtomicOp::And { fetch: false },
    AtomicOp::Xor { fetch: false },
    AtomicOp::Add { fetch: true },
    AtomicOp::Or { fetch: true },
    AtomicOp::And { fetch: true },
    AtomicOp::Xor { fetch: true },
    AtomicOp::Xchg,
    AtomicOp::CmpXchg,
    AtomicOp::LoadAcquire,
    AtomicOp::StoreRelease,
];

impl Atomic {
    pub(crate) fn pack(self) -> u8 {
        pack(ATOMICS.iter().position(|op| *op == self.op), self.size)
    }

    pub(crate) fn unpack(extra: u8) -> Atomic {
        Atomic { op: ATOMICS[usize::from(extra >> 2)], size: SIZES[usize::from(extra & 3)] }
    }
}

impl Foreign {
    pub(crate) fn pack(self) -> u8 {
        pack(FOREIGN.iter().position(|kind| *kind == self.kind), self.size)
    }

    pub(crate) fn unpack(extra: u8) -> Foreign {
        Foreign { kind: FOREIGN[usize::from(extra >> 2)], size: SIZES[usize::from(extra & 3)] }
    }
}

fn pack(kind: Option<usize>, size: Size) -> u8 {
    // The lists hold every operation and size.
    let kind = kind.unwrap_or_default() as u8;
    kind << 2 | size.bytes().trailing_zeros() as u8
}
