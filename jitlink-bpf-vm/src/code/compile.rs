//! Instruction words to [`Inst`]s.

use super::{Atomic, Code, Foreign, ForeignKind, Inst, PADDING, Slot, Unit, UnitFunction};
use crate::address;
use crate::error::LoadError;
use hashbrown::HashMap;
use jitlink_arch_bpf::insn::{
    AluOp, AtomicOp, Callee, Condition, DecodeError, Immediate, Insn, Op, Operand, Reg, Size, Width, decode,
};
use jitlink_core::Endian;

/// Code as it was linked.
pub(crate) struct Source<'a> {
    /// Its address, a multiple of eight.
    pub(crate) start: u64,
    pub(crate) endian: Endian,
    pub(crate) words: &'a [Insn],
    /// By place.
    pub(crate) functions: Vec<UnitFunction>,
    /// What stands for the constants of instructions, by the index of their word.
    pub(crate) links: HashMap<usize, Link>,
    /// The region of the program's arena.
    pub(crate) arena: Option<u32>,
}

/// What an instruction refers to outside of its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// A 64-bit constant is this.
    Constant(u64),
    /// A call calls the host's function of this index.
    Host(u32),
    /// A call would call this, which is not there.
    Missing(String),
}

/// Decodes and checks code.
pub(crate) fn compile(source: Source<'_>) -> Result<Unit, LoadError> {
    let mut insts = vec![Inst::default(); source.words.len() + PADDING];
    let mut compiler = Compiler { source: &source, index: 0, sites: [0; 8], missing: Vec::new() };
    while compiler.index < source.words.len() {
        let index = compiler.index;
        if source.words[index] == Insn::default() {
            // Between functions the linker leaves zeros.
            compiler.index += 1;
            continue;
        }
        let op = decode(source.words, index).map_err(|error| compiler.refuse(error))?;
        insts[index] = compiler.inst(&op)?;
        compiler.index += op.words();
    }
    for (index, inst) in insts.iter().enumerate() {
        let target = index as i64 + i64::from(inst.jump);
        let is_jump = inst.code.is_jump() || inst.code == Code::CallLocal;
        let inside = usize::try_from(target).is_ok_and(|target| target < source.words.len());
        if is_jump && !(inside && insts[target as usize].code != Code::Trap) {
            return Err(LoadError::Jump { place: source.place(index), distance: i64::from(inst.jump) - 1 });
        }
    }
    let missing = compiler.missing;
    let Source { start, endian, words, functions, .. } = source;
    Ok(Unit { start, endian, words: words.into(), insts: insts.into(), functions, missing })
}

impl Source<'_> {
    /// An instruction's place in words.
    fn place(&self, index: usize) -> String {
        let after = self.functions.partition_point(|function| function.first <= index);
        match self.functions[..after].last() {
            Some(function) if index - function.first < function.len => {
                format!("{}+{}", function.name, index - function.first)
            }
            _ => format!("instruction {index}"),
        }
    }
}

impl Code {
    /// Whether [`Inst::jump`] is the distance of a jump.
    pub(crate) fn is_jump(self) -> bool {
        self == Code::Jump || self == Code::MayGoto || (Code::Eq64R as u8..=Code::SLe32I as u8).contains(&(self as u8))
    }
}

struct Compiler<'s> {
    source: &'s Source<'s>,
    /// Of the word.
    index: usize,
    /// How many accesses of each kind and size there are.
    sites: [u8; 8],
    missing: Vec<(usize, String)>,
}

fn slot(reg: Reg) -> Slot {
    Slot::ALL[reg.index()]
}

