//! Reads and writes of memory that other threads may use at the same moment.
//!
//! Rust gives no meaning to plain accesses that race, and no atomic access at places that are not aligned, while programs do both.
//! On x86-64 an assembly instruction does what is needed for any place at the price of a plain access. Elsewhere aligned places
//! are accessed atomically (relaxed), others byte by byte.

/// A word that programs load and store: `u8`, `u16`, `u32` or `u64`.
pub(crate) trait Word: Copy {
    /// Reads the word at a place of any alignment.
    ///
    /// # Safety
    /// The bytes at `place` are memory that lives during the call, and that is only accessed atomically.
    unsafe fn read(place: *const u8) -> Self;

    /// Writes the word at a place of any alignment.
    ///
    /// # Safety
    /// As for [`Word::read`]; the memory is writable.
    unsafe fn write(place: *mut u8, word: Self);
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
macro_rules! word {
    ($type:ty, $wide:ty, $load:literal, $class:ident, $store:literal) => {
        impl Word for $type {
            #[inline(always)]
            unsafe fn read(place: *const u8) -> $type {
                let word: $wide;
                // SAFETY: the caller says that the bytes are there; the instruction reads just them.
                unsafe {
                    std::arch::asm!($load, out(reg) word, in(reg) place,
                        options(nostack, preserves_flags, readonly))
                };
                word as $type
            }

            #[inline(always)]
            unsafe fn write(place: *mut u8, word: $type) {
                // SAFETY: the caller says that the bytes are there; the instruction writes just them.
                unsafe { std::arch::asm!($store, in(reg) place, in($class) word, options(nostack, preserves_flags)) };
            }
        }
    };
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
word!(u8, u32, "movzx {0:e}, byte ptr [{1}]", reg_byte, "mov byte ptr [{0}], {1}");
#[cfg(all(target_arch = "x86_64", not(miri)))]
word!(u16, u32, "movzx {0:e}, word ptr [{1}]", reg, "mov word ptr [{0}], {1:x}");
#[cfg(all(target_arch = "x86_64", not(miri)))]
word!(u32, u32, "mov {0:e}, dword ptr [{1}]", reg, "mov dword ptr [{0}], {1:e}");
#[cfg(all(target_arch = "x86_64", not(miri)))]
word!(u64, u64, "mov {0}, qword ptr [{1}]", reg, "mov qword ptr [{0}], {1}");

#[cfg(any(not(target_arch = "x86_64"), miri))]
macro_rules! word {
    ($type:ty, $atomic:ident) => {
        impl Word for $type {
            #[inline(always)]
            unsafe fn read(place: *const u8) -> $type {
                use std::sync::atomic::{AtomicU8, Ordering::Relaxed, $atomic};
                if place.addr() % size_of::<$type>() == 0 {
                    // SAFETY: the bytes are there, as the caller says, and aligned.
                    return unsafe { $atomic::from_ptr(place.cast_mut().cast()) }.load(Relaxed);
                }
                let mut bytes = [0; size_of::<$type>()];
                for (index, byte) in bytes.iter_mut().enumerate() {
                    // SAFETY: the bytes are there, as the caller says.
                    *byte = unsafe { AtomicU8::from_ptr(place.cast_mut().add(index)) }.load(Relaxed);
                }
                <$type>::from_ne_bytes(bytes)
            }

            #[inline(always)]
            unsafe fn write(place: *mut u8, word: $type) {
                use std::sync::atomic::{AtomicU8, Ordering::Relaxed, $atomic};
                if place.addr() % size_of::<$type>() == 0 {
                    // SAFETY: the bytes are there, as the caller says, and aligned.
                    return unsafe { $atomic::from_ptr(place.cast()) }.store(word, Relaxed);
                }
                for (index, byte) in word.to_ne_bytes().into_iter().enumerate() {
                    // SAFETY: the bytes are there, as the caller says.
                    unsafe { AtomicU8::from_ptr(place.add(index)) }.store(byte, Relaxed);
                }
            }
        }
    };
}

#[cfg(any(not(target_arch = "x86_64"), miri))]
word!(u8, AtomicU8);
#[cfg(any(not(target_arch = "x86_64"), miri))]
word!(u16, AtomicU16);
#[cfg(any(not(target_arch = "x86_64"), miri))]
word!(u32, AtomicU32);
#[cfg(any(not(target_arch = "x86_64"), miri))]
word!(u64, AtomicU64);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    #[test]
    fn words_of_all_sizes_are_read_and_written_at_all_places() {
        let memory = Memory::zeroed(32).unwrap();
        for offset in 0..24 {
            memory.fill(0, 32, 0xaa);
            // SAFETY: the places are inside of the memory, which is only accessed atomically.
            unsafe {
                let place = memory.as_ptr().add(offset);
                u64::write(place, 0x8877_6655_4433_2211);
                assert_eq!(u64::read(place), 0x8877_6655_4433_2211);
                u32::write(place, 0xdead_beef);
                assert_eq!(u32::read(place), 0xdead_beef);
                u16::write(place, 0xcafe);
                assert_eq!(u16::read(place), 0xcafe);
                u8::write(place, 0x80);
                assert_eq!(u8::read(place), 0x80);
            }
            let mut whole = 0x8877_6655_4433_2211u64.to_ne_bytes();
            whole[..4].copy_from_slice(&0xdead_beefu32.to_ne_bytes());
            whole[..2].copy_from_slice(&0xcafeu16.to_ne_bytes());
            whole[0] = 0x80;
            assert_eq!(memory.to_vec(offset, 8), whole);
            assert!(memory.to_vec(0, offset).iter().all(|byte| *byte == 0xaa));
            assert!(memory.to_vec(offset + 8, 24 - offset).iter().all(|byte| *byte == 0xaa));
        }
    }
}
