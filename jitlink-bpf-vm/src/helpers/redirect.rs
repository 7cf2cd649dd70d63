//! Sending packets elsewhere. Nothing is sent here: the host finds in the context what was asked for.

use jitlink_arch_bpf::catalog::programs::ProgramType;

use super::errno::{EAFNOSUPPORT, EINVAL, ENOMEM};
use super::{FibLookup, Host, Table, packet};
use crate::call::Call;
use crate::contexts::{Action, PacketContext};
use crate::fault::Fault;

pub(super) static HELPERS: Table = &[
    ("redirect", redirect),
    ("redirect_peer", redirect_peer),
    ("redirect_neigh", redirect_neigh),
    ("redirect_map", redirect_map),
    ("clone_redirect", clone_redirect),
    ("fib_lookup", fib_lookup),
];

/// Take it as received there (`BPF_F_INGRESS`).
const INGRESS: u64 = 1;
/// How many copies of its packet a program can send: the host keeps them until it ends.
const MOST: usize = 256;
/// Verdicts of traffic control: `TC_ACT_SHOT`, `TC_ACT_REDIRECT`.
const SHOT: u64 = 2;
const REDIRECT: u64 = 7;
/// Verdicts of XDP: `XDP_ABORTED`, `XDP_REDIRECT`.
const XDP_ABORTED: u64 = 0;
const XDP_REDIRECT: u64 = 4;

/// The packet of a call whose arguments do not name it.
fn current<'a>(call: &'a mut Call<'_, '_>, name: &str) -> Result<&'a mut PacketContext, Fault> {
    super::packet_at(call, name, crate::address::CONTEXT)
}

/// Keeps a redirection, in place of one that was asked for before.
fn keep(context: &mut PacketContext, action: Action) {
    context.actions.retain(|action| matches!(action, Action::Clone { .. }));
    context.actions.push(action);
}

fn redirect(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let [ifindex, flags, ..] = call.arguments();
    let context = current(call, "bpf_redirect")?;
    let xdp = context.program() == ProgramType::Xdp;
    let allowed = if xdp { 0 } else { INGRESS };
    if flags & !allowed != 0 {
        return Ok(if xdp { XDP_ABORTED } else { SHOT });
    }
    keep(context, Action::Redirect { ifindex: ifindex as u32, ingress: flags & INGRESS != 0 });
    Ok(if xdp { XDP_REDIRECT } else { REDIRECT })
}

fn redirect_peer(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let [ifindex, flags, ..] = call.arguments();
    let context = current(call, "bpf_redirect_peer")?;
    if flags != 0 {
        return Ok(SHOT);
    }
    keep(context, Action::RedirectPeer { ifindex: ifindex as u32 });
    Ok(REDIRECT)
}

fn redirect_neigh(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    /// The size of `struct bpf_redir_neigh`.
    const SIZE: u32 = 20;
    let [ifindex, params, len, flags, _] = call.arguments();
    let len = len as u32;
    if (len != 0 && len < SIZE) || flags != 0 {
        return Ok(SHOT);
    }
    let next_hop = if len == 0 { Vec::new() } else { call.read_vec(params, SIZE.into())? };
    keep(current(call, "bpf_redirect_neigh")?, Action::RedirectNeighbour { ifindex: ifindex as u32, next_hop });
    Ok(REDIRECT)
}

fn redirect_map(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    /// The verdict if there is no such element.
    const VERDICT: u64 = 3;
    /// To all elements (`BPF_F_BROADCAST`), but not where it came from (`BPF_F_EXCLUDE_INGRESS`).
    const BROADCAST: u64 = 8;
    const EXCLUDE: u64 = 16;
    let [map, key, flags, ..] = call.arguments();
    let map = call.map(map)?.clone();
    let allowed = match map.kind().name() {
        "devmap" | "devmap_hash" => VERDICT | BROADCAST | EXCLUDE,
        "cpumap" | "xskmap" => VERDICT,
        other => return Err(call.fault("bpf_redirect_map", format!("a map of type {other} leads nowhere"))),
    };
    if flags & !allowed != 0 {
        return Ok(XDP_ABORTED);
    }
    let key = key as u32;
    if flags & BROADCAST == 0 && map.target(key).is_none() {
        return Ok(flags & VERDICT);
    }
    let action = Action::RedirectMap { map: map.name().to_owned(), key, flags };
    keep(current(call, "bpf_redirect_map")?, action);
    Ok(XDP_REDIRECT)
}

fn clone_redirect(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let [_, ifindex, flags, ..] = call.arguments();
    let context = packet(call, "bpf_clone_redirect")?;
    let ifindex = ifindex as u32;
    if flags & !INGRESS != 0 || ifindex == 0 {
        return Ok(EINVAL);
    }
    if context.actions.len() >= MOST {
        return Ok(ENOMEM);
    }
    let bytes = context.buffer.to_vec();
    context.actions.push(Action::Clone { ifindex, ingress: flags & INGRESS != 0, bytes });
    Ok(0)
}

fn fib_lookup(call: &mut Call<'_, '_>, host: &Host) -> Result<u64, Fault> {
    /// All flags (`BPF_FIB_LOOKUP_*`).
    const FLAGS: u32 = 0x3f;
    let [_, address, len, flags, _] = call.arguments();
    let mut params = [0; 64];
    if (len as u32 as usize) < params.len() {
        return Ok(EINVAL);
    }
    packet(call, "bpf_fib_lookup")?;
    let flags = flags as u32;
    if flags & !FLAGS != 0 {
        return Ok(EINVAL);
    }
    call.read(address, &mut params)?;
    if !matches!(params[0], 2 | 10) {
        return Ok(EAFNOSUPPORT);
    }
    let mut lookup = FibLookup { params, flags };
    let result = host.fib_lookup(&mut lookup);
    call.write(address, &lookup.params)?;
    Ok(result)
}
