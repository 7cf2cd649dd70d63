//! Code that is replaced while this process runs it.
#![cfg(all(feature = "elf", feature = "x86", feature = "in-process", target_arch = "x86_64", target_os = "linux"))]

use jitlink::{Input, LinkErrors, LinkOptions, Module, RemoveError, Session, SymbolHandle, Updated};
use std::ffi::{CStr, c_char};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

const MAIN: &[u8] = include_bytes!("../fixtures/update/main.o");
const ONE: &[u8] = include_bytes!("../fixtures/update/work1.o");
const TWO: &[u8] = include_bytes!("../fixtures/update/work2.o");
const GROWN: &[u8] = include_bytes!("../fixtures/update/grown.o");

fn input(name: &str, bytes: &[u8]) -> Input {
    Input::from_bytes(name, bytes.to_vec())
}

fn updatable() -> LinkOptions {
    LinkOptions { updatable: true, ..LinkOptions::default() }
}

/// Held for writing by the test that counts this process's mappings, for reading by all others.
static MAPPINGS: RwLock<()> = RwLock::new(());

/// A session, and the right to map memory for it.
fn session() -> (RwLockReadGuard<'static, ()>, Session) {
    let turn = MAPPINGS.read().unwrap_or_else(PoisonError::into_inner);
    (turn, in_process())
}

fn in_process() -> Session {
    Session::in_process().expect("an executor for this process")
}

fn program(session: &Session) -> Module {
    let inputs = [input("main.o", MAIN), input("work.o", ONE)];
    session.link(&inputs, &updatable()).unwrap_or_else(|errors| panic!("{errors}"))
}

fn try_update(module: &Module, bytes: &[u8]) -> Result<Updated, LinkErrors> {
    // SAFETY: the fixtures' functions of one name have one type.
    unsafe { module.update(&[input("work.o", bytes)]) }
}

fn update(module: &Module, bytes: &[u8]) -> Updated {
    try_update(module, bytes).unwrap_or_else(|errors| panic!("{errors}"))
}

fn function(module: &Module, name: &str) -> SymbolHandle {
    module.lookup(name).unwrap_or_else(|| panic!("no {name}"))
}

/// Calls a function of one number.
fn call(function: &SymbolHandle, value: i32) -> i32 {
    // SAFETY: the fixtures define all that tests call so, and the handle keeps the module linked.
    let code: extern "C" fn(i32) -> i32 = unsafe { std::mem::transmute(function.address().0 as usize) };
    code(value)
}

fn version(module: &Module) -> String {
    let function = function(module, "version");
    // SAFETY: as the fixtures define it.
    let code: extern "C" fn() -> *const c_char = unsafe { std::mem::transmute(function.address().0 as usize) };
    // SAFETY: it returns a string constant.
    unsafe { CStr::from_ptr(code()) }.to_string_lossy().into_owned()
}

#[test]
fn callers_pointers_and_handles_get_the_new_code_and_data_stays() {
    let (_turn, session) = session();
    let module = program(&session);
    let (caller, by_pointer, work) =
        (function(&module, "call"), function(&module, "call_by_pointer"), function(&module, "work"));
    assert_eq!([call(&caller, 5), call(&by_pointer, 5), call(&work, 5)], [6; 3]);
    assert_eq!((version(&module), call(&function(&module, "count"), 0)), ("one".into(), 3));
    let updated = update(&module, TWO);
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(sorted(updated.replaced), ["version", "work"], "count is the same");
    assert_eq!((updated.added, updated.removed), (vec!["second_only".to_string()], vec!["first_only".to_string()]));
    assert_eq!([call(&caller, 5), call(&by_pointer, 5), call(&work, 5)], [1_000_006; 3]);
    assert_eq!(version(&module), "two, which is longer");
    assert_eq!(call(&function(&module, "count"), 0), 6, "the counter counts on");
    assert_eq!(call(&function(&module, "second_only"), 0), 33, "a new variable starts with its first value");
    assert!(module.lookup("first_only").is_none() && module.exports().get("first_only").is_none());
    update(&module, ONE);
    assert_eq!(call(&caller, 5), 6);
    assert_eq!(call(&function(&module, "count"), 0), 7);
}

#[test]
fn a_failed_update_changes_nothing() {
    let (_turn, session) = session();
    let module = program(&session);
    assert_eq!(call(&function(&module, "work"), 1), 2);
    let errors = try_update(&module, GROWN).expect_err("the counter has another size");
    let text = errors.to_string();
    assert!(text.contains("calls has 0x18 bytes now instead of 0x4, so that its value cannot be kept"), "{text}");
    assert_eq!(errors.first().code(), "not-updatable");
    assert!(!errors.first().advice().is_empty());
    assert!(try_update(&module, &TWO[..100]).is_err());
    assert!(try_update(&module, b"").is_err());
    assert_eq!((call(&function(&module, "work"), 1), call(&function(&module, "count"), 0)), (2, 2));
    assert_eq!(version(&module), "one");
    update(&module, TWO);
}

#[test]
fn one_thread_calls_a_million_times_while_another_replaces_a_thousand_times() {
    let (_turn, session) = session();
    let module = program(&session);
    let hammer = function(&module, "hammer");
    // SAFETY: as the fixture defines it; the handle keeps the module linked.
    let code: extern "C" fn(i64) -> i64 = unsafe { std::mem::transmute(hammer.address().0 as usize) };
    let done = AtomicBool::new(false);
    let mut rounds = 0;
    std::thread::scope(|scope| {
        let caller = scope.spawn(|| {
            let mut wrong = 0;
            let mut calls = 0i64;
            while calls < 1_000_000 || !done.load(Ordering::Relaxed) {
                wrong += code(10_000);
                calls += 10_000;
            }
            (wrong, calls)
        });
        while rounds < 1000 {
            update(&module, if rounds % 2 == 0 { TWO } else { ONE });
            rounds += 1;
        }
        done.store(true, Ordering::Relaxed);
        let (wrong, calls) = caller.join().expect("the caller ends");
        assert_eq!(wrong, 0, "of {calls} calls");
        assert!(calls >= 1_000_000);
        // The counter lost nothing to the replacements, though it wraps.
        assert_eq!(call(&function(&module, "count"), 0), calls as i32);
    });
    // SAFETY: no thread is in the module, and nothing of it is held but addresses of exported functions.
    let freed = unsafe { module.reclaim() };
    assert!(freed > 0);
}

