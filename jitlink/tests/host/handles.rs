//! Handles: what they refuse, and what they keep.

use crate::{fixture, link, session};
use jitlink::{
    Function, FunctionType, ImageConfig, ImageExecutor, Input, LinkOptions, Module, Registry, RemoveError, Session,
    SymbolError, Variable,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU8, Ordering};

type Unary = extern "C" fn(i32) -> i32;

fn function<F: FunctionType>(module: &Module, name: &str) -> Result<Function<F>, SymbolError> {
    // SAFETY: the fixtures that these tests link define the functions that they ask for with these types, or nothing that could be called.
    unsafe { module.function(name) }
}

fn variable<T>(module: &Module, name: &str) -> Result<Variable<T>, SymbolError> {
    // SAFETY: as above; nothing is read at other types than those of the fixtures.
    unsafe { module.variable(name) }
}

/// What a handle was refused for.
fn refusal<T>(result: Result<T, SymbolError>) -> String {
    result.err().expect("a refusal").to_string()
}

#[test]
fn functions_are_code_that_the_module_defines() {
    let session = session();
    let module = link(&session, &fixture("kinds.o"));
    assert_eq!(function::<Unary>(&module, "function").expect("a function").call(1), 2);
    assert_eq!(function::<Unary>(&module, "label").expect("code").call(1), 3, "a label of assembly has no type");
    let refused = |name| refusal(function::<Unary>(&module, name));
    assert_eq!(refused("nothing"), "kinds.o defines no nothing that others see");
    assert_eq!(refused("hidden"), "kinds.o defines no hidden that others see");
    assert_eq!(refused("number"), "number of kinds.o is not a function; it is data");
    assert_eq!(refused("in_code"), "in_code of kinds.o is not a function; it is data");
    assert_eq!(refused("per_thread"), "per_thread of kinds.o is not a function; it is a thread-local variable");
    for name in ["unsized", "code_in_data"] {
        assert_eq!(refused(name), format!("{name} of kinds.o is not a function; it is in memory for data"));
    }
    let elsewhere = "absolute of kinds.o is not a function; it is 0x1234, which is not in the module's memory";
    assert_eq!(refused("absolute"), elsewhere);
    assert_eq!(refused("null"), "kinds.o defines null as the address zero");
    module.remove().expect("a refusal holds nothing");
    assert_eq!(refused("function"), "kinds.o, which was asked for function, was removed");
}

#[test]
fn variables_are_data_of_their_type_s_size_and_alignment() {
    let session = session();
    let module = link(&session, &fixture("kinds.o"));
    let number = variable::<AtomicI64>(&module, "number").expect("a variable");
    assert_eq!(number.fetch_add(1, Ordering::Relaxed), 41);
    let same = variable::<i64>(&module, "number").expect("a variable");
    // SAFETY: no other thread has this module.
    assert_eq!(unsafe { same.as_ptr().read() }, 42);
    // SAFETY: as above.
    unsafe { same.as_ptr().write(50) };
    assert_eq!(number.load(Ordering::Relaxed), 50);
    // SAFETY: as above.
    let constant = unsafe { variable::<u8>(&module, "constant").expect("a constant").as_ptr().read() };
    assert_eq!(constant, 44);
    assert!(variable::<AtomicI64>(&module, "unsized").is_ok_and(|data| data.load(Ordering::Relaxed) == 42));
    assert_eq!(
        refusal(variable::<i32>(&module, "number")),
        "number has 8 bytes, and the type that was asked for has 4"
    );
    let odd = refusal(variable::<i64>(&module, "odd"));
    assert!(odd.contains("which is not a multiple of 8, the alignment of the type that was asked for"), "{odd}");
    assert!(variable::<[u8; 8]>(&module, "odd").is_ok());
    let refused = |name| refusal(variable::<u8>(&module, name));
    assert_eq!(refused("function"), "function of kinds.o is not a variable; it is a function");
    assert_eq!(refused("label"), "label of kinds.o is not a variable; it is in memory for code");
    assert!(refused("per_thread").contains("it is thread-local: each thread has its own"));
    assert_eq!(
        refused("absolute"),
        "absolute of kinds.o is not a variable; it is 0x1234, where the module has no 1 bytes"
    );
    assert_eq!(refused("null"), "kinds.o defines null as the address zero");
    assert_eq!(refused("nothing"), "kinds.o defines no nothing that others see");
    // `unsized` is within the module's memory; what would go past the end of it is not.
    let large = refusal(variable::<[u8; 1 << 24]>(&module, "unsized"));
    assert!(large.contains("where the module has no 16777216 bytes"), "{large}");
}

#[test]
fn a_module_stays_while_there_are_handles() {
    let session = session();
    let module = link(&session, &fixture("kinds.o"));
    let first = function::<Unary>(&module, "function").expect("a function");
    let second = first.clone();
    let number = variable::<AtomicI64>(&module, "number").expect("a variable");
    let held = |count| Err(RemoveError::Held { module: "kinds.o".into(), handles: count });
    assert_eq!(module.remove(), held(3));
    drop(number);
    drop(first);
    assert_eq!(module.remove(), held(1));
    assert_eq!(second.call(7), 8);
    drop(second);
    assert_eq!(module.remove(), Ok(()));
}

