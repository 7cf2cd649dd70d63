use crate::maps::{Errno, Map, MapHost, MapKind, MapSpec, flag};

fn make(spec: MapSpec) -> Result<std::sync::Arc<Map>, Errno> {
    Map::new(spec, &MapHost { cpus: 2, ..MapHost::default() }).map_err(|error| error.errno)
}

fn array(flags: u32) -> MapSpec {
    MapSpec::new(MapKind::Array, 4, 5, 3).with_flags(flags)
}

fn errno<T: std::fmt::Debug>(result: Result<T, crate::maps::MapError>) -> Errno {
    result.unwrap_err().errno
}

#[test]
fn elements_exist_from_the_start_and_cannot_go() {
    let map = make(array(0)).unwrap();
    let key = |index: u32| index.to_ne_bytes();
    assert_eq!(map.lookup(&key(2)).unwrap(), [0; 5]);
    map.update(&key(2), &[1, 2, 3, 4, 5], flag::ANY).unwrap();
    map.update(&key(2), &[1, 2, 3, 4, 6], flag::EXIST).unwrap();
    assert_eq!(map.lookup(&key(2)).unwrap(), [1, 2, 3, 4, 6]);
    assert_eq!(map.find(&key(2), 0), Some(16));
    assert_eq!(map.find(&key(3), 0), None);
    assert_eq!(errno(map.update(&key(2), &[0; 5], flag::NOEXIST)), Errno::EXIST);
    assert_eq!(errno(map.update(&key(3), &[0; 5], flag::NOEXIST)), Errno::TOO_BIG);
    assert_eq!(errno(map.update(&key(2), &[0; 5], 3)), Errno::INVAL);
    assert_eq!(errno(map.update(&key(2), &[0; 5], flag::LOCK)), Errno::INVAL);
    assert_eq!(errno(map.update(&key(2), &[0; 4], 0)), Errno::INVAL);
    assert_eq!(errno(map.lookup(&key(3))), Errno::NOENT);
    assert_eq!(errno(map.lookup(&[0; 3])), Errno::INVAL);
    assert_eq!(errno(map.delete(&key(0))), Errno::INVAL);
    assert_eq!(errno(map.lookup_and_delete(&key(0), 0)), Errno::NOTSUPP);
    assert_eq!(map.next_key(None).unwrap(), key(0));
    assert_eq!(map.next_key(Some(&key(0))).unwrap(), key(1));
    assert_eq!(map.next_key(Some(&key(7))).unwrap(), key(0));
    assert_eq!(errno(map.next_key(Some(&key(2)))), Errno::NOENT);
    assert_eq!(map.entries().map(|(key, _)| key[0]).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(map.array_shape(), Some((3, 8)));
}

#[test]
fn values_of_all_cpus_lie_behind_each_other() {
    let map = make(MapSpec::new(MapKind::PercpuArray, 4, 5, 3)).unwrap();
    let key = 1u32.to_ne_bytes();
    map.on_cpu(1).update(&key, &[9; 5], 0).unwrap();
    assert_eq!(map.lookup(&key).unwrap(), [0, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9, 9, 0, 0, 0]);
    assert_eq!((map.find(&key, 0), map.find(&key, 1), map.find(&key, 2)), (Some(16), Some(24), None));
    map.update(&key, &(0..16).collect::<Vec<u8>>(), 0).unwrap();
    assert_eq!(map.values().unwrap().to_vec(24, 5), [8, 9, 10, 11, 12]);
    assert_eq!(map.host_value_size(), 16);
    assert_eq!(errno(map.update(&key, &[0; 5], 0)), Errno::INVAL);
    let elements = map.on_cpu(1).step(&mut 0).unwrap();
    assert_eq!(elements.iter().map(|element| element.offset).collect::<Vec<_>>(), [8, 24, 40]);
}

#[test]
fn definitions_are_refused_as_the_kernel_does() {
    let of =
        |key_size, value_size, max_entries| make(MapSpec::new(MapKind::Array, key_size, value_size, max_entries)).err();
    assert_eq!(of(8, 4, 1), Some(Errno::INVAL));
    assert_eq!(of(4, 0, 1), Some(Errno::INVAL));
    assert_eq!(of(4, 4, 0), Some(Errno::INVAL));
    assert_eq!(of(4, 1 << 31, 1), Some(Errno::TOO_BIG));
    assert_eq!(of(4, 4, u32::MAX), Some(Errno::NOMEM));
    for flags in [flag::NO_PREALLOC, flag::PRESERVE_ELEMS, flag::ZERO_SEED, 1 << 31, flag::RDONLY | flag::WRONLY] {
        assert_eq!(make(array(flags)).err(), Some(Errno::INVAL), "{flags:#x}");
    }
    assert_eq!(make(array(flag::RDONLY_PROG | flag::WRONLY_PROG)).err(), Some(Errno::INVAL));
    assert_eq!(make(MapSpec { extra: 1, ..array(0) }).err(), Some(Errno::INVAL));
    assert_eq!(make(MapSpec { numa_node: 77, ..array(flag::NUMA_NODE) }).err(), Some(Errno::INVAL));
    let percpu = MapSpec::new(MapKind::PercpuArray, 4, 4, 1);
    assert_eq!(make(percpu.clone().with_flags(flag::MMAPABLE)).err(), Some(Errno::INVAL));
    assert_eq!(make(MapSpec { value_size: (32 << 10) + 1, ..percpu }).err(), Some(Errno::TOO_BIG));
    let error = Map::new(MapSpec { kind: 7, ..array(0) }, &MapHost::default()).unwrap_err();
    assert_eq!(error.to_string(), "there are no maps of type stack_trace (7) here (EINVAL)");
}

#[test]
fn who_may_not_read_or_write_is_told() {
    let key = [0; 4];
    let map = make(array(flag::RDONLY)).unwrap();
    assert_eq!(errno(map.update(&key, &[0; 5], 0)), Errno::PERM);
    assert_eq!(errno(map.freeze()), Errno::PERM);
    let map = make(array(flag::WRONLY)).unwrap();
    assert_eq!(errno(map.lookup(&key)), Errno::PERM);
    assert_eq!(errno(map.next_key(None)), Errno::PERM);
    let map = make(array(flag::RDONLY_PROG)).unwrap();
    assert_eq!(errno(map.on_cpu(0).update(&key, &[1; 5], 0)), Errno::PERM);
    assert_eq!(map.program_access(), (true, false));
    let map = make(array(0)).unwrap();
    map.freeze().unwrap();
    assert_eq!(errno(map.update(&key, &[1; 5], 0)), Errno::PERM);
    assert_eq!(errno(map.freeze()), Errno::PERM);
    map.on_cpu(0).update(&key, &[1; 5], 0).unwrap();
    assert_eq!(map.lookup(&key).unwrap(), [1; 5]);
}

#[test]
fn locks_and_timers_in_values_are_not_data() {
    let spec = MapSpec { lock_offset: Some(4), timer_offset: Some(16), ..MapSpec::new(MapKind::Array, 4, 40, 1) };
    let map = make(spec).unwrap();
    let values = map.values().unwrap();
    values.fill(0, 40, 0xee);
    crate::maps::spin::unlock(values, 4);
    map.update(&[0; 4], &[1; 40], flag::LOCK).unwrap();
    let mut expected = [1; 40];
    expected[4..8].fill(0);
    // The update ends the timer.
    expected[16..32].fill(0);
    assert_eq!(values.to_vec(0, 40), expected);
    assert_eq!(map.lookup_with(&[0; 4], flag::LOCK).unwrap(), expected);
    assert!(crate::maps::spin::try_lock(values, 4));
    assert_eq!(errno(map.freeze()), Errno::NOTSUPP);
}