#[test]
fn memory_is_flat_over_updates_with_quiescent_points() {
    let _turn = MAPPINGS.write().unwrap_or_else(PoisonError::into_inner);
    let session = in_process();
    let module = program(&session);
    let addresses = |module: &Module| {
        let mut seen = std::collections::BTreeSet::new();
        for round in 0..400 {
            update(module, if round % 2 == 0 { TWO } else { ONE });
            // SAFETY: no thread runs the module, and nothing of it is held.
            unsafe { module.reclaim() };
            seen.insert(module.exports().get("version").expect("an export").address);
            assert_eq!(version(module), if round % 2 == 0 { "two, which is longer" } else { "one" });
        }
        seen.len()
    };
    addresses(&module);
    let before = mapped();
    assert_eq!(addresses(&module), 1, "a function has one address");
    assert_eq!(mapped(), before, "four hundred more updates need no more address space");
}

/// How much address space is mapped, by the kernel's word.
fn mapped() -> u64 {
    let text = std::fs::read_to_string("/proc/self/maps").expect("this is Linux");
    let jit = text.lines().filter(|line| line.contains("memfd:"));
    jit.map(|line| {
        let (start, end) = line.split(' ').next().and_then(|range| range.split_once('-')).expect("a range");
        let number = |text| u64::from_str_radix(text, 16).expect("a number");
        number(end) - number(start)
    })
    .sum()
}

#[test]
fn other_modules_keep_calling_what_they_were_linked_to() {
    let (_turn, session) = session();
    let library = program(&session);
    let user = session.library("user");
    user.search(&session.library("main"));
    let other = user.link(&[input("other.o", MAIN)], &updatable()).unwrap_or_else(|errors| panic!("{errors}"));
    let caller = other.lookup("call").expect("an export");
    assert_eq!(call(&caller, 1), 2);
    update(&library, TWO);
    assert_eq!(call(&caller, 1), 1_000_002);
    assert!(matches!(library.remove(), Err(RemoveError::Needed { .. })));
    drop(caller);
    other.remove().expect("nothing needs it");
    library.remove().expect("nothing needs it");
    assert!(try_update(&library, ONE).is_err(), "a removed module is not updated");
}

#[test]
fn a_name_that_another_module_has_cannot_be_added() {
    let (_turn, session) = session();
    let module = program(&session);
    let other = session.link(&[input("two.o", include_bytes!("../fixtures/add.o"))], &LinkOptions::default());
    let _other = other.unwrap_or_else(|errors| panic!("{errors}"));
    let inputs = [input("more.o", include_bytes!("../fixtures/add.o")), input("work.o", TWO)];
    // SAFETY: it fails.
    let errors = unsafe { module.update(&inputs) }.expect_err("add is defined twice");
    assert!(errors.to_string().contains("add is defined twice"), "{errors}");
    assert!(module.exports().get("add").is_none() && module.exports().get("second_only").is_none());
    assert_eq!(version(&module), "one");
}

#[test]
fn modules_that_were_not_made_for_it_say_so() {
    let (_turn, session) = session();
    let inputs = [input("main.o", MAIN), input("work.o", ONE)];
    let module = session.link(&inputs, &LinkOptions::default()).unwrap_or_else(|errors| panic!("{errors}"));
    let errors = try_update(&module, TWO).expect_err("it is not updatable");
    assert!(errors.to_string().contains("set LinkOptions::updatable"), "{errors}");
    assert!(module.objects().is_empty());
}

#[test]
fn exceptions_pass_through_new_code() {
    let _turn = MAPPINGS.read().unwrap_or_else(PoisonError::into_inner);
    let executor = jitlink::ProcessExecutor::new().expect("an executor");
    // SAFETY: the C++ library's initialisers are sound to run here.
    if unsafe { executor.load_library(":libstdc++.so.6", &[]) }.is_err() {
        eprintln!("skipped: this machine has no libstdc++.so.6");
        return;
    }
    let registry = jitlink::Registry::global().expect("the features' backends");
    let session = Session::new(registry, std::sync::Arc::new(executor));
    let one = [input("throw.o", include_bytes!("../fixtures/update/throw1.o"))];
    let module = session.link(&one, &updatable()).unwrap_or_else(|errors| panic!("{errors}"));
    let catcher = function(&module, "catcher");
    assert_eq!((call(&catcher, 1), call(&catcher, 3)), (1, i32::from(b'o')));
    for _ in 0..20 {
        let two = [input("throw.o", include_bytes!("../fixtures/update/throw2.o"))];
        // SAFETY: functions of one name have one type; nothing runs when it is reclaimed.
        unsafe { module.update(&two) }.unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(call(&catcher, 1), 2);
        assert!(call(&catcher, 2) > i32::from(b't'));
        // SAFETY: as above.
        unsafe { module.update(&one) }.unwrap_or_else(|errors| panic!("{errors}"));
        // SAFETY: as above.
        unsafe { module.reclaim() };
        assert_eq!((call(&catcher, 2), call(&catcher, 3)), (2, i32::from(b'o')));
    }
}
