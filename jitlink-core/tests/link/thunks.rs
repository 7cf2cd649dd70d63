//! Thunks: calls that reach 4 KiB, in batches that span more.

use crate::kit::{Event::*, Image, exported, link_err, link_ok, roots};
use proptest::prelude::*;

/// Functions of the given sizes, each in a section of its own, that call each other as told.
fn program(header: &str, sizes: &[u32], calls: &[(usize, usize)]) -> String {
    let mut text = format!("toy {header}\n");
    for (index, size) in sizes.iter().enumerate() {
        text.push_str(&format!("section .text.f{index} rx align=4\nlabel f{index} global\ntag {index}\nret\n"));
        for (_, callee) in calls.iter().filter(|call| call.0 == index) {
            text.push_str(&format!("label from{index}to{callee} hidden\ncall f{callee}\nret\n"));
        }
        text.push_str(&format!("fill {size}\n"));
    }
    text
}

fn check(image: &Image, calls: &[(usize, usize)]) {
    for (caller, callee) in calls {
        assert_eq!(image.run(&format!("from{caller}to{callee}")), [Tag(*callee as u64)], "{caller} to {callee}");
    }
}

#[test]
fn calls_within_reach_get_no_thunk() {
    let text = program("le64", &[1000, 1000, 1000], &[(0, 2), (2, 0)]);
    let image = link_ok(&[("a.o", &text)], &exported());
    assert_eq!(image.linked.statistics.stubs, 0);
    check(&image, &[(0, 2), (2, 0)]);
}

#[test]
fn calls_out_of_reach_go_through_thunks_in_both_directions_and_byte_orders() {
    let calls = [(0, 9), (9, 0), (4, 0), (4, 9), (0, 1)];
    for header in ["le64", "be64", "le32", "be32"] {
        let text = program(header, &[4000; 10], &calls);
        let image = link_ok(&[("a.o", &text)], &exported());
        check(&image, &calls);
        assert!(image.object("a.o").stubs.iter().any(|stub| stub.2.name() == "thunk"), "{:?}", image.map());
    }
}

#[test]
fn callers_near_each_other_share_a_thunk() {
    let mut calls: Vec<(usize, usize)> = (0..8).map(|caller| (caller, 19)).collect();
    calls.extend([(10, 19), (10, 0)]);
    let text = program("le64", &[40; 8].into_iter().chain([3000; 12]).collect::<Vec<_>>(), &calls);
    let image = link_ok(&[("a.o", &text)], &exported());
    check(&image, &calls);
    let mut thunks: Vec<_> = image.object("a.o").stubs.iter().map(|stub| (&stub.0, stub.1)).collect();
    thunks.sort();
    thunks.dedup();
    assert_eq!(thunks.iter().filter(|thunk| thunk.0 == "f19").count(), 2);
}

#[test]
fn the_first_distance_out_of_reach_gets_a_thunk_and_the_last_one_in_reach_does_not() {
    for (distance, thunks) in [(0xfff, 0), (0x1000, 1)] {
        let fill = distance - 8;
        let text = format!(
            "toy le64
section .text.a rx
label main global
call target
ret
section .text.fill rx
label filler global
fill {fill}
section .text.b rx
label target global
tag 3
ret
fill 200
"
        );
        let image = link_ok(&[("a.o", &text)], &exported());
        assert_eq!(image.object("a.o").stubs.len(), thunks, "{distance:#x}");
        assert_eq!(image.run("main"), [Tag(3)]);
        if thunks == 0 {
            assert_eq!(image.address("target") - image.address("main"), distance);
        }
    }
}

#[test]
fn a_call_into_the_middle_of_a_section_arrives_there_through_a_thunk() {
    let text = "
toy le64
section .text.a rx
label main global
call @.text.b +8
call @.text.b
ret
section .text.far rx
label far global
fill 5000
section .text.b rx
tag 1
ret
tag 2
ret
";
    let image = link_ok(&[("a.o", text)], &exported());
    assert_eq!(image.run("main"), [Tag(2), Tag(1)]);
}

#[test]
fn calls_to_stubs_go_through_thunks_too() {
    let mut text = String::from("toy le64\nabs outside 0x7fff12345678\n");
    for index in 0..8 {
        text.push_str(&format!("section .text.f{index} rx\nlabel f{index} global\ncall outside\nret\nfill 2001\n"));
    }
    let image = link_ok(&[("a.o", &text)], &exported());
    for index in 0..8 {
        assert_eq!(image.run(&format!("f{index}")), [Left(0x7fff_1234_5678)]);
    }
    assert_eq!(image.linked.statistics.slots, 1);
}

#[test]
fn a_function_longer_than_the_reach_is_an_error_that_names_the_call() {
    let text = program("le64", &[20_000, 100, 100], &[(0, 2)]);
    let errors = link_err(&[("a.o", &text)], &exported());
    let text = errors.to_string();
    assert!(text.contains("a.o: .text.f0+0x8: CALL against"), "{text}");
    assert!(text.contains("outside [-0x1000, 0xfff]"), "{text}");
}

#[test]
fn pruned_code_counts_for_nothing() {
    let mut text = program("le64", &[400, 400], &[(0, 1)]);
    text.push_str("section .text.dead rx\nlabel dead hidden\nfill 100000\n");
    let image = link_ok(&[("a.o", &text)], &roots(&["from0to1"]));
    assert_eq!(image.linked.statistics.stubs, 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_call_arrives(
        header in prop::sample::select(vec!["le64", "be64", "le32", "be32"]),
        sizes in prop::collection::vec(prop_oneof![0u32..64, 0u32..2500], 2..60),
        pairs in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..60),
    ) {
        let sizes: Vec<u32> = sizes.iter().map(|size| size & !3).collect();
        let mut calls: Vec<(usize, usize)> =
            pairs.iter().map(|(a, b)| (a.index(sizes.len()), b.index(sizes.len()))).collect();
        calls.sort_unstable();
        calls.dedup();
        let text = program(header, &sizes, &calls);
        check(&link_ok(&[("a.o", &text)], &exported()), &calls);
    }
}
