//! The relocations of ARM64 in COFF objects: Microsoft "PE Format", section "Type Indicators", "ARM64 Processors", with its spelling.
//!
//! Addends stand in the fields, as LLD and LLVM's assembler have them:
//!
//! | in | the addend is |
//! | --- | --- |
//! | data | the number there; `REL32` counts from the byte after it |
//! | `adrp`, `adr` | the immediate, in bytes, not in pages |
//! | `add` | the immediate, in bytes, even where the machine shifts it up by 12 bits |
//! | loads and stores | the immediate, times the size of the access |
//! | branches | the immediate, in instructions; LLVM's assembler writes none, and LLD takes it that there is none |
//!
//! **Limits.** LLD checks `SECREL_HIGH12A` and that offsets of loads and stores are multiples, has branches that do not reach go through
//! code of its own, and cuts off what does not fit elsewhere; here those are errors too.
//! `ADDR32` is a bit field and `ADDR32NB` unsigned, as with x86-64.
//!
//! **Refused** are the tokens of managed code.

use crate::fields::{ADD, ADD_BYTES, ADD_HIGH, ADR, ADRP, IMM14, IMM19, IMM26, NONE, SCALED, WORD16, WORD32, WORD64};
use jitlink_core::Endian;
use jitlink_core::reloc::{Base, Overflow, Reloc, RelocTable, Subject, reloc};

/// ARM64 in COFF (`IMAGE_FILE_MACHINE_ARM64`).
pub const COFF_AARCH64: RelocTable =
    RelocTable::new("coff", 0xaa64, 8, "aarch64", &ROWS).endian(Endian::Little).called_as("win-arm64");

use Base::{Image, Place, PlacePage, Section, Zero};
use Overflow::{Bitfield, Ignore, Signed, Unsigned};
use Subject::{Callee, Nothing, SectionIndex, Symbol};

const MANAGED: &str = "only managed code has it; compile to machine code";

/// The rows, by raw number.
#[rustfmt::skip]
pub static ROWS: [Reloc; 18] = [
    //    raw  name                              subject       base       field      overflow
    reloc(  0, "IMAGE_REL_ARM64_ABSOLUTE",       Nothing,      Zero,      &NONE,     Ignore),
    reloc(  1, "IMAGE_REL_ARM64_ADDR32",         Symbol,       Zero,      &WORD32,   Bitfield),
    reloc(  2, "IMAGE_REL_ARM64_ADDR32NB",       Symbol,       Image,     &WORD32,   Unsigned),
    reloc(  3, "IMAGE_REL_ARM64_BRANCH26",       Callee,       Place,     &IMM26,    Signed),
    reloc(  4, "IMAGE_REL_ARM64_PAGEBASE_REL21", Symbol,       PlacePage, &ADRP,     Signed).stored_as(&ADR),
    reloc(  5, "IMAGE_REL_ARM64_REL21",          Symbol,       Place,     &ADR,      Signed),
    reloc(  6, "IMAGE_REL_ARM64_PAGEOFFSET_12A", Symbol,       Zero,      &ADD,      Ignore),
    reloc(  7, "IMAGE_REL_ARM64_PAGEOFFSET_12L", Symbol,       Zero,      &SCALED,   Ignore),
    reloc(  8, "IMAGE_REL_ARM64_SECREL",         Symbol,       Section,   &WORD32,   Unsigned),
    reloc(  9, "IMAGE_REL_ARM64_SECREL_LOW12A",  Symbol,       Section,   &ADD,      Ignore),
    reloc( 10, "IMAGE_REL_ARM64_SECREL_HIGH12A", Symbol,       Section,   &ADD_HIGH, Unsigned).stored_as(&ADD_BYTES),
    reloc( 11, "IMAGE_REL_ARM64_SECREL_LOW12L",  Symbol,       Section,   &SCALED,   Ignore),
    Reloc::refused(12, "IMAGE_REL_ARM64_TOKEN", MANAGED),
    reloc( 13, "IMAGE_REL_ARM64_SECTION",        SectionIndex, Zero,      &WORD16,   Unsigned),
    reloc( 14, "IMAGE_REL_ARM64_ADDR64",         Symbol,       Zero,      &WORD64,   Ignore),
    reloc( 15, "IMAGE_REL_ARM64_BRANCH19",       Callee,       Place,     &IMM19,    Signed),
    reloc( 16, "IMAGE_REL_ARM64_BRANCH14",       Callee,       Place,     &IMM14,    Signed),
    reloc( 17, "IMAGE_REL_ARM64_REL32",          Symbol,       Place,     &WORD32,   Signed).biased(-4),
];
