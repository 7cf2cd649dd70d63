#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

#[cfg(not(target_has_atomic = "64"))]
compile_error!(
    "BPF programs use 64-bit atomic operations, which this target does not have: build jitlink without its feature `bpf`"
);

#[allow(unsafe_code, reason = "reads and writes memory of the host that threads share")]
mod access;
pub mod address;
pub mod call;
mod code;
pub mod context;
pub mod contexts;
pub mod error;
pub mod executor;
pub mod fault;
pub mod functions;
pub mod helpers;
mod interpret;
mod load;
mod load_maps;
mod machine;
pub mod maps;
#[allow(unsafe_code, reason = "makes zeroed memory that threads share")]
pub mod memory;
mod rare;
mod scratch;
mod space;
pub mod testing;
pub mod vm;
