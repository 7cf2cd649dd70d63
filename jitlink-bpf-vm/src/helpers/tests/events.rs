//! Ring buffers, perf events, dynptrs.

use super::*;

fn ring(kind: MapKind) -> Arc<Map> {
    map(kind, 0, 0, 4096)
}

#[test]
fn records_go_to_the_host() {
    let events = ring(MapKind::Ringbuf);
    let outcome = Script::new()
        .map(events.clone())
        .data(b"record")
        .call("ringbuf_output", &[Map(0), Data(0), N(6), N(0)])
        .call("ringbuf_output", &[Map(0), Data(0), N(6), N(8)])
        .call("ringbuf_reserve", &[Map(0), N(8), N(0)])
        .call("ringbuf_reserve", &[Map(0), N(8), N(1)])
        .call("ringbuf_reserve", &[Map(0), N(1 << 20), N(0)])
        .call("probe_read", &[Got(2), N(6), Data(0)])
        .call("ringbuf_query", &[Map(0), N(1)])
        .call("ringbuf_submit", &[Got(2), N(0)])
        .call("ringbuf_reserve", &[Map(0), N(8), N(0)])
        .call("ringbuf_discard", &[Got(8), N(0)])
        .call("ringbuf_query", &[Map(0), N(9)])
        .run();
    let results = &outcome.results;
    assert!(results[2] != 0 && results[8] != 0);
    assert_eq!([results[0], results[1], results[3], results[4]], [0, -22, 0, 0]);
    assert_eq!([results[5], results[6], results[7], results[9], results[10]], [0, 4096, 0, 0, 0]);
    let buffer = events.ring().unwrap();
    assert_eq!(buffer.next().as_deref(), Some(&b"record"[..]));
    assert_eq!(buffer.next().as_deref(), Some(&b"record\0\0"[..]));
    assert_eq!(buffer.next(), None);
}

#[test]
fn what_was_not_reserved_cannot_be_submitted() {
    for wrong in [Data(0), N(0), N(u64::MAX), Stack(64)] {
        let script = Script::new().map(ring(MapKind::Ringbuf)).call("ringbuf_submit", &[wrong, N(0)]);
        assert!(script.try_run(&mut NoContext).is_err());
    }
    let twice = Script::new()
        .map(ring(MapKind::Ringbuf))
        .call("ringbuf_reserve", &[Map(0), N(8), N(0)])
        .call("ringbuf_submit", &[Got(0), N(0)])
        .call("ringbuf_submit", &[Got(0), N(0)]);
    assert!(twice.try_run(&mut NoContext).is_err());
    let other = Script::new().map(map(MapKind::Array, 4, 4, 1)).call("ringbuf_output", &[Map(0), Data(0), N(1), N(0)]);
    assert!(other.try_run(&mut NoContext).is_err());
}

#[test]
fn dynptrs_read_and_write_within_their_bounds() {
    let here = Stack(64);
    let outcome = Script::new()
        .data(b"0123456789abcdef")
        .call("dynptr_from_mem", &[Data(0), N(16), N(0), here])
        .call("dynptr_read", &[Data(32), N(4), here, N(12), N(0)])
        .call("dynptr_read", &[Data(40), N(4), here, N(13), N(0)])
        .call("dynptr_read", &[Data(40), N(4), here, N(0), N(1)])
        .call("dynptr_write", &[here, N(1), Data(32), N(2), N(0)])
        .call("dynptr_write", &[here, N(15), Data(32), N(2), N(0)])
        .call("dynptr_write", &[here, N(0), Data(32), N(2), N(1)])
        .call("dynptr_data", &[here, N(4), N(12)])
        .call("dynptr_data", &[here, N(4), N(13)])
        .call("bpf_dynptr_adjust", &[here, N(4), N(8)])
        .call("bpf_dynptr_size", &[here])
        .call("bpf_dynptr_adjust", &[here, N(3), N(2)])
        .call("bpf_dynptr_adjust", &[here, N(0), N(5)])
        .call("dynptr_data", &[here, N(0), N(4)])
        .call("bpf_dynptr_clone", &[here, Stack(32)])
        .call("bpf_dynptr_slice", &[Stack(32), N(1), N(0), N(3)])
        .call("bpf_dynptr_slice", &[Stack(32), N(2), N(0), N(3)])
        .call("bpf_dynptr_is_rdonly", &[here])
        .call("bpf_dynptr_is_null", &[here])
        .run();
    let data = |offset| data_address(offset).cast_signed();
    assert_eq!(outcome.results[..9], [0, 0, -7, -22, 0, -7, -22, data(4), 0]);
    assert_eq!(outcome.results[9..], [0, 4, -22, -34, data(4), 0, data(5), 0, 0, 0]);
    assert_eq!(outcome.data[..16], *b"0cd3456789abcdef");
}

