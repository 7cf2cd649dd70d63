//! Memory that the linker itself works in, in large pages where it is long.
//!
//! The first access to each page costs as much as linking dozens of symbols, and a large page costs little more than a small
//! one. The system gives large pages where a mapping begins at a multiple of their size, which it makes those do that are whole
//! numbers of them; so long vectors get the capacity that the allocator makes such a mapping of. Where it does otherwise, they
//! are merely a little longer.

/// Less than this stays as it is.
const SMALLEST: usize = 1 << 20;

/// The size of a large page.
const LARGE: usize = 2 << 20;

/// What an allocator may need of a mapping for itself.
const RESERVED: usize = 4096;

/// A vector with room for so much.
pub(crate) fn vector<T>(capacity: usize) -> Vec<T> {
    let mut vector = Vec::new();
    reserve(&mut vector, capacity);
    vector
}

/// Makes room for so much more.
pub(crate) fn reserve<T>(vector: &mut Vec<T>, more: usize) {
    let wanted = vector.len().saturating_add(more);
    if wanted <= vector.capacity() {
        return;
    }
    // At least twice as much, so that little by little does not mean again and again.
    let capacity = rounded::<T>(wanted.max(vector.capacity().saturating_mul(2)));
    vector.reserve_exact(capacity - vector.len());
    prefer_large(vector);
}

/// So many zeros. Pages that nobody writes to are not there.
pub(crate) fn zeros(size: usize) -> Vec<u8> {
    let mut zeros = vec![0; rounded::<u8>(size)];
    prefer_large(&mut zeros);
    zeros.truncate(size);
    zeros
}

/// The capacity to ask for where so much is needed.
fn rounded<T>(count: usize) -> usize {
    let size = count.saturating_mul(size_of::<T>());
    match size.checked_add(RESERVED).and_then(|size| size.checked_next_multiple_of(LARGE)) {
        Some(whole) if size >= SMALLEST => ((whole - RESERVED) / size_of::<T>()).max(count),
        _ => count,
    }
}

/// Asks for large pages.
#[cfg(all(feature = "in-process", target_os = "linux"))]
#[allow(unsafe_code, reason = "there is no safe call that gives the system a hint")]
pub(crate) fn prefer_large<T>(vector: &mut Vec<T>) {
    const PAGE: usize = 4096;
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
    fn long_vectors_are_rounded_up_to_whole_mappings() {
        for (count, capacity) in [
            (0, 0),
            (1000, 1000),
            (SMALLEST / 8, (LARGE - RESERVED) / 8),
            ((LARGE - RESERVED) / 8, (LARGE - RESERVED) / 8),
            (LARGE / 8, (2 * LARGE - RESERVED) / 8),
        ] {
            assert_eq!(rounded::<u64>(count), capacity);
            assert!(vector::<u64>(count).capacity() >= count);
        }
        assert_eq!(rounded::<u64>(usize::MAX), usize::MAX);
        assert_eq!(rounded::<()>(usize::MAX), usize::MAX);
    }

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
    }

    #[test]
    fn zeros_are_zeros() {
        for size in [0, 1, SMALLEST, LARGE + 1] {
            let zeros = zeros(size);
            assert!(zeros.len() == size && zeros.iter().all(|byte| *byte == 0));
        }
    }
}
