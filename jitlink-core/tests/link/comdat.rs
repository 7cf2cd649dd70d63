//! COMDAT groups: which copy is kept, what is checked, and what becomes of references to the others.

use crate::kit::{Event::*, exported, link_err, link_ok, roots};
use jitlink_core::LinkError;

/// A group `g` of one section with a weak function `f`.
fn copy(selection: &str, content: &str) -> String {
    format!(
        "toy le64\ngroup g {selection} leader=.text.f\nsection .text.f rx group=g\nlabel f global weak\n{content}\nret\n"
    )
}

fn mismatch(first: &str, second: &str) -> String {
    let errors = link_err(&[("a.o", first), ("b.o", second)], &exported());
    assert_eq!(errors.len(), 1, "{errors}");
    let LinkError::ComdatMismatch { group, first, second, .. } = errors.first() else { panic!("{errors}") };
    assert_eq!((group.as_str(), first.as_str(), second.as_str()), ("g", "a.o", "b.o"));
    errors.to_string()
}

#[test]
fn any_copy_may_be_kept_and_the_first_is() {
    let image = link_ok(&[("a.o", &copy("any", "tag 1")), ("b.o", &copy("any", "tag 2"))], &exported());
    assert_eq!(image.run("f"), [Tag(1)]);
    assert_eq!(image.section("b.o", ".text.f"), None);
}

#[test]
fn a_second_copy_is_an_error_where_only_one_is_allowed() {
    let text = mismatch(&copy("nodup", "tag 1"), &copy("nodup", "tag 1"));
    assert!(text.contains("only one copy"), "{text}");
    mismatch(&copy("nodup", "tag 1"), &copy("any", "tag 1"));
}

#[test]
fn copies_that_must_have_one_size_are_compared_by_size() {
    let image = link_ok(&[("a.o", &copy("samesize", "tag 1")), ("b.o", &copy("samesize", "tag 2"))], &exported());
    assert_eq!(image.run("f"), [Tag(1)]);
    let text = mismatch(&copy("samesize", "tag 1"), &copy("samesize", "tag 1\ntag 2"));
    assert!(text.contains("0x8 and 0xc"), "{text}");
}

#[test]
fn copies_that_must_be_equal_are_compared_by_content() {
    link_ok(&[("a.o", &copy("exact", "tag 1")), ("b.o", &copy("exact", "tag 1"))], &exported());
    mismatch(&copy("exact", "tag 1"), &copy("exact", "tag 2"));
}

/// A group of one zero-filled section.
fn zeros(selection: &str, content: &str) -> String {
    format!("toy le64\ngroup g {selection} leader=.bss.v\nsection .bss.v rw group=g\nlabel v global weak\n{content}\n")
}

#[test]
fn zero_filled_copies_have_a_size_and_content_too() {
    mismatch(&zeros("samesize", "zero 8"), &zeros("samesize", "zero 16"));
    mismatch(&zeros("exact", "zero 8"), &zeros("exact", "zero 16"));
    link_ok(&[("a.o", &zeros("exact", "zero 4")), ("b.o", &zeros("exact", "hex 00 00 00 00"))], &exported());
    let image = link_ok(&[("a.o", &zeros("largest", "zero 8")), ("b.o", &zeros("largest", "zero 64"))], &exported());
    assert_eq!(image.section("b.o", ".bss.v").unwrap().1, 64);
    assert_eq!(image.section("a.o", ".bss.v"), None);
}

#[test]
fn the_largest_copy_is_kept_where_that_is_the_rule_and_the_first_of_equals() {
    let (short, long) = (copy("largest", "tag 1"), copy("largest", "tag 2\ntag 3"));
    for objects in [[("s.o", short.as_str()), ("l.o", &long)], [("l.o", &long), ("s.o", &short)]] {
        assert_eq!(link_ok(&objects, &exported()).run("f"), [Tag(2), Tag(3)]);
    }
    let equal = copy("largest", "tag 4\ntag 5");
    assert_eq!(link_ok(&[("l.o", &long), ("e.o", &equal), ("s.o", &short)], &exported()).run("f"), [Tag(2), Tag(3)]);
}

