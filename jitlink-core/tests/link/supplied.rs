//! Objects that a resolver supplies while a batch is linked.

use crate::archives::archive;
use crate::kit::host::{Host, LINKER};
use crate::kit::{Event::*, Image, arch, executor, exported, inputs, link_with, roots};
use jitlink_core::arch::StubKind;
use jitlink_core::executor::LazyFunction;
use jitlink_core::link::{Definition, LinkOptions, Resolver, link};
use jitlink_core::{Addr, Input, LinkError, LinkErrors};
use std::sync::{Arc, Mutex, PoisonError};

/// Answers from a function of a name, and remembers what it was asked.
struct Supplier<F> {
    answer: F,
    asked: Mutex<Vec<Vec<String>>>,
}

impl<F: Fn(&str) -> Option<Definition> + Sync> Supplier<F> {
    fn new(answer: F) -> Supplier<F> {
        Supplier { answer, asked: Mutex::default() }
    }

    fn link(&self, objects: &[(&str, &str)], options: &LinkOptions) -> Result<Image, LinkErrors> {
        link_with(&executor(), &inputs(objects), self, options)
    }

    /// What was asked for, a list a call.
    fn asked(&self) -> Vec<Vec<String>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<F: Fn(&str) -> Option<Definition> + Sync> Resolver for Supplier<F> {
    fn resolve(&self, names: &[&[u8]]) -> Result<Vec<Option<Definition>>, LinkError> {
        let names: Vec<String> = names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        let answers = names.iter().map(|name| (self.answer)(name)).collect();
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(names);
        Ok(answers)
    }

    fn supplies_objects(&self) -> bool {
        true
    }
}

fn object(name: &str, text: &str) -> Option<Definition> {
    let input = Input::from_bytes(name, text.trim_start().as_bytes().to_vec());
    Some(Definition::Object { input, supplier: "the tests".into() })
}

/// A function that says a number, then calls others.
fn function(name: &str, tag: u32, calls: &[&str]) -> String {
    let calls: String = calls.iter().map(|call| format!("call32 {call}\n")).collect();
    format!("toy le64\nsection .text.{name} rx\nlabel {name} global\ntag {tag}\n{calls}ret\n")
}

fn main_calls(calls: &[&str]) -> String {
    function("main", 0, calls)
}

#[test]
fn an_object_that_is_supplied_takes_part_as_if_it_had_been_given() {
    let supplier = Supplier::new(|name| match name {
        "f" => object("f.o", &function("f", 1, &["g", "h"])),
        "g" => object("g.o", &function("g", 2, &[])),
        "h" => Some(Definition::Address(Addr(0x5000))),
        _ => None,
    });
    let image = supplier.link(&[("a.o", &main_calls(&["f"]))], &exported()).unwrap();
    assert_eq!(image.run("main"), [Tag(0), Tag(1), Tag(2), Left(0x5000)]);
    assert!(image.export("f").is_some() && image.export("g").is_some());
    assert_eq!(supplier.asked(), [["f"].as_slice(), &["g", "h"]], "in bulk, and each name once");

    let given = [("a.o", main_calls(&["f"])), ("f.o", function("f", 1, &["g", "h"])), ("g.o", function("g", 2, &[]))];
    let given: Vec<(&str, &str)> = given.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let options = LinkOptions { defines: vec![("h".into(), Addr(0x5000))], ..exported() };
    let same = supplier.link(&given, &options).unwrap();
    assert_eq!(supplier.asked().len(), 2, "nothing was asked");
    for name in ["main", "f", "g"] {
        assert_eq!(image.address(name), same.address(name), "{name}");
    }
}

#[test]
fn dead_code_of_supplied_objects_is_pruned_and_asks_for_nothing() {
    let two = function("f", 1, &[]) + "section .text.dead rx\nlabel dead global\ncall32 nowhere\nret\n";
    let supplier = Supplier::new(|name| object("two.o", &two).filter(|_| name == "f"));
    let objects = main_calls(&["f"]) + "section .text.unused rx\nlabel unused global\ncall32 also_nowhere\nret\n";
    let image = supplier.link(&[("a.o", &objects)], &roots(&["main"])).unwrap();
    assert_eq!(image.run("main"), [Tag(0), Tag(1)]);
    assert_eq!(supplier.asked(), [["f"]]);
    assert_eq!(image.object("two.o").symbols.len(), 1, "{:?}", image.object("two.o").symbols);
}

#[test]
fn an_object_joins_once_for_all_names_that_it_defines() {
    let both = function("f", 1, &[]) + "section .text.g rx\nlabel g global\ntag 2\nret\n";
    let supplier = Supplier::new(|_| object("both.o", &both));
    let image = supplier.link(&[("a.o", &main_calls(&["f", "g"]))], &exported()).unwrap();
    assert_eq!(image.run("main"), [Tag(0), Tag(1), Tag(2)]);
    assert_eq!(image.map().objects.iter().filter(|object| object.name == "both.o").count(), 1);
}

#[test]
fn definitions_that_join_win_over_answers_for_the_same_name() {
    let both = function("f", 1, &[]) + "section .text.g rx\nlabel g global\ntag 2\nret\n";
    let supplier = Supplier::new(|name| match name {
        "f" => object("both.o", &both),
        _ => Some(Definition::Address(Addr(0x5000))),
    });
    let image = supplier.link(&[("a.o", &main_calls(&["g", "f"]))], &exported()).unwrap();
    assert_eq!(image.run("main"), [Tag(0), Tag(2), Tag(1)]);
}

#[test]
fn supplied_objects_compete_as_others_do() {
    let supplier = Supplier::new(|_| object("f.o", &(function("f", 1, &[]) + &function("main", 9, &[])[8..])));
    let errors = supplier.link(&[("a.o", &main_calls(&["f"]))], &exported()).err().unwrap();
    let LinkError::Duplicate { symbol, first, second } = errors.first() else { panic!("{errors}") };
    assert_eq!((symbol.as_str(), first.as_str(), second.as_str()), ("main", "a.o", "f.o"));
    // A weak definition was chosen before the strong one joined.
    let weak = main_calls(&["f", "g"]) + "section .text.weak rx\nlabel g global weak\ntag 3\nret\n";
    let strong = function("f", 1, &[]) + "section .text.g rx\nlabel g global\ntag 4\nret\n";
    let supplier = Supplier::new(|_| object("f.o", &strong));
    let image = supplier.link(&[("a.o", &weak)], &exported()).unwrap();
    assert_eq!(image.run("main"), [Tag(0), Tag(1), Tag(4)]);
}

#[test]
fn an_object_without_the_name_that_it_was_supplied_for_is_an_error_that_says_so() {
    let supplier = Supplier::new(|_| object("other.o", &function("other", 1, &[])));
    let errors = supplier.link(&[("a.o", &main_calls(&["f", "g"]))], &exported()).err().unwrap();
    let texts: Vec<String> = errors.iter().map(LinkError::to_string).collect();
    assert_eq!(texts[0], "the tests: other.o was supplied for f, which it does not define");
    assert_eq!(errors.first().code(), "resolver");
    let supplier = Supplier::new(|_| object("broken.o", "not an object"));
    let errors = supplier.link(&[("a.o", &main_calls(&["f"]))], &exported()).err().unwrap();
    assert_eq!(errors.first().code(), "unrecognized", "{errors}");
}

#[test]
fn archives_are_supplied_for_a_name_and_serve_others_too() {
    let (f, g) = (function("f", 1, &["g"]), function("g", 2, &[]));
    let unused = function("unused", 3, &["nowhere"]);
    let archive = archive(&[("f.o", &f), ("g.o", &g), ("unused.o", &unused)], None);
    let supplier = Supplier::new(|name| {
        let input = Input::from_bytes("lib.a", archive.clone());
        (name == "f").then(|| Definition::Object { input, supplier: "the tests".into() })
    });
    let image = supplier.link(&[("a.o", &main_calls(&["f"]))], &exported()).unwrap();
    assert_eq!(image.run("main"), [Tag(0), Tag(1), Tag(2)]);
    assert_eq!(supplier.asked(), [["f"]], "the archive has what its member needs");
    assert_eq!(image.map().objects.iter().filter(|object| object.path == "lib.a").count(), 2);
}

#[test]
fn weak_references_take_what_is_supplied_and_are_null_otherwise() {
    let text = "toy le64\nundef f weak\nundef g weak\nsection .text rx\nlabel main global\nrel ABS64 f\nrel ABS64 g\n";
    let supplier = Supplier::new(|name| object("f.o", &function("f", 1, &[])).filter(|_| name == "f"));
    let image = supplier.link(&[("a.o", text)], &exported()).unwrap();
    let pointers: Vec<u64> = (0..2).map(|index| image.pointer(image.address("main") + 8 * index)).collect();
    assert_eq!(pointers, [image.address("f"), 0]);
}

#[test]
fn a_supplier_that_always_needs_more_comes_to_an_end() {
    // Each object needs one more that nobody has asked for yet.
    let supplier = Supplier::new(|name| {
        let number: u64 = name[1..].parse().unwrap();
        if number == 300 {
            return object("last.o", &function(name, 1, &["f0"]));
        }
        object("next.o", &function(name, 1, &[&format!("f{}", number + 1)]))
    });
    supplier.link(&[("a.o", &main_calls(&["f0"]))], &exported()).unwrap();
    assert_eq!(supplier.asked().len(), 301);
    // Objects for names that they do not define end at once.
    let supplier = Supplier::new(|_| object("next.o", &function("x", 1, &["y"])));
    assert!(supplier.link(&[("a.o", &main_calls(&["f0"]))], &exported()).is_err());
}

struct Never;

impl LazyFunction for Never {
    fn name(&self) -> &str {
        "never"
    }

