//! Which addresses of a stripe are free, and which free bytes are known to be zero.
//!
//! Free runs are kept by address, to join neighbours, and by size, for the best fit: the smallest run that holds a request, the
//! lowest of several. Both are ordered sets, so a request costs the logarithm of the number of runs, and there are never more runs
//! than live pieces, plus one.
//!
//! Pages that become wholly free are given back, so memory stays flat, but not at once: a loop that links and removes a small
//! module would pay a system call and a page fault each time. Up to [`DIRTY_LIMIT`] bytes of wholly free pages stay *dirty*; when
//! there are more, the caller is told to give all of them back.
//!
//! Invariant: a free byte is zero if nothing was ever allocated at or above it ([`FreeList::touched`]), or if it lies in a page that
//! is wholly free and not dirty. Of other free bytes nothing is known.

use super::runs::RunSet;
use std::collections::BTreeSet;
use std::ops::Range;

/// How many bytes of wholly free pages are kept for the next request.
pub(super) const DIRTY_LIMIT: u64 = 1 << 20;

/// The smallest alignment; sizes are rounded up to it, so that no run is too small to be useful.
pub(super) const GRANULE: u64 = 16;

/// The free addresses of a stripe.
#[derive(Debug)]
pub(super) struct FreeList {
    page: u64,
    runs: RunSet,
    by_size: BTreeSet<(u64, u64)>,
    /// Wholly free pages that may hold old bytes.
    dirty: RunSet,
    /// Everything from here on was never allocated.
    touched: u64,
    /// How many dirty bytes are kept.
    limit: u64,
}

/// Addresses that were free.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Allocated {
    /// The first.
    pub(super) start: u64,
    /// Which of them may hold something else than zeros.
    pub(super) dirty: Vec<Range<u64>>,
}

impl FreeList {
    /// All of `range` is free and zero.
    pub(super) fn new(range: Range<u64>, page: u64) -> FreeList {
        let (mut runs, mut by_size) = (RunSet::default(), BTreeSet::new());
        if !range.is_empty() {
            by_size.insert((range.end - range.start, range.start));
        }
        runs.insert(range.clone(), |_| ());
        FreeList { page, runs, by_size, dirty: RunSet::default(), touched: range.start, limit: DIRTY_LIMIT }
    }

    /// How many bytes are free.
    #[cfg(test)]
    pub(super) fn total(&self) -> u64 {
        self.runs.total()
    }