#[test]
fn groups_without_selection_keep_every_copy() {
    let object =
        |tag| format!("toy le64\ngroup g all\nsection .text.f rx group=g\nlabel f{tag} global\ntag {tag}\nret\n");
    let image = link_ok(&[("a.o", &object(1)), ("b.o", &object(2))], &exported());
    assert_eq!((image.run("f1"), image.run("f2")), (vec![Tag(1)], vec![Tag(2)]));
}

#[test]
fn associative_groups_share_the_fate_of_their_parents_over_any_number_of_steps() {
    let object = |byte: u32| {
        format!(
            "toy le64
group g any leader=.text.f
group child any parent=g
group grandchild any parent=child
section .text.f rx group=g
label f global weak
tag {byte}
ret
section .xdata r group=child retain
hex 0{byte}
section .more r group=grandchild retain
hex 0{byte}
"
        )
    };
    let image = link_ok(&[("a.o", &object(1)), ("b.o", &object(2))], &exported());
    for section in [".xdata", ".more"] {
        let (address, _) = image.section("a.o", section).unwrap();
        assert_eq!(image.bytes(address, 1), [1]);
        assert_eq!(image.section("b.o", section), None);
    }
}

#[test]
fn members_of_a_group_live_together() {
    let object = "
toy le64
group g any
section .text.f rx group=g
label f global
ret
section .data.f rw group=g
hex 01 02
section .text.other rx
label other global
ret
";
    let image = link_ok(&[("a.o", object)], &roots(&["f"]));
    assert!(image.section("a.o", ".data.f").is_some());
    assert!(image.section("a.o", ".text.other").is_none());
    let image = link_ok(&[("a.o", object)], &roots(&["other"]));
    assert!(image.section("a.o", ".data.f").is_none());
}

#[test]
fn references_to_names_of_a_discarded_copy_mean_the_kept_one() {
    let user = copy("any", "tag 2") + "section .text rx\nlabel main global\ncall f\nret\n";
    let image = link_ok(&[("a.o", &copy("any", "tag 1")), ("b.o", &user)], &exported());
    assert_eq!(image.run("main"), [Tag(1)]);
}

#[test]
fn a_reference_to_a_discarded_section_names_its_place_and_the_kept_copy() {
    let user = copy("any", "tag 2") + "section .text rx\nlabel main global\nlea @.text.f\nret\n";
    let errors = link_err(&[("a.o", &copy("any", "tag 1")), ("b.o", &user)], &exported());
    assert_eq!(errors.len(), 1);
    let text = "b.o: .text+0x4: REL32 against .text.f: refers to section .text.f, which was discarded because a.o has the \
                same COMDAT group";
    assert_eq!(errors.to_string(), text);
}

#[test]
fn a_reference_to_a_discarded_section_from_what_is_pruned_is_no_error() {
    let user = copy("any", "tag 2") + "section .text.dead rx\nlabel dead global\nlea @.text.f\nret\n";
    link_ok(&[("a.o", &copy("any", "tag 1")), ("b.o", &user)], &roots(&["f"]));
}

#[test]
fn a_name_that_only_the_discarded_copy_defines_is_undefined_even_if_weak() {
    let user = "
toy le64
group g any
section .text.f rx group=g
label f global weak
ret
label extra global weak
ret
section .text rx
label main global
call extra
ret
";
    let errors = link_err(&[("a.o", &copy("any", "tag 1")), ("b.o", user)], &exported());
    let LinkError::Undefined { symbol, .. } = errors.first() else { panic!("{errors}") };
    assert_eq!(symbol, "extra");
}

#[test]
fn a_strong_definition_in_a_discarded_copy_is_no_duplicate() {
    let object = copy("any", "tag 1").replace("global weak", "global");
    let image = link_ok(&[("a.o", &object), ("b.o", &object)], &exported());
    assert_eq!(image.run("f"), [Tag(1)]);
}