    fn link(&self) -> Result<Addr, LinkErrors> {
        Err(LinkError::Request("never".into()).into())
    }
}

fn lazy() -> Option<Definition> {
    Some(Definition::Lazy(Arc::new(Never)))
}

#[test]
fn what_is_lazy_needs_an_executor_that_runs_code() {
    let supplier = Supplier::new(|_| lazy());
    let errors = supplier.link(&[("a.o", &main_calls(&["f"]))], &exported()).err().unwrap();
    assert_eq!(errors.to_string(), "the executor \"image\" links no functions on their first call");
    assert!(errors.first().advice().contains("supply their object"));
}

#[test]
fn trampolines_lead_to_the_linker_with_the_address_of_their_slot() {
    for target in ["le64", "be64"] {
        let host = Host::new(executor(), |_| {});
        let supplier = Supplier::new(|_| lazy());
        // Called near and far, through the GOT, and as data.
        let text = format!(
            "toy {target}\nsection .text rx\nlabel main global\ncall32 f\nload f\ncalloaded\nret\n\
             section .other rx\nlabel other global\ncall32 g\nret\n\
             section .data rw\nlabel data global\nrel ABS64 f\n"
        );
        let inputs = inputs(&[("a.o", &text)]);
        let linked = link(&arch::registry(), &host, &inputs, &supplier, &exported()).unwrap();
        let image = Image::new(&host.image, linked);
        let slots: Vec<u64> = host.slots().iter().map(|lazy| lazy.slot.0).collect();
        assert_eq!(slots.len(), 2, "one for each function");
        let first = |slot: u64| [Loaded(slot), Loaded(LINKER.0), Left(LINKER.0)];
        assert_eq!(image.run("other"), first(slots[1]));
        let f = image.pointer(image.address("data"));
        let expected: Vec<_> = first(slots[0]).into_iter().chain([Loaded(f)]).chain(first(slots[0])).collect();
        assert_eq!(image.run("main"), expected, "{target}");
        for slot in slots {
            assert!(!image.is_code(slot) && slot % 8 == 0);
        }
        assert_eq!(image.export("f"), None, "it is not this batch's");
        let stubs = &image.object("a.o").stubs;
        assert_eq!((stubs[0].0.as_str(), stubs[0].1.0, stubs[0].2), ("f", f, StubKind::Lazy));
        assert!(image.object("a.o").symbols.iter().all(|symbol| symbol.name != "f"));
    }
}

#[test]
fn the_size_of_a_lazy_function_is_not_known() {
    let host = Host::new(executor(), |_| {});
    let supplier = Supplier::new(|_| lazy());
    let inputs = inputs(&[("a.o", "toy le64\nsection .text rx\nlabel main global\nrel SIZE f\n")]);
    let errors = link(&arch::registry(), &host, &inputs, &supplier, &exported()).err().unwrap();
    assert!(errors.to_string().contains("the size of a symbol outside the batch is not known"), "{errors}");
}

#[test]
fn passes_before_pruning_see_what_joined() {
    let supplier = Supplier::new(|_| object("f.o", &(function("f", 1, &[]) + &function("kept", 2, &[])[8..])));
    let mut options = roots(&["main"]);
    options.pipeline.add(jitlink_core::link::Stage::BeforePrune, "keep", |graph, _| {
        if let Some(kept) = graph.find_symbol("kept") {
            graph.retain(kept);
        }
        Ok(())
    });
    let image = supplier.link(&[("a.o", &main_calls(&["f"]))], &options).unwrap();
    assert_eq!(image.object("f.o").symbols.len(), 2);
}
