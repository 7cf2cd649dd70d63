//! What is no program, or not one program.

use crate::compilers::compile;
use crate::kit::{check_references, fixture, fixtures, inputs, link, references, registry};
use jitlink_core::link::{LinkOptions, relocatable};
use proptest::prelude::*;

#[test]
fn a_map_declared_in_two_ways_shows_both() {
    let error = link(&fixtures(&["shared_b", "other_map"])).unwrap_err().to_string();
    for part in ["table", "4 entries", "5 entries", "shared_b", "other_map"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
}

#[test]
fn a_variable_declared_in_two_ways_shows_both() {
    for objects in [["shared_b", "other_type"], ["other_type", "shared_b"]] {
        let error = link(&fixtures(&objects)).unwrap_err().to_string();
        let license = error.contains("section license is") && error.contains("Proprietary");
        let variable = ["limit", "int", "char", "shared_b", "other_type"].iter().all(|part| error.contains(part));
        assert!(license || variable, "{error}");
        let error = relocatable(&registry(), &inputs(&fixtures(&objects)), &LinkOptions::default()).unwrap_err();
        assert!(error.to_string().contains("GPL") && error.to_string().contains("Proprietary"), "{error}");
    }
}

#[test]
fn types_are_no_memory_of_the_program() {
    for name in [".BTF", ".BTF.ext"] {
        let source = format!(
            ".section xdp,\"ax\",@progbits\n.globl prog\n.type prog,@function\nprog:\n r0 = 1\n exit\n\
             .section {name},\"aw\",@progbits\n.globl table\n.type table,@object\ntable: .quad prog\n"
        );
        let Some(object) = compile("clang-22", &["--target=bpf"], "s", &source) else { return };
        let message = format!("a.o: section {name} is memory of the program");
        let error = link(&[("a.o", object.clone())]).unwrap_err().to_string();
        assert!(error.contains(&message), "{error}");
        let error = relocatable(&registry(), &inputs(&[("a.o", object)]), &LinkOptions::default()).unwrap_err();
        assert!(error.to_string().contains(&message), "{error}");
    }
}

/// An object with another machine number.
fn with_machine(name: &str, machine: u16) -> Vec<u8> {
    let mut bytes = fixture(name);
    bytes[18..20].copy_from_slice(&machine.to_le_bytes());
    bytes
}

#[test]
fn objects_without_a_machine_are_told_by_their_code() {
    let image = link(&[("old", with_machine("legacy", 0))]).unwrap();
    check_references(&image);
    assert_eq!(references(&image, "classify").len(), 3);
    // Beside one that says what it is.
    link(&[("old", with_machine("legacy", 0)), ("new", fixture("shared_b"))]).unwrap_err();
    link(&[("new", fixture("maps")), ("old", with_machine("one", 0))]).unwrap();
    // One byte of code that is none.
    let mut bytes = with_machine("legacy", 0);
    let at = bytes.windows(4).position(|word| word == [0x27, 0, 0, 0]).unwrap();
    bytes[at] = 0xff;
    let error = link(&[("old", bytes)]).unwrap_err().to_string();
    assert!(error.contains("e_machine 0") && error.contains("classifier+0x8"), "{error}");
}

#[test]
fn data_relocations_of_old_compilers_are_pointers() {
    // LLVM 12 wrote number 1 for pointers in data too.
    let mut bytes = fixture("maps");
    let entry = |offset: u64| move |word: &[u8]| word[..8] == offset.to_le_bytes() && word[8..12] == 2u32.to_le_bytes();
    let mut changed = 0;
    for offset in [0x68, 0x80, 0xa8] {
        let at = bytes.windows(16).position(entry(offset)).unwrap();
        bytes[at + 8] = 1;
        changed += 1;
    }
    assert_eq!(changed, 3);
    let (old, new) = (link(&[("old", bytes)]).unwrap(), link(&fixtures(&["maps"])).unwrap());
    let elements =
        |image: &jitlink_arch_bpf::image::BpfImage| image.maps.iter().map(|map| map.elements.len()).collect::<Vec<_>>();
    assert_eq!(elements(&old), elements(&new));
}

const ALL: [&str; 5] = ["one", "legacy", "shared_b", "kernel", "maps"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn changed_objects_are_linked_or_refused(
        which in 0..ALL.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        end in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = fixture(ALL[which]);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len() + 1));
        }
        let objects = [("changed", bytes)];
        if let Ok(image) = link(&objects) {
            prop_assert!(image.functions.iter().all(|function| function.size % 8 == 0));
        }
        let _ = relocatable(&registry(), &inputs(&objects), &LinkOptions::default());
    }
}
