//! The relocations of i386 in COFF objects: Microsoft "PE Format", section "Type Indicators", "Intel 386 Processors", with its spelling,
//! and those that GNU's assembler adds (`include/coff/i386.h` of binutils), which are named `R_…`.
//!
//! Addends stand in the fields. `REL32` counts from the byte after the field, as the machine does; this is part of the addend here.
//!
//! **Limits.** Neither LLD nor GNU ld checks what has 32 bits, because the machine's addresses have no more and wrap around. Here too a
//! distance may be any between two addresses of the machine, in either direction; but what is not such an address (of an image
//! that lies where this machine has no memory) is an error instead of being cut off. An offset from the image's base is not
//! negative, because that is how loaders read it.
//!
//! **Refused** are types of managed code and of 16-bit code, which "PE Format" lists as not supported, and GNU's short distances, which its
//! assembler and linker count from different places.

use jitlink_core::Endian;
use jitlink_core::reloc::{Base, Bits, Field, Overflow, Reloc, RelocTable, Subject, bits, reloc};

/// i386 in COFF (`IMAGE_FILE_MACHINE_I386`).
pub const COFF_I386: RelocTable =
    RelocTable::new("coff", 0x14c, 4, "i386", &ROWS).endian(Endian::Little).called_as("win32");

use Base::{Image, Place, Section, Zero};
use Overflow::{Bitfield, Ignore, Signed, Unsigned};
use Subject::{Nothing, SectionIndex, Symbol};

static NONE: Field = Field::none();
static WORD8: Field = Field::plain(1);
static WORD16: Field = Field::plain(2);
static WORD32: Field = Field::plain(4);
static LOW_7: [Bits; 1] = [bits(0, 7, 0, 0)];
static SEVEN: Field = Field::word(1, &LOW_7);
/// The distance between any two addresses: the machine adds it modulo 2^32.
static DISTANCE: Field = Field::coded(4, 33, insert_distance, extract_distance);

const MANAGED: &str = "only managed code has it; compile to machine code";
const SIXTEEN: &str = "it is for 16-bit code, which 32-bit Windows does not have";
const SHORT: &str = "GNU's assembler and linker do not agree on what it counts from; use a distance of 32 bits";

fn insert_distance(bytes: &mut [u8], value: u64, endian: Endian) {
    endian.write(bytes, value & 0xffff_ffff);
}

fn extract_distance(bytes: &[u8], endian: Endian) -> i64 {
    i64::from(endian.read(bytes) as u32 as i32)
}

/// The rows, by raw number.
#[rustfmt::skip]
pub static ROWS: [Reloc; 16] = [
    //    raw  name                           subject       base     field      overflow
    reloc(  0, "IMAGE_REL_I386_ABSOLUTE",     Nothing,      Zero,    &NONE,     Ignore),
    Reloc::refused(1, "IMAGE_REL_I386_DIR16", SIXTEEN),
    Reloc::refused(2, "IMAGE_REL_I386_REL16", SIXTEEN),
    reloc(  6, "IMAGE_REL_I386_DIR32",        Symbol,       Zero,    &WORD32,   Bitfield),
    reloc(  7, "IMAGE_REL_I386_DIR32NB",      Symbol,       Image,   &WORD32,   Unsigned),
    Reloc::refused(9, "IMAGE_REL_I386_SEG12", SIXTEEN),
    reloc( 10, "IMAGE_REL_I386_SECTION",      SectionIndex, Zero,    &WORD16,   Unsigned),
    reloc( 11, "IMAGE_REL_I386_SECREL",       Symbol,       Section, &WORD32,   Unsigned),
    Reloc::refused(12, "IMAGE_REL_I386_TOKEN", MANAGED),
    reloc( 13, "IMAGE_REL_I386_SECREL7",      Symbol,       Section, &SEVEN,    Unsigned),
    reloc( 15, "R_RELBYTE",                   Symbol,       Zero,    &WORD8,    Bitfield),
    reloc( 16, "R_RELWORD",                   Symbol,       Zero,    &WORD16,   Bitfield),
    reloc( 17, "R_RELLONG",                   Symbol,       Zero,    &WORD32,   Bitfield),
    Reloc::refused(18, "R_PCRBYTE", SHORT),
    Reloc::refused(19, "R_PCRWORD", SHORT),
    reloc( 20, "IMAGE_REL_I386_REL32",        Symbol,       Place,   &DISTANCE, Signed).biased(-4),
];
