//! The bounds and bytes of XDP packets.

use super::errno::{EACCES, EFAULT, EINVAL};
use super::{Host, Table, packet};
use crate::call::Call;
use crate::contexts::{Buffer, PacketContext};
use crate::fault::{Access, Fault};

pub(super) static HELPERS: Table = &[
    ("xdp_adjust_head", xdp_adjust_head),
    ("xdp_adjust_meta", xdp_adjust_meta),
    ("xdp_adjust_tail", xdp_adjust_tail),
    ("xdp_get_buff_len", |call, _| packet(call, "bpf_xdp_get_buff_len").map(|context| context.buffer.len() as u64)),
    ("xdp_load_bytes", xdp_load_bytes),
    ("xdp_store_bytes", xdp_store_bytes),
];

/// What the kernel keeps at the start of the headroom (`struct xdp_frame`).
const FRAME: i64 = 40;
/// No packet is shorter than a link header.
const LINK: i64 = 14;
/// The longest metadata.
const MAX_META: i64 = 255;

/// Changes the packet's bounds if they can be changed so, and tells program and machine.
fn adjust(call: &mut Call<'_, '_>, name: &str, change: fn(&mut Buffer, i64) -> u64) -> Result<u64, Fault> {
    let offset = i64::from(call.argument(1) as i32);
    let context: &mut PacketContext = packet(call, name)?;
    let result = change(&mut context.buffer, offset);
    context.publish();
    call.packet_changed();
    Ok(result)
}

fn xdp_adjust_head(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    adjust(call, "bpf_xdp_adjust_head", |buffer, offset| {
        let (data, meta) = (buffer.data as i64 + offset, buffer.data - buffer.meta);
        if data < FRAME + meta as i64 || data > buffer.end as i64 - LINK {
            return EINVAL;
        }
        let bytes = buffer.memory.to_vec(buffer.meta, meta);
        buffer.data = data as usize;
        buffer.meta = buffer.data - meta;
        buffer.memory.write(buffer.meta, &bytes);
        0
    })
}

fn xdp_adjust_meta(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    adjust(call, "bpf_xdp_adjust_meta", |buffer, offset| {
        let meta = buffer.meta as i64 + offset;
        let len = buffer.data as i64 - meta;
        if meta < FRAME || len < 0 {
            return EINVAL;
        }
        if len % 4 != 0 || len > MAX_META {
            return EACCES;
        }
        buffer.meta = meta as usize;
        0
    })
}

fn xdp_adjust_tail(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    adjust(call, "bpf_xdp_adjust_tail", |buffer, offset| {
        let end = buffer.end as i64 + offset;
        if end > buffer.memory.len() as i64 || end < buffer.data as i64 + LINK {
            return EINVAL;
        }
        let end = end as usize;
        if end > buffer.end {
            buffer.memory.fill(buffer.end, end - buffer.end, 0);
        }
        buffer.end = end;
        0
    })
}

/// Why bytes of the packet cannot be copied, if so.
fn check(context: &PacketContext, offset: u32, len: u32) -> Option<u64> {
    if offset > 0xffff || len > 0xffff {
        return Some(EFAULT);
    }
    context.buffer.place(offset.into(), len.into()).is_none().then_some(EINVAL)
}

fn xdp_load_bytes(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let [_, offset, to, len, _] = call.arguments();
    let (offset, len) = (offset as u32, len as u32);
    let target = call.memory(to, len.into(), Access::Write)?;
    let context = packet(call, "bpf_xdp_load_bytes")?;
    if let Some(error) = check(context, offset, len) {
        return Ok(error);
    }
    target.write(&context.buffer.get(offset.into(), len.into()).unwrap_or_default());
    Ok(0)
}

fn xdp_store_bytes(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let [_, offset, from, len, _] = call.arguments();
    let (offset, len) = (offset as u32, len as u32);
    let bytes = call.read_vec(from, len.into())?;
    let context = packet(call, "bpf_xdp_store_bytes")?;
    if let Some(error) = check(context, offset, len) {
        return Ok(error);
    }
    context.buffer.set(offset.into(), &bytes);
    Ok(0)
}
