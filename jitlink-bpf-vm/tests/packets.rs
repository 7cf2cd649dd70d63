//! Programs of a compiler, linked and run on packets, with the kernel's helpers.

use std::process::Command;
use std::sync::{Arc, Mutex};

use jitlink_arch_bpf::catalog::programs::{ProgramType, classify};
use jitlink_arch_bpf::image::BpfImage;
use jitlink_arch_bpf::link::{BpfOptions, Capture};
use jitlink_arch_bpf::{Bpf, ELF_BPF, ELF_UNNAMED};
use jitlink_bpf_vm::contexts::{Action, Packet, PacketContext};
use jitlink_bpf_vm::helpers::{Clock, Host, standard};
use jitlink_bpf_vm::vm::{Vm, VmBuilder};
use jitlink_core::image::{ImageConfig, ImageExecutor};
use jitlink_core::input::Input;
use jitlink_core::link::{LinkOptions, NoSymbols, link};
use jitlink_core::registry::Plugin;
use jitlink_core::{Addr, Endian, Registry};
use jitlink_elf::ElfFormat;

/// The object that clang makes of the source, or none with a message.
fn compile(options: &[&str]) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("packets.c"), folder.path().join("packets.o"));
    std::fs::write(&input, include_str!("compiled/packets.c")).unwrap();
    for compiler in ["clang-22", "clang"] {
        let mut command = Command::new(compiler);
        command.args(["--target=bpf", "-O2", "-g", "-c"]).args(options).arg(&input).arg("-o").arg(&output);
        if let Ok(result) = command.output() {
            assert!(result.status.success(), "{compiler}: {}", String::from_utf8_lossy(&result.stderr));
            return Some(std::fs::read(output).unwrap());
        }
    }
    assert!(std::env::var_os("CI").is_none(), "there is no clang");
    println!("skipped: there is no clang");
    None
}

/// The linked program, where the machine has linked code.
fn linked(object: Vec<u8>) -> BpfImage {
    let plugins =
        [Plugin::Format(&ElfFormat), Plugin::Arch(&Bpf), Plugin::Relocs(ELF_BPF), Plugin::Relocs(ELF_UNNAMED)];
    let registry = plugins.into_iter().try_fold(Registry::empty(), Registry::with).unwrap();
    let mut options = LinkOptions::default();
    let capture = Capture::add(&mut options, &BpfOptions::default());
    let config = ImageConfig { base: Addr(16 << 32), arena_size: 1 << 30, page_size: 4096 };
    let executor = ImageExecutor::new(config).unwrap();
    let linked = link(&registry, &executor, &[Input::from_bytes("packets.o", object)], &NoSymbols, &options);
    capture.image(&linked.unwrap_or_else(|errors| panic!("{errors}"))).unwrap()
}

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
        let Some(object) = compile(&[cpu]) else { return };
        let image = linked(object);
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