impl Compiler<'_> {
    fn refuse(&self, error: DecodeError) -> LoadError {
        LoadError::Instruction { place: self.source.place(self.index), error }
    }

    fn unsupported<T>(&self, what: impl Into<String>) -> Result<T, LoadError> {
        Err(LoadError::Unlinked { place: self.source.place(self.index), what: what.into() })
    }

    /// An entry of the cache of areas: accesses of one kind and size share sixteen, in turn.
    fn site(&mut self, write: u8, size: Size) -> u8 {
        let kind = write << 2 | size.bytes().trailing_zeros() as u8;
        let count = &mut self.sites[usize::from(kind)];
        *count = (*count + 1) % 16;
        kind << 4 | *count
    }

    fn inst(&mut self, op: &Op) -> Result<Inst, LoadError> {
        let plain = Inst::default();
        Ok(match *op {
            Op::Alu { width, op, dst, src } => self.alu(width, op, dst, src),
            Op::Neg { width: Width::W64, dst } => Inst { code: Code::Neg64, dst: slot(dst), ..plain },
            Op::Neg { width: Width::W32, dst } => Inst { code: Code::Neg32, dst: slot(dst), ..plain },
            Op::ToLittle { dst, bits } => self.order(Endian::Little, dst, bits),
            Op::ToBig { dst, bits } => self.order(Endian::Big, dst, bits),
            Op::Swap { dst, bits } => Inst { code: swap(bits), dst: slot(dst), ..plain },
            Op::Cast { dst, src, .. } => match self.source.arena {
                Some(region) => Inst { code: Code::Cast, dst: slot(dst), src: slot(src), imm: region as i32, ..plain },
                None => Inst { code: Code::NoArena, ..plain },
            },
            Op::LoadImm { dst, value } => {
                let value = self.immediate(value)?;
                let (imm, jump) = (value as i32, (value >> 32) as i32);
                Inst { code: Code::LoadWide, dst: slot(dst), imm, jump, ..plain }
            }
            Op::Load { size, signed, dst, src, off } => {
                let site = self.site(0, size);
                let inst = Inst { dst: slot(dst), src: slot(src), off, site, ..plain };
                self.load(inst, size, signed)
            }
            Op::Store { size, dst, src, off } => {
                let site = self.site(1, size);
                self.store(Inst { dst: slot(dst), off, site, ..plain }, size, src)
            }
            Op::Atomic { size, op, dst, src, off } => {
                let site = self.site(u8::from(op != AtomicOp::LoadAcquire), size);
                let extra = Atomic { op, size }.pack();
                Inst { code: Code::Atomic, dst: slot(dst), src: slot(src), off, site, extra, ..plain }
            }
            Op::LoadPacket { size, index, offset } => {
                let code = if index.is_some() { Code::PacketIndirect } else { Code::PacketAbsolute };
                Inst { code, src: index.map(slot).unwrap_or_default(), extra: size.bytes(), imm: offset, ..plain }
            }
            Op::Jump { off, .. } => Inst { code: Code::Jump, jump: self.distance(off)?, extra: 1, ..plain },
            Op::JumpIf { width, condition, dst, src, off } => {
                let (code, src, imm) = second(conditional(width, condition), src);
                Inst { code, dst: slot(dst), src, imm, jump: self.distance(off.into())?, extra: 1, ..plain }
            }
            Op::MayGoto { off } => Inst { code: Code::MayGoto, jump: self.distance(off.into())?, extra: 1, ..plain },
            Op::JumpRegister { dst } => Inst { code: Code::JumpRegister, dst: slot(dst), ..plain },
            Op::Call(callee) => self.call(callee)?,
            Op::Exit => Inst { code: Code::Exit, ..plain },
        })
    }

    /// The distance from this instruction, which the words count from the next.
    fn distance(&self, off: i32) -> Result<i32, LoadError> {
        let jump = || LoadError::Jump { place: self.source.place(self.index), distance: off.into() };
        off.checked_add(1).ok_or_else(jump)
    }

    fn alu(&self, width: Width, op: AluOp, dst: Reg, src: Operand) -> Inst {
        if let AluOp::MovSx(bits) = op {
            let code = match (width, bits) {
                (Width::W64, 8) => Code::Sx64From8,
                (Width::W64, 16) => Code::Sx64From16,
                (Width::W64, _) => Code::Sx64From32,
                (Width::W32, 8) => Code::Sx32From8,
                (Width::W32, _) => Code::Sx32From16,
            };
            let (code, src, _) = second((code, code), src);
            return Inst { code, dst: slot(dst), src, ..Inst::default() };
        }
        let (code, src, imm) = second(arithmetic(width, op), src);
        Inst { code, dst: slot(dst), src, imm, ..Inst::default() }
    }

    /// A conversion to a byte order: of the program's machine, whose own order is that of its code.
    fn order(&self, order: Endian, dst: Reg, bits: u8) -> Inst {
        let keep = match bits {
            16 => Code::Low16,
            32 => Code::Low32,
            _ => Code::Nop,
        };
        let code = if order == self.source.endian { keep } else { swap(bits) };
        Inst { code, dst: slot(dst), ..Inst::default() }
    }

    fn immediate(&self, value: Immediate) -> Result<u64, LoadError> {
        match self.source.links.get(&self.index) {
            Some(Link::Constant(value)) => return Ok(*value),
            Some(Link::Host(index)) => return Ok(address::at(address::HOST_REGION, index << 3)),
            Some(Link::Missing(_)) => return Ok(0),
            None => {}
        }
        match value {
            Immediate::Constant(value) => Ok(value),
            Immediate::MapIndex(index) if (0..1 << 28).contains(&index) => Ok(address::map_handle(index as u32)),
            Immediate::Function(distance) => {
                let next = self.source.start.wrapping_add((self.index as u64 + 1) * 8);
                Ok(next.wrapping_add_signed(i64::from(distance) * 8))
            }
            other => self.unsupported(format!("it loads {other:?}, which only a kernel knows")),
        }
    }

    fn load(&self, inst: Inst, size: Size, signed: bool) -> Inst {
        if self.is_foreign(size) {
            let kind = if signed { ForeignKind::LoadSigned } else { ForeignKind::Load };
            return Inst { code: Code::Foreign, extra: Foreign { size, kind }.pack(), ..inst };
        }
        let code = match (size, signed) {
            (Size::B, false) => Code::Load8,
            (Size::H, false) => Code::Load16,
            (Size::W, false) => Code::Load32,
            (Size::B, true) => Code::LoadS8,
            (Size::H, true) => Code::LoadS16,
            (Size::W, true) => Code::LoadS32,
            (Size::DW, _) => Code::Load64,
        };
        Inst { code, ..inst }
    }

    fn store(&self, inst: Inst, size: Size, src: Operand) -> Inst {
        let codes = match size {
            Size::B => (Code::Store8R, Code::Store8I),
            Size::H => (Code::Store16R, Code::Store16I),
            Size::W => (Code::Store32R, Code::Store32I),
            Size::DW => (Code::Store64R, Code::Store64I),
        };
        let (code, src, imm) = second(codes, src);
        let inst = Inst { code, src, imm, ..inst };
        if !self.is_foreign(size) {
            return inst;
        }
        let kind = if code == codes.0 { ForeignKind::StoreReg } else { ForeignKind::StoreImm };
        Inst { code: Code::Foreign, extra: Foreign { size, kind }.pack(), ..inst }
    }

    fn is_foreign(&self, size: Size) -> bool {
        self.source.endian != Endian::NATIVE && size != Size::B
    }

    fn call(&mut self, callee: Callee) -> Result<Inst, LoadError> {
        let plain = Inst::default();
        match self.source.links.get(&self.index) {
            Some(Link::Host(index)) => return Ok(Inst { code: Code::CallHost, imm: *index as i32, ..plain }),
            Some(Link::Missing(name)) => return Ok(self.missing(name.clone())),
            Some(Link::Constant(_)) | None => {}
        }
        Ok(match callee {
            Callee::Helper(number) => Inst { code: Code::CallHelper, imm: number as i32, ..plain },
            Callee::Local(distance) => {
                let target = self.index as i64 + 1 + i64::from(distance);
                if (0..self.source.words.len() as i64).contains(&target) {
                    return Ok(Inst { code: Code::CallLocal, jump: self.distance(distance)?, ..plain });
                }
                let target = self.source.start.wrapping_add_signed(target * 8);
                Inst { code: Code::CallFar, imm: target as i32, jump: (target >> 32) as i32, ..plain }
            }
            Callee::Kernel { id, .. } => self.missing(format!("BTF id {id}")),
            Callee::Register(reg) => Inst { code: Code::CallRegister, dst: slot(reg), ..plain },
        })
    }

    fn missing(&mut self, name: String) -> Inst {
        self.missing.push((self.index, name));
        Inst { code: Code::CallHost, imm: -1, ..Inst::default() }
    }
}

