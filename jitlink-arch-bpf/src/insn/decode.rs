//! Words to instructions.

use super::op::{AluOp, AtomicOp, Callee, Condition, Immediate, Op, Operand, Reg, Size, Width};
use super::{Insn, WORD};

/// Why words are no instruction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("instruction {index} (opcode {:#04x}): {what}", .word.code)]
pub struct DecodeError {
    /// The number of the word in what was decoded.
    pub index: usize,
    /// The word.
    pub word: Insn,
    /// What is wrong with it.
    pub what: String,
}

/// Decodes the instruction that begins at a word. Every field that the instruction does not use must be zero.
///
/// ```
/// use jitlink_arch_bpf::insn::{AluOp, Insn, Op, Operand, Reg, Width, decode};
///
/// let words = [Insn { code: 0xb7, dst: 0, src: 0, off: 0, imm: 7 }];
/// let op = Op::Alu { width: Width::W64, op: AluOp::Mov, dst: Reg::R0, src: Operand::Imm(7) };
/// assert_eq!(decode(&words, 0)?, op);
/// # Ok::<(), jitlink_arch_bpf::insn::DecodeError>(())
/// ```
pub fn decode(words: &[Insn], index: usize) -> Result<Op, DecodeError> {
    let Some(&word) = words.get(index) else {
        let what = format!("the program ends here, after {} words", words.len());
        return Err(DecodeError { index, word: Insn::default(), what });
    };
    let decoder = Decoder { word, index };
    match word.code & 7 {
        0 => decoder.load_special(words.get(index + 1)),
        1 => decoder.load(),
        2 | 3 => decoder.store(),
        4 => decoder.alu(Width::W32),
        7 => decoder.alu(Width::W64),
        5 => decoder.jump(Width::W64),
        _ => decoder.jump(Width::W32),
    }
}

struct Decoder {
    word: Insn,
    index: usize,
}

/// A field of a word that an instruction may leave unused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unused {
    Dst,
    Src,
    Off,
    Imm,
}

impl Decoder {
    fn error<T>(&self, what: impl Into<String>) -> Result<T, DecodeError> {
        Err(DecodeError { index: self.index, word: self.word, what: what.into() })
    }

    fn unknown<T>(&self) -> Result<T, DecodeError> {
        self.error("there is no instruction with this opcode")
    }

    fn reg(&self, number: u8) -> Result<Reg, DecodeError> {
        match Reg::new(number) {
            Some(reg) => Ok(reg),
            None => self.error(format!("there is no register r{number}")),
        }
    }

    fn dst(&self) -> Result<Reg, DecodeError> {
        self.reg(self.word.dst)
    }

    /// A register that the instruction writes.
    fn written(&self, number: u8) -> Result<Reg, DecodeError> {
        match self.reg(number)? {
            Reg::FP => self.error("the frame pointer r10 cannot be written"),
            reg => Ok(reg),
        }
    }

    fn src(&self) -> Result<Reg, DecodeError> {
        self.reg(self.word.src)
    }

    fn zero(&self, fields: &[Unused]) -> Result<(), DecodeError> {
        for field in fields {
            let (name, value) = match field {
                Unused::Dst => ("destination register", i64::from(self.word.dst)),
                Unused::Src => ("source register", i64::from(self.word.src)),
                Unused::Off => ("offset", i64::from(self.word.off)),
                Unused::Imm => ("immediate", i64::from(self.word.imm)),
            };
            if value != 0 {
                return self.error(format!("its unused {name} is {value}, and must be 0"));
            }
        }
        Ok(())
    }

    /// The second operand, register or constant as bit 3 of the opcode says; the other's field must be zero.
    fn operand(&self) -> Result<Operand, DecodeError> {
        if self.word.code & 8 != 0 {
            self.zero(&[Unused::Imm])?;
            Ok(Operand::Reg(self.src()?))
        } else {
            self.zero(&[Unused::Src])?;
            Ok(Operand::Imm(self.word.imm))
        }
    }

    fn size(&self) -> Size {
        match self.word.code >> 3 & 3 {
            0 => Size::W,
            1 => Size::H,
            2 => Size::B,
            _ => Size::DW,
        }
    }

