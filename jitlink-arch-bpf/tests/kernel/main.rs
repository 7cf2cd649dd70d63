//! Linked objects in the kernel: they run, and are what libbpf makes of the same objects.
//!
//! All of this needs `bpf(2)`. Where it is not allowed the tests say so and pass, in CI as well: whether it is depends on the machine.
#![cfg(target_os = "linux")]

mod kit;
mod libbpf;
mod run;
