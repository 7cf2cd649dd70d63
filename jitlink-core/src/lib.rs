//! The generic part of jitlink: a link graph, the phases that turn it into placed bytes, and the traits that plugins implement.
//!
//! This crate knows no object format and no architecture. An [`ObjectFormat`] reads files into a [`graph::LinkGraph`], a
//! [`TargetArch`] describes a machine, a [`reloc::RelocTable`] ties the two together by raw relocation number, and an
//! [`Executor`] owns the memory in which linked code lives. All of them meet in a [`Registry`].
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`graph`] | sections, blocks, symbols and edges in flat vectors, addressed by typed ids |
//! | [`reloc`] | relocations as data: one row a relocation, and the one function that applies any of them |
//! | [`arch`], [`format`](mod@format), [`executor`] | the three plugin traits |
//! | [`registry`] | what is available in this program |
//! | [`link`] | the phases in order |
//! | [`archive`] | `ar` archives of every dialect, and the members that a link pulls in |
//! | [`testing`] | checks that every relocation table must pass |
//! | [`debug`](mod@debug) | debug information of linked code: what debuggers, crash reports and profilers get |
//! | [`error`] | everything that can be wrong with an input, with its place |
#![cfg_attr(all(feature = "in-process", target_os = "linux"), doc = "| [`process`] | the executor of this process |")]
#![deny(unsafe_code)]

pub mod addr;
pub mod arch;
pub mod archive;
pub mod debug;
pub mod error;
pub mod executor;
pub mod format;
pub mod graph;
pub mod image;
pub mod input;
pub mod link;
mod pages;
#[cfg(all(feature = "in-process", target_os = "linux"))]
#[allow(unsafe_code, reason = "maps, writes and runs memory of this process; nothing else in this crate may")]
pub mod process;
pub mod registry;
pub mod reloc;
pub mod testing;

pub use addr::{Addr, AddrRange, Endian};
pub use arch::TargetArch;
pub use error::{LinkError, LinkErrors, Site};
pub use executor::Executor;
pub use format::ObjectFormat;
pub use input::Input;
pub use registry::Registry;

#[cfg(feature = "inventory")]
#[doc(hidden)]
pub use inventory;