#[test]
fn null_dynptrs_are_refused_by_number() {
    let here = Stack(64);
    let outcome = Script::new()
        .call("dynptr_from_mem", &[Data(0), N(16), N(1), here])
        .call("bpf_dynptr_is_null", &[here])
        .call("dynptr_read", &[Data(32), N(0), here, N(0), N(0)])
        .call("dynptr_write", &[here, N(0), Data(0), N(0), N(0)])
        .call("dynptr_data", &[here, N(0), N(0)])
        .call("bpf_dynptr_size", &[here])
        .call("bpf_dynptr_adjust", &[here, N(0), N(0)])
        .call("bpf_dynptr_clone", &[here, Stack(32)])
        .call("bpf_dynptr_is_null", &[Stack(32)])
        .call("dynptr_from_mem", &[Data(0), N(1 << 24), N(0), here])
        .run();
    assert_eq!(outcome.results, [-22, 1, -22, -22, 0, -22, -22, -22, 1, -7]);
}

#[test]
fn what_is_no_dynptr_is_a_fault() {
    let nothing = Script::new().call("dynptr_data", &[Stack(64), N(0), N(1)]);
    let moved = Script::new()
        .call("dynptr_from_mem", &[Data(0), N(16), N(0), Stack(64)])
        .call("dynptr_from_mem", &[Data(0), N(16), N(0), Stack(56)])
        .call("dynptr_data", &[Stack(64), N(0), N(1)]);
    let off_stack = Script::new().call("dynptr_from_mem", &[Data(0), N(16), N(0), Data(64)]);
    let not_there = Script::new().call("dynptr_from_mem", &[N(8), N(16), N(0), Stack(64)]);
    for wrong in [nothing, moved, off_stack, not_there] {
        assert!(wrong.try_run(&mut NoContext).is_err());
    }
    // Making one again and again in the same place costs nothing.
    let again = (0..2000 / 8)
        .fold(Script::new(), |script, _| script.call("dynptr_from_mem", &[Data(0), N(16), N(0), Stack(64)]));
    assert!(again.run().results.iter().all(|result| *result == 0));
}

#[test]
fn dynptrs_of_ring_buffers_are_submitted_with_their_clones() {
    let events = ring(MapKind::Ringbuf);
    let here = Stack(64);
    let script = || {
        Script::new()
            .map(events.clone())
            .data(b"abcd")
            .call("ringbuf_reserve_dynptr", &[Map(0), N(4), N(0), here])
            .call("dynptr_write", &[here, N(0), Data(0), N(4), N(0)])
            .call("bpf_dynptr_clone", &[here, Stack(32)])
    };
    let outcome = script().call("ringbuf_submit_dynptr", &[here, N(0)]).call("bpf_dynptr_is_null", &[here]).run();
    assert_eq!(outcome.results, [0, 0, 0, 0, 1]);
    assert_eq!(events.ring().unwrap().next().as_deref(), Some(&b"abcd"[..]));
    let after = script().call("ringbuf_discard_dynptr", &[here, N(0)]).call("dynptr_data", &[Stack(32), N(0), N(1)]);
    assert!(after.try_run(&mut NoContext).is_err());
    let refused = Script::new()
        .map(events.clone())
        .call("ringbuf_reserve_dynptr", &[Map(0), N(1 << 24), N(0), here])
        .call("ringbuf_submit_dynptr", &[here, N(0)])
        .call("ringbuf_reserve_dynptr", &[Map(0), N(8), N(1), here])
        .call("ringbuf_reserve_dynptr", &[Map(0), N(1 << 20), N(0), here]);
    assert_eq!(refused.run().results, [-7, 0, -22, -22]);
}

#[test]
fn records_of_the_host_are_drained() {
    let commands = ring(MapKind::UserRingbuf);
    for text in [&b"first"[..], b"second", b"third"] {
        commands.ring().unwrap().output(text, 0).unwrap();
    }
    // r6 = r2; dynptr_read(r6 + *(u64 *)r6, 6, r1, 0, 0); *(u64 *)r6 += 8; r0 = *(u64 *)r6 == 24
    let function = [
        insn(0xbf, 6, 2, 0, 0),
        insn(0xbf, 3, 1, 0, 0),
        insn(0x79, 1, 6, 0, 0),
        insn(0x07, 1, 0, 0, 8),
        insn(0x7b, 6, 1, 0, 0),
        insn(0x0f, 1, 6, 0, 0),
        insn(0xb7, 2, 0, 0, 5),
        insn(0xb7, 4, 0, 0, 0),
        insn(0xb7, 5, 0, 0, 0),
        insn(0x85, 0, 0, 0, 201),
        insn(0x79, 1, 6, 0, 0),
        insn(0xb7, 0, 0, 0, 0),
        insn(0x55, 1, 0, 1, 16),
        insn(0xb7, 0, 0, 0, 1),
        insn(0x95, 0, 0, 0, 0),
    ];
    let outcome = Script::new()
        .map(commands.clone())
        .function(&function)
        .call("user_ringbuf_drain", &[Map(0), Function(0), Data(0), N(0)])
        .call("user_ringbuf_drain", &[Map(0), Function(0), Data(0), N(4)])
        .call("user_ringbuf_drain", &[Map(0), Function(0), Data(0), N(0)])
        .call("user_ringbuf_drain", &[Map(0), Function(0), Data(0), N(0)])
        .run();
    assert_eq!(outcome.results, [2, -22, 1, 0]);
    assert_eq!(outcome.data[8..32], *b"first\0\0\0secon\0\0\0third\0\0\0");
}

