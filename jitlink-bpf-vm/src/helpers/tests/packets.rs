//! Socket buffers: the answers are those of traffic control programs run by Linux 6.18 with the same packet.

use super::*;
use crate::contexts::{Action, Checksum, Socket, Vlan};

const MINUS_1: A = N(u64::MAX);

/// What calls return, and the context afterwards.
fn run_with(bytes: &[u8], calls: &[(&str, &[A])], data: &[u8]) -> (Vec<i64>, Outcome, PacketContext) {
    let mut context = tc(bytes);
    let script = calls.iter().fold(Script::new().data(data), |script, (name, arguments)| script.call(name, arguments));
    let outcome = script.run_on(&mut context);
    (outcome.results.clone(), outcome, context)
}

fn run(bytes: &[u8], calls: &[(&str, &[A])]) -> (Vec<i64>, Vec<u8>, Packet) {
    let (results, _, context) = run_with(bytes, calls, &[]);
    let packet = context.packet();
    (results, packet.bytes.clone(), packet)
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn bytes_are_loaded_and_cleared_on_errors() {
    let calls: &[(&str, &[A])] = &[
        ("skb_load_bytes", &[Context, N(54), Data(0), N(4)]),
        ("skb_load_bytes", &[Context, N(55), Data(8), N(4)]),
        ("skb_load_bytes", &[Context, MINUS_1, Data(8), N(4)]),
        ("skb_load_bytes_relative", &[Context, N(0), Data(16), N(4), N(0)]),
        ("skb_load_bytes_relative", &[Context, N(0), Data(20), N(4), N(1)]),
        ("skb_load_bytes_relative", &[Context, N(0), Data(24), N(4), N(2)]),
        ("skb_load_bytes_relative", &[Context, N(0x10000), Data(28), N(4), N(1)]),
        ("skb_load_bytes_relative", &[Context, N(40), Data(32), N(4), N(1)]),
        ("skb_load_bytes_relative", &[Context, N(41), Data(36), N(4), N(1)]),
    ];
    let (results, outcome, _) = run_with(&udp4(), calls, &[0xee; 64]);
    assert_eq!(results, [0, -14, -14, 0, 0, -14, -14, 0, -14]);
    assert_eq!(outcome.data[..16], hex("0c0d0e0feeeeeeee00000000eeeeeeee"));
    assert_eq!(outcome.data[16..48], hex("010203044500002c00000000000000000c0d0e0f00000000eeeeeeeeeeeeeeee"));
}

#[test]
fn bytes_are_stored_if_the_packet_has_them() {
    let calls: &[(&str, &[A])] = &[
        ("skb_store_bytes", &[Context, N(0), Data(0), N(4), N(0)]),
        ("skb_store_bytes", &[Context, N(55), Data(0), N(4), N(0)]),
        ("skb_store_bytes", &[Context, N(0), Data(0), N(4), N(4)]),
        ("set_hash", &[Context, N(0x1234)]),
        ("get_hash_recalc", &[Context]),
        ("skb_store_bytes", &[Context, N(4), Data(0), N(4), N(3)]),
        ("skb_store_bytes", &[Context, N(-5i64 as u64), Data(0), N(4), N(0)]),
        ("skb_pull_data", &[Context, N(0)]),
        ("skb_pull_data", &[Context, N(58)]),
        ("skb_pull_data", &[Context, N(59)]),
    ];
    let (results, _, context) = run_with(&udp4(), calls, &[0xaa, 0xbb, 0xcc, 0xdd]);
    assert_eq!(results, [0, -14, -22, 0, 0x1234, 0, -14, 0, 0, -12]);
    assert_eq!((context.packet().hash, &context.packet().bytes[..9]), (0, &hex("aabbccddaabbccdd09")[..]));
}

#[test]
fn hashes_are_of_the_flow() {
    let calls: &[(&str, &[A])] = &[
        ("get_hash_recalc", &[Context]),
        ("set_hash", &[Context, N(0x1234)]),
        ("get_hash_recalc", &[Context]),
        ("set_hash_invalid", &[Context]),
        ("get_hash_recalc", &[Context]),
    ];
    let (first, ..) = run(&udp4(), calls);
    assert!(first[0] != 0 && first[0] == first[4] && first[2] == 0x1234);
    let mut other = udp4();
    other[35] += 1;
    assert_ne!(run(&other, calls).0[0], first[0]);
    other = udp4();
    other[57] += 1;
    assert_eq!(run(&other, calls).0[0], first[0]);
    assert_ne!(run(&udp6(), calls).0[0], 0);
}

#[test]
fn lengths_change_at_both_ends() {
    let tail = |len: i64, flags| ("skb_change_tail", [Context, N(len.cast_unsigned()), N(flags)]);
    let table = [(60, 0), (13, -22), (14, 0), (16064, 0), (16065, -22), (33, 0), (-1, -22)];
    for (len, expected) in table {
        let (name, arguments) = tail(len, 0);
        let (results, bytes, _) = run(&udp4(), &[(name, &arguments)]);
        assert_eq!((results[0], bytes.len() as i64), (expected, if expected == 0 { len } else { 58 }), "{len}");
    }
    let (name, arguments) = tail(20, 1);
    assert_eq!(run(&udp4(), &[(name, &arguments)]).0, [-22]);
    let head: &[(&str, &[A])] = &[
        ("skb_change_head", &[Context, N(14), N(0)]),
        ("skb_change_head", &[Context, N(1), N(1)]),
        ("skb_change_head", &[Context, N(16064 - 72), N(0)]),
        ("skb_change_head", &[Context, N(16064), N(0)]),
        ("skb_change_head", &[Context, MINUS_1, N(0)]),
    ];
    let (results, bytes, _) = run(&udp4(), head);
    assert_eq!((results, bytes.len()), (vec![0, -22, 0, -22, -22], 16064));
    let (_, bytes, _) = run(&udp4(), &[("skb_change_head", &[Context, N(4), N(0)])]);
    assert_eq!(bytes, [vec![0; 4], udp4()].concat());
}

#[test]
fn vlan_tags_go_beside_the_bytes_first() {
    // Protocols are in network byte order.
    let customer = N(0x8100u16.to_be().into());
    let service = N(0x88a8u16.to_be().into());
    let push: (&str, &[A]) = ("skb_vlan_push", &[Context, customer, N(0x123)]);
    let push2: (&str, &[A]) = ("skb_vlan_push", &[Context, service, N(0x456)]);
    let pop: (&str, &[A]) = ("skb_vlan_pop", &[Context]);
    let tag = |protocol, tci| Some(Vlan { protocol, tci });
    let (results, bytes, packet) = run(&udp4(), &[push]);
    assert_eq!((results, bytes, packet.vlan), (vec![0], udp4(), tag(0x8100, 0x123)));
    let tagged = [&udp4()[..12], &hex("81000123"), &udp4()[12..]].concat();
    let (_, bytes, packet) = run(&udp4(), &[push, push2]);
    assert_eq!((bytes, packet.vlan, packet.protocol), (tagged.clone(), tag(0x88a8, 0x456), 0x8100));
    let (_, _, packet) = run(&udp4(), &[("skb_vlan_push", &[Context, N(0x3412), N(0x1fff)])]);
    assert_eq!(packet.vlan, tag(0x8100, 0x1fff));
    let (_, bytes, packet) = run(&udp4(), &[push, push2, pop]);
    assert_eq!((bytes, packet.vlan, packet.protocol), (udp4(), tag(0x8100, 0x123), 0x0800));
    let (results, bytes, packet) = run(&udp4(), &[pop]);
    assert_eq!((results, bytes, packet.vlan), (vec![0], udp4(), None));
    let (_, bytes, packet) = run(&tagged, &[pop]);
    assert_eq!((bytes, packet.vlan, packet.protocol), (udp4(), None, 0x0800));
    let twice = [&udp4()[..12], &hex("88a8045681000123"), &udp4()[12..]].concat();
    let (_, bytes, packet) = run(&twice, &[pop]);
    assert_eq!((bytes, packet.vlan, packet.protocol), (udp4(), tag(0x8100, 0x123), 0x0800));
    assert_eq!(run(&twice, &[pop, pop]).2.vlan, None);
    // Tags that are not all there.
    assert_eq!(run(&tagged[..17], &[pop]).0, [-12]);
    let (results, bytes, _) = run(&twice[..20], &[pop, ("skb_load_bytes", &[Context, N(12), Data(0), N(4)])]);
    assert_eq!((results, bytes.len()), (vec![-12, 0], 16));
}

#[test]
fn protocols_change_with_the_room_for_their_header() {
    let to = |protocol: u16, flags| [Context, N(protocol.to_be().into()), N(flags)];
    let (results, bytes, packet) = run(&udp4(), &[("skb_change_proto", &to(0x86dd, 0))]);
    let expected = [&udp4()[..14], &[0; 20], &udp4()[14..]].concat();
    assert_eq!((results, bytes, packet.protocol), (vec![0], expected, 0x86dd));
    let (results, bytes, packet) = run(&udp6(), &[("skb_change_proto", &to(0x0800, 0))]);
    let expected = [&udp6()[..14], &udp6()[34..]].concat();
    assert_eq!((results, bytes, packet.protocol), (vec![0], expected, 0x0800));
    let wrong = [
        ("skb_change_proto", &to(0x0800, 0)[..]),
        ("skb_change_proto", &to(0x86dd, 1)),
        ("skb_change_proto", &to(1, 0)),
    ];
    assert_eq!(run(&udp4(), &wrong).0, [-524, -22, -524]);
}

#[test]
fn room_is_made_and_taken_as_the_kernel_does() {
    let inner = 14 << 56;
    let table: &[(i64, u64, u64, i64)] = &[
        (8, 0, 0, 0),
        (8, 1, 0, 0),
        (-8, 0, 0, 0),
        (-8, 1, 0, 0),
        (8, 2, 0, -524),
        (0x1000, 0, 0, -14),
        (-44, 0, 0, -524),
        (-24, 0, 0, 0),
        (-25, 0, 0, -524),
        (8, 0, 1 << 9, -22),
        (8, 0, 1 << 20, -22),
        (20, 1, 2, 0),
        (20, 1, 6, -22),
        (40, 1, 4, 0),
        (8, 1, 0x18, 0),
        (8, 1, 8, 0),
        (34, 1, 2 | inner, 0),
        (8, 0, inner, 0),
        (8, 1, 0x80, -22),
        (-20, 1, 0x80, 0),
        (-20, 1, 0x100, -524),
        (-20, 1, 0x180, -22),
        (20, 1, 0x42, -22),
        (20, 0, 2, 0),
        (8, 1, 0x20, 0),
        (-8, 1, 2, -22),
        (20, 1, 10, 0),
        (8, 1, 0x40, 0),
        (i64::from(i32::MIN), 0, 0, -14),
    ];
    for (difference, mode, flags, expected) in table {
        let arguments = [Context, N(difference.cast_unsigned()), N(*mode), N(*flags)];
        let (results, bytes, packet) = run(&udp4(), &[("skb_adjust_room", &arguments)]);
        let len = if *expected == 0 { 58 + difference } else { 58 };
        assert_eq!((results[0], bytes.len() as i64), (*expected, len), "{difference} {mode} {flags:#x}");
        assert_eq!(packet.protocol, if *flags == 4 { 0x86dd } else { 0x0800 });
    }
}

#[test]
fn room_is_before_or_behind_the_network_header() {
    let room = |difference: i64, mode, flags| [Context, N(difference.cast_unsigned()), N(mode), N(flags)];
    let at = |place: usize| [&udp4()[..place], &[0; 4], &udp4()[place..]].concat();
    assert_eq!(run(&udp4(), &[("skb_adjust_room", &room(4, 1, 0))]).1, at(14));
    assert_eq!(run(&udp4(), &[("skb_adjust_room", &room(4, 0, 0))]).1, at(34));
    let shrunk = [&udp4()[..34], &udp4()[38..]].concat();
    assert_eq!(run(&udp4(), &[("skb_adjust_room", &room(-4, 0, 0))]).1, shrunk);
    let v6 = [&udp6()[..54], &[0; 4], &udp6()[54..]].concat();
    assert_eq!(run(&udp6(), &[("skb_adjust_room", &room(4, 0, 0))]).1, v6);
    let twice = [("skb_adjust_room", &room(20, 1, 2)[..]), ("skb_adjust_room", &room(20, 1, 2))];
    assert_eq!(run(&udp4(), &twice).0, [0, -114]);
    let mut other = udp4();
    other[12..14].copy_from_slice(&[0x12, 0x34]);
    assert_eq!(run(&other, &[("skb_adjust_room", &room(4, 0, 0))]).0, [-524]);
}

#[test]
fn checksums_are_repaired_to_the_bit() {
    // Values stand in registers as the program's byte order has them; the kernel's answers are those of a little-endian
    // one.
    if cfg!(target_endian = "big") {
        return;
    }
    let l3 = |from, to, flags| ("l3_csum_replace", [Context, N(24), N(from), N(to), N(flags)]);
    let after = |(name, arguments): (&str, [A; 5])| run(&udp4(), &[(name, &arguments)]).1[24..26].to_vec();
    assert_eq!(after(l3(0x100, 0x200, 2)), hex("66c7"));
    assert_eq!(after(l3(0x0100_000a, 0x0300_000a, 4)), hex("66c6"));
    assert_eq!(after(l3(0, 0x1234, 0)), hex("32b6"));
    assert_eq!(after(l3(1, 1, 2)), hex("66c8"));
    let at = |offset, flags| ("l3_csum_replace", [Context, N(offset), N(1), N(2), N(flags)]);
    let wrong = [at(24, 0), at(25, 2), at(24, 3), at(24, 0x10), at(0x10000, 2), at(57, 2), at(58, 2)];
    let wrong: Vec<(&str, &[A])> = wrong.iter().map(|(name, arguments)| (*name, &arguments[..])).collect();
    assert_eq!(run(&udp4(), &wrong).0, [-22, -14, -22, -22, -14, -14, -14]);

    let l4 = |flags| ("l4_csum_replace", [Context, N(40), N(0x100), N(0x200), N(flags)]);
    let (a, b, c, d, e) = (l4(2), l4(0x22), l4(0x12), l4(0x102), l4(0x82));
    let zero: (&str, &[A]) = ("l4_csum_replace", &[Context, N(40), N(0), N(5), N(0x10)]);
    let calls = [(a.0, &a.1[..]), (b.0, &b.1), (c.0, &c.1), zero, (d.0, &d.1)];
    assert_eq!(run(&udp4(), &calls).0, [0, 0, 0, 0, -22]);
    let last: (&str, &[A]) = ("l4_csum_replace", &[Context, N(40), N(1), N(2), N(0x82)]);
    let calls = [calls[0], calls[1], calls[2], calls[3], last];
    assert_eq!(run(&udp4(), &calls).1[40..42], hex("f9fc"));
    assert_eq!(run(&udp4(), &[(e.0, &e.1)]).0, [0]);
    // A checksum of zero means that there is none.
    let f = l4(0x62);
    assert_eq!(run(&udp4(), &[(b.0, &b.1)]).1[40..42], [0, 0]);
    assert_eq!(run(&udp4(), &[(f.0, &f.1)]).1[40..42], hex("fffe"));
}

#[test]
fn checksums_that_were_checked_are_counted() {
    let level = |level| ("csum_level", [Context, N(level)]);
    let steps: Vec<(&str, [A; 2])> = [0, 1, 0, 1, 0, 2, 0, 3, 0, 4, 2].map(level).to_vec();
    let calls: Vec<(&str, &[A])> = steps.iter().map(|(name, arguments)| (*name, &arguments[..])).collect();
    let (results, _, context) = run_with(&udp4(), &calls, &[]);
    assert_eq!(results, [-13, 0, 0, 0, 1, 0, 0, 0, -13, -22, 0]);
    assert_eq!(context.checksum(), Checksum::Unknown);
    assert_eq!(run(&udp4(), &[("csum_update", &[Context, N(5)])]).0, [-524]);
}

#[test]
fn congestion_is_marked() {
    let marked = |bytes: &[u8], tos: u8| {
        let mut bytes = bytes.to_vec();
        bytes[15] = tos;
        let (results, after, _) = run(&bytes, &[("skb_ecn_set_ce", &[Context])]);
        (results[0], after[15], after[24..26].to_vec())
    };
    assert_eq!(marked(&udp4(), 0), (0, 0, hex("66c8")));
    assert_eq!(marked(&udp4(), 1), (1, 3, hex("66c6")));
    assert_eq!(marked(&udp4(), 2), (1, 3, hex("66c7")));
    assert_eq!(marked(&udp4(), 3), (1, 3, hex("66c8")));
    assert_eq!(marked(&udp6(), 0).0, 0);
    assert_eq!((marked(&udp6(), 0x10).0, marked(&udp6(), 0x10).1), (1, 0x30));
    assert_eq!(run(&udp4()[..30], &[("skb_ecn_set_ce", &[Context])]).0, [0]);
}

#[test]
fn fields_change_through_helpers() {
    let calls: &[(&str, &[A])] = &[
        ("skb_change_type", &[Context, N(3)]),
        ("skb_change_type", &[Context, N(4)]),
        ("skb_set_tstamp", &[Context, N(5), N(0)]),
        ("skb_set_tstamp", &[Context, N(0), N(0)]),
        ("skb_set_tstamp", &[Context, N(0), N(1)]),
        ("skb_set_tstamp", &[Context, N(5), N(3)]),
        ("skb_set_tstamp", &[Context, N(7), N(2)]),
    ];
    let (results, _, packet) = run(&udp4(), calls);
    assert_eq!(results, [0, -22, 0, 0, -22, -22, 0]);
    assert_eq!((packet.pkt_type, packet.tstamp, packet.tstamp_type), (3, 7, 2));
    let calls: &[(&str, &[A])] = &[
        ("skb_get_tunnel_key", &[Context, Data(0), N(28), N(0)]),
        ("skb_get_tunnel_opt", &[Context, Data(32), N(8)]),
        ("check_mtu", &[Context, N(0), Data(48), N(0), N(0)]),
        ("check_mtu", &[Context, N(0), Data(48), N(0), N(1)]),
        ("check_mtu", &[Context, N(0), Data(52), N(1456), N(0)]),
        ("check_mtu", &[Context, N(0), Data(56), N(1457), N(0)]),
        ("check_mtu", &[Context, N(0), Data(60), N(0), N(0)]),
    ];
    let mut data = vec![0xee; 48];
    data.extend([0, 0, 0, 1501u32].map(u32::to_ne_bytes).concat());
    let (results, outcome, _) = run_with(&udp4(), calls, &data);
    assert_eq!(results, [-22, -2, 0, -22, 0, 1, 1]);
    assert_eq!(outcome.data[..48], [&[0; 28][..], &[0xee; 4], &[0; 8], &[0xee; 8]].concat());
    assert_eq!(outcome.data[48..64], [1500u32; 4].map(u32::to_ne_bytes).concat());
}

#[test]
fn redirections_are_left_to_the_host() {
    let calls: &[(&str, &[A])] = &[
        ("redirect", &[N(1), N(0)]),
        ("redirect", &[N(1), N(1)]),
        ("redirect", &[N(1), N(2)]),
        ("redirect_peer", &[N(1), N(0)]),
        ("redirect_peer", &[N(1), N(1)]),
        ("redirect_neigh", &[N(1), N(0), N(0), N(0)]),
        ("redirect_neigh", &[N(2), Data(0), N(20), N(0)]),
        ("redirect_neigh", &[N(1), Data(0), N(8), N(0)]),
        ("redirect_neigh", &[N(1), N(0), N(0), N(1)]),
        ("clone_redirect", &[Context, N(1), N(0)]),
        ("clone_redirect", &[Context, N(1), N(2)]),
        ("clone_redirect", &[Context, N(0), N(0)]),
    ];
    let (results, _, context) = run_with(&udp4(), calls, &[7; 20]);
    assert_eq!(results, [7, 7, 2, 7, 2, 7, 7, 2, 2, 0, -22, -22]);
    let next_hop = Action::RedirectNeighbour { ifindex: 2, next_hop: vec![7; 20] };
    assert_eq!(context.actions(), [next_hop, Action::Clone { ifindex: 1, ingress: false, bytes: udp4() }]);
}

#[test]
fn routes_are_the_hosts() {
    let mut data = vec![0; 128];
    data[64] = 2;
    let calls = |script: Script| {
        script
            .data(&data)
            .call("fib_lookup", &[Context, Data(0), N(64), N(0)])
            .call("fib_lookup", &[Context, Data(0), N(63), N(0)])
            .call("fib_lookup", &[Context, Data(0), N(64), N(0x40)])
            .call("fib_lookup", &[Context, Data(64), N(64), N(1)])
    };
    assert_eq!(calls(Script::new()).run_on(&mut tc(&udp4())).results, [-97, -22, -22, 4]);
    let host = Host::new().on_fib_lookup(|lookup| {
        lookup.params[60] = lookup.flags as u8 + 8;
        0
    });
    let outcome = calls(Script::new().host(host)).run_on(&mut tc(&udp4()));
    assert_eq!((outcome.results[3], outcome.data[64 + 60]), (0, 9));
}

#[test]
fn sockets_are_found_by_the_host_and_given_back() {
    let host = || {
        Host::new().on_socket_lookup(|query| {
            let known = query.tcp && query.source == [10, 0, 0, 1] && query.source_port == 80 && query.netns == -1;
            known.then(|| Socket {
                family: 2,
                kind: 1,
                protocol: 6,
                state: 10,
                cookie: 5,
                mark: 77,
                ..Socket::default()
            })
        })
    };
    let tuple = [10, 0, 0, 1, 10, 0, 0, 2, 0, 80, 0, 90];
    let lookup = [Context, Data(0), N(12), MINUS_1, N(0)];
    let outcome = Script::new()
        .host(host())
        .data(&tuple)
        .call("sk_lookup_tcp", &lookup)
        .call("sk_lookup_udp", &lookup)
        .call("skc_lookup_tcp", &lookup)
        .call("sk_release", &[Got(2)])
        .call("sk_lookup_tcp", &[Context, Data(0), N(13), MINUS_1, N(0)])
        .call("sk_lookup_tcp", &[Context, Data(0), N(12), MINUS_1, N(1)])
        .call("sk_lookup_tcp", &[Context, Data(0), N(12), N(3), N(0)])
        .call("probe_read_kernel", &[Data(64), N(4), Got(0)])
        .call("sk_fullsock", &[Got(0)])
        .call("get_listener_sock", &[Got(0)])
        .call("tcp_sock", &[Got(0)])
        .call("sk_release", &[Got(0)])
        .call("probe_read_kernel", &[Data(64), N(4), Got(0)])
        .run_on(&mut tc(&udp4()));
    let socket = outcome.results[0];
    assert!(socket != 0 && outcome.results[2] > socket);
    assert_eq!(outcome.results[3..], [0, 0, 0, 0, 0, socket, socket, 0, 0, -14]);
    assert_eq!(outcome.results[1], 0);
    let twice = Script::new()
        .host(host())
        .data(&tuple)
        .call("sk_lookup_tcp", &lookup)
        .call("sk_release", &[Got(0)])
        .call("sk_release", &[Got(0)]);
    let Err(fault) = twice.try_run(&mut tc(&udp4())) else { panic!("a socket was given back twice") };
    assert!(fault.to_string().contains("bpf_sk_release"), "{fault}");
    // No more than so many are held at once, and null is what there is then.
    let many = (0..17).fold(Script::new().host(host()).data(&tuple), |script, _| script.call("sk_lookup_tcp", &lookup));
    let results = many.run_on(&mut tc(&udp4())).results;
    assert!(results[15] != 0 && results[16] == 0);
}

#[test]
fn packets_know_their_socket() {
    let socket = Socket { cookie: 9, uid: 1000, netns_cookie: 3, ..Socket::default() };
    let packet = Packet { socket: Some(socket), ..Packet::ethernet(udp4()) };
    let calls = |script: Script| {
        script
            .call("get_socket_cookie", &[Context])
            .call("get_socket_uid", &[Context])
            .call("get_netns_cookie", &[Context])
            .call("get_netns_cookie", &[N(0)])
            .call("skb_cgroup_id", &[Context])
            .call("skb_ancestor_cgroup_id", &[Context, N(0)])
            .call("get_cgroup_classid", &[Context])
            .call("get_route_realm", &[Context])
            .call("skb_under_cgroup", &[Context, N(0), N(0)])
    };
    let results = calls(Script::new()).run_on(&mut context(ProgramType::SchedCls, packet)).results;
    assert_eq!(results, [9, 1000, 3, 1, 1, 1, 0, 0, -2]);
    assert_eq!(calls(Script::new()).run_on(&mut tc(&udp4())).results, [0, 65534, 1, 1, 0, 0, 0, 0, -2]);
}

#[test]
fn what_is_done_again_and_again_takes_no_more_memory() {
    let clone: (&str, &[A]) = ("clone_redirect", &[Context, N(1), N(0)]);
    let mut context = tc(&udp4());
    for (round, results) in [(0, 0), (1, -12)] {
        let script = (0..200).fold(Script::new(), |script, _| script.call(clone.0, clone.1));
        assert_eq!(script.run_on(&mut context).results[199], results, "{round}");
    }
    // A packet that wanders to the front of its memory.
    let mut context = tc(&udp4());
    for _ in 0..20 {
        let script = (0..100).fold(Script::new(), |script, _| {
            let script = script.call("skb_change_head", &[Context, N(20), N(0)]);
            script.call("skb_change_tail", &[Context, N(58), N(0)])
        });
        let outcome = script.run_on(&mut context);
        context.link_len = 0;
        assert!(outcome.results.iter().all(|result| matches!(result, 0 | -22)));
    }
    assert!(context.buffer.memory.len() < 20_000, "{}", context.buffer.memory.len());
    let push: (&str, &[A]) = ("skb_vlan_push", &[Context, N(0), N(1)]);
    let mut context = tc(&udp4());
    let script = || (0..250).fold(Script::new(), |script, _| script.call(push.0, push.1));
    let results: Vec<i64> = (0..17).flat_map(|_| script().run_on(&mut context).results).collect();
    assert!(results[0] == 0 && results.last() == Some(&-12));
}
