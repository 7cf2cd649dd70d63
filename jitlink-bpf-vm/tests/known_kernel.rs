//! The known answers are those of the kernel, too.
//!
//! Operands come from a map, where the verifier does not know them, so the instruction is what gives the answer and not the
//! verifier's own arithmetic. Where `bpf(2)` is not allowed this says so and passes.
#![cfg(target_os = "linux")]

#[path = "known/cases/mod.rs"]
#[allow(dead_code, reason = "the programs that check themselves are for machines without maps")]
mod cases;

use cases::{Case, cases, constant};
use jitlink_arch_bpf::image::MapDefinition;
use jitlink_arch_bpf::insn::Insn;
use jitlink_arch_bpf::kernel::{KernelMap, KernelProgram, MapContext, ProgramRequest, TestRun, allowed};
use std::os::fd::{AsFd, AsRawFd};

/// Where `r0`, `r2`, `r3` are in the map's value before and after the instruction. Memory is at zero.
const BEFORE: i16 = 64;
const AFTER: i16 = 96;
const VALUE_SIZE: usize = 128;

fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn { code, dst, src, off, imm }
}

/// A program that loads the registers of a case, does it, and stores them.
fn program(case: &Case, fd: i32) -> Vec<Insn> {
    // r9 = the map's value, r1 = memory
    let mut words = vec![insn(0x18, 9, 2, 0, fd), insn(0, 0, 0, 0, 0), insn(0xbf, 1, 9, 0, 0)];
    let registers = [0, 2, 3];
    for (register, off) in registers.into_iter().zip((BEFORE..).step_by(8)) {
        words.push(insn(0x79, register, 9, off, 0));
    }
    words.push(case.insn());
    if let Case::Jump(..) = case {
        words.push(insn(0xb7, 0, 0, 0, 1));
    }
    for (register, off) in registers.into_iter().zip((AFTER..).step_by(8)) {
        words.push(insn(0x7b, 9, register, off, 0));
    }
    words.extend(constant(0, 7));
    words.push(insn(0x95, 0, 0, 0, 0));
    words
}

#[test]
fn the_kernel_gives_the_known_answers() {
    match allowed() {
        Ok(()) => {}
        Err(error) if error.is_not_allowed() => return eprintln!("skipped: {error}"),
        Err(error) => panic!("{error}"),
    }
    let (name, value_size) = ("value".to_owned(), VALUE_SIZE as u32);
    let definition = MapDefinition { name, kind: 2, key_size: 4, value_size, max_entries: 1, ..Default::default() };
    let map = KernelMap::create(&definition, MapContext::default()).unwrap();
    for case in cases() {
        let instructions = program(case, map.as_fd().as_raw_fd());
        let request = ProgramRequest {
            name: "known",
            kind: 6,
            instructions: &instructions,
            license: "GPL",
            ..Default::default()
        };
        let program = KernelProgram::load(&request).unwrap_or_else(|error| panic!("{case:x?}: {error}"));
        let mut value = [0; VALUE_SIZE];
        let places = [0, BEFORE as usize, BEFORE as usize + 8, BEFORE as usize + 16];
        for (at, number) in places.into_iter().zip(case.before()) {
            value[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        map.update(&[0; 4], &value, 0).unwrap();
        let result = program.test_run(&TestRun { data: &[0; 14], ..TestRun::default() }).unwrap();
        assert_eq!(result.retval, 7);
        let value = map.lookup(&[0; 4]).unwrap().unwrap();
        let places = [0, AFTER as usize, AFTER as usize + 8, AFTER as usize + 16];
        let after = places.map(|at| u64::from_le_bytes(value[at..at + 8].try_into().unwrap()));
        assert_eq!(after, case.after(), "{case:x?}: memory, r0, r2, r3");
    }
}
