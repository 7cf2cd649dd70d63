#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

pub mod maps;
#[allow(unsafe_code, reason = "makes zeroed memory that threads share")]
pub mod memory;
