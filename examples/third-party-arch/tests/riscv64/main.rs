//! A program of several C objects for RISC-V, linked by jitlink with an architecture that jitlink does not have.
//!
//! The objects are committed, so that no cross compiler is needed; with one, they are compiled anew too. Every byte is compared
//! with what that compiler's own linker makes of the same objects at the same addresses, and the program is run under an
//! emulator.

mod elf;
mod known;
mod support;

use jitlink::core::arch::StubKind;
use jitlink::core::graph::Protection;
use jitlink::{Addr, Registry};
use std::collections::HashSet;
use support::{Program, compile_all, fixture, tool};

/// Lower than 2 GiB, where code that is not position-independent reaches everything.
const BASE: Addr = Addr(0x10_0000);
/// Where no call instruction of the program reaches.
const FAR: Addr = Addr(0x8_0000_0000);

const NEAR_OBJECTS: [&str; 4] = ["start", "main", "text", "work"];

const OUTPUT: &str = "machine: 400 -4 \nsorted: -88 3000000000 3000000000 -88 \n\
    checksum: decimal 3421780262 hexadecimal 0xcbf43926\nfar: 42 \n";

fn committed(names: &[&'static str]) -> Vec<(&'static str, Vec<u8>)> {
    names.iter().map(|&name| (name, fixture(name))).collect()
}

/// The program, with `far_away` linked by itself at [`FAR`].
fn far_apart(objects: &[(&'static str, Vec<u8>)]) -> (Program, Program) {
    let (far, near): (Vec<_>, Vec<_>) = objects.iter().cloned().partition(|(name, _)| *name == "far");
    let far = Program::link(FAR, &far, &[]);
    let near = Program::link(BASE, &near, &[("far_away", far.symbol("far_away"))]);
    (near, far)
}

fn all_objects() -> Vec<(&'static str, Vec<u8>)> {
    committed(&[&NEAR_OBJECTS[..], &["far"]].concat())
}

#[test]
fn the_registry_has_it_beside_the_others() {
    let registry = Registry::global().expect("no duplicates");
    assert!(registry.archs().iter().any(|arch| arch.info().name() == "riscv64"), "{registry:?}");
    assert!(registry.tables().iter().any(|table| (table.format(), table.machine()) == ("elf", 243)), "{registry:?}");
}

#[test]
fn rows_are_sound() {
    jitlink::core::testing::check_table(&jitlink_arch_riscv64::ELF_RISCV64);
}

#[test]
fn data_refers_to_code_and_to_itself() {
    let program = Program::link(BASE, &all_objects(), &[]);
    let word = |name: &str| program.word(program.symbol(name));
    assert_eq!(word("cell"), program.symbol("cell").0 + 8);
    // struct unit { name, put }, twice.
    let units = program.symbol("units");
    assert_eq!(program.word(units + 8), program.symbol("put_decimal").0);
    assert_eq!(program.word(units + 24), program.symbol("put_hexadecimal").0);
    assert_eq!(program.bytes(Addr(program.word(units)), 8), b"decimal\0");
    // Differences, in all widths.
    let between = program.symbol("elsewhere").0.wrapping_sub(program.symbol("forms").0);
    let distances = program.symbol("distances");
    assert_eq!(program.word(distances), between);
    let rest = program.bytes(distances + 8, 7);
    assert_eq!(rest[..4], (between as u32).wrapping_sub(4).to_le_bytes());
    assert_eq!(rest[4..6], (between as u16).to_le_bytes());
    assert_eq!(rest[6], program.symbol("cell").0.wrapping_sub(distances.0) as u8);
}

#[test]
fn both_halves_find_the_same_place() {
    let program = Program::link(BASE, &all_objects(), &[]);
    assert!(program.got_loads.len() >= 3, "{:?}", program.got_loads);
    let slots: Vec<Addr> = program.map().objects.iter().flat_map(|object| &object.got).map(|got| got.1).collect();
    for (upper, lower) in &program.got_loads {
        let slot = elf::pc_relative(&program.segments, *upper, *lower);
        assert!(slots.contains(&slot), "{upper} and {lower} load from {slot}, which is no slot of {slots:?}");
    }
}

#[test]
fn a_far_call_goes_through_a_stub() {
    let (near, far) = far_apart(&all_objects());
    let target = far.symbol("far_away");
    assert!(target >= FAR);
    let stubs: Vec<_> = near.map().objects.iter().flat_map(|object| object.stubs.clone()).collect();
    let [(name, stub, StubKind::Plt)] = &stubs[..] else { panic!("one stub is expected: {stubs:?}") };
    assert_eq!(name, "far_away");
    let slot = elf::pc_relative(&near.segments, *stub, *stub + 4);
    assert_eq!(near.word(slot), target.0);
    let code = near.bytes(*stub, 16);
    // What the assembler makes of `auipc t3, …; ld t3, …(t3); jr t3`, without the immediates.
    assert_eq!(u32::from_le_bytes(code[..4].try_into().unwrap()) & 0xfff, 0xe17);
    assert_eq!(u32::from_le_bytes(code[4..8].try_into().unwrap()) & 0xf_ffff, 0xe_3e03);
    assert_eq!(code[8..12], 0x000e_0067_u32.to_le_bytes());
}

#[test]
fn what_cannot_work_is_an_error_that_names_it() {
    // Only relocations of calls may go through a stub; a branch to somewhere far cannot.
    let errors = Program::try_link(BASE, &committed(&["start"]), &[("main", FAR), ("far_away", FAR)]).err();
    assert_eq!(errors, None, "a call to main goes through a stub");
    let errors =
        Program::try_link(BASE, &committed(&["main", "work", "text", "far"]), &[]).expect_err("undefined names");
    assert!(errors.contains("write_out"), "{errors}");
    // A lower half whose label is elsewhere: its symbol's value is moved in the object.
    let mut object = fixture("far");
    let at = support::relocation_symbol(&object, 24).expect("far.o has a pair");
    object[at] ^= 2;
    let errors = Program::try_link(BASE, &[("far", object)], &[]).expect_err("half a pair");
    assert!(errors.contains("is not the label of an upper half") && errors.contains("R_RISCV_PCREL_LO12"), "{errors}");
}

#[test]
fn every_byte_is_that_of_the_compilers_own_linker() {
    let Some(ld) = tool("riscv64-linux-gnu-ld", "gcc-riscv64-linux-gnu") else { return };
    compare(&ld, &all_objects());
    let Some(gcc) = tool("riscv64-linux-gnu-gcc", "gcc-riscv64-linux-gnu") else { return };
    compare(&ld, &compile_all(&gcc, &all_objects()));
}

fn compare(ld: &str, objects: &[(&'static str, Vec<u8>)]) {
    let ours = Program::link(BASE, objects, &[]);
    let theirs = support::link_with(ld, objects, ours.map());
    let mut compared = 0;
    // A GOT has its slots in the order of its linker: what is loaded from them is compared below.
    let words = ours.got_loads.iter().flat_map(|(upper, lower)| [*upper, *lower]);
    let got_bytes: HashSet<u64> = words.flat_map(|word| word.0..word.0 + 4).collect();
    for object in ours.map().objects.iter().filter(|object| support::is_input(object)) {
        for section in object.sections.iter().filter(|section| support::is_compared(section)) {
            let size = section.size as usize;
            let (our, their) = (ours.bytes(section.address, size), elf::bytes(&theirs, section.address, size));
            for (at, (our, their)) in our.iter().zip(&their).enumerate() {
                let is_same = our == their || got_bytes.contains(&(section.address.0 + at as u64));
                assert!(is_same, "{} {}+{at:#x}: {our:#x}, ld {their:#x}", object.name, section.name);
            }
            compared += size;
        }
    }
    assert!(compared > 2500, "only {compared} bytes were compared");
    for (upper, lower) in &ours.got_loads {
        let (our_slot, their_slot) =
            (elf::pc_relative(&ours.segments, *upper, *lower), elf::pc_relative(&theirs, *upper, *lower));
        assert_eq!(ours.bytes(our_slot, 8), elf::bytes(&theirs, their_slot, 8), "loaded at {upper}");
    }
    println!("{compared} bytes are those of ld, {} loads from the GOT load the same", ours.got_loads.len());
}

#[test]
fn it_runs() {
    let Some(qemu) = tool("qemu-riscv64", "qemu-user") else { return };
    let (near, far) = far_apart(&all_objects());
    let segments: Vec<_> = near.segments.iter().chain(&far.segments).cloned().collect();
    assert!(segments.iter().any(|segment| segment.protection == Protection::ReadExecute));
    let (status, output) = support::run(&qemu, &elf::executable(&segments, near.symbol("_start")));
    assert_eq!((status, output.as_str()), (Some(0), OUTPUT));
}
