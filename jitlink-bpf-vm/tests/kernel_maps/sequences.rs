//! Random operations, one after the other. `JITLINK_KERNEL_MAPS` asks for so many times as many of them as usual.

use std::collections::BTreeMap;
use std::sync::Arc;

use jitlink_bpf_vm::maps::{Map, MapHost, MapKind, MapResult, MapSpec, flag};

use crate::sys::{Dice, Elements, Failed, KernelMap, Types, allowed, cpus, types_with_lock};

/// Both maps of one definition.
struct Pair {
    ours: Arc<Map>,
    theirs: KernelMap,
    /// Keys that the operations use.
    keys: Vec<Vec<u8>>,
    /// Whether the kernel gives elements in the same order.
    ordered: bool,
    seen: BTreeMap<i32, u32>,
}

impl Pair {
    fn new(spec: &MapSpec, types: Option<&Types>, keys: Vec<Vec<u8>>) -> Pair {
        let host = MapHost { cpus: cpus(), ..MapHost::default() };
        let hashed =
            [MapKind::Hash, MapKind::PercpuHash, MapKind::LruHash, MapKind::LruPercpuHash, MapKind::DevmapHash];
        Pair {
            ours: Map::new(spec.clone(), &host).unwrap(),
            theirs: KernelMap::new(spec, types, None).unwrap(),
            keys,
            ordered: !hashed.iter().any(|kind| kind.number() == spec.kind),
            seen: BTreeMap::new(),
        }
    }