/// Which of two codes there is for an operand, with the operand.
fn second(codes: (Code, Code), src: Operand) -> (Code, Slot, i32) {
    match src {
        Operand::Reg(reg) => (codes.0, slot(reg), 0),
        Operand::Imm(imm) => (codes.1, Slot::default(), imm),
    }
}

fn swap(bits: u8) -> Code {
    match bits {
        16 => Code::Swap16,
        32 => Code::Swap32,
        _ => Code::Swap64,
    }
}

fn arithmetic(width: Width, op: AluOp) -> (Code, Code) {
    use Code::*;
    let wide = width == Width::W64;
    match op {
        AluOp::Add if wide => (Add64R, Add64I),
        AluOp::Sub if wide => (Sub64R, Sub64I),
        AluOp::Mul if wide => (Mul64R, Mul64I),
        AluOp::Div if wide => (Div64R, Div64I),
        AluOp::SDiv if wide => (SDiv64R, SDiv64I),
        AluOp::Mod if wide => (Mod64R, Mod64I),
        AluOp::SMod if wide => (SMod64R, SMod64I),
        AluOp::Or if wide => (Or64R, Or64I),
        AluOp::And if wide => (And64R, And64I),
        AluOp::Xor if wide => (Xor64R, Xor64I),
        AluOp::Lsh if wide => (Lsh64R, Lsh64I),
        AluOp::Rsh if wide => (Rsh64R, Rsh64I),
        AluOp::Arsh if wide => (Arsh64R, Arsh64I),
        AluOp::Mov | AluOp::MovSx(_) if wide => (Mov64R, Mov64I),
        AluOp::Add => (Add32R, Add32I),
        AluOp::Sub => (Sub32R, Sub32I),
        AluOp::Mul => (Mul32R, Mul32I),
        AluOp::Div => (Div32R, Div32I),
        AluOp::SDiv => (SDiv32R, SDiv32I),
        AluOp::Mod => (Mod32R, Mod32I),
        AluOp::SMod => (SMod32R, SMod32I),
        AluOp::Or => (Or32R, Or32I),
        AluOp::And => (And32R, And32I),
        AluOp::Xor => (Xor32R, Xor32I),
        AluOp::Lsh => (Lsh32R, Lsh32I),
        AluOp::Rsh => (Rsh32R, Rsh32I),
        AluOp::Arsh => (Arsh32R, Arsh32I),
        AluOp::Mov | AluOp::MovSx(_) => (Mov32R, Mov32I),
    }
}

