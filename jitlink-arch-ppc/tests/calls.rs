//! How calls are made between all kinds of callers and callees, instruction by instruction. `fixtures/calls.s` has one of each.

#[path = "support/mod.rs"]
mod support;

use jitlink_core::graph::Scope;
use jitlink_core::image::ImageExecutor;
use jitlink_core::link::Roots;
use jitlink_core::link::{LinkOptions, NoSymbols, link};
use jitlink_core::{Addr, Input};
use support::{BASE, LINKER, Program, fixture, registry};

/// Further from the batch than any instruction reaches.
const ELSEWHERE: Addr = Addr(0x7fff_1234_5678);
const RESTORE: u32 = 0xe841_0018; // ld r2, 24(r1)
const SAVE: u32 = 0xf841_0018; // std r2, 24(r1)
const NOP: u32 = 0x6000_0000;
const MTCTR_R12: u32 = 0x7d89_03a6;
const BCTR: u32 = 0x4e80_0420;

fn program(name: &str) -> Program {
    Program::link(BASE, &[fixture(name)], &[("elsewhere", ELSEWHERE)], Roots::Exported).unwrap()
}

/// Where the `bl` or `b` at an address goes.
fn branch(program: &Program, at: Addr) -> Addr {
    let word = program.word(at);
    assert_eq!(word >> 26, 18, "{word:#x} at {at} is no branch");
    let distance = ((word & 0x03ff_fffc) << 6) as i32 >> 6;
    Addr(at.0.wrapping_add_signed(i64::from(distance)))
}

/// The address that the prefixed instruction at `at` computes, of the given prefix and suffix.
fn prefixed(program: &Program, at: Addr, prefix: u32, suffix: u32) -> Addr {
    let (first, second) = (program.word(at), program.word(at + 4));
    assert_eq!((first & !0x3_ffff, second & !0xffff), (prefix, suffix), "at {at}");
    let distance = (i64::from(first & 0x3_ffff) << 46 >> 46) << 16 | i64::from(second & 0xffff);
    Addr(at.0.wrapping_add_signed(distance))
}

/// The upper and lower immediates of two instructions, together.
fn pair(program: &Program, upper: Addr, lower: Addr, lower_mask: u32) -> i64 {
    let immediate = |word: u32| i64::from(word as u16 as i16);
    (immediate(program.word(upper)) << 16) + immediate(program.word(lower) & lower_mask)
}

/// The TOC base as `with_toc` computes it.
fn toc(program: &Program) -> Addr {
    let start = program.symbol("with_toc");
    Addr(start.0.wrapping_add_signed(pair(program, start, start + 4, !0)))
}

#[test]
fn a_caller_with_a_toc_enters_behind_its_computation_and_keeps_the_nop() {
    let program = program("calls");
    let start = program.symbol("with_toc");
    assert_eq!(branch(&program, start + 8), start + 8);
    assert_eq!(branch(&program, start + 16), program.symbol("keeps"));
    assert_eq!([program.word(start + 12), program.word(start + 20)], [NOP, NOP]);
}

#[test]
fn the_toc_base_is_saved_for_a_callee_that_changes_it() {
    let program = program("calls");
    let start = program.symbol("with_toc");
    let stub = branch(&program, start + 24);
    assert_eq!(program.word(start + 28), RESTORE);
    assert_eq!(program.word(stub), SAVE);
    assert_eq!(branch(&program, stub + 4), program.symbol("changes"));
}

#[test]
fn a_call_out_of_the_batch_goes_through_a_slot_found_from_the_toc() {
    let program = program("calls");
    let start = program.symbol("with_toc");
    let stub = branch(&program, start + 32);
    assert_eq!(branch(&program, start + 40), stub, "calls to one function share a stub");
    assert_eq!([program.word(start + 36), program.word(start + 44)], [RESTORE, RESTORE]);
    let words = [0, 16, 12].map(|offset| program.word(stub + offset));
    assert_eq!(words, [SAVE, BCTR, MTCTR_R12]);
    let [addis, ld] = [4, 8].map(|offset| program.word(stub + offset) & !0xffff);
    assert_eq!([addis, ld], [0x3d82_0000, 0xe98c_0000]); // addis r12, r2; ld r12, (r12)
    let slot = toc(&program).0.wrapping_add_signed(pair(&program, stub + 4, stub + 8, !3));
    assert_eq!(program.pointer(Addr(slot)), ELSEWHERE.0);
    assert_eq!(program.word(stub + 8) & 3, 0, "the two low bits are ld's");
}

