//! Fix-up of what nearly all relocations are: an address, or the distance to one from the place or from an anchor, of which one slice
//! goes into one word. Whatever else there is to a row, and every error, is left to the longer way.

use crate::addr::Endian;
use crate::reloc::{Base, Reloc};

/// What values are counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShortBase {
    Zero,
    Place,
    /// The first anchor.
    Anchor,
}

/// How values become words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Another way than all of these.
    None,
    /// The whole word, lowest byte first.
    Whole32,
    Whole64,
    /// A slice of a word, in either byte order.
    Part16(Endian),
    Part32(Endian),
}

/// What fix-up needs of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShortRow {
    shape: Shape,
    pub(super) base: ShortBase,
    /// Of the value with `round` added.
    min: i64,
    max: i64,
    round: i64,
    /// The low bits of the value that must be zero.
    unaligned: u64,
    /// The slice: how far it is shifted down and up, and its bits in the word.
    from: u8,
    to: u8,
    mask: u32,
}

impl ShortRow {
    /// `anchor` is the first one that is resolved.
    pub(super) fn of(row: &Reloc, endian: Endian, anchor: Option<u8>) -> ShortRow {
        let (shape, base) = match (ShortRow::shape(row, endian), row.base()) {
            (shape, Base::Zero) => (shape, ShortBase::Zero),
            (shape, Base::Place) => (shape, ShortBase::Place),
            (shape, Base::Anchor(own)) if Some(own) == anchor => (shape, ShortBase::Anchor),
            _ => (Shape::None, ShortBase::Zero),
        };
        let field = row.field();
        // Fields of less than 64 bits have limits that fit.
        let (min, max) = row.limits().map_or((i64::MIN, i64::MAX), |(min, max)| (min as i64, max as i64));
        let slice = field.single_slice().map(|(slice, _)| slice).filter(|slice| slice.width < 32);
        let (from, to, width) = slice.map_or((0, 0, 0), |slice| (slice.from, slice.lsb, slice.width));
        ShortRow {
            shape,
            base,
            min,
            max,
            round: field.rounding(),
            unaligned: u64::from(field.alignment().max(1)) - 1,
            from,
            to,
            mask: ((1 << width) - 1) << to,
        }
    }

    fn shape(row: &Reloc, endian: Endian) -> Shape {
        let field = row.field();
        if row.formula().is_some() || row.refusal().is_some() || !field.alignment().max(1).is_power_of_two() {
            return Shape::None;
        }
        match (field.plain_bytes(), field.single_slice()) {
            (Some(4), _) if endian == Endian::Little => Shape::Whole32,
            (Some(8), _) if endian == Endian::Little => Shape::Whole64,
            (_, Some((slice, 2))) if slice.width <= 16 => Shape::Part16(endian),
            (_, Some((slice, 4))) if slice.width < 32 => Shape::Part32(endian),
            _ => Shape::None,
        }
    }

    /// Writes a value to the start of `field`, if it can be written this way and fits.
    #[inline(always)]
    pub(super) fn write(&self, field: &mut [u8], value: u64) -> bool {
        let rounded = (value as i64).wrapping_add(self.round);
        if rounded < self.min || self.max < rounded || value & self.unaligned != 0 {
            return false;
        }
        let part = ((rounded as u64 >> self.from) as u32) << self.to & self.mask;
        match self.shape {
            Shape::None => return false,
            Shape::Whole32 => {
                let Some(field) = field.first_chunk_mut() else { return false };
                *field = (rounded as u32).to_le_bytes();
            }
            Shape::Whole64 => {
                let Some(field) = field.first_chunk_mut() else { return false };
                *field = rounded.to_le_bytes();
            }
            Shape::Part16(endian) => {
                let Some(field) = field.first_chunk_mut::<2>() else { return false };
                let (part, kept) = (part as u16, !self.mask as u16);
                *field = match endian {
                    Endian::Little => (u16::from_le_bytes(*field) & kept | part).to_le_bytes(),
                    Endian::Big => (u16::from_be_bytes(*field) & kept | part).to_be_bytes(),
                };
            }
            Shape::Part32(endian) => {
                let Some(field) = field.first_chunk_mut::<4>() else { return false };
                *field = match endian {
                    Endian::Little => (u32::from_le_bytes(*field) & !self.mask | part).to_le_bytes(),
                    Endian::Big => (u32::from_be_bytes(*field) & !self.mask | part).to_be_bytes(),
                };
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reloc::{Field, Overflow, Subject, apply, bits, reloc};

    static FIELDS: [Field; 9] = [
        Field::plain(2),
        Field::plain(4),
        Field::plain(8),
        Field::word(2, &[bits(16, 16, 0, 0)]).round(0x8000),
        Field::word(2, &[bits(2, 14, 0, 2)]).align(4),
        Field::word(4, &[bits(2, 24, 0, 2)]).align(4),
        Field::word(4, &[bits(0, 8, 0, 24)]),
        Field::word(4, &[bits(0, 16, 0, 0), bits(16, 2, 0, 20)]),
        Field::plain(2).adding(),
    ];

    #[test]
    fn what_is_written_the_short_way_is_what_the_long_way_writes() {
        let overflows = [Overflow::Ignore, Overflow::Signed, Overflow::Unsigned, Overflow::Bitfield];
        let edges = (0..64).flat_map(|bit| [-5i64, -1, 0, 1, 4].map(|by| (1i64 << bit).wrapping_add(by)));
        let values: Vec<i64> = edges.flat_map(|value| [value, value.wrapping_neg()]).collect();
        let (mut written, mut left) = (0, 0);
        for (field, overflow, endian) in FIELDS.iter().flat_map(|field| {
            overflows
                .iter()
                .flat_map(move |&overflow| [Endian::Little, Endian::Big].map(|endian| (field, overflow, endian)))
        }) {
            let row = reloc(1, "row", Subject::Symbol, Base::Place, field, overflow);
            let short = ShortRow::of(&row, endian, None);
            assert_eq!(short.base, ShortBase::Place);
            for (&value, filling) in values.iter().flat_map(|value| [0x00, 0xff, 0x5a].map(|filling| (value, filling)))
            {
                let (mut one, mut other) = ([filling; 10], [filling; 10]);
                let applied = apply(&row, &mut other, value, endian);
                if short.write(&mut one, value as u64) {
                    assert_eq!((applied, one), (Ok(()), other), "{field:?} {overflow:?} {endian:?} {value:#x}");
                    written += 1;
                } else {
                    assert_eq!(one, [filling; 10]);
                    let is_short = short.shape != Shape::None;
                    assert!(!is_short || applied.is_err(), "{field:?} {overflow:?} {endian:?} {value:#x}");
                    left += 1;
                }
            }
        }
        assert!(written > 10_000 && left > 10_000, "{written} {left}");
    }

    #[test]
    fn a_field_at_the_end_of_memory_is_left_alone_where_it_does_not_fit() {
        let row = reloc(1, "row", Subject::Symbol, Base::Zero, &FIELDS[5], Overflow::Signed);
        assert!(!ShortRow::of(&row, Endian::Big, None).write(&mut [0; 3], 8));
    }

    #[test]
    fn only_the_first_anchor_is_known() {
        let row = reloc(1, "row", Subject::Symbol, Base::Anchor(3), &FIELDS[0], Overflow::Ignore);
        assert_eq!(ShortRow::of(&row, Endian::Big, Some(3)).base, ShortBase::Anchor);
        for anchor in [None, Some(2)] {
            assert!(!ShortRow::of(&row, Endian::Big, anchor).write(&mut [0; 8], 8));
        }
    }
}
