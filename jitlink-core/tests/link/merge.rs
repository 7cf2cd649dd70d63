//! Equal strings and constants become one.

use crate::kit::{exported, link_ok, roots};

/// An object with a string section, and a pointer to each of the labels `labels`.
fn strings(attributes: &str, content: &str, pointers: &[&str], name: &str) -> String {
    let pointers: String = pointers.iter().map(|target| format!("rel ABS64 {target}\n")).collect();
    format!(
        "toy le64\nsection .str r {attributes}\n{content}\nsection .data.{name} rw\nlabel {name} global\n{pointers}"
    )
}

fn pointers(image: &crate::kit::Image, name: &str, count: u64) -> Vec<u64> {
    (0..count).map(|index| image.pointer(image.address(name) + index * 8)).collect()
}

#[test]
fn equal_strings_of_all_objects_become_one() {
    let a = strings("strings=1", "label one\nascii one\\0\nlabel two\nascii two\\0", &["one", "two"], "a");
    let b = strings("strings=1", "label two\nascii two\\0\nlabel three\nascii three\\0", &["two", "three"], "b");
    let image = link_ok(&[("a.o", &a), ("b.o", &b)], &exported());
    let (a, b) = (pointers(&image, "a", 2), pointers(&image, "b", 2));
    assert_eq!(a[1], b[0]);
    for (address, text) in [(a[0], "one\0"), (a[1], "two\0"), (b[1], "three\0")] {
        assert_eq!(image.bytes(address, text.len()), text.as_bytes());
    }
    assert_eq!(image.linked.segments[0].size, 4 + 4 + 6);
}

#[test]
fn strings_that_begin_alike_stay_apart() {
    let a = strings("strings=1", "label x\nascii ab\\0\nlabel y\nascii abc\\0", &["x", "y"], "a");
    let image = link_ok(&[("a.o", &a)], &exported());
    let found = pointers(&image, "a", 2);
    assert_eq!((image.bytes(found[0], 3), image.bytes(found[1], 4)), (&b"ab\0"[..], &b"abc\0"[..]));
}

#[test]
fn an_addend_reaches_into_the_middle_of_its_string() {
    let a = strings("strings=1", "ascii pad\\0\nlabel text\nascii hello\\0", &["text +2"], "a");
    let b = strings("strings=1", "ascii hello\\0", &["@.str +3", "@.str"], "b");
    let image = link_ok(&[("a.o", &a), ("b.o", &b)], &exported());
    let (a, b) = (pointers(&image, "a", 1), pointers(&image, "b", 2));
    assert_eq!(image.bytes(a[0], 4), b"llo\0");
    assert_eq!(image.bytes(b[0], 3), b"lo\0");
    assert_eq!(b[1] + 2, a[0], "both mean the same string");
}

#[test]
fn a_section_symbol_s_addend_says_which_string_is_meant() {
    let a = strings("strings=1", "ascii zz\\0\nascii one\\0\nascii two\\0", &["@.str +7", "@.str +3"], "a");
    let b = strings("strings=1", "ascii two\\0", &["@.str"], "b");
    let image = link_ok(&[("b.o", &b), ("a.o", &a)], &exported());
    let (a, b) = (pointers(&image, "a", 2), pointers(&image, "b", 1));
    assert_eq!(a[0], b[0]);
    assert_eq!(image.bytes(a[1], 4), b"one\0");
}

#[test]
fn the_end_of_a_section_stays_behind_its_last_entry() {
    let a = strings("strings=1", "label s\nascii one\\0\nlabel end", &["s", "end"], "a");
    let image = link_ok(&[("a.o", &a)], &exported());
    let found = pointers(&image, "a", 2);
    assert_eq!(found[1] - found[0], 4);
}

#[test]
fn a_section_with_a_relative_reference_to_itself_stays_as_it_is() {
    let a = "
toy le64
section .str r strings=1
ascii one\\0
ascii two\\0
section .text rx
label main global
lea @.str +4
ret
";
    let b = strings("strings=1", "label two\nascii two\\0", &["two"], "b");
    let image = link_ok(&[("a.o", a), ("b.o", &b)], &exported());
    let (start, size) = image.section("a.o", ".str").expect("a section that was not merged");
    assert_eq!(size, 8);
    assert_eq!(image.run("main"), [crate::kit::Event::Loaded(start + 4)]);
}

#[test]
fn a_reference_to_a_slot_of_the_section_keeps_it_as_it_is() {
    let a = "
toy le64
section .str r strings=1
ascii one\\0
ascii two\\0
section .text rx
label main global
load @.str
ret
";
    let image = link_ok(&[("a.o", a)], &exported());
    let (start, _) = image.section("a.o", ".str").expect("a section that was not merged");
    assert_eq!(image.run("main"), [crate::kit::Event::Loaded(start)]);
}

