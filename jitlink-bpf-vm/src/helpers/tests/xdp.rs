//! Bounds and bytes of XDP packets.

use super::*;
use crate::contexts::Action;

/// What calls return, and the packet afterwards with its metadata.
fn run(calls: &[(&str, &[A])], data: &[u8]) -> (Vec<i64>, Vec<u8>) {
    let mut context = context(ProgramType::Xdp, Packet::ethernet(udp4()));
    let script = calls.iter().fold(Script::new().data(data), |script, (name, arguments)| script.call(name, arguments));
    let outcome = script.run_on(&mut context);
    let packet = context.packet();
    (outcome.results, [packet.metadata, packet.bytes].concat())
}

fn adjusted(name: &str, offset: i32) -> (i64, usize) {
    let (results, bytes) = run(&[(name, &[Context, N(i64::from(offset).cast_unsigned())])], &[]);
    (results[0], bytes.len())
}

#[test]
fn heads_move_within_the_headroom_and_leave_a_link_header() {
    for (offset, expected) in [
        (14, (0, 44)),
        (-14, (0, 72)),
        (44, (0, 14)),
        (45, (-22, 58)),
        (-216, (0, 274)),
        (-217, (-22, 58)),
        (1000, (-22, 58)),
    ] {
        assert_eq!(adjusted("xdp_adjust_head", offset), expected, "{offset}");
    }
    let (_, bytes) = run(&[("xdp_adjust_head", &[Context, N(2)])], &[]);
    assert_eq!(bytes, udp4()[2..]);
}

#[test]
fn metadata_is_of_whole_words_before_the_packet() {
    let table = [(-4, (0, 62)), (-8, (0, 66)), (-3, (-13, 58)), (-252, (-22, 58)), (-216, (0, 274)), (-220, (-22, 58))];
    for (offset, expected) in table.into_iter().chain([(4, (-22, 58)), (i32::MIN, (-22, 58)), (i32::MAX, (-22, 58))]) {
        assert_eq!(adjusted("xdp_adjust_meta", offset), expected, "{offset}");
    }
    let both: &[(&str, &[A])] = &[
        ("xdp_adjust_meta", &[Context, N(-8i64 as u64)]),
        ("xdp_adjust_head", &[Context, N(-208i64 as u64)]),
        ("xdp_adjust_head", &[Context, N(-216i64 as u64)]),
        ("xdp_adjust_meta", &[Context, N(4)]),
        ("xdp_get_buff_len", &[Context]),
    ];
    let (results, bytes) = run(both, &[]);
    assert_eq!((results, bytes.len()), (vec![0, 0, -22, 0, 266], 270));
}

#[test]
fn tails_grow_by_zeros_up_to_the_end_of_the_frame() {
    let table =
        [(-44, (0, 14)), (-45, (-22, 58)), (10, (0, 68)), (4000, (-22, 58)), (3462, (0, 3520)), (3463, (-22, 58))];
    for (offset, expected) in table.into_iter().chain([(i32::MIN, (-22, 58))]) {
        assert_eq!(adjusted("xdp_adjust_tail", offset), expected, "{offset}");
    }
    // What was cut off does not come back.
    let minus = N(-4i64 as u64);
    let (_, bytes) = run(&[("xdp_adjust_tail", &[Context, minus]), ("xdp_adjust_tail", &[Context, N(4)])], &[]);
    assert_eq!(bytes[54..], [0; 4]);
}

#[test]
fn bytes_are_copied_if_the_packet_has_them() {
    let calls: &[(&str, &[A])] = &[
        ("xdp_load_bytes", &[Context, N(54), Data(8), N(4)]),
        ("xdp_store_bytes", &[Context, N(0), Data(8), N(4)]),
        ("xdp_load_bytes", &[Context, N(55), Data(0), N(4)]),
        ("xdp_load_bytes", &[Context, N(0x10000), Data(0), N(4)]),
        ("xdp_load_bytes", &[Context, N(0xffff), Data(0), N(4)]),
        ("xdp_store_bytes", &[Context, N(56), Data(0), N(4)]),
    ];
    let (results, bytes) = run(calls, &[0xaa; 8]);
    assert_eq!(results, [0, 0, -22, -14, -22, -22]);
    assert_eq!(bytes[..5], [12, 13, 14, 15, 5]);
}

