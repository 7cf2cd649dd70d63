//! What threads share, in two kinds: the standard library's, and that of loom, which runs a test in every order that
//! the threads' steps can have (`cargo xtask loom`).
//!
//! `Arc` is always the standard library's, because loom's has no weak references; what is modelled is what locks and counts protect.

#[cfg(loom)]
pub(crate) use loom::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard},
    thread::{ThreadId, current},
};
pub(crate) use std::sync::{Arc, PoisonError, Weak};
#[cfg(not(loom))]
pub(crate) use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard},
    thread::{ThreadId, current},
};

/// Locks a mutex whatever happened to other threads: what they guard here is never left half changed by a panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
