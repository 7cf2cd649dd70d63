#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

pub mod classic;
pub mod image;
pub mod insn;
