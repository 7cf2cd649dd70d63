//! Names that a batch does not simply define: aliases, boundaries, weak and undefined references, given addresses.

use crate::kit::{Event::*, executor, exported, inputs, link_err, link_ok, link_with, roots, try_link};
use jitlink_core::link::{Definition, LinkOptions, NoSymbols, Unresolved};
use jitlink_core::{Addr, LinkError};

fn aliases(pairs: &[(&str, &str)], options: LinkOptions) -> LinkOptions {
    let aliases = pairs.iter().map(|(new, old)| (new.to_string(), old.to_string())).collect();
    LinkOptions { aliases, ..options }
}

const MAIN: &str = "toy le64\nsection .text rx\nlabel main global\ncall32 f\nret\n";
const REAL: &str = "toy le64\nsection .text rx\nlabel real global\ntag 7\nret\n";

#[test]
fn an_alias_stands_for_what_it_names() {
    let image = link_ok(&[("a.o", MAIN), ("b.o", REAL)], &aliases(&[("f", "real")], exported()));
    assert_eq!(image.run("main"), [Tag(7)]);
    assert_eq!(image.export("f"), Some(image.address("real")));
}

#[test]
fn aliases_of_aliases_mean_the_definition_in_any_order() {
    let pairs = [("f", "g"), ("g", "h"), ("h", "real")];
    for pairs in [pairs, [pairs[2], pairs[1], pairs[0]], [pairs[1], pairs[0], pairs[2]]] {
        let image = link_ok(&[("a.o", MAIN), ("b.o", REAL)], &aliases(&pairs, exported()));
        assert_eq!(image.run("main"), [Tag(7)], "{pairs:?}");
        assert_eq!(image.export("g"), Some(image.address("real")));
    }
}

#[test]
fn an_alias_of_a_hidden_definition_is_exported_and_kept() {
    let hidden = "toy le64\nsection .text rx\nlabel real hidden\ntag 7\nret\n";
    let image = link_ok(&[("b.o", hidden)], &aliases(&[("f", "real")], exported()));
    assert_eq!(image.export("f"), Some(image.address("real")));
    assert_eq!(image.export("real"), None);
}

#[test]
fn an_alias_of_a_name_outside_the_batch_is_that_address() {
    let options = LinkOptions { defines: vec![("real".into(), Addr(0x7000_0000))], ..exported() };
    let image = link_ok(&[("a.o", MAIN)], &aliases(&[("f", "real"), ("unused", "real")], options));
    assert_eq!(image.run("main"), [Left(0x7000_0000)]);
    assert_eq!(image.export("unused"), Some(0x7000_0000));
}

#[test]
fn an_alias_of_a_name_that_nothing_defines_is_an_error_even_where_nothing_uses_it() {
    let errors = link_err(&[("b.o", REAL)], &aliases(&[("f", "missing")], exported()));
    let LinkError::Undefined { symbol, .. } = errors.first() else { panic!("{errors}") };
    assert_eq!(symbol, "missing");
}

#[test]
fn aliases_that_mean_each_other_are_an_error() {
    let errors = link_err(&[("a.o", MAIN)], &aliases(&[("f", "g"), ("g", "f")], exported()));
    assert_eq!(errors.first().code(), "request", "{errors}");
}

#[test]
fn an_alias_cannot_take_a_name_that_is_defined() {
    let errors = link_err(&[("b.o", REAL), ("a.o", MAIN)], &aliases(&[("main", "real")], exported()));
    let LinkError::Duplicate { symbol, second, .. } = errors.first() else { panic!("{errors}") };
    assert_eq!((symbol.as_str(), second.as_str()), ("main", "--alias main=real"));
}

const ENTRIES: &str = "
toy le64
section ends r
label p global
rel ABS64 start_list
rel ABS64 stop_list
";

fn entry(bytes: &str, attributes: &str) -> String {
    format!("toy le64\nsection other r\nfill 3\nsection list {attributes} gathered align=4\nhex {bytes}\n")
}

