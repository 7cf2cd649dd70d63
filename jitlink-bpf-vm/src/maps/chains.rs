//! The chains of a hash table: which elements a bucket has, and their keys.
//!
//! Programs look keys up without a lock, as they do in the kernel. All of it lies in [`Memory`], whose words are atomic
//! and take no room before they are used. A bucket is a word: the first element of its chain (plus one, so that zeros
//! are empty) and a version that each removal raises. An element is a word (the next element, and the hash) and its
//! key, padded with zeros.
//!
//! A search may stand on an element that was just removed, and follow it into another bucket after it is used again. It
//! then ends without result, sees that the version has changed, and starts again; after a few times it takes the lock.
//! Only who holds the lock of a bucket changes its chain.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::errno::MapResult;
use super::spec::MapHost;
use super::value::allocate;
use crate::memory::Memory;

/// How many locks a table has at most.
const LOCKS: usize = 256;

/// How often a search starts again before it takes the lock.
const TRIES: usize = 4;

/// Buckets, chains and keys.
#[derive(Debug)]
pub(super) struct Chains {
    buckets: Memory,
    elements: Memory,
    locks: Box<[Mutex<()>]>,
    mask: u32,
    key_size: usize,
    stride: usize,
    count: u32,
    seed: u64,
}

/// A key with its hash.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe<'a> {
    key: &'a [u8],
    hash: u32,
}

impl Chains {
    /// Empty chains for up to `entries` keys in `count` elements.
    pub(super) fn new(key_size: u32, entries: u32, count: u32, seed: u64, host: &MapHost) -> MapResult<Chains> {
        // Checked by the caller: there are no more than 2^31 entries.
        let buckets = entries.next_power_of_two();
        let stride = 8 + (key_size as usize).next_multiple_of(8);
        Ok(Chains {
            buckets: allocate(u128::from(buckets) * 8, host)?,
            elements: allocate(u128::from(count) * stride as u128, host)?,
            locks: (0..LOCKS.min(buckets as usize)).map(|_| Mutex::new(())).collect(),
            mask: buckets - 1,
            key_size: key_size as usize,
            stride,
            count,
            seed,
        })
    }

