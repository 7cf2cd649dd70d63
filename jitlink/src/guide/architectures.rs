//! Add an architecture.
//!
//! An architecture is a crate that depends on `jitlink-core` alone. It has three parts, and no file of this project changes:
//!
//! 1. **Fields**: where in an instruction a value goes ([`Field`](crate::core::reloc::Field)). Slices of bits express nearly all.
//! 2. **Rows**: the ABI's relocations, a line each ([`reloc`](crate::core::reloc::reloc)): what of the target is meant, relative to
//!    what, which field, which values fit. Names in errors, range checks, GOT slots, stubs and tests derive from the row.
//! 3. **The machine**: [`TargetArch`](crate::core::TargetArch) says what a stub looks like and what fills gaps.
//!
//! What a single relocation cannot say (pairs of instructions, a TOC) is a [pass](super::passes) of the architecture.
//!
//! ```
//! use jitlink::core::arch::{ArchInfo, StubKind, StubTemplate};
//! use jitlink::core::reloc::{Base, Field, Overflow, Reloc, RelocTable, Subject, bits, reloc};
//! use jitlink::core::{Endian, TargetArch};
//!
//! // A 32-bit word with the upper 20 bits of a value, rounded because the lower 12 are sign-extended.
//! static HI20: Field = Field::word(4, &[bits(12, 20, 0, 12)]).round(0x800);
//! // A jump whose immediate stands in four pieces, and counts in units of two bytes.
//! static JUMP: Field =
//!     Field::word(4, &[bits(20, 1, 0, 31), bits(1, 10, 0, 21), bits(11, 1, 0, 20), bits(12, 8, 0, 12)]).align(2);
//! static WORD64: Field = Field::plain(8);
//!
//! static ROWS: [Reloc; 3] = [
//!     //    raw  name            subject          base         field    overflow
//!     reloc( 2, "R_RISCV_64",    Subject::Symbol, Base::Zero,  &WORD64, Overflow::Ignore),
//!     reloc(17, "R_RISCV_JAL",   Subject::Callee, Base::Place, &JUMP,   Overflow::Signed),
//!     reloc(26, "R_RISCV_HI20",  Subject::Symbol, Base::Zero,  &HI20,   Overflow::Signed),
//! ];
//! // What ties the architecture to a format: the format's number for the machine.
//! const TABLE: RelocTable = RelocTable::new("elf", 243, 8, "riscv64", &ROWS).endian(Endian::Little);
//!
//! // Rows of the architecture itself, for slots and stubs.
//! static OWN_ROWS: [Reloc; 1] =
//!     [reloc(0, "riscv64 pointer", Subject::Symbol, Base::Zero, &WORD64, Overflow::Ignore)];
//! static INFO: ArchInfo = ArchInfo::new("riscv64", "RISC-V, 64-bit", &OWN_ROWS).pointer_rows(None, Some(0)).trap(&[0, 0]);
//!
//! struct Riscv64;
//!
//! impl TargetArch for Riscv64 {
//!     fn info(&self) -> &'static ArchInfo {
//!         &INFO
//!     }
//!     fn stub(&self, _kind: StubKind) -> Option<&'static StubTemplate> {
//!         None // see the whole program for one
//!     }
//! }
//!
//! // Every field gives back what was written to it, and stops at its limits, in both byte orders.
//! jitlink::core::testing::check_table(&TABLE);
//! ```
//!
//! The crate submits both with `jitlink_core::register!(Plugin::Arch(&Riscv64), Plugin::Relocs(TABLE))`. A program that names the
//! crate (`use my_arch as _;`) finds them in [`Registry::global`](crate::Registry::global); an
//! [`ImageExecutor`](crate::ImageExecutor) then links for it on any host.
//!
//! Test it as the whole program does: link what a cross compiler made, and compare with that compiler's own linker byte by byte.