#[test]
fn a_reference_to_the_size_of_the_section_keeps_it_as_it_is() {
    let a = strings("strings=1", "ascii one\\0\nascii two\\0", &["@.str"], "a");
    let a = a + "section .data.size rw\nlabel size global\nrel SIZE @.str +4\n";
    let b = strings("strings=1", "ascii pad\\0\nascii two\\0", &["@.str +4"], "b");
    let image = link_ok(&[("b.o", &b), ("a.o", &a)], &exported());
    // The section's symbol has no size of its own, so the addend is all there is.
    assert_eq!(image.number(image.address("size"), 4), 4);
    assert_eq!(image.bytes(pointers(&image, "a", 1)[0], 8), b"one\0two\0");
}

#[test]
fn strings_keep_the_alignment_of_their_section() {
    let a =
        strings("strings=1 align=8", "label x\nascii abc\\0\nhex 00 00 00 00\nlabel y\nascii de\\0", &["x", "y"], "a");
    let b = strings("strings=1 align=1", "label z\nascii de\\0", &["z"], "b");
    let image = link_ok(&[("b.o", &b), ("a.o", &a)], &exported());
    let found = pointers(&image, "a", 2);
    assert!(found.iter().all(|address| address % 8 == 0), "{found:x?}");
    assert_eq!(image.bytes(found[1], 3), b"de\0");
    assert_eq!(image.bytes(pointers(&image, "b", 1)[0], 3), b"de\0");
}

#[test]
fn wide_strings_end_with_a_wide_terminator() {
    // 0x0100 and 0x0001 hold zero bytes without being terminators.
    let content = "label x\nhex 00 01 01 00 00 00\nlabel y\nhex 00 01 00 00";
    let a = strings("strings=2 align=2", content, &["x", "y"], "a");
    let b = strings("strings=2 align=2", "label z\nhex 00 01 01 00 00 00", &["z"], "b");
    let image = link_ok(&[("a.o", &a), ("b.o", &b)], &exported());
    let found = pointers(&image, "a", 2);
    assert_eq!(image.bytes(found[0], 6), [0, 1, 1, 0, 0, 0]);
    assert_eq!(image.bytes(found[1], 4), [0, 1, 0, 0]);
    assert_eq!(pointers(&image, "b", 1)[0], found[0]);
}

#[test]
fn strings_without_a_terminator_are_left_alone() {
    let a = strings("strings=1", "label x\nascii one\\0\nlabel y\nascii two", &["x", "y"], "a");
    let image = link_ok(&[("a.o", &a)], &exported());
    assert_eq!(image.section("a.o", ".str").unwrap().1, 7);
}

#[test]
fn equal_constants_become_one_and_others_do_not() {
    let constant = |name: &str, last: &str| {
        let content = format!("label c\nhex 01 02 03 04 05 06 07 {last}\nlabel d\nhex 00 00 00 00 00 00 00 01");
        strings("constants=8 align=8", &content, &["c", "d"], name)
    };
    let (a, b) = (constant("a", "08"), constant("b", "09"));
    let image = link_ok(&[("a.o", &a), ("b.o", &b)], &exported());
    let (a, b) = (pointers(&image, "a", 2), pointers(&image, "b", 2));
    assert_eq!(a[1], b[1]);
    assert_ne!(a[0], b[0]);
    assert_eq!(image.bytes(b[0], 8), [1, 2, 3, 4, 5, 6, 7, 9]);
    assert!(a.iter().chain(&b).all(|address| address % 8 == 0));
}

#[test]
fn constants_of_a_broken_size_and_constants_with_relocations_are_left_alone() {
    let odd = strings("constants=8", "label c\nhex 01 02 03 04 05", &["c"], "a");
    assert!(link_ok(&[("a.o", &odd)], &exported()).section("a.o", ".str").is_some());
    let moving = strings("constants=8", "label c\nrel ABS64 a", &["c"], "a");
    assert!(link_ok(&[("a.o", &moving)], &exported()).section("a.o", ".str").is_some());
}

#[test]
fn writable_retained_and_gathered_sections_are_not_merged() {
    for attributes in ["rw strings=1", "strings=1 retain", "strings=1 gathered"] {
        let a = strings(attributes, "label x\nascii one\\0\nlabel y\nascii one\\0", &["x", "y"], "a");
        let image = link_ok(&[("a.o", &a)], &exported());
        assert_eq!(image.section("a.o", ".str").map(|section| section.1), Some(8), "{attributes}");
    }
}

#[test]
fn strings_of_pruned_code_leave_nothing() {
    let a = strings("strings=1", "label x\nascii one\\0", &["x"], "a");
    let b = strings("strings=1", "label y\nascii two\\0", &["y"], "b");
    let image = link_ok(&[("a.o", &a), ("b.o", &b)], &roots(&["a"]));
    assert_eq!(image.linked.segments[0].size, 4);
}

#[test]
fn exported_strings_move_with_their_entry() {
    let a = strings("strings=1", "ascii x\\0\nlabel text global object size=6\nascii hello\\0", &["text"], "a");
    let b = strings("strings=1", "label first\nascii hello\\0", &["first"], "b");
    let image = link_ok(&[("b.o", &b), ("a.o", &a)], &exported());
    let text = image.export("text").unwrap();
    assert_eq!(image.bytes(text, 6), b"hello\0");
    assert_eq!(text, pointers(&image, "b", 1)[0]);
}
