//! Links relocatable object files into ready-to-execute memory, in this process or elsewhere, without LLVM.
//!
//! A [`Session`] owns an executor (where linked code lives) and a registry (which formats and architectures there are). It
//! holds [`Library`]s, which are namespaces; a library holds [`Module`]s, each of which is what one link added.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use jitlink::{Input, LinkOptions, Session};
//!
//! let session = Session::in_process()?;
//! let module = session.link(&[Input::open("add.o")?], &LinkOptions::default())?;
//! let add = module.lookup("add").ok_or("add.o does not define add")?;
//! // SAFETY: add.o was compiled from `int add(int, int)`, and `add` keeps its module linked.
//! let add_function: extern "C" fn(i32, i32) -> i32 = unsafe { std::mem::transmute(add.address().0 as usize) };
//! assert_eq!(add_function(2, 3), 5);
//! # Ok(()) }
//! ```
//!
//! # Backends
//!
//! Each backend is a crate of its own behind a Cargo feature of this one: `elf` and `x86` are on by default. A backend of your
//! own needs no feature here: depend on its crate, name it in your program (`use my_backend as _;`), and it is there.
#![forbid(unsafe_op_in_unsafe_fn)]

mod error;
mod library;
mod module;
mod resolver;
mod session;

#[cfg(feature = "x86")]
use jitlink_arch_x86 as _;
#[cfg(feature = "elf")]
use jitlink_elf as _;

pub use error::RemoveError;
pub use jitlink_core as core;
pub use jitlink_core::image::{ImageConfig, ImageExecutor};
pub use jitlink_core::link::{LinkMap, LinkOptions, Pipeline, Roots, Segment, Stage, Statistics, Unresolved};
#[cfg(all(feature = "in-process", target_os = "linux"))]
pub use jitlink_core::process::ProcessExecutor;
pub use jitlink_core::{Addr, AddrRange, Executor, Input, LinkError, LinkErrors, Registry, Site};
pub use library::Library;
pub use module::{Module, SymbolHandle};
pub use session::Session;
