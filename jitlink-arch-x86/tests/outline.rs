//! Instructions moved out of line do what they did in place: both are run, from the same registers, flags and memory.
//!
//! The first run has its data near, in the lowest 2 GiB, where every short reference reaches. The second has a copy of it
//! far away. What differs between the two runs must be the data's address wherever it shows up, and nothing else.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

#[path = "outline/cases.rs"]
mod cases;
#[path = "outline/machine.rs"]
mod machine;

use cases::{Case, MOVED, REFUSED};
use jitlink_arch_x86::{ELF_X86_64, X86_64};
use jitlink_core::arch::{CodeSite, Outlined};
use jitlink_core::graph::{Edge, SymbolId};
use jitlink_core::reloc::{Inputs, Reloc, apply, evaluate};
use jitlink_core::{Addr, Endian, TargetArch};
use machine::{Machine, Memory, State};

const PAGE: usize = 4096;
/// Where things lie in the memory for code.
const BLOCK: usize = 0x100;
const OUT_OF_LINE: usize = 0x800;
const FUNCTION: usize = 0xf00;
/// Where `sym` lies in the data, and `%rsp` in the stack.
const SYM: usize = 0x100;
const STACK_TOP: usize = 0x800;
/// The instruction does not start its block.
const LEAD: usize = 3;

fn row(name: &str) -> &'static Reloc {
    ELF_X86_64.rows().iter().find(|row| row.name() == name).unwrap()
}

fn edge(case: &Case) -> Edge {
    let (target, subject) = (SymbolId::new(0), row(case.reloc).subject());
    Edge { addend: case.addend, offset: LEAD as u32 + case.field, target, row: 0, subject }
}

fn outline(case: &Case, block: &[u8], target: u64) -> Result<Outlined, String> {
    let target = Some(Addr(target));
    X86_64.outline(&CodeSite { block, start: 0, edge: edge(case), row: row(case.reloc), target })
}

/// The block: something before, the instruction, a jump to the exit, something after.
fn block(case: &Case, exit: u64) -> Vec<u8> {
    let mut block = vec![0x90; LEAD];
    block.extend(case.code);
    block.extend([0xff, 0x25, 0, 0, 0, 0]); // jmp *0(%rip)
    block.extend(exit.to_le_bytes());
    block.resize(128, 0x71);
    block
}

struct Bench {
    machine: Machine,
    code: Memory,
    stack: Memory,
    near: Memory,
    far: Memory,
}

/// What a run leaves behind: registers, data, and the stack from the red zone up. Addresses in the data, wherever they
/// stand, are counted from its start.
#[derive(Debug, PartialEq)]
struct Outcome {
    state: State,
    data: Vec<u64>,
    stack: Vec<u64>,
}

impl Bench {
    fn new() -> Bench {
        let (code, stack) = (Memory::new(PAGE, true), Memory::new(PAGE, false));
        Bench { machine: Machine::new(), code, stack, near: Memory::new(PAGE, true), far: Memory::new(PAGE, false) }
    }

    /// Sets memory and registers to what the case needs.
    fn prepare(&mut self, case: &Case, flags: u64, far: bool) -> State {
        let (exit, code) = (self.machine.exit(), self.code.address());
        let top = self.stack.address() + STACK_TOP as u64;
        let data = if far { &mut self.far } else { &mut self.near };
        let sym = data.address() + SYM as u64;
        for (index, byte) in data.bytes().iter_mut().enumerate() {
            *byte = (index * 37 + index / 256 * 11) as u8;
        }
        let mut store = |offset: usize, word: u64| {
            data.bytes()[SYM + offset..SYM + offset + 8].copy_from_slice(&word.to_le_bytes());
        };
        store(0x80, 0);
        (0..4).for_each(|index| store(0x88 + 8 * index, (2.5 + index as f64).to_bits()));
        if case.text.contains("jmp") || case.text.contains("call") {
            let target = if case.text.contains("jmp") { exit } else { code + FUNCTION as u64 };
            (0x40..0xa0).step_by(8).for_each(|offset| store(offset, target));
        }
        for (index, byte) in self.stack.bytes().iter_mut().enumerate() {
            *byte = (index * 53) as u8;
        }
        self.stack.bytes()[STACK_TOP + 16..STACK_TOP + 24].copy_from_slice(&(sym + 8).to_le_bytes());
        let mut general = [0; 16];
        for (number, register) in general.iter_mut().enumerate() {
            *register = 0x1122_3344_5566_7788u64.wrapping_mul(number as u64 + 3);
        }
        let (rax, rcx, rbx, rsp, rdi) = (0, 1, 3, 4, 7);
        (general[rcx], general[rbx], general[rsp], general[rdi]) = (0x43, 0x10, top, 2);
        let difference = ["cmp", "sub", "sbb"].iter().any(|name| case.text.starts_with(name));
        match case.text {
            text if text.contains("sym(%rsp") => general[rdi] = 0x18u64.wrapping_sub(top),
            text if text.contains("call") => general[rcx] = 0x40,
            text if text.contains("$sym") && difference => (general[rax], general[rbx]) = (sym + 0x18, sym + 0x10),
            text if text.ends_with("(%rbx)") => general[rbx] = sym + 0x200,
            text if text.contains("$sym") => general[rax] = 5,
            _ => {}
        }
        State { general, flags, unused: 0, xmm: [[0x4002_0000_0000_0001, 77], [0x4009_0000_0000_0000, 0x4011 << 48]] }
    }

