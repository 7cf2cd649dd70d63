use std::sync::Arc;

use crate::maps::{Errno, Map, MapError, MapHost, MapKind, MapSpec, flag};

fn make(spec: MapSpec) -> Result<Arc<Map>, Errno> {
    Map::new(spec, &MapHost { cpus: 2, ..MapHost::default() }).map_err(|error| error.errno)
}

fn errno<T>(result: Result<T, MapError>) -> Result<T, Errno> {
    result.map_err(|error| error.errno)
}

#[test]
fn maps_lead_to_maps_that_look_like_the_template() {
    let array = MapSpec::new(MapKind::Array, 4, 8, 2);
    for kind in [MapKind::ArrayOfMaps, MapKind::HashOfMaps] {
        let spec = MapSpec { inner: Some(Box::new(array.clone())), ..MapSpec::new(kind, 4, 4, 2) };
        let outer = make(spec.clone()).unwrap();
        let inner = make(array.clone()).unwrap();
        let key = 1u32.to_ne_bytes();
        assert!(outer.inner_map(&key).is_none());
        outer.update_map(&key, &inner, 0).unwrap();
        assert_eq!(outer.lookup(&key).unwrap(), inner.id().to_ne_bytes());
        assert_eq!(outer.inner_map(&key).unwrap().id(), inner.id());
        assert_eq!(errno(outer.update(&key, &[0; 4], 0)), Err(Errno::BADF));
        let larger = make(MapSpec { max_entries: 3, ..array.clone() }).unwrap();
        let error = outer.update_map(&key, &larger, 0).unwrap_err();
        assert_eq!(error.to_string(), "the inner map's max_entries is 0x3, and 0x2 in the template (EINVAL)");
        assert_eq!(errno(outer.delete(&key)), Ok(()));
        assert_eq!(errno(outer.delete(&key)), Err(Errno::NOENT));
        assert_eq!(make(MapSpec { inner: None, ..spec.clone() }).err(), Some(Errno::BADF));
        assert_eq!(make(MapSpec { inner: Some(Box::new(spec.clone())), ..spec }).err(), Some(Errno::INVAL));
    }
}

#[test]
fn tables_give_the_numbers_of_the_host() {
    let programs = make(MapSpec::new(MapKind::ProgArray, 4, 4, 3)).unwrap();
    programs.update(&1u32.to_ne_bytes(), &0u32.to_ne_bytes(), 0).unwrap();
    assert_eq!((programs.target(0), programs.target(1), programs.target(3)), (None, Some(0), None));
    assert_eq!(programs.entries().collect::<Vec<_>>(), [(vec![1, 0, 0, 0], vec![0; 4])]);
    assert_eq!(errno(programs.on_cpu(0).update(&[0; 4], &[0; 4], 0)), Err(Errno::PERM));
    assert_eq!(programs.find(&1u32.to_ne_bytes(), 0), None);
    let devices = make(MapSpec::new(MapKind::Devmap, 4, 8, 3)).unwrap();
    devices.update(&2u32.to_ne_bytes(), &[5, 0, 0, 0, 0, 0, 0, 0], 0).unwrap();
    assert_eq!((devices.target(2), devices.find(&2u32.to_ne_bytes(), 0)), (Some(5), Some(16)));
    let devices = make(MapSpec::new(MapKind::DevmapHash, 4, 4, 1)).unwrap();
    devices.update(&77u32.to_ne_bytes(), &6u32.to_ne_bytes(), 0).unwrap();
    assert_eq!(errno(devices.update(&78u32.to_ne_bytes(), &6u32.to_ne_bytes(), 0)), Err(Errno::TOO_BIG));
    assert_eq!((devices.target(77), devices.target(78)), (Some(6), None));
    let sockets = make(MapSpec::new(MapKind::Xskmap, 4, 4, 1)).unwrap();
    assert_eq!(errno(sockets.update(&[0; 4], &[0; 4], flag::EXIST)), Err(Errno::NOENT));
    sockets.update(&[0; 4], &[0; 4], flag::NOEXIST).unwrap();
    assert_eq!(errno(sockets.update(&[0; 4], &[0; 4], flag::NOEXIST)), Err(Errno::EXIST));
    assert_eq!(sockets.target(0), Some(0));
    let cpus = make(MapSpec::new(MapKind::Cpumap, 4, 4, 8)).unwrap();
    assert_eq!(errno(cpus.update(&2u32.to_ne_bytes(), &[1, 0, 0, 0], 0)), Err(Errno::NODEV));
    assert_eq!(errno(cpus.update(&1u32.to_ne_bytes(), &16385u32.to_ne_bytes(), 0)), Err(Errno::OVERFLOW));
}

