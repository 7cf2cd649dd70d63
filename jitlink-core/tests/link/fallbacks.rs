//! What names mean that nothing defines, what objects must agree on, and what they say that has no effect.

use crate::archives::archive;
use crate::kit::{Event::*, executor, exported, inputs, link_err, link_ok, link_with, roots};
use jitlink_core::link::{LinkOptions, NoSymbols};
use jitlink_core::{Input, LinkError};

/// A function `main` that calls `f`, which means what these lines say, and a function `g`.
fn object(lines: &str) -> String {
    format!(
        "toy le64\nsection .text rx\nlabel main global\ncall32 f\nret\nlabel g global\ntag 7\nret\nundef f\n{lines}\n"
    )
}

fn function(name: &str, tag: u32) -> String {
    format!("toy le64\nsection .text rx\nlabel {name} global\ntag {tag}\nret\n")
}

#[test]
fn a_name_that_nothing_defines_means_its_fallback() {
    assert_eq!(link_ok(&[("a.o", &object("fallback f g"))], &roots(&["main"])).run("main"), [Tag(7)]);
    let errors = link_err(&[("a.o", &object(""))], &roots(&["main"]));
    assert!(matches!(errors.first(), LinkError::Undefined { symbol, .. } if symbol == "f"), "{errors}");
}

#[test]
fn any_definition_is_stronger_even_a_weak_one_of_a_later_object() {
    let weak = function("f", 1).replace("global", "global weak");
    for other in [function("f", 1), weak] {
        let image = link_ok(&[("a.o", &object("fallback f g")), ("b.o", &other)], &roots(&["main"]));
        assert_eq!(image.run("main"), [Tag(1)]);
    }
}

#[test]
fn the_first_of_two_fallbacks_counts() {
    let lines = "fallback f g\nfallback f h\nsection .text.h rx\nlabel h global\ntag 8\nret";
    assert_eq!(link_ok(&[("a.o", &object(lines))], &roots(&["main"])).run("main"), [Tag(7)]);
    let later = "toy le64\nfallback f h\nsection .text.h rx\nlabel h global\ntag 8\nret";
    let first = object("fallback f g");
    assert_eq!(link_ok(&[("a.o", &first), ("b.o", later)], &roots(&["main"])).run("main"), [Tag(7)]);
    assert_eq!(link_ok(&[("b.o", later), ("a.o", &first)], &roots(&["main"])).run("main"), [Tag(8)]);
}

#[test]
fn fallbacks_have_fallbacks_but_no_circles() {
    let chain = object("fallback f u\nfallback u v\nfallback v g");
    assert_eq!(link_ok(&[("a.o", &chain)], &roots(&["main"])).run("main"), [Tag(7)]);
    for circle in ["fallback f f", "fallback f u\nfallback u v\nfallback v f", "fallback f u\nfallback u u"] {
        let errors = link_err(&[("a.o", &object(circle))], &roots(&["main"]));
        let LinkError::Undefined { .. } = errors.first() else { panic!("{circle}: {errors}") };
    }
}

#[test]
fn what_a_fallback_needs_is_looked_for_in_archives_only_if_the_name_means_it() {
    let library = Input::from_bytes("lib.a", archive(&[("h.o", &function("h", 9)), ("x.o", &function("x", 1))], None));
    let link = |objects: &[(&str, &str)], options: &LinkOptions| {
        let all: Vec<Input> = inputs(objects).into_iter().chain([library.clone()]).collect();
        link_with(&executor(), &all, &NoSymbols, options)
    };
    let first = object("fallback f h h");
    let image = link(&[("a.o", &first)], &roots(&["main"])).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(image.run("main"), [Tag(9)]);
    // Defined, so that nothing is needed: neither member joins.
    let image = link(&[("a.o", &first), ("f.o", &function("f", 1))], &exported());
    let image = image.unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(image.run("main"), [Tag(1)]);
    let names: Vec<&str> = image.map().objects.iter().map(|object| object.name.as_str()).collect();
    assert_eq!(names, ["a.o", "f.o"]);
    // Needed, and nowhere.
    let errors = link(&[("a.o", &object("fallback f y y"))], &roots(&["main"])).err().expect("nothing defines y");
    assert!(matches!(errors.first(), LinkError::Undefined { symbol, .. } if symbol == "y"), "{errors}");
}

#[test]
fn what_objects_say_of_themselves_must_be_the_same() {
    let says = |what: &str| format!("toy le64\n{what}\n");
    let (first, second) = (says("agree runtime debug"), says("agree runtime release\nagree level 1"));
    link_ok(&[("a.o", &first), ("b.o", &says("agree level 1")), ("c.o", "toy le64\n"), ("d.o", &first)], &exported());
    let errors = link_err(&[("a.o", &first), ("b.o", &second), ("c.o", &first)], &exported());
    assert_eq!(errors.to_string(), "a.o has runtime=debug, and b.o has runtime=release");
    let error = errors.first();
    assert_eq!(error.code(), "disagreement");
    assert!(error.advice().contains("same compiler and options"), "{}", error.advice());
}

#[test]
fn warnings_come_in_input_order_however_many_threads_read() {
    let objects: Vec<(String, String)> =
        (0..300).map(|number| (format!("{number}.o"), format!("toy le64\nwarn of {number}\nwarn again\n"))).collect();
    let objects: Vec<(&str, &str)> = objects.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let expected: Vec<String> =
        (0..300).flat_map(|number| [format!("{number}.o: of {number}"), format!("{number}.o: again")]).collect();
    for threads in [1, 2, 7] {
        let image = link_ok(&objects, &LinkOptions { threads: Some(threads), ..exported() });
        let found: Vec<String> = image.linked.statistics.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{threads} threads");
    }
}
