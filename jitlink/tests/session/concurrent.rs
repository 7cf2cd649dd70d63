//! Links on several threads at once.

use crate::{add, address, function, kit, options, session};
use jitlink::LinkOptions;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const THREADS: usize = 4;

#[test]
fn of_links_that_define_the_same_name_exactly_one_succeeds_and_is_seen_whole() {
    for _ in 0..50 {
        let (session, executor) = session();
        let main = session.library("main");
        let (start, successes) = (Barrier::new(THREADS), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (main, start, successes) = (&main, &start, &successes);
                scope.spawn(move || {
                    let text = function("same", "global", &[]) + &format!("label own{thread} global\n");
                    start.wait();
                    match add(main, "t.o", &text) {
                        Ok(module) => {
                            successes.fetch_add(1, Ordering::Relaxed);
                            assert_eq!(main.lookup("same").unwrap().address(), address(&module, "same"));
                            assert!(main.lookup(&format!("own{thread}")).is_some());
                        }
                        Err(errors) => {
                            assert_eq!(errors.first().code(), "duplicate");
                            assert!(main.lookup(&format!("own{thread}")).is_none(), "none of its names is seen");
                        }
                    }
                });
            }
        });
        assert_eq!(successes.load(Ordering::Relaxed), 1);
        assert_eq!(executor.segments().len(), 1, "the memory of the others is free again");
    }
}

#[test]
fn a_link_s_names_are_seen_all_at_once() {
    let (session, _) = session();
    let main = session.library("main");
    let names: Vec<String> = (0..200).map(|index| format!("name{index}")).collect();
    let mut text = function(&names[0], "global", &[]);
    names[1..].iter().for_each(|name| text.push_str(&format!("label {name} global\n")));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut seen = 0;
            while !done.load(Ordering::Acquire) {
                for (one, other) in [(0, 199), (199, 0)] {
                    // The handle keeps the module from being removed in between.
                    if let Some(_held) = main.lookup(&names[one]) {
                        assert!(main.lookup(&names[other]).is_some());
                        seen += 1;
                    }
                }
            }
            seen
        });
        for _ in 0..100 {
            let module = add(&main, "all.o", &text).unwrap();
            assert!(main.lookup(&names[199]).is_some());
            while let Err(error) = module.remove() {
                assert!(matches!(error, jitlink::RemoveError::Held { .. }), "{error}");
            }
        }
        done.store(true, Ordering::Release);
        watcher.join().unwrap();
    });
}

#[test]
fn links_and_removals_on_four_threads_keep_each_other_s_modules() {
    let (session, executor) = session();
    let main = session.library("main");
    let base = add(&main, "base.o", &function("base", "global", &[])).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (main, base) = (&main, &base);
            scope.spawn(move || {
                for round in 0..100 {
                    let name = format!("t{thread}r{round}");
                    let module = add(main, &name, &function(&name, "global", &["base"])).unwrap();
                    assert_eq!(crate::pointer(&module, &name, 0), address(base, "base"));
                    assert!(base.remove().is_err());
                    module.remove().unwrap();
                }
            });
        }
    });
    base.remove().unwrap();
    assert!(executor.segments().is_empty());
}

#[test]
fn links_that_use_their_own_threads_run_side_by_side() {
    let (session, _) = session();
    let objects: Vec<(String, String)> = (0..300)
        .map(|index| {
            (format!("o{index}.o"), function(&format!("f{index}"), "global", &[&format!("f{}", (index + 1) % 300)]))
        })
        .collect();
    let objects: Vec<(&str, &str)> = objects.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let inputs = kit::inputs(&objects);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (session, inputs) = (&session, &inputs);
            scope.spawn(move || {
                let options = LinkOptions { threads: Some(thread + 1), ..options() };
                let library = session.library(&format!("library{thread}"));
                let module = library.link(inputs, &options).unwrap();
                for index in 0..300 {
                    let next = address(&module, &format!("f{}", (index + 1) % 300));
                    assert_eq!(crate::pointer(&module, &format!("f{index}"), 0), next);
                }
            });
        }
    });
}
