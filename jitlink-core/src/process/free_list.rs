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
        FreeList { page, runs, by_size, dirty: RunSet::default(), touched: range.start }
    }

    /// How many bytes are free.
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
        if self.dirty.total() <= DIRTY_LIMIT {
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
