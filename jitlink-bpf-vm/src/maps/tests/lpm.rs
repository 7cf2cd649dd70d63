use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::maps::{Errno, Map, MapHost, MapKind, MapSpec, flag};

fn make(data: u32, entries: u32) -> std::sync::Arc<Map> {
    let spec = MapSpec::new(MapKind::LpmTrie, data + 4, 8, entries).with_flags(flag::NO_PREALLOC);
    Map::new(spec, &MapHost::default()).unwrap()
}

fn key(length: u32, data: [u8; 4]) -> Vec<u8> {
    [length.to_ne_bytes(), data].concat()
}

#[test]
fn the_longest_prefix_is_found() {
    let map = make(4, 8);
    for (length, data) in [(8, [10, 0, 0, 0]), (16, [10, 1, 0, 0]), (32, [10, 1, 2, 3]), (0, [0; 4])] {
        map.update(&key(length, data), &[length as u8; 8], flag::NOEXIST).unwrap();
    }
    let find = |length, data| map.lookup(&key(length, data)).map(|value| value[0]).map_err(|error| error.errno);
    assert_eq!(find(32, [10, 1, 2, 3]), Ok(32));
    assert_eq!(find(31, [10, 1, 2, 3]), Ok(16));
    assert_eq!(find(32, [10, 1, 9, 9]), Ok(16));
    assert_eq!(find(32, [10, 9, 9, 9]), Ok(8));
    assert_eq!(find(32, [11, 0, 0, 0]), Ok(0));
    assert_eq!(find(33, [11, 0, 0, 0]), Err(Errno::NOENT));
    map.delete(&key(0, [1; 4])).unwrap();
    assert_eq!(find(32, [11, 0, 0, 0]), Err(Errno::NOENT));
    let of = |error: crate::maps::MapError| error.errno;
    assert_eq!(map.delete(&key(7, [10, 0, 0, 0])).map_err(of), Err(Errno::NOENT));
    assert_eq!(map.update(&key(33, [0; 4]), &[0; 8], 0).map_err(of), Err(Errno::INVAL));
    assert_eq!(map.update(&key(8, [10, 7, 7, 7]), &[0; 8], flag::NOEXIST).map_err(of), Err(Errno::EXIST));
    assert_eq!(map.update(&key(9, [10, 0, 0, 0]), &[0; 8], flag::EXIST).map_err(of), Err(Errno::NOENT));
}

#[test]
fn walking_goes_from_longer_to_shorter_and_left_to_right() {
    let map = make(4, 8);
    let keys = [
        (0, [0; 4]),
        (8, [10, 0, 0, 0]),
        (16, [10, 1, 0, 0]),
        (24, [10, 1, 2, 0]),
        (9, [10, 128, 0, 0]),
        (8, [9, 0, 0, 0]),
    ];
    for (length, data) in keys {
        map.update(&key(length, data), &[0; 8], 0).unwrap();
    }
    let mut walked = Vec::new();
    let mut next = map.next_key(None).ok();
    while let Some(at) = next {
        next = map.next_key(Some(&at)).ok();
        walked.push((at[0], at[4..6].to_vec()));
    }
    let expected =
        [(8, vec![9, 0]), (24, vec![10, 1]), (16, vec![10, 1]), (9, vec![10, 128]), (8, vec![10, 0]), (0, vec![0, 0])];
    assert_eq!(walked, expected);
}

#[test]
fn definitions_are_refused_as_the_kernel_does() {
    let of = |key, value, flags| {
        let spec = MapSpec::new(MapKind::LpmTrie, key, value, 1).with_flags(flags);
        Map::new(spec, &MapHost::default()).err().map(|error| error.errno)
    };
    assert_eq!(of(8, 8, 0), Some(Errno::INVAL));
    assert_eq!(of(4, 8, flag::NO_PREALLOC), Some(Errno::INVAL));
    assert_eq!(of(261, 8, flag::NO_PREALLOC), Some(Errno::INVAL));
    assert_eq!(of(260, 8, flag::NO_PREALLOC), None);
    assert_eq!(of(8, 0, flag::NO_PREALLOC), Some(Errno::INVAL));
    // The promise of many elements takes no memory.
    let spec = MapSpec::new(MapKind::LpmTrie, 8, 8, u32::MAX).with_flags(flag::NO_PREALLOC);
    let map = Map::new(spec, &MapHost { memory: 1 << 16, ..MapHost::default() }).unwrap();
    let full = (0..=u32::MAX).find_map(|index| map.update(&key(32, index.to_be_bytes()), &[0; 8], 0).err()).unwrap();
    assert_eq!(full.errno, Errno::NOMEM);
}

/// The bits of a prefix as text, whose order tells what begins what.
fn text(length: u32, data: u16) -> String {
    format!("{data:016b}")[..length as usize].to_string()
}

proptest! {
    #[test]
    fn prefixes_match_as_text_does(steps in vec((0..4u8, 0..=16u32, 0..64u16, any::<u64>()), 0..150)) {
        let map = make(2, 12);
        let mut naive: BTreeMap<String, u64> = BTreeMap::new();
        for (step, length, data, value) in steps {
            // Few bits differ, at both ends.
            let data = data.rotate_right(3);
            let key = [&length.to_ne_bytes()[..], &data.to_be_bytes()].concat();
            let text = text(length, data);
            match step {
                0 | 1 => {
                    let full = naive.len() == 12 && !naive.contains_key(&text);
                    let ours = map.update(&key, &value.to_ne_bytes(), 0).map_err(|error| error.errno);
                    prop_assert_eq!(ours, if full { Err(Errno::NOSPC) } else { Ok(()) });
                    if !full {
                        naive.insert(text, value);
                    }
                }
                2 => prop_assert_eq!(map.delete(&key).is_ok(), naive.remove(&text).is_some()),
                _ => {
                    let matching = naive.iter().filter(|(prefix, _)| text.starts_with(*prefix));
                    let longest = matching.max_by_key(|(prefix, _)| prefix.len());
                    let found = map.find(&key, 0).map(|at| map.values().unwrap().to_vec(at, 8));
                    prop_assert_eq!(found, longest.map(|(_, value)| value.to_ne_bytes().to_vec()));
                }
            }
        }
        prop_assert_eq!(map.entries().count(), naive.len());
        let elements: usize = std::iter::repeat_with({
            let mut cursor = 0;
            let map = &map;
            move || map.on_cpu(0).step(&mut cursor)
        }).map_while(|step| step).map(|step| step.len()).sum();
        prop_assert_eq!(elements, naive.len());
    }
}