    /// Holds one operation's results against each other.
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, ours: MapResult<T>, theirs: Result<T, Failed>) {
        let ours = ours.map_err(|error| error.errno.0);
        assert_eq!(ours, theirs, "ours, the kernel's: {what} of {:?}", self.ours.spec());
        *self.seen.entry(theirs.err().unwrap_or(0)).or_default() += 1;
    }

    fn value(&self, dice: &mut Dice) -> Vec<u8> {
        dice.bytes(self.ours.host_value_size())
    }

    fn step(&mut self, dice: &mut Dice) {
        let index = dice.below(self.keys.len() as u64) as usize;
        let key = self.keys[index].clone();
        let flags = dice.pick(&[0, 0, 0, 1, 2, 3, 4, 5, 6, 8, 1 << 40]);
        let value = self.value(dice);
        match dice.below(16) {
            0..6 => {
                let (ours, theirs) = (self.ours.update(&key, &value, flags), self.theirs.update(&key, &value, flags));
                self.same(&format!("update {key:?} {flags:#x}"), ours, theirs);
            }
            6..8 => {
                let (ours, theirs) = (self.ours.delete(&key), self.theirs.delete(&key));
                self.same(&format!("delete {key:?}"), ours, theirs);
            }
            8..11 => {
                let flags = dice.pick(&[0, 0, 0, 1, 2, 4]);
                let (ours, theirs) = (self.ours.lookup_with(&key, flags), self.theirs.lookup(&key, flags));
                self.same(&format!("lookup {key:?} {flags}"), ours, theirs);
            }
            11..13 => {
                let flags = dice.pick(&[0, 0, 1, 4]);
                let (ours, theirs) = (self.ours.lookup_and_delete(&key, flags), self.theirs.take(&key, flags));
                self.same(&format!("lookup and delete {key:?} {flags}"), ours, theirs);
            }
            13..15 => self.next(Some(&key)),
            _ => self.next(None),
        }
    }

    fn next(&mut self, key: Option<&[u8]>) {
        let (mut ours, mut theirs) = (self.ours.next_key(key), self.theirs.next_key(key));
        if !self.ordered {
            // Whether a key is the last one depends on the order too, so only whether there are any is compared.
            let any = (self.ours.next_key(None), self.theirs.next_key(None));
            ours = any.0.map(|_| Vec::new());
            theirs = any.1.map(|_| Vec::new());
        }
        self.same(&format!("next key of {key:?}"), ours, theirs);
    }

    /// Walks both from the start and compares all keys and values.
    fn walk(&mut self) {
        let (mut ours, mut theirs): (Elements, Elements) = (Vec::new(), Vec::new());
        let mut key = self.ours.next_key(None).ok();
        while let Some(at) = key {
            ours.push((at.clone(), self.ours.lookup(&at).unwrap_or_default()));
            key = self.ours.next_key(Some(&at)).ok();
        }
        let mut key = self.theirs.next_key(None).ok();
        while let Some(at) = key {
            theirs.push((at.clone(), self.theirs.lookup(&at, 0).unwrap_or_default()));
            key = self.theirs.next_key(Some(&at)).ok();
        }
        if !self.ordered {
            ours.sort();
            theirs.sort();
        }
        assert_eq!(ours, theirs, "all elements of {:?}", self.ours.spec());
        let mut entries: Elements = self.ours.entries().collect();
        entries.sort();
        ours.sort();
        ours.retain(|(_, value)| !value.is_empty());
        assert_eq!(entries, ours, "iteration over {:?}", self.ours.spec());
    }

    /// Operations on many elements at once.
    fn batches(&mut self, dice: &mut Dice) {
        let flags = dice.pick(&[0, 0, 0, 1, 4, 8]);
        let count = dice.below(self.keys.len() as u64) as usize + 1;
        let some: Elements = (0..count).map(|index| (self.keys[index].clone(), self.value(dice))).collect();
        let pairs: Vec<(&[u8], &[u8])> = some.iter().map(|(key, value)| (&key[..], &value[..])).collect();
        let keys: Vec<&[u8]> = pairs.iter().map(|(key, _)| *key).collect();
        let outcome = |result: Result<(), (usize, jitlink_bpf_vm::maps::MapError)>| match result {
            Ok(()) => (count, Ok(())),
            Err((done, error)) => (done, Err(error.errno.0)),
        };
        let spec = self.ours.spec().clone();
        let theirs = |(done, result): (usize, Result<(), Failed>), seen: usize| match result {
            // Where the operation is refused as a whole, the kernel may leave the count as it was.
            Err(524 | libc::EINVAL | libc::EPERM) if seen == 0 => (0, result),
            _ => (done, result),
        };
        let ours = outcome(self.ours.update_batch(&pairs, flags));
        assert_eq!(ours, theirs(self.theirs.put_batch(26, &some, flags), ours.0), "update batch {flags} of {spec:?}");
        let delete = dice.below(2) == 0;
        if delete {
            let ours = outcome(self.ours.delete_batch(&keys, flags));
            assert_eq!(
                ours,
                theirs(self.theirs.put_batch(27, &some, flags), ours.0),
                "delete batch {flags} of {spec:?}"
            );
        }
        self.whole_batch(24, flags);
        if dice.below(3) == 0 {
            self.whole_batch(25, flags);
        }
    }

    /// Looks all up at once, and deletes them for command 25.
    fn whole_batch(&mut self, command: i32, flags: u64) {
        let count = self.ours.spec().max_entries + 8;
        let ours = match command {
            24 => self.ours.lookup_batch(None, count as usize, flags),
            _ => self.ours.lookup_and_delete_batch(None, count as usize, flags),
        };
        let (mut ours, result) = match ours {
            Ok(batch) if batch.next.is_none() => (batch.elements, Err(libc::ENOENT)),
            Ok(batch) => (batch.elements, Ok(())),
            Err(error) => (Vec::new(), Err(error.errno.0)),
        };
        let (mut theirs, expected) = self.theirs.get_batch(command, count, flags);
        if !self.ordered {
            ours.sort();
            theirs.sort();
        }
        assert_eq!((ours, result), (theirs, expected), "batch {command} {flags} of {:?}", self.ours.spec());
    }
}

