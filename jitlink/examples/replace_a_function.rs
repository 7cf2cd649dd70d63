//! Replaces a function while another thread calls it.
//!
//! An updatable module is told which of its objects are new. What is the same stays where it is; functions that changed are
//! replaced one by one, each at once, so a thread that calls one gets the old code or the new and nothing between. Variables keep
//! their values. The address that the program took before the update stays good, and means the new code from then on.
//!
//! Run it with `cargo run --example replace_a_function`.

use jitlink::{Input, LinkOptions, Session};
use std::error::Error;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// `int answer(int value)`
type Answer = extern "C" fn(i32) -> i32;

/// Two objects of the same name, in which the function differs.
fn version(bytes: &'static [u8]) -> Input {
    Input::from_bytes("answer.o", bytes)
}

fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout())
}

/// The example, with its output going to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let first = version(include_bytes!("../tests/fixtures/answer-1.o"));
    let second = version(include_bytes!("../tests/fixtures/answer-2.o"));

    let session = Session::in_process()?;
    let module =
        session.link(std::slice::from_ref(&first), &LinkOptions { updatable: true, ..LinkOptions::default() })?;
    // SAFETY: both versions define the function with this type.
    let answer = unsafe { module.function::<Answer>("answer") }?;
    // SAFETY: both versions define `int calls`; nobody reads it while the thread below runs the code.
    let calls = unsafe { module.variable::<AtomicI32>("calls") }?;
    writeln!(out, "before: {}", answer.call(4))?;

    // The other thread calls until it has seen the new function, and checks every answer.
    let wrong = AtomicBool::new(false);
    let updated = std::thread::scope(|scope| {
        let caller = scope.spawn(|| {
            let mut last = answer.call(4);
            while last == 5 {
                last = answer.call(4);
            }
            wrong.store(last != 40, Ordering::Relaxed);
        });
        // SAFETY: the function and the variable keep their types.
        let updated = unsafe { module.update(&[second]) };
        if updated.is_err() {
            // Nothing has changed, so the caller would wait for ever.
            std::process::abort();
        }
        caller.join().map(|()| updated)
    });
    let updated = updated.map_err(|_| "the caller panicked")??;
    writeln!(out, "replaced: {}", updated.replaced.join(", "))?;
    writeln!(out, "after: {}, with a wrong answer between: {}", answer.call(4), wrong.load(Ordering::Relaxed))?;
    writeln!(out, "the count goes on: {}", calls.load(Ordering::Relaxed) > 2)?;

    // Back to the first version. All that the update before brought is replaced now, so its memory can go.
    // SAFETY: as above; the caller has ended, so that no thread is in the old code.
    let freed = unsafe {
        module.update(&[first])?;
        module.reclaim()
    };
    writeln!(out, "back again: {}, old code is freed: {}", answer.call(4), freed > 0)?;
    Ok(())
}