    fn alu(&self, width: Width) -> Result<Op, DecodeError> {
        let op = match self.word.code >> 4 {
            0x0 => AluOp::Add,
            0x1 => AluOp::Sub,
            0x2 => AluOp::Mul,
            0x3 if self.word.off == 1 => AluOp::SDiv,
            0x3 => AluOp::Div,
            0x4 => AluOp::Or,
            0x5 => AluOp::And,
            0x6 => AluOp::Lsh,
            0x7 => AluOp::Rsh,
            0x8 if self.word.code & 8 == 0 => {
                self.zero(&[Unused::Src, Unused::Off, Unused::Imm])?;
                return Ok(Op::Neg { width, dst: self.written(self.word.dst)? });
            }
            0x9 if self.word.off == 1 => AluOp::SMod,
            0x9 => AluOp::Mod,
            0xa => AluOp::Xor,
            0xb if self.word.off != 0 => return self.mov_variant(width),
            0xb => AluOp::Mov,
            0xc => AluOp::Arsh,
            0xd => return self.swap(width),
            _ => return self.unknown(),
        };
        if !matches!(op, AluOp::SDiv | AluOp::SMod) {
            self.zero(&[Unused::Off])?;
        }
        let (dst, src) = (self.written(self.word.dst)?, self.operand()?);
        if let (AluOp::Div | AluOp::SDiv | AluOp::Mod | AluOp::SMod, Operand::Imm(0)) = (op, src) {
            return self.error("it divides by the constant 0");
        }
        if let (AluOp::Lsh | AluOp::Rsh | AluOp::Arsh, Operand::Imm(count)) = (op, src) {
            let bits = if width == Width::W32 { 32 } else { 64 };
            if !(0..bits).contains(&count) {
                return self.error(format!("it shifts {bits} bits by {count}"));
            }
        }
        Ok(Op::Alu { width, op, dst, src })
    }

    /// Moves with a variant in the offset: sign extension, or a cast between address spaces.
    fn mov_variant(&self, width: Width) -> Result<Op, DecodeError> {
        if self.word.code & 8 == 0 {
            return self.error(format!("its unused offset is {}, and must be 0", self.word.off));
        }
        let (dst, src) = (self.written(self.word.dst)?, self.src()?);
        match (width, self.word.off) {
            (_, 8 | 16) | (Width::W64, 32) => {
                self.zero(&[Unused::Imm])?;
                let op = AluOp::MovSx(self.word.off as u8);
                Ok(Op::Alu { width, op, dst, src: Operand::Reg(src) })
            }
            // The immediate holds the address space of the result above that of the source.
            (Width::W64, 1) if self.word.imm == 1 || self.word.imm == 1 << 16 => {
                Ok(Op::Cast { dst, src, to_arena: self.word.imm == 1 << 16 })
            }
            (Width::W64, 1) => self.error(format!("there is no cast of address spaces {:#x}", self.word.imm)),
            (_, off) => self.error(format!("there is no move of variant {off}")),
        }
    }

    fn swap(&self, width: Width) -> Result<Op, DecodeError> {
        self.zero(&[Unused::Src, Unused::Off])?;
        let dst = self.written(self.word.dst)?;
        let bits = match self.word.imm {
            bits @ (16 | 32 | 64) => bits as u8,
            bits => return self.error(format!("it swaps the bytes of {bits} bits, not of 16, 32 or 64")),
        };
        match (width, self.word.code & 8) {
            (Width::W32, 0) => Ok(Op::ToLittle { dst, bits }),
            (Width::W32, _) => Ok(Op::ToBig { dst, bits }),
            (Width::W64, 0) => Ok(Op::Swap { dst, bits }),
            (Width::W64, _) => self.unknown(),
        }
    }

    fn jump(&self, width: Width) -> Result<Op, DecodeError> {
        use Unused::{Dst, Imm, Off, Src};
        let register = self.word.code & 8 != 0;
        let condition = match (self.word.code >> 4, width) {
            (0x0, Width::W64) if register => {
                self.zero(&[Src, Off, Imm])?;
                return Ok(Op::JumpRegister { dst: self.dst()? });
            }
            (0x0, Width::W64) => {
                self.zero(&[Dst, Src, Imm])?;
                return Ok(Op::Jump { off: i32::from(self.word.off), long: false });
            }
            (0x0, Width::W32) if !register => {
                self.zero(&[Dst, Src, Off])?;
                return Ok(Op::Jump { off: self.word.imm, long: true });
            }
            (0x8, Width::W64) => return self.call(register),
            (0x9, Width::W64) if !register => {
                self.zero(&[Dst, Src, Off, Imm])?;
                return Ok(Op::Exit);
            }
            (0xe, Width::W64) if !register => {
                self.zero(&[Dst, Src, Imm])?;
                return Ok(Op::MayGoto { off: self.word.off });
            }
            (0x1, _) => Condition::Eq,
            (0x2, _) => Condition::Gt,
            (0x3, _) => Condition::Ge,
            (0x4, _) => Condition::Set,
            (0x5, _) => Condition::Ne,
            (0x6, _) => Condition::SGt,
            (0x7, _) => Condition::SGe,
            (0xa, _) => Condition::Lt,
            (0xb, _) => Condition::Le,
            (0xc, _) => Condition::SLt,
            (0xd, _) => Condition::SLe,
            _ => return self.unknown(),
        };
        Ok(Op::JumpIf { width, condition, dst: self.dst()?, src: self.operand()?, off: self.word.off })
    }

