//! Records for the host: perf events and ring buffers, and records from it.

use super::errno::{E2BIG, EBUSY, EFAULT, EINVAL};
use super::maps::{map, result};
use super::{Host, Table, dynptr, iterate};
use crate::address::{VALUE_REGION, offset, region};
use crate::call::Call;
use crate::contexts::PacketContext;
use crate::fault::Fault;
use crate::maps::{Map, MapKind};
use hashbrown::HashMap;
use std::sync::Arc;

pub(super) static HELPERS: Table = &[
    ("perf_event_output", perf_event_output),
    ("skb_output", perf_event_output),
    ("xdp_output", perf_event_output),
    ("ringbuf_output", ringbuf_output),
    ("ringbuf_reserve", ringbuf_reserve),
    ("ringbuf_submit", |call, _| end_record(call, "bpf_ringbuf_submit", false)),
    ("ringbuf_discard", |call, _| end_record(call, "bpf_ringbuf_discard", true)),
    ("ringbuf_query", ringbuf_query),
    ("user_ringbuf_drain", user_ringbuf_drain),
];

/// The records that a run has reserved and not handed over yet. What is left of them when it ends, however it does, is given up, so
/// that the host does not wait for it.
#[derive(Default)]
struct Reserved(HashMap<(u32, usize), Arc<Map>>);

impl Drop for Reserved {
    fn drop(&mut self) {
        for ((_, place), map) in self.0.drain() {
            if let Some(ring) = map.ring() {
                // Nobody else can have ended it: records are ended by the run that reserved them.
                _ = ring.discard(place, 0);
            }
        }
    }
}

/// Reserves a record in a ring buffer for the run: its address, if there is room.
pub(super) fn reserve(call: &mut Call<'_, '_>, map: &Arc<Map>, len: u64) -> Option<u64> {
    let place = map.ring()?.reserve(len)?;
    call.state::<Reserved>().0.insert((map.id(), place), map.clone());
    Some(call.value_address(map, place))
}

/// The map of an argument, if it is of a kind.
fn map_of(call: &mut Call<'_, '_>, argument: usize, name: &str, kind: MapKind) -> Result<Arc<Map>, Fault> {
    let map = map(call, argument)?;
    if map.kind() == kind {
        return Ok(map);
    }
    let reason = format!("map \"{}\" is of type {} rather than {}", map.name(), map.kind().name(), kind.name());
    Err(call.fault(name, reason))
}

/// A record of bytes, and of as many of the packet's as the flags say.
fn perf_event_output(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    /// How many bytes of the packet follow (`BPF_F_CTXLEN_MASK`).
    const PACKET: u64 = 0xf_ffff << 32;
    const NAME: &str = "bpf_perf_event_output";
    let [_, _, flags, data, len] = call.arguments();
    let map = map_of(call, 1, NAME, MapKind::PerfEventArray)?;
    let mut record = call.read_vec(data, len)?;
    let (mut index, cpu) = (flags, call.cpu());
    if let Some(context) = call.context_as::<PacketContext>() {
        let count = (flags & PACKET) >> 32;
        index &= !PACKET;
        match context.buffer.get(0, count) {
            Some(bytes) => record.extend(bytes),
            None if index > u64::from(u32::MAX) => return Ok(EINVAL),
            None => return Ok(EFAULT),
        }
    }
    let Some(perf) = map.perf() else { return Ok(EINVAL) };
    Ok(result(perf.output(&record, index, cpu)))
}

fn ringbuf_output(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let map = map_of(call, 0, "bpf_ringbuf_output", MapKind::Ringbuf)?;
    let [_, data, len, flags, _] = call.arguments();
    let bytes = call.read_vec(data, len)?;
    let Some(ring) = map.ring() else { return Ok(EINVAL) };
    Ok(result(ring.output(&bytes, flags)))
}

fn ringbuf_reserve(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let map = map_of(call, 0, "bpf_ringbuf_reserve", MapKind::Ringbuf)?;
    let [_, len, flags, ..] = call.arguments();
    Ok(if flags == 0 { reserve(call, &map, len).unwrap_or(0) } else { 0 })
}

/// Hands a record to the host, or gives it up; whether the run has reserved one there.
pub(super) fn end(call: &mut Call<'_, '_>, record: u64, flags: u64, discard: bool) -> bool {
    let index = region(record).checked_sub(VALUE_REGION);
    let handle = index.map(crate::address::map_handle);
    let Some(map) = handle.and_then(|handle| call.map(handle).ok().cloned()) else { return false };
    let place = offset(record) as usize;
    if call.state::<Reserved>().0.remove(&(map.id(), place)).is_none() {
        return false;
    }
    let Some(ring) = map.ring() else { return false };
    if discard { ring.discard(place, flags).is_ok() } else { ring.submit(place, flags).is_ok() }
}

fn end_record(call: &mut Call<'_, '_>, name: &str, discard: bool) -> Result<u64, Fault> {
    let [record, flags, ..] = call.arguments();
    match end(call, record, flags, discard) {
        true => Ok(0),
        false => Err(call.fault(name, format!("nothing was reserved at {record:#x}"))),
    }
}

fn ringbuf_query(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let map = map_of(call, 0, "bpf_ringbuf_query", MapKind::Ringbuf)?;
    let Some(state) = map.ring().map(|ring| ring.query()) else { return Ok(0) };
    Ok(match call.argument(1) {
        0 => state.available,
        1 => state.size,
        2 => state.consumer,
        3 => state.producer,
        _ => 0,
    })
}

/// Calls a function of the program for each record of the host, until it returns 1; gives how many there were.
fn user_ringbuf_drain(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    /// `BPF_RB_NO_WAKEUP` and `BPF_RB_FORCE_WAKEUP`.
    const FLAGS: u64 = 3;
    /// The most records of one call (`BPF_MAX_USER_RINGBUF_SAMPLES`).
    const MOST: u64 = 128 * 1024;
    let map = map_of(call, 0, "bpf_user_ringbuf_drain", MapKind::UserRingbuf)?;
    let [_, function, context, flags, _] = call.arguments();
    if flags & !FLAGS != 0 {
        return Ok(EINVAL);
    }
    let Some(ring) = map.ring() else { return Ok(EINVAL) };
    let Some(draining) = ring.drain() else { return Ok(EBUSY) };
    let mut count = 0;
    let mut ended = Ok(0);
    while count < MOST && matches!(ended, Ok(0)) {
        let Some((place, len)) = draining.front() else { break };
        if len > dynptr::MAX_SIZE {
            ended = Ok(E2BIG);
            break;
        }
        let data = call.value_address(&map, place);
        ended = iterate::with_scratch(call, 16, |call, scratch| {
            dynptr::create_read_only(call, scratch, data, len)?;
            let result = call.call(function, [scratch, context, 0, 0, 0]);
            dynptr::forget(call, scratch);
            result
        });
        draining.release();
        count += 1;
    }
    match ended {
        Ok(error) if error == E2BIG && count == 0 => Ok(E2BIG),
        Err(fault) => Err(fault),
        Ok(_) => Ok(count),
    }
}
