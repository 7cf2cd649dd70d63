//! When an element that was deleted may be used again: when no program runs any more that may have found it before.
//!
//! Programs keep addresses of values without holding anything, as they do in the kernel under RCU. So whoever runs a
//! program holds a [`Running`], and an element that leaves a map is put aside with the number of the present period.
//! There are two counters of runs, for even and odd periods. A period ends when all runs of the one before have ended;
//! an element that was put aside in period `n` is free in period `n + 2`, since all runs that began in `n` or earlier
//! are over then.
//!
//! This only keeps a program from seeing another element's value through an old address. Memory stays the map's own, so
//! a mistake here, or a map that runs out of elements and takes one too early, never harms the host.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Periods and runs of the whole process, since a map may serve several machines.
static GRACE: Grace = Grace::new();

/// A program runs: elements that are deleted now stay as they are until this is dropped.
#[derive(Debug)]
pub struct Running {
    grace: &'static Grace,
    period: u64,
}

/// Says that a program begins to run on this thread; hold it until the program has ended.
pub fn running() -> Running {
    GRACE.enter()
}

/// The present period.
pub(super) fn period() -> u64 {
    GRACE.period.load(Ordering::SeqCst)
}

/// Whether everything that was put aside in a period is free, now that others may have ended.
pub(super) fn is_over(period: u64) -> bool {
    GRACE.is_over(period)
}

#[derive(Debug)]
struct Grace {
    period: AtomicU64,
    runs: [AtomicUsize; 2],
}

impl Grace {
    const fn new() -> Grace {
        Grace { period: AtomicU64::new(2), runs: [AtomicUsize::new(0), AtomicUsize::new(0)] }
    }

    fn enter(&'static self) -> Running {
        loop {
            let period = self.period.load(Ordering::SeqCst);
            let runs = &self.runs[(period % 2) as usize];
            runs.fetch_add(1, Ordering::SeqCst);
            // A period that ended in between may not have seen this run.
            if self.period.load(Ordering::SeqCst) == period {
                return Running { grace: self, period };
            }
            runs.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn is_over(&self, period: u64) -> bool {
        for _ in 0..2 {
            let now = self.period.load(Ordering::SeqCst);
            if now >= period + 2 {
                return true;
            }
            let before = &self.runs[(now.wrapping_sub(1) % 2) as usize];
            if before.load(Ordering::SeqCst) != 0 {
                return false;
            }
            // Whoever else moves it on does so for the same reason.
            _ = self.period.compare_exchange(now, now + 1, Ordering::SeqCst, Ordering::SeqCst);
        }
        self.period.load(Ordering::SeqCst) >= period + 2
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.grace.runs[(self.period % 2) as usize].fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_aside_is_free_when_all_earlier_runs_have_ended() {
        static LOCAL: Grace = Grace::new();
        let present = || LOCAL.period.load(Ordering::SeqCst);
        assert!(LOCAL.is_over(present()));
        let first = LOCAL.enter();
        let aside = present();
        assert!(!LOCAL.is_over(aside));
        let second = LOCAL.enter();
        drop(first);
        assert!(!LOCAL.is_over(aside) || second.period > aside);
        let third = LOCAL.enter();
        drop(second);
        assert!(LOCAL.is_over(aside), "{third:?} began later or with the last");
    }
}
