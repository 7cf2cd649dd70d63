//! Classic programs to instructions of today.
//!
//! | classic | here |
//! | --- | --- |
//! | `A` | `r0`, where packet loads put their result and programs what they return |
//! | `X` | `r7` |
//! | the packet or the system call | `r6`, the context |
//! | memory | 16 words at the end of the stack frame |
//! | what the kernel knows of a packet | fields of `struct __sk_buff`, and helpers |
//!
//! A load outside of the packet ends the program with 0, as does a division by zero; packet loads of today do the first
//! themselves.

use super::check::{SECCOMP_DATA, check};
use super::code::{Alu, Ancillary, Code, Source, Test, ancillary, code};
use super::emit::Emitter;
use super::{ClassicError, Filter, FilterKind};
use crate::insn::{AluOp, Callee, Condition, Insn, Op, Operand, Reg, Size, Width};

const A: Reg = Reg::R0;
const CONTEXT: Reg = Reg::new(6).unwrap();
const X: Reg = Reg::new(7).unwrap();
const SCRATCH: Reg = Reg::new(2).unwrap();

/// The packet's length in `struct __sk_buff`.
const LENGTH: i16 = 0;
/// Numbers of helpers (`enum bpf_func_id`).
const GET_PRANDOM_U32: u32 = 7;
const GET_SMP_PROCESSOR_ID: u32 = 8;
/// The interfaces of packets here are all of this type (`ARPHRD_ETHER`).
const ETHERNET: i32 = 1;

/// Translates a program, which is checked first. The result takes the context in `r1`: `struct __sk_buff` of a packet, or a pointer
/// to `struct seccomp_data`.
pub fn translate(program: &[Filter], kind: FilterKind) -> Result<Vec<Insn>, ClassicError> {
    check(program, kind)?;
    let mut emitter = Emitter::new();
    emitter.op(Op::Alu { width: Width::W64, op: AluOp::Mov, dst: CONTEXT, src: Operand::Reg(Reg::R1) });
    emitter.alu(AluOp::Mov, A, Operand::Imm(0));
    emitter.alu(AluOp::Mov, X, Operand::Imm(0));
    for (index, filter) in program.iter().enumerate() {
        emitter.begin();
        let unknown =
            |what: &str| ClassicError::Instruction { index, code: filter.code, k: filter.k, what: what.into() };
        let known = code(filter).ok_or_else(|| unknown("there is no instruction with this code"))?;
        match (kind, known) {
            (FilterKind::Seccomp, Code::LoadAbsolute(_)) => field(&mut emitter, A, filter.k as i16),
            (FilterKind::Seccomp, Code::LoadLength) => constant(&mut emitter, A, SECCOMP_DATA),
            (FilterKind::Seccomp, Code::LoadIndexLength) => constant(&mut emitter, X, SECCOMP_DATA),
            (_, Code::LoadAbsolute(_)) if let Some(what) = ancillary(known, filter.k) => {
                known_of_packet(&mut emitter, what).map_err(unknown)?;
            }
            _ => instruction(&mut emitter, known, filter, index),
        }
    }
    Ok(emitter.finish())
}

fn constant(emitter: &mut Emitter, dst: Reg, value: u32) {
    emitter.alu(AluOp::Mov, dst, Operand::Imm(value as i32));
}

/// Loads a word of the context.
fn field(emitter: &mut Emitter, dst: Reg, off: i16) {
    emitter.op(Op::Load { size: Size::W, signed: false, dst, src: CONTEXT, off });
}

fn instruction(emitter: &mut Emitter, code: Code, filter: &Filter, index: usize) {
    let slot = |k: u32| 4 * k as i16 - 64;
    let load = |dst| Op::Load { size: Size::W, signed: false, dst, src: Reg::FP, off: slot(filter.k) };
    let store = |src| Op::Store { size: Size::W, dst: Reg::FP, src: Operand::Reg(src), off: slot(filter.k) };
    match code {
        Code::LoadAbsolute(bytes) => packet(emitter, bytes, None, filter.k),
        Code::LoadIndirect(bytes) => packet(emitter, bytes, Some(X), filter.k),
        Code::LoadLength => field(emitter, A, LENGTH),
        Code::LoadIndexLength => field(emitter, X, LENGTH),
        Code::LoadImmediate => constant(emitter, A, filter.k),
        Code::LoadIndexImmediate => constant(emitter, X, filter.k),
        Code::LoadMemory => emitter.op(load(A)),
        Code::LoadIndexMemory => emitter.op(load(X)),
        Code::LoadHeaderSize => {
            // `X` is overwritten anyway, and keeps `A` while the load uses it.
            emitter.mov(X, A);
            packet(emitter, 1, None, filter.k);
            emitter.alu(AluOp::And, A, Operand::Imm(15));
            emitter.alu(AluOp::Lsh, A, Operand::Imm(2));
            emitter.mov(SCRATCH, X);
            emitter.mov(X, A);
            emitter.mov(A, SCRATCH);
        }
        Code::Store => emitter.op(store(A)),
        Code::StoreIndex => emitter.op(store(X)),
        Code::Alu(op, source) => arithmetic(emitter, op, operand(source, filter.k)),
        Code::Negate => emitter.op(Op::Neg { width: Width::W32, dst: A }),
        Code::Jump => emitter.jump(index + 1 + filter.k as usize),
        Code::JumpIf(test, source) => conditional(emitter, (test, operand(source, filter.k)), filter, index),
        Code::ReturnConstant => {
            constant(emitter, A, filter.k);
            emitter.op(Op::Exit);
        }
        Code::ReturnAccumulator => emitter.op(Op::Exit),
        Code::ToIndex => emitter.mov(X, A),
        Code::ToAccumulator => emitter.mov(A, X),
    }
}

