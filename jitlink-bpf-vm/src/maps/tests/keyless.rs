use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::maps::{Errno, Map, MapHost, MapKind, MapSpec, flag};

fn refused(spec: MapSpec) -> Option<Errno> {
    Map::new(spec, &MapHost::default()).err().map(|error| error.errno)
}

#[test]
fn definitions_are_refused_as_the_kernel_does() {
    for kind in [MapKind::Queue, MapKind::Stack, MapKind::BloomFilter] {
        assert_eq!(refused(MapSpec::new(kind, 0, 4, 4)), None);
        assert_eq!(refused(MapSpec::new(kind, 4, 4, 4)), Some(Errno::INVAL));
        assert_eq!(refused(MapSpec::new(kind, 0, 0, 4)), Some(Errno::INVAL));
        assert_eq!(refused(MapSpec::new(kind, 0, 4, 0)), Some(Errno::INVAL));
        assert_eq!(refused(MapSpec::new(kind, 0, 4, 4).with_flags(flag::NO_PREALLOC)), Some(Errno::INVAL));
        assert_eq!(refused(MapSpec::new(kind, 0, (4 << 20) + 1, 1)), Some(Errno::TOO_BIG));
    }
    assert_eq!(refused(MapSpec { extra: 16, ..MapSpec::new(MapKind::BloomFilter, 0, 4, 4) }), Some(Errno::INVAL));
    assert_eq!(refused(MapSpec { extra: 15, ..MapSpec::new(MapKind::BloomFilter, 0, 4, 4) }), None);
    assert_eq!(refused(MapSpec::new(MapKind::Queue, 0, 8, u32::MAX)), Some(Errno::NOMEM));
}

#[test]
fn filters_have_what_was_added_and_little_else() {
    for hashes in [0, 3, 15] {
        let spec = MapSpec { extra: hashes, ..MapSpec::new(MapKind::BloomFilter, 0, 8, 10_000) };
        let map = Map::new(spec, &MapHost::default()).unwrap();
        (0..10_000u64).for_each(|value| map.update(&[], &value.to_ne_bytes(), 0).unwrap());
        assert!((0..10_000u64).all(|value| map.contains(&value.to_ne_bytes()).is_ok()));
        let wrong = (10_000..20_000u64).filter(|value| map.contains(&value.to_ne_bytes()).is_ok()).count();
        // Half of the bits or fewer are set, so one of 2^3 at most.
        assert!(wrong < 1500, "{hashes} hashes: {wrong}");
        assert_eq!(map.on_cpu(0).peek(&mut [0xff; 8]).map_err(|error| error.errno), Err(Errno::NOENT));
        assert_eq!(map.on_cpu(0).pop(&mut [0xff; 8]).map_err(|error| error.errno), Err(Errno::OPNOTSUPP));
        assert_eq!(map.on_cpu(0).push(&[0; 8], flag::NOEXIST).map_err(|error| error.errno), Err(Errno::INVAL));
    }
}

#[test]
fn what_is_empty_gives_zeros() {
    let map = Map::new(MapSpec::new(MapKind::Stack, 0, 4, 2), &MapHost::default()).unwrap();
    let mut value = [7; 4];
    assert_eq!(map.on_cpu(0).pop(&mut value).unwrap_err().errno, Errno::NOENT);
    assert_eq!(value, [0; 4]);
    assert_eq!(map.find(&[], 0), None);
}

proptest! {
    #[test]
    fn queues_and_stacks_do_what_naive_ones_do(steps in vec((0..5u8, any::<u32>()), 0..120), stack: bool) {
        let kind = if stack { MapKind::Stack } else { MapKind::Queue };
        let map = Map::new(MapSpec::new(kind, 0, 4, 5), &MapHost::default()).unwrap();
        let mut naive = VecDeque::new();
        for (step, value) in steps {
            let bytes = value.to_ne_bytes();
            let next = |naive: &VecDeque<u32>| if stack { naive.back().copied() } else { naive.front().copied() };
            let get = |result: Result<Vec<u8>, crate::maps::MapError>| {
                result.ok().map(|value| u32::from_ne_bytes(value.try_into().unwrap()))
            };
            match step {
                0 | 1 => {
                    let flags = if step == 0 { flag::ANY } else { flag::EXIST };
                    let full = naive.len() == 5;
                    let expected = if full && step == 0 { Err(Errno::TOO_BIG) } else { Ok(()) };
                    prop_assert_eq!(map.update(&[], &bytes, flags).map_err(|error| error.errno), expected);
                    if expected.is_ok() {
                        if full {
                            naive.pop_front();
                        }
                        naive.push_back(value);
                    }
                }
                2 => prop_assert_eq!(get(map.lookup(&[])), next(&naive)),
                _ => {
                    prop_assert_eq!(get(map.lookup_and_delete(&[], 0)), next(&naive));
                    if stack { naive.pop_back() } else { naive.pop_front() };
                }
            }
        }
    }
}
