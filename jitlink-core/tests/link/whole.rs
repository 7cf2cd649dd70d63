//! A link as a whole: initialisers, the map, errors, threads.

use crate::kit::{executor, exported, inputs, link_err, link_ok, link_with, roots};
use jitlink_core::graph::{InitStage, Linkage, Scope, Symbol};
use jitlink_core::link::{LinkOptions, NoSymbols, link};
use jitlink_core::{Input, LinkError};

fn array(section: &str, function: &str) -> String {
    format!("section {section}\nrel ABS64 {function}\n")
}

#[test]
fn initialisers_run_by_stage_then_priority_then_input_and_finalisers_the_other_way() {
    let functions = "toy le64\nsection .text rx\nlabel f global\nret\n";
    let a = format!(
        "toy le64\n{}{}{}{}",
        array("init r init=init", "f"),
        array("init.5 r init=init:5", "f"),
        array("pre r init=pre", "f"),
        array("ctors r init=init:65536:backwards", "f")
    );
    let b = format!(
        "toy le64\n{}{}{}{}",
        array("init.4 r init=init:4", "f"),
        array("init r init=init", "f"),
        array("fini r init=fini", "f"),
        array("fini.7 r init=fini:7", "f")
    );
    let image = link_ok(&[("f.o", functions), ("a.o", &a), ("b.o", &b)], &roots(&[]));
    let at = |object: &str, section: &str| image.section(object, section).unwrap().0;
    let addresses = |arrays: &[jitlink_core::executor::PointerArray]| -> Vec<u64> {
        arrays.iter().map(|array| array.address.0).collect()
    };
    let expected = [
        at("a.o", "pre"),
        at("b.o", "init.4"),
        at("a.o", "init.5"),
        at("a.o", "init"),
        at("a.o", "ctors"),
        at("b.o", "init"),
    ];
    assert_eq!(addresses(&image.linked.initialisers), expected);
    assert_eq!(addresses(&image.linked.finalisers), [at("b.o", "fini"), at("b.o", "fini.7")]);
    assert!(image.linked.initialisers.iter().all(|array| array.count == 1));
    assert_eq!(image.linked.initialisers[0].order.stage, InitStage::Preinit);
    let backwards: Vec<bool> = image.linked.initialisers.iter().map(|array| array.order.backwards).collect();
    assert_eq!(backwards, [false, false, false, false, true, false]);
    assert_eq!(image.pointer(at("a.o", "ctors")), image.address("f"));
}

#[test]
fn an_array_of_initialisers_that_ends_in_half_a_pointer_is_refused() {
    let text =
        "toy le64\nsection init r init=init\nrel ABS64 f\nhex 01 02 03 04\nsection .text rx\nlabel f global\nret\n";
    let errors = link_err(&[("a.o", text)], &exported());
    assert_eq!(errors.first().code(), "malformed");
    assert_eq!(errors.first().site().unwrap().section, "init");
}

#[test]
fn the_map_says_what_is_where() {
    let text = "
toy le64
common shared 16 8
abs fixed 0x42
section .text rx
label f global func size=4
ret
label internal hidden weak
ret
label mine func
ret
section .debug unloaded
hex 01 02
";
    let image = link_ok(&[("dir/a.o", text)], &exported());
    let object = image.object("dir/a.o");
    assert_eq!(object.path, "dir/a.o");
    let sections: Vec<_> = object.sections.iter().map(|section| (section.name.as_str(), section.size)).collect();
    assert_eq!(sections, [(".text", 12)]);
    let symbols: Vec<_> =
        object.symbols.iter().map(|symbol| (symbol.name.as_str(), symbol.size, symbol.scope, symbol.linkage)).collect();
    let expected = [
        ("shared", 16, Scope::Global, "common"),
        ("f", 4, Scope::Global, "strong"),
        ("internal", 0, Scope::Hidden, "weak"),
        ("mine", 0, Scope::Local, "strong"),
    ];
    assert_eq!(symbols, expected);
    assert_eq!(image.map().absolute, [("fixed".to_string(), jitlink_core::Addr(0x42))]);
}

