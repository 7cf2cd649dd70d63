//! Provide host functions and data.
//!
//! Names that the inputs do not define are looked up in this order: the library's modules and those that it searches, what
//! [`Session::define`](crate::Session::define) was given, then the executor's own symbols: for this process the program and its
//! shared libraries. So `printf` needs no definition, and your own functions and data need one line each.
//!
//! ```
//! use jitlink::{Input, LinkOptions, Session};
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
//! session.define("visit", visit as extern "C" fn(i64))?;
//! session.define("limit", &LIMIT)?;
//! let module = session.link(&[Input::open("tests/fixtures/collatz.o")?], &LinkOptions::default())?;
//!
//! // SAFETY: collatz.c defines `long collatz(long)`, and declares `visit` and `limit` as they are here.
//! let collatz = unsafe { module.function::<extern "C" fn(i64) -> i64>("collatz") }?;
//! assert_eq!((collatz.call(27), VISITED.load(Ordering::Relaxed)), (111, 112));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What can be given is a [`HostItem`](crate::HostItem):
//!
//! - **functions**, written with their type, so that the compiler checks that they have it and that its calling convention is one of C;
//! - **static data**, `&'static T`, which linked code knows as a variable of the type that C calls `T`;
//! - **data with a life of its own**, `Arc<T>`: the session keeps it until [`Session::undefine`](crate::Session::undefine), every module that is
//!   linked to it keeps it too, and when the last of them is gone it is dropped, if you have;
//! - an **address**, for executors that link for somewhere else.
//!
//! ```
//! # use jitlink::{Input, LinkOptions, Session};
//! # use std::sync::atomic::{AtomicI64, Ordering};
//! use std::sync::Arc;
//!
//! # extern "C" fn visit(_value: i64) {}
//! # let session = Session::in_process()?;
//! # session.define("visit", visit as extern "C" fn(i64))?;
//! let limit = Arc::new(AtomicI64::new(1000));
//! session.define("limit", limit.clone())?;
//! let module = session.link(&[Input::open("tests/fixtures/collatz.o")?], &LinkOptions::default())?;
//!
//! // A name is given once, so that two parts of a program do not take it from each other unnoticed.
//! assert!(session.define("limit", limit.clone()).is_err());
//! assert!(session.undefine("limit"));
//! assert_eq!(Arc::strong_count(&limit), 2, "the module keeps it");
//! module.remove()?;
//! assert_eq!(Arc::strong_count(&limit), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A name that an object or a library defines means that definition: what the program gives is for names that nobody else defines.
//! What linked code changes must be of a type that Rust lets change where it is shared: an atomic, or an `UnsafeCell` inside. Closures have
//! no address that C could call; [callbacks](crate::guide::callbacks) take their state by a pointer.
//!
//! Where the host's code is does not matter: a call that cannot reach it goes through a stub, and an instruction with a short
//! address of the host's data is moved to where a full one fits. Nothing is copied: linked code and the host see the same variable.
//!
//! A definition for one link alone goes into [`LinkOptions::defines`](crate::LinkOptions); other names for what is there, into
//! [`LinkOptions::aliases`](crate::LinkOptions).
