//! Where names stand in a list, by their hashes.
//!
//! A batch of a million names takes a step in a random place of memory for each, which is what the time of resolving is made
//! of. So a name costs one such step: a slot holds a part of the hash beside the position, places that are taken are passed
//! in the order in which they lie, and the table grows without a look at the names.
//!
//! Nothing can be removed, and nothing walks the table: what a link gives never depends on the order of hashes.

use crate::pages;

/// Positions of names in a list that their owner keeps.
#[derive(Default)]
pub(super) struct NameTable {
    /// A power of two of them, a quarter of which is free at least.
    slots: Vec<Slot>,
    used: usize,
}

/// The low half of a name's hash, which also says where its search begins, and the name's position.
#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    position: u32,
}

const FREE: Slot = Slot { hash: 0, position: u32::MAX };

impl NameTable {
    /// Makes room for so many names more.
    pub(super) fn reserve(&mut self, more: usize) {
        let wanted = (self.used + more) * 4 / 3 + 1;
        if wanted > self.slots.len() {
            self.resize(wanted.next_power_of_two());
        }
    }

    /// The position of the name of this hash that is the `same`.
    pub(super) fn find(&self, hash: u64, same: impl Fn(u32) -> bool) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let found = self.slots[self.search(hash as u32, same)];
        (found.position != FREE.position).then_some(found.position)
    }

    /// Brings the slots where these hashes begin their search near, all at once: one after another, each would be waited for.
    pub(super) fn approach(&self, hashes: impl Iterator<Item = u64>) {
        let Some(mask) = self.slots.len().checked_sub(1) else { return };
        std::hint::black_box(hashes.fold(0, |sum, hash| sum | self.slots[hash as usize & mask].hash));
    }

    /// The position of the name of this hash that is the `same`; if there is none, it is entered with the position `new`.
    pub(super) fn enter(&mut self, hash: u64, new: u32, same: impl Fn(u32) -> bool) -> Option<u32> {
        self.reserve(1);
        let at = self.search(hash as u32, same);
        let slot = &mut self.slots[at];
        if slot.position != FREE.position {
            return Some(slot.position);
        }
        *slot = Slot { hash: hash as u32, position: new };
        self.used += 1;
        None
    }

    /// The slot of the name that is the `same`, or the free one where it would stand. There is a free one.
    fn search(&self, hash: u32, same: impl Fn(u32) -> bool) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot.position == FREE.position || slot.hash == hash && same(slot.position) {
                return at;
            }
            at = (at + 1) & mask;
        }
    }

    fn resize(&mut self, size: usize) {
        let mut slots = pages::vector(size);
        slots.resize(size, FREE);
        for slot in std::mem::replace(&mut self.slots, slots) {
            if slot.position != FREE.position {
                let at = self.search(slot.hash, |_| false);
                self.slots[at] = slot;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::NameTable;

    #[test]
    fn names_are_found_whatever_their_hashes() {
        // All different, in groups of one hash, in neighbouring places.
        for hash in
            [|name: u32| u64::from(name) << 7, |name: u32| u64::from(name / 16), |name: u32| u64::from(name % 3)]
        {
            let mut table = NameTable::default();
            assert_eq!(table.find(hash(0), |_| true), None);
            for name in 0..1000 {
                assert_eq!(table.enter(hash(name), name, |other| other == name), None);
                assert_eq!(table.enter(hash(name), u32::MAX - 1, |other| other == name), Some(name));
            }
            for name in 0..1000 {
                assert_eq!(table.find(hash(name), |other| other == name), Some(name));
            }
            assert_eq!(table.find(hash(7), |_| false), None);
            assert!(table.slots.len() <= 2048, "{}", table.slots.len());
        }
    }
}
