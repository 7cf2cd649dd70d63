//! Threads that make the first call at once.

use crate::support::{C_COMPILERS, call, find, lazily, link, text};
use jitlink::{Definition, Lazy, Session, resolver};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

const THREADS: usize = 8;

#[test]
fn threads_that_race_for_the_first_call_link_once_and_all_get_the_result() {
    for names in C_COMPILERS {
        let Some(compiler) = find(names) else { continue };
        let caller = text(&compiler, "c", "int slow(int); int caller(int x) { return slow(x) + 1; }", "-O1 -fPIC");
        // A constructor that takes its time: nobody may run the function before it is done.
        let callee = "
            #include <time.h>
            static volatile int ready;
            __attribute__((constructor)) static void set_up(void) {
                struct timespec time = {0, 1000000};
                nanosleep(&time, 0);
                ready = 1000;
            }
            int slow(int x) { return ready + x; }";
        let callee = text(&compiler, "c", callee, "-O1 -fPIC");
        for _ in 0..30 {
            let session = Session::in_process().expect("an executor");
            let (resolver, asked) = lazily(&["slow"], callee.clone());
            session.add_resolver(resolver);
            let module = link(&session.library("main"), &caller);
            let start = Barrier::new(THREADS);
            std::thread::scope(|scope| {
                for thread in 0..THREADS as i32 {
                    let (module, start) = (&module, &start);
                    scope.spawn(move || {
                        start.wait();
                        assert_eq!(call(module, "caller", thread), 1001 + thread);
                        assert_eq!(call(module, "caller", thread), 1001 + thread);
                    });
                }
            });
            assert_eq!(asked.load(Ordering::Relaxed), 1);
        }
    }
}

#[test]
fn threads_that_first_call_different_functions_of_one_object_get_one_module() {
    let Some(compiler) = find(C_COMPILERS[0]) else { return };
    let caller = "int one(int); int two(int); int caller(int x) { return x & 1 ? one(x) : two(x); }";
    let caller = text(&compiler, "c", caller, "-O1 -fPIC");
    let callee = "static int calls; int one(int x) { return __sync_add_and_fetch(&calls, 1); }
                  int two(int x) { return __sync_add_and_fetch(&calls, 1); }";
    let callee = text(&compiler, "c", callee, "-O1 -fPIC");
    for _ in 0..50 {
        let session = Session::in_process().expect("an executor");
        let (resolver, asked) = lazily(&["one", "two"], callee.clone());
        session.add_resolver(resolver);
        let module = link(&session.library("main"), &caller);
        let (start, sum) = (Barrier::new(THREADS), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for thread in 0..THREADS as i32 {
                let (module, start, sum) = (&module, &start, &sum);
                scope.spawn(move || {
                    start.wait();
                    sum.fetch_add(call(module, "caller", thread) as usize, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(sum.load(Ordering::Relaxed), (1..=THREADS).sum(), "all counted in the same variable");
        assert!((1..=2).contains(&asked.load(Ordering::Relaxed)));
    }
}

#[test]
fn constructors_that_call_each_other_s_modules_do_not_wait_for_each_other() {
    let Some(compiler) = find(C_COMPILERS[0]) else { return };
    let source = |own: &str, other: &str| {
        let source = format!(
            "int {other}(int); static int got;
             __attribute__((constructor)) static void set_up(void) {{ got = {other}(0); }}
             int {own}(int x) {{ return x ? got + x : 5; }}"
        );
        text(&compiler, "c", &source, "-O1 -fPIC")
    };
    let (left, right) = (source("left", "right"), source("right", "left"));
    let caller = "int left(int); int right(int); int caller(int x) { return x & 1 ? left(x) : right(x); }";
    let caller = text(&compiler, "c", caller, "-O1 -fPIC");
    for _ in 0..50 {
        let session = Session::in_process().expect("an executor");
        let (left, right) = (left.clone(), right.clone());
        session.add_resolver(resolver("both", move |names| {
            let answer = |name: &&[u8]| {
                let object = match *name {
                    b"left" => left.clone(),
                    b"right" => right.clone(),
                    _ => return None,
                };
                Some(Definition::Lazy(Lazy::new(move || Ok(vec![object.clone()]))))
            };
            Ok(names.iter().map(answer).collect())
        }));
        let module = link(&session.library("main"), &caller);
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            for thread in [1, 2] {
                let (module, start) = (&module, &start);
                scope.spawn(move || {
                    start.wait();
                    assert_eq!(call(module, "caller", thread), 5 + thread);
                });
            }
        });
        module.remove().expect("the others go with it");
        assert!(session.library("main").lookup("left").is_none());
        assert!(session.library("main").lookup("right").is_none());
    }
}
