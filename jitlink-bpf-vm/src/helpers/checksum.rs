//! Internet checksums (RFC 1071) as the kernel's helpers compute and repair them.

use super::errno::{EACCES, EFAULT, EINVAL, ENOTSUPP};
use super::{Host, Table, packet};
use crate::call::Call;
use crate::contexts::Checksum;
use crate::fault::Fault;

pub(super) static HELPERS: Table = &[
    ("csum_diff", csum_diff),
    ("csum_update", |call, _| packet(call, "bpf_csum_update").map(|_| ENOTSUPP)),
    ("csum_level", csum_level),
    ("l3_csum_replace", l3_csum_replace),
    ("l4_csum_replace", l4_csum_replace),
];

/// The sum of two sums in one's complement.
pub(super) fn add(a: u32, b: u32) -> u32 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u32::from(carry)
}

/// The sum of two sums of sixteen bits.
fn add16(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u16::from(carry)
}

/// A sum without the part that was summed before.
pub(super) fn sub(a: u32, b: u32) -> u32 {
    add(a, !b)
}

/// A sum in sixteen bits.
pub(super) fn fold(sum: u32) -> u16 {
    let sum = (sum >> 16) + (sum & 0xffff);
    ((sum >> 16) + (sum & 0xffff)) as u16
}

/// The sum of bytes and of a sum before them, in the program's byte order. Of the two forms of zero, it gives the one
/// that the kernel's sum of whole words gives.
fn partial(bytes: &[u8], seed: u32, endian: jitlink_core::Endian) -> u32 {
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        endian.read(&word)
    });
    let sum = words.fold(u64::from(seed), |sum, word| {
        let (sum, carry) = sum.overflowing_add(word);
        sum + u64::from(carry)
    });
    add((sum >> 32) as u32, sum as u32)
}

fn csum_diff(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let [from, from_len, to, to_len, seed] = call.arguments();
    let (from_len, to_len, seed) = (from_len as u32, to_len as u32, seed as u32);
    if (from_len | to_len) & 3 != 0 {
        return Ok(EINVAL);
    }
    let endian = call.endian();
    let old = if from_len > 0 { call.read_vec(from, from_len.into())? } else { Vec::new() };
    let new = if to_len > 0 { call.read_vec(to, to_len.into())? } else { Vec::new() };
    let sum = match (from_len, to_len) {
        (0, 0) => seed,
        (_, 0) => !partial(&old, !seed, endian),
        (0, _) => partial(&new, seed, endian),
        _ => sub(partial(&new, seed, endian), partial(&old, 0, endian)),
    };
    Ok(fold(sum).into())
}

/// What a call to repair a checksum is about.
struct Repair {
    offset: u64,
    from: u64,
    to: u64,
    size: u64,
}

impl Repair {
    /// The checksum after the repair, or none if there is no such repair. Sums are in the program's byte order.
    fn apply(&self, old: u16) -> Option<u16> {
        // Of the two forms of zero, the kernel's arithmetic gives the one that this gives.
        let base = !u32::from(old);
        match (self.size, self.from) {
            (0, 0) => Some(!fold(add(self.to as u32, base))),
            (2, from) => Some(!add16(add16(!old, !(from as u16)), self.to as u16)),
            (4, from) => Some(!fold(add(sub(base, from as u32), self.to as u32))),
            _ => None,
        }
    }
}

/// Reads a checksum in the packet, changes it, writes it back.
fn repair(call: &mut Call<'_, '_>, name: &str, repair: &Repair, rules: (bool, bool)) -> Result<u64, Fault> {
    let (zero_is_none, enforce) = rules;
    let endian = call.endian();
    let context = packet(call, name)?;
    if repair.offset > 0xffff || repair.offset & 1 != 0 {
        return Ok(EFAULT);
    }
    let Some(bytes) = context.buffer.get(repair.offset, 2) else { return Ok(EFAULT) };
    let old = endian.read(&bytes) as u16;
    if zero_is_none && !enforce && old == 0 {
        return Ok(0);
    }
    let Some(mut new) = repair.apply(old) else { return Ok(EINVAL) };
    if zero_is_none && new == 0 {
        new = 0xffff;
    }
    let mut bytes = [0; 2];
    endian.write(&mut bytes, new.into());
    context.buffer.set(repair.offset, &bytes);
    Ok(0)
}

