//! Be called back, with panics and exceptions.
//!
//! Linked code calls your functions by [names](crate::guide::host) that you gave it, or by pointers that you pass. Either way they are
//! `extern "C"` functions; they may call linked functions again, to any depth.
//!
//! # State
//!
//! C code has no closures: a callback takes its state by a pointer, which the function that calls it passes on. What it points to lives on
//! your stack during the call, or in an `Arc` that you give by name if it is to live longer.
//!
//! # Panics
//!
//! A panic cannot leave an `extern "C"` function: Rust ends the process. [`contain`](crate::contain) makes a value of it, and lets you keep
//! the panic until linked code has returned in its own way:
//!
//! ```
//! use jitlink::{Function, Input, LinkOptions, Session, contain};
//! use std::any::Any;
//! use std::ffi::c_void;
//! use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
//!
//! type Visitor = unsafe extern "C" fn(*mut c_void, i32) -> i32;
//! type Each = unsafe extern "C" fn(*const i32, i32, Visitor, *mut c_void) -> i32;
//!
//! struct Sum {
//!     square: Function<extern "C" fn(i32) -> i32>,
//!     sum: i32,
//!     panic: Option<Box<dyn Any + Send>>,
//! }
//!
//! /// Adds the square of a value, which it asks linked code for. Not zero when it has panicked.
//! unsafe extern "C" fn visit(context: *mut c_void, value: i32) -> i32 {
//!     // SAFETY: `sum_of_squares` below passes this, and does not touch it meanwhile.
//!     let state = unsafe { &mut *context.cast::<Sum>() };
//!     let add = AssertUnwindSafe(|| {
//!         state.sum = state.sum.checked_add(state.square.call(value)).expect("a sum in range");
//!         0
//!     });
//!     let mut panic = None;
//!     let status = contain(add, |payload| {
//!         panic = Some(payload);
//!         1
//!     });
//!     state.panic = panic;
//!     status
//! }
//!
//! fn sum_of_squares(each: &Function<Each>, square: &Function<extern "C" fn(i32) -> i32>, values: &[i32]) -> i32 {
//!     let mut state = Sum { square: square.clone(), sum: 0, panic: None };
//!     // SAFETY: `each` reads as many values as it is told, and calls `visit` with the pointer that it is given.
//!     unsafe { each.call(values.as_ptr(), values.len() as i32, visit, (&raw mut state).cast()) };
//!     // `each` has returned; the panic goes on.
//!     state.panic.map_or(state.sum, |panic| resume_unwind(panic))
//! }
//!
//! let session = Session::in_process()?;
//! let module = session.link(&[Input::open("tests/fixtures/each.o")?], &LinkOptions::default())?;
//! // SAFETY: each.c defines them so.
//! let (each, square) = unsafe { (module.function::<Each>("each")?, module.function("square")?) };
//! assert_eq!(sum_of_squares(&each, &square, &[1, 2, 3]), 14);
//! assert!(catch_unwind(AssertUnwindSafe(|| sum_of_squares(&each, &square, &[40000, 40000]))).is_err());
//! assert_eq!(sum_of_squares(&each, &square, &[3, 4]), 25, "nothing is left of it");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Without `contain`, a callback of type `extern "C-unwind" fn` lets the panic go through linked code, if that was compiled for exceptions. C++
//! runs its destructors then; C code does not know that it was left.
//!
//! # Exceptions
//!
//! An exception that linked C++ code throws is found by handlers of any module. It may pass through your functions if they and
//! the [types](crate::FunctionType) by which you call are `"C-unwind"`; what they hold is dropped on the way. A type without `-unwind`
//! says that nothing is thrown, and if something is, behaviour is undefined: you vouch for that when you
//! [ask for the function](crate::Module::function). Rust cannot catch exceptions: give it functions that catch their own.
//!
//! | what unwinds | gets to | what happens |
//! | --- | --- | --- |
//! | a panic | the end of an `extern "C"` function | the process aborts |
//! | a panic | [`contain`](crate::contain), `catch_unwind` | it ends there |
//! | a panic | linked code, out of an `extern "C-unwind"` function | destructors run; `catch (...)` must throw it again |
//! | an exception | a `"C-unwind"` function of Rust | values are dropped, it goes on |
//! | an exception | the end of an `extern "C"` function of Rust | the process aborts |
//! | an exception | [`contain`](crate::contain), `catch_unwind` | the process aborts |
//! | an exception | a call by a type without `-unwind` | undefined behaviour |