fn conditional(width: Width, condition: Condition) -> (Code, Code) {
    use Code::*;
    let wide = width == Width::W64;
    match condition {
        Condition::Eq if wide => (Eq64R, Eq64I),
        Condition::Ne if wide => (Ne64R, Ne64I),
        Condition::Gt if wide => (Gt64R, Gt64I),
        Condition::Ge if wide => (Ge64R, Ge64I),
        Condition::Lt if wide => (Lt64R, Lt64I),
        Condition::Le if wide => (Le64R, Le64I),
        Condition::Set if wide => (Set64R, Set64I),
        Condition::SGt if wide => (SGt64R, SGt64I),
        Condition::SGe if wide => (SGe64R, SGe64I),
        Condition::SLt if wide => (SLt64R, SLt64I),
        Condition::SLe if wide => (SLe64R, SLe64I),
        Condition::Eq => (Eq32R, Eq32I),
        Condition::Ne => (Ne32R, Ne32I),
        Condition::Gt => (Gt32R, Gt32I),
        Condition::Ge => (Ge32R, Ge32I),
        Condition::Lt => (Lt32R, Lt32I),
        Condition::Le => (Le32R, Le32I),
        Condition::Set => (Set32R, Set32I),
        Condition::SGt => (SGt32R, SGt32I),
        Condition::SGe => (SGe32R, SGe32I),
        Condition::SLt => (SLt32R, SLt32I),
        Condition::SLe => (SLe32R, SLe32I),
    }
}
