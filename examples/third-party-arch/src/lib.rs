//! RISC-V with 64-bit pointers for jitlink, added from outside: this crate depends on `jitlink-core` alone, and no file of
//! jitlink knows of it.
//!
//! "psABI" is the RISC-V ELF psABI specification, version 1.0 (<https://github.com/riscv-non-isa/riscv-elf-psabi-doc>).
//!
//! What shapes a linker for it:
//!
//! - **An instruction holds 12 or 20 bits of an address.** Two instructions make 32: `auipc` adds the upper 20 to the pc, the
//!   next adds the lower 12, *sign-extended*, so the upper part is rounded.
//! - **The two halves are two relocations, and the second one does not name the target** but the label of the first
//!   ("PC-Relative Symbol Addresses"). That is [`pairs`], a pass.
//! - **Differences are computed by the linker** (`ADD32` and `SUB32` at one place), because linkers may shorten code between
//!   two labels. Fields that add do it.
//! - **Shortening code (relaxation) is optional.** This linker does not, so the hints for it mean nothing; only alignment
//!   that *requires* it is refused.
//!
//! A program names this crate (`use jitlink_arch_riscv64 as _;`) and finds RISC-V in its registry.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod fields;
mod pairs;
mod relocs;

pub use relocs::ELF_RISCV64;

use jitlink_core::TargetArch;
use jitlink_core::arch::{ArchInfo, StubFixup, StubKind, StubTemplate};
use jitlink_core::link::{Pipeline, Stage};
use jitlink_core::registry::Plugin;
use jitlink_core::reloc::{Base, Overflow, Reloc, Subject, reloc};

/// The machine: RV64 with any extensions, LP64 data model.
#[derive(Clone, Copy, Debug, Default)]
pub struct Riscv64;

jitlink_core::register!(Plugin::Arch(&Riscv64), Plugin::Relocs(ELF_RISCV64));

/// Rows that objects do not have: a pointer in a GOT slot, and the distance from a stub to its slot.
static OWN_ROWS: [Reloc; 2] = [
    reloc(0, "riscv64 pointer", Subject::Symbol, Base::Zero, &fields::WORD64, Overflow::Ignore),
    reloc(1, "riscv64 slot distance", Subject::GotSlot, Base::Place, &fields::AUIPC_AND_NEXT, Overflow::Signed),
];

static INFO: ArchInfo =
    ArchInfo::new("riscv64", "RISC-V, 64-bit, psABI 1.0", &OWN_ROWS).pointer_rows(None, Some(0)).trap(&[0, 0]); // the instruction of zeros is defined to be illegal, at both instruction lengths

// psABI, "Program Linkage Table", without the lazy binding:
// 00000e17   auipc t3, %pcrel_hi(slot)
// 000e3e03   ld    t3, %pcrel_lo(slot)(t3)
// 000e0067   jr    t3
// 00000000   (illegal)
static PLT: StubTemplate = StubTemplate::new(
    &[0x17, 0x0e, 0, 0, 0x03, 0x3e, 0x0e, 0, 0x67, 0, 0x0e, 0, 0, 0, 0, 0],
    16,
    &[StubFixup { offset: 0, row: 1, addend: 0 }],
);

impl TargetArch for Riscv64 {
    fn info(&self) -> &'static ArchInfo {
        &INFO
    }

    // A call is a pair of instructions that reaches as far as a batch may span, so there are no thunks.
    fn stub(&self, kind: StubKind) -> Option<&'static StubTemplate> {
        (kind == StubKind::Plt).then_some(&PLT)
    }

    fn add_passes(&self, pipeline: &mut Pipeline) {
        pipeline.add(Stage::BeforePrune, "RISC-V pairs", |graph, _| pairs::join(graph));
    }
}
