//! Time as programs see it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The host's clocks: the system's, or one that stands still until it is set.
#[derive(Debug, Default)]
pub struct Clock {
    /// When it stands still: one more than the nanoseconds that it shows.
    frozen: AtomicU64,
}

impl Clock {
    /// The system's clocks.
    pub fn system() -> Clock {
        Clock::default()
    }

    /// Clocks that show this many nanoseconds, all of them, until they are set.
    pub fn frozen(nanoseconds: u64) -> Clock {
        let clock = Clock::default();
        clock.set(nanoseconds);
        clock
    }

    /// Stops the clocks at this many nanoseconds.
    pub fn set(&self, nanoseconds: u64) {
        self.frozen.store(nanoseconds.saturating_add(1), Ordering::Relaxed);
    }

    /// Nanoseconds since the system started, or as set.
    pub fn monotonic(&self) -> u64 {
        self.or(|| {
            // The first use is taken for the start of the system.
            static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
            START.get_or_init(std::time::Instant::now).elapsed() + Duration::from_secs(1)
        })
    }

    /// Nanoseconds since 1970 by atomic time, or as set.
    pub fn tai(&self) -> u64 {
        /// Seconds by which atomic time is ahead of universal time since 2017.
        const AHEAD: Duration = Duration::from_secs(37);
        self.or(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + AHEAD)
    }

    fn or(&self, now: impl FnOnce() -> Duration) -> u64 {
        match self.frozen.load(Ordering::Relaxed) {
            0 => u64::try_from(now().as_nanos()).unwrap_or(u64::MAX),
            frozen => frozen - 1,
        }
    }
}
