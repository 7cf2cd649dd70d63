//! Spin locks in values of maps, and pointers that are exchanged there.
//!
//! A program holds one lock at a time. One that it still holds when it ends is given back then.

use super::maps::no_field;
use super::{Host, Table};
use crate::address::{DATA_REGIONS, VALUE_REGION, map_handle, offset, region};
use crate::call::{Call, Slice};
use crate::fault::{Access, Fault};
use crate::maps::spin;

pub(super) static HELPERS: Table = &[("spin_lock", spin_lock), ("spin_unlock", spin_unlock), ("kptr_xchg", kptr_xchg)];

/// How often a program that waits lets others run before it takes the holder for dead.
const PATIENCE: u32 = 1 << 22;

/// The lock that a program holds.
#[derive(Default)]
struct Held(Option<(u64, Slice)>);

impl Drop for Held {
    fn drop(&mut self) {
        if let Some((_, lock)) = self.0.take() {
            spin::unlock(&lock.memory, lock.offset);
        }
    }
}

fn spin_lock(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let address = call.argument(0);
    let lock = place(call, "bpf_spin_lock", address)?;
    if call.state::<Held>().0.is_some() {
        return Err(call.fault("bpf_spin_lock", "the program holds a lock already"));
    }
    for _ in 0..PATIENCE {
        if spin::try_lock(&lock.memory, lock.offset) {
            call.state::<Held>().0 = Some((address, lock));
            return Ok(0);
        }
        std::thread::yield_now();
    }
    Err(call.fault("bpf_spin_lock", "whoever holds the lock does not give it back"))
}

fn spin_unlock(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let address = call.argument(0);
    match call.state::<Held>().0.take() {
        Some((held, lock)) if held == address => spin::unlock(&lock.memory, lock.offset),
        other => {
            call.state::<Held>().0 = other;
            return Err(call.fault("bpf_spin_unlock", format!("the program does not hold a lock at {address:#x}")));
        }
    }
    Ok(0)
}

/// The lock at an address: in a value of a map, or one of the program's variables.
fn place(call: &mut Call<'_, '_>, name: &str, address: u64) -> Result<Slice, Fault> {
    let (region, lock) = (region(address), call.memory(address, 4, Access::Write)?);
    let reason = match region.checked_sub(VALUE_REGION) {
        _ if !address.is_multiple_of(4) => "it is not aligned to four bytes".into(),
        None if DATA_REGIONS.contains(&region) => return Ok(lock),
        None => "locks are in values of maps and in variables".into(),
        Some(index) => {
            let map = call.map(map_handle(index))?;
            if map.is_lock(offset(address) as usize) {
                return Ok(lock);
            }
            no_field(map, map.spec().lock_offset)
        }
    };
    Err(call.fault(name, format!("{address:#x} is no lock: {reason}")))
}

/// Exchanges a pointer in a value, and gives the old one.
fn kptr_xchg(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let [address, new, ..] = call.arguments();
    if !address.is_multiple_of(8) {
        return Err(call.fault("bpf_kptr_xchg", format!("{address:#x} is not aligned to eight bytes")));
    }
    let slice = call.memory(address, 8, Access::Write)?;
    let swap = |value: u64| {
        let mut bytes = [0; 8];
        call.endian().write(&mut bytes, value);
        u64::from_ne_bytes(bytes)
    };
    let old = slice.memory.word(slice.offset).swap(swap(new), std::sync::atomic::Ordering::AcqRel);
    Ok(call.endian().read(&old.to_ne_bytes()))
}
