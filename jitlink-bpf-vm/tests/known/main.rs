//! Known answers for every opcode, and for what one instruction alone does not show.

mod cases;

use cases::{Case, cases};
use jitlink_arch_bpf::insn::{self, Insn, decode};
use jitlink_bpf_vm::address::STACK;
use jitlink_bpf_vm::context::{Context, NoContext, Packet};
use jitlink_bpf_vm::fault::FaultKind;
use jitlink_bpf_vm::memory::Memory;
use jitlink_bpf_vm::vm::VmBuilder;
use jitlink_core::Endian;
use std::collections::BTreeSet;
use std::sync::Arc;

fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn { code, dst, src, off, imm }
}

const EXIT: Insn = Insn { code: 0x95, dst: 0, src: 0, off: 0, imm: 0 };

/// What bare instructions return.
fn run(words: &[Insn]) -> u64 {
    run_in(words, Endian::Little, &mut NoContext)
}

fn run_in(words: &[Insn], endian: Endian, context: &mut dyn Context) -> u64 {
    let vm = VmBuilder::new().build_raw(words, endian).unwrap_or_else(|error| panic!("{error}: {words:x?}"));
    vm.run(&vm.programs()[0], context).unwrap_or_else(|fault| panic!("{fault}: {words:x?}"))
}

#[test]
fn every_instruction_does_what_the_rfc_says() {
    for case in cases() {
        let what = match run(&case.program()) {
            1 => continue,
            2 => "memory",
            3 => "r0",
            4 => "r2",
            _ => "r3",
        };
        panic!("{case:x?}: {what} differs");
    }
}

#[test]
fn all_opcodes_but_those_of_control_have_a_case() {
    let known: BTreeSet<u8> = cases().map(|case| case.insn().code).collect();
    // Jumps without a condition, calls, exit, 64-bit immediates, loads from the packet: below.
    let others = [0x05, 0x06, 0x0d, 0x18, 0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x85, 0x8d, 0x95, 0xe5];
    let second = Insn::default();
    for code in 0..=255u8 {
        let words = [0, 1].into_iter().flat_map(|dst| [0, 1, 16, 0x100].map(|imm| insn(code, dst, 0, 0, imm)));
        let decodes = words.into_iter().any(|word| decode(&[word, second], 0).is_ok());
        assert_eq!(decodes, known.contains(&code) || others.contains(&code), "{code:#x}");
    }
    assert!(cases().any(|case| matches!(case, Case::Acquire(..))));
}

#[test]
fn programs_in_big_endian_see_their_own_order() {
    // *(u64 *)(r10 - 8) = 0x1122334455667788; r0 = the byte, half, word at r10 - 8, and the conversions of r1
    let number = 0x1122_3344_5566_7788u64;
    let store = [insn(0x18, 1, 0, 0, number as i32), insn(0, 0, 0, 0, (number >> 32) as i32), insn(0x7b, 10, 1, -8, 0)];
    for (code, expected) in [(0x71, 0x11), (0x69, 0x1122), (0x61, 0x1122_3344), (0x79, number)] {
        let words = [&store[..], &[insn(code, 0, 10, -8, 0), EXIT]].concat();
        assert_eq!(run_in(&words, Endian::Big, &mut NoContext), expected);
    }
    for (code, imm, expected) in [(0xdc, 32, 0x5566_7788), (0xd4, 32, 0x8877_6655), (0xd7, 16, 0x8877)] {
        let words = [&store[..], &[insn(code, 1, 0, 0, imm), insn(0xbf, 0, 1, 0, 0), EXIT]].concat();
        assert_eq!(run_in(&words, Endian::Big, &mut NoContext), expected);
    }
    // A 16-bit store, a sign-extending load of it, an addition to four bytes, and what the eight bytes are then.
    let words = [
        &store[..],
        &[
            insn(0x6a, 10, 0, -4, -2),
            insn(0x89, 2, 10, -4, 0),
            insn(0xb7, 3, 0, 0, 1),
            insn(0xc3, 10, 3, -8, 1),
            insn(0x79, 0, 10, -8, 0),
            insn(0x0f, 0, 2, 0, 0),
            insn(0x0f, 0, 3, 0, 0),
            EXIT,
        ],
    ]
    .concat();
    let memory = 0x1122_3345_fffe_7788u64;
    let expected = memory.wrapping_add_signed(-2).wrapping_add(0x1122_3344);
    assert_eq!(run_in(&words, Endian::Big, &mut NoContext), expected);
}

/// A packet without a context.
struct OnlyPacket(Packet);

impl Context for OnlyPacket {
    fn packet(&self) -> Option<Packet> {
        Some(self.0.clone())
    }
}

