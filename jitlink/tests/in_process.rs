//! Modules in this process: their code runs, their initialisers and finalisers run in order, and removal leaves nothing behind.
#![cfg(all(feature = "elf", feature = "x86", feature = "in-process", target_arch = "x86_64", target_os = "linux"))]

use jitlink::{Input, LinkOptions, Module, RemoveError, Roots, Session};
use std::ffi::CString;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Events that the modules record. One test at a time uses it, and counts this process's mappings.
static EVENTS: Mutex<Vec<i32>> = Mutex::new(Vec::new());
static TURN: Mutex<()> = Mutex::new(());

extern "C" fn record(event: i32) {
    EVENTS.lock().unwrap_or_else(PoisonError::into_inner).push(event);
}

fn events() -> Vec<i32> {
    std::mem::take(&mut EVENTS.lock().unwrap_or_else(PoisonError::into_inner))
}

fn turn() -> MutexGuard<'static, ()> {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    events();
    turn
}

fn session() -> Session {
    let session = Session::in_process().expect("an executor for this process");
    session.define("record", record as extern "C" fn(i32)).expect("a name that is free");
    session
}

fn object() -> Input {
    Input::from_bytes("module.o", include_bytes!("fixtures/module.o").to_vec())
}

fn link(session: &Session) -> Module {
    session.link(&[object()], &LinkOptions::default()).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Calls a function that takes nothing.
fn call(module: &Module, name: &str) -> i32 {
    // SAFETY: the fixture defines these functions so.
    unsafe { module.function::<extern "C" fn() -> i32>(name) }.expect("a function").call()
}

fn initialise(module: &Module) {
    // SAFETY: the fixture's code is sound, and nothing of it runs when it is removed.
    unsafe { module.initialise() }.expect("initialisers that run");
}

#[test]
fn linked_functions_and_data_work() {
    let _turn = turn();
    let session = session();
    let module = link(&session);
    // SAFETY: as the fixture declares it.
    let add = unsafe { module.function::<extern "C" fn(i32, i32) -> i32>("add") }.expect("a function");
    assert_eq!(add.call(2, 3), 5);
    assert_eq!((call(&module, "count"), call(&module, "count")), (41, 42));
    assert!(matches!(module.remove(), Err(RemoveError::Held { .. })));
    drop(add);
    module.remove().expect("nothing needs it");
    assert_eq!(events(), [], "what was not initialised is not finalised");
}

#[test]
fn initialisers_and_finalisers_run_once_and_in_order() {
    let _turn = turn();
    let session = session();
    let module = link(&session);
    assert_eq!(events(), []);
    initialise(&module);
    assert_eq!(events(), [2, 3, 4]);
    initialise(&module);
    assert_eq!(events(), []);
    module.remove().expect("nothing needs it");
    assert_eq!(events(), [5, 6, 7]);
    assert!(matches!(module.remove(), Err(RemoveError::Removed { .. })));
    assert_eq!(events(), []);
}

#[test]
fn main_gets_its_arguments_and_gives_its_status() {
    let _turn = turn();
    let session = session();
    let options = LinkOptions { roots: Roots::Named(vec!["main".into()]), ..LinkOptions::default() };
    let module = session.link(&[object()], &options).expect("a link");
    let entry = module.roots()[0].expect("main is defined");
    let arguments = ["program", "one", "two"].map(|text| CString::new(text).expect("no zero inside"));
    // SAFETY: the fixture's `main` is one of C.
    let status = unsafe { module.run_main(entry, &arguments) }.expect("main runs");
    assert_eq!(status, 40);
    assert_eq!(events(), [2, 3, 4, 103, i32::from(b'p')]);
    assert!(module.lookup("count").is_none(), "pruned");
}

#[test]
fn modules_call_each_other_and_are_removed_in_order() {
    let _turn = turn();
    let session = session();
    let main = session.library("main");
    let first = link(&session);
    let other = session.library("other");
    other.search(&main);
    // The second copy is in a namespace of its own, and refers to its own functions.
    let second = other.link(&[object()], &LinkOptions::default()).expect("a link");
    assert_eq!((call(&first, "count"), call(&second, "count"), call(&first, "count")), (41, 41, 42));
    initialise(&first);
    initialise(&second);
    events();
    second.remove().expect("nothing needs it");
    assert_eq!(events(), [5, 6, 7]);
    assert_eq!(call(&first, "count"), 43);
    drop((main, other, first, session));
    assert_eq!(events(), [5, 6, 7], "the end of a session is the end of its modules");
}

#[test]
fn a_module_without_memory_comes_and_goes_without_touching_the_others() {
    let _turn = turn();
    let session = session();
    let module = link(&session);
    initialise(&module);
    events();
    let options = LinkOptions { roots: Roots::Named(Vec::new()), ..LinkOptions::default() };
    let empty = Input::from_bytes("empty.o", include_bytes!("fixtures/empty.o").to_vec());
    let nothing = session.library("nothing").link(&[empty], &options).expect("a link of nothing");
    assert!(nothing.segments().is_empty());
    initialise(&nothing);
    nothing.remove().expect("nothing needs it");
    assert_eq!(events(), [], "the finalisers of others are not its own");
    assert_eq!(call(&module, "count"), 41);
}

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").expect("the process's mappings").lines().count()
}

#[test]
fn thousands_of_links_and_removals_leave_the_process_as_it_was() {
    let _turn = turn();
    let session = session();
    let cycle = || {
        let module = link(&session);
        initialise(&module);
        assert_eq!(call(&module, "count"), 41);
        module.remove().expect("nothing needs it");
        assert_eq!(events(), [2, 3, 4, 5, 6, 7]);
    };
    (0..50).for_each(|_| cycle());
    let before = mappings();
    (0..2000).for_each(|_| cycle());
    let after = mappings();
    // The allocator of the tests may map something of its own.
    assert!(after <= before + 4, "{before} mappings became {after}");
}
