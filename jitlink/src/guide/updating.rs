//! Replace a function while it runs.
//!
//! A module that was linked with [`LinkOptions::updatable`](crate::LinkOptions) can be given new versions of its objects. They are
//! told apart by name. What is the same stays where it is, functions that changed are replaced, variables keep their places and
//! their values. Addresses of functions stay valid and mean the new code.
//!
//! ```
//! use jitlink::{Input, LinkOptions, Session};
//!
//! let first = Input::from_bytes("answer.o", std::fs::read("tests/fixtures/answer-1.o")?);
//! let second = Input::from_bytes("answer.o", std::fs::read("tests/fixtures/answer-2.o")?);
//!
//! let session = Session::in_process()?;
//! let module = session.link(&[first], &LinkOptions { updatable: true, ..LinkOptions::default() })?;
//! // SAFETY: both versions define `int answer(int)`.
//! let answer = unsafe { module.function::<extern "C" fn(i32) -> i32>("answer") }?;
//! assert_eq!(answer.call(4), 5);
//!
//! // SAFETY: the function keeps its type.
//! let updated = unsafe { module.update(&[second])? };
//! assert_eq!(updated.replaced, ["answer"]);
//! assert_eq!(answer.call(4), 40);
//!
//! // SAFETY: no thread is in the old code.
//! unsafe { module.reclaim() };
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`Function`](crate::Function) stays what it is across updates and gets the new code, and a [`Variable`](crate::Variable) keeps its place and
//! its value. What an update removes while a handle to it is held stays in memory as it was.
//!
//! Threads may call all the while: each call gets the old code or the new. Nobody can know when a thread has left the old code, so
//! that stays in memory until you say that it has, with [`Module::reclaim`](crate::Module::reclaim): call it where your program is
//! at rest, between two frames or requests.
//!
//! An update that cannot be made (a variable changed its size, a name is missing) is an error, and the module is as it was.
//!
//! It is not free: in an updatable module, calls of exported functions and their addresses go through slots. Other modules pay
//! nothing.