#[test]
fn channels_are_for_one_cpu_and_count_what_they_lose() {
    let map = make(MapSpec::new(MapKind::PerfEventArray, 4, 4, 4)).unwrap();
    let perf = map.perf().unwrap();
    assert_eq!(errno(perf.output(b"x", 0xffff_ffff, 1)), Err(Errno::NOENT));
    perf.open(0, 40).unwrap();
    perf.open(1, 40).unwrap();
    assert_eq!(errno(perf.open(4, 40)), Err(Errno::TOO_BIG));
    perf.output(b"first", 0xffff_ffff, 1).unwrap();
    assert_eq!(errno(perf.output(b"second", 1, 1)), Err(Errno::NOSPC));
    assert_eq!(errno(perf.output(b"third", 0, 1)), Err(Errno::OPNOTSUPP));
    assert_eq!(errno(perf.output(b"fourth", 4, 1)), Err(Errno::TOO_BIG));
    assert_eq!(errno(perf.output(b"fifth", 1 << 32, 1)), Err(Errno::INVAL));
    assert_eq!((perf.lost(0), perf.lost(1)), (0, 1));
    let mut seen = Vec::new();
    assert_eq!(perf.consume(|cpu, record| seen.push((cpu, record.to_vec()))), 1);
    assert_eq!(seen, [(1, b"first".to_vec())]);
    perf.output(b"sixth", 1, 1).unwrap();
    assert_eq!((errno(map.delete(&[1, 0, 0, 0])), errno(map.delete(&[1, 0, 0, 0]))), (Ok(()), Err(Errno::NOENT)));
    assert_eq!(perf.next(1), None);
}

#[test]
fn objects_get_storage_when_it_is_asked_for() {
    for kind in [MapKind::SkStorage, MapKind::InodeStorage, MapKind::TaskStorage, MapKind::CgrpStorage] {
        let spec = MapSpec::new(kind, 4, 8, 0).with_flags(flag::NO_PREALLOC);
        let map = make(spec.clone()).unwrap();
        assert_eq!(map.storage(7, 0, None), None);
        let at = map.storage(7, 1, Some(&[3; 8])).unwrap();
        assert_eq!(map.values().unwrap().to_vec(at, 8), [3; 8]);
        assert_eq!((map.storage(7, 1, None), map.storage(7, 2, None)), (Some(at), None));
        let other = map.storage(1 << 40, 1, None).unwrap();
        assert_eq!(map.values().unwrap().to_vec(other, 8), [0; 8]);
        assert_eq!(map.lookup(&7u64.to_ne_bytes()).unwrap(), [3; 8]);
        assert_eq!(map.entries().count(), 2);
        map.delete_storage(7).unwrap();
        assert_eq!(errno(map.delete_storage(7)), Err(Errno::NOENT));
        assert_eq!(make(spec.clone().with_flags(0)).err(), Some(Errno::INVAL));
        assert_eq!(make(MapSpec { max_entries: 1, ..spec }).err(), Some(Errno::INVAL));
    }
}

#[test]
fn arenas_give_pages_and_take_them_back() {
    let spec = MapSpec::new(MapKind::Arena, 0, 0, 130).with_flags(flag::MMAPABLE);
    let map = make(spec.clone()).unwrap();
    let arena = map.arena().unwrap();
    assert_eq!(arena.start(), 4096);
    assert_eq!(arena.allocate(0, 2), Some(4096));
    assert_eq!(arena.allocate(0, 1), Some(3 * 4096));
    // At a page of the program's choice: taken, outside, crooked, free.
    assert_eq!(arena.allocate(4096, 1), None);
    assert_eq!(arena.allocate(131 * 4096, 1), None);
    assert_eq!(arena.allocate(5 * 4096 + 8, 1), None);
    assert_eq!(arena.allocate((7 << 32) | (100 * 4096), 31), Some(100 * 4096));
    assert_eq!((arena.allocate(0, 131), arena.allocate(0, 0), arena.allocate(0, 97)), (None, None, None));
    assert_eq!(arena.allocate(0, 96), Some(4 * 4096));
    assert_eq!((arena.allocated(), arena.allocate(0, 1)), (130, None));
    let values = map.values().unwrap();
    values.fill(2 * 4096, 4096, 1);
    arena.free(2 * 4096 + 5, 1);
    arena.free(0, 1);
    arena.free(130 * 4096, u32::MAX);
    assert_eq!(values.to_vec(2 * 4096, 4096), [0; 4096]);
    assert_eq!((arena.allocated(), arena.allocate(0, 2), arena.allocate(0, 1)), (128, None, Some(2 * 4096)));
    let at = |extra, pages| {
        make(MapSpec { extra, max_entries: pages, ..spec.clone() }).map(|map| map.arena().unwrap().start())
    };
    assert_eq!(at(1, 1), Err(Errno::INVAL));
    assert_eq!(at((1 << 44) + 0x10000, 1), Ok(0x10000));
    assert_eq!(at((1 << 44) - 4096, 2), Err(Errno::RANGE));
    assert_eq!(at(0, (1 << 20) + 1), Err(Errno::TOO_BIG));
    assert_eq!(at(0, 1 << 20), Err(Errno::NOMEM));
}
