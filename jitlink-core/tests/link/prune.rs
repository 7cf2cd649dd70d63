//! What stays alive.

use crate::kit::{Image, executor, exported, inputs, link_ok, link_with, roots};
use jitlink_core::LinkErrors;
use jitlink_core::link::{LinkOptions, NoSymbols};
use std::fmt::Write;

const OBJECT: &str = "
toy le64
section .text.a rx
label a global
call b
ret
section .text.b rx
label b
rel ABS64 data
ret
section .data.data rw
label data hidden
hex 01
section .text.hidden rx
label hidden_function hidden
ret
section .text.exported rx
label exported global
ret
section .init r init=init
rel ABS64 starter
section .text.starter rx
label starter
ret
section .note r retain
rel ABS64 noted
section .text.noted rx
label noted
ret
";

fn live(image: &Image) -> Vec<String> {
    image.object("a.o").sections.iter().map(|section| section.name.clone()).collect()
}

#[test]
fn named_roots_keep_what_they_reach_and_what_is_always_kept() {
    let image = link_ok(&[("a.o", OBJECT)], &roots(&["a"]));
    let expected = [".text.a", ".text.b", ".data.data", ".init", ".text.starter", ".note", ".text.noted"];
    assert_eq!(live(&image), expected);
    assert_eq!(image.export("exported"), None, "pruned names are not exported");
    assert!(image.export("a").is_some());
}

#[test]
fn exported_definitions_are_roots_and_hidden_ones_are_not() {
    let image = link_ok(&[("a.o", OBJECT)], &exported());
    assert!(live(&image).contains(&".text.exported".into()));
    assert!(!live(&image).contains(&".text.hidden".into()));
}

#[test]
fn no_roots_keep_initialisers_and_retained_sections_alone() {
    let image = link_ok(&[("a.o", OBJECT)], &roots(&[]));
    assert_eq!(live(&image), [".init", ".text.starter", ".note", ".text.noted"]);
}

#[test]
fn dependencies_keep_one_section_with_another_but_not_the_other_way() {
    let object = "
toy le64
keep .text.f .meta
section .text.f rx
label f global
ret
section .meta r
label meta global
rel ABS64 g
section .text.g rx
label g
ret
";
    assert_eq!(live(&link_ok(&[("a.o", object)], &roots(&["f"]))), [".text.f", ".meta", ".text.g"]);
    assert_eq!(live(&link_ok(&[("a.o", object)], &roots(&["meta"]))), [".meta", ".text.g"]);
}

#[test]
fn names_that_only_pruned_code_needs_may_be_undefined() {
    let object = "
toy le64
section .text.f rx
label f global
ret
section .text.dead rx
label dead global
call32 nowhere
ret
";
    link_ok(&[("a.o", object)], &roots(&["f"]));
}

#[test]
fn each_block_of_a_section_lives_by_itself() {
    let object = "
toy le64
section .text rx
label a global
ret
block 16
label b global
call c
ret
block 16
label c
ret
block 16
label d global
ret
";
    let image = link_ok(&[("a.o", object)], &roots(&["b"]));
    assert_eq!((image.find("a"), image.find("d")), (None, None));
    assert_eq!(image.linked.segments[0].size, 0x14);
    assert_eq!(image.linked.statistics.blocks.1, 2);
}

#[test]
fn cycles_that_nothing_reaches_are_pruned() {
    let object = "
toy le64
section .text.f rx
label f global
ret
section .text.x rx
label x global
call y
section .text.y rx
label y global
call x
";
    assert_eq!(live(&link_ok(&[("a.o", object)], &roots(&["f"]))), [".text.f"]);
}

#[test]
fn an_edge_that_writes_nothing_still_keeps_its_target() {
    let object = "
toy le64
section .text.f rx
label f global
ret
rel NONE personality
section .text.p rx
label personality
ret
";
    assert_eq!(live(&link_ok(&[("a.o", object)], &roots(&["f"]))), [".text.f", ".text.p"]);
}

#[test]
fn debug_sections_keep_nothing_alive_and_see_null_for_what_is_gone() {
    let object = "
toy le64
section .debug unloaded
rel ABS64 dead
rel ABS64 f
section .text.f rx
label f global
ret
section .text.dead rx
label dead global
ret
";
    let options = LinkOptions { keep_debug: true, ..roots(&["f"]) };
    let image = link_ok(&[("a.o", object)], &options);
    assert_eq!(image.section("a.o", ".text.dead"), None);
    let (name, bytes) = &image.linked.debug[0];
    assert_eq!((name.as_str(), &bytes[..8]), (".debug", &[0; 8][..]));
    assert_eq!(bytes[8..], image.address("f").to_le_bytes());
}

#[test]
fn names_in_debug_sections_are_nobody_elses() {
    let object = "
toy le64
section .debug unloaded
label here global
ret
section .text.f rx
label f global
ret
";
    let options = LinkOptions { keep_debug: true, ..roots(&["f"]) };
    let image = link_ok(&[("a.o", object)], &options);
    let names: Vec<_> = image.linked.exports.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["f"]);
}

/// A root that needs thousands of functions, each of which needs the next two of another kind; as many that nothing needs; and at the
/// end of it all references to a copy that was discarded, if asked for.
fn wide(broken: bool, threads: usize) -> Result<Image, LinkErrors> {
    const MANY: usize = 3000;
    let copy = "toy le64\ngroup g any leader=.text.f\nsection .text.f rx group=g\nlabel f global weak\nret\n";
    let mut text = copy.to_owned() + "section .data.table rw\nlabel table global\n";
    (0..MANY).for_each(|number| writeln!(text, "rel ABS64 near{number}").unwrap());
    for number in 0..MANY {
        let next = (number + 1) % MANY;
        writeln!(text, "section .text.near{number} rx\nlabel near{number}\ncall far{number}\ncall far{next}").unwrap();
        if broken && number % 1000 == 7 {
            text.push_str("lea @.text.f\n");
        }
        writeln!(text, "ret\nsection .text.far{number} rx\nlabel far{number}\nret").unwrap();
        writeln!(text, "section .text.dead{number} rx\nlabel dead{number} hidden\ncall near{number}\nret").unwrap();
    }
    let options = LinkOptions { threads: Some(threads), ..roots(&["table"]) };
    link_with(&executor(), &inputs(&[("a.o", copy), ("b.o", &text)]), &NoSymbols, &options)
}

#[test]
fn thousands_that_are_needed_at_once_are_kept_whatever_the_threads() {
    let linked = |threads| {
        let image = wide(false, threads).unwrap();
        let names: Vec<String> = image.object("b.o").sections.iter().map(|section| section.name.clone()).collect();
        (names, image.all_bytes())
    };
    let (names, bytes) = linked(1);
    assert_eq!(names.len(), 6001);
    assert!(names.iter().all(|name| !name.starts_with(".text.dead")));
    for threads in [2, 7] {
        assert!(linked(threads) == (names.clone(), bytes.clone()), "{threads} threads");
    }
}

#[test]
fn references_to_what_was_discarded_are_the_same_errors_whatever_the_threads() {
    let errors = |threads| wide(true, threads).err().unwrap().to_string();
    let first = errors(1);
    assert!(first.starts_with("b.o: .text.near7+"), "{first}");
    assert!([2, 7].iter().all(|&threads| errors(threads) == first));
}
