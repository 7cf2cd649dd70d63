use std::collections::VecDeque;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::maps::{Errno, Map, MapHost, MapKind, MapSpec, RingState};

fn make(size: u32) -> std::sync::Arc<Map> {
    Map::new(MapSpec::new(MapKind::Ringbuf, 0, 0, size), &MapHost::default()).unwrap()
}

#[test]
fn records_come_in_order_and_wait_for_earlier_ones() {
    let map = make(4096);
    let (ring, values) = (map.ring().unwrap(), map.values().unwrap());
    let first = ring.reserve(5).unwrap();
    let second = ring.reserve(8).unwrap();
    assert_eq!((first, second), (8, 24));
    // The header: the length and the mark of what is still written.
    assert_eq!(values.to_vec(0, 4), (5u32 | 1 << 31).to_ne_bytes());
    values.write(second, b"secondly");
    ring.submit(second, 0).unwrap();
    assert_eq!((ring.next(), ring.wakeups()), (None, 0));
    values.write(first, b"first");
    ring.submit(first, 0).unwrap();
    assert_eq!(ring.wakeups(), 1);
    let mut seen = Vec::new();
    assert_eq!(ring.consume(|record| seen.push(record.to_vec())), 2);
    assert_eq!(seen, [b"first".to_vec(), b"secondly".to_vec()]);
    assert_eq!(ring.query(), RingState { available: 0, size: 4096, consumer: 32, producer: 32 });
    assert_eq!(ring.submit(first, 0).unwrap_err().errno, Errno::INVAL);
    assert_eq!(ring.discard(12345, 0).unwrap_err().errno, Errno::INVAL);
    let third = ring.reserve(1).unwrap();
    ring.discard(third, 0).unwrap();
    assert_eq!(values.to_vec(third - 8, 4), (1u32 | 1 << 30).to_ne_bytes());
    assert_eq!((ring.next(), ring.query().available), (None, 0));
}

#[test]
fn flags_decide_who_wakes_the_host() {
    let map = make(4096);
    let ring = map.ring().unwrap();
    ring.output(b"one", 1).unwrap();
    assert_eq!(ring.wakeups(), 0);
    // The host has not consumed the one before, so it is not waiting for this one.
    ring.output(b"two", 0).unwrap();
    assert_eq!(ring.wakeups(), 0);
    ring.output(b"three", 2).unwrap();
    assert_eq!(ring.wakeups(), 1);
    assert_eq!(ring.output(b"four", 4).unwrap_err().errno, Errno::INVAL);
    assert_eq!(ring.consume(|_| ()), 3);
    assert!(!ring.wait(Duration::ZERO));
    std::thread::scope(|scope| {
        scope.spawn(|| ring.output(b"five", 0).unwrap());
        while !ring.wait(Duration::from_secs(3600)) {}
    });
    assert_eq!(ring.next().as_deref(), Some(&b"five"[..]));
}

#[test]
fn what_does_not_fit_is_refused() {
    let map = make(4096);
    let ring = map.ring().unwrap();
    // One byte stays free, so a record of all bytes never fits.
    assert_eq!(ring.reserve(4096 - 8), None);
    assert_eq!(ring.reserve(u64::MAX), None);
    assert_eq!(ring.reserve((1 << 30) - 1), None);
    let all = ring.reserve(4096 - 16).unwrap();
    assert_eq!(ring.output(b"", 0).unwrap_err().errno, Errno::AGAIN);
    ring.submit(all, 0).unwrap();
    assert_eq!(ring.next().unwrap().len(), 4080);
    // The next one lies across the end, in one piece.
    let across = ring.reserve(100).unwrap();
    assert_eq!(across, 4088 + 8);
    map.values().unwrap().fill(across, 100, 7);
    ring.submit(across, 0).unwrap();
    ring.output(&[8; 100], 0).unwrap();
    assert_eq!((ring.next(), ring.next()), (Some(vec![7; 100]), Some(vec![8; 100])));
    for size in [0, 100, 4095, 4097, 12288, 1 << 31 | 4096] {
        let refused = Map::new(MapSpec::new(MapKind::Ringbuf, 0, 0, size), &MapHost::default());
        assert_eq!(refused.unwrap_err().errno, Errno::INVAL, "{size}");
    }
    let large = Map::new(MapSpec::new(MapKind::Ringbuf, 0, 0, 1 << 31), &MapHost::default());
    assert_eq!(large.unwrap_err().errno, Errno::NOMEM);
}

#[test]
fn the_host_sends_to_programs_the_same_way() {
    let map = Map::new(MapSpec::new(MapKind::UserRingbuf, 0, 0, 4096), &MapHost::default()).unwrap();
    let ring = map.ring().unwrap();
    ring.output(b"to the program", 0).unwrap();
    let (at, len) = ring.front().unwrap();
    assert_eq!(map.values().unwrap().to_vec(at, len as usize), b"to the program");
    ring.release();
    assert_eq!(ring.front(), None);
    ring.release();
}

proptest! {
    #[test]
    fn records_are_what_a_naive_list_has(steps in vec((0..5u8, 0..1500usize, any::<u8>()), 0..200)) {
        let map = make(4096);
        let (ring, values) = (map.ring().unwrap(), map.values().unwrap());
        // Offset, bytes, and whether it was ended: None, or whether it counts.
        let mut naive: VecDeque<(usize, Vec<u8>, Option<bool>)> = VecDeque::new();
        for (step, len, byte) in steps {
            let used: usize = naive.iter().map(|(_, data, _)| (data.len() + 8).next_multiple_of(8)).sum();
            match step {
                0 | 1 => {
                    let fits = used + (len + 8).next_multiple_of(8) < 4096;
                    let reserved = ring.reserve(len as u64);
                    prop_assert_eq!(reserved.is_some(), fits);
                    if let Some(at) = reserved {
                        values.fill(at, len, byte);
                        naive.push_back((at, vec![byte; len], None));
                    }
                }
                2 | 3 => {
                    let open = naive.iter_mut().filter(|record| record.2.is_none());
                    if let Some(record) = open.last() {
                        record.2 = Some(step == 2);
                        let result = if step == 2 { ring.submit(record.0, 0) } else { ring.discard(record.0, 0) };
                        prop_assert_eq!(result, Ok(()));
                    }
                }
                _ => {
                    while naive.front().is_some_and(|record| record.2 == Some(false)) {
                        naive.pop_front();
                    }
                    let next = naive.pop_front_if(|record| record.2.is_some()).map(|record| record.1);
                    prop_assert_eq!(ring.next(), next);
                }
            }
        }
    }
}
