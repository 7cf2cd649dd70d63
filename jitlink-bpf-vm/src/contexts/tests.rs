//! What programs see of packets, and what they may touch.

use std::sync::Arc;

use jitlink_arch_bpf::catalog::contexts::{self, Field, Meaning};
use jitlink_arch_bpf::catalog::programs::ProgramType;
use jitlink_arch_bpf::insn::Insn;
use jitlink_core::Endian;

use super::{FieldContext, Packet, PacketContext, Socket, Vlan};
use crate::context::Context;
use crate::fault::Fault;
use crate::vm::VmBuilder;

fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn { code, dst, src, off, imm }
}

fn run(words: &[Insn], context: &mut dyn Context) -> Result<u64, Fault> {
    let words = [words, &[insn(0x95, 0, 0, 0, 0)]].concat();
    let vm = VmBuilder::new().build_raw(&words, Endian::NATIVE).unwrap();
    vm.run(&vm.programs()[0], context)
}

/// What a load of a size (the opcode) from the context gives.
fn load(program: ProgramType, packet: Packet, code: u8, offset: i16) -> Result<u64, Fault> {
    run(&[insn(code, 0, 1, offset, 0)], &mut PacketContext::new(program, packet, Endian::NATIVE).unwrap().unwrap())
}

const B: u8 = 0x71;
const H: u8 = 0x69;
const W: u8 = 0x61;
const DW: u8 = 0x79;

fn packet() -> Packet {
    Packet {
        ifindex: 3,
        mark: 0x1234_5678,
        hash: 77,
        cb: [1, 2, 3, 4, 5],
        tstamp: 1 << 40,
        vlan: Some(Vlan { protocol: 0x8100, tci: 0x123 }),
        rx_queue: 6,
        ..Packet::ethernet([[0u8; 12].as_slice(), &[8, 0], &[0x45; 50]].concat())
    }
}

#[test]
fn fields_are_where_the_header_has_them() {
    let tc = |code, offset| load(ProgramType::SchedCls, packet(), code, offset).unwrap();
    assert_eq!((tc(W, 0), tc(W, 8), tc(W, 40), tc(W, 68)), (64, 0x1234_5678, 3, 77));
    assert_eq!((tc(W, 48), tc(W, 64), tc(DW, 152), tc(W, 160)), (1, 5, 1 << 40, 64));
    assert_eq!((tc(W, 16), tc(W, 20), tc(W, 24)), (u64::from(0x0800u16.to_be()), 1, 0x123));
    assert_eq!(tc(W, 28), u64::from(0x8100u16.to_be()));
    let low = if cfg!(target_endian = "little") { 0x78 } else { 0x12 };
    assert_eq!(tc(B, 8), low);
    let xdp = |offset| load(ProgramType::Xdp, packet(), W, offset).unwrap();
    assert_eq!((xdp(4) - xdp(0), xdp(8), xdp(16)), (64, xdp(0), 6));
    // Addresses of packets fit 32 bits, and are no small numbers.
    assert!(xdp(0) >= 0x10000);
}

#[test]
fn fields_of_others_are_faults() {
    let denied = |program, code, offset| load(program, packet(), code, offset).unwrap_err().to_string();
    assert!(denied(ProgramType::SocketFilter, W, 76).contains("socket_filter programs cannot read 4 bytes at 76"));
    assert!(denied(ProgramType::SchedCls, W, 88).contains("family"));
    assert!(denied(ProgramType::Xdp, DW, 0).contains("8 bytes at 0"));
    assert!(denied(ProgramType::Xdp, H, 12).contains("ingress_ifindex"));
    assert!(denied(ProgramType::SchedCls, W, 188).contains("hwtstamp"));
    let mut context = PacketContext::new(ProgramType::SchedCls, packet(), Endian::NATIVE).unwrap().unwrap();
    assert!(run(&[insn(0x62, 1, 0, 0, 5)], &mut context).is_err());
    assert!(PacketContext::new(ProgramType::Kprobe, packet(), Endian::NATIVE).unwrap().is_none());
}

#[test]
fn what_programs_write_comes_back() {
    let mut context = PacketContext::new(ProgramType::SchedCls, packet(), Endian::NATIVE).unwrap().unwrap();
    // mark = 9; cb[1] = 8; tc_classid = 7; then the packet's first byte = 6
    let words = [
        insn(0x62, 1, 0, 8, 9),
        insn(0x62, 1, 0, 52, 8),
        insn(0x62, 1, 0, 72, 7),
        insn(0x61, 2, 1, 76, 0),
        insn(0x72, 2, 0, 0, 6),
        insn(0xb7, 0, 0, 0, 0),
    ];
    run(&words, &mut context).unwrap();
    let after = context.packet();
    assert_eq!((after.mark, after.cb, after.tc_classid, after.bytes[0]), (9, [1, 8, 3, 4, 5], 7, 6));
    assert_eq!(Packet { mark: 0x1234_5678, cb: packet().cb, tc_classid: 0, wire_len: 0, ..after }.bytes.len(), 64);
}

