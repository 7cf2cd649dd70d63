//! Objects, or parts of them, that look the same as before and yet mean something else, because what they refer to is elsewhere now;
//! and copies of groups, whose meaning depends on the objects that have others.

use super::program::Program;
use super::{function, object};
use crate::kit::Event::*;

fn group(more: &str) -> String {
    format!("group g any\nsection .text.g rx group=g\nlabel f global func\ntag 1\nret\n{more}")
}

fn more(name: &str) -> String {
    format!("label {name} global func\ntag 2\nret\n")
}

#[test]
fn a_copy_of_a_group_that_is_given_alone_gives_way_as_in_a_link_of_all() {
    let a = object(&[group(""), function("a", "tag 3")]);
    let b = object(&[group(&more("b_only")), function("b", "call32 f")]);
    let mut program = Program::new(&[("a.o", &a), ("b.o", &b)]);
    assert_eq!(program.exports(), ["a", "b", "f"]);
    for b in [&b, &b.replace("call32 f", "tag 4\ncall32 f")] {
        program.update(&[("b.o", b)]);
        assert_eq!(program.exports(), ["a", "b", "f"]);
    }
    assert_eq!(program.run("b"), [Tag(4), Tag(1)]);
    // The first object gives its copy up, and finds another when it has one again.
    program.update(&[("a.o", &object(&[function("a", "tag 3")])), ("b.o", &b)]);
    assert_eq!(program.exports(), ["a", "b", "b_only", "f"]);
    program.update(&[("a.o", &object(&[group(&more("a_only")), function("a", "call32 f")]))]);
    assert_eq!(program.exports(), ["a", "b", "b_only", "f"]);
    assert_eq!(program.run("a"), [Tag(1)]);
    // What only the copy has that gives way is nowhere.
    let missing = object(&[group(&more("a_only")), function("a", "call32 a_only")]);
    let errors = program.try_update(&[("a.o", &missing)]).expect_err("nothing defines it").to_string();
    assert!(errors.contains("a_only is not defined"), "{errors}");
}

#[test]
fn a_second_copy_of_a_group_that_may_have_only_one_is_refused() {
    let one = object(&[group("").replace(" any", " nodup")]);
    let mut program = Program::new(&[("a.o", &one)]);
    let errors = program.try_update(&[("b.o", &one)]).expect_err("there is one").to_string();
    assert!(errors.contains("may have only one copy"), "{errors}");
    program.update(&[("a.o", &one)]);
}

/// A constant that holds a number which is known by name.
fn holder(name: &str) -> String {
    format!("section .rodata.{name} r align=8\nlabel {name} global object size=8\nrel ABS64 number\n")
}

#[test]
fn numbers_that_change_are_found_by_all_that_hold_them() {
    for scope in ["global", "local"] {
        let a = |number: u32| object(&[format!("abs number {number} {scope}\n"), holder("k")]);
        let mut program = Program::new(&[("a.o", &a(5))]);
        assert_eq!(program.pointer("k"), 5);
        program.update(&[("a.o", &a(6))]);
        assert_eq!(program.pointer("k"), 6);
    }
}

#[test]
fn a_number_that_others_hold_changes_together_with_them() {
    let a = |number: u32| object(&[format!("abs number {number} global\n")]);
    let b = object(&["undef number\n".into(), holder("k")]);
    let mut program = Program::new(&[("a.o", &a(5)), ("b.o", &b)]);
    let errors = program.try_update(&[("a.o", &a(6))]).expect_err("b.o holds it").to_string();
    assert!(errors.contains("a.o: number changed, and b.o refer to it directly"), "{errors}");
    program.update(&[("a.o", &a(6)), ("b.o", &b)]);
    assert_eq!(program.pointer("k"), 6);
    let function = object(&[function("number", "tag 1")]);
    let errors = program.try_update(&[("a.o", &function), ("b.o", &b)]).expect_err("it has no entry").to_string();
    assert!(errors.contains("number is a function now, but was a variable"), "{errors}");
}

#[test]
fn a_function_that_becomes_a_number_is_refused() {
    let mut program = Program::new(&[("a.o", &object(&[function("f", "tag 1")]))]);
    let errors = program.try_update(&[("a.o", "toy le64\nabs f 5 global\n")]).expect_err("f has an entry").to_string();
    assert!(errors.contains("f is a variable now, but was a function"), "{errors}");
    assert_eq!(program.run("f"), [Tag(1)]);
}

