//! Committed objects of compilers.

use crate::kit::{check_references, fixtures, function, link, link_only, link_with, memory, references, words};
use jitlink_arch_bpf::btf::{Kind, TypeId};
use jitlink_arch_bpf::core_relo::Target;
use jitlink_arch_bpf::image::{BpfImage, ExternKind, MapDefinition};
use jitlink_arch_bpf::link::{BpfOptions, Kconfig};
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

#[test]
fn two_halves_become_one_program() {
    let image = link(&fixtures(&["shared_a", "shared_b"])).unwrap();
    check_references(&image);
    assert_eq!(image.maps.len(), 1, "{:?}", image.maps);
    // The weak definition gave way, and is gone.
    let replaced: Vec<_> = image.functions.iter().filter(|function| function.name == "replaced").collect();
    assert_eq!(replaced.len(), 1);
    assert!(!function(&image, "hidden_helper").global);
    let ingress = function(&image, "ingress");
    assert_eq!((ingress.section.as_str(), ingress.entry), ("?tc", true));
    let of_ingress: Vec<String> = references(&image, "ingress").into_iter().map(|(_, target)| target).collect();
    let expected = ["map table", ".data+0", "replaced", ".data.counts+0", ".rodata.names+0", "hidden_helper", "step"];
    for target in expected {
        assert!(of_ingress.iter().any(|found| found == target), "{target} is not in {of_ingress:?}");
    }
    // Sections of one name lie together, whatever object they are from.
    let counts: Vec<_> = image.data.iter().filter(|block| block.section == ".data.counts").collect();
    assert_eq!(counts.iter().map(|block| block.size).collect::<Vec<_>>(), [12, 8]);
    assert_eq!(counts[1].address.0 - counts[0].address.0, 16);
    // Types are merged: one struct, and lists of sections that say where variables are.
    let btf = &image.types.btf;
    let structs = btf.types().filter(|ty| ty.name() == "shared" && ty.kind() == Kind::Struct).count();
    assert_eq!(structs, 1);
    let list = btf.find_by_name_kind(".data.counts", Kind::Datasec).unwrap();
    let vars: Vec<(&str, u32, u32)> =
        list.section_vars().map(|var| (btf.ty(var.ty).unwrap().name(), var.offset, var.size)).collect();
    assert_eq!(vars, [("counts", 0, 12), ("more_counts", 16, 8)]);
    assert_eq!(list.size(), Some(24));
}

#[test]
fn functions_and_lines_are_those_of_the_addresses() {
    let image = link(&fixtures(&["shared_a", "shared_b"])).unwrap();
    let btf = &image.types.btf;
    for function in &image.functions {
        let at = image.types.functions.binary_search_by_key(&function.address, |(address, _)| *address);
        let ty = btf.ty(image.types.functions[at.unwrap()].1).unwrap();
        assert_eq!((ty.kind(), ty.name()), (Kind::Func, function.name.as_str()));
        let line = image.line_at(function.address).unwrap();
        let text = String::from_utf8_lossy(line.text);
        assert!(text.contains(&function.name), "{}: {line:?}", function.name);
    }
    assert_eq!(image.types.functions.len(), image.functions.len());
    let egress = image.line_at(function(&image, "egress").address).unwrap();
    assert_eq!(egress.file, "./shared_b.c");
}

#[test]
fn names_of_the_kernel_need_no_definition() {
    let kconfig = Kconfig::parse(
        "# CONFIG_COMMENT is not set\nCONFIG_HZ=250\nCONFIG_BPF=y\nCONFIG_TUN=m\nCONFIG_HOSTNAME=\"(none) and more\"\n",
    )
    .with_version(6, 12, 5);
    let options = BpfOptions { kconfig };
    let image = link_with(&fixtures(&["kernel"]), &options).unwrap();
    check_references(&image);
    let names: Vec<(&str, ExternKind, bool)> =
        image.externs.iter().map(|name| (name.name.as_str(), name.kind, name.weak)).collect();
    for expected in [
        ("typed_variable", ExternKind::Variable, false),
        ("untyped", ExternKind::Variable, false),
        ("kernel_function", ExternKind::Function, false),
        ("weak_function", ExternKind::Function, true),
        ("CONFIG_ABSENT", ExternKind::Config, true),
    ] {
        assert!(names.contains(&expected), "{expected:?} is not in {names:?}");
    }
    let value = |name: &str, size: u64| {
        let name = image.externs.iter().find(|found| found.name == name).unwrap();
        assert_eq!(image.types.btf.ty(TypeId(name.type_id)).unwrap().name(), name.name);
        memory(&image, name.address.unwrap(), size).to_vec()
    };
    assert_eq!(value("LINUX_KERNEL_VERSION", 4), [5, 12, 6, 0]);
    assert_eq!(value("CONFIG_HZ", 4), [250, 0, 0, 0]);
    assert_eq!(value("CONFIG_BPF", 1), [1]);
    assert_eq!(value("CONFIG_TUN", 4), [2, 0, 0, 0]);
    assert_eq!(value("CONFIG_HOSTNAME", 8), *b"(none) \0");
    assert_eq!(value("CONFIG_ABSENT", 8), [0; 8]);
    let used: Vec<String> = references(&image, "names").into_iter().map(|(_, target)| target).collect();
    assert!(used.iter().any(|target| target == "extern kernel_function"), "{used:?}");
    assert!(used.iter().any(|target| target == "extern untyped"), "{used:?}");
}

