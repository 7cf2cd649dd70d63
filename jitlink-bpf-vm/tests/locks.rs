//! Locks and timers in values of maps: found in the types of a compiled program as the running kernel finds them.
#![cfg(target_os = "linux")]

mod compiled;

use jitlink_arch_bpf::btf::ValueFields;
use jitlink_arch_bpf::image::BpfImage;
use jitlink_arch_bpf::kernel::{KernelError, KernelMap, KernelObject, LoadOptions, TestRun, allowed, load};
use jitlink_bpf_vm::contexts::{Packet, PacketContext};
use jitlink_bpf_vm::helpers::{Host, standard};
use jitlink_bpf_vm::maps::{Map, MapHost, flag};
use jitlink_bpf_vm::vm::{Vm, VmBuilder};
use jitlink_core::Endian;
use std::sync::Arc;

/// The linked program, or none with a message where there is no clang.
fn image(options: &[&str]) -> Option<BpfImage> {
    if cfg!(target_endian = "big") {
        return None;
    }
    let options = [&["--target=bpfel"], options].concat();
    Some(compiled::image(&[compiled::compile("locks.c", &options, include_str!("compiled/locks.c"))?]))
}

fn machine(image: &BpfImage, cpus: usize) -> Vm {
    let host = MapHost { cpus, ..MapHost::default() };
    VmBuilder::new().functions(standard(Arc::new(Host::new()))).map_host(host).build(image).unwrap()
}

#[test]
fn fields_are_found_where_types_have_them() {
    let Some(image) = image(&[]) else { return };
    let fields = |lock, timer| ValueFields { lock, timer };
    for (name, expected) in [
        ("array_first", fields(Some(0), None)),
        ("array_alias", fields(Some(0), None)),
        ("array_both", fields(Some(28), Some(8))),
        ("array_nested", fields(Some(12), None)),
        ("array_one", fields(Some(12), Some(16))),
        ("array_in_union", fields(None, None)),
        ("array_renamed", fields(None, None)),
        ("array_empty", fields(None, Some(8))),
        ("array_plain", fields(None, None)),
    ] {
        let definition = image.maps.iter().find(|definition| definition.name == name).unwrap();
        assert_eq!(definition.fields, expected, "{name}");
    }
    let outer = image.maps.iter().find(|definition| definition.name == "outer").unwrap();
    assert_eq!(outer.inner.as_ref().unwrap().fields, fields(Some(28), Some(8)));
}

/// Values that the kernel does not take as they are: it makes their maps without any fields.
const REFUSED: [&str; 4] = ["several", "repeated", "bits", "misplaced"];

#[test]
fn values_that_the_kernel_refuses_have_no_fields() {
    for name in REFUSED {
        let Some(image) = image(&[&format!("-DONLY={name}")]) else { return };
        assert_eq!(image.maps[0].fields, ValueFields::default(), "{name}");
        let Some(object) = in_kernel(&image) else { return };
        compare(machine(&image, 1).map("only").unwrap(), object.map("only").unwrap());
    }
}

#[test]
fn maps_of_an_image_have_the_locks_and_timers_that_the_kernel_finds() {
    let Some(image) = image(&[]) else { return };
    let Some(object) = in_kernel(&image) else { return };
    let percpu = object.map("percpu_first").unwrap();
    let vm = machine(&image, percpu.value_size() / 16);
    for definition in image.maps.iter().filter(|definition| definition.name != "outer") {
        let (ours, theirs) = (vm.map(&definition.name).unwrap(), object.map(&definition.name).unwrap());
        compare(ours, theirs);
    }
    let inner = vm.map("outer").unwrap().inner_map(&1u32.to_ne_bytes()).unwrap();
    assert!(Arc::ptr_eq(&inner, vm.map("array_both").unwrap()));
}

/// Loads the programs; none where the kernel does not allow it.
fn in_kernel(image: &BpfImage) -> Option<KernelObject> {
    match allowed() {
        Ok(()) => {}
        Err(error) if error.is_not_allowed() => {
            println!("skipped: {error}");
            return None;
        }
        Err(error) => panic!("{error}"),
    }
    Some(
        load(image, &LoadOptions { name: "locks", ..LoadOptions::default() }).unwrap_or_else(|error| panic!("{error}")),
    )
}

/// The same operations on both: a host sees the same bytes, where locks and timers are zero.
fn compare(ours: &Map, theirs: &KernelMap) {
    let name = theirs.name();
    let key = 1u32.to_ne_bytes();
    let failed = |error: KernelError| match error {
        KernelError::Call { source, .. } => source.raw_os_error().unwrap(),
        other => panic!("{name}: {other}"),
    };
    let mut number = 0u8;
    for flags in [flag::ANY, flag::LOCK, flag::EXIST | flag::LOCK, flag::NOEXIST | flag::LOCK, flag::EXIST] {
        number += 0x11;
        let value = vec![number; theirs.value_size()];
        let expected = theirs.update(&key, &value, flags).map_err(failed);
        let result = ours.update(&key, &value, flags).map_err(|error| error.errno.0);
        assert_eq!(result, expected, "{name}: update with flags {flags}");
        let expected = theirs.lookup(&key).unwrap().unwrap();
        assert_eq!(ours.lookup(&key).unwrap(), expected, "{name}: after an update with flags {flags}");
    }
}

#[test]
fn programs_lock_what_their_types_say() {
    let Some(image) = image(&[]) else { return };
    let vm = machine(&image, 1);
    let run = || {
        let packet = Packet::ethernet(vec![0; 64]);
        let mut context =
            PacketContext::new(jitlink_arch_bpf::catalog::programs::ProgramType::Xdp, packet, Endian::Little);
        vm.run(vm.program("counts").unwrap(), context.as_mut().unwrap().as_mut().unwrap()).unwrap()
    };
    assert_eq!((run(), run()), (2, 4));
    let values = |name: &str| vm.map(name).unwrap().lookup_with(&1u32.to_ne_bytes(), flag::LOCK).unwrap();
    assert_eq!(values("array_first"), [[0; 4], 4u32.to_le_bytes(), 6u32.to_le_bytes(), [0; 4]].concat());
    assert_eq!(values("array_nested")[..8], 7u64.to_le_bytes());
    if let Some(object) = in_kernel(&image) {
        let program = object.program("counts").unwrap();
        let runs =
            [(); 2].map(|()| program.test_run(&TestRun { data: &[0; 64], ..TestRun::default() }).unwrap().retval);
        assert_eq!(runs, [2, 4]);
        for name in ["array_first", "array_nested"] {
            assert_eq!(object.map(name).unwrap().lookup(&1u32.to_ne_bytes()).unwrap().unwrap(), values(name), "{name}");
        }
    }
}
