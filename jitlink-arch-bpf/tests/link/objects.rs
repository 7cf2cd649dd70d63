//! Committed objects of compilers.

use crate::kit::{check_references, fixtures, function, link, link_only, memory, references, words};
use jitlink_arch_bpf::image::MapDefinition;
use jitlink_core::graph::Protection;

#[test]
fn functions_of_one_section_are_kept_one_by_one() {
    let image = link(&fixtures(&["one"])).unwrap();
    let mut names: Vec<&str> = image.functions.iter().map(|function| function.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["add", "first", "other", "scaled", "second"]);
    let programs: Vec<&str> = image.programs().map(|function| function.name.as_str()).collect();
    assert_eq!(programs, ["first", "second"]);
    assert!(function(&image, "other").global && !function(&image, "scaled").global);
    assert_eq!(image.license, "GPL");
    check_references(&image);
    let image = link_only(&fixtures(&["one"]), &["second"]).unwrap();
    let names: Vec<&str> = image.functions.iter().map(|function| function.name.as_str()).collect();
    assert_eq!(names, ["other", "scaled", "second"]);
    assert!(image.maps.is_empty());
    check_references(&image);
}

#[test]
fn references_say_what_instructions_mean() {
    let image = link(&fixtures(&["one"])).unwrap();
    // A call that the assembler resolved, then a variable that others see.
    assert_eq!(references(&image, "other"), [(0, "scaled".into()), (1, ".data+0".into())]);
    // Statics by section and addend in place.
    assert_eq!(references(&image, "scaled"), [(0, ".data+4".into()), (6, ".bss+0".into())]);
    let first = references(&image, "first");
    let callback = first.iter().find(|(_, target)| target == "add").expect("the callback's address is taken");
    assert!(words(&image, function(&image, "first"))[callback.0 as usize].is_wide());
    assert!(first.contains(&(29, ".rodata+0".into())), "{first:?}");
    let sections: Vec<(&str, u64, Protection)> =
        image.data.iter().map(|block| (block.section.as_str(), block.size, block.protection)).collect();
    assert!(sections.contains(&(".rodata", 4, Protection::Read)), "{sections:?}");
    assert!(sections.contains(&(".bss", 32, Protection::ReadWrite)), "{sections:?}");
    let data = image.data.iter().find(|block| block.section == ".data").unwrap();
    assert_eq!(memory(&image, data.address, 8), [5, 0, 0, 0, 7, 0, 0, 0]);
}

#[test]
fn old_objects_link() {
    let image = link(&fixtures(&["legacy"])).unwrap();
    let inside = function(&image, "inside");
    assert!(!inside.entry && !inside.global);
    assert_eq!(
        references(&image, "classify"),
        [(5, "map table".into()), (13, "map jumps".into()), (19, "inside".into())]
    );
    let map = |name: &str| image.maps.iter().find(|map| map.name == name).unwrap();
    let table = map("table");
    let expected = MapDefinition {
        name: "table".into(),
        address: table.address,
        kind: 2,
        key_size: 4,
        value_size: 8,
        max_entries: 32,
        ..MapDefinition::default()
    };
    assert_eq!(*table, expected);
    assert_eq!(map("jumps").kind, 3);
    assert_eq!((image.license.as_str(), image.version), ("Dual BSD/GPL", 0x60c00));
    check_references(&image);
}