#[test]
fn boundaries_enclose_all_gathered_sections_of_their_name() {
    let (first, second) = (entry("01 02 03 04", "r"), entry("05 06 07 08", "r"));
    let image = link_ok(&[("a.o", &first), ("p.o", ENTRIES), ("b.o", &second)], &roots(&["p"]));
    let (start, stop) = (image.pointer(image.address("p")), image.pointer(image.address("p") + 8));
    assert_eq!(image.bytes(start, (stop - start) as usize), [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn gathered_sections_that_no_live_boundary_needs_are_pruned() {
    let first = entry("01 02 03 04", "r");
    let main = "toy le64\nsection .text rx\nlabel main global\nret\n";
    let image = link_ok(&[("main.o", main), ("a.o", &first), ("p.o", ENTRIES)], &roots(&["main"]));
    assert_eq!(image.section("a.o", "list"), None);
}

#[test]
fn gathered_sections_of_mixed_protection_still_lie_together() {
    let (first, second) = (entry("01 02 03 04", "r"), entry("05 06 07 08", "rw"));
    let filler =
        "toy le64\nsection .data rw\nlabel d global\nfill 5000\nsection .rodata r\nlabel r global\nfill 5000\n";
    let image = link_ok(&[("x.o", filler), ("a.o", &first), ("p.o", ENTRIES), ("b.o", &second)], &exported());
    let (start, stop) = (image.pointer(image.address("p")), image.pointer(image.address("p") + 8));
    assert_eq!(stop - start, 8);
    assert_eq!(image.bytes(start, 8), [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn a_definition_wins_over_the_convention_for_boundaries() {
    let defines = "toy le64\nabs start_list 0x77\n";
    let image = link_ok(&[("p.o", ENTRIES), ("a.o", &entry("01 02 03 04", "r")), ("d.o", defines)], &roots(&["p"]));
    assert_eq!(image.pointer(image.address("p")), 0x77);
    let stop = image.pointer(image.address("p") + 8);
    assert_eq!(image.bytes(stop - 4, 4), [1, 2, 3, 4]);
}

#[test]
fn boundaries_of_sections_that_do_not_exist_are_undefined_or_null_when_weak() {
    let errors = link_err(&[("p.o", ENTRIES)], &roots(&["p"]));
    assert_eq!(errors.len(), 2);
    let weak = ENTRIES.replacen("toy le64\n", "toy le64\nundef start_list weak\nundef stop_list weak\n", 1);
    let image = link_ok(&[("p.o", &weak)], &roots(&["p"]));
    assert_eq!(image.bytes(image.address("p"), 16), [0; 16]);
}

const ARRAYS: &str = "
toy le64
section ends r
label p global
rel ABS64 start_initialisers
rel ABS64 stop_initialisers
";

#[test]
fn boundaries_of_arrays_enclose_all_of_their_stage_in_the_order_in_which_they_run() {
    let first = "toy le64\nsection init rw init=init\nhex 03 00 00 00 00 00 00 00\nsection init.7 r init=init:7\nhex 02 00 00 00 00 00 00 00\n\
                 section fini r init=fini\nhex 09 00 00 00 00 00 00 00\n";
    let second = "toy le64\nsection init.5 r init=init:5\nhex 01 00 00 00 00 00 00 00\nsection any r init=init\nhex 04 00 00 00 00 00 00 00\n";
    let image = link_ok(&[("a.o", first), ("p.o", ARRAYS), ("b.o", second)], &roots(&["p"]));
    let (start, stop) = (image.pointer(image.address("p")), image.pointer(image.address("p") + 8));
    let pointers: Vec<u64> = (start..stop).step_by(8).map(|at| image.pointer(at)).collect();
    assert_eq!(pointers, [1, 2, 3, 4]);
    let image = link_ok(&[("p.o", ARRAYS)], &roots(&["p"]));
    assert_eq!(image.bytes(image.address("p"), 16), [0; 16], "none, though the names are not weak");
}

#[test]
fn an_array_that_runs_backwards_is_refused_where_start_up_code_walks_over_all() {
    let old = "toy le64\nsection ctors r init=init:65536:backwards\nhex 01 00 00 00 00 00 00 00\n";
    let errors = link_err(&[("p.o", ARRAYS), ("a.o", old)], &roots(&["p"]));
    let LinkError::Unsupported { site, .. } = errors.first() else { panic!("{errors}") };
    assert_eq!((site.object.as_str(), site.section.as_str()), ("a.o", "ctors"));
}

#[test]
fn boundaries_are_not_exported() {
    let image = link_ok(&[("p.o", ENTRIES), ("a.o", &entry("01 02 03 04", "r"))], &exported());
    assert_eq!((image.export("start_list"), image.export("stop_list")), (None, None));
}

#[test]
fn weak_references_to_nothing_are_null_through_slots_stubs_and_directly() {
    let text = "
toy le64
undef nothing weak
section .text rx
label load global
load nothing
ret
label call global
call nothing
ret
label call32 global
call32 nothing
ret
label lea global
lea nothing
ret
section .data rw
label pointer global
rel ABS64 nothing
rel ABS32 nothing
";
    let image = link_ok(&[("a.o", text)], &exported());
    assert_eq!(image.run("load"), [Loaded(0)]);
    assert_eq!(image.run("call"), [Left(0)]);
    assert_eq!(image.run("call32"), [Left(0)]);
    assert_eq!(image.run("lea"), [Loaded(0)]);
    assert_eq!(image.bytes(image.address("pointer"), 12), [0; 12]);
}

#[test]
fn a_weak_and_a_strong_reference_together_are_strong() {
    let weak = "toy le64\nundef f weak\nsection .text rx\nlabel w global\ncall32 f\nret\n";
    for objects in [[("w.o", weak), ("s.o", MAIN)], [("s.o", MAIN), ("w.o", weak)]] {
        assert_eq!(link_err(&objects, &exported()).first().code(), "undefined");
    }
}

#[test]
fn all_undefined_names_are_reported_together_with_places_and_counts() {
    let uses = "
toy le64
section .text rx
label main global
call32 f
call32 G
call32 f
lea f
rel ABS64 f
rel REL64 _main
";
    let errors = link_err(&[("a.o", uses), ("b.o", MAIN.replace("main", "other").as_str())], &exported());
    let text: Vec<String> = errors.iter().map(|error| error.to_string()).collect();
    let expected = [
        "f is not defined; referred to at a.o .text+0x4 (CALL32), a.o .text+0x14 (CALL32), a.o .text+0x1c (REL32), and 2 more",
        "G is not defined; referred to at a.o .text+0xc (CALL32)",
        "_main is not defined; referred to at a.o .text+0x28 (REL64)",
    ];
    assert_eq!(text, expected);
    let advice: Vec<String> = errors.iter().map(|error| error.advice()).collect();
    assert!(advice[0].starts_with("add the object, archive or library"), "{advice:?}");
    assert!(advice[2].starts_with("did you mean main?"), "{advice:?}");
}

#[test]
fn many_undefined_names_among_many_definitions_are_reported_in_reasonable_time() {
    let mut text = String::from("toy le64\nsection .text rx\nlabel main global\n");
    for index in 0..20_000 {
        text.push_str(&format!("label defined{index} global\nrel ABS64 missing{index}\n"));
    }
    let start = std::time::Instant::now();
    assert_eq!(link_err(&[("a.o", &text)], &exported()).len(), 20_000);
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

#[test]
fn hidden_references_are_not_served_from_outside() {
    let text = "toy le64\nundef outside hidden\nsection .text rx\nlabel main global\ncall32 outside\nret\n";
    let executor = executor().with_symbols([("outside", Addr(0x5000))]);
    let session = FromExecutor(&executor);
    let errors = link_with(&executor, &inputs(&[("a.o", text)]), &session, &exported()).err().unwrap();
    assert!(errors.first().advice().contains("hidden"), "{errors}");
    let image = link_with(&executor, &inputs(&[("a.o", &text.replace("hidden", ""))]), &session, &exported());
    assert_eq!(image.unwrap().run("main"), [Left(0x5000)]);
}

struct FromExecutor<'e>(&'e dyn jitlink_core::Executor);

impl jitlink_core::link::Resolver for FromExecutor<'_> {
    fn resolve(&self, names: &[&[u8]]) -> Result<Vec<Option<Definition>>, LinkError> {
        let found = self.0.lookup(names).map_err(LinkError::from)?;
        Ok(found.into_iter().map(|address| address.map(Definition::Address)).collect())
    }
}

#[test]
fn given_addresses_win_over_the_executor_and_lose_against_the_batch() {
    let executor = executor().with_symbols([("f", Addr(0x5000))]);
    let options = LinkOptions { defines: vec![("f".into(), Addr(0x6000))], ..exported() };
    let session = FromExecutor(&executor);
    let image = link_with(&executor, &inputs(&[("a.o", MAIN)]), &session, &options).unwrap();
    assert_eq!(image.run("main"), [Left(0x6000)]);
    let f = REAL.replace("real", "f");
    let image = link_with(&executor, &inputs(&[("a.o", MAIN), ("f.o", &f)]), &NoSymbols, &options).unwrap();
    assert_eq!(image.run("main"), [Tag(7)]);
}

#[test]
fn a_given_address_serves_a_weak_reference_too() {
    let weak = "toy le64\nundef f weak\nsection .text rx\nlabel main global\ncall32 f\nret\n";
    let options = LinkOptions { defines: vec![("f".into(), Addr(0x6000))], ..exported() };
    assert_eq!(link_ok(&[("a.o", weak)], &options).run("main"), [Left(0x6000)]);
}

#[test]
fn undefined_names_are_null_where_that_is_asked_for() {
    let options = LinkOptions { unresolved: Unresolved::Null, ..roots(&["main", "no_such_root"]) };
    let image = link_ok(&[("a.o", MAIN)], &options);
    assert_eq!(image.run("main"), [Left(0)]);
    assert_eq!(image.linked.roots, [Some(Addr(image.address("main"))), None]);
}

#[test]
fn a_root_may_be_anywhere_but_must_be_defined() {
    let absolute = "toy le64\nabs fixed 0x1234\n";
    let options = LinkOptions { defines: vec![("given".into(), Addr(0x99))], ..roots(&["given", "fixed", "real"]) };
    let image = link_ok(&[("a.o", absolute), ("b.o", REAL)], &options);
    assert_eq!(image.linked.roots, [Some(Addr(0x99)), Some(Addr(0x1234)), Some(Addr(image.address("real")))]);
    let errors = try_link(&[("b.o", REAL)], &roots(&["nowhere"])).err().unwrap();
    assert_eq!(errors.first().code(), "undefined");
}
