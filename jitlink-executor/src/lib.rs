//! Runs what jitlink links in another process, on this machine or another.
//!
//! [`RemoteExecutor`] is an [`Executor`](jitlink_core::Executor) whose memory is that of another process. A link does the same as for this
//! process, and asks the other side only a few times: everything that belongs together goes in one message ([`wire`]). At the other end is
//! a small program, `jitlink-executor`, which needs nothing but the C library of its machine ([`server`]).
//!
//! ```no_run
//! use jitlink_executor::RemoteExecutor;
//! use std::process::Command;
//!
//! // The same for another machine: `qemu-ppc64le-static -L /usr/powerpc64le-linux-gnu jitlink-executor`.
//! let executor = RemoteExecutor::start(Command::new("jitlink-executor"))?;
//! assert_eq!(executor.architecture(), "x86_64");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Whoever has a connection can have any code run: that is what it is for. So connections are a descriptor that only the two sides
//! have, a socket that only this user can open, or a port of this machine that asks for a token first. What the two sides check is that
//! no message, however wrong, does anything but end the connection with a reason.
#![cfg(any(target_os = "linux", windows))]
#![deny(unsafe_code)]

mod address;
#[cfg(unix)]
mod client;
pub mod server;
pub mod wire;

pub use address::Address;
#[cfg(unix)]
pub use client::{CrashReport, RemoteExecutor};
pub use wire::End;

/// The variable of the environment that holds the number of the descriptor of the connection.
pub const DESCRIPTOR_VARIABLE: &str = "JITLINK_EXECUTOR_DESCRIPTOR";

/// The variable of the environment that holds the token.
pub const TOKEN_VARIABLE: &str = "JITLINK_EXECUTOR_TOKEN";
