//! What unwinds between linked C++ and this program: what passes, and what ends the process.

use crate::compilers::{CXX_COMPILERS, find, text};
use crate::link;
use jitlink::{Module, ProcessExecutor, Registry, Session, contain};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// What catches is not in the object of what throws, and functions of the program are between them.
const THROWS: &str = "
    #include <stdexcept>
    extern \"C\" int thrower(int x) {
        if (x > 2) throw std::out_of_range(\"too much\");
        return x;
    }";

const CATCHES: &str = "
    #include <stdexcept>
    #include <string>
    extern \"C\" int through(int), ends(int), contains(int), panics(int);
    extern \"C\" int destroyed = 0;
    struct Guard { ~Guard() { destroyed++; } };
    template <int called(int)> int caught(int x) {
        try {
            Guard guard;
            return called(x);
        } catch (const std::logic_error &error) {
            return std::string(error.what()) == \"too much\" ? -1 : -2;
        }
    }
    extern \"C\" int catcher(int x) { return caught<through>(x); }
    extern \"C\" int catcher_past_the_end(int x) { return caught<ends>(x); }
    extern \"C\" int catcher_past_contain(int x) { return caught<contains>(x); }
    extern \"C\" int passes_panics(int x) { Guard guard; return panics(x); }
    extern \"C\" int throws_panics_again(int x) { try { return panics(x); } catch (...) { destroyed++; throw; } }";

type Unary = extern "C-unwind" fn(i32) -> i32;

fn call(session: &Session, name: &str, value: i32) -> i32 {
    // SAFETY: the sources above define functions of these types.
    unsafe { session.library("main").function::<Unary>(name) }.expect("a function").call(value)
}

static DROPPED: AtomicI32 = AtomicI32::new(0);

struct Noted;

impl Drop for Noted {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

thread_local! {
    /// Where the functions below find what they call.
    static SESSION: std::cell::RefCell<Option<Session>> = const { std::cell::RefCell::new(None) };
}

fn throw(value: i32) -> i32 {
    let session = SESSION.with_borrow(|session| session.clone()).expect("a session");
    call(&session, "thrower", value)
}

extern "C-unwind" fn through(value: i32) -> i32 {
    let _noted = Noted;
    throw(value)
}

extern "C" fn ends(value: i32) -> i32 {
    throw(value)
}

extern "C-unwind" fn contains(value: i32) -> i32 {
    contain(|| throw(value), |_| 100)
}

extern "C-unwind" fn panics(value: i32) -> i32 {
    assert!(value != 5, "five");
    value
}

extern "C" fn panics_at_its_end(value: i32) -> i32 {
    panics(value)
}

/// A session with both objects, by one compiler each.
fn linked(thrower: &Path, catcher: &Path, flags: &str) -> (Session, Module) {
    let executor = ProcessExecutor::new().expect("an executor");
    // SAFETY: the library has no initialisers that are unsound to run.
    unsafe { executor.load_library("stdc++", &[]) }.expect("the C++ library");
    let session = Session::new(Registry::global().expect("a registry"), Arc::new(executor));
    for (name, function) in [("through", through as Unary), ("contains", contains), ("panics", panics)] {
        session.define(name, function).expect("a name that is free");
    }
    session.define("ends", ends as extern "C" fn(i32) -> i32).expect("a name that is free");
    link(&session, &text(thrower, "cpp", THROWS, flags));
    let module = link(&session, &text(catcher, "cpp", CATCHES, flags));
    // SAFETY: the sources above have no initialisers but those of the C++ library.
    unsafe { module.initialise() }.expect("initialisers");
    SESSION.set(Some(session.clone()));
    (session, module)
}

fn compilers() -> Vec<std::path::PathBuf> {
    CXX_COMPILERS.iter().filter_map(|names| find(names)).collect()
}

#[test]
fn exceptions_and_panics_pass_where_both_sides_say_so() {
    let compilers = compilers();
    for (thrower, catcher) in compilers.iter().flat_map(|one| compilers.iter().map(move |other| (one, other))) {
        for flags in ["-O0", "-O2 -fPIC"] {
            let (session, module) = linked(thrower, catcher, flags);
            // SAFETY: the source above defines it so.
            let destroyed = unsafe { module.variable::<AtomicI32>("destroyed") }.expect("a variable");
            let dropped = DROPPED.load(Ordering::Relaxed);
            assert_eq!((call(&session, "catcher", 2), destroyed.load(Ordering::Relaxed)), (2, 1));
            assert_eq!((call(&session, "catcher", 3), destroyed.load(Ordering::Relaxed)), (-1, 2));
            assert_eq!(DROPPED.load(Ordering::Relaxed) - dropped, 2, "what Rust held is dropped either way");
            for (number, name) in ["passes_panics", "throws_panics_again"].into_iter().enumerate() {
                assert_eq!(call(&session, name, 4), 4);
                let panic = catch_unwind(AssertUnwindSafe(|| call(&session, name, 5))).expect_err("a panic");
                assert_eq!(panic.downcast_ref::<&str>(), Some(&"five"));
                assert_eq!(destroyed.load(Ordering::Relaxed), 4 + number as i32, "{name}");
            }
            SESSION.set(None);
        }
    }
}

/// Set in processes that are to end.
const ENDING: &str = "JITLINK_TEST_ENDING";

/// Runs a test of this program again, in a process of its own that is to abort; what it says.
fn aborts(test: &str, case: &str) -> String {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    let output = command.args([test, "--exact", "--nocapture"]).env(ENDING, case).output().expect("a process");
    // SIGABRT.
    assert_eq!(output.status.signal(), Some(6), "{case}: {output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_must_not_pass_ends_the_process() {
    let compilers = compilers();
    let Some(compiler) = compilers.first() else { return };
    if let Ok(case) = std::env::var(ENDING) {
        let (session, _module) = linked(compiler, compiler, "-O1");
        if case == "panics" {
            session.undefine("panics");
            session.define("panics", panics_at_its_end as extern "C" fn(i32) -> i32).expect("a name that is free");
            let again = session.library("again").link(&[text(compiler, "cpp", CATCHES, "-O1")], &Default::default());
            let again = again.expect("a link");
            // SAFETY: the source above defines it so.
            unsafe { again.function::<Unary>("passes_panics") }.expect("a function").call(5);
        } else {
            call(&session, &case, 3);
        }
        return;
    }
    let test = std::thread::current().name().expect("the name of a test").to_string();
    for case in ["catcher_past_the_end", "catcher_past_contain", "panics"] {
        let said = aborts(&test, case);
        let why = match case {
            "catcher_past_contain" => "Rust cannot catch foreign exceptions",
            _ => "panic in a function that cannot unwind",
        };
        assert!(said.contains(why), "{case}: {said}");
    }
}
