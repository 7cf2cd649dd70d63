//! BPF: linking its objects, running them without root, and loading them into a kernel.
//!
//! [`link`](mod@link) makes a [`BpfImage`](image::BpfImage) of objects: programs, maps, types and lines, linked. The image runs in a
//! machine of this process ([`vm`]), where every memory access is checked and maps and helpers are those of the kernel; or it goes
//! into the kernel (`kernel`, with the feature `bpf-kernel`).

pub use jitlink_arch_bpf::*;
pub use jitlink_bpf_vm as vm;
