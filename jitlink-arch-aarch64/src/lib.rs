//! ARM64 (also AArch64) for jitlink: what its code and relocations mean to a linker. Names of instructions and of their parts are those
//! of the "Arm Architecture Reference Manual for A-profile", chapter C6.
//!
//! What shapes a linker for it:
//!
//! - **Addresses are put together of a page and an offset in it.** `adrp` computes the 4 KiB page of an address, which may be 4 GiB away, from
//!   its own; the next instruction adds the 12 low bits, or loads or stores with them as an offset.
//! - **Offsets of loads and stores are scaled** by the size of the access, which the instruction says and the relocation does not. So
//!   a field depends on the instruction around it, and values must be multiples of that size.
//! - **Branches reach 128 MiB**, conditional ones 1 MiB or 32 KiB. Thunks extend the former, and the latter become branches to the
//!   former. `x16` and `x17` are free between a call and its target ("Procedure Call Standard for the Arm 64-bit Architecture",
//!   "General-purpose Registers").
//!
//! | module | purpose |
//! | --- | --- |
//! | [`relocs`] | the relocations, a line each |
//! | [`rows`] | the rows that slots, stubs and moved code use |
//! | `fields` | where in instructions values stand |
//! | `stubs` | code for stubs and thunks |
//! | `outline` | instructions moved to where a short reference becomes a full one |
//!
//! A program that names this crate (`use jitlink_arch_aarch64 as _;`) finds its plugins in
//! [`Registry::global`](jitlink_core::Registry::global). A registry made by hand takes them from here:
//!
//! ```
//! use jitlink_arch_aarch64::{AARCH64, COFF_AARCH64};
//! use jitlink_core::registry::{Plugin, Registry};
//!
//! let registry = Registry::empty().with(Plugin::Arch(&AARCH64))?.with(Plugin::Relocs(COFF_AARCH64))?;
//! assert_eq!(registry.archs()[0].info().name(), "aarch64");
//! # Ok::<(), jitlink_core::LinkError>(())
//! ```

#![forbid(unsafe_code)]

mod fields;
mod outline;
pub mod relocs;
pub mod rows;
mod stubs;

pub use relocs::COFF_AARCH64;

use jitlink_core::TargetArch;
use jitlink_core::arch::{ArchInfo, CodeSite, Outlined, StubKind, StubTemplate};

/// The ARM64 machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Aarch64;

/// The ARM64 machine.
pub static AARCH64: Aarch64 = Aarch64;

static INFO: ArchInfo = ArchInfo::new("aarch64", "ARM64 (AArch64), objects of Windows", &rows::ROWS)
    .pointer_rows(None, Some(rows::POINTER))
    .trap(&[0x20, 0x00, 0x20, 0xd4]) // brk #1
    .got_bias(0)
    .call_reach(0x800_0000);

jitlink_core::register!(
    jitlink_core::registry::Plugin::Arch(&AARCH64),
    jitlink_core::registry::Plugin::Relocs(COFF_AARCH64),
);

impl TargetArch for Aarch64 {
    fn info(&self) -> &'static ArchInfo {
        &INFO
    }

    fn stub(&self, kind: StubKind) -> Option<&'static StubTemplate> {
        stubs::template(kind)
    }

    fn outline(&self, site: &CodeSite<'_>) -> Result<Outlined, String> {
        outline::outline(site)
    }
}
