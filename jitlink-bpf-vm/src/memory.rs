//! Memory that programs and the host share: bytes at fixed places that several threads read and write at once.
//!
//! Programs on several threads, and the host, work on one map without a lock around each access, as they do in the kernel. So
//! all access is atomic, of up to eight bytes at once where the place is aligned for it; longer runs may be torn between.

use std::alloc::{Layout, alloc_zeroed};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// A run of zeroed bytes, aligned to eight.
pub struct Memory {
    words: Box<[AtomicU64]>,
    len: usize,
}

/// There is not that much memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no memory for {0:#x} bytes")]
pub struct OutOfMemory(pub usize);

impl Memory {
    /// `len` zero bytes. The system gives large ones page by page, when they are first used.
    pub fn zeroed(len: usize) -> Result<Memory, OutOfMemory> {
        let count = len.div_ceil(8);
        let words = match Layout::array::<AtomicU64>(count) {
            Ok(layout) if count > 0 => {
                // SAFETY: the layout is not empty.
                let start = unsafe { alloc_zeroed(layout) };
                if start.is_null() {
                    return Err(OutOfMemory(len));
                }
                let slice = std::ptr::slice_from_raw_parts_mut(start.cast::<AtomicU64>(), count);
                // SAFETY: the allocation is the box's own, has its layout, and zeros are valid words.
                unsafe { Box::from_raw(slice) }
            }
            Ok(_) => Box::default(),
            Err(_) => return Err(OutOfMemory(len)),
        };
        Ok(Memory { words, len })
    }

    /// How many bytes there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where the bytes are on the host. Everything up to [`Memory::len`] may be read and written as long as `self` lives,
    /// atomically where other threads may do so too.
    #[inline]
    pub fn as_ptr(&self) -> *mut u8 {
        self.words.as_ptr().cast_mut().cast()
    }

    /// The aligned word that holds an offset.
    ///
    /// # Panics
    /// Where the offset is outside.
    #[inline]
    pub fn word(&self, offset: usize) -> &AtomicU64 {
        &self.words[offset / 8]
    }

    /// Copies bytes out, from an offset.
    ///
    /// # Panics
    /// Where they are not all inside.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) {
        self.check(offset, bytes.len());
        let mut done = 0;
        while done < bytes.len() {
            let (at, skip) = (offset + done, (offset + done) % 8);
            let count = (8 - skip).min(bytes.len() - done);
            let word = self.words[at / 8].load(Ordering::Relaxed).to_ne_bytes();
            bytes[done..done + count].copy_from_slice(&word[skip..skip + count]);
            done += count;
        }
    }

    /// Copies bytes in, to an offset.
    ///
    /// # Panics
    /// Where they are not all inside.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        self.check(offset, bytes.len());
        let mut done = 0;
        while done < bytes.len() {
            let (at, skip) = (offset + done, (offset + done) % 8);
            let count = (8 - skip).min(bytes.len() - done);
            let part = &bytes[done..done + count];
            match <[u8; 8]>::try_from(part) {
                Ok(whole) => self.words[at / 8].store(u64::from_ne_bytes(whole), Ordering::Relaxed),
                Err(_) => self.write_part(at, part),
            }
            done += count;
        }
    }

    /// Fills a run with one byte.
    ///
    /// # Panics
    /// Where it is not all inside.
    pub fn fill(&self, offset: usize, len: usize, byte: u8) {
        self.check(offset, len);
        let word = [byte; 8];
        let mut done = 0;
        while done < len {
            let count = (8 - (offset + done) % 8).min(len - done);
            self.write(offset + done, &word[..count]);
            done += count;
        }
    }

    /// A copy of a run.
    ///
    /// # Panics
    /// Where it is not all inside.
    pub fn to_vec(&self, offset: usize, len: usize) -> Vec<u8> {
        self.check(offset, len);
        let mut bytes = vec![0; len];
        self.read(offset, &mut bytes);
        bytes
    }

    /// Makes the first bytes zero, up to the word that holds the last one, as nobody else uses them.
    ///
    /// # Panics
    /// Where they are not all inside.
    pub(crate) fn clear(&mut self, len: usize) {
        self.check(0, len);
        self.words[..len.div_ceil(8)].iter_mut().for_each(|word| *word.get_mut() = 0);
    }

    /// Writes less than a word, none of whose other bytes changes.
    fn write_part(&self, at: usize, part: &[u8]) {
        let replace = |old: u64| {
            let mut word = old.to_ne_bytes();
            word[at % 8..at % 8 + part.len()].copy_from_slice(part);
            Some(u64::from_ne_bytes(word))
        };
        // The closure never refuses, so neither does this.
        _ = self.words[at / 8].fetch_update(Ordering::Relaxed, Ordering::Relaxed, replace);
    }

    fn check(&self, offset: usize, len: usize) {
        let inside = offset <= self.len && len <= self.len - offset;
        assert!(inside, "{len:#x} bytes at {offset:#x} are outside of {:#x} bytes of memory", self.len);
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({:#x} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_give_back_what_was_written_and_the_rest_stays() {
        let memory = Memory::zeroed(29).unwrap();
        for offset in 0..29 {
            for len in 0..29 - offset {
                memory.fill(0, 29, 0xee);
                let bytes: Vec<u8> = (1..=len as u8).collect();
                memory.write(offset, &bytes);
                assert_eq!(memory.to_vec(offset, len), bytes);
                assert!(memory.to_vec(0, offset).iter().all(|byte| *byte == 0xee));
                assert!(memory.to_vec(offset + len, 29 - offset - len).iter().all(|byte| *byte == 0xee));
            }
        }
    }

    #[test]
    fn writes_to_parts_of_one_word_from_two_threads_are_kept() {
        let memory = Memory::zeroed(8).unwrap();
        std::thread::scope(|scope| {
            for half in [0, 4] {
                let memory = &memory;
                scope.spawn(move || (0..10_000u32).for_each(|i| memory.write(half, &i.to_le_bytes())));
            }
        });
        assert_eq!(memory.to_vec(0, 8), [9999u32.to_le_bytes(), 9999u32.to_le_bytes()].concat());
    }

    #[test]
    #[should_panic(expected = "0x2 bytes at 0x7 are outside of 0x8 bytes")]
    fn places_outside_are_a_mistake_of_the_host() {
        Memory::zeroed(8).unwrap().to_vec(7, 2);
    }

    #[test]
    fn what_is_not_to_be_had_is_said() {
        assert_eq!(Memory::zeroed(usize::MAX).unwrap_err(), OutOfMemory(usize::MAX));
        assert!(Memory::zeroed(0).unwrap().is_empty());
    }
}
