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
//! let answer = module.lookup("answer").ok_or("answer.o does not define answer")?;
//! // SAFETY: both versions define `int answer(int)`, and `answer` keeps its module linked.
//! let function: extern "C" fn(i32) -> i32 = unsafe { std::mem::transmute(answer.address().0 as *const ()) };
//! assert_eq!(function(4), 5);
//!
//! // SAFETY: the function keeps its type.
//! let updated = unsafe { module.update(&[second])? };
//! assert_eq!(updated.replaced, ["answer"]);
//! assert_eq!(function(4), 40);
//!
//! // SAFETY: no thread is in the old code.
//! unsafe { module.reclaim() };
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Threads may call all the while: each call gets the old code or the new. Nobody can know when a thread has left the old code, so
//! that stays in memory until you say that it has, with [`Module::reclaim`](crate::Module::reclaim): call it where your program is
//! at rest, between two frames or requests.
//!
//! An update that cannot be made (a variable changed its size, a name is missing) is an error, and the module is as it was.
//!
//! It is not free: in an updatable module, calls of exported functions and their addresses go through slots. Other modules pay
//! nothing.
