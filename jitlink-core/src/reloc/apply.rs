//! Computing and writing one relocation. This is the linker's innermost loop: no hashing, allocation or dynamic dispatch.

use super::{Base, Overflow, Reloc, Subject};
use crate::addr::Endian;

/// The numbers that formulas are made of, named as ABIs name them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// S (or whatever the edge's lowered subject stands for): the subject's address or value.
    pub subject: u64,
    /// A: the addend.
    pub addend: i64,
    /// P: the address of the field.
    pub place: u64,
    /// GOT: the base of the GOT.
    pub got: u64,
    /// The base of the image.
    pub image: u64,
    /// The start of the symbol's section.
    pub section: u64,
    /// The anchor that a pass resolved for this block.
    pub anchor: u64,
}

/// Why a value could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldError {
    /// The value is outside the field's limits.
    Range {
        /// The value.
        value: i64,
    },
    /// The value is not a multiple of the field's alignment.
    Align {
        /// The value.
        value: i64,
        /// The alignment.
        align: u32,
    },
}

/// The value of a row, modulo 2^64.
#[inline]
pub fn evaluate(row: &Reloc, inputs: &Inputs) -> i64 {
    if let Some(formula) = row.formula() {
        return formula(inputs);
    }
    let subject = match row.subject() {
        Subject::Nothing => return 0,
        _ => (inputs.subject as i64).wrapping_add(inputs.addend),
    };
    let base = match row.base() {
        Base::Zero => 0,
        Base::Place => inputs.place,
        Base::PlacePage => return (subject & !0xfff).wrapping_sub((inputs.place & !0xfff) as i64),
        Base::Got => inputs.got,
        Base::Image => inputs.image,
        Base::Section => inputs.section,
        Base::Anchor(_) => inputs.anchor,
    };
    subject.wrapping_sub(base as i64)
}

/// Checks `value` against the row's limits and writes it to the start of `bytes`.
#[inline]
pub fn apply(row: &Reloc, bytes: &mut [u8], value: i64, endian: Endian) -> Result<(), FieldError> {
    let field = row.field();
    if field.alignment() > 1 {
        let align = field.alignment_in(bytes, endian);
        if align > 1 && value.rem_euclid(i64::from(align)) != 0 {
            return Err(FieldError::Align { value, align });
        }
    }
    let rounded = value.wrapping_add(field.rounding());
    if !fits(rounded, field.value_bits(), row.overflow()) {
        return Err(FieldError::Range { value });
    }
    field.insert(bytes, rounded as u64, endian);
    Ok(())
}

#[inline]
fn fits(value: i64, bits: u8, overflow: Overflow) -> bool {
    if bits == 0 || bits >= 64 {
        return true;
    }
    // What is above the field's bits, sign-extended or not.
    let signed = value >> (bits - 1);
    match overflow {
        Overflow::Ignore => true,
        Overflow::Signed => signed == 0 || signed == -1,
        Overflow::Unsigned => (value as u64) >> bits == 0,
        Overflow::Bitfield => signed == -1 || (value as u64) >> bits == 0,
    }
}
