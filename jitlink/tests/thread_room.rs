//! Thread-local variables with room in the program's own: found without a look-up, with each thread's initial values.
#![cfg(all(feature = "elf", feature = "x86", feature = "in-process", target_arch = "x86_64", target_os = "linux"))]

use jitlink::{Input, LinkOptions, Module, ProcessExecutor, Registry, Session};
use jitlink_core::Addr;
use std::sync::Arc;

macro_rules! fixture {
    ($name:literal) => {
        Input::from_bytes($name, include_bytes!(concat!("fixtures/", $name)).to_vec())
    };
}

type Count = extern "C" fn(i32) -> i32;

fn function(module: &Module, name: &str) -> Count {
    let address = module.lookup(name).expect("an export").address();
    // SAFETY: the fixtures define functions of these names and this type; the test keeps its modules while it calls them.
    unsafe { std::mem::transmute(address.0 as usize) }
}

/// How many objects the loader has that hold variables, as far as this process's mappings show.
fn loaded_objects() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("the mappings");
    maps.lines().filter(|line| line.contains("jitlink_thread_locals")).count()
}

/// What the functions of `thread_locals_dynamic.o` say, the first time that they are called in a thread.
fn first_counts(module: &Module) -> (i32, i32, [i32; 3], i32, i32) {
    let [count, zero, pointed, misaligned] =
        ["count", "zero", "pointed", "misaligned"].map(|name| function(module, name));
    (count(1), count(2), [zero(5), zero(5), zero(99)], pointed(0), misaligned(0))
}

const FIRST: (i32, i32, [i32; 3], i32, i32) = (41, 43, [0, 1, 0], 5, 0);

#[test]
fn variables_in_the_room_are_each_threads_own_until_it_is_full() {
    let mut elsewhere = vec![0; 64];
    let executor = ProcessExecutor::new().expect("64-bit addresses");
    // SAFETY: no module is linked with the executor that this does not give.
    let refused = unsafe { executor.clone().thread_locals_in(elsewhere.as_mut_slice()) };
    assert!(refused.expect_err("not thread-local").reason.contains("not one of the executable's"));

    // SAFETY: nothing else uses this variable, and of the threads that are there only this one calls linked code.
    let executor = unsafe { executor.thread_locals_in(jitlink_core::thread_local_room!(4096)) };
    let session = Session::new(Registry::global().expect("the backends"), Arc::new(executor.expect("an executable")));
    let options = LinkOptions::default();
    let link = |inputs: &[Input]| session.link(inputs, &options).unwrap_or_else(|errors| panic!("{errors}"));

    let module = link(&[fixture!("thread_locals_dynamic.o"), fixture!("thread_locals_fixed.o")]);
    assert_eq!(loaded_objects(), 0, "the loader has nothing to do");
    let mut code = [0; 64];
    module.read(module.lookup("count").expect("an export").address(), &mut code).expect("linked memory");
    let is_computed = code.windows(9).any(|code| code == [0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0]);
    assert!(is_computed, "mov %fs:0, %rax: {code:02x?}");
    assert_eq!(first_counts(&module), FIRST);
    let young = module.clone();
    std::thread::spawn(move || assert_eq!(first_counts(&young), FIRST)).join().expect("no panic");
    assert_eq!(function(&module, "count_elsewhere")(7), 50, "the same variable, by another object's model");

    // Other modules find them: through the loader's function, and at their distance.
    let user = link(&[fixture!("thread_locals_user.o")]);
    assert_eq!(function(&user, "count_too")(1), 51);
    let here = module.lookup("counter").expect("an export").address();
    // SAFETY: the calling thread's copy of an int, which nobody else uses.
    assert_eq!(unsafe { *(here.0 as *const i32) }, 51);
    let (there, count_too) = (module.clone(), function(&user, "count_too"));
    let there = std::thread::spawn(move || {
        assert_eq!(count_too(1), 41);
        there.lookup("counter").expect("an export").address()
    });
    assert_ne!(there.join().expect("no panic"), here, "each thread has its own");
    user.remove().expect("nobody needs it");
    module.remove().expect("nobody needs it any more");

    // What was given once is not given again, and what has no room is held by the loader.
    let mut places: Vec<Addr> = Vec::new();
    loop {
        let module = link(&[fixture!("thread_locals_dynamic.o")]);
        assert_eq!(first_counts(&module), FIRST);
        let young = module.clone();
        std::thread::spawn(move || assert_eq!(first_counts(&young), FIRST)).join().expect("no panic");
        if loaded_objects() > 0 {
            break;
        }
        let counter = module.lookup("counter").expect("an export").address();
        assert!(!places.contains(&counter) && places.len() < 100, "4096 bytes for {} modules", places.len());
        places.push(counter);
        module.remove().expect("nobody needs it");
    }
    assert!(places.len() > 10, "{} modules of about 200 bytes each in 4096", places.len());
}