fn operand(source: Source, k: u32) -> Operand {
    match source {
        Source::K => Operand::Imm(k as i32),
        Source::X => Operand::Reg(X),
    }
}

fn packet(emitter: &mut Emitter, bytes: u8, index: Option<Reg>, offset: u32) {
    let size = match bytes {
        1 => Size::B,
        2 => Size::H,
        _ => Size::W,
    };
    emitter.op(Op::LoadPacket { size, index, offset: offset as i32 });
}

fn arithmetic(emitter: &mut Emitter, op: Alu, operand: Operand) {
    if let (Alu::Div | Alu::Mod, Operand::Reg(divisor)) = (op, operand) {
        emitter.skip_if((Condition::Ne, divisor, Operand::Imm(0)), 2);
        constant(emitter, A, 0);
        emitter.op(Op::Exit);
    }
    let op = match op {
        Alu::Add => AluOp::Add,
        Alu::Sub => AluOp::Sub,
        Alu::Mul => AluOp::Mul,
        Alu::Div => AluOp::Div,
        Alu::Mod => AluOp::Mod,
        Alu::And => AluOp::And,
        Alu::Or => AluOp::Or,
        Alu::Xor => AluOp::Xor,
        Alu::Lsh => AluOp::Lsh,
        Alu::Rsh => AluOp::Rsh,
    };
    emitter.alu(op, A, operand);
}

fn conditional(emitter: &mut Emitter, (test, operand): (Test, Operand), filter: &Filter, index: usize) {
    let condition = match test {
        Test::Eq => Condition::Eq,
        Test::Gt => Condition::Gt,
        Test::Ge => Condition::Ge,
        Test::Set => Condition::Set,
    };
    emitter.jump_if((condition, A, operand), index + 1 + usize::from(filter.jt));
    if filter.jf > 0 {
        emitter.jump(index + 1 + usize::from(filter.jf));
    }
}

/// Reads what the kernel knows of a packet; the reason where a program cannot.
fn known_of_packet(emitter: &mut Emitter, what: Ancillary) -> Result<(), &'static str> {
    // Offsets of fields in `struct __sk_buff`.
    match what {
        Ancillary::PacketType => field(emitter, A, 4),
        Ancillary::Mark => field(emitter, A, 8),
        Ancillary::Queue => field(emitter, A, 12),
        Ancillary::VlanTagPresent => field(emitter, A, 20),
        Ancillary::VlanTag => field(emitter, A, 24),
        Ancillary::Interface => field(emitter, A, 40),
        Ancillary::Hash => field(emitter, A, 68),
        Ancillary::Protocol | Ancillary::VlanProtocol => {
            field(emitter, A, if what == Ancillary::Protocol { 16 } else { 28 });
            // The field is in network order; the accumulator is not.
            emitter.op(Op::ToBig { dst: A, bits: 16 });
        }
        Ancillary::HardwareType => constant(emitter, A, ETHERNET as u32),
        Ancillary::Cpu => emitter.op(Op::Call(Callee::Helper(GET_SMP_PROCESSOR_ID))),
        Ancillary::Random => emitter.op(Op::Call(Callee::Helper(GET_PRANDOM_U32))),
        Ancillary::XorIndex => emitter.alu(AluOp::Xor, A, Operand::Reg(X)),
        Ancillary::Netlink | Ancillary::NestedNetlink => return Err("attributes of netlink messages are not searched"),
        Ancillary::PayloadOffset => return Err("where the packet's payload begins is not worked out"),
    }
    Ok(())
}
