//! Rows against the simplest possible resolver, in arithmetic that cannot overflow.

use jitlink_arch_x86::{ELF_X86_64, X86_64};
use jitlink_core::reloc::{Base, FieldError, Inputs, Overflow, Reloc, Subject, apply, evaluate};
use jitlink_core::{Endian, TargetArch};
use proptest::prelude::*;

/// The bytes that the row writes, or nothing if the value does not fit. Addresses wrap around at 2^64.
fn naive(row: &Reloc, inputs: &Inputs) -> (i128, Option<Vec<u8>>) {
    let sum = match row.subject() {
        Subject::Nothing => 0,
        _ => i128::from(inputs.subject) + i128::from(inputs.addend),
    };
    let base = match row.base() {
        Base::Zero => 0,
        Base::Place => i128::from(inputs.place),
        Base::Got => i128::from(inputs.got),
        other => panic!("{other:?} is no base of x86-64"),
    };
    let size = row.field().bytes();
    let value = (sum - base + (1 << 63)).rem_euclid(1 << 64) - (1 << 63);
    let (half, full) = (1i128 << (8 * size).saturating_sub(1), 1i128 << (8 * size));
    let fits = match row.overflow() {
        _ if size == 0 => true,
        Overflow::Ignore => true,
        Overflow::Signed => -half <= value && value < half,
        Overflow::Unsigned => 0 <= value && value < full,
        Overflow::Bitfield => -half <= value && value < full,
    };
    let bytes = value.rem_euclid(1 << 64).to_le_bytes()[..size].to_vec();
    (value, fits.then_some(bytes))
}

fn rows() -> Vec<&'static Reloc> {
    let own = X86_64.info().rows().iter().filter(|row| row.field().plain_bytes().is_some());
    ELF_X86_64.rows().iter().chain(own).collect()
}

/// Any address, and more often one near a limit.
fn address() -> impl Strategy<Value = u64> {
    let near = |bits: u32| (-600i64..600).prop_map(move |offset| (1u64 << bits).wrapping_add(offset as u64));
    prop_oneof![any::<u64>(), 0..600u64, near(7), near(8), near(15), near(16), near(31), near(32), near(63)]
}

fn addend() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -600i64..600, any::<i32>().prop_map(i64::from)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn rows_agree_with_the_naive_resolver(
        (subject, addend, place, got) in (address(), addend(), address(), address()),
        background in any::<[u8; 16]>(),
    ) {
        let inputs = Inputs { subject, addend, place, got, ..Inputs::default() };
        for row in rows() {
            let mut bytes = background;
            let value = evaluate(row, &inputs);
            let result = apply(row, &mut bytes[4..], value, Endian::Little);
            let (expected_value, expected) = naive(row, &inputs);
            prop_assert_eq!(i128::from(value), expected_value, "{}", row.name());
            let mut expected_bytes = background;
            if let Some(written) = &expected {
                expected_bytes[4..4 + written.len()].copy_from_slice(written);
            }
            let expected_result = if expected.is_some() { Ok(()) } else { Err(FieldError::Range { value }) };
            prop_assert_eq!(result, expected_result, "{}", row.name());
            prop_assert_eq!(bytes, expected_bytes, "{}", row.name());
        }
    }
}
