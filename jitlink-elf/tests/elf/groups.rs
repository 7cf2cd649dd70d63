//! Section groups.

use crate::builder::*;
use crate::toy::{error, ok};
use jitlink_core::graph::Selection;

#[test]
fn groups_name_their_members() {
    for shape in SHAPES {
        let mut object = Elf::new(shape);
        // As assemblers write it: the group before its members, relocations among them.
        object.group(1, 1, &[2, 3, 5]);
        let text = object.add(Sec::new(".text.f", PROGBITS, A | X | IN_GROUP, [0xc3; 4]));
        object.relocations(RELA, text, &[]);
        object.sections[2].flags = IN_GROUP;
        object.add(Sec::new(".text", PROGBITS, A | X, [0xc3]));
        object.add(Sec::new(".rodata.f", PROGBITS, A | IN_GROUP, [1]));
        object.group(0, 2, &[7]);
        object.add(Sec::new("alone", PROGBITS, A | IN_GROUP, [1]));
        object.symbol(Sym::new("f", 2, 2, text, 0));
        object.symbol(Sym::global("g", 4, 0));
        let graph = ok(&object);
        let groups: Vec<_> = graph.groups().map(|(_, group)| (group.name.bytes(), group.selection)).collect();
        assert_eq!(groups, [(b"f".as_slice(), Selection::Any), (b"g".as_slice(), Selection::All)], "{shape:?}");
        let members: Vec<_> = graph.sections().map(|(_, section)| section.group.map(|group| group.index())).collect();
        assert_eq!(members, [Some(0), None, Some(0), Some(1)]);
    }
}

#[test]
fn a_section_symbol_without_name_gives_that_of_its_section() {
    let mut object = Elf::new(LITTLE64);
    object.group(1, 1, &[2]);
    object.add(Sec::new(".text.f", PROGBITS, A | X | IN_GROUP, [0xc3]));
    object.symbol(Sym::section(2));
    assert_eq!(ok(&object).groups().next().unwrap().1.name.bytes(), b".text.f");
}

#[test]
fn sections_that_predate_groups_are_copies_by_name() {
    let mut object = Elf::new(LITTLE64);
    object.add(Sec::new(".gnu.linkonce.t.f", PROGBITS, A | X, [0xc3]));
    object.add(Sec::new(".text", PROGBITS, A | X, [0xc3]));
    let graph = ok(&object);
    let (id, group) = graph.groups().next().unwrap();
    assert_eq!((group.name.bytes(), group.selection), (b".gnu.linkonce.t.f".as_slice(), Selection::Any));
    let members: Vec<_> = graph.sections().map(|(_, section)| section.group).collect();
    assert_eq!(members, [Some(id), None]);
}

#[test]
fn broken_groups_are_errors_with_their_place() {
    let check = |build: &dyn Fn(&mut Elf), message: &str| {
        let mut object = Elf::new(LITTLE64);
        object.add(Sec::new(".text.f", PROGBITS, A | X, [0xc3]));
        object.symbol(Sym::global("f", 1, 0));
        build(&mut object);
        assert!(error(&object).contains(message), "{}", error(&object));
    };
    check(&|object| _ = object.group(1, 1, &[1, 99]), ".group+0x8: malformed: the group's member is section 99");
    check(&|object| _ = object.group(1, 1, &[0]), ".group+0x4: malformed: the group's member is section 0");
    check(&|object| _ = object.group(1, 1, &[1, 1]), "the group's member .text.f is in a group already");
    check(&|object| _ = object.group(1, 9, &[1]), "the group's signature is symbol 9 of section 3");
    check(&|object| _ = object.group(1, 0, &[1]), "the group's signature is symbol 0 of section 3");
    check(&|object| _ = object.group(2, 1, &[1]), "the group's flags are 0x2");
    check(&|object| _ = object.add(Sec::new(".group", GROUP, 0, []).info(1)), "the group has no flags");
    check(&|object| _ = object.add(Sec::new(".group", GROUP, 0, [1, 0]).info(1)), "no multiple of its entries' 0x4");
    check(&|object| object.sections[0].flags |= IN_GROUP, ".text.f+0x0: malformed: it is marked as member of a group");
}