#[test]
fn loads_from_the_packet_are_in_network_order_and_end_outside_of_it() {
    let memory = Arc::new(Memory::zeroed(16).unwrap());
    memory.write(4, &[0x81, 2, 3, 4, 5, 6]);
    let packet = Packet { memory, start: 4, data: 4, end: 10, writable: false };
    let load = |code, src, imm| {
        let words =
            [insn(0xb7, 6, 0, 0, 0), insn(0xb7, 7, 0, 0, 2), insn(0xb7, 0, 0, 0, 9), insn(code, 0, src, 0, imm), EXIT];
        run_in(&words, Endian::Little, &mut OnlyPacket(packet.clone()))
    };
    assert_eq!(load(0x20, 0, 0), 0x8102_0304);
    assert_eq!(load(0x28, 0, 1), 0x0203);
    assert_eq!(load(0x30, 0, 5), 6);
    assert_eq!(load(0x40, 7, 0), 0x0304_0506);
    assert_eq!(load(0x48, 7, -1), 0x0203);
    assert_eq!(load(0x50, 7, 3), 6);
    for (code, imm) in [(0x20, 3), (0x28, 5), (0x30, 6), (0x30, -1), (0x20, i32::MAX)] {
        assert_eq!(load(code, 0, imm), 0);
    }
}

#[test]
fn calls_have_frames_of_their_own_and_keep_r6_to_r9() {
    // r6 = 5; *(u64 *)(r10 - 8) = 6; call f; r0 += r6; r0 += *(u64 *)(r10 - 8); exit
    // f: r6 = 100; *(u64 *)(r10 - 8) = 1000; r0 = r10; exit
    let words = [
        insn(0xb7, 6, 0, 0, 5),
        insn(0x7a, 10, 0, -8, 6),
        insn(0x85, 0, 1, 0, 4),
        insn(0x0f, 0, 6, 0, 0),
        insn(0x79, 1, 10, -8, 0),
        insn(0x0f, 0, 1, 0, 0),
        EXIT,
        insn(0xb7, 6, 0, 0, 100),
        insn(0x7a, 10, 0, -8, 1000),
        insn(0xbf, 0, 10, 0, 0),
        EXIT,
    ];
    assert_eq!(run(&words), STACK + 1024 + 5 + 6);
}

#[test]
fn calls_nest_eight_deep() {
    // f: if r1 == 0 goto exit; r1 -= 1; call f; exit: exit
    let words = |depth| {
        [insn(0xb7, 1, 0, 0, depth), insn(0x15, 1, 0, 2, 0), insn(0x07, 1, 0, 0, -1), insn(0x85, 0, 1, 0, -3), EXIT]
    };
    assert_eq!(run(&words(7)), 0);
    let vm = VmBuilder::new().build_raw(&words(8), Endian::Little).unwrap();
    let fault = vm.run(&vm.programs()[0], &mut NoContext).unwrap_err();
    assert_eq!((fault.kind(), fault.trace().len()), (&FaultKind::Depth(8), 8));
}

#[test]
fn long_and_indirect_jumps_and_calls_arrive() {
    // gotol over a wrong result; call of a function by its address; jump to an address
    let words = [
        insn(0x06, 0, 0, 0, 2),
        insn(0xb7, 0, 0, 0, 1),
        EXIT,
        insn(0x18, 1, 4, 0, 5),
        insn(0, 0, 0, 0, 0),
        insn(0x8d, 1, 0, 0, 0),
        insn(0x18, 2, 4, 0, 5),
        insn(0, 0, 0, 0, 0),
        insn(0x0d, 2, 0, 0, 0),
        insn(0xb7, 0, 0, 0, 40),
        EXIT,
        EXIT,
        insn(0x07, 0, 0, 0, 2),
        EXIT,
    ];
    assert_eq!(run(&words), 42);
}

#[test]
fn may_goto_goes_on_eight_mebi_times() {
    // loop: may_goto end; r0 += 1; goto loop; end: exit
    let words = [insn(0xe5, 0, 0, 2, 0), insn(0x07, 0, 0, 0, 1), insn(0x05, 0, 0, -3, 0), EXIT];
    assert_eq!(run(&words), 8 << 20);
}

#[test]
fn what_cannot_run_is_refused_by_place() {
    let refuse = |words: &[Insn]| VmBuilder::new().build_raw(words, Endian::Little).unwrap_err().to_string();
    assert_eq!(
        refuse(&[insn(0x05, 0, 0, 1, 0), EXIT]),
        "instruction 0: it jumps 1 words on, where no instruction of this code begins"
    );
    assert_eq!(
        refuse(&[insn(0x05, 0, 0, 1, 0), insn(0x18, 1, 0, 0, 0), insn(0, 0, 0, 0, 0), EXIT]),
        "instruction 0: it jumps 1 words on, where no instruction of this code begins"
    );
    assert!(refuse(&[insn(0xff, 0, 0, 0, 0)]).starts_with("instruction 0: instruction 0 (opcode 0xff): "));
    assert!(refuse(&[insn(0x18, 1, 1, 0, 3), insn(0, 0, 0, 0, 0), EXIT]).contains("link the program first"));
    assert!(refuse(&[insn(0x06, 0, 0, 0, i32::MAX)]).contains("jumps 2147483647 words"));
}

#[test]
fn code_that_does_not_end_is_a_fault() {
    let vm = VmBuilder::new().build_raw(&[insn(0xb7, 0, 0, 0, 1)], Endian::Little).unwrap();
    let fault = vm.run(&vm.programs()[0], &mut NoContext).unwrap_err();
    assert_eq!((fault.kind(), fault.place().unwrap().index), (&FaultKind::End, 1));
    assert!(insn::words(&[0; 7], Endian::Little).is_none());
}
