//! BPF: linking its objects, running them without root, and loading them into a kernel.
//!
//! [`link`](mod@link) makes a [`BpfImage`](image::BpfImage) of objects: programs, maps, types and lines, linked. The image runs in a
//! machine of this process ([`vm`]), where every memory access is checked and maps and helpers are those of the kernel; or it goes
//! into the kernel (`kernel`, with the feature `bpf-kernel`).
//!
//! # Tests of BPF programs
//!
//! [`Programs`] does all of it for a test: it needs no root and no kernel, and runs wherever `cargo test` does.
//!
#![cfg_attr(feature = "elf", doc = "```")]
#![cfg_attr(not(feature = "elf"), doc = "```ignore")]
//! use jitlink::bpf::{Programs, vm::contexts::Packet};
//!
//! // `gate` drops what is for TCP port 23, and counts it.
//! let programs = Programs::open(&["tests/fixtures/gate.bpf.o"])?;
//! let mut frame = vec![0; 64];
//! frame[12..14].copy_from_slice(&[8, 0]); // IPv4
//! frame[23] = 6; // TCP
//! frame[37] = 23;
//! let ran = programs.run("gate", Packet::ethernet(frame.clone()))?;
//! assert_eq!(ran.verdict, 1); // XDP_DROP
//!
//! frame[37] = 80;
//! let ran = programs.run("gate", Packet::ethernet(frame))?;
//! assert_eq!((ran.verdict, ran.packet.bytes[37]), (2, 80 ^ 0xff)); // XDP_PASS, and the packet as it was left
//!
//! let dropped = programs.map("dropped").ok_or("no such map")?;
//! assert_eq!(dropped.lookup(&0u32.to_ne_bytes())?, 1u64.to_ne_bytes());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod programs;

pub use jitlink_arch_bpf::*;
pub use jitlink_bpf_vm as vm;
pub use programs::{ProgramError, Programs, Ran};
