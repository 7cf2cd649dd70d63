//! Memory that the linker itself works in, in large pages where it is long.
//!
//! The first access to each page costs as much as linking dozens of symbols, and a large page costs little more than a small
//! one. The system gives large pages inside mappings for which it was asked to, which allocators make of long vectors.

/// A vector with room for so much.
pub(crate) fn vector<T>(capacity: usize) -> Vec<T> {
    let mut vector = Vec::with_capacity(capacity);
    prefer_large(&mut vector);
    vector
}

/// Makes room for so much more, and at least twice as much as before.
pub(crate) fn reserve<T>(vector: &mut Vec<T>, more: usize) {
    if vector.capacity() - vector.len() < more {
        vector.reserve(more);
        prefer_large(vector);
    }
}

/// So many zeros. Pages that nobody writes to are not there.
pub(crate) fn zeros(size: usize) -> Vec<u8> {
    let mut zeros = vec![0; size];
    prefer_large(&mut zeros);
    zeros
}

/// Asks for large pages.
#[cfg(all(feature = "in-process", target_os = "linux"))]
#[allow(unsafe_code, reason = "there is no safe call that gives the system a hint")]
pub(crate) fn prefer_large<T>(vector: &mut Vec<T>) {
    const PAGE: usize = 4096;
    /// Less than this stays as it is.
    const SMALLEST: usize = 1 << 20;
    let size = vector.capacity() * size_of::<T>();
    if size < SMALLEST {
        return;
    }
    // To the ends of the pages, which are there as parts of them are.
    let start = vector.as_mut_ptr() as usize & !(PAGE - 1);
    let end = (vector.as_mut_ptr() as usize + size).next_multiple_of(PAGE);
    // SAFETY: the range is pages in which memory of this vector is, and the hint changes no byte of them.
    unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE) };
}

/// Makes the pages of memory present that will all be written, at once instead of by a fault each.
#[cfg(all(feature = "in-process", target_os = "linux"))]
#[allow(unsafe_code, reason = "there is no safe call that makes pages present")]
pub(crate) fn populate(bytes: &mut [u8]) {
    const PAGE: usize = 4096;
    const MANY: usize = 16 * PAGE;
    if bytes.len() < MANY {
        return;
    }
    let first = bytes.as_ptr() as usize & !(PAGE - 1);
    let size = bytes.as_ptr() as usize + bytes.len() - first;
    // SAFETY: the pages are there, as parts of them are borrowed, and no byte of them changes. Only saves time: a failure is
    // ignored.
    unsafe { libc::madvise(first as *mut libc::c_void, size, libc::MADV_POPULATE_WRITE) };
}

/// There is no such call here.
#[cfg(not(all(feature = "in-process", target_os = "linux")))]
pub(crate) fn populate(_: &mut [u8]) {}

/// There is no such hint here.
#[cfg(not(all(feature = "in-process", target_os = "linux")))]
pub(crate) fn prefer_large<T>(_: &mut Vec<T>) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_grows_by_doubling_and_keeps_what_is_there() {
        let mut vector: Vec<u32> = Vec::new();
        let (mut grown, mut capacity) = (0, 0);
        for number in 0..1_000_000 {
            reserve(&mut vector, 1);
            vector.push(number);
            if vector.capacity() != capacity {
                (grown, capacity) = (grown + 1, vector.capacity());
            }
        }
        assert!(grown < 30, "{grown}");
        assert!(vector.iter().copied().eq(0..1_000_000));
        assert!(self::vector::<u64>(1 << 20).capacity() >= 1 << 20);
    }

    #[test]
    fn zeros_are_zeros() {
        for size in [0, 1, 1 << 20, (2 << 20) + 1] {
            let zeros = zeros(size);
            assert!(zeros.len() == size && zeros.iter().all(|byte| *byte == 0));
        }
    }
}