fn l3_csum_replace(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let [_, offset, from, to, flags] = call.arguments();
    if flags & !SIZE != 0 {
        return Ok(EINVAL);
    }
    let wanted = Repair { offset: u64::from(offset as u32), from, to, size: flags & SIZE };
    repair(call, "bpf_l3_csum_replace", &wanted, (false, false))
}

/// The size of the changed field (`BPF_F_HDR_FIELD_MASK`).
const SIZE: u64 = 0xf;

fn l4_csum_replace(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    /// The field is also in the pseudo header (`BPF_F_PSEUDO_HDR`).
    const PSEUDO: u64 = 0x10;
    /// A checksum of zero means that there is none (`BPF_F_MARK_MANGLED_0`).
    const ZERO_IS_NONE: u64 = 0x20;
    /// Change it even if it is zero (`BPF_F_MARK_ENFORCE`).
    const ENFORCE: u64 = 0x40;
    /// It is that of IPv6 (`BPF_F_IPV6`).
    const IPV6: u64 = 0x80;
    let [_, offset, from, to, flags] = call.arguments();
    if flags & !(PSEUDO | ZERO_IS_NONE | ENFORCE | IPV6 | SIZE) != 0 {
        return Ok(EINVAL);
    }
    let wanted = Repair { offset: u64::from(offset as u32), from, to, size: flags & SIZE };
    repair(call, "bpf_l4_csum_replace", &wanted, (flags & ZERO_IS_NONE != 0, flags & ENFORCE != 0))
}

fn csum_level(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let level = call.argument(1);
    let context = packet(call, "bpf_csum_level")?;
    context.checksum = match (level, context.checksum) {
        (0, Checksum::Checked(level)) => return Ok(level.into()),
        (0, Checksum::Unknown) => return Ok(EACCES),
        (1, Checksum::Checked(level)) => Checksum::Checked((level + 1).min(3)),
        (1, Checksum::Unknown) => Checksum::Checked(0),
        (2, Checksum::Checked(level @ 1..)) => Checksum::Checked(level - 1),
        (2 | 3, _) => Checksum::Unknown,
        _ => return Ok(EINVAL),
    };
    Ok(0)
}

#[cfg(test)]
mod tests {
    use jitlink_core::Endian;
    use proptest::prelude::*;

    use super::*;

    /// The checksum of bytes as RFC 1071 defines it, in network byte order.
    fn naive(bytes: &[u8]) -> u16 {
        let mut sum: u64 =
            bytes.chunks(2).map(|pair| u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0))).sum();
        while sum > 0xffff {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        !(sum as u16)
    }

    /// Zero has two forms.
    fn same(a: u16, b: u16) -> bool {
        a == b || (a == 0 && b == 0xffff) || (a == 0xffff && b == 0)
    }

    proptest! {
        #[test]
        fn sums_are_those_of_rfc_1071(bytes in prop::collection::vec(any::<u8>(), 0..70)) {
            for endian in [Endian::Little, Endian::Big] {
                let mut sum = [0; 2];
                endian.write(&mut sum, u64::from(!fold(partial(&bytes, 0, endian))));
                prop_assert!(same(u16::from_be_bytes(sum), naive(&bytes)));
            }
        }

        #[test]
        fn repaired_checksums_are_those_of_the_new_bytes(
            mut bytes in prop::collection::vec(any::<u8>(), 20..21),
            new in any::<u32>(),
            place in 0..4usize,
            size in prop::sample::select(vec![2usize, 4]),
        ) {
            for endian in [Endian::Little, Endian::Big] {
                let mut old_sum = [0; 2];
                old_sum.copy_from_slice(&naive(&bytes).to_be_bytes());
                let field = 4 * place..4 * place + size;
                let from = endian.read(&bytes[field.clone()]);
                endian.write(&mut bytes[field.clone()], new.into());
                let to = endian.read(&bytes[field]);
                let repair = Repair { offset: 0, from, to, size: size as u64 };
                let mut sum = [0; 2];
                endian.write(&mut sum, repair.apply(endian.read(&old_sum) as u16).unwrap().into());
                prop_assert!(same(u16::from_be_bytes(sum), naive(&bytes)));
            }
        }
    }
}
