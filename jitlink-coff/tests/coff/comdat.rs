//! Every COMDAT rule with a pair of objects that keeps it and one that breaks it, as LLD sees them too.

use super::builder::{CODE, DATA, Object, section_record};
use super::kit::{assemble, linked, lld, read};
use jitlink_core::LinkErrors;

/// A copy of `shared` under a rule of the assembler's, with this content.
fn copy(rule: &str, content: &str) -> String {
    format!(".section .rdata,\"dr\",{rule},shared\n.globl shared\nshared: {content}\n")
}

/// As for MinGW, whose two compilers write two rules for one thing.
const MINGW: &[&str] = &["/lldmingw"];

/// Links two objects here and by LLD, which must agree on whether that can be done.
fn pair(what: &str, first: &str, second: &str, arguments: &[&str]) -> Option<Result<super::kit::Image, LinkErrors>> {
    let (first, second) = (assemble(first)?, assemble(second)?);
    let ours = linked(&[("0.obj", &first), ("1.obj", &second)]);
    let folder = tempfile::tempdir().expect("a folder");
    let theirs = lld(folder.path(), &[first, second], &[&["/export:shared"], arguments].concat())?;
    match (&ours, &theirs) {
        (Ok(_), Err(error)) => panic!("{what}: LLD refuses what is linked here: {error}"),
        (Err(errors), Ok(())) => panic!("{what}: LLD links what is refused here: {errors}"),
        _ => Some(ours),
    }
}

fn passes(what: &str, first: &str, second: &str, kept: &[u8]) {
    passes_as(&[], what, first, second, kept);
}

fn passes_as(arguments: &[&str], what: &str, first: &str, second: &str, kept: &[u8]) {
    let Some(image) = pair(what, first, second, arguments) else { return };
    let image = image.unwrap_or_else(|errors| panic!("{what}: {errors}"));
    assert_eq!(image.bytes(image.address("shared"), kept.len()), kept, "{what}");
}

fn fails(what: &str, first: &str, second: &str, code: &str, says: &str) {
    fails_as(&[], what, (first, second), code, says);
}

fn fails_as(arguments: &[&str], what: &str, (first, second): (&str, &str), code: &str, says: &str) {
    let Some(image) = pair(what, first, second, arguments) else { return };
    let Err(errors) = image else { panic!("{what}: it was linked") };
    let error = errors.first();
    assert!(error.code() == code && error.to_string().contains(says), "{what}: {errors}");
    let text = error.to_string();
    assert!(code == "unsupported" || text.contains("0.obj") && text.contains("1.obj"), "{what}: {errors}");
}

#[test]
fn any_copy_will_do() {
    passes("any", &copy("discard", ".byte 1,2"), &copy("discard", ".byte 3,4,5"), &[1, 2]);
}

#[test]
fn copies_of_different_rules_are_refused() {
    let (any, exact) = (copy("discard", ".byte 1,2"), copy("same_contents", ".byte 1,2"));
    fails("any and exact", &any, &exact, "comdat-mismatch", "one selection rule, but have any and exact match");
    fails("exact and any", &exact, &any, "comdat-mismatch", "one selection rule, but have exact match and any");
}

#[test]
fn any_copy_has_the_size_that_another_asks_for() {
    let (any, size) = (copy("discard", ".byte 1,2"), copy("same_size", ".byte 3,4"));
    passes_as(MINGW, "any and same size", &any, &size, &[1, 2]);
    passes_as(MINGW, "same size and any", &size, &any, &[3, 4]);
    let longer = copy("same_size", ".byte 3,4,5");
    fails_as(MINGW, "any and another size", (&any, &longer), "comdat-mismatch", "one size, but have 0x2 and 0x3");
    fails_as(MINGW, "another size and any", (&longer, &any), "comdat-mismatch", "one size, but have 0x3 and 0x2");
}

#[test]
fn one_only_has_no_second_copy() {
    let other = ".data\n.globl other\nother: .quad shared\n";
    passes("one only", &copy("one_only", ".byte 7"), other, &[7]);
    let (first, second) = (copy("one_only", ".byte 7"), copy("one_only", ".byte 7"));
    fails("one only", &first, &second, "comdat-mismatch", "only one copy");
}