#[test]
fn programs_see_the_new_bounds_and_the_new_bytes() {
    // r6 is the context: adjust the head by 14, then read the first byte through the new pointer.
    let mut context = context(ProgramType::Xdp, Packet::ethernet(udp4()));
    let words = [
        insn(0xbf, 6, 1, 0, 0),
        insn(0xb7, 2, 0, 0, 14),
        insn(0x85, 0, 0, 0, 44),
        insn(0x61, 2, 6, 0, 0),
        insn(0x61, 3, 6, 4, 0),
        insn(0x71, 0, 2, 0, 0),
        insn(0x1f, 3, 2, 0, 0),
        insn(0x67, 3, 0, 0, 8),
        insn(0x4f, 0, 3, 0, 0),
        insn(0x72, 2, 0, 1, 0x77),
        insn(0x95, 0, 0, 0, 0),
    ];
    let functions = standard(Arc::new(Host::new()));
    let vm = VmBuilder::new().functions(functions).build_raw(&words, Endian::NATIVE).unwrap();
    assert_eq!(vm.run(&vm.programs()[0], &mut context).unwrap(), 44 << 8 | 0x45);
    assert_eq!(context.packet().bytes[..3], [0x45, 0x77, 0]);
}

#[test]
fn redirections_are_left_to_the_host() {
    let mut context = context(ProgramType::Xdp, Packet::ethernet(udp4()));
    let devices = map(MapKind::Devmap, 4, 4, 4);
    devices.update(&1u32.to_ne_bytes(), &9u32.to_ne_bytes(), 0).unwrap();
    let outcome = Script::new()
        .map(devices)
        .call("redirect", &[N(7), N(0)])
        .call("redirect", &[N(8), N(1)])
        .call("redirect_map", &[Map(0), N(2), N(2)])
        .call("redirect_map", &[Map(0), N(1), N(0x20)])
        .run_on(&mut context);
    assert_eq!(outcome.results, [4, 0, 2, 0]);
    assert_eq!(context.actions(), [Action::Redirect { ifindex: 7, ingress: false }]);
    let devices = map(MapKind::Devmap, 4, 4, 4);
    devices.update(&1u32.to_ne_bytes(), &9u32.to_ne_bytes(), 0).unwrap();
    let outcome = Script::new()
        .map(devices)
        .call("redirect_map", &[Map(0), N(1), N(3)])
        .call("redirect_map", &[Map(0), N(3), N(8)])
        .run_on(&mut context);
    assert_eq!(outcome.results, [4, 4]);
    assert_eq!(context.actions(), [Action::RedirectMap { map: String::new(), key: 3, flags: 8 }]);
}

#[test]
fn packets_of_several_pages_are_one_run_of_bytes() {
    let bytes: Vec<u8> = (0..9000).map(|at| (at % 251) as u8).collect();
    let mut context = context(ProgramType::Xdp, Packet::ethernet(bytes.clone()));
    let outcome = Script::new()
        .data(b"xyz")
        .call("xdp_get_buff_len", &[Context])
        .call("xdp_load_bytes", &[Context, N(8990), Data(16), N(10)])
        .call("xdp_load_bytes", &[Context, N(4090), Data(32), N(12)])
        .call("xdp_store_bytes", &[Context, N(8997), Data(0), N(3)])
        .call("xdp_load_bytes", &[Context, N(8997), Data(48), N(4)])
        .run_on(&mut context);
    assert_eq!(outcome.results, [9000, 0, 0, 0, -22]);
    assert_eq!((&outcome.data[16..26], &outcome.data[32..44]), (&bytes[8990..], &bytes[4090..4102]));
    let packet = context.packet().bytes;
    assert_eq!((&packet[..8997], &packet[8997..]), (&bytes[..8997], &b"xyz"[..]));
    let shorter = Script::new().call("xdp_adjust_tail", &[Context, N(-5000i64 as u64)]);
    let shorter = shorter.call("xdp_get_buff_len", &[Context]).run_on(&mut context);
    assert_eq!(shorter.results, [0, 4000]);
}
