//! Immediate fields, named by instruction format (RISC-V Instruction Set Manual, volume I, "Immediate Encoding Variants").

use jitlink_core::Endian;
use jitlink_core::reloc::{Bits, Field, bits};

/// What makes the upper half right when the lower one is negative.
const ROUND: i64 = 0x800;

pub(crate) static WORD32: Field = Field::plain(4);
pub(crate) static WORD64: Field = Field::plain(8);
pub(crate) static SET6: Field = Field::word(1, &[bits(0, 6, 0, 0)]);
pub(crate) static SET8: Field = Field::plain(1);
pub(crate) static SET16: Field = Field::plain(2);
pub(crate) static SUM6: Field = Field::word(1, &[bits(0, 6, 0, 0)]).adding();
pub(crate) static SUM8: Field = Field::plain(1).adding();
pub(crate) static SUM16: Field = Field::plain(2).adding();
pub(crate) static SUM32: Field = Field::plain(4).adding();
pub(crate) static SUM64: Field = Field::plain(8).adding();

/// U-type: `lui`, `auipc`.
pub(crate) static HI20: Field = Field::word(4, &[bits(12, 20, 0, 12)]).round(ROUND);
/// I-type: `addi`, loads, `jalr`.
pub(crate) static LO12_I: Field = Field::word(4, &[bits(0, 12, 0, 20)]);
/// S-type: stores.
pub(crate) static LO12_S: Field = Field::word(4, &[bits(0, 5, 0, 7), bits(5, 7, 0, 25)]);

const B: &[Bits] = &[bits(12, 1, 0, 31), bits(5, 6, 0, 25), bits(1, 4, 0, 8), bits(11, 1, 0, 7)];
/// B-type: conditional branches, to ±4 KiB.
pub(crate) static BRANCH: Field = Field::word(4, B).align(2);

const J: &[Bits] = &[bits(20, 1, 0, 31), bits(1, 10, 0, 21), bits(11, 1, 0, 20), bits(12, 8, 0, 12)];
/// J-type: `jal`, to ±1 MiB.
pub(crate) static JAL: Field = Field::word(4, J).align(2);

const CB: &[Bits] = &[bits(8, 1, 0, 12), bits(3, 2, 0, 10), bits(6, 2, 0, 5), bits(1, 2, 0, 3), bits(5, 1, 0, 2)];
/// CB-type: compressed branches, to ±256 bytes.
pub(crate) static RVC_BRANCH: Field = Field::word(2, CB).align(2);

#[rustfmt::skip]
const CJ: &[Bits] = &[
    bits(11, 1, 0, 12), bits(4, 1, 0, 11), bits(8, 2, 0, 9), bits(10, 1, 0, 8),
    bits(6, 1, 0, 7), bits(7, 1, 0, 6), bits(1, 3, 0, 3), bits(5, 1, 0, 2),
];
/// CJ-type: compressed jumps, to ±2 KiB.
pub(crate) static RVC_JUMP: Field = Field::word(2, CJ).align(2);

/// `auipc` and the I-type instruction behind it, as one field. The lower half is that of the value *without* the rounding,
/// which slices cannot say.
pub(crate) static AUIPC_AND_NEXT: Field = Field::coded(8, 32, insert_both, extract_both).round(ROUND);

fn insert_both(bytes: &mut [u8], rounded: u64, endian: Endian) {
    let (upper, lower) = bytes.split_at_mut(4);
    HI20.insert(upper, rounded, endian);
    LO12_I.insert(lower, rounded.wrapping_sub(ROUND as u64), endian);
}

fn extract_both(bytes: &[u8], endian: Endian) -> i64 {
    // `HI20` takes its rounding off; the caller takes off this field's.
    HI20.extract(bytes, endian) + ROUND + LO12_I.extract(&bytes[4..], endian) + ROUND
}
