use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;

use crate::maps::{Errno, Map, MapError, MapHost, MapKind, MapSpec, flag, running};

const ALL: [MapKind; 4] = [MapKind::Hash, MapKind::PercpuHash, MapKind::LruHash, MapKind::LruPercpuHash];

fn make(spec: MapSpec) -> Result<Arc<Map>, Errno> {
    Map::new(spec, &MapHost { cpus: 2, ..MapHost::default() }).map_err(|error| error.errno)
}

fn errno<T: std::fmt::Debug>(result: Result<T, MapError>) -> Errno {
    result.unwrap_err().errno
}

#[test]
fn elements_come_and_go_with_the_kernels_numbers() {
    for kind in ALL {
        let map = make(MapSpec::new(kind, 3, 8, 4)).unwrap();
        let value = |byte: u8| vec![byte; map.host_value_size()];
        assert_eq!(errno(map.lookup(b"one")), Errno::NOENT);
        assert_eq!(errno(map.update(b"one", &value(1), flag::EXIST)), Errno::NOENT);
        map.update(b"one", &value(1), flag::NOEXIST).unwrap();
        assert_eq!(errno(map.update(b"one", &value(2), flag::NOEXIST)), Errno::EXIST);
        map.update(b"one", &value(2), flag::EXIST).unwrap();
        assert_eq!(map.lookup(b"one").unwrap(), value(2));
        assert_eq!(errno(map.update(b"one", &value(2), 3)), Errno::INVAL);
        assert_eq!(errno(map.update(b"one", &value(2), flag::LOCK)), Errno::INVAL);
        assert_eq!(errno(map.lookup(b"four")), Errno::INVAL);
        assert_eq!(map.next_key(None).unwrap(), b"one");
        assert_eq!(errno(map.next_key(Some(b"one"))), Errno::NOENT);
        assert_eq!(map.next_key(Some(b"two")).unwrap(), b"one");
        assert_eq!(map.lookup_and_delete(b"one", 0).unwrap(), value(2));
        assert_eq!(errno(map.lookup_and_delete(b"one", 0)), Errno::NOENT);
        assert_eq!(errno(map.delete(b"one")), Errno::NOENT);
        assert_eq!(errno(map.next_key(None)), Errno::NOENT);
    }
}

#[test]
fn full_tables_refuse_and_full_lru_tables_drop_what_was_used_least() {
    for kind in ALL {
        let map = make(MapSpec::new(kind, 4, 8, 4)).unwrap();
        let value = vec![1; map.host_value_size()];
        for key in 0..4u32 {
            map.update(&key.to_ne_bytes(), &value, 0).unwrap();
        }
        assert!(map.find(&0u32.to_ne_bytes(), 0).is_some());
        let fifth = map.update(&4u32.to_ne_bytes(), &value, 0);
        let left: std::collections::BTreeSet<u8> = map.entries().map(|(key, _)| key[0]).collect();
        match kind {
            MapKind::Hash | MapKind::PercpuHash => assert_eq!(errno(fifth), Errno::TOO_BIG),
            _ => assert_eq!((fifth, left), (Ok(()), [0, 2, 3, 4].into())),
        }
        map.update(&3u32.to_ne_bytes(), &value, 0).unwrap();
    }
}

