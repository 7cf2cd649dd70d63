//! Tests with machine code of this architecture.

use super::*;
use crate::executor::DescribedSymbol;

/// `mov $VALUE, %eax; ret`
fn constant(value: u32) -> Vec<u8> {
    [&[0xb8][..], &value.to_le_bytes(), &[0xc3]].concat()
}

fn call(address: Addr) -> u32 {
    // SAFETY: the tests place `constant` there.
    unsafe { std::mem::transmute::<usize, extern "C" fn() -> u32>(address.0 as usize)() }
}

#[test]
fn linked_code_runs() {
    let executor = ProcessExecutor::new().unwrap();
    let (at, _kept) = link(&executor, &three(64), &[&constant(42)]);
    assert_eq!(call(at[0]), 42);
    // SAFETY: the code ignores its arguments and returns an int.
    assert_eq!(unsafe { executor.run_main(at[0], &[]) }, Ok(42));
    assert_nothing_is_writable_and_executable();
}

#[test]
fn linking_does_not_disturb_code_that_runs_on_the_same_page() {
    let executor = ProcessExecutor::new().unwrap();
    let (at, _kept) = link(&executor, &three(64), &[&constant(1)]);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(call(at[0]), 1);
            }
        });
        for round in 0..5_000 {
            let (next, _module) = link(&executor, &three(64), &[&constant(round)]);
            assert_eq!(next[0].0 / 4096, at[0].0 / 4096);
            assert_eq!(call(next[0]), round);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// Links `code` as function `crash_here` of `crash.o` and calls it with crash reports on.
fn crash_in(code: &[u8]) {
    crash::install().unwrap();
    let executor = ProcessExecutor::new().unwrap();
    let mut reservation = executor.reserve(&three(64)).unwrap();
    let at = reservation.address(0);
    reservation.working_memory()[0].bytes[..code.len()].copy_from_slice(code);
    let description = Description {
        segments: vec![(at, 64)],
        symbols: vec![DescribedSymbol { address: at, size: 16, name: (0, 10), object: 1 }],
        names: "crash_here".into(),
        objects: vec!["other.o".into(), "crash.o".into()],
        handle: at,
        ..Description::default()
    };
    let _kept = reservation.finalize(vec![Action::Describe(description)]).unwrap();
    call(at);
}

fn assert_report(output: &std::process::Output, signal: i32, expected: &[&str]) {
    use std::os::unix::process::ExitStatusExt;
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(signal), "{text}");
    for part in expected {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn a_crash_names_symbol_and_object() {
    // nop; mov 0x1234, %eax
    match alone("machine::a_crash_names_symbol_and_object") {
        Ok(()) => crash_in(&[0x90, 0x8b, 0x04, 0x25, 0x34, 0x12, 0, 0]),
        Err(output) => {
            assert_report(&output, libc::SIGSEGV, &["SIGSEGV", "at 0x1234", "in crash_here+0x1 of crash.o"]);
        }
    }
}

#[test]
fn a_call_to_null_names_the_caller() {
    // xor %eax, %eax; call *%rax
    match alone("machine::a_call_to_null_names_the_caller") {
        Ok(()) => crash_in(&[0x31, 0xc0, 0xff, 0xd0]),
        Err(output) => assert_report(&output, libc::SIGSEGV, &["called from crash_here+0x4 of crash.o"]),
    }
}

#[test]
fn traps_and_illegal_instructions_are_crashes() {
    match alone("machine::traps_and_illegal_instructions_are_crashes") {
        Ok(()) => crash_in(&[0xcc]),
        Err(output) => assert_report(&output, libc::SIGTRAP, &["SIGTRAP", "crash_here+0x1"]),
    }
}

#[test]
fn a_stack_overflow_is_reported() {
    // sub $0x1000, %rsp; call itself
    match alone("machine::a_stack_overflow_is_reported") {
        Ok(()) => {
            // The handlers have a stack in the thread that asked for one; libtest's threads have small ones of their own.
            crash_in(&[0x48, 0x81, 0xec, 0, 0x10, 0, 0, 0xe8, 0xf4, 0xff, 0xff, 0xff]);
        }
        Err(output) => assert_report(&output, libc::SIGSEGV, &["crash_here+0x"]),
    }
}

#[test]
fn a_crash_elsewhere_is_left_alone() {
    match alone("machine::a_crash_elsewhere_is_left_alone") {
        Ok(()) => {
            crash::install().unwrap();
            // SAFETY: none; the test is that this ends the process.
            unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
        }
        Err(output) => {
            assert_report(&output, libc::SIGSEGV, &[]);
            assert!(!String::from_utf8_lossy(&output.stderr).contains("linked code"));
        }
    }
}
