//! Updates that cannot be had while the program runs, or that are wrong: they say why, and change nothing.

use super::program::Program;
use super::{function, object};
use crate::kit::Event::*;

/// The errors of an update that must fail, as text; the program is as it was.
fn refused(program: &mut Program, objects: &[(&str, &str)]) -> String {
    let before = program.bytes();
    let errors = program.try_update(objects).expect_err("an update that fails");
    assert_eq!(program.bytes(), before, "a failed update changes nothing");
    errors.to_string()
}

#[test]
fn variables_that_would_lose_their_values_are_named() {
    let make = |data: &str| object(&[function("f", "tag 1"), data.to_string()]);
    let first = make("section .data rw\nlabel a global object size=1\nhex 01\nlabel b object size=1\nhex 02\n");
    let mut program = Program::new(&[("a.o", &first)]);
    let grown = make("section .data rw\nlabel a global object size=2\nhex 01 01\nlabel b object size=1\nhex 02\n");
    assert!(refused(&mut program, &[("a.o", &grown)]).contains("a.o: .data: a has 0x2 bytes now instead of 0x1"));
    let more = make(
        "section .data rw\nlabel a global object size=1\nhex 01\nlabel b object size=1\nhex 02\nlabel c object size=1\nhex 03\n",
    );
    let text = refused(&mut program, &[("a.o", &more)]);
    assert!(text.contains("a shares its section with variables that came, went"), "{text}");
    let moved = make("section .bss rw\nlabel a global object size=1\nzero 1\n");
    assert!(refused(&mut program, &[("a.o", &moved)]).contains("its value cannot be kept"));
    // It can still be updated otherwise.
    let fine = first.replace("tag 1", "tag 2");
    program.update(&[("a.o", &fine)]);
    assert_eq!(program.run("f"), [Tag(2)]);
}

#[test]
fn a_definition_that_becomes_tentative_is_refused() {
    let make = |what: &str| object(&[function("f", "tag 1"), what.to_string()]);
    let mut program = Program::new(&[("a.o", &make(&function("g", "tag 2")))]);
    let text = refused(&mut program, &[("a.o", &make("common g 4 4\n"))]);
    assert!(text.contains("a.o: g is a tentative definition now, and what it was would be lost"), "{text}");
    assert_eq!(program.exports(), ["f", "g"]);
}

#[test]
fn a_variable_that_moves_to_another_object_is_refused() {
    let variable = "section .data.v rw\nlabel v global object size=1\nhex 01\n".to_string();
    let (a, b) = (object(&[function("f", "lea v"), variable.clone()]), object(&[function("g", "tag 1")]));
    let mut program = Program::new(&[("a.o", &a), ("b.o", &b)]);
    let (a, b) = (object(&["undef v\n".into(), function("f", "lea v")]), object(&[function("g", "tag 1"), variable]));
    let text = refused(&mut program, &[("a.o", &a), ("b.o", &b)]);
    assert!(text.contains("b.o: the variable v would move, and its value be lost"), "{text}");
}

#[test]
fn a_name_that_others_need_cannot_go_unless_they_go_with_it() {
    let main = object(&["undef work\n".into(), function("main", "call32 work")]);
    let mut program = Program::new(&[("main.o", &main), ("work.o", &object(&[function("work", "tag 1")]))]);
    let without = object(&[function("other", "tag 2")]);
    let text = refused(&mut program, &[("work.o", &without)]);
    assert!(text.contains("work is not defined; referred to at main.o"), "{text}");
    let new = object(&["undef other\n".into(), function("main", "call32 other")]);
    let updated = program.update(&[("work.o", &without), ("main.o", &new)]);
    assert_eq!(updated.removed, ["work"]);
    assert_eq!(program.run("main"), [Tag(2)]);
}

#[test]
fn a_constant_that_others_read_changes_together_with_them() {
    let table = |byte: &str| object(&[format!("section .rodata.t r\nlabel table global object size=1\nhex {byte}\n")]);
    let reader = object(&["undef table\n".into(), function("reader", "lea table")]);
    let mut program = Program::new(&[("t.o", &table("01")), ("r.o", &reader)]);
    let text = refused(&mut program, &[("t.o", &table("02"))]);
    assert!(text.contains("t.o: table changed, and r.o refer to it directly"), "{text}");
    let updated = program.update(&[("t.o", &table("02")), ("r.o", &reader)]);
    assert_eq!(updated.replaced, ["reader"]);
    let Loaded(at) = program.run("reader")[0] else { panic!("an address is loaded") };
    assert_eq!(program.read(at, 1), [2]);
}