#[test]
fn programs_see_their_own_cpu_and_new_elements_are_zero_elsewhere() {
    let map = make(MapSpec::new(MapKind::PercpuHash, 1, 4, 4)).unwrap();
    map.on_cpu(1).update(b"a", &[7; 4], 0).unwrap();
    assert_eq!(map.lookup(b"a").unwrap(), [0, 0, 0, 0, 0, 0, 0, 0, 7, 7, 7, 7, 0, 0, 0, 0]);
    let at = map.find(b"a", 0).unwrap();
    assert_eq!(map.on_cpu(0).find_on(b"a", 1), Some(at + 8));
    assert_eq!(map.find(b"a", 2), None);
    map.delete(b"a").unwrap();
    map.on_cpu(0).update(b"b", &[6; 4], 0).unwrap();
    assert_eq!(map.lookup(b"b").unwrap(), [6, 6, 6, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn definitions_are_refused_as_the_kernel_does() {
    let of =
        |kind, key_size, value_size, max_entries| make(MapSpec::new(kind, key_size, value_size, max_entries)).err();
    for kind in ALL {
        assert_eq!(of(kind, 0, 1, 1), Some(Errno::INVAL));
        assert_eq!(of(kind, 1, 0, 1), Some(Errno::INVAL));
        assert_eq!(of(kind, 1, 1, 0), Some(Errno::INVAL));
        assert_eq!(of(kind, 1, 4 << 20, 1), Some(Errno::TOO_BIG));
        assert_eq!(of(kind, 1, 8, u32::MAX), Some(Errno::TOO_BIG));
        assert_eq!(of(kind, 1, 8, 1 << 31), Some(Errno::NOMEM));
        assert_eq!(make(MapSpec::new(kind, 1, 1, 1).with_flags(flag::MMAPABLE)).err(), Some(Errno::INVAL));
    }
    let flags = |kind, flags| make(MapSpec::new(kind, 1, 1, 3).with_flags(flags)).map(|map| map.spec().max_entries);
    assert_eq!(flags(MapKind::Hash, flag::NO_COMMON_LRU), Err(Errno::INVAL));
    assert_eq!(flags(MapKind::LruHash, flag::NO_COMMON_LRU), Ok(4));
    assert_eq!(flags(MapKind::LruHash, flag::NO_PREALLOC), Err(Errno::NOTSUPP));
    assert_eq!(flags(MapKind::Hash, flag::NO_PREALLOC | flag::ZERO_SEED), Ok(3));
    assert_eq!(flags(MapKind::PercpuHash, flag::NUMA_NODE), Err(Errno::INVAL));
    assert_eq!(of(MapKind::PercpuHash, 1, (32 << 10) + 1, 1), Some(Errno::TOO_BIG));
}

#[test]
fn what_a_program_may_point_to_stays_as_it_is() {
    let map = make(MapSpec::new(MapKind::Hash, 4, 8, 2)).unwrap();
    let run = running();
    map.update(&[0; 4], &[1; 8], 0).unwrap();
    let at = map.find(&[0; 4], 0).unwrap();
    map.delete(&[0; 4]).unwrap();
    for round in 0..20u32 {
        map.update(&round.to_ne_bytes(), &[9; 8], 0).unwrap();
        map.delete(&round.to_ne_bytes()).unwrap();
    }
    assert_eq!(map.values().unwrap().to_vec(at, 8), [1; 8]);
    drop(run);
    // Without programs, and with ones that never end, elements do not run out.
    let _run = running();
    for round in 0..1000u32 {
        map.update(&round.to_ne_bytes(), &[9; 8], 0).unwrap();
        map.update(&round.to_ne_bytes(), &[8; 8], 0).unwrap();
        map.delete(&round.to_ne_bytes()).unwrap();
    }
}

#[test]
fn timers_end_with_their_element() {
    for kind in [MapKind::Hash, MapKind::LruHash] {
        let map = make(MapSpec { timer_offset: Some(8), ..MapSpec::new(kind, 4, 24, 1) }).unwrap();
        let values = map.values().unwrap();
        let start = |key: u32| {
            map.update(&key.to_ne_bytes(), &[1; 24], 0).unwrap();
            let at = map.find(&key.to_ne_bytes(), 0).unwrap();
            assert_eq!(values.to_vec(at, 24), [[1; 8], [0; 8], [0; 8]].concat());
            values.fill(at + 8, 16, 0xee);
            at + 8
        };
        let _run = running();
        let (deleted, replaced) = (start(1), start(1));
        assert_eq!(values.to_vec(deleted, 16), [0; 16]);
        map.delete(&1u32.to_ne_bytes()).unwrap();
        assert_eq!(values.to_vec(replaced, 16), [0; 16]);
        if kind == MapKind::LruHash {
            let evicted = start(2);
            start(3);
            assert_eq!(values.to_vec(evicted, 16), [0; 16]);
        }
    }
}

#[test]
fn batches_give_each_element_once() {
    let map = make(MapSpec::new(MapKind::Hash, 4, 4, 64)).unwrap();
    let keys: Vec<[u8; 4]> = (0..50u32).map(u32::to_ne_bytes).collect();
    let elements: Vec<(&[u8], &[u8])> = keys.iter().map(|key| (&key[..], &key[..])).collect();
    map.update_batch(&elements, 0).unwrap();
    assert_eq!(map.lookup_batch(None, 1, 0).err().map(|error| error.errno).unwrap_or(Errno::NOSPC), Errno::NOSPC);
    let (mut seen, mut from) = (Vec::new(), None);
    loop {
        let batch = map.lookup_batch(from.as_deref(), 16, 0).unwrap();
        seen.extend(batch.elements.into_iter().map(|(key, value)| (key == value).then_some(key).unwrap()));
        from = batch.next;
        if from.is_none() {
            break;
        }
    }
    seen.sort();
    let mut expected = keys.clone();
    expected.sort();
    assert_eq!(seen, expected);
    let taken = map.lookup_and_delete_batch(None, 64, 0).unwrap();
    assert_eq!((taken.elements.len(), taken.next, map.entries().count()), (50, None, 0));
    assert_eq!(map.delete_batch(&[&[0; 4]], 0).unwrap_err().0, 0);
}

#[derive(Clone, Debug)]
enum Step {
    Update(u8, u8, u64),
    Delete(u8),
    Take(u8),
    Lookup(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..24u8;
    prop_oneof![
        4 => (key.clone(), any::<u8>(), 0..4u64).prop_map(|(key, value, flags)| Step::Update(key, value, flags)),
        2 => key.clone().prop_map(Step::Delete),
        1 => key.clone().prop_map(Step::Take),
        2 => key.prop_map(Step::Lookup),
    ]
}

/// What the kernel documents a hash table to do.
fn model(model: &mut HashMap<u8, u8>, step: &Step) -> Result<Option<u8>, Errno> {
    let full = model.len() == 12;
    match *step {
        Step::Update(.., 3) => Err(Errno::INVAL),
        Step::Update(key, _, flag::NOEXIST) if model.contains_key(&key) => Err(Errno::EXIST),
        Step::Update(key, _, flag::EXIST) if !model.contains_key(&key) => Err(Errno::NOENT),
        Step::Update(key, ..) if full && !model.contains_key(&key) => Err(Errno::TOO_BIG),
        Step::Update(key, value, _) => {
            model.insert(key, value);
            Ok(None)
        }
        Step::Delete(key) => model.remove(&key).map(|_| None).ok_or(Errno::NOENT),
        Step::Take(key) => model.remove(&key).map(Some).ok_or(Errno::NOENT),
        Step::Lookup(key) => model.get(&key).copied().map(Some).ok_or(Errno::NOENT),
    }
}

proptest! {
    #[test]
    fn tables_do_what_a_naive_table_does(steps in proptest::collection::vec(step(), 0..200), percpu: bool, seed: u64) {
        let kind = if percpu { MapKind::PercpuHash } else { MapKind::Hash };
        let map = Map::new(MapSpec::new(kind, 5, 8, 12), &MapHost { seed, ..MapHost::default() }).unwrap();
        let mut naive = HashMap::new();
        for step in &steps {
            let key = |key: u8| [0, key, 0, key, 1];
            let ours = match *step {
                Step::Update(at, value, flags) => map.update(&key(at), &[value; 8], flags).map(|()| None),
                Step::Delete(at) => map.delete(&key(at)).map(|()| None),
                Step::Take(at) => map.lookup_and_delete(&key(at), 0).map(|value| Some(value[0])),
                Step::Lookup(at) => map.lookup(&key(at)).map(|value| Some(value[0])),
            };
            prop_assert_eq!(ours.map_err(|error| error.errno), model(&mut naive, step), "{:?}", step);
        }
        let seen: HashMap<u8, u8> = map.entries().map(|(key, value)| (key[1], value[0])).collect();
        prop_assert_eq!(&seen, &naive);
        let mut walked = 0;
        let mut key = map.next_key(None).ok();
        while let Some(at) = key {
            walked += 1;
            prop_assert!(map.find(&at, 0).is_some());
            key = map.next_key(Some(&at)).ok();
        }
        prop_assert_eq!(walked, naive.len());
    }
}

proptest! {
    #[test]
    fn lru_tables_hold_the_latest_and_nothing_wrong(steps in proptest::collection::vec(step(), 0..300), percpu: bool) {
        let kind = if percpu { MapKind::LruPercpuHash } else { MapKind::LruHash };
        let map = Map::new(MapSpec::new(kind, 1, 8, 6), &MapHost::default()).unwrap();
        let mut naive = HashMap::new();
        for step in &steps {
            match *step {
                Step::Update(key, value, flags) if map.update(&[key], &[value; 8], flags).is_ok() => {
                    naive.insert(key, value);
                    prop_assert_eq!(map.lookup(&[key]).map(|value| value[0]), Ok(value));
                }
                Step::Update(key, _, flags) => {
                    // No update fails because the map is full.
                    let there = map.lookup(&[key]).is_ok();
                    prop_assert!(flags == 3 || flags == flag::NOEXIST && there || flags == flag::EXIST && !there);
                }
                Step::Delete(key) | Step::Take(key) => _ = map.delete(&[key]).map(|()| naive.remove(&key)),
                Step::Lookup(key) => _ = map.find(&[key], 0),
            }
        }
        let seen: HashMap<u8, u8> = map.entries().map(|(key, value)| (key[0], value[0])).collect();
        prop_assert!(seen.len() <= 6);
        prop_assert!(seen.iter().all(|(key, value)| naive.get(key) == Some(value)), "{:?} {:?}", seen, naive);
    }
}

#[test]
fn the_seed_decides_the_order_and_nothing_else_does() {
    let order = |seed, flags| {
        let spec = MapSpec::new(MapKind::Hash, 4, 4, 64).with_flags(flags);
        let map = Map::new(spec, &MapHost { seed, ..MapHost::default() }).unwrap();
        (0..64u32).for_each(|key| map.update(&key.to_ne_bytes(), &[0; 4], 0).unwrap());
        map.entries().map(|(key, _)| key[0]).collect::<Vec<u8>>()
    };
    assert_eq!(order(1, 0), order(1, 0));
    assert_ne!(order(1, 0), order(2, 0));
    assert_eq!(order(1, flag::ZERO_SEED), order(2, flag::ZERO_SEED));
}
