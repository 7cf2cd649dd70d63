//! Functions that are linked when they are first called, by code that compilers made.
#![cfg(all(feature = "elf", feature = "x86", feature = "in-process", target_arch = "x86_64", target_os = "linux"))]

#[path = "../support/compilers.rs"]
mod compilers;

mod arguments;
mod failure;
mod life;
mod support;
mod threads;
