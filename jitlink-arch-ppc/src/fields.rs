//! Fields, named as the ABI names them (ELFv2 ABI, "Relocation Fields"), in data and in instructions (Power ISA, Book I,
//! "Instruction Formats").
//!
//! Relocations of 16 bits point to the halfword, wherever in the instruction the byte order puts it. Code that this crate writes
//! itself uses whole instructions instead (`…_OF`), whose offset is the same in both byte orders.

use jitlink_core::Endian;
use jitlink_core::reloc::{Bits, Field, bits};

/// What makes an upper half right when the lower one is sign-extended.
const ROUND: i64 = 0x8000;
/// The same where the lower part has 34 bits.
const ROUND34: i64 = 1 << 33;

pub(crate) static WORD16: Field = Field::plain(2);
pub(crate) static WORD32: Field = Field::plain(4);
pub(crate) static WORD64: Field = Field::plain(8);

pub(crate) static HI: Field = Field::word(2, &[bits(16, 16, 0, 0)]);
pub(crate) static HA: Field = Field::word(2, &[bits(16, 16, 0, 0)]).round(ROUND);
pub(crate) static HIGHER: Field = Field::word(2, &[bits(32, 16, 0, 0)]);
pub(crate) static HIGHERA: Field = Field::word(2, &[bits(32, 16, 0, 0)]).round(ROUND);
pub(crate) static HIGHEST: Field = Field::word(2, &[bits(48, 16, 0, 0)]);
pub(crate) static HIGHESTA: Field = Field::word(2, &[bits(48, 16, 0, 0)]).round(ROUND);
pub(crate) static HIGHER34: Field = Field::word(2, &[bits(34, 16, 0, 0)]);
pub(crate) static HIGHERA34: Field = Field::word(2, &[bits(34, 16, 0, 0)]).round(ROUND34);
pub(crate) static HIGHEST34: Field = Field::coded(2, 64, insert_highest34, extract_highest34);
pub(crate) static HIGHESTA34: Field = Field::coded(2, 64, insert_highest34, extract_highest34).round(ROUND34);
/// The displacement of DS-form loads and stores, whose two low bits belong to the opcode.
pub(crate) static DS: Field = Field::word(2, &[bits(2, 14, 0, 2)]).align(4);

/// I-form branches.
pub(crate) static LI24: Field = Field::word(4, &[bits(2, 24, 0, 2)]).align(4);
/// B-form (conditional) branches.
pub(crate) static BD14: Field = Field::word(4, &[bits(2, 14, 0, 2)]).align(4);
/// As [`BD14`], and the branch is said to be taken.
pub(crate) static BD14_TAKEN: Field = Field::coded(4, 16, insert_taken, extract_bd).align(4);
/// As [`BD14`], and the branch is said not to be taken.
pub(crate) static BD14_NOT_TAKEN: Field = Field::coded(4, 16, insert_not_taken, extract_bd).align(4);

/// As [`BD14_TAKEN`], with the hint of older machines.
pub(crate) static BD14_TAKEN_Y: Field = Field::coded(4, 16, insert_taken_y, extract_bd).align(4);
/// As [`BD14_NOT_TAKEN`], with the hint of older machines.
pub(crate) static BD14_NOT_TAKEN_Y: Field = Field::coded(4, 16, insert_not_taken_y, extract_bd).align(4);
/// As [`BD14_TAKEN_Y`], for an absolute address, which lies before all code.
pub(crate) static BA14_TAKEN_Y: Field = Field::coded(4, 16, insert_back_taken_y, extract_bd).align(4);
/// As [`BD14_NOT_TAKEN_Y`], for an absolute address, which lies before all code.
pub(crate) static BA14_NOT_TAKEN_Y: Field = Field::coded(4, 16, insert_back_not_taken_y, extract_bd).align(4);

/// `addpcis`, whose immediate is in three parts.
pub(crate) static DX_HA: Field =
    Field::word(4, &[bits(22, 10, 0, 6), bits(17, 5, 0, 16), bits(16, 1, 0, 0)]).round(ROUND);

