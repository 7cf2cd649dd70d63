//! How long what a first call links stays.

use crate::support::{C_COMPILERS, call, find, lazily, link, text};
use jitlink::{Definition, Input, Lazy, LinkOptions, RemoveError, Session, resolver};
use std::path::Path;
use std::sync::atomic::Ordering;

fn c(compiler: &Path, source: &str) -> Input {
    text(compiler, "c", source, "-O1 -fPIC")
}

/// Links `count_down` and `step` when they are first called, each from an object of its own.
fn session(compiler: &Path) -> Session {
    let count_down = c(compiler, "int step(int); int count_down(int x) { return x > 0 ? step(x) : 7; }");
    let step = c(compiler, "int count_down(int); int base(int); int step(int x) { return count_down(base(x)); }");
    let session = Session::in_process().expect("an executor");
    session.add_resolver(resolver("parts", move |names| {
        let answer = |name: &&[u8]| {
            let object = match *name {
                b"count_down" => count_down.clone(),
                b"step" => step.clone(),
                _ => return None,
            };
            Some(Definition::Lazy(Lazy::new(move || Ok(vec![object.clone()]))))
        };
        Ok(names.iter().map(answer).collect())
    }));
    session
}

const CALLER: &str =
    "int count_down(int); int base(int x) { return x - 1; } int caller(int x) { return count_down(x); }";

#[test]
fn lazy_functions_call_lazy_functions_and_go_with_the_module_that_called_first() {
    let Some(compiler) = find(C_COMPILERS[0]) else { return };
    let session = session(&compiler);
    let main = session.library("main");
    let caller = c(&compiler, CALLER);
    for _ in 0..3 {
        let module = link(&main, &caller);
        assert_eq!(call(&module, "caller", 1000), 7);
        assert!(main.lookup("step").is_some(), "linked by a lazy function");
        let held = main.lookup("step");
        let error = module.remove().expect_err("what refers to it is held");
        assert!(matches!(error, RemoveError::Needed { .. }), "{error}");
        assert_eq!(call(&module, "caller", 10), 7, "a refused removal changes nothing");
        drop(held);
        module.remove().expect("the others go with it");
        for name in ["caller", "count_down", "step"] {
            assert!(main.lookup(name).is_none(), "{name}");
        }
    }
}

#[test]
fn what_another_module_needs_stays_when_the_module_goes_that_called_it_first() {
    let Some(compiler) = find(C_COMPILERS[0]) else { return };
    let session = Session::in_process().expect("an executor");
    let (resolver, asked) = lazily(&["shared"], c(&compiler, "int shared(int x) { return x * 3; }"));
    session.add_resolver(resolver);
    let main = session.library("main");
    let caller = |name: &str| c(&compiler, &format!("int shared(int); int {name}(int x) {{ return shared(x); }}"));
    let first = link(&main, &caller("first"));
    assert_eq!(call(&first, "first", 2), 6);
    let second = link(&main, &caller("second"));
    let third = link(&main, &caller("third"));
    first.remove().expect("nothing needs it");
    assert_eq!(call(&second, "second", 3), 9, "bound directly");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    second.remove().expect("nothing needs it");
    assert_eq!(call(&third, "third", 4), 12);
    third.remove().expect("nothing needs it");
    assert!(main.lookup("shared").is_none(), "the last one took it along");
}

#[test]
fn the_definition_that_a_library_got_meanwhile_is_taken_and_kept() {
    let Some(compiler) = find(C_COMPILERS[0]) else { return };
    let session = Session::in_process().expect("an executor");
    let (resolver, asked) = lazily(&["late"], c(&compiler, "int late(int x) { return 1; }"));
    session.add_resolver(resolver);
    let main = session.library("main");
    let caller = link(&main, &c(&compiler, "int late(int); int caller(int x) { return late(x); }"));
    let late = link(&main, &c(&compiler, "int late(int x) { return 2; }"));
    assert_eq!(call(&caller, "caller", 0), 2);
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert!(matches!(late.remove(), Err(RemoveError::Needed { .. })));
    caller.remove().expect("nothing needs it");
    assert!(main.lookup("late").is_some(), "it was linked by itself, and stays");
    late.remove().expect("nothing needs it");
}

#[test]
fn the_end_of_a_session_is_the_end_of_modules_that_hold_each_other() {
    let Some(compiler) = find(C_COMPILERS[0]) else { return };
    let part = "
        int base(int); void note(int);
        __attribute__((destructor)) static void end(void) { note(base(10)); }
        int part(int x) { return base(x); }";
    let part = c(&compiler, part);
    let caller = "
        int part(int); int base(int x) { return x + 1; } void note(int);
        __attribute__((destructor)) static void end(void) { note(part(20)); }
        int caller(int x) { return part(x); }";
    let caller = c(&compiler, caller);
    static NOTES: std::sync::Mutex<Vec<i32>> = std::sync::Mutex::new(Vec::new());
    extern "C" fn note(value: i32) {
        NOTES.lock().unwrap().push(value);
    }
    for by_removal in [false, true] {
        let session = Session::in_process().expect("an executor");
        session.define("note", note as extern "C" fn(i32)).expect("a name that is free");
        let (resolver, _) = lazily(&["part"], part.clone());
        session.add_resolver(resolver);
        let module = link(&session.library("main"), &caller);
        // SAFETY: the code above is sound to run.
        unsafe { module.initialise() }.expect("initialisers");
        assert_eq!(call(&module, "caller", 1), 2);
        if by_removal {
            module.remove().expect("nothing else needs it");
        }
        drop((session, module));
        let mut notes = std::mem::take(&mut *NOTES.lock().unwrap());
        notes.sort_unstable();
        assert_eq!(notes, [11, 21], "both ended, while the other was there");
    }
}

#[cfg_attr(target_arch = "powerpc64", ignore = "the machine has no modules that can be updated")]
#[test]
fn modules_that_can_be_updated_call_lazy_functions_before_and_after() {
    let Some(compiler) = find(C_COMPILERS[0]) else { return };
    let session = Session::in_process().expect("an executor");
    let object = c(&compiler, "int old(int x) { return x + 1; } int new(int x) { return x + 2; }");
    let (resolver, asked) = lazily(&["old", "new"], object);
    session.add_resolver(resolver);
    let main = session.library("main");
    let version = |callee: &str| {
        let source = format!("int {callee}(int); int caller(int x) {{ return {callee}(x); }}");
        Input::from_bytes("caller.o", c(&compiler, &source).bytes().to_vec())
    };
    let options = LinkOptions { updatable: true, ..LinkOptions::default() };
    let module = main.link(&[version("old")], &options).expect("a link");
    let caller = module.lookup("caller").expect("an export");
    assert_eq!(call(&module, "caller", 1), 2);
    // SAFETY: the function keeps its type, and nothing runs.
    unsafe { module.update(&[version("new")]) }.expect("an update");
    assert_eq!(call(&module, "caller", 1), 3);
    assert_eq!(module.exports().get("caller").map(|now| now.address), Some(caller.address()));
    // SAFETY: as above.
    unsafe { module.update(&[version("old")]) }.expect("an update");
    // SAFETY: no thread is in the module.
    unsafe { module.reclaim() };
    assert_eq!(call(&module, "caller", 1), 2);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    drop(caller);
    module.remove().expect("nothing needs it");
    assert!(main.lookup("old").is_none());
}
