//! The relocations of BPF in ELF objects: the kernel's `Documentation/bpf/llvm_reloc.rst` for the numbers that LLVM and binutils
//! from 2.41 on use, `include/elf/bpf.h` of binutils 2.40 for those that only older GNU tools use.
//!
//! | number | LLVM | older GNU | here |
//! | --- | --- | --- | --- |
//! | 1 | `R_BPF_64_64` | `R_BPF_INSN_64` | both halves of a 64-bit immediate load; in data, as LLVM 12 wrote it, a pointer |
//! | 2, 3, 4 | `ABS64`, `ABS32`, `NODYLD32` | immediates and displacements of instructions | LLVM's in data, refused in code |
//! | 10 | `R_BPF_64_32` | `R_BPF_INSN_DISP32` | a call; in data, as LLVM 12 wrote it, four bytes |
//! | 11, 12 | | `R_BPF_DATA_32`, `R_BPF_DATA_64` | data |
//! | 5 to 9, 13 | | narrow or pc-relative data | refused |
//!
//! Where the two numberings give a number two meanings, LLVM's occur in data only and the others in code only, so the section
//! decides. Objects hold addends in their fields. A call counts instructions of eight bytes from the one after it, so the
//! addend of a call whose immediate is -1 is zero.

use jitlink_core::Endian;
use jitlink_core::reloc::{Base, Bits, Field, Overflow, Reloc, RelocTable, Subject, bits, reloc};

/// BPF in 64-bit ELF (`EM_BPF`), in both byte orders.
pub const ELF_BPF: RelocTable = RelocTable::new("elf", 247, 8, "bpf", &ROWS);

/// BPF in objects from before the machine had a number. What is no BPF code is refused when it is read.
pub const ELF_UNNAMED: RelocTable = RelocTable::new("elf", 0, 8, "bpf", &ROWS);

use Base::{Place, Zero};
use Overflow::{Bitfield, Ignore, Signed};
use Subject::Symbol;

static WORD32: Field = Field::plain(4);
static WORD64: Field = Field::plain(8);
/// The immediates of the two words of a wide load: the low half in the first.
static WIDE: Field = Field::coded(16, 64, insert_wide, extract_wide);
/// A distance in words of eight bytes from the next instruction, in the immediate.
static CALL: Field = Field::word(4, &CALL_BITS).align(8).round(-8);
static CALL_BITS: [Bits; 1] = [bits(3, 32, 1, 0)];

fn insert_wide(bytes: &mut [u8], value: u64, endian: Endian) {
    endian.write(&mut bytes[4..8], value & 0xffff_ffff);
    endian.write(&mut bytes[12..16], value >> 32);
}

fn extract_wide(bytes: &[u8], endian: Endian) -> i64 {
    (endian.read(&bytes[4..8]) | endian.read(&bytes[12..16]) << 32) as i64
}

const NARROW: &str =
    "only hand-written assembly for GNU as before 2.41 has it; use a newer assembler, or eight-byte pointers";

/// The rows, by raw number.
#[rustfmt::skip]
pub static ROWS: [Reloc; 14] = [
    //    raw  name                  subject base   field    overflow
    Reloc::none(0, "R_BPF_NONE"),
    reloc(  1, "R_BPF_64_64",        Symbol, Zero,  &WIDE,   Ignore).outside_code(2),    // S + A
    reloc(  2, "R_BPF_64_ABS64",     Symbol, Zero,  &WORD64, Ignore),                    // S + A
    reloc(  3, "R_BPF_64_ABS32",     Symbol, Zero,  &WORD32, Bitfield),                  // S + A
    reloc(  4, "R_BPF_64_NODYLD32",  Symbol, Zero,  &WORD32, Bitfield),                  // S + A, for linkers of files only
    Reloc::refused(5, "R_BPF_DATA_8_PCREL", NARROW),
    Reloc::refused(6, "R_BPF_DATA_16_PCREL", NARROW),
    Reloc::refused(7, "R_BPF_DATA_32_PCREL", NARROW),
    Reloc::refused(8, "R_BPF_DATA_8", NARROW),
    Reloc::refused(9, "R_BPF_DATA_16", NARROW),
    reloc( 10, "R_BPF_64_32",        Symbol, Place, &CALL,   Signed).outside_code(3),    // (S + A - P) / 8 - 1
    reloc( 11, "R_BPF_DATA_32",      Symbol, Zero,  &WORD32, Bitfield),                  // S + A
    reloc( 12, "R_BPF_DATA_64",      Symbol, Zero,  &WORD64, Ignore),                    // S + A
    Reloc::refused(13, "R_BPF_DATA_64_PCREL", NARROW),
];

/// The rows that the linker itself uses, by their positions.
#[rustfmt::skip]
pub(crate) static OWN_ROWS: [Reloc; 2] = [
    reloc(  0, "call without relocation", Symbol, Place, &CALL,   Signed),
    reloc(  1, "pointer",                 Symbol, Zero,  &WORD64, Ignore),
];

/// The row of [`OWN_ROWS`] for a call that the assembler resolved.
pub(crate) const LOCAL_CALL: u16 = 0;
/// The row of [`OWN_ROWS`] for a pointer.
pub(crate) const POINTER: u16 = 1;
/// The raw number of a wide load.
pub(crate) const WIDE_LOAD: u32 = 1;
/// The raw number of a call.
pub(crate) const CALL_RAW: u32 = 10;
