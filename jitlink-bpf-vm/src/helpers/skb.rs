//! Bytes and fields of socket buffers.

use super::errno::{EFAULT, EINVAL, ENODEV, ENOMEM, EOPNOTSUPP};
use super::{Host, Table, clear, packet};
use crate::call::Call;
use crate::fault::{Access, Fault};

pub(super) static HELPERS: Table = &[
    ("skb_load_bytes", skb_load_bytes),
    ("skb_load_bytes_relative", skb_load_bytes_relative),
    ("skb_store_bytes", skb_store_bytes),
    ("skb_pull_data", skb_pull_data),
    ("skb_change_type", skb_change_type),
    ("skb_ecn_set_ce", skb_ecn_set_ce),
    ("skb_set_tstamp", skb_set_tstamp),
    ("get_hash_recalc", get_hash_recalc),
    ("set_hash", set_hash),
    ("set_hash_invalid", set_hash_invalid),
    ("check_mtu", check_mtu),
    ("skb_get_tunnel_key", |call, _| no_tunnel(call, "bpf_skb_get_tunnel_key", EINVAL)),
    ("skb_get_tunnel_opt", |call, _| no_tunnel(call, "bpf_skb_get_tunnel_opt", super::errno::ENOENT)),
];

/// IPv4 (`ETH_P_IP`).
pub(super) const IPV4: u16 = 0x0800;
/// IPv6 (`ETH_P_IPV6`).
pub(super) const IPV6: u16 = 0x86dd;
/// No packet is longer, and no offset in one larger (`INT_MAX`).
const MAX_OFFSET: u32 = i32::MAX as u32;

fn skb_load_bytes(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let [_, offset, to, len, _] = call.arguments();
    let (offset, len) = (offset as u32, u64::from(len as u32));
    let target = call.memory(to, len, Access::Write)?;
    let context = packet(call, "bpf_skb_load_bytes")?;
    match context.buffer.get(offset.into(), len).filter(|_| offset <= MAX_OFFSET) {
        Some(bytes) => {
            target.write(&bytes);
            Ok(0)
        }
        None => clear(call, to, len, EFAULT),
    }
}

fn skb_load_bytes_relative(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let [_, offset, to, len, from] = call.arguments();
    let (offset, len) = (offset as u32, u64::from(len as u32));
    let target = call.memory(to, len, Access::Write)?;
    let context = packet(call, "bpf_skb_load_bytes_relative")?;
    let start = match from as u32 {
        // Only packets with a link header have one to count from.
        0 if context.link_len > 0 => Some(0),
        1 => Some(context.link_len as u64),
        _ => None,
    };
    let place = start.filter(|_| offset <= 0xffff).map(|start| start + u64::from(offset));
    match place.and_then(|place| context.buffer.get(place, len)) {
        Some(bytes) => {
            target.write(&bytes);
            Ok(0)
        }
        None => clear(call, to, len, EFAULT),
    }
}

fn skb_store_bytes(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    /// Repair the checksum of the packet (`BPF_F_RECOMPUTE_CSUM`), which is not kept here.
    const RECOMPUTE: u64 = 1;
    /// Forget the hash (`BPF_F_INVALIDATE_HASH`).
    const FORGET_HASH: u64 = 2;
    let [_, offset, from, len, flags] = call.arguments();
    let bytes = call.read_vec(from, u64::from(len as u32))?;
    let context = packet(call, "bpf_skb_store_bytes")?;
    if flags & !(RECOMPUTE | FORGET_HASH) != 0 {
        return Ok(EINVAL);
    }
    let offset = offset as u32;
    if offset > MAX_OFFSET || !context.buffer.set(offset.into(), &bytes) {
        return Ok(EFAULT);
    }
    if flags & FORGET_HASH != 0 {
        context.put("hash", 0);
    }
    Ok(0)
}

/// All of a packet's bytes are linear here.
fn skb_pull_data(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let len = call.argument(1) as u32;
    let context = packet(call, "bpf_skb_pull_data")?;
    Ok(if len as usize <= context.buffer.len() { 0 } else { ENOMEM })
}

fn skb_change_type(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    /// The last type that a packet can be given (`PACKET_OTHERHOST`).
    const OTHER_HOST: u64 = 3;
    let kind = u64::from(call.argument(1) as u32);
    let context = packet(call, "bpf_skb_change_type")?;
    if context.field("pkt_type") > OTHER_HOST || kind > OTHER_HOST {
        return Ok(EINVAL);
    }
    context.put("pkt_type", kind);
    Ok(0)
}

