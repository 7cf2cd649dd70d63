//! Provide host functions and data.
//!
//! Names that the inputs do not define are looked up in this order: the library's modules and those that it searches, what
//! [`Session::define`](crate::Session::define) was given, then the executor's own symbols: for this process the program and its
//! shared libraries. So `printf` needs no definition, and your own functions need one line each. Give a name to the address of an
//! `extern "C"` function, or of data that lives as long as the linked code.
//!
//! ```
//! use jitlink::{Addr, Input, LinkOptions, Session};
//! use std::sync::atomic::{AtomicI64, Ordering};
//!
//! static LIMIT: AtomicI64 = AtomicI64::new(1000); // long limit;
//! static VISITED: AtomicI64 = AtomicI64::new(0);
//!
//! extern "C" fn visit(_value: i64) {
//!     VISITED.fetch_add(1, Ordering::Relaxed);
//! }
//!
//! let session = Session::in_process()?;
//! session.define("visit", Addr(visit as *const () as u64));
//! session.define("limit", Addr(LIMIT.as_ptr() as u64));
//! let module = session.link(&[Input::open("tests/fixtures/collatz.o")?], &LinkOptions::default())?;
//!
//! let collatz = module.lookup("collatz").ok_or("collatz.o does not define collatz")?;
//! // SAFETY: collatz.c defines `long collatz(long)`, and `collatz` keeps its module linked.
//! let steps: extern "C" fn(i64) -> i64 = unsafe { std::mem::transmute(collatz.address().0 as *const ()) };
//! assert_eq!((steps(27), VISITED.load(Ordering::Relaxed)), (111, 112));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Where the host's code is does not matter: a call that cannot reach it goes through a stub, and an instruction with a short
//! address of the host's data is moved to where a full one fits. Nothing is copied: linked code and the host see the same variable.
//!
//! A definition for one link alone goes into [`LinkOptions::defines`](crate::LinkOptions); other names for what is there, into
//! [`LinkOptions::aliases`](crate::LinkOptions).
