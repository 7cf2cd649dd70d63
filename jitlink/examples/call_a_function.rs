//! Links two objects and calls a function.
//!
//! `sum.o` needs `add`, which `add.o` defines: all inputs of one link are one batch, and find each other whatever their order.
//! A handle keeps the function that it names linked, so that no call can come too late.
//!
//! Run it with `cargo run --example call_a_function`.

use jitlink::{Input, LinkOptions, Session};
use std::error::Error;
use std::io::Write;

/// `int sum(const int *values, int count)`, which trusts its arguments.
type Sum = unsafe extern "C" fn(*const i32, i32) -> i32;

fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout())
}

/// The example, with its output going to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let sum_o = Input::from_bytes("sum.o", include_bytes!("../tests/fixtures/sum.o"));
    let add_o = Input::from_bytes("add.o", include_bytes!("../tests/fixtures/add.o"));

    let session = Session::in_process()?;
    let module = session.link(&[sum_o, add_o], &LinkOptions::default())?;
    for (name, export) in module.exports().iter() {
        writeln!(out, "linked {name}, {} bytes", export.size)?;
    }

    // SAFETY: sum.c defines the function with this type.
    let sum = unsafe { module.function::<Sum>("sum") }?;
    let values = [1, 2, 3, 4];
    // SAFETY: the function reads as many values as it is told.
    writeln!(out, "the sum is {}", unsafe { sum.call(values.as_ptr(), values.len() as i32) })?;

    // The handle holds the module.
    if let Err(refused) = module.remove() {
        writeln!(out, "not removed: {refused}")?;
    }
    drop(sum);
    module.remove()?;
    writeln!(out, "removed")?;
    Ok(())
}
