//! Dynptrs: pointers with a length that is only known at run time.
//!
//! What the program holds in 16 bytes of its stack is a number. The run has an entry for each place on the stack where
//! a dynptr was made, with the number that must still stand there. An entry says where the bytes are by the program's
//! own addresses, so each access is checked like any other.

use super::errno::{E2BIG, EINVAL, ERANGE};
use super::events;
use super::maps::map;
use super::{Host, Table};
use crate::address::{PACKET, STACK_REGION, region};
use crate::call::Call;
use crate::contexts::PacketContext;
use crate::fault::Fault;
use hashbrown::HashMap;

pub(super) static HELPERS: Table = &[
    ("dynptr_from_mem", dynptr_from_mem),
    ("dynptr_read", dynptr_read),
    ("dynptr_write", dynptr_write),
    ("dynptr_data", dynptr_data),
    ("ringbuf_reserve_dynptr", ringbuf_reserve_dynptr),
    ("ringbuf_submit_dynptr", |call, _| end_record(call, "bpf_ringbuf_submit_dynptr", false)),
    ("ringbuf_discard_dynptr", |call, _| end_record(call, "bpf_ringbuf_discard_dynptr", true)),
];

pub(super) static KERNEL_FUNCTIONS: Table = &[
    ("bpf_dynptr_from_skb", |call, _| from_packet(call, "bpf_dynptr_from_skb")),
    ("bpf_dynptr_from_xdp", |call, _| from_packet(call, "bpf_dynptr_from_xdp")),
    ("bpf_dynptr_slice", |call, _| slice(call, false)),
    ("bpf_dynptr_slice_rdwr", |call, _| slice(call, true)),
    ("bpf_dynptr_adjust", dynptr_adjust),
    ("bpf_dynptr_is_null", |call, _| Ok(get(call, 0, "bpf_dynptr_is_null")?.is_none().into())),
    ("bpf_dynptr_is_rdonly", |call, _| {
        Ok(get(call, 0, "bpf_dynptr_is_rdonly")?.is_some_and(|dynptr| dynptr.read_only).into())
    }),
    ("bpf_dynptr_size", |call, _| Ok(get(call, 0, "bpf_dynptr_size")?.map_or(EINVAL, |dynptr| dynptr.len.into()))),
    ("bpf_dynptr_clone", dynptr_clone),
];

/// The longest run of bytes (`DYNPTR_MAX_SIZE`).
pub(super) const MAX_SIZE: u32 = (1 << 24) - 1;

/// What a dynptr is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Memory of the program.
    Local,
    /// A record of a ring buffer.
    Record,
    /// The packet; the place counts from its start, wherever that is.
    Packet,
}

#[derive(Clone, Copy, Debug)]
struct Dynptr {
    kind: Kind,
    /// The address of the first byte, or its offset in the packet.
    place: u64,
    len: u32,
    read_only: bool,
    /// The address of the whole record.
    record: u64,
}

/// The dynptrs of a run by the address where they stand, each with its number.
#[derive(Default)]
struct Entries {
    last: u64,
    at: HashMap<u64, (u64, Dynptr)>,
}

/// Marks the second word, so that a stray number is no dynptr.
const MARK: u64 = 0x6479_6e70_7472 << 16;

/// Makes the dynptr at an address of the program, which is on its stack.
fn set(call: &mut Call<'_, '_>, name: &str, address: u64, dynptr: Option<Dynptr>) -> Result<(), Fault> {
    if region(address) != STACK_REGION || !address.is_multiple_of(8) {
        return Err(call.fault(name, format!("{address:#x} is no place on the stack for a dynptr")));
    }
    let entries = call.state::<Entries>();
    let number = match dynptr {
        Some(dynptr) => {
            entries.last += 1;
            entries.at.insert(address, (entries.last, dynptr));
            entries.last
        }
        None => {
            entries.at.remove(&address);
            0
        }
    };
    call.store(address, 8, number)?;
    call.store(address.wrapping_add(8), 8, MARK ^ number)
}