#[test]
fn only_programs_that_may_write_packets_can() {
    let table = [
        (ProgramType::SchedCls, true),
        (ProgramType::LwtXmit, true),
        (ProgramType::LwtIn, false),
        (ProgramType::CgroupSkb, false),
    ];
    for (program, writes) in table {
        let mut context = PacketContext::new(program, packet(), Endian::NATIVE).unwrap().unwrap();
        let words = [insn(0x61, 2, 1, 76, 0), insn(0xb7, 0, 0, 0, 0), insn(0x72, 2, 0, 0, 6)];
        assert_eq!(run(&words, &mut context).is_ok(), writes, "{program}");
    }
    // Before the first byte and after the last there is nothing to see.
    for offset in [-1, 64] {
        let words = [insn(0x61, 2, 1, 76, 0), insn(0x71, 0, 2, offset, 0)];
        let mut context = PacketContext::new(ProgramType::SchedCls, packet(), Endian::NATIVE).unwrap().unwrap();
        assert!(run(&words, &mut context).is_err());
    }
}

#[test]
fn metadata_is_before_the_packet() {
    let packet = Packet { metadata: vec![1, 2, 3, 4], ..packet() };
    let words = [insn(0x61, 2, 1, 140, 0), insn(0x71, 0, 2, 3, 0)];
    let mut context = PacketContext::new(ProgramType::SchedCls, packet, Endian::NATIVE).unwrap().unwrap();
    assert_eq!(run(&words, &mut context).unwrap(), 4);
}

#[test]
fn sockets_are_read_but_not_written() {
    let socket = Socket {
        family: 2,
        source: [10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        source_port: 80,
        destination_port: 1234,
        state: 1,
        ..Socket::default()
    };
    let packet = Packet { socket: Some(socket), ..packet() };
    let make = || PacketContext::new(ProgramType::CgroupSkb, packet.clone(), Endian::NATIVE).unwrap().unwrap();
    let read = |code, offset| run(&[insn(DW, 2, 1, 168, 0), insn(code, 0, 2, offset, 0)], &mut make()).unwrap();
    assert_eq!((read(W, 4), read(W, 44), read(W, 72)), (2, 80, 1));
    assert_eq!(read(W, 24), u64::from(u32::from_ne_bytes([10, 0, 0, 1])));
    assert_eq!(read(H, 48), u64::from(1234u16.to_be()));
    assert!(run(&[insn(DW, 2, 1, 168, 0), insn(0x62, 2, 0, 0, 1)], &mut make()).is_err());
    assert!(run(&[insn(DW, 2, 1, 168, 0), insn(W, 0, 2, 80, 0)], &mut make()).is_err());
    assert!(run(&[insn(DW, 2, 1, 168, 0), insn(W, 0, 2, 96, 0)], &mut make()).is_err());
    let field = |offset| run(&[insn(W, 0, 1, offset, 0)], &mut make()).unwrap();
    assert_eq!((field(88), field(136)), (2, 80));
    assert_eq!(field(132), u64::from(1234u32.to_be()));
    assert_eq!(field(96), u64::from(u32::from_ne_bytes([10, 0, 0, 1])));
}

#[test]
fn classic_loads_find_headers() {
    let context = PacketContext::new(ProgramType::SocketFilter, packet(), Endian::NATIVE).unwrap().unwrap();
    let byte = |offset| {
        let mut bytes = [0];
        context.load_packet(offset, &mut bytes).then_some(bytes[0])
    };
    assert_eq!((byte(12), byte(63), byte(64)), (Some(8), Some(0x45), None));
    assert_eq!((byte(-0x10_0000), byte(-0x10_0000 + 49), byte(-0x10_0000 + 50)), (Some(0x45), Some(0x45), None));
    assert_eq!((byte(-0x20_0000 + 12), byte(-0x20_0000 - 1), byte(-1), byte(i32::MIN)), (Some(8), None, None, None));
}

#[test]
fn big_endian_programs_see_big_endian_fields() {
    let context = PacketContext::new(ProgramType::SchedCls, packet(), Endian::Big).unwrap().unwrap();
    let bytes = |offset, len| Context::memory(&context).unwrap().to_vec(offset, len);
    assert_eq!((bytes(8, 4), bytes(16, 4)), (vec![0x12, 0x34, 0x56, 0x78], vec![0, 0, 8, 0]));
    assert_eq!(context.packet().mark, 0x1234_5678);
}

#[test]
fn hosts_have_contexts_of_their_own() {
    let fields = vec![Field::new("in", 0, 4, Meaning::Number), Field::new("out", 8, 8, Meaning::Number).writable()];
    let description = Arc::new(contexts::Context::custom("own", 16, fields).unwrap());
    let mut own = FieldContext::new(description, ProgramType::Syscall, Endian::NATIVE).unwrap();
    assert!(own.set("in", 20) && !own.set("none", 1));
    let words = [insn(W, 2, 1, 0, 0), insn(0x07, 2, 0, 0, 1), insn(0x7b, 1, 2, 8, 0), insn(0xb7, 0, 0, 0, 0)];
    run(&words, &mut own).unwrap();
    assert_eq!((own.get("out"), own.get("none"), own.bytes("in").map(|bytes| bytes.len())), (Some(21), None, Some(4)));
    assert!(run(&[insn(0x62, 1, 0, 0, 1)], &mut own).is_err());
    assert!(run(&[insn(W, 0, 1, 4, 0)], &mut own).is_err());
}
