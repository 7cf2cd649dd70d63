use proptest::collection::vec;
use proptest::prelude::*;

use crate::maps::{Map, MapHost, MapKind, MapSpec, flag};

/// Numbers at which something may break.
fn number() -> impl Strategy<Value = u32> {
    let borders =
        [0, 1, 3, 4, 5, 7, 8, 9, 16, 63, 64, 260, 4096, 32768, 1 << 20, 1 << 22, 1 << 31, (1 << 31) + 1, u32::MAX];
    prop_oneof![4 => proptest::sample::select(borders.to_vec()), 1 => any::<u32>()]
}

fn flags() -> impl Strategy<Value = u32> {
    let known = vec![0, 0, 0, 1, 1, 2, 3, 0x40, 0x80, 0x100, 0x200, 0x400, 0x1000, 0x20401];
    prop_oneof![8 => proptest::sample::select(known), 1 => any::<u32>()]
}

fn offset() -> impl Strategy<Value = Option<u32>> {
    prop_oneof![6 => Just(None), 1 => number().prop_map(Some)]
}

/// A definition of anything.
fn any_spec() -> impl Strategy<Value = MapSpec> {
    let parts = (0..36u32, number(), number(), number(), flags(), number(), offset(), offset());
    parts.prop_map(|(kind, key_size, value_size, max_entries, flags, extra, lock_offset, timer_offset)| {
        let inner = Some(Box::new(MapSpec::new(MapKind::Array, 4, value_size, max_entries)));
        let extra = u64::from(extra) << (extra % 32);
        let sizes = MapSpec { kind, key_size, value_size, max_entries, flags, extra, ..MapSpec::default() };
        MapSpec { inner, lock_offset, timer_offset, ..sizes }
    })
}

/// A definition that there is likely to be.
fn likely_spec() -> impl Strategy<Value = MapSpec> {
    let kinds: Vec<MapKind> = (0..36).filter_map(|number| MapKind::from_number(number).ok()).collect();
    (proptest::sample::select(kinds), 1..9u32, 1..40u32, offset()).prop_map(|(kind, entries, size, lock_offset)| {
        let spec = |key, value, entries, flags| MapSpec::new(kind, key, value, entries).with_flags(flags);
        let inner = Some(Box::new(MapSpec::new(MapKind::Array, 4, size, entries)));
        let spec = match kind.number() {
            22 | 23 | 30 => spec(0, size, entries, 0),
            27 | 31 => spec(0, 0, 4096, 0),
            33 => spec(0, 0, entries, flag::MMAPABLE),
            24 | 28 | 29 | 32 => spec(4, size, 0, flag::NO_PREALLOC),
            11 => spec(4 + size, size, entries, flag::NO_PREALLOC),
            3 | 4 | 12 | 13 | 14 | 16 | 17 | 25 => spec(4, 4, entries, 0),
            1 | 5 | 9 | 10 => spec(size, size, entries, 0),
            _ => spec(4, size, entries, 0),
        };
        MapSpec { inner, lock_offset, ..spec }
    })
}

/// A step: which, two numbers, and bytes of any length.
type Step = (u8, u64, u64, Vec<u8>, Vec<u8>);

fn step(map: &Map, (which, one, two, key, value): &Step) {
    // Half of the time with the right lengths, so that more than the checks runs.
    let sized = |bytes: &[u8], len: usize| {
        if one % 2 == 0 { bytes.iter().copied().cycle().take(len).collect() } else { bytes.to_vec() }
    };
    let key: Vec<u8> = sized(&[&key[..], &[0]].concat(), map.key_size());
    let (host, program) = (sized(&[&value[..], &[0]].concat(), map.host_value_size()), map.on_cpu(*two as usize % 3));
    let mut own: Vec<u8> = sized(&[&value[..], &[0]].concat(), map.spec().value_size as usize);
    match which % 24 {
        0 => _ = map.lookup_with(&key, *two),
        1 => _ = map.update(&key, &host, *two),
        2 => _ = map.update(&key, &host, 0),
        3 => _ = map.delete(&key),
        4 => _ = map.next_key(Some(&key)),
        5 => _ = map.lookup_and_delete(&key, *two),
        6 => _ = program.update(&key, &own, *two),
        7 => _ = program.update(&key, &own, 0),
        8 => _ = (program.find(&key), program.find_on(&key, *one as usize)),
        9 => _ = program.push(&own, *two),
        10 => _ = (program.peek(&mut own), program.pop(&mut own)),
        11 => _ = map.lookup_batch(Some(&key), *two as usize % 20, *one % 8),
        12 => _ = map.lookup_and_delete_batch(None, *two as usize % 20, 0),
        13 => _ = map.update_batch(&[(&key, &host)], *one % 8),
        14 => _ = map.storage(*two, *one % 3, Some(&own)),
        15 => _ = map.delete_storage(*two),
        16 => _ = map.contains(&own),
        17 => _ = map.ring().map(|ring| (ring.reserve(*one), ring.reserve(*two % 300))),
        18 => _ = map.ring().map(|ring| (ring.submit(*two as usize % 5000, *one), ring.discard(*one as usize, *two))),
        19 => _ = map.ring().map(|ring| (ring.output(&own, *two % 4), ring.consume(|_| ()), ring.release())),
        20 => _ = map.arena().map(|arena| arena.allocate(*one << 12, *two as u32 % 9)),
        21 => _ = map.arena().map(|arena| (arena.free(*one, *two as u32), arena.allocate(0, 1))),
        22 => {
            _ = map.perf().map(|perf| (perf.open(*two as u32 % 9, *one as usize % 999), perf.output(&own, *two % 9, 0)))
        }
        _ => assert!(map.entries().count() <= 1 << 20),
    }
    if let Some(target) = map.target(*two as u32) {
        assert!(matches!(map.kind().number(), 3 | 14 | 16 | 17 | 25), "{target}");
    }
}

fn some_bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn nothing_that_is_asked_for_does_harm(
        spec in prop_oneof![3 => likely_spec(), 1 => any_spec()],
        cpus in 0..4usize,
        memory in prop_oneof![4 => Just(1 << 22), 1 => number()],
        steps in vec((any::<u8>(), any::<u64>(), any::<u64>(), some_bytes(), some_bytes()), 0..60),
    ) {
        let host = MapHost { cpus, memory: u64::from(memory).min(1 << 22), seed: 1 };
        if let Ok(map) = Map::new(spec, &host) {
            let bytes = map.values().map_or(0, |values| values.len());
            prop_assert!(bytes <= 1 << 22);
            steps.iter().for_each(|each| step(&map, each));
            let mut cursor = 0;
            while let Some(elements) = map.on_cpu(1).step(&mut cursor) {
                prop_assert!(elements.iter().all(|element| element.offset < bytes.max(1)));
            }
            if map.kind() == MapKind::Hash && map.spec().has(flag::RDONLY) {
                prop_assert_eq!(map.entries().count(), 0);
            }
        }
    }
}
