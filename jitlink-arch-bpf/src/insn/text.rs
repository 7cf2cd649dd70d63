//! Instructions for people, in the syntax of LLVM's assembler.

use super::op::{AluOp, AtomicOp, Callee, Condition, Immediate, Op, Operand, Reg, Size, Width};
use std::fmt::{self, Display, Formatter};

/// A number as LLVM writes it: hexadecimal, with a sign.
struct Hex(i64);

impl Display for Hex {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{:#x}", self.0.unsigned_abs())
    }
}

/// A distance, always with a sign.
struct Distance(i32);

impl Display for Distance {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        write!(f, "{sign}{:#x}", self.0.unsigned_abs())
    }
}

/// A register by the name of the width that is used of it.
struct Named(Width, Reg);

impl Display for Named {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let letter = if self.0 == Width::W32 { 'w' } else { 'r' };
        write!(f, "{letter}{}", self.1.number())
    }
}

struct Source(Width, Operand);

impl Display for Source {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.1 {
            Operand::Reg(reg) => Named(self.0, reg).fmt(f),
            Operand::Imm(imm) => Hex(imm.into()).fmt(f),
        }
    }
}

/// A place in memory: type, register, distance.
struct Place(Size, bool, Reg, i16);

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let &Place(size, signed, base, off) = self;
        write!(f, "({}{} *)({})", if signed { 's' } else { 'u' }, size.bytes() * 8, Sum(base, off))
    }
}

/// A register and a distance in bytes.
struct Sum(Reg, i16);

impl Display for Sum {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sign = if self.1 < 0 { '-' } else { '+' };
        write!(f, "{} {sign} {:#x}", self.0, self.1.unsigned_abs())
    }
}

/// The name by which a loaded or stored value is called: the lower half for all but eight bytes.
fn width_of(size: Size) -> Width {
    if size == Size::DW { Width::W64 } else { Width::W32 }
}

fn sign_of(op: AluOp) -> &'static str {
    match op {
        AluOp::Add => "+=",
        AluOp::Sub => "-=",
        AluOp::Mul => "*=",
        AluOp::Div => "/=",
        AluOp::SDiv => "s/=",
        AluOp::Or => "|=",
        AluOp::And => "&=",
        AluOp::Lsh => "<<=",
        AluOp::Rsh => ">>=",
        AluOp::Mod => "%=",
        AluOp::SMod => "s%=",
        AluOp::Xor => "^=",
        AluOp::Mov | AluOp::MovSx(_) => "=",
        AluOp::Arsh => "s>>=",
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Condition::Eq => "==",
            Condition::Ne => "!=",
            Condition::Gt => ">",
            Condition::Ge => ">=",
            Condition::Lt => "<",
            Condition::Le => "<=",
            Condition::Set => "&",
            Condition::SGt => "s>",
            Condition::SGe => "s>=",
            Condition::SLt => "s<",
            Condition::SLe => "s<=",
        })
    }
}

impl Display for Immediate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Immediate::Constant(value) => write!(f, "{value:#x} ll"),
            Immediate::MapFd(fd) => write!(f, "map[fd:{fd}]"),
            Immediate::MapValue { fd, offset } => write!(f, "map[fd:{fd}][0]+{offset:#x}"),
            Immediate::Variable { id, btf: 0 } => write!(f, "variable[btf:{id}]"),
            Immediate::Variable { id, btf } => write!(f, "variable[btf:{id}] of module fd {btf}"),
            Immediate::Function(distance) => write!(f, "function pc{}", Distance(*distance)),
            Immediate::MapIndex(index) => write!(f, "map[idx:{index}]"),
            Immediate::MapIndexValue { index, offset } => write!(f, "map[idx:{index}][0]+{offset:#x}"),
        }
    }
}

impl Display for Callee {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Callee::Helper(number) => write!(f, "call {number:#x}"),
            Callee::Local(distance) => write!(f, "call pc{}", Distance(*distance)),
            Callee::Kernel { id, module: 0 } => write!(f, "call kernel[btf:{id}]"),
            Callee::Kernel { id, module } => write!(f, "call kernel[btf:{id}] of module {module}"),
            Callee::Register(reg) => write!(f, "callx {reg}"),
        }
    }
}