#[test]
fn names_that_change_their_nature_or_are_defined_twice_are_refused() {
    let a = object(&[function("f", "tag 1")]);
    let b = object(&[function("g", "tag 2")]);
    let mut program = Program::new(&[("a.o", &a), ("b.o", &b)]);
    let twice = object(&[function("f", "tag 1"), function("g", "tag 3")]);
    assert!(refused(&mut program, &[("a.o", &twice)]).contains("g is defined twice: in b.o and in a.o"));
    let variable = object(&["section .data rw\nlabel f global object size=1\nhex 01\n".into()]);
    assert!(refused(&mut program, &[("a.o", &variable)]).contains("f is a variable now, but was a function"));
    assert!(
        refused(&mut program, &[("n.o", "toy le64\n"), ("n.o", "toy le64\n")])
            .contains("two objects of the module have this name")
    );
    assert!(refused(&mut program, &[("a.o", "toy be64\n")]).contains("big-endian"));
    assert!(refused(&mut program, &[("a.o", "toy le64\nnonsense\n")]).contains("in \"nonsense\""));
    let missing = object(&["undef nowhere\n".into(), function("f", "call32 nowhere")]);
    assert!(refused(&mut program, &[("a.o", &missing)]).contains("nowhere is not defined"));
}

#[test]
fn an_end_of_a_run_does_not_become_a_definition() {
    let walk = function("walk", "lea start_list\nlea stop_list") + "undef start_list\nundef stop_list\n";
    let a = object(&[walk, "section list rw gathered\nhex 01\n".into()]);
    let mut program = Program::new(&[("a.o", &a)]);
    for text in [function("start_list", "ret"), "common start_list 8 8 object\n".into()] {
        let text = refused(&mut program, &[("b.o", &object(&[text]))]);
        assert!(
            text.contains("start_list is defined now, and was an end of sections that the program walks over"),
            "{text}"
        );
    }
    program.update(&[("a.o", &a)]);
}

#[test]
fn what_a_program_walks_over_cannot_change() {
    let make = |items: &str| {
        object(&[
            function("f", "lea start_list\nlea stop_list"),
            "undef start_list\nundef stop_list\n".into(),
            format!("section list rw gathered\nlabel item object size=1\nhex 01\n{items}"),
        ])
    };
    let mut program = Program::new(&[("a.o", &make(""))]);
    let text = refused(&mut program, &[("a.o", &make("section list rw gathered\nlabel more object size=1\nhex 02\n"))]);
    assert!(text.contains("section list changed, which the program walks over"), "{text}");
    let text = refused(&mut program, &[("a.o", &object(&[function("f", "tag 1")]))]);
    assert!(text.contains("section list changed"), "{text}");
}

#[test]
fn names_in_arrays_of_initialisers_that_are_left_out_are_refused() {
    let make = |more: &str| {
        object(&[
            "section .text.start rx\nlabel start func\ntag 1\nret\n".into(),
            format!("section .init_array rw init=init align=8\nlabel array global object\nrel ABS64 start\n{more}"),
        ])
    };
    let mut program = Program::new(&[("a.o", &make(""))]);
    let text = refused(&mut program, &[("a.o", &make("rel ABS64 start\n"))]);
    assert!(text.contains("a.o: .init_array is new or has another size, is left out of updates"), "{text}");
    program.update(&[("a.o", &make(""))]);
}

#[test]
fn a_name_that_came_from_elsewhere_first_is_counted_when_it_comes_and_goes() {
    let user = |tag: u32| object(&["undef late weak\n".into(), function(&format!("f{tag}"), "load late")]);
    let without = object(&[function("other", "tag 1")]);
    let with = object(&[function("other", "tag 1"), function("late", "tag 9")]);
    let (a, b) = (user(1), user(2));
    let mut program = Program::new(&[("a.o", &a), ("b.o", &b), ("c.o", &without)]);
    program.update(&[("c.o", &with)]);
    program.update(&[("b.o", &b.replace("load late", "tag 5\nload late"))]);
    // Now b.o refers to it; that a.o needs it no more must not hide that.
    program.update(&[("a.o", &object(&[function("f1", "tag 2")]))]);
    let text = refused(&mut program, &[("c.o", &without)]);
    assert!(text.contains("late is not defined; referred to at b.o"), "{text}");
    let gone = program.update(&[("c.o", &without), ("b.o", &object(&[function("f2", "tag 3")]))]);
    assert_eq!(gone.removed, ["late"]);
}

#[test]
fn variables_that_refer_to_what_changed_by_less_than_a_pointer_are_refused() {
    let make = |tag: u32| {
        object(&[
            format!("section .text.local rx\nlabel local func\ntag {tag}\nret\n"),
            "section .data.d rw align=4\nlabel d global object size=4\nrel REL32 local\n".into(),
        ])
    };
    let mut program = Program::new(&[("a.o", &make(1))]);
    let text = refused(&mut program, &[("a.o", &make(2))]);
    assert!(text.contains(".data.d+0x0: REL32 against local: a variable refers to code or constants"), "{text}");
    program.update(&[("a.o", &make(1))]);
}