    fn outcome(&mut self, mut state: State, far: bool) -> Outcome {
        let data = if far { &mut self.far } else { &mut self.near };
        let start = data.address();
        let relative =
            |word: u64| if word.wrapping_sub(start) < PAGE as u64 { 0xdada_0000 + (word - start) } else { word };
        let words = |bytes: &[u8]| -> Vec<u64> {
            bytes.chunks(8).map(|word| relative(u64::from_le_bytes(word.try_into().unwrap()))).collect()
        };
        let memory = words(data.bytes());
        let stack = words(&self.stack.bytes()[STACK_TOP - 128..]);
        state.general = state.general.map(relative);
        Outcome { state, data: memory, stack }
    }

    fn write_code(&mut self, offset: usize, bytes: &[u8]) {
        self.code.bytes()[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn fix(&mut self, row: &Reloc, offset: usize, subject: u64, addend: i64) {
        let place = self.code.address() + offset as u64;
        let value = evaluate(row, &Inputs { subject, addend, place, ..Inputs::default() });
        apply(row, &mut self.code.bytes()[offset..], value, Endian::Little).unwrap();
    }

    fn run_in_place(&mut self, case: &Case, flags: u64) -> Outcome {
        let mut state = self.prepare(case, flags, false);
        let sym = self.near.address() + SYM as u64;
        self.write_code(BLOCK, &block(case, self.machine.exit()));
        self.write_code(FUNCTION, &[0x4d, 0x8d, 0x7f, 0x01, 0xc3]); // lea 1(%r15), %r15; ret
        self.fix(row(case.reloc), BLOCK + LEAD + case.field as usize, sym, case.addend);
        self.machine.run(&self.code, BLOCK, &mut state);
        self.outcome(state, false)
    }

    fn run_out_of_line(&mut self, case: &Case, flags: u64) -> Outcome {
        let mut state = self.prepare(case, flags, true);
        let (sym, start) = (self.far.address() + SYM as u64, self.code.address());
        let block = block(case, self.machine.exit());
        let outlined = outline(case, &block, sym).unwrap_or_else(|reason| panic!("{}: {reason}", case.text));
        self.write_code(BLOCK, &block);
        let patch = BLOCK + outlined.offset as usize;
        self.write_code(patch, &outlined.patch);
        self.write_code(OUT_OF_LINE, &outlined.code);
        let rows = X86_64.info().rows();
        let (field, addend) = outlined.jump;
        let jump_row = &rows[usize::from(outlined.jump_row)];
        self.fix(jump_row, patch + field as usize, start + OUT_OF_LINE as u64, addend);
        for (offset, row, addend) in outlined.target_fixups {
            self.fix(&rows[usize::from(row)], OUT_OF_LINE + offset as usize, sym, addend);
        }
        for (offset, row, addend) in outlined.block_fixups {
            self.fix(&rows[usize::from(row)], OUT_OF_LINE + offset as usize, start + BLOCK as u64, addend);
        }
        self.machine.run(&self.code, BLOCK, &mut state);
        self.outcome(state, true)
    }
}

#[test]
fn moved_instructions_do_the_same() {
    let mut bench = Bench::new();
    for case in MOVED {
        // No arithmetic flag set, and all of them.
        for flags in [0x202, 0xad7] {
            let expected = bench.run_in_place(case, flags);
            let mut found = bench.run_out_of_line(case, flags);
            if case.text.contains("call") || case.text.contains("jmp") {
                found.state.general[11] = expected.state.general[11]; // belongs to nobody across a call
            }
            assert_eq!(found.state, expected.state, "{}: registers", case.text);
            assert!(found.data == expected.data, "{}: data differ", case.text);
            assert!(found.stack == expected.stack, "{}: the stack differs", case.text);
        }
    }
}

#[test]
fn runs_see_a_difference() {
    let mut bench = Bench::new();
    let add = MOVED.iter().find(|case| case.text == "addl $5,sym(,%rdi,8)").unwrap();
    let inc = MOVED.iter().find(|case| case.text == "incl sym(%rip)").unwrap();
    let (first, second) = (bench.run_in_place(add, 0x202), bench.run_out_of_line(inc, 0x202));
    assert!(first.data != second.data && first.state != second.state);
}

#[test]
fn the_replaced_bytes_are_the_instruction() {
    for case in MOVED.iter().filter(|case| !case.text.contains(';')) {
        let outlined = outline(case, &block(case, 0), 0).unwrap();
        let length = case.code.len();
        assert_eq!((outlined.offset as usize, outlined.patch.len()), (LEAD, length), "{}", case.text);
    }
}

#[test]
fn a_register_that_is_overwritten_anyway_holds_the_address() {
    let code = |text: &str| {
        let case = MOVED.iter().find(|case| case.text == text).unwrap();
        outline(case, &block(case, 0), 0).unwrap().code
    };
    // movabs $sym+8, %rax; mov (%rax), %eax; jmp
    let mov = [0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0x8b, 0x00, 0xe9, 0, 0, 0, 0];
    assert_eq!(code("mov sym+8(%rip),%eax"), mov);
    // movabs $sym+16, %rsi; jmp
    let lea = [0x48, 0xbe, 0, 0, 0, 0, 0, 0, 0, 0, 0xe9, 0, 0, 0, 0];
    assert_eq!(code("lea sym+16(%rip),%rsi"), lea);
}

#[test]
fn vector_instructions_keep_their_encoding() {
    // vpaddd sym(%rip){1to16}, %zmm1, %zmm2{%k1} and vgatherdps sym(,%zmm3,4), %zmm2{%k1}, as GNU as 2.40 assembles them.
    let broadcast = Case {
        text: "vpaddd",
        reloc: "R_X86_64_PC32",
        field: 6,
        addend: -4,
        code: &[0x62, 0xf1, 0x75, 0x59, 0xfe, 0x15, 0, 0, 0, 0],
    };
    let gather = Case {
        text: "vgatherdps",
        reloc: "R_X86_64_32S",
        field: 7,
        addend: 0,
        code: &[0x62, 0xf2, 0x7d, 0x49, 0x92, 0x14, 0x9d, 0, 0, 0, 0],
    };
    for (case, moved) in [
        // vpaddd (%rax){1to16}, %zmm1, %zmm2{%k1}
        (broadcast, &[0x62, 0xf1, 0x75, 0x59, 0xfe, 0x10][..]),
        // vgatherdps (%rax,%zmm3,4), %zmm2{%k1}
        (gather, &[0x62, 0xf2, 0x7d, 0x49, 0x92, 0x14, 0x98][..]),
    ] {
        let outlined = outline(&case, &block(&case, 0), 0).unwrap();
        let inside = outlined.code.windows(moved.len()).any(|window| window == moved);
        assert!(inside, "{}: {:02x?}", case.text, outlined.code);
    }
}

#[test]
fn what_cannot_be_moved_is_refused_with_a_reason() {
    for case in REFUSED {
        let reason = outline(case, &block(case, 0), 0).expect_err(case.text);
        assert!(reason.len() > 20, "{}: {reason}", case.text);
    }
}

#[test]
fn misuse_is_refused() {
    let mov = MOVED.iter().find(|case| case.text == "mov sym+8(%rip),%eax").unwrap();
    let good = block(mov, 0);
    let with = |block: &[u8], start: u32, offset: u32, name: &str| {
        let edge = Edge { offset, ..edge(mov) };
        X86_64.outline(&CodeSite { block, start, edge, row: row(name), target: None })
    };
    let field = LEAD as u32 + mov.field;
    assert!(with(&good, 0, field, "R_X86_64_PC32").is_ok());
    // An absolute relocation in a pc-relative operand, a GOT slot, a stub, a field that is too wide.
    for name in ["R_X86_64_32S", "R_X86_64_GOTPCREL", "R_X86_64_PLT32", "R_X86_64_64", "R_X86_64_PC64", "R_X86_64_NONE"]
    {
        assert!(with(&good, 0, field, name).is_err(), "{name}");
    }
    // Beside the field, past the end, before the start.
    for (start, offset) in [(0, field + 1), (0, field - 1), (0, 4000), (4000, 4001), (field + 4, field), (9000, 4)] {
        assert!(with(&good, start, offset, "R_X86_64_PC32").is_err(), "{start} {offset}");
    }
    // No instruction (06 is none in 64-bit code) before the field, and one that is cut off.
    let mut bad = good.clone();
    bad[1] = 0x06;
    assert!(with(&bad, 0, field, "R_X86_64_PC32").is_err());
    assert!(with(&good[..field as usize + 2], 0, field, "R_X86_64_PC32").is_err());
    assert!(with(&[], 0, 0, "R_X86_64_PC32").is_err());
}