#[test]
fn code_that_is_given_again_finds_what_the_module_defines_since() {
    let user = object(&["undef late weak\n".into(), function("f", "load late")]);
    let without = object(&[function("other", "tag 1")]);
    let mut program = Program::new(&[("a.o", &user), ("b.o", &without)]);
    let before = program.run("f");
    program.update(&[("b.o", &object(&[function("other", "tag 1"), function("late", "tag 9")]))]);
    assert_eq!(program.run("f"), before, "it was not given again");
    assert_eq!(program.update(&[("a.o", &user)]).replaced, ["f"]);
    assert_eq!(program.run("f"), [Loaded(program.address("late"))]);
    assert!(program.update(&[("a.o", &user)]).replaced.is_empty());
}

#[test]
fn code_that_looks_the_same_finds_the_variable_that_took_the_place_of_another() {
    let a = "section .data rw\nlabel a object size=4\nzero 4\n".to_string();
    let b = "section .data rw\nlabel b object size=8\nzero 8\n".to_string();
    let first = object(&[function("f", "lea a"), function("g", "lea b"), a.clone(), b.clone()]);
    let mut program = Program::new(&[("a.o", &first)]);
    let (at_a, at_b) = (program.run("f"), program.run("g"));
    assert_ne!(at_a, at_b);
    let second = object(&[function("f", "lea b"), function("g", "lea a"), b, a]);
    for _ in 0..2 {
        program.update(&[("a.o", &second)]);
        assert_eq!((program.run("f"), program.run("g")), (at_b.clone(), at_a.clone()));
    }
    assert!(program.update(&[("a.o", &second)]).replaced.is_empty());
}

#[test]
fn a_variable_of_each_thread_does_not_become_one_of_all() {
    let each = object(&["section .tdata rw tls\nlabel v global tls size=4\nzero 4\n".into()]);
    let all = object(&["section .data rw\nlabel v global object size=4\nzero 4\n".into()]);
    let mut program = Program::new(&[("a.o", &all)]);
    let errors = program.try_update(&[("a.o", &each)]).expect_err("its value would be lost").to_string();
    assert!(errors.contains("v cannot be told from another variable of its name, or must be placed"), "{errors}");
    program.update(&[("a.o", &all)]);
}

#[test]
fn sections_that_nothing_walks_over_come_and_go_until_something_does() {
    let item = |byte: &str| format!("section list rw gathered\nhex {byte}\n");
    let walk = || function("walk", "lea start_list\nlea stop_list") + "undef start_list\nundef stop_list\n";
    let a = object(&[function("f", "tag 1"), item("01")]);
    let mut program = Program::new(&[("a.o", &a), ("b.o", &object(&[item("02")]))]);
    program.update(&[("a.o", &a)]);
    let a = object(&[function("f", "tag 2"), item("03 04")]);
    program.update(&[("a.o", &a)]);
    let walking = object(&[function("f", "tag 2"), item("03 04"), walk()]);
    let errors = program.try_update(&[("a.o", &walking)]).expect_err("b.o has a part of it").to_string();
    assert!(errors.contains("list of the module do not lie together"), "{errors}");
    program.update(&[("a.o", &walking), ("b.o", &object(&[item("02")]))]);
    let [Loaded(start), Loaded(end)] = program.run("walk")[..] else { panic!("two addresses are loaded") };
    assert_eq!(program.read(start, (end - start) as usize), [3, 4, 2]);
    let errors = program.try_update(&[("b.o", &object(&[item("05")]))]).expect_err("it is walked over").to_string();
    assert!(errors.contains("section list changed"), "{errors}");
}

#[test]
fn a_run_is_walked_over_only_where_live_code_refers_to_its_ends() {
    // The group keeps its part of the run; the reference to an end is nobody's.
    let ends = "undef start_list\n";
    let kept = format!(
        "{}group g any\nsection .text.f rx group=g\nlabel f global\nret\nsection list rw gathered group=g\nhex 01\n",
        object(&[ends.into()])
    );
    let other = object(&[function("h", "ret"), "section list rw gathered\nhex 02\n".into()]);
    let mut program = Program::new(&[("a.o", &kept), ("b.o", &other)]);
    for _ in 0..2 {
        program.update(&[("a.o", &kept), ("b.o", &other)]);
        program.update(&[("b.o", &other)]);
    }
    program.update(&[("b.o", &object(&[function("h", "ret")]))]);
}
