//! Updates: what changed is linked again, the rest stays where it is.

mod moved;
mod program;
mod random;
mod refused;

use crate::kit::{Event::*, Image, exported, link_ok};
use jitlink_core::graph::Protection;
use jitlink_core::link::LinkOptions;
use program::Program;

fn updatable() -> LinkOptions {
    LinkOptions { updatable: true, ..exported() }
}

/// A function in a section of its own.
fn function(name: &str, body: &str) -> String {
    format!("section .text.{name} rx\nlabel {name} global func\n{body}\nret\n")
}

fn object(parts: &[String]) -> String {
    format!("toy le64\n{}", parts.concat())
}

fn section(image: &Image, name: &str) -> (u64, u64) {
    image.section("(jitlink)", name).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn a_function_that_others_see_has_one_address_which_is_its_entry() {
    let main = function("main", "call32 callee\nloadx callee\nlea callee\ncall32 own\ncall32 near");
    let callee = function("callee", "tag 1");
    let own = "section .text.own rx\nlabel own hidden func\ntag 2\nret\nlabel near func\ntag 3\nret\n".to_string();
    let data = "section .data rw\nlabel pointer global object\nrel ABS64 callee\n".to_string();
    let code = object(&[main, callee, own, data]);
    let image = link_ok(&[("a.o", &code)], &updatable());
    let callee = image.export("callee").expect("an export");
    assert_eq!(image.run("main"), [Tag(1), Loaded(callee), Loaded(callee), Tag(2), Tag(3)]);
    assert_eq!(image.pointer(image.address("pointer")), callee);
    let (entries, size) = section(&image, ".entries");
    assert!((entries..entries + size).contains(&callee));
    let (slots, size) = section(&image, ".entries.slots");
    assert_eq!((image.protection(slots), size), (Some(Protection::ReadWrite), 24), "main, callee and own");
    let direct = link_ok(&[("a.o", &code)], &exported());
    assert_eq!((direct.linked.statistics.slots, direct.linked.statistics.stubs), (0, 0), "others pay nothing");
}

#[test]
fn an_entry_for_each_of_many_functions_has_room() {
    let all = (0..200).map(|index| {
        let next = (index * 7 + 1) % 200;
        function(&format!("f{index}"), &format!("call32 f{next}\nload f{next}\nlea f{next}\ntag {index}"))
    });
    let image = link_ok(&[("a.o", &object(&all.collect::<Vec<_>>()))], &updatable());
    assert_eq!(image.linked.statistics.stubs, 200 + 200 - 200);
    assert_eq!(section(&image, ".entries.slots").1, 200 * 8);
}

#[test]
fn a_replaced_function_keeps_its_address_and_all_others_their_places() {
    let main =
        object(&[function("main", "call32 work\ncall32 other"), "section .data rw\nlabel p\nrel ABS64 work\n".into()]);
    let first = object(&[function("work", "tag 1"), function("other", "tag 5")]);
    let mut program = Program::new(&[("main.o", &main), ("work.o", &first)]);
    assert_eq!(program.run("main"), [Tag(1), Tag(5)]);
    let (work, other, before) = (program.address("work"), program.code("other"), program.bytes());
    let second = object(&[function("work", "tag 2\ntag 3\ncall32 other"), function("other", "tag 5")]);
    let updated = program.update(&[("work.o", &second)]);
    assert_eq!((updated.replaced, updated.added, updated.removed), (vec!["work".to_string()], vec![], vec![]));
    assert_eq!(program.run("main"), [Tag(2), Tag(3), Tag(5), Tag(5)]);
    assert_eq!((program.address("work"), program.code("other")), (work, other));
    let after = program.bytes();
    let changed = before.iter().filter(|segment| !after.contains(segment)).count();
    assert_eq!(changed, 1, "of what stood, only the segment with the slots changed");
    assert_eq!(after.len(), before.len() + 1, "only the new code is new");
    // The same again changes nothing.
    let updated = program.update(&[("work.o", &second)]);
    assert!(updated.replaced.is_empty(), "{:?}", updated.replaced);
    assert_eq!(program.bytes(), after);
}

#[test]
fn functions_come_and_go() {
    let main = object(&[function("main", "call32 work")]);
    let first = object(&[function("work", "call32 helper"), function("helper", "tag 1")]);
    let mut program = Program::new(&[("main.o", &main), ("work.o", &first)]);
    let second = object(&[function("work", "call32 new"), function("new", "tag 9")]);
    let updated = program.update(&[("work.o", &second)]);
    assert_eq!((updated.added, updated.removed), (vec!["new".to_string()], vec!["helper".to_string()]));
    assert_eq!(program.run("main"), [Tag(9)]);
    assert!(program.exports().contains(&"new".to_string()) && !program.exports().contains(&"helper".to_string()));
    let updated = program.update(&[("work.o", &first), ("extra.o", &object(&[function("extra", "call32 work")]))]);
    assert_eq!((updated.added.len(), updated.removed), (2, vec!["new".to_string()]));
    assert_eq!((program.run("main"), program.run("extra")), (vec![Tag(1)], vec![Tag(1)]));
}

#[test]
fn what_refers_directly_to_something_that_changed_is_linked_again_with_it() {
    let local = |tag: u32| format!("section .text.local rx\nlabel local func\ntag {tag}\nret\n");
    let constant = |byte: &str| format!("section .rodata r\nlabel constant\nhex {byte}\n");
    let make = |tag: u32, byte: &str| {
        object(&[
            function("calls", "call32 local"),
            function("reads", "lea constant"),
            function("neither", "tag 3"),
            local(tag),
            constant(byte),
        ])
    };
    let mut program = Program::new(&[("a.o", &make(1, "01"))]);
    let neither = program.code("neither");
    assert_eq!(program.update(&[("a.o", &make(2, "01"))]).replaced, ["calls"]);
    assert_eq!(program.run("calls"), [Tag(2)]);
    assert_eq!(program.update(&[("a.o", &make(2, "02"))]).replaced, ["reads"]);
    let Loaded(constant) = program.run("reads")[0] else { panic!("an address is loaded") };
    assert_eq!(program.read(constant, 1), [2]);
    assert_eq!(program.code("neither"), neither);
}

#[test]
fn variables_keep_their_places_and_values_and_pointers_that_nobody_changed_follow() {
    let make = |tag: u32, value: &str| {
        let data = format!(
            "section .data.v rw\nlabel v global object size=1\nhex {value}\n\
             section .data.p rw align=8\nlabel p global object size=8\nrel ABS64 local\n\
             section .data.q rw align=8\nlabel q global object size=8\nrel ABS64 local\n"
        );
        object(&[format!("section .text.local rx\nlabel local func\ntag {tag}\nret\n"), data])
    };
    let mut program = Program::new(&[("a.o", &make(1, "07"))]);
    let (p, q, old) = (program.address("p"), program.address("q"), program.pointer("p"));
    program.store("q", 0x1234);
    let updated = program.update(&[("a.o", &make(2, "09"))]);
    assert!(updated.added.is_empty() && updated.removed.is_empty());
    assert_eq!((program.address("p"), program.address("q")), (p, q));
    assert_eq!(program.read(program.address("v"), 1), [7], "a first value is not given twice");
    assert_ne!(program.pointer("p"), old);
    assert_eq!(program.run_at(program.pointer("p")), [Tag(2)]);
    assert_eq!(program.pointer("q"), 0x1234, "what the program stored stays");
}

#[test]
fn new_variables_come_with_their_first_values_and_old_ones_are_found_again_under_a_new_number() {
    let first = object(&[
        function("f", "lea count.1"),
        "section .bss.count.1 rw\nlabel count.1 object size=4\nzero 4\n".into(),
    ]);
    let second = object(&[
        function("f", "lea count.2\nlea fresh"),
        "section .bss.count.2 rw\nlabel count.2 object size=4\nzero 4\n".into(),
        "section .data.fresh rw\nlabel fresh object size=1\nhex 2a\n".into(),
    ]);
    let mut program = Program::new(&[("a.o", &first)]);
    let before = program.run("f");
    program.update(&[("a.o", &second)]);
    let after = program.run("f");
    assert_eq!(after[0], before[0]);
    let Loaded(fresh) = after[1] else { panic!("an address is loaded") };
    assert_eq!(program.read(fresh, 1), [0x2a]);
}

#[test]
fn hidden_names_and_weak_definitions_of_other_objects_are_found() {
    let inline = |tag: u32| {
        format!(
            "group inline any\nsection .text.inline rx group=inline\nlabel inline global weak func\ntag {tag}\nret\n"
        )
    };
    let a = object(&["section .text.secret rx\nlabel secret hidden func\ntag 4\nret\n".into(), inline(1)]);
    let b = object(&["undef secret hidden\n".into(), function("b", "call32 inline"), inline(1)]);
    let mut program = Program::new(&[("a.o", &a), ("b.o", &b)]);
    let again = object(&["undef secret hidden\n".into(), function("b", "call32 inline\ncall32 secret"), inline(1)]);
    program.update(&[("b.o", &again)]);
    assert_eq!(program.run("b"), [Tag(1), Tag(4)]);
    // The copy that is kept is the first object's; both are updated, so both are new.
    program.update(&[("b.o", &again.replace("tag 1", "tag 2")), ("a.o", &a.replace("tag 1", "tag 2"))]);
    assert_eq!(program.run("b"), [Tag(2), Tag(4)]);
}

#[test]
fn data_that_refers_narrowly_to_what_no_update_moves_stays() {
    let data = "section .data rw\nlabel v global object size=12\nrel SIZE _handle_\nrel REL32 _handle_\nrel SIZE d\n";
    let debug = "section .debug unloaded\nlabel d global\nret\n";
    let of = |tag: u64| object(&[function("f", &format!("tag {tag}")), format!("undef _handle_\n{data}{debug}")]);
    let mut program = Program::new(&[("a.o", &of(1))]);
    for tag in [1, 2] {
        program.update(&[("a.o", &of(tag))]);
        assert_eq!(program.run("f"), [Tag(tag)]);
    }
}

#[test]
fn names_in_debug_sections_come_and_go() {
    let user = object(&[function("f", "tag 1\ncall32 n"), "undef n weak\n".into()]);
    let mut program = Program::new(&[("a.o", &user)]);
    let debug = object(&["section .debug unloaded\nlabel n global\nret\n".into()]);
    for _ in 0..2 {
        assert!(program.update(&[("b.o", &debug)]).added.is_empty());
    }
    program.update(&[("b.o", "toy le64\n")]);
}

#[test]
fn common_symbols_and_handles_are_those_of_the_module() {
    let make = |tag: u32| {
        object(&[
            function("f", &format!("tag {tag}\nlea shared\nlea _handle_")),
            "undef _handle_\ncommon shared 8 8 object\n".into(),
        ])
    };
    let other =
        object(&[function("g", "lea shared\nlea _handle_"), "undef _handle_\ncommon shared 8 8 object\n".into()]);
    let mut program = Program::new(&[("a.o", &make(1)), ("b.o", &other)]);
    let before = program.run("g");
    program.update(&[("a.o", &make(2))]);
    assert_eq!(program.run("f"), [vec![Tag(2)], before.clone()].concat());
    assert_eq!(program.run("g"), before);
}

#[test]
fn memory_stays_the_same_over_a_thousand_updates_with_quiescent_points() {
    let make = |tag: u32| {
        let locals: String = (0..tag % 7).map(|index| format!("tag {index}\n")).collect();
        object(&[
            function("work", &format!("call32 local\nlea text\ntag {tag}")),
            format!("section .text.local rx\nlabel local func\n{locals}ret\n"),
            format!("section .rodata r\nlabel text\nhex {:02x}\n", tag % 256),
        ])
    };
    let mut program = Program::new(&[("main.o", &object(&[function("main", "call32 work")])), ("a.o", &make(0))]);
    let mut most = 0;
    for round in 1..=1000 {
        program.update(&[("a.o", &make(round))]);
        program.reclaim();
        assert_eq!(program.run("main").last(), Some(&Tag(u64::from(round))));
        most = most.max(program.allocations());
    }
    assert!(most <= 3, "{most} allocations");
}

#[test]
fn all_that_a_program_walks_over_stays_and_is_found_where_it_is() {
    let make = |tag: u32| {
        object(&[
            function("f", &format!("tag {tag}\nlea start_list\nlea stop_list")),
            "section list rw gathered\nlabel item object size=1\nhex 01\n".into(),
            "undef start_list\nundef stop_list\n".into(),
        ])
    };
    let mut program =
        Program::new(&[("a.o", &make(1)), ("b.o", &object(&["section list rw gathered\nhex 02\n".into()]))]);
    let before = program.run("f");
    program.update(&[("a.o", &make(2))]);
    assert_eq!(program.run("f")[1..], before[1..]);
}

#[test]
fn initialisers_stay_what_they_were_and_the_update_says_so() {
    let make = |tag: u32, more: &str| {
        object(&[
            format!("section .text.start rx\nlabel start func\ntag {tag}\nret\n"),
            format!("section .init_array rw init=init align=8\nrel ABS64 start\n{more}"),
        ])
    };
    let mut program = Program::new(&[("a.o", &make(1, ""))]);
    let array = program.initialisers()[0];
    assert!(!program.update(&[("a.o", &make(2, ""))]).skips_initialisers);
    assert_eq!(program.run_at(program.pointer_at(array)), [Tag(2)], "it would run the new code");
    assert!(program.update(&[("a.o", &make(2, "rel ABS64 start\n"))]).skips_initialisers);
    assert_eq!(program.initialisers(), [array]);
}

#[test]
fn of_several_weak_definitions_the_same_one_counts_in_whatever_order_objects_are_given() {
    let make = |value: &str, tag: u32| {
        object(&[
            format!("section .rodata.w r\nlabel w global weak object size=1\nhex {value}\n"),
            function(&format!("f{tag}"), &format!("tag {tag}")),
        ])
    };
    let reader = object(&["undef w\n".into(), function("reader", "lea w")]);
    let (a, b) = (make("0a", 1), make("0b", 2));
    let mut program = Program::new(&[("a.o", &a), ("b.o", &b), ("reader.o", &reader)]);
    let before = program.run("reader");
    program.update(&[("b.o", &b.replace("tag 2", "tag 4")), ("a.o", &a.replace("tag 1", "tag 3"))]);
    assert_eq!(program.run("reader"), before);
    assert_eq!((program.run("f1"), program.run("f2")), (vec![Tag(3)], vec![Tag(4)]));
    program.reclaim();
    let Loaded(w) = program.run("reader")[0] else { panic!("an address is loaded") };
    assert_eq!(program.read(w, 1), [0x0a]);
}