/// The dynptr that an argument points to; `None` for a null one.
fn get(call: &mut Call<'_, '_>, argument: usize, name: &str) -> Result<Option<Dynptr>, Fault> {
    let address = call.argument(argument);
    let number = call.load(address, 8)?;
    if call.load(address.wrapping_add(8), 8)? == MARK ^ number {
        if number == 0 {
            return Ok(None);
        }
        if let Some((known, dynptr)) = call.state::<Entries>().at.get(&address)
            && *known == number
        {
            return Ok(Some(*dynptr));
        }
    }
    Err(call.fault(name, format!("there is no dynptr at {address:#x}")))
}

/// Makes a dynptr of bytes that the program only reads.
pub(super) fn create_read_only(call: &mut Call<'_, '_>, at: u64, data: u64, len: u32) -> Result<(), Fault> {
    let dynptr = Dynptr { kind: Kind::Local, place: data, len, read_only: true, record: 0 };
    set(call, "bpf_dynptr", at, Some(dynptr))
}

/// Ends the dynptr at an address.
pub(super) fn forget(call: &mut Call<'_, '_>, at: u64) {
    call.state::<Entries>().at.remove(&at);
}

impl Dynptr {
    /// Whether a run of bytes is inside.
    fn holds(&self, offset: u32, len: u64) -> bool {
        u64::from(offset) + len <= self.len.into()
    }

    /// The address of a byte.
    fn address(&self, call: &mut Call<'_, '_>, offset: u32) -> u64 {
        let start = match self.kind {
            Kind::Local | Kind::Record => 0,
            Kind::Packet => match call.context_as::<PacketContext>() {
                Some(context) => PACKET + context.buffer.data as u64,
                None => 0,
            },
        };
        start.wrapping_add(self.place).wrapping_add(offset.into())
    }

    fn read(&self, call: &mut Call<'_, '_>, offset: u32, len: u64) -> Result<Vec<u8>, Fault> {
        let address = self.address(call, offset);
        call.read_vec(address, len)
    }

    fn write(&self, call: &mut Call<'_, '_>, offset: u32, bytes: &[u8]) -> Result<(), Fault> {
        if self.kind == Kind::Packet
            && let Some(context) = call.context_as::<PacketContext>()
        {
            context.buffer.set(self.place + u64::from(offset), bytes);
            return Ok(());
        }
        let address = self.address(call, offset);
        call.write(address, bytes)
    }
}

fn dynptr_from_mem(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    const NAME: &str = "bpf_dynptr_from_mem";
    let [data, len, flags, to, _] = call.arguments();
    let len = len as u32;
    let error = if len > MAX_SIZE {
        E2BIG
    } else if flags != 0 {
        EINVAL
    } else {
        0
    };
    if error == 0 {
        call.memory(data, len.into(), crate::fault::Access::Write)?;
    }
    let made = Dynptr { kind: Kind::Local, place: data, len, read_only: false, record: 0 };
    set(call, NAME, to, (error == 0).then_some(made))?;
    Ok(error)
}

fn dynptr_read(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let [to, len, _, offset, flags] = call.arguments();
    let (len, offset) = (len as u32, offset as u32);
    let target = call.memory(to, len.into(), crate::fault::Access::Write)?;
    let dynptr = get(call, 2, "bpf_dynptr_read")?.filter(|_| flags == 0);
    let Some(dynptr) = dynptr else { return Ok(EINVAL) };
    if !dynptr.holds(offset, len.into()) {
        return Ok(E2BIG);
    }
    let bytes = dynptr.read(call, offset, len.into())?;
    target.write(&bytes);
    Ok(0)
}

fn dynptr_write(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let [_, offset, from, len, flags] = call.arguments();
    let (len, offset) = (len as u32, offset as u32);
    let bytes = call.read_vec(from, len.into())?;
    let dynptr = get(call, 0, "bpf_dynptr_write")?.filter(|dynptr| !dynptr.read_only);
    let Some(dynptr) = dynptr else { return Ok(EINVAL) };
    // Those of packets take the flags of `bpf_skb_store_bytes`.
    let allowed = if dynptr.kind == Kind::Packet { 3 } else { 0 };
    if flags & !allowed != 0 {
        return Ok(EINVAL);
    }
    if !dynptr.holds(offset, len.into()) {
        return Ok(E2BIG);
    }
    dynptr.write(call, offset, &bytes)?;
    Ok(0)
}

