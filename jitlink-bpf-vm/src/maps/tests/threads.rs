use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::maps::{Errno, Map, MapHost, MapKind, MapSpec, flag, running};

/// Values whose eight bytes are all the same: a torn or mixed one shows.
fn whole(value: &[u8]) -> bool {
    value.iter().all(|byte| *byte == value[0])
}

/// Numbers that look random.
fn next(state: &mut u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state
}

#[test]
fn tables_stay_whole_under_many_hands() {
    for kind in [MapKind::Hash, MapKind::LruHash] {
        let map = Map::new(MapSpec::new(kind, 4, 64, 32), &MapHost::default()).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let writers: Vec<_> = (1..4u32)
                .map(|seed| {
                    let map = &map;
                    scope.spawn(move || {
                        let mut state = seed;
                        for _ in 0..4000 {
                            let key = (next(&mut state) % 48).to_ne_bytes();
                            let value = [next(&mut state) as u8; 64];
                            match next(&mut state) % 4 {
                                0 => _ = map.delete(&key),
                                1 => _ = map.lookup_and_delete(&key, 0).map(|value| assert!(whole(&value))),
                                _ => {
                                    if let Err(error) = map.update(&key, &value, 0) {
                                        assert_eq!((kind, error.errno), (MapKind::Hash, Errno::TOO_BIG));
                                    }
                                }
                            }
                        }
                    })
                })
                .collect();
            // A program that looks up, and a host that walks, meanwhile.
            scope.spawn(|| {
                let mut state = 99;
                while !done.load(Ordering::Relaxed) {
                    let _run = running();
                    let key = (next(&mut state) % 48).to_ne_bytes();
                    if let Some(at) = map.find(&key, 0) {
                        assert_eq!(map.values().unwrap().to_vec(at, 64).len(), 64);
                    }
                }
            });
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    assert!(map.entries().all(|(_, value)| whole(&value)));
                    std::thread::yield_now();
                }
            });
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            done.store(true, Ordering::Relaxed);
        });
        // What is left is consistent: each key once, all can go, and then the table takes as many as it should.
        let keys: BTreeSet<Vec<u8>> = map.entries().map(|(key, _)| key).collect();
        assert_eq!(map.entries().count(), keys.len());
        assert!(keys.len() <= 32);
        keys.iter().for_each(|key| map.delete(key).unwrap());
        (0..32u32).for_each(|key| map.update(&key.to_ne_bytes(), &[1; 64], flag::NOEXIST).unwrap());
        assert_eq!(map.entries().count(), 32);
    }
}

#[test]
fn a_key_that_stays_is_always_found() {
    let map = Map::new(MapSpec::new(MapKind::Hash, 4, 8, 64), &MapHost::default()).unwrap();
    let stays = 1000u32.to_ne_bytes();
    map.update(&stays, &[5; 8], 0).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _run = running();
                let at = map.find(&stays, 0).expect("nobody deletes it");
                assert_eq!(map.values().unwrap().to_vec(at, 8), [5; 8]);
            }
        });
        for round in 0..30_000u32 {
            let key = (round % 40).to_ne_bytes();
            _ = map.update(&key, &[1; 8], 0);
            _ = map.delete(&((round + 20) % 40).to_ne_bytes());
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn counters_under_the_values_lock_lose_nothing() {
    let spec = MapSpec { lock_offset: Some(0), ..MapSpec::new(MapKind::Array, 4, 24, 1) };
    let map = Map::new(spec, &MapHost::default()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let values = map.values().unwrap();
                for _ in 0..2000 {
                    // A program's critical section: both halves of the value change together.
                    while !crate::maps::spin::try_lock(values, 0) {
                        std::thread::yield_now();
                    }
                    let count = u64::from_ne_bytes(values.to_vec(8, 8).try_into().unwrap()) + 1;
                    values.write(8, &count.to_ne_bytes());
                    values.write(16, &count.to_ne_bytes());
                    crate::maps::spin::unlock(values, 0);
                }
            });
        }
        for _ in 0..500 {
            let value = map.lookup_with(&[0; 4], flag::LOCK).unwrap();
            assert_eq!(value[8..16], value[16..24]);
        }
    });
    assert_eq!(map.lookup(&[0; 4]).unwrap()[8..16], 6000u64.to_ne_bytes());
}

#[test]
fn records_of_many_programs_all_arrive() {
    let map: Arc<Map> = Map::new(MapSpec::new(MapKind::Ringbuf, 0, 0, 4096), &MapHost::default()).unwrap();
    let ring = map.ring().unwrap();
    let mut sums = [0u64; 3];
    std::thread::scope(|scope| {
        for producer in 0..3u64 {
            scope.spawn(move || {
                for number in 1..=2000u64 {
                    let record = [producer.to_ne_bytes(), number.to_ne_bytes()].concat();
                    while ring.output(&record, 0).is_err() {
                        std::thread::yield_now();
                    }
                }
            });
        }
        let mut last = [0; 3];
        let mut left = 6000;
        while left > 0 {
            ring.wait(std::time::Duration::from_secs(3600));
            left -= ring.consume(|record| {
                let word = |at: usize| u64::from_ne_bytes(record[at..at + 8].try_into().unwrap());
                let (producer, number) = (word(0) as usize, word(8));
                assert_eq!(number, last[producer] + 1);
                last[producer] = number;
                sums[producer] += number;
            });
        }
    });
    assert_eq!(sums, [2000 * 2001 / 2; 3]);
}
