//! Sockets: found by the host, seen by the program as `struct bpf_sock` in its context.

use super::{Host, SocketQuery, Table, packet};
use crate::call::Call;
use crate::contexts::{PacketContext, Socket};
use crate::fault::Fault;

pub(super) static HELPERS: Table = &[
    ("sk_lookup_tcp", |call, host| lookup(call, host, "bpf_sk_lookup_tcp", true)),
    ("skc_lookup_tcp", |call, host| lookup(call, host, "bpf_skc_lookup_tcp", true)),
    ("sk_lookup_udp", |call, host| lookup(call, host, "bpf_sk_lookup_udp", false)),
    ("sk_release", sk_release),
    ("sk_fullsock", |call, _| keep_if(call, "bpf_sk_fullsock", |_| true)),
    ("get_listener_sock", |call, _| {
        keep_if(call, "bpf_get_listener_sock", |socket| socket.is_tcp() && socket.listens())
    }),
    // The program would see the protocol's own numbers, which the host does not give.
    ("tcp_sock", |call, _| keep_if(call, "bpf_tcp_sock", |_| false)),
    ("get_socket_cookie", get_socket_cookie),
    ("get_socket_uid", get_socket_uid),
    ("get_netns_cookie", get_netns_cookie),
];

/// The user of packets without a socket (`overflowuid`).
const NOBODY: u64 = 65534;
/// The cookie of the network namespace that the system starts with.
const FIRST_NETNS: u64 = 1;

fn lookup(call: &mut Call<'_, '_>, host: &Host, name: &str, tcp: bool) -> Result<u64, Fault> {
    let [_, tuple, len, netns, flags] = call.arguments();
    // Two addresses, then two ports.
    let wide = match len as u32 {
        12 => 4,
        36 => 16,
        _ => return Ok(0),
    };
    let bytes = call.read_vec(tuple, u64::from(len as u32))?;
    packet(call, name)?;
    // A namespace is a number of 31 bits, or all ones for the program's own.
    let netns = netns as i64;
    if flags != 0 || !(netns == -1 || netns == i64::from(u32::MAX) || (0..=i64::from(i32::MAX)).contains(&netns)) {
        return Ok(0);
    }
    let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let query = SocketQuery {
        tcp,
        source: bytes[..wide].to_vec(),
        destination: bytes[wide..2 * wide].to_vec(),
        source_port: port(2 * wide),
        destination_port: port(2 * wide + 2),
        netns: netns as i32,
    };
    let Some(socket) = host.find_socket(&query) else { return Ok(0) };
    Ok(packet(call, name)?.add_socket(socket).unwrap_or(0))
}

fn sk_release(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let address = call.argument(0);
    let released = call.context_as::<PacketContext>().is_some_and(|context| context.remove_socket(address));
    match released {
        true => Ok(0),
        false => Err(call.fault("bpf_sk_release", format!("{address:#x} is no socket that was looked up"))),
    }
}

/// Gives the socket back if it is one of those.
fn keep_if(call: &mut Call<'_, '_>, name: &str, is_one: fn(&Socket) -> bool) -> Result<u64, Fault> {
    let address = call.argument(0);
    let missing = call.fault(name, format!("there is no socket at {address:#x}"));
    let context = call.context_as::<PacketContext>();
    let socket = context.as_ref().and_then(|context| context.socket(address)).ok_or(missing)?;
    Ok(if is_one(socket) { address } else { 0 })
}

fn get_socket_cookie(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    Ok(packet(call, "bpf_get_socket_cookie")?.own_socket().map_or(0, |socket| socket.cookie))
}

fn get_socket_uid(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    Ok(packet(call, "bpf_get_socket_uid")?.own_socket().map_or(NOBODY, |socket| socket.uid.into()))
}

fn get_netns_cookie(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    if call.argument(0) == 0 {
        return Ok(FIRST_NETNS);
    }
    let context = packet(call, "bpf_get_netns_cookie")?;
    Ok(context.own_socket().map_or(FIRST_NETNS, |socket| socket.netns_cookie))
}