fn dynptr_data(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let [_, offset, len, ..] = call.arguments();
    let offset = offset as u32;
    let dynptr = get(call, 0, "bpf_dynptr_data")?;
    let good = dynptr.filter(|it| !it.read_only && it.kind != Kind::Packet && it.holds(offset, u64::from(len as u32)));
    Ok(good.map_or(0, |dynptr| dynptr.address(call, offset)))
}

fn ringbuf_reserve_dynptr(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    const NAME: &str = "bpf_ringbuf_reserve_dynptr";
    let map = map(call, 0)?;
    let [_, len, flags, to, _] = call.arguments();
    let len = len as u32;
    let error = match flags {
        _ if map.ring().is_none() => return Err(call.fault(NAME, format!("map \"{}\" is no ring buffer", map.name()))),
        0 if len > MAX_SIZE => E2BIG,
        0 => 0,
        _ => EINVAL,
    };
    let record = if error == 0 { events::reserve(call, &map, len.into()) } else { None };
    let Some(record) = record else {
        set(call, NAME, to, None)?;
        return Ok(if error == 0 { EINVAL } else { error });
    };
    let dynptr = Dynptr { kind: Kind::Record, place: record, len, read_only: false, record };
    set(call, NAME, to, Some(dynptr))?;
    Ok(0)
}

/// Hands the record of a dynptr to the host or gives it up; null ones have none.
fn end_record(call: &mut Call<'_, '_>, name: &str, discard: bool) -> Result<u64, Fault> {
    let [address, flags, ..] = call.arguments();
    let Some(dynptr) = get(call, 0, name)? else { return Ok(0) };
    if dynptr.kind != Kind::Record || !events::end(call, dynptr.record, flags, discard) {
        return Err(call.fault(name, format!("the dynptr at {address:#x} is of no reserved record")));
    }
    // Its clones end with it.
    let of_record = |entry: &Dynptr| entry.kind == Kind::Record && entry.record == dynptr.record;
    call.state::<Entries>().at.retain(|_, (_, entry)| !of_record(entry));
    set(call, name, address, None)?;
    Ok(0)
}

fn from_packet(call: &mut Call<'_, '_>, name: &str) -> Result<u64, Fault> {
    let [_, flags, to, ..] = call.arguments();
    let context = super::packet(call, name)?;
    let read_only = !crate::context::Context::packet(context).is_some_and(|packet| packet.writable);
    let len = context.buffer.len() as u32;
    let dynptr = Dynptr { kind: Kind::Packet, place: 0, len, read_only, record: 0 };
    set(call, name, to, (flags == 0).then_some(dynptr))?;
    Ok(if flags == 0 { 0 } else { EINVAL })
}

/// A pointer to bytes of a dynptr. All memory is in one piece here, so the buffer for others is not needed.
fn slice(call: &mut Call<'_, '_>, write: bool) -> Result<u64, Fault> {
    let name = if write { "bpf_dynptr_slice_rdwr" } else { "bpf_dynptr_slice" };
    let [_, offset, _, len, _] = call.arguments();
    let offset = offset as u32;
    let dynptr = get(call, 0, name)?.filter(|dynptr| !(write && dynptr.read_only));
    let good = dynptr.filter(|dynptr| dynptr.holds(offset, u64::from(len as u32)));
    Ok(good.map_or(0, |dynptr| dynptr.address(call, offset)))
}

fn dynptr_adjust(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    const NAME: &str = "bpf_dynptr_adjust";
    let [address, start, end, ..] = call.arguments();
    let (start, end) = (start as u32, end as u32);
    let Some(mut dynptr) = get(call, 0, NAME)?.filter(|_| start <= end) else { return Ok(EINVAL) };
    if end > dynptr.len {
        return Ok(ERANGE);
    }
    dynptr.place = dynptr.place.wrapping_add(start.into());
    dynptr.len = end - start;
    set(call, NAME, address, Some(dynptr))?;
    Ok(0)
}

fn dynptr_clone(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    const NAME: &str = "bpf_dynptr_clone";
    let to = call.argument(1);
    let dynptr = get(call, 0, NAME)?;
    set(call, NAME, to, dynptr)?;
    Ok(if dynptr.is_some() { 0 } else { EINVAL })
}
