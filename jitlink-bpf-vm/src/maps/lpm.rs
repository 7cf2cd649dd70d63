//! Longest prefix match: keys are a number of bits and then the bits; a search finds the longest key that begins the
//! one it is given.
//!
//! The kernel keeps a trie. Here a hash table holds the prefixes, with the bits beyond them cleared, and a search asks
//! for each length that occurs, the longest first: without a lock, and real tables have few lengths. Beside it, a
//! sorted index gives the order in which the kernel's trie is walked: a prefix follows all longer ones that it begins,
//! else bits decide.

use std::cmp::Ordering as Order;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::errno::{Errno, MapError, MapResult};
use super::family::{Batches, Element, Family};
use super::hash::Hash;
use super::queue::ALLOCATION_LIMIT;
use super::spec::{MapHost, MapSpec, flag};
use super::value::Writer;
use crate::memory::Memory;

/// Bytes of the length before the bits of a key.
const HEAD: usize = 4;

/// The most bytes of bits.
const DATA_LIMIT: u32 = 256;

/// A table of prefixes.
#[derive(Debug)]
pub(super) struct Lpm {
    table: Hash,
    /// How many prefixes have a length.
    lengths: Box<[AtomicU32]>,
    order: Mutex<BTreeMap<Prefix, Vec<u8>>>,
    entries: usize,
    bits: u32,
}

/// A key with the bits behind its length cleared.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Prefix(Vec<u8>);

impl Prefix {
    /// The prefix of a length that a key's bits begin with.
    fn new(key: &[u8], length: u32) -> Prefix {
        let mut bytes = key.to_vec();
        bytes[..HEAD].copy_from_slice(&length.to_ne_bytes());
        clear_behind(&mut bytes, length);
        Prefix(bytes)
    }

    fn length(&self) -> u32 {
        length(&self.0)
    }
}

impl Ord for Prefix {
    fn cmp(&self, other: &Prefix) -> Order {
        let common = self.length().min(other.length()) as usize;
        let (whole, rest) = (common / 8, common % 8);
        let (ours, theirs) = (&self.0[HEAD..], &other.0[HEAD..]);
        let part = |bytes: &[u8]| if rest == 0 { 0 } else { bytes[whole] >> (8 - rest) };
        ours[..whole].cmp(&theirs[..whole]).then(part(ours).cmp(&part(theirs))).then_with(|| {
            // The longer one goes left or right below the other, and both come before it.
            other.length().cmp(&self.length())
        })
    }
}

impl PartialOrd for Prefix {
    fn partial_cmp(&self, other: &Prefix) -> Option<Order> {
        Some(self.cmp(other))
    }
}

/// The length in a key.
fn length(key: &[u8]) -> u32 {
    key.first_chunk::<HEAD>().map_or(u32::MAX, |head| u32::from_ne_bytes(*head))
}

fn clear_behind(key: &mut [u8], length: u32) {
    let (whole, rest) = ((length / 8) as usize, length % 8);
    let data = &mut key[HEAD..];
    if let Some(behind) = data.get_mut(whole..) {
        if let Some(first) = behind.first_mut() {
            *first &= !(0xff >> rest);
        }
        behind.iter_mut().skip(1).for_each(|byte| *byte = 0);
    }
}

impl Lpm {
    /// Checks the definition as the kernel does (`trie_alloc`) and makes an empty table.
    pub(super) fn new(spec: &MapSpec, host: &MapHost) -> MapResult<Lpm> {
        MapSpec::check_size("max_entries", spec.max_entries, 1..=u32::MAX)?;
        if !spec.has(flag::NO_PREALLOC) {
            return Err(Errno::INVAL.because("tables of prefixes need BPF_F_NO_PREALLOC"));
        }
        spec.check_flags(flag::NO_PREALLOC | flag::NUMA_NODE | flag::ACCESS)?;
        let (smallest, largest) = (HEAD as u32 + 1, HEAD as u32 + DATA_LIMIT);
        MapSpec::check_size("key_size", spec.key_size, smallest..=largest)?;
        MapSpec::check_size("value_size", spec.value_size, 1..=ALLOCATION_LIMIT - largest - 20)?;
        let bits = (spec.key_size - HEAD as u32) * 8;
        let table = MapSpec { max_entries: spec.max_entries.min(1 << 31), ..spec.clone() };
        Ok(Lpm {
            table: Hash::table(&table, false, host)?,
            lengths: (0..=bits).map(|_| AtomicU32::new(0)).collect(),
            order: Mutex::new(BTreeMap::new()),
            entries: spec.max_entries as usize,
            bits,
        })
    }

