//! Programs that go on as other programs.
//!
//! An element of a program array is a number of 32 bits. Here it is the number of the word in linked code
//! ([`CODE_REGION`]) that begins the program, so the machine needs no table of programs.

use super::errno::{ENOENT, EOPNOTSUPP};
use super::maps::map;
use super::{Host, Table};
use crate::address::{CODE_REGION, at, offset, region};
use crate::call::Call;
use crate::fault::Fault;
use crate::maps::MapKind;

pub(super) static HELPERS: Table = &[("tail_call", tail_call)];

/// The number that an element of a program array has for the program at an address. `None` for addresses outside of
/// linked code.
pub fn program_number(address: u64) -> Option<u32> {
    (region(address) == CODE_REGION && address.is_multiple_of(8)).then(|| offset(address) / 8)
}

/// Goes on with a program of an array. Returns only if there is none, or too many followed each other.
fn tail_call(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let map = map(call, 1)?;
    if map.kind() != MapKind::ProgArray {
        let reason = format!("map \"{}\" is of type {} and holds no programs", map.name(), map.kind().name());
        return Err(call.fault("bpf_tail_call", reason));
    }
    let index = call.argument(2) as u32;
    let start = map.target(index).and_then(|number| number.checked_mul(8));
    let Some(start) = start else { return Ok(ENOENT) };
    Ok(if call.tail_call(at(CODE_REGION, start)) { 0 } else { EOPNOTSUPP })
}
