//! What this program gives: functions and data, and how long they stay.

use crate::{fixture, link, session};
use jitlink::{
    Addr, DefineError, Definition, HostItem, ImageConfig, ImageExecutor, LinkOptions, Module, Registry, Session,
    resolver,
};
use std::ffi::c_char;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

extern "C" fn ignore(_value: i64) {}

fn collatz(module: &Module, value: i64) -> i64 {
    // SAFETY: collatz.c defines it so; these tests give it what it declares.
    unsafe { module.function::<extern "C" fn(i64) -> i64>("collatz") }.expect("a function").call(value)
}

fn with_visitor() -> Session {
    let session = session();
    session.define("visit", ignore as extern "C" fn(i64)).expect("a name that is free");
    session
}

/// A `long` of C that says when it is dropped.
#[repr(C)]
struct Limit(AtomicI64, Arc<AtomicBool>);

impl Drop for Limit {
    fn drop(&mut self) {
        self.1.store(true, Ordering::Relaxed);
    }
}

fn limit(session: &Session, value: i64) -> Arc<AtomicBool> {
    let dropped = Arc::new(AtomicBool::new(false));
    session.define("limit", Arc::new(Limit(AtomicI64::new(value), dropped.clone()))).expect("a name that is free");
    dropped
}

#[test]
fn linked_code_and_the_program_share_static_data() {
    static LIMIT: AtomicI64 = AtomicI64::new(1000);
    let session = with_visitor();
    session.define("limit", &LIMIT).expect("a name that is free");
    let module = link(&session, &fixture("collatz.o"));
    assert_eq!(collatz(&module, 27), 111);
    LIMIT.store(10, Ordering::Relaxed);
    assert_eq!(collatz(&module, 27), -1);
}

#[test]
fn data_with_a_life_of_its_own_stays_as_long_as_a_module_that_needs_it() {
    let session = with_visitor();
    let dropped = limit(&session, 1000);
    let modules = ["one", "two"].map(|name| {
        let library = session.library(name);
        library.link(&[fixture("collatz.o")], &LinkOptions::default()).expect("a link")
    });
    assert!(session.undefine("limit"));
    assert!(!session.undefine("limit"));
    let errors = session.library("three").link(&[fixture("collatz.o")], &LinkOptions::default());
    assert_eq!(errors.expect_err("it is taken back").first().code(), "undefined");
    modules[0].remove().expect("nothing needs it");
    assert!(!dropped.load(Ordering::Relaxed));
    assert_eq!(collatz(&modules[1], 27), 111);
    modules[1].remove().expect("nothing needs it");
    assert!(dropped.load(Ordering::Relaxed));
}

#[test]
fn a_handle_that_outlives_the_session_keeps_what_its_module_was_given() {
    let session = with_visitor();
    let dropped = limit(&session, 1000);
    let module = link(&session, &fixture("collatz.o"));
    // SAFETY: collatz.c defines it so.
    let collatz = unsafe { module.function::<extern "C" fn(i64) -> i64>("collatz") }.expect("a function");
    drop((session, module));
    assert!(!dropped.load(Ordering::Relaxed));
    assert_eq!(collatz.call(27), 111);
    drop(collatz);
    assert!(dropped.load(Ordering::Relaxed));
}

#[test]
fn what_an_update_came_to_need_stays_too() {
    let session = with_visitor();
    let dropped = limit(&session, 1000);
    let options = LinkOptions { updatable: true, ..LinkOptions::default() };
    let module = session.link(&[fixture("add.o")], &options).expect("a link");
    for _ in 0..2 {
        // SAFETY: nothing of the module runs, and no function changes its type.
        unsafe { module.update(&[fixture("collatz.o")]) }.expect("an update");
    }
    assert!(session.undefine("limit"));
    assert!(!dropped.load(Ordering::Relaxed));
    assert_eq!(collatz(&module, 27), 111);
    module.remove().expect("nothing needs it");
    assert!(dropped.load(Ordering::Relaxed));
}

#[test]
fn resolvers_give_the_same() {
    let session = session();
    let dropped = Arc::new(AtomicBool::new(false));
    let limit = Arc::new(Limit(AtomicI64::new(1000), dropped.clone()));
    session.add_resolver(resolver("the test", move |names| {
        let answer = |name: &&[u8]| match *name {
            b"visit" => Some(HostItem::from(ignore as extern "C" fn(i64)).into()),
            b"limit" => Some(Definition::Host(limit.clone().into())),
            _ => None,
        };
        Ok(names.iter().map(answer).collect())
    }));
    let module = link(&session, &fixture("collatz.o"));
    assert_eq!(collatz(&module, 27), 111);
    drop(session);
    assert!(!dropped.load(Ordering::Relaxed), "the resolver is gone, the module is not");
    drop(module);
    assert!(dropped.load(Ordering::Relaxed));
}

#[test]
fn what_is_given_comes_before_the_process_s_own_symbols_and_after_the_batch() {
    extern "C" fn absolute(value: i32) -> i32 {
        value + 1000
    }
    let Some(compiler) = crate::compilers::find(crate::compilers::C_COMPILERS[0]) else { return };
    let caller =
        crate::compilers::text(&compiler, "c", "int abs(int); int f(int x) { return abs(x); }", "-fno-builtin");
    let own = crate::compilers::text(&compiler, "c", "int abs(int x) { return 5; }", "-fno-builtin");
    let call = |module: &Module| {
        // SAFETY: the code above defines it so.
        unsafe { module.function::<extern "C" fn(i32) -> i32>("f") }.expect("a function").call(-3)
    };
    let session = session();
    assert_eq!(call(&link(&session, &caller)), 3, "the C library's");
    session.define("abs", absolute as extern "C" fn(i32) -> i32).expect("a name that is free");
    let given = session.library("given").link(std::slice::from_ref(&caller), &LinkOptions::default());
    assert_eq!(call(&given.expect("a link")), 997);
    let batch = session.library("batch").link(&[caller, own], &LinkOptions::default());
    assert_eq!(call(&batch.expect("a link")), 5);
}

#[test]
fn names_are_given_once() {
    let session = with_visitor();
    extern "C" fn other(_text: *const c_char) {}
    let again = session.define("visit", other as extern "C" fn(*const c_char));
    let again = again.expect_err("it means something already");
    assert_eq!(
        again.to_string(),
        "visit was given as extern \"C\" fn(i64) before, and is not given anew as extern \"C\" fn(*const i8); take it back first"
    );
    for name in ["", "two\0words"] {
        let refused = session.define(name, Addr(8)).expect_err("no such name");
        assert_eq!(refused, DefineError::Name { name: name.into() });
    }
    assert!(session.undefine("visit"));
    session.define("visit", other as extern "C" fn(*const c_char)).expect("a name that is free");
}

#[test]
fn memory_of_this_process_is_given_to_code_in_it_alone() {
    let image = ImageExecutor::new(ImageConfig::default()).expect("an image");
    let session = Session::new(Registry::global().expect("a registry"), Arc::new(image));
    let refused = session.define("visit", ignore as extern "C" fn(i64)).expect_err("it is not there");
    let expected = "visit is extern \"C\" fn(i64) of this process, and the executor \"image\" links for somewhere else; \
                    give it an address there";
    assert_eq!(refused.to_string(), expected);
    session.define("visit", Addr(0x1000)).expect("an address is anybody's");
}