#[test]
fn a_caller_without_a_toc_needs_stubs_for_all_who_have_one_and_no_load() {
    let program = program("calls");
    let start = program.symbol("changes");
    let enter = branch(&program, start);
    assert_eq!(prefixed(&program, enter, 0x0610_0000, 0x3980_0000), program.symbol("with_toc")); // pla r12
    assert_eq!([8, 12].map(|offset| program.word(enter + offset)), [MTCTR_R12, BCTR]);
    assert_eq!(branch(&program, start + 4), program.symbol("keeps"));
    assert_eq!(branch(&program, start + 8), start);
    let outside = branch(&program, start + 12);
    let slot = prefixed(&program, outside, 0x0410_0000, 0xe580_0000); // pld r12
    assert_eq!(program.pointer(slot), ELSEWHERE.0);
    assert_eq!([8, 12].map(|offset| program.word(outside + offset)), [MTCTR_R12, BCTR]);
    // No prefixed instruction may lie across 64 bytes.
    assert_eq!([enter.0 % 16, outside.0 % 16], [0, 0]);
}

#[test]
fn a_near_address_is_computed_and_a_far_one_loaded() {
    let program = program("calls");
    let start = program.symbol("changes");
    assert_eq!(prefixed(&program, start + 16, 0x0610_0000, 0x3860_0000), program.symbol("variable")); // pla r3
    let slot = prefixed(&program, start + 24, 0x0410_0000, 0xe480_0000); // pld r4
    assert_eq!(program.pointer(slot), ELSEWHERE.0);
}

#[test]
fn pointers_mean_the_global_entry_unless_they_ask_for_the_local_one() {
    let program = program("calls");
    let (variable, start) = (program.symbol("variable"), program.symbol("with_toc"));
    assert_eq!(program.pointer(variable), start.0);
    assert_eq!(program.pointer(variable + 8), start.0 + 8);
}

#[test]
fn routines_that_save_registers_are_provided() {
    let program = program("calls");
    let routine = branch(&program, program.symbol("with_toc") + 48);
    let words: Vec<u32> = (0..5).map(|index| program.word(routine + 4 * index)).collect();
    // std r29, -24(r1); std r30, -16(r1); std r31, -8(r1); std r0, 16(r1); blr
    assert_eq!(words, [0xfba1_ffe8, 0xfbc1_fff0, 0xfbe1_fff8, 0xf801_0010, 0x4e80_0020]);
}

#[test]
fn a_jump_that_would_lose_the_toc_base_is_refused_by_place() {
    let outside = [("elsewhere", ELSEWHERE)];
    let errors =
        Program::link(BASE, &[fixture("tail")], &outside, Roots::Exported).err().expect("no stub can serve it");
    assert!(errors.contains("tail.o: .text+0x0: R_PPC64_REL24 against elsewhere"), "{errors}");
    assert!(errors.contains("TOC base is lost"), "{errors}");
}

#[test]
fn the_objects_own_toc_lies_with_the_linkers() {
    let program = program("short");
    let (start, word) = (program.symbol("loads"), program.symbol("word"));
    // What `.TOC.@tocbase` stores is the base that the distances are from.
    let base = program.pointer(word);
    let entry = base.wrapping_add_signed(i64::from((program.word(start) & 0xfffc) as u16 as i16));
    assert_eq!(program.pointer(Addr(entry)), word.0);
    assert_eq!(base.wrapping_add_signed(pair(&program, start + 4, start + 8, !0)), word.0);
}

