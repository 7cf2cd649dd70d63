//! Which elements of a hash table's memory are free.
//!
//! Elements that were never used come last, so that memory is only touched when it is needed. Elements that were
//! deleted are put aside until no program can hold their address ([`grace`](super::grace)). There are some more of them
//! than the map may have entries, which is what makes room for those. Where even these run out, the oldest is taken at
//! once, as the kernel does with preallocated elements.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::grace;

/// How many elements there are beyond what a map may hold.
pub(super) const SPARE: u32 = 64;

/// The free elements.
#[derive(Debug)]
pub(super) struct Slots(Mutex<Free>);

#[derive(Debug)]
struct Free {
    /// How many there are.
    total: u32,
    /// From here on, none was ever used.
    fresh: u32,
    /// Were deleted in a period.
    aside: VecDeque<(u32, u64)>,
    /// Replacements that are under way, each of which has an element that no entry counts.
    replacing: u32,
}

impl Slots {
    /// All of `total` elements are free.
    pub(super) fn new(total: u32) -> Slots {
        Slots(Mutex::new(Free { total, fresh: 0, aside: VecDeque::new(), replacing: 0 }))
    }

    /// An element for a new entry. None only where there are more entries than elements.
    pub(super) fn take(&self) -> Option<u32> {
        self.free().take()
    }

    /// An element to replace another that is still in its place; none where too many are being replaced. Ends with
    /// [`Slots::replaced`].
    pub(super) fn take_replacement(&self) -> Option<u32> {
        let mut free = self.free();
        if free.replacing >= SPARE {
            return None;
        }
        let slot = free.take()?;
        free.replacing += 1;
        Some(slot)
    }

    /// An element was deleted.
    pub(super) fn put(&self, slot: u32) {
        self.free().aside.push_back((slot, grace::period()));
    }

    /// An element was replaced by one from [`Slots::take_replacement`].
    pub(super) fn replaced(&self, slot: u32) {
        let mut free = self.free();
        free.replacing -= 1;
        free.aside.push_back((slot, grace::period()));
    }

    fn free(&self) -> MutexGuard<'_, Free> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Free {
    fn take(&mut self) -> Option<u32> {
        if self.aside.front().is_some_and(|(_, period)| grace::is_over(*period)) {
            return self.aside.pop_front().map(|(slot, _)| slot);
        }
        if self.fresh < self.total {
            self.fresh += 1;
            return Some(self.fresh - 1);
        }
        self.aside.pop_front().map(|(slot, _)| slot)
    }
}
