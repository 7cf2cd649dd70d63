//! Spin locks that stand in values: `struct bpf_spin_lock`, four bytes that are zero while nobody holds it.
//!
//! Programs and the host lock the same word, so it is taken by compare-and-exchange on the word of [`Memory`] that
//! holds it.

use std::sync::atomic::Ordering;

use super::errno::{Errno, MapResult};
use crate::memory::Memory;

/// How often the host lets others run before it takes the holder for dead. A program that ends without unlocking is a
/// mistake that the machine repairs; this only keeps a host from waiting for ever.
const PATIENCE: u32 = 1 << 22;

/// Takes the lock at an offset, a multiple of four, if nobody holds it.
///
/// # Panics
/// Where the offset is outside of the memory.
pub fn try_lock(memory: &Memory, offset: usize) -> bool {
    let word = memory.word(offset);
    let mut old = word.load(Ordering::Relaxed);
    while old & mask(offset) == 0 {
        match word.compare_exchange_weak(old, old | one(offset), Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return true,
            Err(now) => old = now,
        }
    }
    false
}

/// Gives the lock at an offset back, whoever holds it.
///
/// # Panics
/// Where the offset is outside of the memory.
pub fn unlock(memory: &Memory, offset: usize) {
    memory.word(offset).fetch_and(!mask(offset), Ordering::Release);
}

/// Runs with the lock at an offset held; `EBUSY` where someone never gives it back.
pub(super) fn with<T>(memory: &Memory, offset: usize, run: impl FnOnce() -> T) -> MapResult<T> {
    for _ in 0..PATIENCE {
        if try_lock(memory, offset) {
            let result = run();
            unlock(memory, offset);
            return Ok(result);
        }
        std::thread::yield_now();
    }
    Err(Errno::BUSY.because("a program holds the value's spin lock and does not give it back"))
}

/// The bits of the lock in its word.
fn mask(offset: usize) -> u64 {
    u64::from(u32::MAX) * (one(offset))
}

/// The lowest bit of the lock in its word.
fn one(offset: usize) -> u64 {
    let second = offset % 8 >= 4;
    if second == cfg!(target_endian = "little") { 1 << 32 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_is_its_own_four_bytes() {
        let memory = Memory::zeroed(16).unwrap();
        for offset in [0, 4, 8, 12] {
            memory.fill(0, 16, 0);
            assert!(try_lock(&memory, offset));
            assert!(!try_lock(&memory, offset));
            assert_eq!(memory.to_vec(offset, 4), 1u32.to_ne_bytes());
            memory.fill(0, 16, 0xff);
            unlock(&memory, offset);
            assert_eq!(memory.to_vec(offset, 4), [0; 4]);
            assert_eq!(memory.to_vec(0, 16).iter().filter(|byte| **byte == 0xff).count(), 12);
        }
    }
}
