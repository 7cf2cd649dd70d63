//! Which element of a full table goes: one that was not used for long.
//!
//! The elements stand in a queue, the oldest in front. A use only sets a mark. Who needs room takes the first; if it
//! has the mark, it loses it and goes to the end, and the next one is looked at. So a use costs one store and no lock,
//! and what was just added is behind everything else. The kernel's lists approximate the same.
//!
//! Entries of the queue are not searched for when an element is deleted: each has the generation of the element, and
//! those of an earlier one are dropped when they come to the front, or when there are as many of them as elements.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::errno::MapResult;
use super::spec::MapHost;
use super::value::allocate;
use crate::memory::Memory;

/// Set in an element's word when it was used.
const USED: u64 = 1 << 32;

/// Set in an element's word while it is in the table.
const PRESENT: u64 = 1 << 33;

/// The queue, and a word for each element: its generation and the marks.
#[derive(Debug)]
pub(super) struct Lru {
    words: Memory,
    queue: Mutex<VecDeque<(u32, u32)>>,
    count: usize,
}

impl Lru {
    /// No elements, of up to `count`.
    pub(super) fn new(count: u32, host: &MapHost) -> MapResult<Lru> {
        let words = allocate(u128::from(count) * 8, host)?;
        Ok(Lru { words, queue: Mutex::new(VecDeque::new()), count: count as usize })
    }

    /// An element was used.
    pub(super) fn touch(&self, slot: u32) {
        let word = self.word(slot);
        if word.load(Ordering::Relaxed) & USED == 0 {
            word.fetch_or(USED, Ordering::Relaxed);
        }
    }

    /// An element is new. The caller holds the lock of its bucket.
    pub(super) fn add(&self, slot: u32) {
        let generation = (self.word(slot).load(Ordering::Relaxed) as u32).wrapping_add(1);
        self.word(slot).store(u64::from(generation) | PRESENT, Ordering::Release);
        let mut queue = self.queue();
        if queue.len() >= self.count * 2 {
            queue.retain(|(slot, generation)| self.is_present(*slot, *generation));
        }
        queue.push_back((slot, generation));
    }

    /// An element is gone. The caller holds the lock of its bucket.
    pub(super) fn remove(&self, slot: u32) {
        self.word(slot).fetch_and(!(PRESENT | USED), Ordering::AcqRel);
    }

    /// The element that goes, and its generation: the caller locks its bucket and asks [`Lru::forget`] whether it is
    /// there still.
    pub(super) fn victim(&self) -> Option<(u32, u32)> {
        let mut queue = self.queue();
        // Each turn drops an entry or takes a mark away; others may set marks again, so twice round is enough.
        for _ in 0..queue.len() * 2 {
            let (slot, generation) = queue.pop_front()?;
            if !self.is_present(slot, generation) {
                continue;
            }
            if self.word(slot).fetch_and(!USED, Ordering::Relaxed) & USED == 0 {
                return Some((slot, generation));
            }
            queue.push_back((slot, generation));
        }
        let (slot, generation) = queue.pop_front()?;
        Some((slot, generation))
    }

    /// Removes the element unless it has gone in between. The caller holds the lock of its bucket.
    pub(super) fn forget(&self, slot: u32, generation: u32) -> bool {
        let present = self.is_present(slot, generation);
        if present {
            self.remove(slot);
        }
        present
    }

    fn is_present(&self, slot: u32, generation: u32) -> bool {
        let word = self.word(slot).load(Ordering::Acquire);
        word as u32 == generation && word & PRESENT != 0
    }

    fn word(&self, slot: u32) -> &AtomicU64 {
        self.words.word(slot as usize * 8)
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<(u32, u32)>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
