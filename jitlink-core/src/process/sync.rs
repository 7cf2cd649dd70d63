//! What threads share, in two kinds: the standard library's, and that of loom, which runs a test in every order that the threads' steps can
//! have (`cargo xtask loom`).

#[cfg(loom)]
pub(super) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(loom))]
pub(super) use std::sync::{Mutex, MutexGuard};
use std::sync::{PoisonError, TryLockError};

/// Locks a mutex whatever happened to other threads: what they guard here is never left half changed by a panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks a mutex if nobody else holds it.
pub(super) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// What only one thread does at a time, by what it says elsewhere: memory that the compiler knows nothing of is used. In a model, two
/// threads that do it at once are a failure.
#[derive(Default)]
pub(super) struct Turn {
    #[cfg(loom)]
    cell: loom::cell::UnsafeCell<()>,
}

impl Turn {
    #[cfg(not(loom))]
    pub(super) const fn new() -> Turn {
        Turn {}
    }

    #[cfg(loom)]
    pub(super) fn new() -> Turn {
        Turn::default()
    }

    pub(super) fn take<T>(&self, run: impl FnOnce() -> T) -> T {
        #[cfg(loom)]
        return self.cell.with_mut(|_| run());
        #[cfg(not(loom))]
        run()
    }
}

// SAFETY: the cell holds nothing; in a model, loom reports threads that use it at once.
#[cfg(loom)]
unsafe impl Sync for Turn {}

/// A variable of the process; in a model, one of each run of it.
macro_rules! shared {
    ($(#[$about:meta])* static $name:ident: $type:ty = $value:expr;) => {
        $(#[$about])*
        #[cfg(not(loom))]
        static $name: $type = $value;
        #[cfg(loom)]
        loom::lazy_static! { $(#[$about])* static ref $name: $type = $value; }
    };
}

pub(super) use shared;
