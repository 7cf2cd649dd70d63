//! Pages of arenas.

use super::maps::map;
use super::{Host, Table};
use crate::call::Call;
use crate::fault::Fault;

pub(super) static KERNEL_FUNCTIONS: Table =
    &[("bpf_arena_alloc_pages", alloc_pages), ("bpf_arena_free_pages", free_pages)];

/// The host's address of new pages, at an address or anywhere; null if there are none. The program casts it before it uses it.
fn alloc_pages(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let map = map(call, 0)?;
    let [_, address, pages, _, flags] = call.arguments();
    let Some(arena) = map.arena().filter(|_| flags == 0) else { return Ok(0) };
    let low = arena.allocate(address, pages as u32);
    Ok(low.map_or(0, |low| map.spec().extra >> 32 << 32 | u64::from(low)))
}

fn free_pages(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let map = map(call, 0)?;
    let [_, address, pages, ..] = call.arguments();
    if let Some(arena) = map.arena() {
        arena.free(address, pages as u32);
    }
    Ok(0)
}