/// Runs many sequences on maps of one definition; tells what was seen.
fn run(spec: &MapSpec, types: Option<&Types>, keys: &[Vec<u8>], sequences: u64) -> BTreeMap<i32, u32> {
    let times = std::env::var("JITLINK_KERNEL_MAPS").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    let mut seen = BTreeMap::new();
    for seed in 0..sequences * times {
        let mut dice = Dice(seed.wrapping_mul(0x1234_5678_9abc_def1) ^ u64::from(spec.kind));
        let mut pair = Pair::new(spec, types, keys.to_vec());
        for _ in 0..dice.below(120) {
            pair.step(&mut dice);
        }
        if spec.key_size > 0 {
            pair.walk();
            pair.batches(&mut dice);
            pair.walk();
        }
        if dice.below(4) == 0 {
            let (ours, theirs) = (pair.ours.freeze(), pair.theirs.freeze());
            pair.same("freeze", ours, theirs);
            let (ours, theirs) = (pair.ours.freeze(), pair.theirs.freeze());
            pair.same("freeze again", ours, theirs);
            (0..10).for_each(|_| pair.step(&mut dice));
        }
        pair.seen.into_iter().for_each(|(errno, count)| *seen.entry(errno).or_default() += count);
    }
    println!("{} (flags {:#x}): {seen:?}", MapKind::from_number(spec.kind).unwrap().name(), spec.flags);
    seen
}

fn numbers(range: std::ops::Range<u32>) -> Vec<Vec<u8>> {
    range.map(|number| number.to_ne_bytes().to_vec()).collect()
}

#[test]
fn arrays_and_hash_tables_do_the_same() {
    if !allowed() {
        return;
    }
    for kind in [MapKind::Array, MapKind::PercpuArray, MapKind::Hash, MapKind::PercpuHash] {
        let hashed = matches!(kind, MapKind::Hash | MapKind::PercpuHash);
        let access = [0, flag::RDONLY, flag::WRONLY, flag::RDONLY_PROG];
        let lazily = if hashed { &[0, flag::NO_PREALLOC][..] } else { &[0] };
        for flags in access.iter().flat_map(|access| lazily.iter().map(move |lazy| access | lazy)) {
            for size in [1, 4, 5, 8, 13, 24] {
                let spec = MapSpec::new(kind, 4, size, 5).with_flags(flags);
                let sequences = if flags == 0 { 60 } else { 8 };
                let seen = run(&spec, None, &numbers(0..12), sequences);
                assert!(seen.len() > 2, "{seen:?}");
            }
        }
    }
}

#[test]
fn keys_of_any_size_are_found() {
    if !allowed() {
        return;
    }
    let mut dice = Dice(3);
    for size in [1, 2, 3, 7, 8, 9, 16, 31, 64, 300] {
        let keys: Vec<Vec<u8>> = (0..12).map(|_| dice.bytes(size)).collect();
        run(&MapSpec::new(MapKind::Hash, size as u32, 8, 8), None, &keys, 20);
    }
}

#[test]
fn values_with_locks_are_copied_around_them() {
    if !allowed() {
        return;
    }
    let types = types_with_lock().unwrap();
    for kind in [MapKind::Array, MapKind::Hash] {
        let spec = MapSpec { lock_offset: Some(4), ..MapSpec::new(kind, 4, 40, 6) };
        let seen = run(&spec, Some(&types), &numbers(0..9), 100);
        assert!(seen.contains_key(&524), "freezing is not supported: {seen:?}");
    }
}

#[test]
fn prefixes_match_and_are_walked_the_same() {
    if !allowed() {
        return;
    }
    let mut dice = Dice(11);
    for data in [1, 2, 4, 16] {
        for _ in 0..20 {
            // Prefixes of a few patterns, with other bits behind them, and some that are too long.
            let patterns: Vec<Vec<u8>> = (0..3).map(|_| dice.bytes(data)).collect();
            let key = |dice: &mut Dice| {
                let length = dice.below(data as u64 * 8 + 2) as u32;
                let mut key = length.to_ne_bytes().to_vec();
                key.extend(&patterns[dice.below(3) as usize]);
                if dice.below(3) == 0 {
                    let at = 4 + dice.below(data as u64) as usize;
                    key[at] ^= 1 << dice.below(8);
                }
                key
            };
            let keys: Vec<Vec<u8>> = (0..16).map(|_| key(&mut dice)).collect();
            let spec = MapSpec::new(MapKind::LpmTrie, data as u32 + 4, 8, 10).with_flags(flag::NO_PREALLOC);
            let seen = run(&spec, None, &keys, 12);
            assert!(seen.contains_key(&libc::ENOSPC) || seen[&libc::ENOENT] > 10, "{seen:?}");
        }
    }
}