#[test]
fn exports_say_what_a_name_is() {
    let text = "toy le64\nsection .text rx\nlabel f global func size=4\nret\nlabel w global weak object size=9\nret\n";
    let image = link_ok(&[("a.o", text)], &exported());
    let exports: Vec<_> = image.linked.exports.iter().map(|(name, export)| (name, export.size, export.weak)).collect();
    assert_eq!(exports, [("f", 4, false), ("w", 9, true)]);
}

#[test]
fn every_broken_object_is_reported_in_input_order() {
    let broken = |number: u32| (format!("{number}.o"), format!("toy le64\nnonsense{number}\n"));
    let objects: Vec<(String, String)> = (0..9).map(broken).collect();
    let objects: Vec<(&str, &str)> = objects.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let errors = link_err(&objects, &exported());
    let sites: Vec<String> = errors.iter().map(|error| error.site().unwrap().object.clone()).collect();
    assert_eq!(sites, (0..9).map(|number| format!("{number}.o")).collect::<Vec<_>>());
}

#[test]
fn errors_of_one_phase_come_together_and_the_cause_before_what_follows() {
    let a = "toy le64\nsection .text rx\nlabel f global\ncall32 nowhere\nret\nlabel g global\nret\n";
    let errors = link_err(&[("a.o", a), ("b.o", a)], &exported());
    let codes: Vec<&str> = errors.iter().map(LinkError::code).collect();
    assert_eq!(codes, ["duplicate", "duplicate"], "{errors}");
}

#[test]
fn nothing_to_link_unknown_files_and_mixed_targets_are_errors() {
    let fails = |inputs: &[Input]| {
        link_with(&executor(), inputs, &NoSymbols, &exported()).err().expect("an error").first().code()
    };
    assert_eq!(fails(&[]), "request");
    assert_eq!(fails(&[Input::from_bytes("x", *b"\x7fELF....")]), "unrecognized");
    assert_eq!(fails(&[Input::from_bytes("empty", *b"")]), "unrecognized");
    assert_eq!(fails(&inputs(&[("a.o", "toy le64\n"), ("b.o", "toy be64\n")])), "mixed-targets");
    assert_eq!(fails(&inputs(&[("a.o", "toy le64\n"), ("b.o", "toy le32\n")])), "mixed-targets");
    assert_eq!(fails(&[Input::from_bytes("empty.a", *b"!<arch>\n")]), "request");
}

#[test]
fn a_failed_link_leaves_no_trace_whatever_failed() {
    let good = "toy le64\nsection .text rx\nlabel good global\nret\n";
    let failing = [
        "toy le64\nnonsense\n",
        "toy le64\nsection .text rx\nlabel f global\ncall32 nowhere\n",
        "toy le64\nabs far 0x7fff00000000\nsection .text rx\nlabel f global\nrel REL32 far\n",
        "toy le64\nsection .data rw\nlabel d global\nfill 9\nrel ABS16 d\n",
        "toy le64\nsection .data rw\nlabel d global\nrel ALIGNED d +1\n",
        "toy le64\nsection .data rw\nlabel d global\nzero 0x1000000000\n",
    ];
    let executor = executor();
    for text in failing {
        assert!(link_with(&executor, &inputs(&[("f.o", text)]), &NoSymbols, &exported()).is_err(), "{text}");
        assert!(executor.segments().is_empty());
        let image = link_with(&executor, &inputs(&[("a.o", good)]), &NoSymbols, &exported()).unwrap();
        assert_eq!(image.address("good"), crate::kit::image::BASE);
    }
}

/// Many objects, so that reading and fixing up are worth more than one thread.
fn large(errors: bool) -> Vec<(String, String)> {
    (0..600)
        .map(|index| {
            let mut text = format!("toy le64\nsection .text.{index} rx align=16\nlabel f{index} global\n");
            for step in 1..20 {
                text.push_str(&format!(
                    "call32 f{}\nload f{}\nlea outside\n",
                    (index * step) % 600,
                    (index + step) % 600
                ));
            }
            text.push_str(&format!("ret\nfill 3000\nsection .str r strings=1\nascii s{}\\0\n", index % 50));
            text.push_str(&format!("section .data rw\nlabel d{index} global\nrel ABS64 @.str\nfill {}\n", index % 7));
            if errors && index % 90 == 3 {
                text.push_str("rel ABS16 outside\nrel ALIGNED f1 +1\n");
            }
            (format!("o{index}.o"), text)
        })
        .collect()
}

