//! Checks that every relocation table must pass, for the tests of architecture crates.

use crate::addr::Endian;
use crate::reloc::{Field, FieldError, Reloc, RelocTable, apply};

/// Panics, naming the row, unless the table is sorted by raw number without duplicates, and every row's field gives back
/// what was written to it, leaves its surroundings alone, clears what stood in it (or adds to it, if that is what it does), and
/// stops at the row's limits; in both byte orders.
pub fn check_table(table: &RelocTable) {
    for pair in table.rows().windows(2) {
        let names = (pair[0].name(), pair[1].name());
        assert!(pair[0].raw() < pair[1].raw(), "{} stands before {} out of order", names.0, names.1);
    }
    for row in table.rows() {
        let same_name = table.rows().iter().filter(|other| other.name() == row.name()).count();
        assert_eq!(same_name, 1, "{}: the name stands in {same_name} rows", row.name());
        check_row(row);
    }
}

/// The part of [`check_table`] that is about one row.
pub fn check_row(row: &Reloc) {
    for endian in [Endian::Little, Endian::Big] {
        for background in [[0; 24], [0xff; 24], NOISE] {
            match row.field().is_adding() {
                true => check_sum(row, background, endian),
                false => check_field(row, background, endian),
            }
            check_limits(row, background, endian);
        }
    }
}

/// Bytes without a pattern.
const NOISE: [u8; 24] =
    *b"\x9c\x27\xe1\x5b\x08\xd4\x73\xae\x36\xf9\x42\x8d\x15\xc0\x6b\x97\x2e\xfa\x51\x84\x3d\xe8\x0f\xb6";

fn check_field(row: &Reloc, background: [u8; 24], endian: Endian) {
    let field = row.field();
    let end = 8 + field.bytes();
    let mut bytes = background;
    let old = field.extract(&bytes[8..end], endian);
    let step = i64::from(field.alignment());
    for value in [0, 1, -1, 0x5a, i64::from(i32::MAX), 0x1234_5678_9abc_def0] {
        let value = value / step * step;
        field.insert(&mut bytes[8..end], value.wrapping_add(field.rounding()) as u64, endian);
        let outside = (bytes[..8] == background[..8], bytes[end..] == background[end..]);
        assert_eq!(outside, (true, true), "{}: bytes around the field changed", row.name());
        let once = bytes;
        let read = field.extract(&bytes[8..end], endian);
        field.insert(&mut bytes[8..end], read.wrapping_add(field.rounding()) as u64, endian);
        assert_eq!(bytes, once, "{}: {value:#x} reads back as {read:#x}, which is written differently", row.name());
        if holds(field, value) {
            assert_eq!(read, value, "{}: {value:#x} reads back as {read:#x}", row.name());
        }
    }
    field.insert(&mut bytes[8..end], old.wrapping_add(field.rounding()) as u64, endian);
    assert_eq!(bytes, background, "{}: writing back the old value does not restore the bytes", row.name());
}

/// What is added is there, and is gone when it is taken away again.
fn check_sum(row: &Reloc, background: [u8; 24], endian: Endian) {
    let field = row.field();
    let end = 8 + field.bytes();
    let unused = 64 - u32::from(field.value_bits()).clamp(1, 64);
    for value in [0i64, 1, -1, 0x5a, 0x1234_5678_9abc_def0] {
        let mut bytes = background;
        let old = field.extract(&bytes[8..end], endian);
        field.insert(&mut bytes[8..end], value as u64, endian);
        let outside = (bytes[..8] == background[..8], bytes[end..] == background[end..]);
        assert_eq!(outside, (true, true), "{}: bytes around the field changed", row.name());
        let sum = field.extract(&bytes[8..end], endian).wrapping_sub(old.wrapping_add(value));
        assert_eq!(sum << unused, 0, "{}: adding {value:#x} to {old:#x} is off by {sum:#x}", row.name());
        field.insert(&mut bytes[8..end], value.wrapping_neg() as u64, endian);
        assert_eq!(bytes, background, "{}: taking {value:#x} away again does not restore the bytes", row.name());
    }
}

/// Whether a field keeps all of a value, so that it can be read back.
fn holds(field: &Field, value: i64) -> bool {
    let bits = u32::from(field.value_bits());
    let rounded = value.wrapping_add(field.rounding());
    let signed = rounded.checked_shr(bits.max(1) - 1).unwrap_or(0);
    // An upper half keeps only what the lower one does not.
    if rounded.trailing_zeros() < u32::from(field.lowest_bit()) {
        return false;
    }
    bits >= 64 || field.bytes() > 0 && field.alignment() == 1 && (signed == 0 || signed == -1)
}

fn check_limits(row: &Reloc, background: [u8; 24], endian: Endian) {
    let Some((min, max)) = row.limits() else { return };
    let (step, round) = (i128::from(row.field().alignment()), i128::from(row.field().rounding()));
    for (limit, outwards) in [(min, -step), (max, step)] {
        // The limits are those of what is cut into the field, after rounding.
        let value = (limit - round).div_euclid(step) * step;
        let inside = if value + round < min { value + step } else { value };
        let mut bytes = background;
        let write = |value: i128, bytes: &mut [u8]| apply(row, bytes, value as i64, endian);
        assert_eq!(write(inside, &mut bytes[8..]), Ok(()), "{}: {inside:#x} must fit", row.name());
        let beyond = inside + outwards;
        let mut bytes = background;
        let refused = Err(FieldError::Range { value: beyond as i64 });
        assert_eq!(write(beyond, &mut bytes[8..]), refused, "{}: {beyond:#x} must not fit", row.name());
        assert_eq!(bytes, background, "{}: a value that does not fit was written", row.name());
    }
}
