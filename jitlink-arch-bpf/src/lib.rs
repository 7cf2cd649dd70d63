#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod arch;
pub mod btf;
pub mod catalog;
pub mod classic;
mod complete;
pub mod core_relo;
pub mod image;
pub mod insn;
#[cfg(all(feature = "kernel", target_os = "linux"))]
pub mod kernel;
pub mod link;
pub mod relocs;

pub use arch::Bpf;
pub use relocs::{ELF_BPF, ELF_UNNAMED};

jitlink_core::register!(
    jitlink_core::registry::Plugin::Arch(&Bpf),
    jitlink_core::registry::Plugin::Relocs(ELF_BPF),
    jitlink_core::registry::Plugin::Relocs(ELF_UNNAMED),
);
