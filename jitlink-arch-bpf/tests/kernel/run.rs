//! Programs do what their sources say.

use crate::kit::{compile, link, may_load};
use jitlink_arch_bpf::kernel::{KernelObject, LoadOptions, TestRun, load};

fn run(object: &KernelObject, program: &str, packet: &[u8]) -> u32 {
    let program = object.program(program).unwrap_or_else(|| panic!("no program {program}"));
    program.test_run(&TestRun { data: packet, ..TestRun::default() }).unwrap().retval
}

/// An IPv4 packet of a protocol, so long with its header.
fn packet(protocol: u8, len: usize) -> Vec<u8> {
    let mut packet = vec![0; len];
    packet[12..14].copy_from_slice(&[8, 0]);
    packet[14] = 0x45;
    packet[23] = protocol;
    packet
}

#[test]
fn packets_are_counted() {
    if !may_load() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for cpu in ["v1", "v2", "v3", "v4"] {
        let Some(path) = compile("packets", cpu, folder.path()) else { return };
        let image = link("packets.o", std::fs::read(path).unwrap());
        let object = load(&image, &LoadOptions { name: "packets", ..LoadOptions::default() }).unwrap();
        assert_eq!(object.notes(), [""; 0]);
        assert_eq!(run(&object, "count_tc", &packet(6, 60)), 1);
        assert_eq!(run(&object, "count_xdp", &packet(6, 100)), 2, "XDP_PASS");
        assert_eq!(run(&object, "count_xdp", &[0; 20]), 1, "XDP_DROP");
        let counters = object.map("by_protocol").unwrap().lookup(&6u32.to_ne_bytes()).unwrap().unwrap();
        assert_eq!(counters, [2u64.to_ne_bytes(), 160u64.to_ne_bytes()].concat());
        let total = object.map(".bss").unwrap().lookup(&[0; 4]).unwrap().unwrap();
        assert_eq!(total, 180u64.to_ne_bytes());
        let sizes = object.map("sizes").unwrap().lookup(&[0; 4]).unwrap().unwrap();
        let sum: u64 = sizes.chunks_exact(8).map(|cpu| u64::from_ne_bytes(cpu.try_into().unwrap())).sum();
        assert_eq!(sum, 2, "packets of less than 64 bytes");
        assert_eq!(object.map(".data.marks").unwrap().value_size(), 16);
    }
}

#[test]
fn calls_of_every_kind_come_back_as_they_should() {
    if !may_load() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let Some(path) = compile("control", "v3", folder.path()) else { return };
    let image = link("control.o", std::fs::read(path).unwrap());
    let object = load(&image, &LoadOptions::default()).unwrap();
    object.map("right").unwrap().update(&[0; 4], &7i32.to_ne_bytes(), 0).unwrap();
    assert_eq!(run(&object, "jump", &packet(6, 60)), 1007);
    // What the source computes: sums and calls start from zero.
    let (mut sums, mut calls, mut sum) = ([0i32; 8], 0, 5);
    let mut leaf = |sums: &[i32; 8], x: i32| {
        calls += 1;
        sums[(x & 7) as usize] + calls - 1
    };
    for index in 0..10 {
        let middle = leaf(&sums, index) * 3 + leaf(&sums, index + 1);
        sum += middle - leaf(&sums, index + 2);
        sums[(index & 7) as usize] = index;
    }
    assert_eq!(run(&object, "loops", &packet(6, 60)), sum as u32);
}
