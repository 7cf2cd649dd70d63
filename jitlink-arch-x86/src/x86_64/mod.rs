//! x86-64 under the System V ABI, whose machine supplement ("psABI", <https://gitlab.com/x86-psABIs/x86-64-ABI>) the section
//! numbers in this crate refer to.
//!
//! What shapes a linker for it:
//!
//! - **Most fields are 32 bits wide, addresses are 64.** Code of the small model (section 3.5.1) assumes that whatever it
//!   refers to lies within 2 GiB (pc-relative), or even in the lowest 2 GiB of memory (absolute). Inside a batch layout sees
//!   to it. What lies outside (the functions and data of the process) is reached through a stub, through a GOT slot, or,
//!   where the code gives no choice, by moving the instruction out of line to where a 64-bit form does its work.
//! - **Relocations carry their addend** (RELA). A pc-relative field is relative to the *field*, while the machine counts from
//!   the *end of the instruction*; assemblers put the difference into the addend. That is where the ubiquitous -4 comes
//!   from, and why -8 or -5 says that an immediate follows.
//! - **Loads from the GOT are marked** when they may be turned into something shorter: the relocation type tells
//!   where the instruction starts, so nobody has to decode backwards, which the encoding does not permit.
//! - **Nothing is pc-relative in 64-bit fields except on request** (large model): `_GLOBAL_OFFSET_TABLE_` is computed once
//!   per function, and GOT, PLT and data are offsets from it.
//!
//! | module | purpose |
//! | --- | --- |
//! | [`relocs`] | the ABI's relocations, a line each |
//! | [`rows`] | the rows that slots, stubs, relaxed and moved code use |
//! | `stubs` | code for PLT stubs, thunks and trampolines |
//! | `binder` | code that links a function on its first call |
//! | `relax` | loads from the GOT that need no GOT |
//! | `thread_locals` | look-ups of thread-local variables that need none |
//! | `branch` | direct branches behind relocations that do not say so |
//! | `decode` | the instruction around a field |
//! | `outline` | instructions moved to where a short reference becomes a full one |

mod binder;
mod branch;
mod decode;
mod outline;
mod relax;
pub mod relocs;
pub mod rows;
mod stubs;
mod thread_locals;

use jitlink_core::Endian;
use jitlink_core::TargetArch;
use jitlink_core::arch::{ArchInfo, CodeSite, Outlined, Relaxed, StubKind, StubTemplate, SystemNames};
use jitlink_core::graph::Edge;

/// The x86-64 machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct X86_64;

// The base of the GOT is its first slot: no code assumes entries at fixed places before or after it, as each object only
// computes distances from `_GLOBAL_OFFSET_TABLE_`.
static INFO: ArchInfo = ArchInfo::new("x86-64", "x86-64 (AMD64, Intel 64), System V ABI, all code models", &rows::ROWS)
    .pointer_rows(None, Some(rows::POINTER))
    .trap(&[0xcc]) // int3
    .got_bias(0)
    .systems(&SYSTEMS);

static SYSTEMS: [SystemNames; 2] = [
    SystemNames::new(Endian::Little, 8, "x86_64", "x86_64-unknown-linux-gnu")
        .qemu("x86_64")
        .debian("x86_64-linux-gnu", "libc6-amd64-cross"),
    SystemNames::new(Endian::Little, 8, "x86_64", "x86_64-pc-windows-gnu")
        .called_as("win64")
        .layer("wine64", "wine64")
        .debian("x86_64-w64-mingw32", "gcc-mingw-w64-x86-64"),
];

impl TargetArch for X86_64 {
    fn info(&self) -> &'static ArchInfo {
        &INFO
    }

    fn stub(&self, kind: StubKind) -> Option<&'static StubTemplate> {
        stubs::template(kind)
    }

    fn relax(&self, site: &CodeSite<'_>) -> Option<Relaxed> {
        relax::relax(site)
    }

    fn relax_thread_local(&self, site: &CodeSite<'_>, call: Option<&Edge>) -> Option<Relaxed> {
        thread_locals::relax(site, call)
    }

    fn is_branch(&self, site: &CodeSite<'_>) -> bool {
        branch::is_branch(site)
    }

    fn outline(&self, site: &CodeSite<'_>) -> Result<Outlined, String> {
        outline::outline(site)
    }
}
