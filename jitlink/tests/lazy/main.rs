//! Functions that are linked when they are first called, by code that compilers made.
#![cfg(all(feature = "elf", feature = "in-process", target_os = "linux"))]
#![cfg(any(
    all(feature = "x86", target_arch = "x86_64"),
    all(feature = "ppc", any(target_arch = "powerpc", target_arch = "powerpc64"))
))]

#[path = "../support/compilers.rs"]
mod compilers;

mod arguments;
mod failure;
mod life;
mod support;
mod threads;