#[test]
fn queues_and_stacks_do_the_same() {
    if !allowed() {
        return;
    }
    for kind in [MapKind::Queue, MapKind::Stack] {
        for size in [1, 8, 12] {
            let seen = run(&MapSpec::new(kind, 0, size, 5), None, &[Vec::new()], 100);
            assert!(seen.contains_key(&libc::E2BIG), "{seen:?}");
        }
    }
}

#[test]
fn maps_without_elements_refuse_the_same_operations() {
    if !allowed() {
        return;
    }
    for kind in [MapKind::Ringbuf, MapKind::UserRingbuf] {
        run(&MapSpec::new(kind, 0, 0, 4096), None, &[Vec::new()], 20);
    }
    run(&MapSpec::new(MapKind::Arena, 0, 0, 4).with_flags(flag::MMAPABLE), None, &[Vec::new()], 20);
}

#[test]
fn filters_never_miss_what_they_have() {
    if !allowed() {
        return;
    }
    let mut dice = Dice(5);
    for hashes in 0..16 {
        let spec = MapSpec { extra: hashes, ..MapSpec::new(MapKind::BloomFilter, 0, 8, 16) };
        let mut pair = Pair::new(&spec, None, vec![Vec::new()]);
        for _ in 0..16 {
            let (value, flags) = (dice.bytes(8), dice.pick(&[0, 0, 1, 2, 4]));
            let (ours, theirs) = (pair.ours.update(&[], &value, flags), pair.theirs.update(&[], &value, flags));
            let there = theirs.is_ok();
            pair.same("push", ours, theirs);
            if there {
                let (ours, theirs) = (pair.ours.contains(&value), pair.theirs.contains(&value));
                pair.same("peek", ours, theirs);
            }
            let (ours, theirs) = (pair.ours.delete(&[]), pair.theirs.delete(&[]));
            pair.same("delete", ours, theirs);
            let (ours, theirs) = (pair.ours.next_key(None), pair.theirs.next_key(None));
            pair.same("next key", ours, theirs);
            let (ours, theirs) = (pair.ours.lookup_and_delete(&[], 0), pair.theirs.take(&[], 0));
            pair.same("take", ours, theirs);
        }
        assert!(hashes == 1 || pair.ours.contains(&[0x77; 8]).is_err(), "a filter with few values has them all");
    }
}

#[test]
fn lru_tables_take_all_updates() {
    if !allowed() {
        return;
    }
    for kind in [MapKind::LruHash, MapKind::LruPercpuHash] {
        let mut dice = Dice(9);
        let mut pair = Pair::new(&MapSpec::new(kind, 4, 8, 8), None, numbers(0..40));
        let mut both = 0;
        for _ in 0..4000 {
            let key = pair.keys[dice.below(40) as usize].clone();
            let (value, flags) = (pair.value(&mut dice), dice.pick(&[0, 0, 0, 3, 4, 8]));
            let (ours, theirs) = (pair.ours.update(&key, &value, flags), pair.theirs.update(&key, &value, flags));
            pair.same("update", ours, theirs);
            if flags == 0 {
                assert_eq!(pair.ours.lookup(&key).unwrap(), value);
            }
            // Which elements are left differs, but not what they hold.
            let key = pair.keys[dice.below(40) as usize].clone();
            if let (Ok(ours), Ok(theirs)) = (pair.ours.lookup(&key), pair.theirs.lookup(&key, 0)) {
                assert_eq!(ours, theirs);
                both += 1;
            }
        }
        assert!(both > 50, "{both}");
    }
}