#[test]
fn perf_events_carry_bytes_of_the_packet() {
    let events = map(MapKind::PerfEventArray, 4, 4, 2);
    let perf = events.perf().unwrap();
    perf.open(0, 4096).unwrap();
    let current = 0xffff_ffff;
    let outcome = Script::new()
        .map(events.clone())
        .data(b"meta")
        .call("perf_event_output", &[Context, Map(0), N(current | 6 << 32), Data(0), N(4)])
        .call("perf_event_output", &[Context, Map(0), N(current | 59 << 32), Data(0), N(4)])
        .call("perf_event_output", &[Context, Map(0), N(2), Data(0), N(4)])
        .call("perf_event_output", &[Context, Map(0), N(1), Data(0), N(4)])
        .call("perf_event_output", &[Context, Map(0), N(1 << 60), Data(0), N(4)])
        .run_on(&mut tc(&udp4()));
    assert_eq!(outcome.results, [0, -14, -7, -2, -22]);
    assert_eq!(perf.next(0).as_deref(), Some(&b"meta\x01\x02\x03\x04\x05\x06"[..]));
    let plain = Script::new()
        .map(events.clone())
        .call("perf_event_output", &[N(0), Map(0), N(current | 1 << 32), Data(0), N(1)]);
    assert_eq!(plain.run().results, [-22]);
}

#[test]
fn dynptrs_of_packets_follow_them() {
    let here = Stack(64);
    let mut packet = tc(&udp4());
    let outcome = Script::new()
        .data(b"xy")
        .call("bpf_dynptr_from_skb", &[Context, N(0), here])
        .call("bpf_dynptr_size", &[here])
        .call("dynptr_write", &[here, N(57), Data(0), N(1), N(0)])
        .call("dynptr_write", &[here, N(57), Data(0), N(2), N(0)])
        .call("dynptr_data", &[here, N(0), N(1)])
        .call("bpf_dynptr_slice", &[here, N(57), N(0), N(1)])
        .call("probe_read", &[Data(8), N(1), Got(5)])
        .call("bpf_dynptr_slice_rdwr", &[here, N(58), N(0), N(1)])
        .call("bpf_dynptr_from_skb", &[Context, N(1), here])
        .run_on(&mut packet);
    assert_eq!(outcome.results[..5], [0, 58, 0, -7, 0]);
    assert_eq!((outcome.results[6], outcome.results[7], outcome.results[8]), (0, 0, -22));
    assert_eq!((outcome.data[8], packet.packet().bytes[57]), (b'x', b'x'));
    let mut xdp = context(ProgramType::Xdp, Packet::ethernet(udp4()));
    let of_xdp = Script::new()
        .call("bpf_dynptr_from_xdp", &[Context, N(0), here])
        .call("dynptr_read", &[Data(0), N(2), here, N(56), N(0)])
        .call("xdp_adjust_head", &[Context, N(1)])
        .call("dynptr_read", &[Data(8), N(2), here, N(0), N(0)])
        .call("dynptr_read", &[Data(8), N(2), here, N(57), N(0)])
        .run_on(&mut xdp);
    // It was made for 58 bytes, of which the packet has one less now.
    assert_eq!(of_xdp.results, [0, 0, 0, 0, -7]);
    assert_eq!((&of_xdp.data[..2], &of_xdp.data[8..10]), (&[14, 15][..], &[2, 3][..]));
    let mut filter = context(ProgramType::SocketFilter, Packet::ethernet(udp4()));
    let read_only = Script::new()
        .call("bpf_dynptr_from_skb", &[Context, N(0), here])
        .call("bpf_dynptr_is_rdonly", &[here])
        .call("dynptr_write", &[here, N(0), Data(0), N(1), N(0)])
        .call("bpf_dynptr_slice_rdwr", &[here, N(0), N(0), N(1)])
        .run_on(&mut filter);
    assert_eq!(read_only.results, [0, 1, -22, 0]);
}
