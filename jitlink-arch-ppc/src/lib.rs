//! PowerPC for jitlink: what code and relocations of the family mean to a linker.
//!
//! | module | machine |
//! | --- | --- |
//! | [`ppc64`] | PowerPC with 64-bit pointers, little-endian and big-endian |
//! | [`ppc32`] | PowerPC with 32-bit pointers, big-endian and little-endian |
//! | `fields` | where in data and instructions values stand |
//! | `branches` | conditional branches, which reach less |
//! | `save` | routines that save and restore registers |
//! | `code` | code of stubs, written as instructions |
//!
//! A program that names this crate (`use jitlink_arch_ppc as _;`) finds its plugins in
//! [`Registry::global`](jitlink_core::Registry::global). A registry made by hand takes them from here:
//!
//! ```
//! use jitlink_arch_ppc::{ELF_PPC64LE, PPC64LE};
//! use jitlink_core::registry::{Plugin, Registry};
//!
//! let registry = Registry::empty().with(Plugin::Arch(&PPC64LE))?.with(Plugin::Relocs(ELF_PPC64LE))?;
//! assert_eq!(registry.archs()[0].info().name(), "ppc64le");
//! # Ok::<(), jitlink_core::LinkError>(())
//! ```

#![forbid(unsafe_code)]

mod branches;
mod code;
mod fields;
pub mod ppc32;
pub mod ppc64;
mod save;

pub use ppc32::relocs::{ELF_PPC32, ELF_PPC32LE};
pub use ppc32::{PPC32, PPC32LE, Ppc32};
pub use ppc64::relocs::{ELF_PPC64, ELF_PPC64LE};
pub use ppc64::{PPC64, PPC64LE, Ppc64};

/// ELFv2 ABI, "TLS Relocation Descriptions", and the 32-bit ABI alike: 16-bit offsets with a sign reach nearly 64 KiB.
const THREAD_LOCALS: jitlink_core::executor::StaticThreadLocals =
    jitlink_core::executor::StaticThreadLocals::biased(0x7000, 0x8000);

jitlink_core::register!(
    jitlink_core::registry::Plugin::Arch(&PPC32),
    jitlink_core::registry::Plugin::Relocs(ELF_PPC32),
    jitlink_core::registry::Plugin::Arch(&PPC32LE),
    jitlink_core::registry::Plugin::Relocs(ELF_PPC32LE),
    jitlink_core::registry::Plugin::Arch(&PPC64),
    jitlink_core::registry::Plugin::Relocs(ELF_PPC64),
    jitlink_core::registry::Plugin::Arch(&PPC64LE),
    jitlink_core::registry::Plugin::Relocs(ELF_PPC64LE),
);