/// As LLVM's assembler reads it, except for references that have no spelling there: maps, functions and kernel functions.
impl Display for Op {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Op::Alu { width, op: AluOp::MovSx(bits), dst, src } => {
                write!(f, "{} = (s{bits}){}", Named(width, dst), Source(width, src))
            }
            Op::Alu { width, op, dst, src } => {
                write!(f, "{} {} {}", Named(width, dst), sign_of(op), Source(width, src))
            }
            Op::Neg { width, dst } => write!(f, "{0} = -{0}", Named(width, dst)),
            Op::ToLittle { dst, bits } => write!(f, "{dst} = le{bits} {dst}"),
            Op::ToBig { dst, bits } => write!(f, "{dst} = be{bits} {dst}"),
            Op::Swap { dst, bits } => write!(f, "{dst} = bswap{bits} {dst}"),
            Op::Cast { dst, src, to_arena: true } => write!(f, "{dst} = addr_space_cast({src}, 0x1, 0x0)"),
            Op::Cast { dst, src, to_arena: false } => write!(f, "{dst} = addr_space_cast({src}, 0x0, 0x1)"),
            Op::LoadImm { dst, value } => write!(f, "{dst} = {value}"),
            Op::Load { size, signed: true, dst, src, off } => write!(f, "{dst} = *{}", Place(size, true, src, off)),
            Op::Load { size, signed: false, dst, src, off } => {
                write!(f, "{} = *{}", Named(width_of(size), dst), Place(size, false, src, off))
            }
            Op::Store { size, dst, src, off } => {
                write!(f, "*{} = {}", Place(size, false, dst, off), Source(width_of(size), src))
            }
            Op::Atomic { size, op, dst, src, off } => atomic(f, (size, op), (dst, src), off),
            Op::LoadPacket { size, index: None, offset } => {
                write!(f, "r0 = *(u{} *)skb[{}]", size.bytes() * 8, Hex(offset.into()))
            }
            Op::LoadPacket { size, index: Some(index), offset: 0 } => {
                write!(f, "r0 = *(u{} *)skb[{index}]", size.bytes() * 8)
            }
            Op::LoadPacket { size, index: Some(index), offset } => {
                write!(f, "r0 = *(u{} *)skb[{index} + {}]", size.bytes() * 8, Hex(offset.into()))
            }
            Op::Jump { off, long: false } => write!(f, "goto {}", Distance(off)),
            Op::Jump { off, long: true } => write!(f, "gotol {}", Distance(off)),
            Op::JumpIf { width, condition, dst, src, off } => {
                let (left, right) = (Named(width, dst), Source(width, src));
                write!(f, "if {left} {condition} {right} goto {}", Distance(off.into()))
            }
            Op::MayGoto { off } => write!(f, "may_goto {}", Distance(off.into())),
            Op::JumpRegister { dst } => write!(f, "gotox {dst}"),
            Op::Call(callee) => callee.fmt(f),
            Op::Exit => f.write_str("exit"),
        }
    }
}

fn atomic(f: &mut Formatter<'_>, (size, op): (Size, AtomicOp), (dst, src): (Reg, Reg), off: i16) -> fmt::Result {
    let width = width_of(size);
    let (place, operand) = (Place(size, false, dst, off), Named(width, src));
    let bits = if size == Size::DW { "_64" } else { "32_32" };
    let (sign, name, fetch) = match op {
        AtomicOp::Add { fetch } => ("+=", "add", fetch),
        AtomicOp::Or { fetch } => ("|=", "or", fetch),
        AtomicOp::And { fetch } => ("&=", "and", fetch),
        AtomicOp::Xor { fetch } => ("^=", "xor", fetch),
        AtomicOp::Xchg => return write!(f, "{operand} = xchg{bits}({}, {operand})", Sum(dst, off)),
        AtomicOp::CmpXchg => {
            let old = Named(width, Reg::R0);
            return write!(f, "{old} = cmpxchg{bits}({}, {old}, {operand})", Sum(dst, off));
        }
        AtomicOp::LoadAcquire => {
            return write!(f, "{} = load_acquire({})", Named(width, dst), Place(size, false, src, off));
        }
        AtomicOp::StoreRelease => return write!(f, "store_release({place}, {operand})"),
    };
    match fetch {
        true => write!(f, "{operand} = atomic_fetch_{name}({place}, {operand})"),
        false => write!(f, "lock *{place} {sign} {operand}"),
    }
}
