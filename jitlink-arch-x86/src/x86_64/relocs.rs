//! The relocations of x86-64 in ELF objects: psABI section 4.4.1 "Relocation Types", with its spelling and its letters.
//!
//! | letter | meaning | here |
//! | --- | --- | --- |
//! | S, A, P | the symbol, the addend, the place | `Symbol`, the edge, base `Place` |
//! | L | the symbol's PLT entry | `Callee`: the symbol itself where it can be reached |
//! | G + GOT | the address of the symbol's GOT entry | `GotSlot`; `G` alone is that from base `Got` |
//! | GOT | the base of the GOT | `GotBase`, base `Got` |
//! | Z | the symbol's size | `Size` |
//!
//! **Limits.** The psABI says of `R_X86_64_32` and `32S` that zero and sign extension must give the value back, and leaves the
//! others to the linker. The rules below are those of GNU ld (`bfd/elf64-x86-64.c`, the howto table) with two exceptions,
//! both on the strict side and both as in LLD: a bit field accepts -2^(n-1) to 2^n - 1, where ld takes anything from
//! -2^n (so that -200 passes for a byte), and the `GOTPC32_TLSDESC` displacements are signed, which is how the machine reads
//! them, where ld takes a bit field. Where LLD is stricter this table is not: `PC16` is a bit field because 16-bit code wraps
//! around at 64 KiB, and a size (`SIZE32`) is unsigned.
//!
//! **Thread-local storage.** These rows are complete; whether a link can serve their subjects is for the linker to say.
//!
//! **Refused** are types that only a dynamic linker is meant to see; an assembler does not write them into an object.

pub mod coff;

use jitlink_core::Endian;
use jitlink_core::executor::StaticThreadLocals;
use jitlink_core::reloc::{Base, Field, Overflow, Reloc, RelocTable, Subject, reloc};

/// x86-64 in 64-bit ELF (`EM_X86_64`).
pub const ELF_X86_64: RelocTable = RelocTable::new("elf", 62, 8, "x86-64", &ROWS)
    .endian(Endian::Little)
    .static_thread_locals(StaticThreadLocals::before_pointer());

use Base::{Got, Place, Zero};
use Overflow::{Bitfield, Ignore, Signed, Unsigned};
use Subject::{
    Callee, DtpOffset, GotBase, GotSlot, Size, Symbol, TlsDescCall, TlsDescSlot, TlsGdSlot, TlsIeSlot, TlsLdSlot,
    TpOffset,
};

static NONE: Field = Field::none();
static WORD8: Field = Field::plain(1);
static WORD16: Field = Field::plain(2);
static WORD32: Field = Field::plain(4);
static WORD64: Field = Field::plain(8);

const DYNAMIC: &str = "only a dynamic linker applies this relocation; link from the relocatable objects instead";

