//! Fields in data and in instructions, which are words of 32 bits.

use jitlink_core::Endian;
use jitlink_core::reloc::{Bits, Field, bits};

pub(crate) static NONE: Field = Field::none();
pub(crate) static WORD16: Field = Field::plain(2);
pub(crate) static WORD32: Field = Field::plain(4);
pub(crate) static WORD64: Field = Field::plain(8);

/// `b` and `bl`.
pub(crate) static IMM26: Field = Field::word(4, &[bits(2, 26, 0, 0)]).align(4);
/// `b.cond`, `cbz` and `cbnz`.
pub(crate) static IMM19: Field = Field::word(4, &[bits(2, 19, 0, 5)]).align(4);
/// `tbz` and `tbnz`.
pub(crate) static IMM14: Field = Field::word(4, &[bits(2, 14, 0, 5)]).align(4);

/// `adr`: the distance in bytes.
pub(crate) static ADR: Field = Field::word(4, &[bits(0, 2, 0, 29), bits(2, 19, 0, 5)]);
/// `adrp`: the distance in pages; the value is in bytes.
pub(crate) static ADRP: Field = Field::word(4, &[bits(12, 2, 0, 29), bits(14, 19, 0, 5)]);

const IMM12: Bits = bits(0, 12, 0, 10);
/// `add`: an immediate of 12 bits.
pub(crate) static ADD: Field = Field::word(4, &[IMM12]);
/// `add` of an immediate that the machine shifts up by 12 bits.
pub(crate) static ADD_HIGH: Field = Field::word(4, &[bits(12, 12, 0, 10)]);
/// The immediate of either `add` as an addend, which is in bytes and never negative.
pub(crate) static ADD_BYTES: Field = Field::coded(4, 13, insert_bytes, extract_bytes);
/// A load of eight bytes, whose offset is scaled by that.
pub(crate) static LOAD64: Field = Field::word(4, &[bits(3, 9, 0, 10)]).align(8);
/// A load or store, whose offset is scaled by the size of the access.
pub(crate) static SCALED: Field = Field::coded(4, 12, insert_scaled, extract_scaled).aligned_by(16, access_size);

fn insert_bytes(bytes: &mut [u8], value: u64, endian: Endian) {
    ADD.insert(bytes, value, endian);
}

fn extract_bytes(bytes: &[u8], endian: Endian) -> i64 {
    ADD.extract(bytes, endian) & 0xfff
}

/// The size of an access as a power of two ("Load/store register (unsigned immediate)"): the two upper bits say it, but for vector
/// registers of 128 bits, which are the larger ones of size zero.
fn access_log2(word: u32) -> u32 {
    const VECTOR_OF_128: u32 = 0x0480_0000;
    match word >> 30 {
        0 if word & VECTOR_OF_128 == VECTOR_OF_128 => 4,
        size => size,
    }
}

fn access_size(bytes: &[u8], endian: Endian) -> u32 {
    1 << access_log2(endian.read(&bytes[..4]) as u32)
}

/// The low 12 bits of the value, scaled.
fn insert_scaled(bytes: &mut [u8], value: u64, endian: Endian) {
    let word = endian.read(bytes) as u32;
    let scaled = (value as u32 & 0xfff) >> access_log2(word);
    endian.write(bytes, u64::from(word & !(0xfff << 10) | scaled << 10));
}

fn extract_scaled(bytes: &[u8], endian: Endian) -> i64 {
    let word = endian.read(bytes) as u32;
    i64::from((word >> 10 & 0xfff) << access_log2(word))
}
