//! Hash tables: elements that come and go, found by their key, with one value or one a CPU; and such that drop what was
//! used least recently when they are full.
//!
//! [`Chains`] finds the element of a key, [`Slots`] knows the free ones, and the values lie by element in the memory
//! that programs see. An update puts a new element before the old one, so that who reads sees either value whole;
//! per-CPU values and those under `BPF_F_LOCK` are changed in place, as the kernel does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::array::check_value_size;
use super::chains::{Chains, Probe};
use super::errno::{Errno, MapError, MapResult};
use super::family::{Batches, Element, Family, check_update};
use super::kind::MapKind;
use super::lru::Lru;
use super::slots::{SPARE, Slots};
use super::spec::{MapHost, MapSpec, flag};
use super::value::{Layout, Writer, allocate};
use crate::memory::Memory;

/// What a key and a value may have together: the kernel's largest allocation, less what it keeps with each element.
const ELEMENT_LIMIT: u64 = (4 << 20) - 48;

/// A hash table.
#[derive(Debug)]
pub(super) struct Hash {
    chains: Chains,
    slots: Slots,
    values: Arc<Memory>,
    layout: Layout,
    used: AtomicU32,
    entries: u32,
    lru: Option<Lru>,
}

impl Hash {
    /// Checks the definition as the kernel does and makes an empty table.
    pub(super) fn new(spec: &MapSpec, kind: MapKind, host: &MapHost) -> MapResult<Hash> {
        check(spec, kind)?;
        let mut hash = Hash::table(spec, kind.is_percpu(), host)?;
        if matches!(kind, MapKind::LruHash | MapKind::LruPercpuHash) {
            hash.lru = Some(Lru::new(hash.entries + SPARE, host)?);
        }
        Ok(hash)
    }

    /// An empty table without the checks, for the types that are built on it. With `BPF_F_NO_PREALLOC` it may promise
    /// more elements than there is memory for; updates then fail with `ENOMEM`.
    pub(super) fn table(spec: &MapSpec, percpu: bool, host: &MapHost) -> MapResult<Hash> {
        let layout = Layout::new(spec, percpu, host);
        let entries = entries(spec, host)?;
        let mut backed = entries;
        if spec.has(flag::NO_PREALLOC) {
            let largest = layout.element().max(8 + (spec.key_size as usize).next_multiple_of(8)) as u64;
            let affordable = (host.memory.min(1 << 32) / largest).saturating_sub(u64::from(SPARE)).max(1);
            // Buckets are a power of two, which must not be beyond the limit either.
            let affordable = u32::try_from(affordable / 2 + 1).unwrap_or(u32::MAX);
            backed = backed.min(affordable);
        }
        let count = backed + SPARE;
        let seed = if spec.has(flag::ZERO_SEED) { 0 } else { host.seed };
        Ok(Hash {
            values: Arc::new(allocate(u128::from(count) * layout.element() as u128, host)?),
            chains: Chains::new(spec.key_size, backed, count, seed, host)?,
            slots: Slots::new(count),
            lru: None,
            layout,
            used: AtomicU32::new(0),
            entries,
        })
    }

    /// How many elements it can hold.
    pub(super) fn entries(&self) -> u32 {
        self.entries
    }

    /// Where the value of an element is.
    fn value_at(&self, slot: u32) -> usize {
        slot as usize * self.layout.element()
    }

    /// Makes room for one more element, before any bucket is locked: another one may have to go.
    fn reserve(&self) -> MapResult {
        loop {
            let add = |used| (used < self.entries).then_some(used + 1);
            if self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok() {
                return Ok(());
            }
            let lru = self.lru.as_ref().ok_or_else(|| Errno::TOO_BIG.because("the map is full"))?;
            match lru.victim() {
                Some(victim) => self.evict(victim),
                // Others have reserved all elements and not yet added them.
                None => std::thread::yield_now(),
            }
        }
    }

    fn evict(&self, (slot, generation): (u32, u32)) {
        let _lock = self.chains.lock(self.chains.bucket_of(slot));
        let still_there = self.lru.as_ref().is_some_and(|lru| lru.forget(slot, generation));
        if still_there {
            self.chains.remove(slot);
            self.release(slot);
        }
    }

    /// An element is out of its chain.
    fn release(&self, slot: u32) {
        self.layout.drop_fields(&self.values, self.value_at(slot));
        self.slots.put(slot);
        self.used.fetch_sub(1, Ordering::Relaxed);
    }

