//! Linked code calls a function of this program, which calls linked code again, and panics.
//!
//! `each.o` calls a visitor for each of some values, until it answers other than zero. The visitor here keeps its state behind the pointer that
//! `each` passes on, asks linked code for the square of each value, and makes a status of a panic.
//!
//! Run it with `cargo run --example callbacks`.

use jitlink::{Function, Input, LinkOptions, Session, contain};
use std::error::Error;
use std::ffi::c_void;
use std::io::Write;
use std::panic::AssertUnwindSafe;

/// `int visitor(void *context, int value)`
type Visitor = unsafe extern "C" fn(*mut c_void, i32) -> i32;

/// `int each(const int *values, int count, visitor *visit, void *context)`
type Each = unsafe extern "C" fn(*const i32, i32, Visitor, *mut c_void) -> i32;

/// `int square(int value)`
type Square = extern "C" fn(i32) -> i32;

/// What the visitor knows.
struct Visit {
    square: Function<Square>,
    squares: Vec<u16>,
}

/// Notes the square of a value; 1 if it has panicked.
///
/// # Safety
/// `context` points to a [`Visit`] that nobody else uses now.
unsafe extern "C" fn visit(context: *mut c_void, value: i32) -> i32 {
    // SAFETY: as this function's caller promises.
    let visit = unsafe { &mut *context.cast::<Visit>() };
    let note = AssertUnwindSafe(|| {
        let square = visit.square.call(value);
        visit.squares.push(square.try_into().expect("a square of 16 bits"));
        0
    });
    // A panic that left an `extern "C"` function would end the process.
    contain(note, |_panic| 1)
}

fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout())
}

/// The example, with its output going to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let session = Session::in_process()?;
    let each_o = Input::from_bytes("each.o", include_bytes!("../tests/fixtures/each.o"));
    let module = session.link(&[each_o], &LinkOptions::default())?;
    // SAFETY: each.c defines the functions with these types.
    let (each, square) = unsafe { (module.function::<Each>("each")?, module.function::<Square>("square")?) };

    for values in [[1, 2, 3], [4, 400, 5]] {
        let mut state = Visit { square: square.clone(), squares: Vec::new() };
        // SAFETY: `each` reads as many values as it is told, and calls `visit` with the pointer to `state`.
        let status = unsafe { each.call(values.as_ptr(), values.len() as i32, visit, (&raw mut state).cast()) };
        writeln!(out, "{values:?}: status {status}, squares {:?}", state.squares)?;
    }
    Ok(())
}
