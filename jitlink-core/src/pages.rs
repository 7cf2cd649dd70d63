//! Hints to the system about the pages of memory that the linker itself works in.

/// Less than this is not worth a system call.
#[cfg(all(feature = "in-process", target_os = "linux"))]
const SMALLEST: usize = 4 << 20;

/// Asks for large pages for the room that a vector has left: one fault each instead of one for every four kilobytes.
#[cfg(all(feature = "in-process", target_os = "linux"))]
#[allow(unsafe_code, reason = "there is no safe call that gives the system a hint")]
pub(crate) fn prefer_large<T>(vector: &mut Vec<T>) {
    const PAGE: usize = 4096;
    let room = vector.spare_capacity_mut().as_mut_ptr_range();
    let (start, end) = ((room.start as usize).next_multiple_of(PAGE), room.end as usize & !(PAGE - 1));
    if end.saturating_sub(start) >= SMALLEST {
        // SAFETY: the range is memory of this vector, and the hint changes no byte of it.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE) };
    }
}

/// There is no such hint here.
#[cfg(not(all(feature = "in-process", target_os = "linux")))]
pub(crate) fn prefer_large<T>(_: &mut Vec<T>) {}

/// A vector with room for so much, in large pages where it is long.
pub(crate) fn vector<T>(capacity: usize) -> Vec<T> {
    let mut vector = Vec::with_capacity(capacity);
    prefer_large(&mut vector);
    vector
}

/// Makes room for so much more, in large pages where it is long.
pub(crate) fn reserve<T>(vector: &mut Vec<T>, more: usize) {
    if vector.capacity() - vector.len() < more {
        vector.reserve(more);
        prefer_large(vector);
    }
}
