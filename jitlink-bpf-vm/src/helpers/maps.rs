//! Maps: `bpf_map_*`.

use std::sync::Arc;

use super::{Host, Table};
use crate::call::Call;
use crate::fault::{Access, Fault};
use crate::maps::{Map, MapKind, MapResult};

pub(super) static HELPERS: Table = &[
    ("map_lookup_elem", map_lookup_elem),
    ("map_lookup_percpu_elem", map_lookup_percpu_elem),
    ("map_update_elem", map_update_elem),
    ("map_delete_elem", map_delete_elem),
    ("map_push_elem", map_push_elem),
    ("map_pop_elem", |call, _| take(call, |map, value| map.pop(value))),
    ("map_peek_elem", |call, _| take(call, |map, value| map.peek(value))),
];

/// What a helper returns for a map operation.
pub(super) fn result(result: MapResult) -> u64 {
    match result {
        Ok(()) => 0,
        Err(error) => error.to_result(),
    }
}

/// The map of an argument.
pub(super) fn map(call: &mut Call<'_, '_>, argument: usize) -> Result<Arc<Map>, Fault> {
    let handle = call.argument(argument);
    call.map(handle).cloned()
}

/// Why there is no lock or timer at some place in the values of a map, of which it is at an offset if there is one.
pub(super) fn no_field(map: &Map, offset: Option<u32>) -> String {
    match offset {
        Some(offset) => format!("that of a value of map \"{}\" is at byte {offset}", map.name()),
        None => format!("the values of map \"{}\" ({}) have none", map.name(), map.kind().name()),
    }
}

/// The map and the key that it wants.
fn map_and_key(call: &mut Call<'_, '_>) -> Result<(Arc<Map>, Vec<u8>), Fault> {
    let map = map(call, 0)?;
    let key = call.argument(1);
    // Maps without keys have no memory for one.
    let bytes = match map.spec().key_size {
        0 => Vec::new(),
        size => call.read_vec(key, size.into())?,
    };
    Ok((map, bytes))
}

fn find(call: &mut Call<'_, '_>, cpu: usize) -> Result<u64, Fault> {
    let (map, key) = map_and_key(call)?;
    if matches!(map.kind(), MapKind::ArrayOfMaps | MapKind::HashOfMaps) {
        return Ok(map.inner_map(&key).map_or(0, |inner| call.map_handle(&inner)));
    }
    let found = map.on_cpu(cpu).find_on(&key, cpu);
    Ok(found.map_or(0, |offset| call.value_address(&map, offset)))
}

fn map_lookup_elem(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let cpu = call.cpu();
    find(call, cpu)
}

fn map_lookup_percpu_elem(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let cpu = call.argument(2) as u32 as usize;
    match map(call, 0)? {
        map if map.kind().is_percpu() && cpu < map.cpus() => find(call, cpu),
        _ => Ok(0),
    }
}

fn map_update_elem(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let (map, key) = map_and_key(call)?;
    let [_, _, value, flags, _] = call.arguments();
    let value = call.read_vec(value, map.spec().value_size.into())?;
    Ok(result(map.on_cpu(call.cpu()).update(&key, &value, flags)))
}

fn map_delete_elem(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let (map, key) = map_and_key(call)?;
    Ok(result(map.on_cpu(call.cpu()).delete(&key)))
}

fn map_push_elem(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let map = map(call, 0)?;
    let [_, value, flags, ..] = call.arguments();
    let value = call.read_vec(value, map.spec().value_size.into())?;
    Ok(result(map.on_cpu(call.cpu()).push(&value, flags)))
}

/// Asks a map without keys for a value, or whether it has the one that is there (bloom filters).
fn take(call: &mut Call<'_, '_>, ask: fn(crate::maps::OnCpu<'_>, &mut [u8]) -> MapResult) -> Result<u64, Fault> {
    let map = map(call, 0)?;
    let address = call.argument(1);
    let slice = call.memory(address, map.spec().value_size.into(), Access::Write)?;
    let mut value = slice.to_vec();
    let done = result(ask(map.on_cpu(call.cpu()), &mut value));
    if map.kind() != MapKind::BloomFilter {
        slice.write(&value);
    }
    Ok(done)
}
