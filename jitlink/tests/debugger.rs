//! What debuggers are shown: one file for each module that keeps debug information, for as long as its code is there.
#![cfg(all(feature = "elf", feature = "x86", feature = "in-process", target_arch = "x86_64", target_os = "linux"))]

#[allow(dead_code, reason = "shared with other tests, which use more of it")]
#[path = "support/compilers.rs"]
mod compilers;

use compilers::{C_COMPILERS, find, text};
use jitlink::{Input, LinkOptions, Module, ProcessExecutor, Registry, Session};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The list of GDB's interface; its layout is GDB's.
#[repr(C)]
struct Descriptor {
    version: u32,
    action: u32,
    relevant: *const Entry,
    first: *const Entry,
}

#[repr(C)]
struct Entry {
    next: *const Entry,
    previous: *const Entry,
    file: *const u8,
    size: u64,
}

unsafe extern "C" {
    static __jit_debug_descriptor: Descriptor;
}

/// Held while a test links: the process has one list.
static TURN: Mutex<()> = Mutex::new(());

/// The files in the list, latest first.
fn files() -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    // SAFETY: only tests that hold their turn change the list, and this is called by them.
    unsafe {
        let mut at = (&raw const __jit_debug_descriptor.first).read();
        while !at.is_null() {
            files.push(std::slice::from_raw_parts((*at).file, (*at).size as usize).to_vec());
            at = (*at).next;
        }
    }
    files
}

fn holds(file: &[u8], text: &str) -> bool {
    file.windows(text.len()).any(|window| window == text.as_bytes())
}

fn session(debuggable: bool) -> Session {
    let executor = ProcessExecutor::new().expect("an executor for this process");
    let executor = if debuggable { executor.debuggable() } else { executor };
    Session::new(Registry::global().expect("a registry"), Arc::new(executor))
}

fn version(compiler: &Path, number: u32) -> Input {
    let source =
        format!("int version(int given) {{ int result_{number} = given * {number}; return result_{number}; }}");
    let input = text(compiler, "c", &source, "-O0 -g -ffunction-sections");
    Input::from_bytes("version.o", input.bytes().to_vec())
}

fn link(session: &Session, input: Input, options: &LinkOptions) -> Module {
    session.link(&[input], options).unwrap_or_else(|errors| panic!("{errors}"))
}

fn call(module: &Module) -> i32 {
    // SAFETY: the test's sources define it so.
    unsafe { module.function::<extern "C" fn(i32) -> i32>("version") }.expect("a function").call(1)
}

#[test]
fn modules_are_shown_until_they_are_removed() {
    let Some(compiler) = find(C_COMPILERS[0]) else { return };
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = LinkOptions { keep_debug: true, ..LinkOptions::default() };
    for (debuggable, options) in [(false, &kept), (true, &LinkOptions::default())] {
        let session = session(debuggable);
        let module = link(&session, version(&compiler, 1), options);
        assert_eq!((files().len(), call(&module)), (0, 1));
    }
    let session = session(true);
    let first = link(&session, version(&compiler, 1), &kept);
    let second = link(&session, text(&compiler, "c", "int other_variable;", "-g"), &kept);
    let shown = files();
    assert_eq!(shown.len(), 2);
    assert!(holds(&shown[0], "other_variable") && !holds(&shown[0], "result_1"));
    assert!(shown[1].starts_with(b"\x7fELF") && holds(&shown[1], "result_1") && holds(&shown[1], ".debug_info"));
    first.remove().expect("nothing needs it");
    assert_eq!(files(), shown[..1]);
    second.remove().expect("nothing needs it");
    assert_eq!(files().len(), 0);
}

#[test]
fn updates_are_shown_beside_what_they_replace_until_it_is_reclaimed() {
    let Some(compiler) = find(C_COMPILERS[0]) else { return };
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let session = session(true);
    let options = LinkOptions { keep_debug: true, updatable: true, ..LinkOptions::default() };
    let module = link(&session, version(&compiler, 1), &options);
    let has = |numbers: &[u32]| {
        let shown = files();
        let names: Vec<String> = numbers.iter().map(|number| format!("result_{number}")).collect();
        assert_eq!(shown.len(), names.len());
        assert!(shown.iter().zip(&names).all(|(file, name)| holds(file, name)), "{names:?}");
    };
    has(&[1]);
    for (number, shown) in [(2, &[2, 1][..]), (3, &[3, 2, 1])] {
        // SAFETY: the function keeps its type, and nothing runs in it.
        unsafe { module.update(&[version(&compiler, number)]) }.unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(call(&module), number as i32);
        has(shown);
    }
    // SAFETY: nothing runs in the module.
    unsafe { module.reclaim() };
    has(&[3, 1]);
    module.remove().expect("nothing needs it");
    has(&[]);
}
