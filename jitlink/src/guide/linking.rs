//! Link objects and call a function.
//!
//! A [`Session`](crate::Session) knows where linked code lives and which backends there are; most programs have one. Whatever
//! one [`link`](crate::Session::link) is given becomes one [`Module`](crate::Module): the inputs find each other's names in any
//! order, archives give the members that are needed, and what nothing needs is left out.
//!
//! ```
//! use jitlink::{Input, LinkOptions, Session};
//!
//! // sum.o needs `add`, which add.o defines.
//! let inputs = [Input::open("tests/fixtures/sum.o")?, Input::open("tests/fixtures/add.o")?];
//! let session = Session::in_process()?;
//! let module = session.link(&inputs, &LinkOptions::default())?;
//!
//! // SAFETY: sum.c defines `int sum(const int *values, int count)`.
//! let sum = unsafe { module.function::<unsafe extern "C" fn(*const i32, i32) -> i32>("sum") }?;
//! let values = [1, 2, 3, 4];
//! // SAFETY: it reads as many values as it is told.
//! assert_eq!(unsafe { sum.call(values.as_ptr(), values.len() as i32) }, 10);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is unsafe about it
//!
//! Linking runs nothing and is safe. [`Module::function`](crate::Module::function) is not: an object does not say what types its functions
//! have, so only you know them, and that the code is sound. You say so once. The [`Function`](crate::Function) that you get is called as its type
//! says: freely, or in an `unsafe` block if the type is an unsafe one, as is right for `sum`, which trusts its pointer.
//!
//! The handle keeps its module linked, so a call never comes too late. [`Module::variable`](crate::Module::variable) gives
//! variables the same way. Where you need an address alone, [`Module::lookup`](crate::Module::lookup) gives an untyped handle.
//!
//! If the objects have initialisers (C++ constructors of globals, `__attribute__((constructor))`), call
//! [`Module::initialise`](crate::Module::initialise) before anything else. A whole program is run by
//! [`Module::run_main`](crate::Module::run_main), which does that too.
//!
//! # What else a link can be asked for
//!
//! - [`LinkOptions::roots`](crate::LinkOptions): keep only what some names need, instead of all that the objects export.
//! - [`LinkOptions::map`](crate::LinkOptions): what was placed where, as [`Module::map`](crate::Module::map).
//! - [`Session::library`](crate::Session::library): namespaces, which search each other in an order of your choice.
//! - [`Module::remove`](crate::Module::remove): takes the module out again, unless something still refers to it.
//!
//! # When it fails
//!
//! [`LinkErrors`](crate::LinkErrors) is never empty and lists all that is wrong, each with its place and with
//! [advice](crate::LinkError::advice). A failed link has changed nothing.
