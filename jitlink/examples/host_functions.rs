//! Gives linked code functions and data of the program that links it.
//!
//! `collatz.o` calls `visit` and reads `limit`. Neither is in an object: this program gives both to the session, with their types.
//! What a session does not define is looked up in the program's own symbols and in its shared libraries, so the C library needs
//! no definition.
//!
//! Run it with `cargo run --example host_functions`.

use jitlink::{Input, LinkOptions, Session};
use std::error::Error;
use std::io::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// What linked code knows as `long limit`. Linked code reads it while the program may write it, hence the atomic.
static LIMIT: AtomicI64 = AtomicI64::new(1000);
static VISITED: AtomicU64 = AtomicU64::new(0);

/// What linked code knows as `void visit(long)`. A panic in it would end the process.
extern "C" fn visit(_value: i64) {
    VISITED.fetch_add(1, Ordering::Relaxed);
}

fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout())
}

/// The example, with its output going to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let session = Session::in_process()?;
    session.define("visit", visit as extern "C" fn(i64))?;
    session.define("limit", &LIMIT)?;

    let collatz_o = Input::from_bytes("collatz.o", include_bytes!("../tests/fixtures/collatz.o"));
    let module = session.link(std::slice::from_ref(&collatz_o), &LinkOptions::default())?;
    // SAFETY: collatz.c defines the function with this type, and declares `visit` and `limit` as they are here.
    let steps = unsafe { module.function::<extern "C" fn(i64) -> i64>("collatz") }?;

    writeln!(out, "27 takes {} steps, {} values were visited", steps.call(27), VISITED.swap(0, Ordering::Relaxed))?;
    LIMIT.store(10, Ordering::Relaxed);
    writeln!(out, "with a limit of 10: {}", steps.call(27))?;

    // Without the definitions the link fails, and says all that is missing at once.
    let poor = Session::in_process()?;
    if let Err(errors) = poor.link(&[collatz_o], &LinkOptions::default()) {
        for error in errors.iter() {
            writeln!(out, "{error}")?;
        }
    }
    Ok(())
}
