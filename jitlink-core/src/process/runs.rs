//! A set of addresses as runs that neither touch nor overlap.

use std::collections::BTreeMap;
use std::ops::Range;

/// Runs of addresses by their start; what touches becomes one.
#[derive(Clone, Debug, Default)]
pub(super) struct RunSet {
    runs: BTreeMap<u64, u64>,
    total: u64,
}

impl RunSet {
    /// How many addresses it holds.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// How many runs it holds.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.runs.len()
    }

    /// The runs in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.runs.iter().map(|(start, end)| *start..*end)
    }

    /// The run that holds `address`.
    pub(super) fn run_at(&self, address: u64) -> Option<Range<u64>> {
        let (start, end) = self.runs.range(..=address).next_back()?;
        (address < *end).then_some(*start..*end)
    }

    /// The runs that overlap `range`, cut to it.
    pub(super) fn within(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let first = self.run_at(range.start).map_or(range.start, |run| run.start);
        // An empty range would make the map panic where its ends cross.
        let all = self.runs.range(first..range.end.max(first));
        let cut = move |(start, end): (&u64, &u64)| (*start).max(range.start)..(*end).min(range.end);
        all.map(cut).filter(|run| !run.is_empty())
    }

    /// Adds addresses; the runs that it swallowed are told to `gone`. The run that holds them now.
    pub(super) fn insert(&mut self, range: Range<u64>, mut gone: impl FnMut(Range<u64>)) -> Range<u64> {
        let mut merged = range.clone();
        if range.is_empty() {
            return merged;
        }
        let before = self.runs.range(..range.start).next_back().map(|(start, end)| *start..*end);
        let first = before.filter(|run| run.end >= range.start).map_or(range.start, |run| run.start);
        while let Some((start, end)) = self.runs.range(first..=range.end).next().map(|(start, end)| (*start, *end)) {
            self.runs.remove(&start);
            self.total -= end - start;
            gone(start..end);
            merged = merged.start.min(start)..merged.end.max(end);
        }
        self.runs.insert(merged.start, merged.end);
        self.total += merged.end - merged.start;
        merged
    }

    /// Takes addresses out, whether they are in or not.
    pub(super) fn remove(&mut self, range: Range<u64>) {
        let mut at = range.start;
        while at < range.end {
            let run = match self.run_at(at) {
                Some(run) => run,
                None => match self.runs.range(at..range.end).next() {
                    Some((start, end)) => *start..*end,
                    None => return,
                },
            };
            self.runs.remove(&run.start);
            self.total -= run.end - run.start;
            if run.start < range.start {
                self.runs.insert(run.start, range.start);
                self.total += range.start - run.start;
            }
            if run.end > range.end {
                self.runs.insert(range.end, run.end);
                self.total += run.end - range.end;
            }
            at = run.end;
        }
    }
}
