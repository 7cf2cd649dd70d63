#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

pub mod btf;
pub mod catalog;
pub mod classic;
pub mod core_relo;
pub mod image;
pub mod insn;
#[cfg(all(feature = "kernel", target_os = "linux"))]
pub mod kernel;