    /// A key to look for.
    pub(super) fn probe<'a>(&self, key: &'a [u8]) -> Probe<'a> {
        Probe { key, hash: hash(self.seed, key) }
    }

    /// The bucket of a key.
    pub(super) fn bucket(&self, probe: Probe<'_>) -> u32 {
        probe.hash & self.mask
    }

    /// How many buckets there are.
    pub(super) fn buckets(&self) -> u32 {
        self.mask + 1
    }

    /// Keeps others from changing a bucket.
    pub(super) fn lock(&self, bucket: u32) -> MutexGuard<'_, ()> {
        self.locks[bucket as usize % self.locks.len()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The element with a key, without a lock.
    pub(super) fn find(&self, probe: Probe<'_>) -> Option<u32> {
        let bucket = self.bucket(probe);
        for _ in 0..TRIES {
            let before = self.head(bucket).load(Ordering::Acquire);
            if let Some(found) = self.search(before as u32, probe) {
                return Some(found);
            }
            if self.head(bucket).load(Ordering::Acquire) >> 32 == before >> 32 {
                return None;
            }
        }
        let _lock = self.lock(bucket);
        self.find_locked(probe)
    }

    /// The element with a key, by who holds the lock.
    pub(super) fn find_locked(&self, probe: Probe<'_>) -> Option<u32> {
        self.search(self.head(self.bucket(probe)).load(Ordering::Acquire) as u32, probe)
    }

    /// Makes an unused element the first of its bucket, by who holds the lock.
    pub(super) fn insert(&self, slot: u32, probe: Probe<'_>) {
        let at = self.key_at(slot);
        for (part, word) in probe.key.chunks(8).zip(0..) {
            self.elements.word(at + word * 8).store(load_word(part), Ordering::Relaxed);
        }
        let head = self.head(self.bucket(probe));
        let old = head.load(Ordering::Relaxed);
        self.link(slot).store(u64::from(probe.hash) << 32 | old & u64::from(u32::MAX), Ordering::Release);
        head.store(old >> 32 << 32 | u64::from(slot + 1), Ordering::Release);
    }

    /// Takes an element out of its bucket, by who holds the lock. It still leads to what followed it.
    pub(super) fn remove(&self, slot: u32) {
        let link = self.link(slot).load(Ordering::Relaxed);
        let head = self.head((link >> 32) as u32 & self.mask);
        let old = head.load(Ordering::Relaxed);
        let (version, mut at) = ((old >> 32).wrapping_add(1) << 32, old as u32);
        if at == slot + 1 {
            head.store(version | u64::from(link as u32), Ordering::Release);
            return;
        }
        while at != 0 {
            let before = self.link(at - 1);
            let word = before.load(Ordering::Relaxed);
            if word as u32 == slot + 1 {
                before.store(word >> 32 << 32 | u64::from(link as u32), Ordering::Release);
                break;
            }
            at = word as u32;
        }
        head.store(version | u64::from(old as u32), Ordering::Release);
    }

    /// The elements of a bucket, by who holds the lock.
    pub(super) fn members(&self, bucket: u32) -> Vec<u32> {
        let mut members = Vec::new();
        let mut at = self.head(bucket).load(Ordering::Acquire) as u32;
        while at != 0 {
            members.push(at - 1);
            at = self.link(at - 1).load(Ordering::Acquire) as u32;
        }
        members
    }

    /// The bucket that an element is in, or was in last.
    pub(super) fn bucket_of(&self, slot: u32) -> u32 {
        (self.link(slot).load(Ordering::Acquire) >> 32) as u32 & self.mask
    }

    /// The key of an element.
    pub(super) fn key(&self, slot: u32) -> Vec<u8> {
        self.elements.to_vec(self.key_at(slot), self.key_size)
    }

    fn search(&self, first: u32, probe: Probe<'_>) -> Option<u32> {
        let mut at = first;
        // A chain that others change under a search may be endless, but not longer than there are elements.
        for _ in 0..=self.count {
            if at == 0 {
                return None;
            }
            let link = self.link(at - 1).load(Ordering::Acquire);
            if (link >> 32) as u32 == probe.hash && self.has_key(at - 1, probe.key) {
                return Some(at - 1);
            }
            at = link as u32;
        }
        None
    }

    fn has_key(&self, slot: u32, key: &[u8]) -> bool {
        let at = self.key_at(slot);
        let word = |index: usize| self.elements.word(at + index * 8).load(Ordering::Relaxed);
        key.chunks(8).enumerate().all(|(index, part)| word(index) == load_word(part))
    }

    fn head(&self, bucket: u32) -> &AtomicU64 {
        self.buckets.word(bucket as usize * 8)
    }

    fn link(&self, slot: u32) -> &AtomicU64 {
        self.elements.word(slot as usize * self.stride)
    }

    fn key_at(&self, slot: u32) -> usize {
        slot as usize * self.stride + 8
    }
}

/// Up to eight bytes as they lie in a word of memory, padded with zeros.
fn load_word(part: &[u8]) -> u64 {
    if let Ok(whole) = <[u8; 8]>::try_from(part) {
        return u64::from_ne_bytes(whole);
    }
    let mut word = [0; 8];
    word[..part.len()].copy_from_slice(part);
    u64::from_ne_bytes(word)
}

/// A hash of a key that is the same on every host: products of 64 bits folded to 64 again.
pub(super) fn hash(seed: u64, key: &[u8]) -> u32 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        product as u64 ^ (product >> 64) as u64
    };
    let mut state = fold(seed ^ FACTOR, key.len() as u64 ^ 0xd1b5_4a32_d192_ed03);
    for part in key.chunks(8) {
        state = fold(state ^ u64::from_le(load_word(part)), FACTOR | 1).wrapping_add(state.rotate_left(29));
    }
    fold(state ^ state >> 32, 0xa24b_aed4_963e_e407) as u32
}
