#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

pub mod catalog;
pub mod image;
pub mod insn;