const D34_BITS: &[Bits] = &[bits(16, 18, 0, 0), bits(0, 16, 1, 0)];
/// The immediate of prefixed instructions: its upper part in the first word, its lower in the second, in any byte order.
pub(crate) static D34: Field = Field::word(4, D34_BITS);
pub(crate) static D28: Field = Field::word(4, &[bits(16, 12, 0, 0), bits(0, 16, 1, 0)]);
pub(crate) static D34_HI30: Field = Field::coded(8, 64, insert_hi30, extract_hi30);
pub(crate) static D34_HA30: Field = Field::coded(8, 64, insert_hi30, extract_hi30).round(ROUND34);

/// The upper half of a D-form instruction's value.
pub(crate) static HA_OF: Field = Field::word(4, &[bits(16, 16, 0, 0)]).round(ROUND);
/// The lower half of it.
pub(crate) static LO_OF: Field = Field::word(4, &[bits(0, 16, 0, 0)]);
/// The lower half of a DS-form instruction's value.
pub(crate) static LO_DS_OF: Field = Field::word(4, &[bits(2, 14, 0, 2)]).align(4);

fn insert_highest34(bytes: &mut [u8], value: u64, endian: Endian) {
    endian.write(bytes, value >> 50);
}

fn extract_highest34(bytes: &[u8], endian: Endian) -> i64 {
    (endian.read(bytes) << 50) as i64
}

fn insert_hi30(bytes: &mut [u8], value: u64, endian: Endian) {
    D34.insert(bytes, value as i64 as u64 >> 34, endian);
}

fn extract_hi30(bytes: &[u8], endian: Endian) -> i64 {
    ((D34.extract(bytes, endian) as u64) << 34) as i64
}

fn insert_taken(bytes: &mut [u8], value: u64, endian: Endian) {
    insert_hinted(bytes, value, endian, true);
}

fn insert_not_taken(bytes: &mut [u8], value: u64, endian: Endian) {
    insert_hinted(bytes, value, endian, false);
}

/// The displacement, and the hint where the instruction has room for one: the bits `at` in BO, which are 0b11 for a branch that is
/// likely taken and 0b10 for one that is not (Power ISA, Book I, "Branch Instructions", BO and "at" encodings).
fn insert_hinted(bytes: &mut [u8], value: u64, endian: Endian, taken: bool) {
    BD14.insert(bytes, value, endian);
    let word = endian.read(bytes) as u32;
    // Which bits of BO say `a`, if the branch has them: on a condition, or on the count.
    let a = match word >> 21 & 0b10100 {
        0b00100 => 0b00010,
        0b10000 => 0b01000,
        _ => 0,
    };
    let hinted = (word & !(1 << 21)) | a << 21 | u32::from(taken) << 21;
    endian.write(bytes, u64::from(hinted));
}

fn extract_bd(bytes: &[u8], endian: Endian) -> i64 {
    BD14.extract(bytes, endian)
}

fn insert_taken_y(bytes: &mut [u8], value: u64, endian: Endian) {
    insert_y(bytes, value, endian, (value as i64) >= 0);
}

fn insert_not_taken_y(bytes: &mut [u8], value: u64, endian: Endian) {
    insert_y(bytes, value, endian, (value as i64) < 0);
}

fn insert_back_taken_y(bytes: &mut [u8], value: u64, endian: Endian) {
    insert_y(bytes, value, endian, false);
}

fn insert_back_not_taken_y(bytes: &mut [u8], value: u64, endian: Endian) {
    insert_y(bytes, value, endian, true);
}

/// The displacement, and the bit `y` in BO: whether the branch is the other way than what machines take for likely, which is
/// that branches back are taken and others are not (PowerPC Architecture, Book I, "Branch Instructions", before version 2.00).
fn insert_y(bytes: &mut [u8], value: u64, endian: Endian, is_other: bool) {
    BD14.insert(bytes, value, endian);
    let word = endian.read(bytes) as u32;
    endian.write(bytes, u64::from(word & !(1 << 21) | u32::from(is_other) << 21));
}