    /// Puts a new element into its chain. The caller holds the lock and has reserved it.
    fn insert(&self, probe: Probe<'_>, value: &[u8], by: Writer) -> MapResult {
        let Some(slot) = self.slots.take() else {
            self.used.fetch_sub(1, Ordering::Relaxed);
            return Err(Errno::NOMEM.because("all elements are in use"));
        };
        self.fill(slot, probe, value, by);
        Ok(())
    }

    fn fill(&self, slot: u32, probe: Probe<'_>, value: &[u8], by: Writer) {
        self.layout.create(&self.values, self.value_at(slot), value, by);
        self.chains.insert(slot, probe);
        if let Some(lru) = &self.lru {
            lru.add(slot);
        }
    }

    /// Gives an element another value. The caller holds the lock.
    fn replace(&self, old: u32, probe: Probe<'_>, value: &[u8], (flags, by): (u64, Writer)) -> MapResult {
        if flags & flag::LOCK != 0 {
            return self.layout.store_locked(&self.values, self.value_at(old), value, flags);
        }
        let replacement = if self.layout.in_place() { None } else { self.slots.take_replacement() };
        let Some(slot) = replacement else {
            self.layout.store(&self.values, self.value_at(old), value, by);
            self.layout.drop_fields(&self.values, self.value_at(old));
            self.touch(old);
            return Ok(());
        };
        self.fill(slot, probe, value, by);
        self.chains.remove(old);
        if let Some(lru) = &self.lru {
            lru.remove(old);
        }
        self.layout.drop_fields(&self.values, self.value_at(old));
        self.slots.replaced(old);
        Ok(())
    }

    fn touch(&self, slot: u32) {
        if let Some(lru) = &self.lru {
            lru.touch(slot);
        }
    }

    /// Removes an element after `before` has seen it. The caller does not hold the lock.
    fn remove<T>(&self, key: &[u8], before: impl FnOnce(u32) -> MapResult<T>) -> MapResult<T> {
        let probe = self.chains.probe(key);
        let _lock = self.chains.lock(self.chains.bucket(probe));
        let slot = self.chains.find_locked(probe).ok_or_else(no_key)?;
        let result = before(slot)?;
        self.chains.remove(slot);
        if let Some(lru) = &self.lru {
            lru.remove(slot);
        }
        self.release(slot);
        Ok(result)
    }

    /// The first key in a bucket or behind it.
    fn first_from(&self, bucket: u32) -> MapResult<Vec<u8>> {
        for bucket in bucket..self.chains.buckets() {
            let _lock = self.chains.lock(bucket);
            if let Some(slot) = self.chains.members(bucket).first() {
                return Ok(self.chains.key(*slot));
            }
        }
        Err(Errno::NOENT.because("that was the last element"))
    }
}

/// The kernel's checks for hash tables (`htab_map_alloc_check`).
pub(super) fn check(spec: &MapSpec, kind: MapKind) -> MapResult {
    let lru = matches!(kind, MapKind::LruHash | MapKind::LruPercpuHash);
    spec.check_flags(flag::NO_PREALLOC | flag::NO_COMMON_LRU | flag::NUMA_NODE | flag::ACCESS | flag::ZERO_SEED)?;
    if !lru && spec.has(flag::NO_COMMON_LRU) {
        return Err(Errno::INVAL.because("BPF_F_NO_COMMON_LRU, but the map is no LRU map"));
    }
    if lru && spec.has(flag::NO_PREALLOC) {
        return Err(Errno::NOTSUPP.because("BPF_F_NO_PREALLOC, but elements of LRU maps are preallocated"));
    }
    if spec.pinned_to_node() && (kind.is_percpu() || spec.has(flag::NO_COMMON_LRU)) {
        return Err(Errno::INVAL.because("what is per CPU cannot come from one NUMA node"));
    }
    MapSpec::check_size("max_entries", spec.max_entries, 1..=u32::MAX)?;
    MapSpec::check_size("key_size", spec.key_size, 1..=u32::MAX)?;
    MapSpec::check_size("value_size", spec.value_size, 1..=u32::MAX)?;
    let together = u64::from(spec.key_size) + u64::from(spec.value_size);
    if together >= ELEMENT_LIMIT {
        return Err(Errno::TOO_BIG.because(format!("key and value of {together} bytes are too large")));
    }
    check_value_size(spec, kind.is_percpu())
}