/// These objects with one in their middle that is large enough to be read by itself.
fn with_one_apart(errors: bool) -> Vec<(String, String)> {
    let mut objects = large(errors);
    let bytes = format!("hex {}\n", "5a ".repeat(3 << 20));
    objects[300].1.push_str(&format!("section .data.large rw\nlabel middle global\n{bytes}rel ABS64 f299\n"));
    objects
}

#[test]
fn bytes_and_errors_do_not_depend_on_the_number_of_threads() {
    for (errors, objects) in
        [false, true].map(|errors| [(errors, large(errors)), (errors, with_one_apart(errors))]).concat()
    {
        let objects: Vec<(&str, &str)> = objects.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let inputs = inputs(&objects);
        let mut outcomes = Vec::new();
        for threads in [Some(1), Some(2), Some(7), None] {
            let defines = vec![("outside".to_string(), jitlink_core::Addr(0x7fff_0000_1000))];
            let options = LinkOptions { threads, defines, ..exported() };
            let image = link_with(&executor(), &inputs, &NoSymbols, &options);
            outcomes.push(image.map(|image| {
                let exports: Vec<(String, u64)> =
                    image.linked.exports.iter().map(|(name, export)| (name.to_string(), export.address.0)).collect();
                (image.all_bytes(), exports, format!("{:?}", image.map()))
            }));
        }
        assert_eq!(outcomes[0].is_err(), errors);
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "they differ");
    }
}

#[test]
fn errors_of_reading_do_not_depend_on_the_number_of_threads() {
    let mut objects = large(false);
    for index in [7, 300, 301, 599] {
        objects[index].1.push_str("nonsense\n");
    }
    let objects: Vec<(&str, &str)> = objects.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let errors = [1, 2, 7].map(|threads| link_err(&objects, &LinkOptions { threads: Some(threads), ..exported() }));
    assert_eq!(errors[0].len(), 4);
    assert!(errors.iter().all(|other| *other == errors[0]));
}

#[test]
fn a_batch_s_handle_is_its_own_and_lies_in_its_memory() {
    let text = "toy le64\nsection .data rw\nlabel d global\nrel ABS64 _handle_\n";
    let executor = executor();
    let handle = |image: &crate::kit::Image| image.pointer(image.address("d"));
    let first = link_with(
        &executor,
        &inputs(&[("a.o", text), ("b.o", &text.replace("label d", "label e"))]),
        &NoSymbols,
        &exported(),
    );
    let first = first.unwrap();
    let second = link_with(&executor, &inputs(&[("a.o", text)]), &NoSymbols, &exported()).unwrap();
    assert_eq!(first.linked.handle.0, handle(&first));
    assert_eq!(first.pointer(first.address("e")), handle(&first), "one for the batch");
    assert!(first.holds(handle(&first)));
    assert_ne!(handle(&first), handle(&second));
}

#[test]
fn the_statistics_count_what_was_linked() {
    let text = "toy le64\nabs far 0x7fff00000000\nsection .text rx\nlabel f global\nload far\ncall32 far\nret\n";
    let image = link_ok(&[("a.o", text)], &exported());
    let statistics = &image.linked.statistics;
    assert_eq!((statistics.slots, statistics.stubs), (1, 1));
    assert!(statistics.relocations >= 2 && statistics.objects >= 1);
    assert!(statistics.phases.len() > 5);
}

#[test]
fn symbols_of_other_crates_backends_are_made_in_public() {
    // What the kit does with a builder, a pass may do too: the constructors are public.
    let symbol = Symbol::undefined(b"name", jitlink_core::graph::ObjectId::new(0));
    assert_eq!((symbol.linkage, symbol.is_defined()), (Linkage::Strong, false));
    let nothing = link(&crate::kit::arch::registry(), &executor(), &[], &NoSymbols, &LinkOptions::default());
    assert!(nothing.is_err());
}