/// The rows, by raw number.
#[rustfmt::skip]
pub static ROWS: [Reloc; 54] = [
    //    raw  name                              subject      base   field    overflow     psABI
    Reloc::none(0, "R_X86_64_NONE"),
    reloc(  1, "R_X86_64_64",                    Symbol,      Zero,  &WORD64, Ignore),   // S + A
    reloc(  2, "R_X86_64_PC32",                  Symbol,      Place, &WORD32, Signed),   // S + A - P
    reloc(  3, "R_X86_64_GOT32",                 GotSlot,     Got,   &WORD32, Signed),   // G + A
    reloc(  4, "R_X86_64_PLT32",                 Callee,      Place, &WORD32, Signed),   // L + A - P
    Reloc::refused(5, "R_X86_64_COPY", DYNAMIC),
    Reloc::refused(6, "R_X86_64_GLOB_DAT", DYNAMIC),
    Reloc::refused(7, "R_X86_64_JUMP_SLOT", DYNAMIC),
    Reloc::refused(8, "R_X86_64_RELATIVE", DYNAMIC),
    reloc(  9, "R_X86_64_GOTPCREL",              GotSlot,     Place, &WORD32, Signed),   // G + GOT + A - P
    reloc( 10, "R_X86_64_32",                    Symbol,      Zero,  &WORD32, Unsigned), // S + A
    reloc( 11, "R_X86_64_32S",                   Symbol,      Zero,  &WORD32, Signed),   // S + A
    reloc( 12, "R_X86_64_16",                    Symbol,      Zero,  &WORD16, Bitfield), // S + A
    reloc( 13, "R_X86_64_PC16",                  Symbol,      Place, &WORD16, Bitfield), // S + A - P
    reloc( 14, "R_X86_64_8",                     Symbol,      Zero,  &WORD8,  Bitfield), // S + A
    reloc( 15, "R_X86_64_PC8",                   Symbol,      Place, &WORD8,  Signed),   // S + A - P
    Reloc::refused(16, "R_X86_64_DTPMOD64", DYNAMIC),
    reloc( 17, "R_X86_64_DTPOFF64",              DtpOffset,   Zero,  &WORD64, Ignore),   // debug information, large model
    reloc( 18, "R_X86_64_TPOFF64",               TpOffset,    Zero,  &WORD64, Ignore),   // large model
    reloc( 19, "R_X86_64_TLSGD",                 TlsGdSlot,   Place, &WORD32, Signed),
    reloc( 20, "R_X86_64_TLSLD",                 TlsLdSlot,   Place, &WORD32, Signed),
    reloc( 21, "R_X86_64_DTPOFF32",              DtpOffset,   Zero,  &WORD32, Signed),
    reloc( 22, "R_X86_64_GOTTPOFF",              TlsIeSlot,   Place, &WORD32, Signed),
    reloc( 23, "R_X86_64_TPOFF32",               TpOffset,    Zero,  &WORD32, Signed),
    reloc( 24, "R_X86_64_PC64",                  Symbol,      Place, &WORD64, Ignore),   // S + A - P
    reloc( 25, "R_X86_64_GOTOFF64",              Symbol,      Got,   &WORD64, Ignore),   // S + A - GOT
    reloc( 26, "R_X86_64_GOTPC32",               GotBase,     Place, &WORD32, Signed),   // GOT + A - P
    reloc( 27, "R_X86_64_GOT64",                 GotSlot,     Got,   &WORD64, Ignore),   // G + A
    reloc( 28, "R_X86_64_GOTPCREL64",            GotSlot,     Place, &WORD64, Ignore),   // G + GOT + A - P
    reloc( 29, "R_X86_64_GOTPC64",               GotBase,     Place, &WORD64, Ignore),   // GOT + A - P
    reloc( 30, "R_X86_64_GOTPLT64",              GotSlot,     Got,   &WORD64, Ignore),   // deprecated; as GOT64
    reloc( 31, "R_X86_64_PLTOFF64",              Callee,      Got,   &WORD64, Ignore),   // L + A - GOT
    reloc( 32, "R_X86_64_SIZE32",                Size,        Zero,  &WORD32, Unsigned), // Z + A
    reloc( 33, "R_X86_64_SIZE64",                Size,        Zero,  &WORD64, Ignore),   // Z + A
    reloc( 34, "R_X86_64_GOTPC32_TLSDESC",       TlsDescSlot, Place, &WORD32, Signed),
    // Marks the call through a descriptor, for linkers that replace it. The call itself needs nothing.
    reloc( 35, "R_X86_64_TLSDESC_CALL",          TlsDescCall, Zero,  &NONE,   Ignore),
    Reloc::refused(36, "R_X86_64_TLSDESC", DYNAMIC),
    Reloc::refused(37, "R_X86_64_IRELATIVE", DYNAMIC),
    Reloc::refused(38, "R_X86_64_RELATIVE64", DYNAMIC),
    // Deprecated with the MPX extension, whose `bnd` prefix today's processors ignore.
    reloc( 39, "R_X86_64_PC32_BND",              Symbol,      Place, &WORD32, Signed),   // as PC32
    reloc( 40, "R_X86_64_PLT32_BND",             Callee,      Place, &WORD32, Signed),   // as PLT32
    // As GOTPCREL, and the number of bytes between the start of the instruction and the field is known: 2, 3, 4, 5, 6.
    // CODE_5 and CODE_6 are for the longer prefixes of APX instructions, to which section B.2 gives no shorter form.
    reloc( 41, "R_X86_64_GOTPCRELX",             GotSlot,     Place, &WORD32, Signed).relax(),
    reloc( 42, "R_X86_64_REX_GOTPCRELX",         GotSlot,     Place, &WORD32, Signed).relax(),
    reloc( 43, "R_X86_64_CODE_4_GOTPCRELX",      GotSlot,     Place, &WORD32, Signed).relax(),
    reloc( 44, "R_X86_64_CODE_4_GOTTPOFF",       TlsIeSlot,   Place, &WORD32, Signed),
    reloc( 45, "R_X86_64_CODE_4_GOTPC32_TLSDESC", TlsDescSlot, Place, &WORD32, Signed),
    reloc( 46, "R_X86_64_CODE_5_GOTPCRELX",      GotSlot,     Place, &WORD32, Signed),
    reloc( 47, "R_X86_64_CODE_5_GOTTPOFF",       TlsIeSlot,   Place, &WORD32, Signed),
    reloc( 48, "R_X86_64_CODE_5_GOTPC32_TLSDESC", TlsDescSlot, Place, &WORD32, Signed),
    reloc( 49, "R_X86_64_CODE_6_GOTPCRELX",      GotSlot,     Place, &WORD32, Signed),
    reloc( 50, "R_X86_64_CODE_6_GOTTPOFF",       TlsIeSlot,   Place, &WORD32, Signed),
    reloc( 51, "R_X86_64_CODE_6_GOTPC32_TLSDESC", TlsDescSlot, Place, &WORD32, Signed),
    // GNU extensions with which a linker may drop unused virtual functions: `.vtable_inherit`, `.vtable_entry`.
    Reloc::none(250, "R_X86_64_GNU_VTINHERIT"),
    Reloc::none(251, "R_X86_64_GNU_VTENTRY"),
];
