//! Maps whose values stand for objects: the kernel takes descriptors where our host gives numbers or maps.

use std::net::UdpSocket;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use jitlink_bpf_vm::maps::{Map, MapHost, MapKind, MapResult, MapSpec, flag};

use crate::sys::{Attributes, Dice, Failed, KernelMap, allowed, bpf, cpus, descriptor, types_with_lock};

/// Flags of an update, most of them none.
const FLAGS: [u64; 9] = [0, 0, 0, 0, 1, 2, 3, 4, 8];

fn errno<T>(result: MapResult<T>) -> Result<T, Failed> {
    result.map_err(|error| error.errno.0)
}

fn host() -> MapHost {
    MapHost { cpus: cpus(), ..MapHost::default() }
}

fn both(spec: &MapSpec) -> (Arc<Map>, KernelMap) {
    (Map::new(spec.clone(), &host()).unwrap(), KernelMap::new(spec, None, None).unwrap())
}

/// A program that returns zero, and its id.
fn program() -> Result<(OwnedFd, u32), Failed> {
    let mut code = [0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
    let mut license = *b"GPL\0";
    let attributes = Attributes::new().u32(0, 1).u32(4, 2).pointer(8, Some(&mut code)).pointer(16, Some(&mut license));
    let fd = descriptor(5, &mut { attributes })?;
    let mut info = [0; 232];
    let length = info.len() as u32;
    let attributes = Attributes::new().u32(0, fd.as_raw_fd() as u32).u32(4, length).pointer(8, Some(&mut info));
    bpf(15, &mut { attributes })?;
    Ok((fd, u32::from_ne_bytes(info[4..8].try_into().unwrap())))
}

#[test]
fn tables_of_devices_and_cpus_do_the_same() {
    if !allowed() {
        return;
    }
    for kind in [MapKind::Devmap, MapKind::DevmapHash, MapKind::Cpumap] {
        for size in [4, 8] {
            let spec = MapSpec::new(kind, 4, size, 3);
            let mut dice = Dice(u64::from(size));
            let (ours, theirs) = both(&spec);
            for _ in 0..if kind == MapKind::Cpumap { 60 } else { 500 } {
                let key = (dice.below(5) as u32).to_ne_bytes();
                // The interface that each system has, or a queue; and no program, which may be said in several ways.
                let first = dice.pick(if kind == MapKind::Cpumap { &[0u32, 64, 16385] } else { &[0, 1] });
                let second = dice.pick(if first == 0 { &[0i32, -1, 7] } else { &[0, -1] });
                let value = [first.to_ne_bytes(), second.to_ne_bytes()].concat()[..size as usize].to_vec();
                let flags = dice.pick(&FLAGS);
                let (what, ours, theirs) = match dice.below(5) {
                    0 | 1 => (
                        "update",
                        errno(ours.update(&key, &value, flags)).map(|()| vec![]),
                        theirs.update(&key, &value, flags).map(|()| vec![]),
                    ),
                    2 => ("lookup", errno(ours.lookup(&key)), theirs.lookup(&key, 0)),
                    3 => ("delete", errno(ours.delete(&key)).map(|()| vec![]), theirs.delete(&key).map(|()| vec![])),
                    _ if kind == MapKind::DevmapHash => {
                        ("first", errno(ours.next_key(None)).map(|_| vec![]), theirs.next_key(None).map(|_| vec![]))
                    }
                    _ => ("next", errno(ours.next_key(Some(&key))), theirs.next_key(Some(&key))),
                };
                assert_eq!(ours, theirs, "ours, the kernel's: {what} {key:?} {value:?} {flags} of {spec:?}");
            }
        }
    }
}

#[test]
fn tables_of_programs_and_sockets_do_the_same() {
    if !allowed() {
        return;
    }
    let (program, id) = program().unwrap();
    for kind in [MapKind::ProgArray, MapKind::Xskmap, MapKind::PerfEventArray] {
        let spec = MapSpec::new(kind, 4, 4, 3);
        let mut dice = Dice(2);
        let (ours, theirs) = both(&spec);
        for _ in 0..400 {
            let key = (dice.below(5) as u32).to_ne_bytes();
            let flags = dice.pick(&FLAGS);
            let (what, ours, theirs) = match dice.below(5) {
                0 | 1 if kind == MapKind::ProgArray => {
                    let fd = program.as_raw_fd().to_ne_bytes();
                    (
                        "update",
                        errno(ours.update(&key, &id.to_ne_bytes(), flags)).map(|()| vec![]),
                        theirs.update(&key, &fd, flags).map(|()| vec![]),
                    )
                }
                0 | 1 => {
                    // Without a socket or an event, only refusals that come before are the same.
                    let theirs = theirs.update(&key, &u32::MAX.to_ne_bytes(), flags);
                    if theirs == Err(libc::EBADF) {
                        continue;
                    }
                    ("update", errno(ours.update(&key, &[0; 4], flags)).map(|()| vec![]), theirs.map(|()| vec![]))
                }
                2 => ("lookup", errno(ours.lookup(&key)), theirs.lookup(&key, 0)),
                3 => ("delete", errno(ours.delete(&key)).map(|()| vec![]), theirs.delete(&key).map(|()| vec![])),
                _ => ("next", errno(ours.next_key(Some(&key))), theirs.next_key(Some(&key))),
            };
            assert_eq!(ours, theirs, "ours, the kernel's: {what} {key:?} {flags} of {spec:?}");
        }
    }
}

/// Templates and inner maps: all types that need nothing else, with differences of one property.
fn inner_specs() -> Vec<MapSpec> {
    let array = MapSpec::new(MapKind::Array, 4, 8, 4);
    let hash = MapSpec::new(MapKind::Hash, 4, 8, 4);
    vec![
        array.clone(),
        MapSpec { max_entries: 5, ..array.clone() },
        MapSpec { value_size: 4, ..array.clone() },
        array.clone().with_flags(flag::INNER_MAP),
        MapSpec { max_entries: 5, ..array.clone().with_flags(flag::INNER_MAP) },
        array.with_flags(flag::RDONLY_PROG),
        MapSpec { key_size: 8, ..hash.clone() },
        MapSpec { max_entries: 5, ..hash.clone() },
        hash.clone().with_flags(flag::NO_PREALLOC),
        hash,
        MapSpec::new(MapKind::PercpuArray, 4, 8, 4),
        MapSpec::new(MapKind::PercpuArray, 4, 8, 5),
        MapSpec::new(MapKind::LruHash, 4, 8, 4),
        MapSpec::new(MapKind::PercpuHash, 4, 8, 4),
        MapSpec::new(MapKind::LpmTrie, 8, 8, 4).with_flags(flag::NO_PREALLOC),
        MapSpec::new(MapKind::Queue, 0, 8, 4),
        MapSpec::new(MapKind::Queue, 0, 8, 5),
        MapSpec::new(MapKind::Ringbuf, 0, 0, 4096),
        MapSpec::new(MapKind::Ringbuf, 0, 0, 8192),
        MapSpec::new(MapKind::BloomFilter, 0, 8, 4),
        MapSpec::new(MapKind::ProgArray, 4, 4, 4),
        MapSpec::new(MapKind::PerfEventArray, 4, 4, 4),
        MapSpec::new(MapKind::PerfEventArray, 4, 4, 5),
        MapSpec::new(MapKind::Devmap, 4, 4, 4),
        MapSpec::new(MapKind::Devmap, 4, 4, 5),
        MapSpec::new(MapKind::DevmapHash, 4, 4, 4),
        MapSpec::new(MapKind::Cpumap, 4, 4, 2),
        MapSpec::new(MapKind::Xskmap, 4, 4, 4),
        MapSpec::new(MapKind::Xskmap, 4, 4, 5),
        MapSpec::new(MapKind::UserRingbuf, 0, 0, 4096),
        MapSpec::new(MapKind::Arena, 0, 0, 4).with_flags(flag::MMAPABLE),
    ]
}

#[test]
fn maps_of_maps_take_the_same_inner_maps() {
    if !allowed() {
        return;
    }
    let inner: Vec<(Arc<Map>, KernelMap)> = inner_specs().iter().map(both).collect();
    for kind in [MapKind::ArrayOfMaps, MapKind::HashOfMaps] {
        for (template, kernel_template) in &inner {
            let spec = MapSpec { inner: Some(Box::new(template.spec().clone())), ..MapSpec::new(kind, 4, 4, 4) };
            let ours = Map::new(spec.clone(), &host());
            let theirs = KernelMap::new(&spec, None, Some(kernel_template));
            let created = (ours.as_ref().map(|_| ()).map_err(|error| error.errno.0), theirs.as_ref().map(|_| ()));
            assert_eq!(created.0, created.1.map_err(|errno| *errno), "ours, the kernel's: {spec:?}");
            let (Ok(ours), Ok(theirs)) = (ours, theirs) else { continue };
            for (map, kernel_map) in &inner {
                let (key, fd) = (1u32.to_ne_bytes(), kernel_map.fd.as_raw_fd().to_ne_bytes());
                let results = (errno(ours.update_map(&key, map, 0)), theirs.update(&key, &fd, 0));
                assert_eq!(results.0, results.1, "ours, the kernel's: {:?} in {spec:?}", map.spec());
            }
        }
    }
}

#[test]
fn maps_of_maps_do_the_same() {
    if !allowed() {
        return;
    }
    let inner: Vec<(Arc<Map>, KernelMap)> = inner_specs()[..3].iter().map(both).collect();
    for (kind, flags) in [(MapKind::ArrayOfMaps, 0), (MapKind::HashOfMaps, 0), (MapKind::HashOfMaps, flag::NO_PREALLOC)]
    {
        let template = Some(Box::new(inner_specs()[0].clone()));
        let spec = MapSpec { inner: template, ..MapSpec::new(kind, 4, 4, 3).with_flags(flags) };
        let (ours, theirs) =
            (Map::new(spec.clone(), &host()).unwrap(), KernelMap::new(&spec, None, Some(&inner[0].1)).unwrap());
        let mut dice = Dice(4);
        for _ in 0..600 {
            let key = (dice.below(5) as u32).to_ne_bytes();
            let flags = dice.pick(&FLAGS);
            // The others do not fit the template.
            let (map, kernel_map) = &inner[dice.pick(&[0, 0, 0, 0, 1, 2])];
            let (what, ours, theirs) = match dice.below(7) {
                0..3 => (
                    "update",
                    errno(ours.update_map(&key, map, flags)),
                    theirs.update(&key, &kernel_map.fd.as_raw_fd().to_ne_bytes(), flags),
                ),
                3 => {
                    assert_eq!(ours.inner_map(&key).is_some(), ours.lookup(&key).is_ok());
                    ("lookup", errno(ours.lookup(&key)).map(|_| ()), theirs.lookup(&key, 0).map(|_| ()))
                }
                4 => ("delete", errno(ours.delete(&key)), theirs.delete(&key)),
                5 => ("take", errno(ours.lookup_and_delete(&key, 0)).map(|_| ()), theirs.take(&key, 0).map(|_| ())),
                _ => ("first", errno(ours.next_key(None)).map(|_| ()), theirs.next_key(None).map(|_| ())),
            };
            assert_eq!(ours, theirs, "ours, the kernel's: {what} {key:?} {flags} of {spec:?}");
        }
    }
}

#[test]
fn storage_of_sockets_does_the_same() {
    if !allowed() {
        return;
    }
    let sockets: Vec<UdpSocket> = (0..4).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let types = types_with_lock().unwrap();
    let spec =
        MapSpec { lock_offset: Some(4), ..MapSpec::new(MapKind::SkStorage, 4, 40, 0).with_flags(flag::NO_PREALLOC) };
    let ours = Map::new(spec.clone(), &host()).unwrap();
    let theirs = KernelMap::new(&spec, Some(&types), None).unwrap();
    let mut dice = Dice(6);
    for _ in 0..1000 {
        let object = dice.below(4);
        let (key, fd) = (object.to_ne_bytes(), sockets[object as usize].as_raw_fd().to_ne_bytes());
        let (value, flags) = (dice.bytes(40), dice.pick(&[0, 0, 0, 1, 2, 3, 4, 5, 6, 8]));
        let none = |()| vec![];
        let (what, ours, theirs) = match dice.below(6) {
            0 | 1 => (
                "update",
                errno(ours.update(&key, &value, flags)).map(none),
                theirs.update(&fd, &value, flags).map(none),
            ),
            2 => ("lookup", errno(ours.lookup_with(&key, flags)), theirs.lookup(&fd, flags)),
            3 => ("delete", errno(ours.delete(&key)).map(none), theirs.delete(&fd).map(none)),
            4 => ("take", errno(ours.lookup_and_delete(&key, 0)), theirs.take(&fd, 0)),
            _ => ("next", errno(ours.next_key(None)), theirs.next_key(None)),
        };
        assert_eq!(ours, theirs, "ours, the kernel's: {what} {object} {flags} of {spec:?}");
    }
}

#[test]
fn the_same_types_have_operations_on_many_elements() {
    if !allowed() {
        return;
    }
    let array = MapSpec::new(MapKind::Array, 4, 8, 4);
    let inner = KernelMap::new(&array, None, None).unwrap();
    let mut specs = inner_specs();
    for kind in [MapKind::ArrayOfMaps, MapKind::HashOfMaps] {
        specs.push(MapSpec { inner: Some(Box::new(array.clone())), ..MapSpec::new(kind, 4, 4, 4) });
    }
    for spec in specs {
        let (ours, theirs) =
            (Map::new(spec.clone(), &host()).unwrap(), KernelMap::new(&spec, None, Some(&inner)).unwrap());
        let refused = |error: jitlink_bpf_vm::maps::MapError| error.errno.0;
        for command in [24, 25] {
            let batch =
                if command == 24 { ours.lookup_batch(None, 8, 0) } else { ours.lookup_and_delete_batch(None, 8, 0) };
            let result = batch.map_err(refused).and_then(|batch| batch.next.map(|_| ()).ok_or(libc::ENOENT));
            assert_eq!(result, theirs.get_batch(command, 8, 0).1, "ours, the kernel's: batch {command} of {spec:?}");
        }
        let (key, value) = (vec![0; ours.key_size()], vec![0; ours.host_value_size()]);
        let pair = vec![(key.clone(), value.clone())];
        let deleted = ours.delete_batch(&[&key], 0).map_err(|(_, error)| refused(error));
        assert_eq!(deleted, theirs.put_batch(27, &pair, 0).1, "ours, the kernel's: delete batch of {spec:?}");
        // Which descriptors there are is not compared.
        let descriptor = |result: &Result<(), Failed>| matches!(result, Err(libc::EBADF | libc::EINVAL));
        let updated = ours.update_batch(&[(&key, &value)], 0).map_err(|(_, error)| refused(error));
        let expected = theirs.put_batch(26, &pair, 0).1;
        let same = updated == expected || descriptor(&updated) && descriptor(&expected);
        assert!(same, "ours, the kernel's: {updated:?} {expected:?}, update batch of {spec:?}");
    }
}
