//! Instructions to words.

use super::Insn;
use super::op::{AluOp, AtomicOp, Callee, Condition, Immediate, Op, Operand, Size, Width};

/// Appends the words of an instruction. What [`super::decode`] gave is encoded to the words that it was decoded from.
pub fn encode(op: &Op, words: &mut Vec<Insn>) {
    let word = |code: u8| Insn { code, ..Insn::default() };
    let first = match *op {
        Op::Alu { width, op, dst, src } => {
            let (number, off) = alu(op);
            let code = class(width) | number << 4;
            with_operand(Insn { dst: dst.number(), off, ..word(code) }, src)
        }
        Op::Neg { width, dst } => Insn { dst: dst.number(), ..word(class(width) | 0x80) },
        Op::ToLittle { dst, bits } => Insn { dst: dst.number(), imm: bits.into(), ..word(0xd4) },
        Op::ToBig { dst, bits } => Insn { dst: dst.number(), imm: bits.into(), ..word(0xdc) },
        Op::Swap { dst, bits } => Insn { dst: dst.number(), imm: bits.into(), ..word(0xd7) },
        Op::Cast { dst, src, to_arena } => {
            let imm = if to_arena { 1 << 16 } else { 1 };
            Insn { dst: dst.number(), src: src.number(), off: 1, imm, ..word(0xbf) }
        }
        Op::LoadImm { dst, value } => {
            let (src, low, high) = immediate(value);
            words.push(Insn { dst: dst.number(), src, imm: low, ..word(0x18) });
            Insn { imm: high, ..word(0) }
        }
        Op::Load { size, signed, dst, src, off } => {
            let code = if signed { 0x81 } else { 0x61 } | size_bits(size);
            Insn { dst: dst.number(), src: src.number(), off, ..word(code) }
        }
        Op::Store { size, dst, src: Operand::Imm(imm), off } => {
            Insn { dst: dst.number(), off, imm, ..word(0x62 | size_bits(size)) }
        }
        Op::Store { size, dst, src: Operand::Reg(src), off } => {
            Insn { dst: dst.number(), src: src.number(), off, ..word(0x63 | size_bits(size)) }
        }
        Op::Atomic { size, op, dst, src, off } => {
            Insn { dst: dst.number(), src: src.number(), off, imm: atomic(op), ..word(0xc3 | size_bits(size)) }
        }
        Op::LoadPacket { size, index: None, offset } => Insn { imm: offset, ..word(0x20 | size_bits(size)) },
        Op::LoadPacket { size, index: Some(index), offset } => {
            Insn { src: index.number(), imm: offset, ..word(0x40 | size_bits(size)) }
        }
        Op::Jump { off, long: true } => Insn { imm: off, ..word(0x06) },
        Op::Jump { off, long: false } => Insn { off: off as i16, ..word(0x05) },
        Op::JumpIf { width, condition, dst, src, off } => {
            let class = if width == Width::W64 { 5 } else { 6 };
            with_operand(Insn { dst: dst.number(), off, ..word(class | jump(condition) << 4) }, src)
        }
        Op::MayGoto { off } => Insn { off, ..word(0xe5) },
        Op::JumpRegister { dst } => Insn { dst: dst.number(), ..word(0x0d) },
        Op::Call(Callee::Helper(number)) => Insn { imm: number as i32, ..word(0x85) },
        Op::Call(Callee::Local(distance)) => Insn { src: 1, imm: distance, ..word(0x85) },
        Op::Call(Callee::Kernel { id, module }) => Insn { src: 2, off: module, imm: id, ..word(0x85) },
        Op::Call(Callee::Register(reg)) => Insn { dst: reg.number(), ..word(0x8d) },
        Op::Exit => word(0x95),
    };
    words.push(first);
}

fn with_operand(word: Insn, operand: Operand) -> Insn {
    match operand {
        Operand::Imm(imm) => Insn { imm, ..word },
        Operand::Reg(src) => Insn { code: word.code | 8, src: src.number(), ..word },
    }
}

fn class(width: Width) -> u8 {
    if width == Width::W64 { 7 } else { 4 }
}

fn size_bits(size: Size) -> u8 {
    match size {
        Size::W => 0x00,
        Size::H => 0x08,
        Size::B => 0x10,
        Size::DW => 0x18,
    }
}

/// The operation's number and the offset that tells its variants apart.
fn alu(op: AluOp) -> (u8, i16) {
    match op {
        AluOp::Add => (0x0, 0),
        AluOp::Sub => (0x1, 0),
        AluOp::Mul => (0x2, 0),
        AluOp::Div => (0x3, 0),
        AluOp::SDiv => (0x3, 1),
        AluOp::Or => (0x4, 0),
        AluOp::And => (0x5, 0),
        AluOp::Lsh => (0x6, 0),
        AluOp::Rsh => (0x7, 0),
        AluOp::Mod => (0x9, 0),
        AluOp::SMod => (0x9, 1),
        AluOp::Xor => (0xa, 0),
        AluOp::Mov => (0xb, 0),
        AluOp::MovSx(bits) => (0xb, bits.into()),
        AluOp::Arsh => (0xc, 0),
    }
}

fn jump(condition: Condition) -> u8 {
    match condition {
        Condition::Eq => 0x1,
        Condition::Gt => 0x2,
        Condition::Ge => 0x3,
        Condition::Set => 0x4,
        Condition::Ne => 0x5,
        Condition::SGt => 0x6,
        Condition::SGe => 0x7,
        Condition::Lt => 0xa,
        Condition::Le => 0xb,
        Condition::SLt => 0xc,
        Condition::SLe => 0xd,
    }
}

fn atomic(op: AtomicOp) -> i32 {
    match op {
        AtomicOp::Add { fetch } => i32::from(fetch),
        AtomicOp::Or { fetch } => 0x40 | i32::from(fetch),
        AtomicOp::And { fetch } => 0x50 | i32::from(fetch),
        AtomicOp::Xor { fetch } => 0xa0 | i32::from(fetch),
        AtomicOp::Xchg => 0xe1,
        AtomicOp::CmpXchg => 0xf1,
        AtomicOp::LoadAcquire => 0x100,
        AtomicOp::StoreRelease => 0x110,
    }
}

fn immediate(value: Immediate) -> (u8, i32, i32) {
    match value {
        Immediate::Constant(value) => (0, value as i32, (value >> 32) as i32),
        Immediate::MapFd(fd) => (1, fd, 0),
        Immediate::MapValue { fd, offset } => (2, fd, offset as i32),
        Immediate::Variable { id, btf } => (3, id, btf),
        Immediate::Function(distance) => (4, distance, 0),
        Immediate::MapIndex(index) => (5, index, 0),
        Immediate::MapIndexValue { index, offset } => (6, index, offset as i32),
    }
}
