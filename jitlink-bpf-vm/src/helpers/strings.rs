//! Numbers and comparisons of strings: `bpf_strtol`, `bpf_strtoul`, `bpf_strncmp`.

use super::errno::{EINVAL, ERANGE};
use super::{Host, Table};
use crate::call::Call;
use crate::fault::Fault;

pub(super) static HELPERS: Table = &[("strtol", strtol), ("strtoul", strtoul), ("strncmp", strncmp)];

fn strtol(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    convert(call, |negative, value| match negative {
        // The largest magnitude is one more below zero.
        true if value <= 1 << 63 => Ok(value.wrapping_neg()),
        false if value < 1 << 63 => Ok(value),
        _ => Err(ERANGE),
    })
}

fn strtoul(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    convert(call, |negative, value| if negative { Err(EINVAL) } else { Ok(value) })
}

fn convert(call: &mut Call<'_, '_>, finish: fn(bool, u64) -> Result<u64, u64>) -> Result<u64, Fault> {
    let [text, len, flags, result, _] = call.arguments();
    call.store(result, 8, 0)?;
    // No number has more than 63 characters; only white space before it may be longer.
    let text = call.read_vec(text, u64::from(len as u32))?;
    match parse(&text, flags).and_then(|(used, negative, value)| Ok((used, finish(negative, value)?))) {
        Ok((used, value)) => {
            call.store(result, 8, value)?;
            Ok(used)
        }
        Err(error) => Ok(error),
    }
}

/// How many bytes a number takes, whether there is a minus before it, and its magnitude.
fn parse(text: &[u8], flags: u64) -> Result<(u64, bool, u64), u64> {
    if text.is_empty() || ![0, 8, 10, 16].contains(&flags) {
        return Err(EINVAL);
    }
    let blank = text.iter().take_while(|byte| is_space(**byte)).count();
    let negative = text.get(blank) == Some(&b'-');
    let start = blank + usize::from(negative);
    let rest = &text[start..];
    let rest = &rest[..rest.len().min(63)];
    let digit = |at: usize| rest.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let is_hex = rest.len() > 1 && rest[0] == b'0' && rest[1].eq_ignore_ascii_case(&b'x');
    let base = match flags as u32 {
        0 if is_hex && digit(2).is_some() => 16,
        0 if rest.first() == Some(&b'0') => 8,
        0 => 10,
        base => base,
    };
    let prefix = if base == 16 && is_hex { 2 } else { 0 };
    let (mut value, mut count, mut overflow) = (0u64, 0, false);
    while let Some(digit) = digit(prefix + count).filter(|digit| *digit < base) {
        let next = value.checked_mul(base.into()).and_then(|value| value.checked_add(digit.into()));
        overflow |= next.is_none();
        value = next.unwrap_or(0);
        count += 1;
    }
    match count {
        _ if overflow => Err(ERANGE),
        0 => Err(EINVAL),
        _ => Ok(((start + prefix + count) as u64, negative, value)),
    }
}

/// The kernel's `isspace`, which knows Latin-1's no-break space.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | 9..=13 | 0xa0)
}

fn strncmp(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let [first, len, second, ..] = call.arguments();
    let len = u64::from(len as u32);
    let first = call.read_vec(first, len)?;
    let second = call.read_string(second, first.len())?;
    for (i, a) in first.into_iter().enumerate() {
        let b = second.get(i).copied().unwrap_or(0);
        if a != b {
            return Ok(if a < b { u64::MAX } else { 1 });
        }
        if a == 0 {
            break;
        }
    }
    Ok(0)
}
