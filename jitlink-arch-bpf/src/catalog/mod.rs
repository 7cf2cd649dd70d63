//! What the kernel offers to BPF programs, as tables: helpers, maps, programs and their contexts.
//!
//! The linker names helpers and finds out what a section's programs are; the virtual machine offers the same helpers, maps and
//! contexts; a verifier checks calls and accesses. All of them read these tables, so that they cannot disagree.
//!
//! Sources: `linux/bpf.h` and `Documentation/bpf` of Linux 6.18. Which programs may call a helper, and which helpers need
//! a license that the GPL is compatible with, is what the verifier of that kernel answers.

pub mod contexts;
pub mod helpers;
pub mod maps;
pub mod programs;

#[cfg(test)]
mod tests;