    /// How many runs they form.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.runs.count()
    }

    /// Takes `size` bytes, a multiple of [`GRANULE`], at a multiple of `align`.
    pub(super) fn allocate(&mut self, size: u64, align: u64) -> Option<Allocated> {
        let (run, start) = self.best_fit(size, align)?;
        let taken = start..start + size;
        let dirty = self.dirty_bytes(&run, &taken);
        self.by_size.remove(&(run.end - run.start, run.start));
        self.runs.remove(taken.clone());
        for rest in [run.start..taken.start, taken.end..run.end] {
            if !rest.is_empty() {
                self.by_size.insert((rest.end - rest.start, rest.start));
            }
        }
        self.dirty.remove(self.page_of(taken.start)..self.page_after(taken.end));
        self.touched = self.touched.max(taken.end);
        Some(Allocated { start, dirty })
    }

    /// The smallest run that surely or luckily holds an aligned piece of that size, and where in it.
    fn best_fit(&self, size: u64, align: u64) -> Option<(Range<u64>, u64)> {
        let aligned = |(length, start): &(u64, u64)| {
            let at = start.checked_add(align - 1)? & !(align - 1);
            let end = start + length;
            (at.checked_add(size)? <= end).then_some((*start..end, at))
        };
        // A few that fit if they happen to be aligned, then the first that fits wherever it starts.
        let lucky = self.by_size.range((size, 0)..).take(4).find_map(aligned);
        lucky.or_else(|| self.by_size.range((size.checked_add(align - 1)?, 0)..).next().and_then(aligned))
    }

    /// What of `taken`, which lies in the free run `run`, may be other than zero.
    fn dirty_bytes(&self, run: &Range<u64>, taken: &Range<u64>) -> Vec<Range<u64>> {
        let end = taken.end.min(self.touched);
        let whole = self.page_after(run.start)..self.page_of(run.end);
        let mut dirty = Vec::new();
        let mut add = |piece: Range<u64>| {
            if piece.start < piece.end {
                dirty.push(piece);
            }
        };
        if whole.is_empty() {
            add(taken.start..end);
            return dirty;
        }
        add(taken.start..end.min(whole.start));
        let middle = taken.start.max(whole.start)..end.min(whole.end);
        if middle.start < middle.end {
            self.dirty.within(middle).for_each(&mut add);
        }
        add(taken.start.max(whole.end)..end);
        dirty
    }

    /// Makes addresses free that were allocated. Returned are pages that the caller must give back, so that they read as
    /// zeros.
    #[must_use]
    pub(super) fn free(&mut self, range: Range<u64>) -> Vec<Range<u64>> {
        let by_size = &mut self.by_size;
        let merged = self.runs.insert(range.clone(), |run| {
            by_size.remove(&(run.end - run.start, run.start));
        });
        self.by_size.insert((merged.end - merged.start, merged.start));
        let first = self.page_after(merged.start).max(self.page_of(range.start));
        let last = self.page_of(merged.end).min(self.page_after(range.end));
        if first < last {
            self.dirty.insert(first..last, |_| ());
        }
        if self.dirty.total() <= self.limit {
            return Vec::new();
        }
        std::mem::take(&mut self.dirty).iter().collect()
    }

    fn page_of(&self, address: u64) -> u64 {
        address & !(self.page - 1)
    }

    fn page_after(&self, address: u64) -> u64 {
        (address + self.page - 1) & !(self.page - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAGE: u64 = 256;
    const SPACE: Range<u64> = 0x1000..0x1_0000;

    /// Memory that remembers for every byte whether it is in use and whether it was written since it was cleared.
    struct Model {
        used: Vec<bool>,
        written: Vec<bool>,
    }

    impl Model {
        fn cut(range: &Range<u64>) -> Range<usize> {
            (range.start - SPACE.start) as usize..(range.end - SPACE.start) as usize
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Allocate { granules: u64, align: u32 },
        Free { which: usize },
        FreePart { which: usize, from: u64, size: u64 },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1_u64..200, 4_u32..10).prop_map(|(granules, align)| Step::Allocate { granules, align }),
            any::<usize>().prop_map(|which| Step::Free { which }),
            (any::<usize>(), 0_u64..3000, 1_u64..1000).prop_map(|(which, from, size)| Step::FreePart {
                which,
                from,
                size
            }),
        ]
    }

    fn free(list: &mut FreeList, model: &mut Model, range: Range<u64>) {
        model.used[Model::cut(&range)].fill(false);
        for pages in list.free(range) {
            assert!(pages.start.is_multiple_of(PAGE) && pages.end.is_multiple_of(PAGE));
            let cut = Model::cut(&pages);
            assert!(!model.used[cut.clone()].contains(&true), "pages in use are given back");
            model.written[cut].fill(false);
        }
    }

    proptest! {
        #[test]
        fn the_list_agrees_with_a_map_of_every_byte(steps in proptest::collection::vec(step(), 1..200)) {
            let mut list = FreeList::new(SPACE, PAGE);
            // Pages are given back far earlier than in use, so that it happens.
            list.limit = 8 * PAGE;
            let size = (SPACE.end - SPACE.start) as usize;
            let mut model = Model { used: vec![false; size], written: vec![false; size] };
            let mut live: Vec<Range<u64>> = Vec::new();
            for step in steps {
                match step {
                    Step::Allocate { granules, align } => {
                        let (size, align) = (granules * GRANULE, 1 << align);
                        let Some(found) = list.allocate(size, align) else {
                            let room = |at: u64| {
                                let range = at..at + size;
                                range.end <= SPACE.end && !model.used[Model::cut(&range)].contains(&true)
                            };
                            let fits = (SPACE.start..SPACE.end).step_by(align as usize).any(room);
                            // Only a run that is larger by the alignment is sure to be found.
                            prop_assert!(!fits || align > GRANULE, "{size:#x} bytes would fit");
                            continue;
                        };
                        let taken = found.start..found.start + size;
                        prop_assert!(found.start.is_multiple_of(align));
                        prop_assert!(SPACE.start <= taken.start && taken.end <= SPACE.end);
                        prop_assert!(!model.used[Model::cut(&taken)].contains(&true), "it is in use");
                        for at in taken.clone() {
                            let told = found.dirty.iter().any(|dirty| dirty.contains(&at));
                            let written = model.written[(at - SPACE.start) as usize];
                            prop_assert!(told || !written, "{at:#x} is not zero");
                        }
                        prop_assert!(found.dirty.iter().all(|run| taken.start <= run.start && run.end <= taken.end));
                        model.used[Model::cut(&taken)].fill(true);
                        model.written[Model::cut(&taken)].fill(true);
                        live.push(taken);
                    }
                    Step::Free { which } if !live.is_empty() => {
                        let range = live.swap_remove(which % live.len());
                        free(&mut list, &mut model, range);
                    }
                    Step::FreePart { which, from, size } if !live.is_empty() => {
                        let range = live.swap_remove(which % live.len());
                        let start = (range.start + from).min(range.end - 1);
                        let end = (start + size).min(range.end);
                        free(&mut list, &mut model, start..end);
                        live.extend([range.start..start, end..range.end].into_iter().filter(|rest| !rest.is_empty()));
                    }
                    _ => (),
                }
                let used = model.used.iter().filter(|used| **used).count() as u64;
                prop_assert_eq!(list.total(), SPACE.end - SPACE.start - used);
                prop_assert!(list.count() <= live.len() + 1);
                prop_assert_eq!(list.by_size.len(), list.count());
                prop_assert!(list.dirty.total() <= list.limit);
            }
            for range in live {
                free(&mut list, &mut model, range);
            }
            prop_assert_eq!(list.runs.iter().collect::<Vec<_>>(), [SPACE]);
        }
    }

    #[test]
    fn equal_sizes_are_taken_from_the_lowest_address() {
        let mut list = FreeList::new(SPACE, PAGE);
        let starts: Vec<u64> = (0..4).map(|_| list.allocate(32, 16).unwrap().start).collect();
        assert!(list.free(starts[2]..starts[2] + 32).is_empty());
        assert!(list.free(starts[0]..starts[0] + 32).is_empty());
        let found = list.allocate(32, 16).unwrap();
        assert_eq!((found.start, found.dirty.len()), (starts[0], 1));
        assert_eq!(found.dirty[0], starts[0]..starts[0] + 32);
        assert_eq!(list.allocate(16, 16).unwrap().start, starts[2]);
        assert_eq!(list.allocate(SPACE.end, 16), None);
        assert_eq!(list.allocate(u64::MAX - 15, 1 << 40), None);
    }
}