/// Marks congestion (RFC 3168): whether the packet says so afterwards.
fn skb_ecn_set_ce(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let context = packet(call, "bpf_skb_ecn_set_ce")?;
    let (start, buffer) = (context.link_len as u64, &context.buffer);
    match context.protocol() {
        IPV4 => {
            let Some(header) = buffer.get(start, 20) else { return Ok(0) };
            let ecn = header[1] & 3;
            if ecn == 0 || ecn == 3 {
                return Ok(u64::from(ecn == 3));
            }
            // The two bits become 3: the sum of the header grows by what they lacked.
            let old = !u16::from_be_bytes([header[10], header[11]]);
            let sum = super::checksum::fold(super::checksum::add(old.into(), u32::from(3 - ecn)));
            buffer.set(start + 1, &[header[1] | 3]);
            buffer.set(start + 10, &(!sum).to_be_bytes());
            Ok(1)
        }
        IPV6 => {
            let Some(header) = buffer.get(start, 40) else { return Ok(0) };
            if header[1] >> 4 & 3 == 0 {
                return Ok(0);
            }
            buffer.set(start + 1, &[header[1] | 0x30]);
            Ok(1)
        }
        _ => Ok(0),
    }
}

fn skb_set_tstamp(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let [_, time, kind, ..] = call.arguments();
    let context = packet(call, "bpf_skb_set_tstamp")?;
    if !matches!(context.protocol(), IPV4 | IPV6) {
        return Ok(EOPNOTSUPP);
    }
    match kind as u32 {
        // By the real-time clock, zero is no time.
        0 => {}
        1 | 2 if time != 0 => {}
        _ => return Ok(EINVAL),
    }
    context.put("tstamp", time);
    context.put("tstamp_type", u64::from(kind as u32));
    Ok(0)
}

fn get_hash_recalc(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let context = packet(call, "bpf_get_hash_recalc")?;
    if context.field("hash") == 0 {
        let hash = flow_hash(&context.buffer.to_vec(), context.link_len, context.protocol());
        context.put("hash", hash.into());
    }
    Ok(context.field("hash"))
}

/// A number that depends on the packet's addresses, protocol and ports; never zero. The kernel's own is different each
/// time it starts.
fn flow_hash(bytes: &[u8], start: usize, protocol: u16) -> u32 {
    let header = bytes.get(start..).unwrap_or_default();
    let (addresses, next, transport) = match (protocol, header.first()) {
        (IPV4, Some(first)) => (12..20, 9, usize::from(first & 15) * 4),
        (IPV6, Some(_)) => (8..40, 6, 40),
        _ => (0..0, 0, 0),
    };
    let mut flow = header.get(addresses).unwrap_or_default().to_vec();
    let kind = header.get(next).copied().unwrap_or(0);
    flow.push(kind);
    if matches!(kind, 6 | 17) {
        flow.extend(header.get(transport..transport + 4).unwrap_or_default());
    }
    // FNV-1a.
    let hash = flow.iter().fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    hash.max(1)
}

fn set_hash(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let hash = u64::from(call.argument(1) as u32);
    packet(call, "bpf_set_hash")?.put("hash", hash);
    Ok(0)
}

fn set_hash_invalid(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    packet(call, "bpf_set_hash_invalid")?.put("hash", 0);
    Ok(0)
}

/// Whether the packet, longer by so much, would fit an interface: 0 or `BPF_MTU_CHK_RET_FRAG_NEEDED`.
fn check_mtu(call: &mut Call<'_, '_>, host: &Host) -> Result<u64, Fault> {
    /// The length of the link header of interfaces.
    const LINK: i64 = 14;
    let [_, ifindex, len, difference, flags] = call.arguments();
    let given = call.load(len, 4)?;
    let context = packet(call, "bpf_check_mtu")?;
    let own = context.buffer.len() as i64;
    if flags != 0 {
        return Ok(EINVAL);
    }
    if ifindex as u32 > MAX_OFFSET {
        return Ok(ENODEV);
    }
    let base = if given == 0 { own } else { given as i64 + LINK };
    let fits = base + i64::from(difference as i32) <= i64::from(host.mtu) + LINK;
    call.store(len, 4, host.mtu.into())?;
    Ok(u64::from(!fits))
}

/// Packets come through no tunnels here.
fn no_tunnel(call: &mut Call<'_, '_>, name: &str, error: u64) -> Result<u64, Fault> {
    let [_, to, len, ..] = call.arguments();
    packet(call, name)?;
    clear(call, to, u64::from(len as u32), error)
}
