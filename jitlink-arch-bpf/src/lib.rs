#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

pub mod btf;
pub mod image;
pub mod insn;
