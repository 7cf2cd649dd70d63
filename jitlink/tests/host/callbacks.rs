//! Linked code calls this program, which calls linked code, and panics.

use crate::{fixture, link, session};
use jitlink::{Function, HostItem, Module, contain};
use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};

type Visitor = unsafe extern "C" fn(*mut c_void, i32) -> i32;
type Each = unsafe extern "C" fn(*const i32, i32, Visitor, *mut c_void) -> i32;
type Square = extern "C" fn(i32) -> i32;

fn functions(module: &Module) -> (Function<Each>, Function<Square>) {
    // SAFETY: each.c defines them so.
    unsafe { (module.function("each").expect("a function"), module.function("square").expect("a function")) }
}

/// What a visitor knows.
struct State {
    each: Function<Each>,
    square: Function<Square>,
    /// How much deeper each value is to be visited.
    depth: i32,
    seen: Vec<i32>,
    panic: Option<Box<dyn Any + Send>>,
}

/// Visits a value, at each depth by way of linked code again; -1 if that panics.
unsafe extern "C" fn visit(context: *mut c_void, value: i32) -> i32 {
    // SAFETY: whoever passes the pointer leaves the state alone until linked code returns.
    let state = unsafe { &mut *context.cast::<State>() };
    let mut panic = None;
    let body = AssertUnwindSafe(|| {
        if state.depth > 0 {
            state.depth -= 1;
            let status = all(state, &[value, value + 1]);
            state.depth += 1;
            return status;
        }
        assert!(value != 13, "13 is not visited");
        state.seen.push(state.square.call(value));
        0
    });
    let status = contain(body, |payload| {
        panic = Some(payload);
        -1
    });
    if panic.is_some() {
        state.panic = panic;
    }
    status
}

/// Has linked code visit values.
fn all(state: &mut State, values: &[i32]) -> i32 {
    let each = state.each.clone();
    // SAFETY: it reads as many values as it is told, and calls the visitor with the state.
    unsafe { each.call(values.as_ptr(), values.len() as i32, visit, std::ptr::from_mut(state).cast()) }
}

#[test]
fn calls_go_both_ways_to_any_depth_and_a_panic_gets_out_as_a_value() {
    let session = session();
    let module = link(&session, &fixture("each.o"));
    let (each, square) = functions(&module);
    let mut state = State { each, square, depth: 0, seen: Vec::new(), panic: None };
    assert_eq!((all(&mut state, &[1, 2, 3]), state.seen.as_slice()), (0, &[1, 4, 9][..]));
    state.depth = 2;
    state.seen.clear();
    assert_eq!((all(&mut state, &[1, 5]), state.seen.as_slice()), (0, &[1, 4, 4, 9, 25, 36, 36, 49][..]));
    state.seen.clear();
    assert_eq!(all(&mut state, &[1, 11, 20]), -1);
    assert_eq!(state.seen, [1, 4, 4, 9, 121, 144, 144], "nothing is visited after the panic");
    let panic = state.panic.take().expect("it was kept");
    // It goes on where linked code has returned.
    let again = catch_unwind(AssertUnwindSafe(|| resume_unwind(panic))).expect_err("the same panic");
    assert_eq!(again.downcast_ref::<&str>(), Some(&"13 is not visited"));
    assert!(module.remove().is_err(), "the state holds handles");
    drop(state);
    module.remove().expect("nothing needs it");
}

#[test]
fn linked_functions_call_each_other_by_pointers_that_the_program_passes() {
    unsafe extern "C" fn sum(context: *mut c_void, value: i32) -> i32 {
        // SAFETY: the test below passes this.
        unsafe { *context.cast::<i32>() += value };
        0
    }
    let session = session();
    let module = link(&session, &fixture("each.o"));
    let (each, _) = functions(&module);
    let mut total = 0;
    let values = [1, 2, 3, 4];
    // SAFETY: the pointer is used while `each` is held, and called with a number as its context.
    let status = unsafe { each.pointer()(values.as_ptr(), 4, sum, (&raw mut total).cast()) };
    assert_eq!((status, total), (0, 10));
}

#[test]
fn state_that_is_given_by_name_outlives_the_call() {
    let Some(compiler) = crate::compilers::find(crate::compilers::C_COMPILERS[0]) else { return };
    struct Log(Mutex<Vec<i32>>);
    unsafe extern "C" fn note(log: *const c_void, value: i32) {
        // SAFETY: linked code passes the address of `log`, which its module keeps.
        let log = unsafe { &*log.cast::<Log>() };
        contain(AssertUnwindSafe(|| log.0.lock().expect("no panic meanwhile").push(value)), drop);
    }
    let source = "struct log; extern struct log log; void note(const struct log *, int);
                  void twice(int x) { note(&log, x); note(&log, 2 * x); }";
    let session = session();
    let log = Arc::new(Log(Mutex::default()));
    session.define("log", log.clone()).expect("a name that is free");
    session.define("note", note as unsafe extern "C" fn(*const c_void, i32)).expect("a name that is free");
    let module = link(&session, &crate::compilers::text(&compiler, "c", source, "-O2"));
    // SAFETY: the source above defines it so.
    let twice = unsafe { module.function::<extern "C" fn(i32)>("twice") }.expect("a function");
    std::thread::scope(|scope| {
        (0..4).for_each(|value| {
            drop(scope.spawn({
                let twice = &twice;
                move || twice.call(value)
            }))
        })
    });
    let mut seen = log.0.lock().expect("no panic").clone();
    seen.sort_unstable();
    assert_eq!(seen, [0, 0, 1, 2, 2, 3, 4, 6]);
}

#[test]
fn items_say_what_they_are() {
    static NUMBER: i32 = 5;
    let number = HostItem::from(&NUMBER);
    assert_eq!((number.address().0, number.type_name()), (&raw const NUMBER as u64, "i32"));
    let function = HostItem::from(visit as Visitor);
    assert_eq!(function.address().0, visit as *const () as u64);
    let text = format!("{function:?}");
    assert!(text.contains("unsafe extern \\\"C\\\" fn(*mut core::ffi::c_void, i32) -> i32"), "{text}");
}