#[test]
fn conditional_branches_become_branches_with_a_longer_reach() {
    let program = program("branches");
    let start = program.symbol("decides");
    let [same, entered] = ["same", "entered"].map(|name| program.symbol(name));
    for (at, decides, target) in [(4, 0x4182_0008, same), (8, 0x41e0_0008, entered + 8)] {
        let out = branch(&program, start + at);
        // beq .+8, and blt+ .+8, as the relocation says that this branch is taken.
        assert_eq!(program.word(out), decides);
        assert_eq!(branch(&program, out + 4), start + at + 4);
        assert_eq!(branch(&program, out + 8), target);
        assert!(target.0 - start.0 > 0x8000);
    }
}

#[test]
fn functions_that_could_be_replaced_are_refused() {
    let (name, bytes) = fixture("branches");
    let options = LinkOptions { updatable: true, ..LinkOptions::default() };
    let executor = ImageExecutor::new(Default::default()).unwrap();
    let linked = link(&registry(), &executor, &[Input::from_bytes(name, bytes)], &NoSymbols, &options);
    let errors = linked.err().expect("no stub serves every caller").to_string();
    assert!(errors.contains("ppc64le") && errors.contains("stub"), "{errors}");
}

/// The call goes to a stub that enters the trampoline's descriptor, whose TOC base is the slot; that leads to a descriptor for the binder.
#[test]
fn indirect_functions_of_the_older_abi_are_descriptors_with_their_slot() {
    let program = Program::link(BASE, &[fixture("chosen")], &[], Roots::Exported).unwrap();
    let word = |at: Addr| program.word(at).swap_bytes();
    let pointer = |at: Addr| Addr(program.pointer(at).swap_bytes());
    let descriptor = program.symbol("chosen");
    assert_eq!(pointer(descriptor), descriptor + 24);
    assert_eq!(word(descriptor + 24), 0xe962_0000, "ld r11, 0(r2)");
    let slot = pointer(descriptor + 8);
    let lazy = pointer(slot);
    assert_eq!(pointer(lazy + 8), slot);
    let binder = pointer(lazy);
    assert_eq!(word(binder), 0x7c08_02a6, "mflr r0");
    assert!((0..256).step_by(8).any(|at| pointer(binder + 256 + at) == LINKER));

    let main = pointer(program.symbol("main"));
    let call = main + 16;
    assert_eq!(word(call + 4), 0xe841_0028, "ld r2, 40(r1)");
    let stub = Addr(call.0.wrapping_add_signed(i64::from(((word(call) & 0x03ff_fffc) << 6) as i32 >> 6)));
    assert_eq!([word(stub), word(stub + 12)], [0xf841_0028, 0xe98b_0000], "std r2, 40(r1) and ld r12, 0(r11)");
    let distance = (i64::from(word(stub + 4) as u16 as i16) << 16) + i64::from(word(stub + 8) as u16 as i16);
    let toc = pointer(program.symbol("main") + 8);
    assert_eq!(pointer(Addr(toc.0.wrapping_add_signed(distance))), descriptor);
}

#[test]
fn code_of_the_older_abi_has_the_names_of_its_functions() {
    let program = Program::link(BASE, &[fixture("described")], &[], Roots::Exported).unwrap();
    let symbols = &program.map.objects[0].symbols;
    let of = |name: &str| symbols.iter().filter(|symbol| symbol.name == name).collect::<Vec<_>>();
    let [first, second] = of("second")[..] else { panic!("{symbols:?}") };
    let (descriptor, code) = if first.scope == Scope::Local { (second, first) } else { (first, second) };
    assert_eq!(code.scope, Scope::Local);
    // The descriptor's first word is where the code is; the code's first instruction is li r3, 2.
    let words = [descriptor.address, descriptor.address + 4].map(|at| u64::from(program.word(at).swap_bytes()));
    assert_eq!(Addr(words[0] << 32 | words[1]), code.address);
    assert_eq!(program.word(code.address).swap_bytes(), 0x3860_0002);
}