#[test]
fn a_value_that_nothing_says_is_an_error() {
    let error = link(&fixtures(&["kernel"])).unwrap_err().to_string();
    assert!(error.contains("kernel needs the value of") && error.contains("configuration"), "{error}");
}

#[test]
fn maps_are_what_their_types_say() {
    let image = link(&fixtures(&["maps"])).unwrap();
    check_references(&image);
    let map = |name: &str| image.maps.iter().find(|map| map.name == name).unwrap();
    let pinned = map("pinned");
    assert_eq!((pinned.kind, pinned.key_size, pinned.value_size, pinned.max_entries), (1, 4, 32, 100));
    assert_eq!((pinned.flags, pinned.pin_by_name), (1, true));
    let name_of = |ty: u32| image.types.btf.ty(TypeId(ty)).unwrap().name().to_string();
    assert_eq!((name_of(pinned.types.0), name_of(pinned.types.1)), ("key_type".into(), "value".into()));
    assert_eq!((map("arena").kind, map("arena").flags, map("arena").extra), (33, 1 << 10, 1 << 44));
    let outer = map("outer");
    assert_eq!((outer.kind, outer.key_size, outer.value_size), (12, 4, 4));
    assert_eq!(outer.elements, [(2, map("inner_two").address), (5, map("inner_one").address)]);
    let inner = outer.inner.as_ref().unwrap();
    assert_eq!((inner.kind, inner.key_size, inner.value_size, inner.max_entries), (2, 4, 4, 1));
    assert_eq!(map("programs").elements, [(1, function(&image, "target").address)]);
    let arena = image.data.iter().find(|block| block.section == ".addr_space.1").unwrap();
    assert_eq!(memory(&image, arena.address, 4), [9, 0, 0, 0]);
    assert!(references(&image, "source").iter().any(|(_, target)| target == ".addr_space.1+0"));
}

#[test]
fn what_old_assembly_says_holds() {
    let image = link(&fixtures(&["odd", "strong"])).unwrap();
    check_references(&image);
    let of = |name: &str| {
        let function = function(&image, name);
        (function.address, function.size, function.entry)
    };
    // A program without a type, whose label is no function.
    assert_eq!(of("untyped").1, 40);
    assert!(of("untyped").2 && image.functions.iter().all(|function| function.name != "label"));
    // Two names of one place.
    assert_eq!(of("first_name"), of("second_name"));
    assert_eq!(of("first_name").1, 16);
    // Control flows over the second name, so both stay together.
    assert_eq!((of("falls").1, of("into").1), (8, 16));
    assert_eq!(of("into").0, of("falls").0 + 8);
    // By name it is the strong definition, by distance it is still the one beside the call.
    assert_eq!(references(&image, "named"), [(0, "replaced".into())]);
    assert_eq!(function(&image, "replaced").section, ".text");
    let beside = references(&image, "second_name");
    assert_eq!(beside, [(0, "old+0x38".into())]);
    assert_eq!(words(&image, function(&image, "old+0x38"))[0].imm, 7);
    let only = link_only(&fixtures(&["odd", "strong"]), &["into"]).unwrap();
    let names: Vec<&str> = only.functions.iter().map(|function| function.name.as_str()).collect();
    assert_eq!(names, ["falls", "into"]);
}

#[test]
fn members_are_where_the_machine_has_them() {
    let mut image = link(&fixtures(&["core"])).unwrap();
    let machine = link(&fixtures(&["core_target"])).unwrap().types.btf;
    let load = |image: &BpfImage, name: &str| {
        let all = words(image, function(image, name));
        all.into_iter().filter(|word| word.code & 7 == 1).map(|word| word.off).collect::<Vec<_>>()
    };
    assert_eq!((load(&image, "pid"), load(&image, "start")), (vec![4], vec![8]));
    // What was pruned needs nothing.
    assert!(image.functions.iter().all(|function| function.name != "unused"));
    assert_eq!(image.types.relocations.len(), 3);
    let outcomes = image.adjust_to(&Target::new(&machine)).unwrap();
    assert_eq!(outcomes.len(), 3);
    assert_eq!((load(&image, "pid"), load(&image, "start")), (vec![24], vec![16]));
    assert!(image.types.relocations.is_empty());
}

#[test]
fn code_of_rustc_links() {
    let image = link(&fixtures(&["rust"])).unwrap();
    check_references(&image);
    let programs: Vec<&str> = image.programs().map(|program| program.name.as_str()).collect();
    assert_eq!(programs, ["prog"]);
    assert_eq!(references(&image, "prog"), [(0, ".data.COUNT+0".into())]);
    // Sections of their own hold functions that are only called.
    assert!(!function(&image, "helper").entry && function(&image, "helper").section == ".text.helper");
    assert_eq!(image.license, "GPL");
}