/// How many elements there may be: lists per CPU want as many for each.
fn entries(spec: &MapSpec, host: &MapHost) -> MapResult<u32> {
    let mut entries = spec.max_entries;
    if spec.has(flag::NO_COMMON_LRU) {
        let cpus = u32::try_from(host.cpus.max(1)).unwrap_or(u32::MAX);
        entries = entries.checked_next_multiple_of(cpus).unwrap_or(entries / cpus * cpus);
    }
    check_entries(entries)?;
    Ok(entries)
}

/// Refuses more elements than a table can have buckets.
pub(super) fn check_entries(entries: u32) -> MapResult {
    if entries > 1 << 31 {
        return Err(Errno::TOO_BIG.because(format!("{entries} elements are too many")));
    }
    Ok(())
}

fn no_key() -> MapError {
    Errno::NOENT.because("there is no such key")
}

impl Family for Hash {
    fn values(&self) -> Option<&Arc<Memory>> {
        Some(&self.values)
    }

    fn find(&self, key: &[u8], cpu: usize) -> Option<usize> {
        let slot = self.chains.find(self.chains.probe(key))?;
        self.touch(slot);
        Some(self.layout.on_cpu(self.value_at(slot), cpu))
    }

    fn lookup(&self, key: &[u8], flags: u64) -> MapResult<Vec<u8>> {
        let probe = self.chains.probe(key);
        let _lock = self.chains.lock(self.chains.bucket(probe));
        let slot = self.chains.find_locked(probe).ok_or_else(no_key)?;
        self.layout.load(&self.values, self.value_at(slot), flags)
    }

    fn update(&self, key: &[u8], value: &[u8], flags: u64, by: Writer) -> MapResult {
        let plain = self.layout.in_place() || self.lru.is_some();
        check_update(flags, if plain { 0 } else { flag::LOCK })?;
        self.layout.check_lock(flags)?;
        self.layout.check(value, by)?;
        let probe = self.chains.probe(key);
        let bucket = self.chains.bucket(probe);
        let mut reserved = false;
        loop {
            let lock = self.chains.lock(bucket);
            let old = self.chains.find_locked(probe);
            let refused = match (old, flags & !flag::LOCK) {
                (Some(_), flag::NOEXIST) => Some(Errno::EXIST.because("there is such a key already")),
                (None, flag::EXIST) => Some(no_key()),
                _ => None,
            };
            let result = match (refused, old) {
                (Some(error), _) => Err(error),
                (None, Some(old)) => self.replace(old, probe, value, (flags, by)),
                (None, None) if reserved => return self.insert(probe, value, by),
                // Nobody has to go, so the bucket stays locked: who finds the map full never does so because of a rival for one key.
                (None, None) if self.lru.is_none() => {
                    self.reserve()?;
                    return self.insert(probe, value, by);
                }
                (None, None) => {
                    drop(lock);
                    self.reserve()?;
                    reserved = true;
                    continue;
                }
            };
            if reserved {
                self.used.fetch_sub(1, Ordering::Relaxed);
            }
            return result;
        }
    }

    fn delete(&self, key: &[u8]) -> MapResult {
        self.remove(key, |_| Ok(()))
    }

    fn take(&self, key: &[u8], flags: u64) -> MapResult<Vec<u8>> {
        self.remove(key, |slot| self.layout.load(&self.values, self.value_at(slot), flags))
    }

    fn next_key(&self, key: Option<&[u8]>) -> MapResult<Vec<u8>> {
        let Some(key) = key else { return self.first_from(0) };
        let probe = self.chains.probe(key);
        let bucket = self.chains.bucket(probe);
        let lock = self.chains.lock(bucket);
        let found = self.chains.find_locked(probe);
        let mut behind = self.chains.members(bucket).into_iter().skip_while(|member| Some(*member) != found);
        if let Some(next) = behind.nth(1) {
            return Ok(self.chains.key(next));
        }
        drop(lock);
        self.first_from(if found.is_some() { bucket + 1 } else { 0 })
    }

    fn step(&self, cursor: &mut u64) -> Option<Vec<Element>> {
        while *cursor < u64::from(self.chains.buckets()) {
            let bucket = *cursor as u32;
            *cursor += 1;
            let _lock = self.chains.lock(bucket);
            let members = self.chains.members(bucket);
            if !members.is_empty() {
                let element = |slot| Element { key: self.chains.key(slot), offset: self.value_at(slot) };
                return Some(members.into_iter().map(element).collect());
            }
        }
        None
    }

    fn batches(&self) -> Batches {
        Batches::Buckets
    }
}
