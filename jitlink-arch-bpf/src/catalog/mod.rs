//! What the kernel offers to BPF programs, as tables: helpers, maps, programs and their contexts.
//!
//! The linker names helpers and finds out what a section's programs are; the virtual machine offers the same helpers, maps and
//! contexts; a verifier checks calls and accesses. All of them read these tables, so that they cannot disagree.
//!
//! Sources: `linux/bpf.h` and `Documentation/bpf` of Linux 6.18. Which programs may call a helper, and which helpers need
//! a license that the GPL is compatible with, is what the verifier of that kernel answers.

//!
//! # Limits
//!
//! The tables end with what Linux 6.18 has (and one map type, `rhash`, of a later kernel), and what a newer kernel adds is unknown here.
//! Nothing is guessed about it; what happens depends on who meets it:
//!
//! | unknown | linking | the virtual machine | the kernel as executor |
//! | --- | --- | --- | --- |
//! | a helper (there are none after number 211, since new ones are kernel functions, which have names) | the call stays as it is, and has no name in disassembly | the program runs until it gets there, and ends with the fault "there is no helper N" | its verifier decides |
//! | a map type | the map is kept with its number | loading fails: "no type of map with number N is known" | the number is handed on, and the kernel decides |
//! | a section's name | the function is a program of no known kind | it runs with whatever context the host gives | it is refused by name, unless the host says the kind (`LoadOptions::kind`) |
//! | a field of a context | the access stays as it is | the access is a fault that says what is there | its verifier decides |
//!
//! Kernel functions are not in the tables: the kernel's own BTF has those of the kernel, and
//! the virtual machine knows its own by name. Older kernels lack rows that are here ([`helpers::Helper::since`] says since when helpers
//! are there); their verifier tells.

pub mod contexts;
pub mod helpers;
pub mod maps;
pub mod programs;

#[cfg(test)]
mod tests;
