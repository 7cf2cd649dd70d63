//! The relocations of x86-64 in COFF objects: Microsoft "PE Format", section "Type Indicators", "x64 Processors", with its spelling.
//!
//! Addends stand in the fields. `REL32` counts from the byte after the field, as the machine does where no immediate follows, and
//! `REL32_1` to `REL32_5` from as many bytes on; this is part of the addend here, so that the rows are those of any pc-relative field.
//!
//! **Limits.** LLD cuts off what does not fit. GNU ld checks `REL32` and its kin, and takes `ADDR32` and `ADDR32NB` for bit fields.
//! `ADDR32` is one here too. `ADDR32NB` is unsigned, because that is how unwinders and loaders read it: what would be below the base of
//! the image is an error. Neither checks `SECREL`, which is unsigned here; `SECREL7` neither applies.
//!
//! **Calls** have the relocation of any pc-relative reference; that the instruction is a branch is seen when it does not reach.
//!
//! **Number 14** is Microsoft's `SREL32`, a span, which no compiler writes. GNU's assembler and linker have a 64-bit distance there, which
//! counts from the byte after the field: tables of jumps in the large code model.
//!
//! **Refused** are types of managed code, and spans, which no linker in use applies.

use super::{NONE, WORD16, WORD32, WORD64};
use jitlink_core::Endian;
use jitlink_core::reloc::{Base, Bits, Field, Overflow, Reloc, RelocTable, Subject, bits, reloc};

/// x86-64 in COFF (`IMAGE_FILE_MACHINE_AMD64`).
pub const COFF_X86_64: RelocTable =
    RelocTable::new("coff", 0x8664, 8, "x86-64", &ROWS).endian(Endian::Little).called_as("win64");

use Base::{Image, Place, Section, Zero};
use Overflow::{Bitfield, Ignore, Signed, Unsigned};
use Subject::{Nothing, SectionIndex, Symbol};

static LOW_7: [Bits; 1] = [bits(0, 7, 0, 0)];
static SEVEN: Field = Field::word(1, &LOW_7);

const MANAGED: &str = "only managed code has it; compile to machine code";
const SPAN: &str = "no linker in use applies it; write the distance as a difference in one section";

/// The rows, by raw number.
#[rustfmt::skip]
pub static ROWS: [Reloc; 17] = [
    //    raw  name                           subject       base     field    overflow
    reloc(  0, "IMAGE_REL_AMD64_ABSOLUTE",    Nothing,      Zero,    &NONE,   Ignore),
    reloc(  1, "IMAGE_REL_AMD64_ADDR64",      Symbol,       Zero,    &WORD64, Ignore),
    reloc(  2, "IMAGE_REL_AMD64_ADDR32",      Symbol,       Zero,    &WORD32, Bitfield),
    reloc(  3, "IMAGE_REL_AMD64_ADDR32NB",    Symbol,       Image,   &WORD32, Unsigned),
    reloc(  4, "IMAGE_REL_AMD64_REL32",       Symbol,       Place,   &WORD32, Signed).biased(-4),
    reloc(  5, "IMAGE_REL_AMD64_REL32_1",     Symbol,       Place,   &WORD32, Signed).biased(-5),
    reloc(  6, "IMAGE_REL_AMD64_REL32_2",     Symbol,       Place,   &WORD32, Signed).biased(-6),
    reloc(  7, "IMAGE_REL_AMD64_REL32_3",     Symbol,       Place,   &WORD32, Signed).biased(-7),
    reloc(  8, "IMAGE_REL_AMD64_REL32_4",     Symbol,       Place,   &WORD32, Signed).biased(-8),
    reloc(  9, "IMAGE_REL_AMD64_REL32_5",     Symbol,       Place,   &WORD32, Signed).biased(-9),
    reloc( 10, "IMAGE_REL_AMD64_SECTION",     SectionIndex, Zero,    &WORD16, Unsigned),
    reloc( 11, "IMAGE_REL_AMD64_SECREL",      Symbol,       Section, &WORD32, Unsigned),
    reloc( 12, "IMAGE_REL_AMD64_SECREL7",     Symbol,       Section, &SEVEN,  Unsigned),
    Reloc::refused(13, "IMAGE_REL_AMD64_TOKEN", MANAGED),
    reloc( 14, "R_AMD64_PCRQUAD",             Symbol,       Place,   &WORD64, Ignore).biased(-8),
    Reloc::refused(15, "IMAGE_REL_AMD64_PAIR", SPAN),
    Reloc::refused(16, "IMAGE_REL_AMD64_SSPAN32", SPAN),
];
