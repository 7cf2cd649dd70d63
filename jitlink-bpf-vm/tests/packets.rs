//! Programs of a compiler, linked and run on packets, with the kernel's helpers.

mod compiled;

use std::sync::{Arc, Mutex};

use jitlink_arch_bpf::catalog::programs::{ProgramType, classify};
use jitlink_bpf_vm::contexts::{Action, Packet, PacketContext};
use jitlink_bpf_vm::helpers::{Clock, Host, standard};
use jitlink_bpf_vm::vm::{Vm, VmBuilder};
use jitlink_core::Endian;

fn udp() -> Vec<u8> {
    let mut bytes: Vec<u8> = (1..=12).collect();
    bytes.extend([8, 0, 0x45, 0, 0, 0x2c, 0, 1, 0, 0, 0x40, 0x11, 0x66, 0xc8, 10, 0, 0, 1, 10, 0, 0, 2]);
    bytes.extend([0; 24]);
    bytes
}

/// What a program of the image gives for a packet, and the context afterwards.
fn run(vm: &Vm, name: &str, bytes: Vec<u8>) -> (u64, PacketContext) {
    let program = vm.program(name).unwrap();
    let kind = classify(&program.section).unwrap().rule.program;
    assert!(matches!(kind, ProgramType::Xdp | ProgramType::SchedCls));
    let mut context = PacketContext::new(kind, Packet::ethernet(bytes), Endian::Little).unwrap().unwrap();
    let verdict = vm.run(program, &mut context).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    (verdict, context)
}

#[test]
fn compiled_programs_work_on_packets() {
    if cfg!(target_endian = "big") {
        return;
    }
    for cpu in ["-mcpu=v1", "-mcpu=v3", "-mcpu=v4"] {
        let source = include_str!("compiled/packets.c");
        let Some(object) = compiled::compile("packets.c", &["--target=bpf", cpu], source) else { return };
        let image = compiled::image(&[object]);
        let text = Arc::new(Mutex::new(String::new()));
        let sink = text.clone();
        let mut host = Host::new().on_print(move |line| sink.lock().unwrap().push_str(line));
        host.clock = Clock::frozen(77);
        let vm = VmBuilder::new().functions(standard(Arc::new(host))).build(&image).unwrap();
        check_xdp(&vm);
        assert_eq!(*text.lock().unwrap(), "protocol 17 of 10.0.0.1\n".repeat(3), "{cpu}");
        check_tc(&vm);
    }
}

fn check_xdp(vm: &Vm) {
    let tagged = [&udp()[..12], &[0x81, 0, 1, 0x23], &udp()[12..]].concat();
    for _ in 0..3 {
        let (verdict, context) = run(vm, "tag", udp());
        assert_eq!((verdict, context.packet().bytes), (3, tagged.clone()));
    }
    // A short one goes on to another program.
    assert_eq!(run(vm, "tag", udp()[..20].to_vec()).0, 1);
    let counts = vm.map("counts").unwrap();
    assert_eq!(counts.lookup(&17u32.to_le_bytes()).unwrap(), 3u64.to_le_bytes());
    let events = vm.map("events").unwrap().ring().unwrap();
    let mut record = [77u64.to_le_bytes(), 58u64.to_le_bytes()].concat();
    for _ in 0..3 {
        let mut found = events.next().unwrap();
        // The last four bytes of the record are padding.
        found[12..].fill(0);
        record[12..].fill(0);
        assert_eq!(found, record);
    }
    assert_eq!(events.next(), None);
}

fn check_tc(vm: &Vm) {
    let (verdict, context) = run(vm, "mark", udp());
    let packet = context.packet();
    // 0 to 9 of the loop, and 17 * 3 of the map.
    assert_eq!((verdict, packet.mark, packet.cb[..2].to_vec()), (7, 45 + 51, vec![10, 1]));
    assert_eq!(context.actions(), [Action::Redirect { ifindex: 5, ingress: true }]);
    // What Linux 6.18 makes of the same packet.
    assert_eq!((packet.bytes[22], &packet.bytes[24..26]), (7, &[0x9f, 0xc8][..]));
}
