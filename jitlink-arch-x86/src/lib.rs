//! x86 for jitlink: what code and relocations of the family mean to a linker.
//!
//! | module | machine |
//! | --- | --- |
//! | [`x86_64`] | x86-64 (also AMD64, Intel 64), in ELF objects of 64 bits and in COFF objects |
//! | [`i386`] | i386 (also IA-32), in COFF objects |
//!
//! A program that names this crate (`use jitlink_arch_x86 as _;`) finds its plugins in
//! [`Registry::global`](jitlink_core::Registry::global). A registry made by hand takes them from here:
//!
//! ```
//! use jitlink_arch_x86::{ELF_X86_64, X86_64};
//! use jitlink_core::registry::{Plugin, Registry};
//!
//! let registry = Registry::empty().with(Plugin::Arch(&X86_64))?.with(Plugin::Relocs(ELF_X86_64))?;
//! assert_eq!(registry.archs()[0].info().name(), "x86-64");
//! # Ok::<(), jitlink_core::LinkError>(())
//! ```

#![forbid(unsafe_code)]

pub mod i386;
pub mod x86_64;

pub use i386::I386;
pub use i386::relocs::COFF_I386;
pub use x86_64::X86_64;
pub use x86_64::relocs::ELF_X86_64;
pub use x86_64::relocs::coff::COFF_X86_64;

jitlink_core::register!(
    jitlink_core::registry::Plugin::Arch(&I386),
    jitlink_core::registry::Plugin::Relocs(COFF_I386),
    jitlink_core::registry::Plugin::Arch(&X86_64),
    jitlink_core::registry::Plugin::Relocs(ELF_X86_64),
    jitlink_core::registry::Plugin::Relocs(COFF_X86_64),
);
