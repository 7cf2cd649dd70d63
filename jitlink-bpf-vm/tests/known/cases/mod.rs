//! Known answers: what instructions do with given numbers, as RFC 9669 says it.
//!
//! The numbers were computed with integers of any size from the definitions in the sections named. This module depends on nothing but
//! the model of instruction words, so that whatever runs programs can include it. Programs are in little endian.
//!
//! Most instructions have a register for the destination (`r2` here) and one for the source (`r3`). Memory is eight bytes at the
//! address in `r1`, held as one number in little endian.

mod arithmetic;
mod jumps;
mod memory;

use jitlink_arch_bpf::insn::Insn;

/// A second operand.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Second {
    /// What `r3` holds.
    Reg(u64),
    /// The immediate.
    Imm(i32),
}

/// What an instruction does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Case {
    /// Opcode, offset, destination, second operand; the destination after it (section 4.1, and 4.2 for byte orders).
    Alu(u8, i16, u64, Second, u64),
    /// Opcode, both operands; whether it jumps (section 4.3).
    Jump(u8, u64, Second, bool),
    /// Opcode, offset, memory; what is loaded (sections 5.1 and 5.2).
    Load(u8, i16, u64, u64),
    /// Opcode, offset, memory, operand; memory after it (section 5.1).
    Store(u8, i16, u64, Second, u64),
    /// Opcode, offset, operation; memory, source and `r0` before and after it (section 5.3, and the kernel's documents for ordered
    /// stores, operation 0x110).
    Atomic(u8, i16, i32, [u64; 3], [u64; 3]),
    /// Opcode, offset, memory; what a load-acquire (operation 0x100 of the kernel's documents) loads.
    Acquire(u8, i16, u64, u64),
}

use Case::{Acquire, Alu, Atomic, Jump, Load, Store};
use Second::{Imm, Reg};

fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn { code, dst, src, off, imm }
}

/// The two words that load a constant.
pub(crate) fn constant(dst: u8, value: u64) -> [Insn; 2] {
    [insn(0x18, dst, 0, 0, value as i32), insn(0, 0, 0, 0, (value >> 32) as i32)]
}

impl Case {
    /// The instruction.
    pub(crate) fn insn(&self) -> Insn {
        match *self {
            Alu(code, off, _, Reg(_), _) => insn(code, 2, 3, off, 0),
            Alu(code, off, _, Imm(imm), _) => insn(code, 2, 0, off, imm),
            Jump(code, _, Reg(_), _) => insn(code, 2, 3, 1, 0),
            Jump(code, _, Imm(imm), _) => insn(code, 2, 0, 1, imm),
            Load(code, off, ..) => insn(code, 2, 1, off, 0),
            Store(code, off, _, Reg(_), _) => insn(code, 1, 3, off, 0),
            Store(code, off, _, Imm(imm), _) => insn(code, 1, 0, off, imm),
            Atomic(code, off, op, ..) => insn(code, 1, 3, off, op),
            Acquire(code, off, ..) => insn(code, 2, 1, off, 0x100),
        }
    }

    /// Memory, `r0`, `r2` and `r3` before the instruction.
    pub(crate) fn before(&self) -> [u64; 4] {
        let value = |second| match second {
            Reg(value) => value,
            Imm(_) => 0x3333_3333_3333_3333,
        };
        match *self {
            Alu(_, _, a, b, _) | Jump(_, a, b, _) => [0, 0, a, value(b)],
            Load(_, _, memory, _) | Acquire(_, _, memory, _) => [memory, 0, 0x2222_2222_2222_2222, 0],
            Store(_, _, memory, b, _) => [memory, 0, 0, value(b)],
            Atomic(_, _, _, [memory, source, r0], _) => [memory, r0, 0, source],
        }
    }

    /// The same after it. A jump skips an instruction that makes `r0` one.
    pub(crate) fn after(&self) -> [u64; 4] {
        let [memory, r0, r2, r3] = self.before();
        match *self {
            Alu(.., result) => [memory, r0, result, r3],
            Jump(.., taken) => [memory, u64::from(!taken), r2, r3],
            Load(.., result) | Acquire(.., result) => [memory, r0, result, r3],
            Store(.., after) => [after, r0, r2, r3],
            Atomic(.., [memory, source, r0]) => [memory, r0, r2, source],
        }
    }

    /// A program that does it on its stack, and returns 1 if all is as it should be, else 2 for memory, 3 for `r0`, 4 for `r2` or 5
    /// for `r3`.
    pub(crate) fn program(&self) -> Vec<Insn> {
        let [memory, r0, r2, r3] = self.before();
        let mut words = vec![insn(0xbf, 1, 10, 0, 0), insn(0x07, 1, 0, 0, -8)];
        words.extend(constant(4, memory));
        words.push(insn(0x7b, 1, 4, 0, 0));
        words.extend(constant(0, r0));
        words.extend(constant(2, r2));
        words.extend(constant(3, r3));
        words.push(self.insn());
        if let Jump(..) = self {
            words.push(insn(0xb7, 0, 0, 0, 1));
        }
        words.push(insn(0x79, 4, 1, 0, 0));
        let [memory, r0, r2, r3] = self.after();
        for (register, value, code) in [(4, memory, 2), (0, r0, 3), (2, r2, 4), (3, r3, 5)] {
            words.extend(constant(5, value));
            words.push(insn(0x1d, register, 5, 2, 0));
            words.extend([insn(0xb7, 0, 0, 0, code), insn(0x95, 0, 0, 0, 0)]);
        }
        words.extend([insn(0xb7, 0, 0, 0, 1), insn(0x95, 0, 0, 0, 0)]);
        words
    }
}

/// All of them.
pub(crate) fn cases() -> impl Iterator<Item = &'static Case> {
    [arithmetic::CASES, jumps::CASES, memory::CASES].into_iter().flatten()
}
