//! Links relocatable object files into ready-to-execute memory, in this process or elsewhere, without LLVM.
//!
//! A [`Session`] owns an executor (where linked code lives) and a registry (which formats and architectures there are). It
//! holds [`Library`]s, which are namespaces; a library holds [`Module`]s, each of which is what one link added.
//!
#![cfg_attr(
    all(feature = "elf", feature = "x86", feature = "in-process", target_arch = "x86_64", target_os = "linux"),
    doc = "```"
)]
#![cfg_attr(
    not(all(feature = "elf", feature = "x86", feature = "in-process", target_arch = "x86_64", target_os = "linux")),
    doc = "```ignore"
)]
//! use jitlink::{Input, LinkOptions, Session};
//!
//! // add.o is what a compiler made of `int add(int left, int right) { return left + right; }`.
//! let session = Session::in_process()?;
//! let module = session.link(&[Input::open("tests/fixtures/add.o")?], &LinkOptions::default())?;
//! // SAFETY: the function has this type.
//! let add = unsafe { module.function::<extern "C" fn(i32, i32) -> i32>("add") }?;
//! assert_eq!(add.call(2, 3), 5);
//! drop(add);
//! module.remove()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to go from here
//!
//! The [`guide`] has a page for each thing that people do with this library, with a complete example:
//! [link objects and call a function](guide::linking), [provide host functions and data](guide::host),
//! [be called back](guide::callbacks),
//! [look at a link or change it](guide::passes), [replace a function while it runs](guide::updating),
//! [link what your own compiler made](guide::compilers), [add an architecture](guide::architectures), [add an object format](guide::formats).
//!
//! # What a link is
//!
//! All inputs of one [`Session::link`] become one graph, one layout and one allocation. Names that they do not define are looked
//! up in the libraries of the session, then among the names that [`Session::define`] gave it, then asked of its resolvers, then
//! looked up in the executor: for this process, in the program and in its shared libraries. Archives give the members that are needed. All that is wrong with a
//! link is reported at once, as [`LinkErrors`]; a link that fails changes nothing.
//!
//! Linking runs nothing. [`Module::initialise`] runs the initialisers, [`Module::run_main`] a whole program; both are unsafe,
//! because only the caller can know what the code does.
//!
//! A [`Resolver`] supplies what nobody defines when a link needs it: addresses, objects that join the link, or functions that are
//! linked when they are first called ([`Lazy`]).
//!
//! A module stays linked until [`Module::remove`], which refuses while other modules, [`Function`]s, [`Variable`]s or
//! [`SymbolHandle`]s refer to it.
//!
//! # Without running anything
//!
//! [`ImageExecutor`] computes addresses and bytes for any architecture, on any host:
//!
#![cfg_attr(all(feature = "elf", feature = "x86"), doc = "```")]
#![cfg_attr(not(all(feature = "elf", feature = "x86")), doc = "```ignore")]
//! use jitlink::{Addr, ImageConfig, ImageExecutor, Input, LinkOptions, Registry, Session};
//! use std::sync::Arc;
//!
//! let config = ImageConfig { base: Addr(0x40_0000), ..ImageConfig::default() };
//! let image = Arc::new(ImageExecutor::new(config)?);
//! let session = Session::new(Registry::global()?, image.clone());
//! let module = session.link(&[Input::open("tests/fixtures/add.o")?], &LinkOptions::default())?;
//! assert_eq!(module.exports().get("add").map(|add| add.address), Some(Addr(0x40_0000)));
//! assert_eq!(image.segments()[0].bytes(), [0x8d, 0x04, 0x37, 0xc3]); // lea (%rdi,%rsi), %eax; ret
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Backends
//!
//! Each backend is a crate of its own behind a Cargo feature of this one: `elf` and `x86` are on by default, and `in-process`,
//! with which linked code runs in this process, and `remote`, with which it runs in another (`RemoteExecutor`). A backend of your own needs no feature here: depend on its crate, name it in
//! your program (`use my_backend as _;`), and it is in [`Registry::global`]. [`core`] is what it builds on; the guide says how to
//! write [architectures](guide::architectures) and [formats](guide::formats).
#![forbid(unsafe_op_in_unsafe_fn)]

#[cfg(feature = "bpf")]
pub mod bpf;
mod error;
mod function;
mod lazy;
// Pages for people, in the documentation alone. Their examples are for what runs code of x86-64 in this process.
#[cfg(any(
    all(doc, not(doctest)),
    all(
        doctest,
        feature = "elf",
        feature = "x86",
        feature = "in-process",
        target_arch = "x86_64",
        target_os = "linux"
    )
))]
pub mod guide;
mod host;
mod library;
#[cfg(all(test, loom))]
mod models;
mod module;
mod once;
mod parting;
#[cfg(all(feature = "remote", target_os = "linux"))]
pub mod remote {
    //! Linked code in another process: what goes with [`RemoteExecutor`](crate::RemoteExecutor).

    pub use jitlink_executor::{Address, CrashReport, DESCRIPTOR_VARIABLE, End, TOKEN_VARIABLE};
}
mod resolver;
mod session;
mod symbol;
mod sync;
mod update;
mod variable;

#[cfg(feature = "aarch64")]
use jitlink_arch_aarch64 as _;
#[cfg(feature = "ppc")]
use jitlink_arch_ppc as _;
#[cfg(feature = "x86")]
use jitlink_arch_x86 as _;
#[cfg(feature = "coff")]
use jitlink_coff as _;
#[cfg(feature = "elf")]
use jitlink_elf as _;

pub use error::{DefineError, RemoveError, SymbolError};
pub use function::{Function, FunctionType};
pub use host::{HostItem, contain};
pub use jitlink_core as core;
pub use jitlink_core::image::{ImageConfig, ImageExecutor};
pub use jitlink_core::link::{LinkMap, LinkOptions, Pipeline, Roots, Segment, Stage, Statistics, Unresolved};
#[cfg(all(feature = "in-process", target_os = "linux"))]
pub use jitlink_core::process::{ProcessExecutor, Profile};
pub use jitlink_core::{Addr, AddrRange, Executor, Input, LinkError, LinkErrors, Registry, Site};
#[cfg(all(feature = "remote", target_os = "linux"))]
pub use jitlink_executor::RemoteExecutor;
pub use lazy::Lazy;
pub use library::Library;
pub use module::Module;
pub use resolver::{BoxError, Definition, Resolver, resolver};
pub use session::Session;
pub use symbol::SymbolHandle;
pub use update::Updated;
pub use variable::{SharedData, Variable};

/// The examples of the crate's front page.
#[cfg(all(doctest, feature = "elf", feature = "x86", feature = "in-process"))]
#[doc = include_str!("../README.md")]
struct Readme;
