//! Programs that go on as other programs, and maps whose elements a linked program declares.
//!
//! An element of a program array is a number of 32 bits. Here it is the number of the word in linked code
//! ([`CODE_REGION`]) that begins the program, so the machine needs no table of programs.

use jitlink_arch_bpf::image::{BpfImage, MapDefinition};
use jitlink_core::Addr;

use super::errno::{ENOENT, EOPNOTSUPP};
use super::maps::map;
use super::{Host, Table};
use crate::address::{CODE_REGION, at, offset, region};
use crate::call::Call;
use crate::error::LoadError;
use crate::fault::Fault;
use crate::maps::{Errno, Map, MapKind, MapResult, flag};
use crate::vm::Vm;

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

/// Puts into the maps of a machine the programs and maps that its image declares as their elements.
pub fn declare_elements(vm: &Vm, image: &BpfImage) -> Result<(), LoadError> {
    for definition in &image.maps {
        let Some(map) = vm.map(&definition.name) else { continue };
        for (index, target) in &definition.elements {
            let declared = declare(vm, &image.maps, map, (*index, *target));
            declared.map_err(|error| LoadError::Map {
                name: definition.name.clone(),
                reason: format!("element {index}: {error}"),
            })?;
        }
    }
    Ok(())
}

fn declare(vm: &Vm, maps: &[MapDefinition], map: &Map, element: (u32, Addr)) -> MapResult {
    let (index, target) = element;
    // Maps and their hosts count in the host's own byte order.
    let key = index.to_ne_bytes();
    if map.kind() == MapKind::ProgArray {
        let number = program_number(target.0);
        let number = number.ok_or_else(|| Errno::INVAL.because(format!("there is no linked code at {target}")))?;
        return map.update(&key, &number.to_ne_bytes(), flag::ANY);
    }
    let inner = maps.iter().find(|definition| definition.address == target);
    let inner = inner.and_then(|definition| vm.map(&definition.name));
    let inner = inner.ok_or_else(|| Errno::INVAL.because(format!("there is no map at {target}")))?;
    map.update_map(&key, inner, flag::ANY)
}