#[test]
fn same_size_compares_sizes_alone() {
    passes("same size", &copy("same_size", ".byte 1,2,3"), &copy("same_size", ".byte 4,5,6"), &[1, 2, 3]);
    let (first, second) = (copy("same_size", ".byte 1,2,3"), copy("same_size", ".byte 1,2"));
    fails("same size", &first, &second, "comdat-mismatch", "one size, but have 0x3 and 0x2");
}

#[test]
fn exact_match_compares_bytes() {
    passes("exact match", &copy("same_contents", ".byte 1,2,3"), &copy("same_contents", ".byte 1,2,3"), &[1, 2, 3]);
    let (first, second) = (copy("same_contents", ".byte 1,2,3"), copy("same_contents", ".byte 1,2,4"));
    fails("exact match", &first, &second, "comdat-mismatch", "bytes differ");
}

#[test]
fn the_largest_copy_is_kept_wherever_it_stands() {
    let (small, large) = (copy("largest", ".byte 1,2"), copy("largest", ".byte 3,4,5,6"));
    passes("largest second", &small, &large, &[3, 4, 5, 6]);
    passes("largest first", &large, &small, &[3, 4, 5, 6]);
    // A copy of any is one of the largest (tables of virtual functions with and without run-time types).
    passes("any and largest", &copy("discard", ".byte 1,2"), &large, &[3, 4, 5, 6]);
    passes("largest and any", &large, &copy("discard", ".byte 1,2"), &[3, 4, 5, 6]);
    fails("largest and same size", &large, &copy("same_size", ".byte 1"), "comdat-mismatch", "largest and same size");
}

/// A copy of `shared` and a section that goes with it.
fn with_companion(byte: u8, reference: &str) -> String {
    let leader = copy("discard", &format!(".byte {byte}"));
    format!(
        "{leader}.section .rdata$c,\"dr\",associative,shared\ncompanion: .byte {byte}+1\n.data\n.globl \
         user{byte}\nuser{byte}: .quad {reference}\n"
    )
}

#[test]
fn what_goes_with_a_copy_goes_where_it_goes() {
    let (first, second) = (with_companion(1, "companion"), with_companion(5, "shared"));
    let Some(image) = pair("associative", &first, &second, &[]) else { return };
    let image = image.unwrap_or_else(|errors| panic!("{errors}"));
    let companion = image.long(image.address("user1"));
    assert_eq!(image.bytes(companion, 1), [2], "the first object's is kept");
    assert_eq!(image.long(image.address("user5")), image.address("shared"));
    // That of the copy that is not kept is not there to be referred to.
    fails("associative", &with_companion(1, "shared"), &with_companion(5, "companion"), "discarded", "companion");
}

#[test]
fn what_goes_with_what_goes_with_a_copy_does_too() {
    let chain = |byte: u8, reference: &str| {
        let further = ".section .rdata$d,\"dr\",associative,companion\nfurther: .byte 9\n";
        with_companion(byte, reference).replacen(".data\n", &format!("{further}.data\n"), 1)
    };
    let Some(image) = pair("chain", &chain(1, "further"), &chain(5, "shared"), &[]) else { return };
    let image = image.unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(image.bytes(image.long(image.address("user1")), 1), [9]);
    fails("chain", &chain(1, "shared"), &chain(5, "further"), "discarded", "further");
}

#[test]
fn sections_that_go_with_each_other_in_a_circle_are_refused() {
    // Each goes with the next of so many, and the last with the first or, if that is all, with a section of data behind them.
    let ring = |count: u16, is_closed: bool| {
        let mut object = Object::new();
        for number in 1..=count {
            let other = if number == count && is_closed { 1 } else { number + 1 };
            let section = object.section(".rdata", DATA | 0x1000, &[7]);
            object.symbol_with(".rdata", 0, section, 3, section_record(other, 5));
        }
        let data = object.section(".data", DATA, &[1]);
        object.symbol("data", 0, data, 2);
        object.bytes()
    };
    for count in [2, 3, 5_000] {
        let start = std::time::Instant::now();
        let bytes = ring(count, true);
        let error = read(&bytes, false).expect_err("a circle");
        assert!(error.to_string().contains("which goes with it in turn"), "{error}");
        let open = ring(count, false);
        linked(&[("a.obj", &open)]).unwrap_or_else(|errors| panic!("{errors}"));
        assert!(start.elapsed().as_secs() < 20, "{count}: {:?}", start.elapsed());
    }
}