    fn call(&self, register: bool) -> Result<Op, DecodeError> {
        if register {
            // LLVM before version 22 wrote the register into the immediate.
            self.zero(&[Unused::Src, Unused::Off, Unused::Imm])?;
            return Ok(Op::Call(Callee::Register(self.dst()?)));
        }
        self.zero(&[Unused::Dst])?;
        let callee = match self.word.src {
            0 => {
                self.zero(&[Unused::Off])?;
                Callee::Helper(self.word.imm as u32)
            }
            1 => {
                self.zero(&[Unused::Off])?;
                Callee::Local(self.word.imm)
            }
            2 => Callee::Kernel { id: self.word.imm, module: self.word.off },
            kind => return self.error(format!("there is no kind of call {kind}")),
        };
        Ok(Op::Call(callee))
    }

    fn load_special(&self, next: Option<&Insn>) -> Result<Op, DecodeError> {
        match self.word.code {
            0x18 => self.load_imm(next),
            0x20 | 0x28 | 0x30 => {
                self.zero(&[Unused::Dst, Unused::Src, Unused::Off])?;
                Ok(Op::LoadPacket { size: self.size(), index: None, offset: self.word.imm })
            }
            0x40 | 0x48 | 0x50 => {
                self.zero(&[Unused::Dst, Unused::Off])?;
                Ok(Op::LoadPacket { size: self.size(), index: Some(self.src()?), offset: self.word.imm })
            }
            _ => self.unknown(),
        }
    }

    fn load_imm(&self, next: Option<&Insn>) -> Result<Op, DecodeError> {
        let Some(next) = next else {
            return self.error(format!("the program ends within its {} bytes", 2 * WORD));
        };
        if (next.code, next.dst, next.src, next.off) != (0, 0, 0, 0) {
            return self.error("its second word holds more than an immediate");
        }
        self.zero(&[Unused::Off])?;
        let (dst, low, high) = (self.written(self.word.dst)?, self.word.imm, next.imm);
        let alone = |value| match high {
            0 => Ok(value),
            _ => self.error(format!("its unused second immediate is {high}, and must be 0")),
        };
        let value = match self.word.src {
            0 => Immediate::Constant(u64::from(low as u32) | u64::from(high as u32) << 32),
            1 => alone(Immediate::MapFd(low))?,
            2 => Immediate::MapValue { fd: low, offset: high as u32 },
            3 => Immediate::Variable { id: low, btf: high },
            4 => alone(Immediate::Function(low))?,
            5 => alone(Immediate::MapIndex(low))?,
            6 => Immediate::MapIndexValue { index: low, offset: high as u32 },
            kind => return self.error(format!("there is no kind of 64-bit immediate {kind}")),
        };
        Ok(Op::LoadImm { dst, value })
    }

    fn load(&self) -> Result<Op, DecodeError> {
        let signed = match self.word.code >> 5 {
            3 => false,
            4 if self.size() != Size::DW => true,
            _ => return self.unknown(),
        };
        self.zero(&[Unused::Imm])?;
        let (size, dst, src) = (self.size(), self.written(self.word.dst)?, self.src()?);
        Ok(Op::Load { size, signed, dst, src, off: self.word.off })
    }

    fn store(&self) -> Result<Op, DecodeError> {
        let register = self.word.code & 7 == 3;
        match (self.word.code >> 5, register) {
            (3, false) => {
                self.zero(&[Unused::Src])?;
                let src = Operand::Imm(self.word.imm);
                Ok(Op::Store { size: self.size(), dst: self.dst()?, src, off: self.word.off })
            }
            (3, true) => {
                self.zero(&[Unused::Imm])?;
                let src = Operand::Reg(self.src()?);
                Ok(Op::Store { size: self.size(), dst: self.dst()?, src, off: self.word.off })
            }
            (6, true) => self.atomic(),
            _ => self.unknown(),
        }
    }

    fn atomic(&self) -> Result<Op, DecodeError> {
        let fetch = self.word.imm & 1 != 0;
        let op = match self.word.imm {
            0x00 | 0x01 => AtomicOp::Add { fetch },
            0x40 | 0x41 => AtomicOp::Or { fetch },
            0x50 | 0x51 => AtomicOp::And { fetch },
            0xa0 | 0xa1 => AtomicOp::Xor { fetch },
            0xe1 => AtomicOp::Xchg,
            0xf1 => AtomicOp::CmpXchg,
            0x100 => AtomicOp::LoadAcquire,
            0x110 => AtomicOp::StoreRelease,
            imm => return self.error(format!("there is no atomic operation {imm:#x}")),
        };
        let ordered = matches!(op, AtomicOp::LoadAcquire | AtomicOp::StoreRelease);
        if !ordered && matches!(self.size(), Size::B | Size::H) {
            return self.error("atomic operations are of four or eight bytes");
        }
        let fetches = fetch && op != AtomicOp::CmpXchg;
        let src = if fetches { self.written(self.word.src)? } else { self.src()? };
        let dst = if op == AtomicOp::LoadAcquire { self.written(self.word.dst)? } else { self.dst()? };
        Ok(Op::Atomic { size: self.size(), op, dst, src, off: self.word.off })
    }
}