    fn order(&self) -> MutexGuard<'_, BTreeMap<Prefix, Vec<u8>>> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The longest prefix that begins a key, by what `look` finds for it.
    fn longest<T>(&self, key: &[u8], look: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        let given = length(key);
        if given > self.bits {
            return None;
        }
        let mut probe = key.to_vec();
        for length in (0..=given).rev() {
            if self.lengths[length as usize].load(Ordering::Acquire) == 0 {
                continue;
            }
            probe[..HEAD].copy_from_slice(&length.to_ne_bytes());
            clear_behind(&mut probe, length);
            if let Some(found) = look(&probe) {
                return Some(found);
            }
        }
        None
    }

    fn prefix(&self, key: &[u8]) -> MapResult<Prefix> {
        let length = length(key);
        if length > self.bits {
            return Err(Errno::INVAL.because(format!("a prefix of {length} bits; keys have {}", self.bits)));
        }
        Ok(Prefix::new(key, length))
    }
}

fn no_prefix() -> MapError {
    Errno::NOENT.because("there is no such prefix")
}

impl Family for Lpm {
    fn values(&self) -> Option<&Arc<Memory>> {
        self.table.values()
    }

    fn find(&self, key: &[u8], cpu: usize) -> Option<usize> {
        self.longest(key, |prefix| self.table.find(prefix, cpu))
    }

    fn lookup(&self, key: &[u8], flags: u64) -> MapResult<Vec<u8>> {
        self.longest(key, |prefix| self.table.lookup(prefix, flags).ok()).ok_or_else(no_prefix)
    }

    fn update(&self, key: &[u8], value: &[u8], flags: u64, by: Writer) -> MapResult {
        if flags > flag::EXIST {
            return Err(Errno::INVAL.because(format!("there are no flags {flags:#x} for an update")));
        }
        let prefix = self.prefix(key)?;
        let mut order = self.order();
        let exists = order.contains_key(&prefix);
        match flags {
            flag::NOEXIST if exists => return Err(Errno::EXIST.because("there is such a prefix already")),
            flag::EXIST if !exists => return Err(no_prefix()),
            _ => {}
        }
        if !exists && order.len() == self.entries {
            return Err(Errno::NOSPC.because("the map is full"));
        }
        self.table.update(&prefix.0, value, flag::ANY, by)?;
        if !exists {
            self.lengths[prefix.length() as usize].fetch_add(1, Ordering::Release);
        }
        // Walking gives keys as they were last given, with whatever follows the prefix.
        order.insert(prefix, key.to_vec());
        Ok(())
    }

    fn delete(&self, key: &[u8]) -> MapResult {
        let prefix = self.prefix(key)?;
        let mut order = self.order();
        if order.remove(&prefix).is_none() {
            return Err(no_prefix());
        }
        self.table.delete(&prefix.0)?;
        self.lengths[prefix.length() as usize].fetch_sub(1, Ordering::Release);
        Ok(())
    }

    fn next_key(&self, key: Option<&[u8]>) -> MapResult<Vec<u8>> {
        let order = self.order();
        let from = key.and_then(|key| self.prefix(key).ok()).filter(|prefix| order.contains_key(prefix));
        let next = match &from {
            Some(prefix) => order.range((Bound::Excluded(prefix), Bound::Unbounded)).next(),
            None => order.first_key_value(),
        };
        next.map(|(_, key)| key.clone()).ok_or_else(|| Errno::NOENT.because("that was the last element"))
    }

    fn step(&self, cursor: &mut u64) -> Option<Vec<Element>> {
        // The table's buckets end whatever others do; the keys that were given are in the index.
        loop {
            let members = self.table.step(cursor)?;
            let order = self.order();
            let given = |element: Element| {
                let key = order.get(&Prefix(element.key))?.clone();
                Some(Element { key, offset: element.offset })
            };
            let elements: Vec<Element> = members.into_iter().filter_map(given).collect();
            if !elements.is_empty() {
                return Some(elements);
            }
        }
    }

    fn batches(&self) -> Batches {
        Batches::Elements
    }
}
