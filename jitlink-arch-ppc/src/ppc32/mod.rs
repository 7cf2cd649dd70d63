//! PowerPC with 32-bit pointers under the System V ABI ("Power Architecture 32-bit Application Binary Interface Supplement 1.0,
//! Linux & Embedded", Power.org), to whose sections comments refer by name.
//!
//! What shapes a linker for it:
//!
//! - **Immediates have 16 bits.** Addresses are put together of an upper part that is rounded, because the lower one is sign-extended,
//!   and of a lower one. So code that is not position-independent reaches everything.
//! - **Position-independent code has a base in `r30`**: that of the GOT (`-fpic`), or of the object's own table of pointers, `.got2`
//!   (`-fPIC`). Its calls tell stubs which, for which there is no need here (`calls`).
//! - **Small data** is reached from `r13`, which the program sets (`small_data`).
//! - **Branches reach 32 MiB**, conditional ones 32 KiB. Thunks extend the former, and the latter become branches to the former.
//! - **Thread-local variables** are found from `r2`; slots for them lie in the GOT.
//!
//! | module | purpose |
//! | --- | --- |
//! | [`relocs`] | the ABI's relocations, a line each |
//! | [`rows`] | the rows that slots, stubs and passes use |
//! | `calls` | what calls say of `r30`, and how older code finds the GOT |
//! | `stubs` | code for stubs and thunks, and of functions that are found on their first call |
//! | `small_data` | where small data lies, and its base |
//! | `save` | routines that save and restore registers |

mod calls;
pub mod relocs;
pub mod rows;
mod save;
mod small_data;
mod stubs;

use jitlink_core::arch::{ArchInfo, CodeSite, Outlined, StubKind, StubTemplate, SystemNames};
use jitlink_core::link::{Pipeline, Stage};
use jitlink_core::{Endian, TargetArch};

/// PowerPC with 32-bit pointers in one byte order. Stubs are bytes, so each order is an architecture of its own.
#[derive(Clone, Copy, Debug)]
pub struct Ppc32 {
    info: &'static ArchInfo,
    endian: Endian,
}

/// Big-endian PowerPC with 32-bit pointers.
pub static PPC32: Ppc32 = Ppc32 { info: &INFO_BIG, endian: Endian::Big };

/// Little-endian PowerPC with 32-bit pointers.
pub static PPC32LE: Ppc32 = Ppc32 { info: &INFO_LITTLE, endian: Endian::Little };

static INFO_BIG: ArchInfo =
    info("ppc32", "32-bit PowerPC, big-endian, System V ABI, secure and BSS PLT, small data", &TRAP_BIG)
        .systems(&SYSTEM_BIG);
static INFO_LITTLE: ArchInfo =
    info("ppc32le", "32-bit PowerPC, little-endian, System V ABI, freestanding", &TRAP_LITTLE);

/// Systems with a C library of the GNU project.
static SYSTEM_BIG: [SystemNames; 1] = [SystemNames::new(Endian::Big, 4, "powerpc", "powerpc-unknown-linux-gnu")
    .qemu("ppc")
    .debian("powerpc-linux-gnu", "libc6-powerpc-cross")];

/// `trap`.
const TRAP: u32 = 0x7fe0_0008;
const TRAP_LITTLE: [u8; 4] = TRAP.to_le_bytes();
const TRAP_BIG: [u8; 4] = TRAP.to_be_bytes();

/// How far the base of the GOT lies past its start, so that 16 signed bits reach 64 KiB of it.
const GOT_BIAS: u64 = 0x8000;

const fn info(name: &'static str, description: &'static str, trap: &'static [u8]) -> ArchInfo {
    ArchInfo::new(name, description, &rows::ROWS)
        .pointer_rows(Some(rows::POINTER), None)
        .trap(trap)
        .got_bias(GOT_BIAS)
        .call_reach(0x200_0000)
}

impl TargetArch for Ppc32 {
    fn info(&self) -> &'static ArchInfo {
        self.info
    }

    fn stub(&self, kind: StubKind) -> Option<&'static StubTemplate> {
        stubs::template(kind, self.endian)
    }

    fn outline(&self, site: &CodeSite<'_>) -> Result<Outlined, String> {
        crate::branches::outline(site, self.endian, rows::BRANCH)
    }

    fn add_passes(&self, pipeline: &mut Pipeline) {
        pipeline.add(Stage::BeforePrune, "PowerPC save and restore routines", |graph, _| {
            crate::save::provide(graph, &save::FAMILIES)
        });
        pipeline.add(Stage::BeforePrune, "PowerPC calls", |graph, _| calls::settle(graph));
        pipeline.add(Stage::BeforePrune, "PowerPC small data", |graph, _| small_data::gather(graph));
        pipeline.add(Stage::AfterPrune, "PowerPC small data base", |graph, _| small_data::check(graph));
        pipeline
            .add(Stage::AfterLayout, "PowerPC small data base", |graph, context| small_data::resolve(graph, context));
    }
}