/// "PE Format" lists the rules from 1 to 6; the seventh has a name in Microsoft's headers alone, and LLD refuses it too.
#[test]
fn the_newest_copy_is_no_rule_that_linkers_have() {
    let newest = copy("newest", ".byte 1");
    fails("newest", &newest, ".data\n.globl other\nother: .byte 1\n", "unsupported", "newest");
}

/// An object with a COMDAT section that its records describe as given.
fn described(number: u16, selection: u8) -> Object {
    let mut object = Object::new();
    let section = object.section(".text", CODE | 0x1000, &[0xc3]);
    object.symbol_with(".text", 0, section, 3, section_record(number, selection));
    object.symbol("shared", 0, section, 2);
    object.section(".data", DATA, &[1]);
    object
}

#[test]
fn records_that_say_nothing_are_refused() {
    for (number, selection, says) in [
        (0, 0, "its COMDAT rule is 0"),
        (0, 8, "its COMDAT rule is 8"),
        (0, 5, "section 0"),
        (1, 5, "section 1"),
        (3, 5, "section 3"),
    ] {
        let error = read(&described(number, selection).bytes(), false).expect_err(says);
        assert!(error.to_string().contains(says) && error.site().unwrap().section == ".text", "{error}");
    }
    let mut silent = described(0, 2);
    silent.symbols.remove(0);
    let error = read(&silent.bytes(), false).expect_err("no record");
    assert!(error.to_string().contains("no symbol says by which rule"), "{error}");
    // Section 2 is no copy of anything, and yet the first lives with it.
    let bytes = described(2, 5).bytes();
    let graph = read(&bytes, false).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(graph.dependencies().len(), 1);
}

#[test]
fn a_leader_of_its_object_alone_has_no_copies_elsewhere() {
    let mut object = described(0, 2);
    object.symbols[1].class = 3;
    object.symbols[1].name = b"local".to_vec();
    let use_it = |object: &mut Object, name: &str| {
        object.sections[1].content = vec![0; 8];
        object.sections[1].relocations = vec![(0, 2, 1)];
        object.symbol(name, 0, 2, 2);
        object.bytes()
    };
    let (first, second) = (use_it(&mut object.clone(), "a"), use_it(&mut object, "b"));
    let image = linked(&[("0.obj", &first), ("1.obj", &second)]).unwrap_or_else(|errors| panic!("{errors}"));
    assert_ne!(image.long(image.address("a")), image.long(image.address("b")));
}

#[test]
fn unwind_data_of_a_function_is_no_copy_of_another_function_s() {
    // As GNU's tools write it, of a function that is its object's alone and has the name of another.
    let object = |name: &str| {
        let mut object = Object::new();
        object.section(".text$f", CODE, &[0xc3]);
        let table = object.section(".pdata$f", 0x4000_1040, &[0; 12]);
        object.section(".data", DATA, &[0; 16]);
        object.symbol_with(".pdata$f", 0, table, 3, section_record(0, 2));
        let function = object.symbol("f", 0, 1, 3);
        object.symbol(name, 0, 3, 2);
        object.sections[1].relocations = vec![(0, function, 3), (4, function, 3)];
        object.sections[2].relocations = vec![(0, function, 1)];
        object.bytes()
    };
    let image = linked(&[("a.obj", &object("a")), ("b.obj", &object("b"))]).unwrap_or_else(|errors| panic!("{errors}"));
    let functions = ["a", "b"].map(|name| image.long(image.address(name)) - super::kit::BASE);
    assert_ne!(functions[0], functions[1]);
    // The records are all that is constant: one for each function, in order.
    let constants = image.linked.segments.iter().find(|segment| segment.size == 24).expect("two records");
    let starts = [0, 12].map(|at| u64::from(image.word(constants.address.0 + at)));
    assert_eq!(starts, functions);
}
