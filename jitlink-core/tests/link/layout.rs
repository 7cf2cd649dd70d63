//! Where things lie.

use crate::kit::{exported, link_ok};
use jitlink_core::graph::{Protection, Residence};

#[test]
fn alignment_is_kept_even_above_a_page() {
    let mut text = String::from("toy le64\n");
    for (index, align) in [1, 8, 65536, 2, 4096, 64, 16384].iter().enumerate() {
        text.push_str(&format!("section s{index} rw align={align}\nlabel d{index} global\nfill {}\n", index + 3));
    }
    let image = link_ok(&[("a.o", &text)], &exported());
    for (index, align) in [1, 8, 65536, 2, 4096, 64, 16384].iter().enumerate() {
        assert_eq!(image.address(&format!("d{index}")) % align, 0, "d{index}");
    }
}

#[test]
fn zeros_lie_behind_what_has_bytes() {
    let text = "
toy le64
section .bss rw
label zeros global
zero 300
section .data rw
label data global
hex 01
section .bss2 rw align=16
label more global
zero 10
";
    let image = link_ok(&[("a.o", text)], &exported());
    let (zeros, data, more) = (image.address("zeros"), image.address("data"), image.address("more"));
    assert!(data < zeros && zeros + 300 <= more);
    assert_eq!(image.bytes(zeros, 300), [0; 300]);
    assert_eq!(image.executor.segments().last().unwrap().stored_bytes(), [1]);
}

#[test]
fn each_pair_of_protection_and_residence_is_one_segment() {
    let mut text = String::from("toy le64\n");
    for (index, kind) in ["rx", "r", "rw", "rx far", "r far", "rw far"].iter().enumerate() {
        text.push_str(&format!("section s{index} {kind}\nlabel d{index} global\nhex 0{index}\n"));
    }
    let image = link_ok(&[("a.o", &text), ("b.o", &text.replace("label d", "label e"))], &exported());
    use Protection::{Read, ReadExecute, ReadWrite};
    let kinds: Vec<_> = image.linked.segments.iter().map(|segment| (segment.protection, segment.residence)).collect();
    let all =
        [Residence::Near, Residence::Far].map(|residence| [ReadExecute, Read, ReadWrite].map(|kind| (kind, residence)));
    assert_eq!(kinds, all.concat());
    assert!(image.linked.segments.iter().all(|segment| segment.size == 2 && segment.address.0 % 4096 == 0));
    assert_eq!(image.bytes(image.address("d5"), 2), [5, 5]);
}

#[test]
fn sections_keep_their_input_order() {
    let object = |name: &str| {
        format!("toy le64\nsection x rw\nlabel {name}x global\nhex 01\nsection a rw\nlabel {name}a global\nhex 02\n")
    };
    let image = link_ok(&[("2.o", &object("q")), ("1.o", &object("p"))], &exported());
    let order = ["qx", "qa", "px", "pa"].map(|name| image.address(name));
    assert!(order.is_sorted(), "{order:x?}");
}

#[test]
fn gathered_sections_are_ordered_by_key_then_by_input() {
    let object =
        |name: &str, key: u32| format!("toy le64\nsection list r gathered key={key}\nlabel {name} global\nhex 01\n");
    let ends = "toy le64\nsection ends r\nlabel p global\nrel ABS64 start_list\nrel ABS64 stop_list\n";
    let (a, b, c) = (object("a", 2), object("b", 1), object("c", 2));
    let image = link_ok(&[("a.o", &a), ("ends.o", ends), ("b.o", &b), ("c.o", &c)], &exported());
    let start = image.pointer(image.address("p"));
    assert_eq!(["b", "a", "c"].map(|name| image.address(name) - start), [0, 1, 2]);
    assert_eq!(image.pointer(image.address("p") + 8) - start, 3);
}

#[test]
fn ordered_sections_follow_the_order_of_what_they_are_ordered_by() {
    let text = "
toy le64
section .text.b rx
label b global
ret
section .text.a rx
label a global
ret
section meta r order=.text.a
label meta_a global
hex 01
section meta r order=.text.b
label meta_b global
hex 02
";
    let image = link_ok(&[("a.o", text)], &exported());
    assert!(image.address("b") < image.address("a"));
    assert!(image.address("meta_b") < image.address("meta_a"));
    assert_eq!(image.bytes(image.address("meta_b"), 2), [2, 1]);
}

#[test]
fn empty_sections_and_objects_have_addresses_and_no_bytes() {
    let text = "toy le64\nsection .text rx\nlabel start global\nlabel end global\nsection .data rw\nlabel d global\n";
    let image = link_ok(&[("empty.o", "toy le64\n"), ("a.o", text)], &exported());
    assert!(image.linked.segments.is_empty());
    assert_eq!(image.export("start"), image.export("end"));
    let only_symbols = "toy le64\nabs one 1\nabs two 2\nundef nothing weak\n";
    let image = link_ok(&[("symbols.o", only_symbols)], &exported());
    assert_eq!((image.export("one"), image.export("two"), image.export("nothing")), (Some(1), Some(2), None));
}

#[test]
fn gaps_in_code_trap_and_gaps_in_data_are_zero() {
    let text = "
toy le64
section .text rx
label a global
ret
section .text2 rx align=16
label b global
ret
section .data rw
label c global
hex 01
section .data2 rw align=8
label d global
hex 02
";
    let image = link_ok(&[("a.o", text)], &exported());
    assert_eq!(image.bytes(image.address("a") + 4, 12), [0xee; 12]);
    assert_eq!(image.bytes(image.address("c"), 9), [1, 0, 0, 0, 0, 0, 0, 0, 2]);
}

#[test]
fn a_symbol_may_stand_one_past_the_last_byte() {
    let text = "toy le64\nsection .data rw\nhex 01 02\nlabel end global\nsection .p r\nlabel p global\nrel ABS64 end\n";
    let image = link_ok(&[("a.o", text)], &exported());
    assert_eq!(image.pointer(image.address("p")), image.section("a.o", ".data").unwrap().0 + 2);
}
