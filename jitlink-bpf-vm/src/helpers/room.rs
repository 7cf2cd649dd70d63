//! Making socket buffers longer and shorter, and changing what they hold.

use super::errno::{EALREADY, EFAULT, EINVAL, ENOMEM, ENOTSUPP};
use super::skb::{IPV4, IPV6};
use super::{Host, Table, packet};
use crate::call::Call;
use crate::contexts::PacketContext;
use crate::fault::Fault;

pub(super) static HELPERS: Table = &[
    ("skb_change_head", skb_change_head),
    ("skb_change_tail", skb_change_tail),
    ("skb_change_proto", skb_change_proto),
    ("skb_adjust_room", skb_adjust_room),
];

/// The longest packet that the kernel makes (`SKB_MAX_ALLOC` with pages of 4096 bytes).
pub(super) const MAX_LEN: usize = 16384 - 320;

/// Tells program and machine of new bounds.
fn done(call: &mut Call<'_, '_>, name: &str, made: bool) -> Result<u64, Fault> {
    if !made {
        return Ok(ENOMEM);
    }
    packet(call, name)?.publish();
    call.packet_changed();
    Ok(0)
}

/// Adds zeros before the packet, which become its link header.
fn skb_change_head(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    const NAME: &str = "bpf_skb_change_head";
    let [_, count, flags, ..] = call.arguments();
    let count = count as u32 as usize;
    let context = packet(call, NAME)?;
    if flags != 0 || context.buffer.len() + count > MAX_LEN {
        return Ok(EINVAL);
    }
    let made = context.buffer.insert(0, count).is_ok();
    if made {
        context.link_len += count;
    }
    done(call, NAME, made)
}

fn skb_change_tail(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    const NAME: &str = "bpf_skb_change_tail";
    let [_, len, flags, ..] = call.arguments();
    let len = len as u32 as usize;
    let context = packet(call, NAME)?;
    if flags != 0 || len > MAX_LEN || len < context.link_len {
        return Ok(EINVAL);
    }
    let made = context.buffer.resize(len).is_ok();
    done(call, NAME, made)
}

/// From IPv4 to IPv6 and back: only the room for the header and the protocol change.
fn skb_change_proto(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    const NAME: &str = "bpf_skb_change_proto";
    let [_, protocol, flags, ..] = call.arguments();
    let mut bytes = [0; 2];
    call.endian().write(&mut bytes, protocol & 0xffff);
    let wanted = u16::from_be_bytes(bytes);
    let context = packet(call, NAME)?;
    if flags != 0 {
        return Ok(EINVAL);
    }
    let place = context.link_len;
    let made = match (context.protocol(), wanted) {
        (IPV4, IPV6) => context.buffer.len() + 20 <= MAX_LEN && context.buffer.insert(place, 20).is_ok(),
        (IPV6, IPV4) if context.buffer.len() >= place + 20 => {
            context.buffer.remove(place, 20);
            true
        }
        (IPV6, IPV4) => false,
        _ => return Ok(ENOTSUPP),
    };
    if made {
        context.set_protocol(wanted);
        context.put("hash", 0);
    }
    done(call, NAME, made)
}

// Flags of `bpf_skb_adjust_room` (`BPF_F_ADJ_ROOM_*`).
const FIXED_GSO: u64 = 1;
const ENCAP_IPV4: u64 = 1 << 1;
const ENCAP_IPV6: u64 = 1 << 2;
const GRE: u64 = 1 << 3;
const UDP: u64 = 1 << 4;
const NO_CSUM_RESET: u64 = 1 << 5;
const ENCAP_ETH: u64 = 1 << 6;
const DECAP_IPV4: u64 = 1 << 7;
const DECAP_IPV6: u64 = 1 << 8;
const DECAP: u64 = DECAP_IPV4 | DECAP_IPV6;
const ENCAP_L2: u64 = 0xff << 56;
const KNOWN: u64 = 0x1ff | ENCAP_L2;

fn skb_adjust_room(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    const NAME: &str = "bpf_skb_adjust_room";
    let [_, difference, mode, flags, _] = call.arguments();
    let difference = difference as i32;
    let context = packet(call, NAME)?;
    let made = match adjust(context, difference, mode as u32, flags) {
        Ok(made) => made,
        Err(error) => return Ok(error),
    };
    done(call, NAME, made)
}

fn adjust(context: &mut PacketContext, difference: i32, mode: u32, flags: u64) -> Result<bool, u64> {
    let count = difference.unsigned_abs() as usize;
    if flags & !KNOWN != 0 {
        return Err(EINVAL);
    }
    if count > 0xfff {
        return Err(EFAULT);
    }
    let header = match context.protocol() {
        IPV4 => 20,
        IPV6 => 40,
        _ => return Err(ENOTSUPP),
    };
    let place = match mode {
        // Behind the network header, or before it.
        0 => context.link_len + header,
        1 => context.link_len,
        _ => return Err(ENOTSUPP),
    };
    let least = match flags & DECAP {
        0 => header,
        _ if difference >= 0 => return Err(EINVAL),
        DECAP_IPV4 => 20,
        DECAP_IPV6 => 40,
        _ => return Err(EINVAL),
    };
    let len = context.buffer.len();
    let payload = len.saturating_sub(context.link_len);
    let wrong = match difference < 0 {
        true => count >= payload || payload - count < least || place + count > len,
        false => len + count > MAX_LEN || place > len,
    };
    if wrong {
        return Err(ENOTSUPP);
    }
    if difference < 0 { shrink(context, place, count, flags) } else { grow(context, place, count, flags) }
}

fn shrink(context: &mut PacketContext, place: usize, count: usize, flags: u64) -> Result<bool, u64> {
    if flags & !(FIXED_GSO | NO_CSUM_RESET | DECAP) != 0 {
        return Err(EINVAL);
    }
    context.buffer.remove(place, count);
    match flags & DECAP {
        DECAP_IPV4 => context.set_protocol(IPV4),
        DECAP_IPV6 => context.set_protocol(IPV6),
        _ => {}
    }
    context.put("hash", 0);
    Ok(true)
}

fn grow(context: &mut PacketContext, place: usize, count: usize, flags: u64) -> Result<bool, u64> {
    let encap = flags & (ENCAP_IPV4 | ENCAP_IPV6);
    let has = |wanted| flags & wanted == wanted;
    let short = has(ENCAP_ETH) && flags >> 56 < 14;
    // Without a new network header, the kernel does not look at what is inside of it.
    if encap != 0 && (has(ENCAP_IPV4 | ENCAP_IPV6) || has(GRE | UDP) || short) {
        return Err(EINVAL);
    }
    if encap != 0 && context.encapsulated {
        return Err(EALREADY);
    }
    if context.buffer.insert(place, count).is_err() {
        return Ok(false);
    }
    context.encapsulated |= encap != 0;
    match encap {
        ENCAP_IPV4 => context.set_protocol(IPV4),
        ENCAP_IPV6 => context.set_protocol(IPV6),
        _ => {}
    }
    context.put("hash", 0);
    Ok(true)
}
