//! Which definition a name means.

use crate::kit::{Event::*, exported, link_err, link_ok, roots};
use jitlink_core::LinkError;
use jitlink_core::graph::Protection;

const CALLS_F: &str = "
toy le64
section .text rx
label main global
call32 f
ret
";

fn defines_f(tag: u32, attributes: &str) -> String {
    format!("toy le64\nsection .text rx\nlabel f {attributes}\ntag {tag}\nret\n")
}

#[test]
fn a_strong_definition_wins_over_weak_ones_wherever_it_stands() {
    let (weak, strong) = (defines_f(1, "global weak"), defines_f(2, "global"));
    for objects in [
        [("main.o", CALLS_F), ("weak.o", &weak), ("strong.o", &strong)],
        [("strong.o", &strong), ("weak.o", &weak), ("main.o", CALLS_F)],
    ] {
        assert_eq!(link_ok(&objects, &exported()).run("main"), [Tag(2)]);
    }
}

#[test]
fn the_first_of_several_weak_definitions_stays() {
    let (first, second) = (defines_f(1, "global weak"), defines_f(2, "global weak"));
    let image = link_ok(&[("main.o", CALLS_F), ("first.o", &first), ("second.o", &second)], &exported());
    assert_eq!(image.run("main"), [Tag(1)]);
    assert!(image.linked.exports.get("f").unwrap().weak);
}

#[test]
fn every_further_strong_definition_is_reported_with_both_objects() {
    let (first, second, third) = (defines_f(1, "global"), defines_f(2, "global"), defines_f(3, "global"));
    let errors = link_err(&[("a.o", &first), ("b.o", &second), ("c.o", &third)], &exported());
    let duplicate =
        |second: &str| LinkError::Duplicate { symbol: "f".into(), first: "a.o".into(), second: second.into() };
    assert_eq!(errors.into_iter().collect::<Vec<_>>(), [duplicate("b.o"), duplicate("c.o")]);
}

#[test]
fn local_symbols_of_one_name_do_not_meet() {
    let object =
        |tag| format!("toy le64\nsection .text rx\nlabel m{tag} global\ncall f\nret\nlabel f\ntag {tag}\nret\n");
    let image = link_ok(&[("a.o", &object(1)), ("b.o", &object(2))], &exported());
    assert_eq!((image.run("m1"), image.run("m2")), (vec![Tag(1)], vec![Tag(2)]));
}

#[test]
fn commons_of_one_name_share_memory_large_and_aligned_enough_for_each() {
    let user = "toy le64\nsection .data r\nlabel p global\nrel ABS64 buffer\n";
    let small = "toy le64\ncommon buffer 8 256\n";
    let large = "toy le64\ncommon buffer 4096 4\ncommon neighbour 1 1\n";
    let image = link_ok(&[("user.o", user), ("small.o", small), ("large.o", large)], &exported());
    let buffer = image.pointer(image.address("p"));
    assert_eq!(buffer % 256, 0);
    assert_eq!(image.bytes(buffer, 4096), [0; 4096]);
    assert_eq!(image.protection(buffer), Some(Protection::ReadWrite));
    let neighbour = image.address("neighbour");
    assert!(!(buffer..buffer + 4096).contains(&neighbour));
    assert_eq!(image.linked.exports.get("buffer").unwrap().size, 4096);
}

#[test]
fn a_common_symbol_wins_over_weak_definitions_and_gives_way_to_strong_ones() {
    let user = "toy le64\nsection .data r\nlabel p global\nrel ABS64 x\n";
    let common = "toy le64\ncommon x 4 4\n";
    let weak = "toy le64\nsection .data rw\nlabel x global weak\nhex 01 02 03 04\n";
    let strong = "toy le64\nsection .data rw\nlabel x global\nhex 05 06 07 08\n";
    for objects in [[("weak.o", weak), ("common.o", common)], [("common.o", common), ("weak.o", weak)]] {
        let image = link_ok(&[("user.o", user), objects[0], objects[1]], &roots(&["p"]));
        assert_eq!(image.bytes(image.pointer(image.address("p")), 4), [0; 4]);
    }
    for objects in [[("strong.o", strong), ("common.o", common)], [("common.o", common), ("strong.o", strong)]] {
        let image = link_ok(&[("user.o", user), objects[0], objects[1]], &roots(&["p"]));
        assert_eq!(image.bytes(image.pointer(image.address("p")), 4), [5, 6, 7, 8]);
    }
}

#[test]
fn a_common_symbol_that_nothing_needs_takes_no_memory() {
    let text = "toy le64\ncommon unused 65536 8\nsection .text rx\nlabel main global\nret\n";
    let image = link_ok(&[("a.o", text)], &roots(&["main"]));
    assert_eq!(image.linked.segments.iter().map(|segment| segment.size).sum::<u64>(), 4);
}

#[test]
fn the_most_constraining_visibility_of_a_name_wins() {
    let uses_hidden = "toy le64\nundef f hidden\nsection .text rx\nlabel main global\ncall f\nret\n";
    let image = link_ok(&[("main.o", uses_hidden), ("f.o", &defines_f(1, "global"))], &exported());
    assert_eq!(image.run("main"), [Tag(1)]);
    assert_eq!(image.export("f"), None);
    assert!(image.export("main").is_some());
}

#[test]
fn hidden_definitions_serve_their_batch_and_are_not_exported() {
    let image = link_ok(&[("main.o", CALLS_F), ("f.o", &defines_f(1, "hidden"))], &exported());
    assert_eq!(image.run("main"), [Tag(1)]);
    assert_eq!(image.export("f"), None);
}

#[test]
fn protected_definitions_are_exported() {
    let image = link_ok(&[("f.o", &defines_f(1, "protected"))], &exported());
    assert_eq!(image.export("f"), Some(image.address("f")));
}

#[test]
fn absolute_symbols_have_their_address_everywhere() {
    let defines = "toy le64\nabs fixed 0x123456789a\n";
    let uses = "toy le64\nsection .data r\nlabel p global\nrel ABS64 fixed -2\n";
    let image = link_ok(&[("a.o", uses), ("b.o", defines)], &exported());
    assert_eq!(image.pointer(image.address("p")), 0x12_3456_7898);
    assert_eq!(image.export("fixed"), Some(0x12_3456_789a));
}