#[test]
fn handles_outlive_their_session() {
    let session = session();
    let module = link(&session, &fixture("kinds.o"));
    // SAFETY: as the fixture defines it.
    let add = unsafe { session.library("main").function::<Unary>("function") }.expect("a function");
    // SAFETY: as above.
    let number = unsafe { session.library("main").variable::<AtomicI64>("number") }.expect("a variable");
    drop((session, module));
    let other = std::thread::spawn(move || add.call(number.load(Ordering::Relaxed) as i32));
    assert_eq!(other.join().expect("a thread that ends"), 42);
}

#[test]
fn a_library_says_what_it_does_not_define() {
    let session = session();
    // SAFETY: there is nothing to call.
    let nothing = unsafe { session.library("main").function::<Unary>("nothing") };
    assert_eq!(refusal(nothing), "the library \"main\" defines no nothing that others see");
}

#[test]
fn nothing_is_called_that_is_not_in_this_process() {
    let image = ImageExecutor::new(ImageConfig::default()).expect("an image");
    let session = Session::new(Registry::global().expect("a registry"), Arc::new(image));
    let module = link(&session, &fixture("add.o"));
    let expected = "add is not in this process: the executor \"image\" links for somewhere else";
    assert_eq!(refusal(function::<extern "C" fn(i32, i32) -> i32>(&module, "add")), expected);
    assert_eq!(refusal(variable::<u8>(&module, "add")), expected);
}

fn version(name: &str, file: &str) -> Input {
    let path = format!("{}/tests/fixtures/{file}", env!("CARGO_MANIFEST_DIR"));
    Input::from_bytes(name, std::fs::read(path).expect("a fixture"))
}

fn update(module: &Module, new: Input) {
    // SAFETY: the fixtures' functions of one name have one type.
    unsafe { module.update(&[new]) }.unwrap_or_else(|errors| panic!("{errors}"));
}

#[test]
fn handles_stay_across_updates() {
    let session = session();
    let options = LinkOptions { updatable: true, ..LinkOptions::default() };
    let module = session.link(&[version("answer.o", "answer-1.o")], &options).expect("a link");
    let answer = function::<Unary>(&module, "answer").expect("a function");
    let calls = variable::<AtomicI32>(&module, "calls").expect("a variable");
    for (file, expected) in [("answer-2.o", 40), ("answer-1.o", 5), ("answer-2.o", 40)] {
        update(&module, version("answer.o", file));
        // SAFETY: no thread is in replaced code.
        unsafe { module.reclaim() };
        assert_eq!(answer.call(4), expected, "{file}");
        assert_eq!(function::<Unary>(&module, "answer").expect("it is there").call(4), expected);
    }
    assert_eq!(calls.load(Ordering::Relaxed), 6);
    assert!(matches!(module.remove(), Err(RemoveError::Held { handles: 2, .. })));
}

#[test]
fn what_an_update_removes_stays_for_its_handle() {
    let session = session();
    let options = LinkOptions { updatable: true, ..LinkOptions::default() };
    let inputs = [version("main.o", "update/main.o"), version("work.o", "update/work1.o")];
    let module = session.link(&inputs, &options).expect("a link");
    let first = function::<Unary>(&module, "first_only").expect("a function");
    let before = first.call(0);
    update(&module, version("work.o", "update/work2.o"));
    let second = function::<Unary>(&module, "second_only").expect("it came with the update");
    assert_eq!((first.call(0), second.call(0)), (before, 30));
    assert!(matches!(function::<Unary>(&module, "first_only"), Err(SymbolError::Undefined { .. })));
    update(&module, version("work.o", "update/work1.o"));
    // SAFETY: no thread is in replaced code, and names that were removed are held by handles alone, which the module knows.
    unsafe { module.reclaim() };
    assert_eq!((first.call(0), second.call(0)), (before, 30), "both have gone, and come");
    assert_eq!(function::<Unary>(&module, "first_only").expect("it is back").call(0), before);
}

#[test]
fn constants_that_an_update_places_anew_stay_for_their_handle() {
    let session = session();
    let options = LinkOptions { updatable: true, ..LinkOptions::default() };
    let object = |value: u8| {
        let code = format!(".section .rodata\n.globl c\n.type c, @object\nc: .byte {value}\n.size c, 1\n");
        let compiler = crate::compilers::find(crate::compilers::C_COMPILERS[0])?;
        let made = crate::compilers::text(&compiler, "s", &code, "");
        Some(Input::from_bytes("constant.o", made.bytes()))
    };
    let (Some(one), Some(two)) = (object(1), object(2)) else { return };
    let module = session.link(&[one], &options).expect("a link");
    let read = |constant: &Variable<u8>| {
        // SAFETY: it is a constant of the module, which the handle keeps.
        unsafe { constant.as_ptr().read() }
    };
    let first = variable::<u8>(&module, "c").expect("a constant");
    update(&module, two);
    let second = variable::<u8>(&module, "c").expect("a constant, in the memory of the update");
    // SAFETY: nothing of the module runs.
    unsafe { module.reclaim() };
    assert_eq!((read(&first), read(&second)), (1, 2));
    assert!(matches!(function::<Unary>(&module, "c"), Err(SymbolError::Kind { .. })));
    assert!(matches!(variable::<AtomicU8>(&module, "c"), Ok(again) if again.address() == second.address()));
}
