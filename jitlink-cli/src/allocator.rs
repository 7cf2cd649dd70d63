//! The allocator: the system's, except for long pieces of memory, which are mappings of their own in large pages.
//!
//! The first access to each page costs as much as linking dozens of symbols, and a large page costs little more than a small
//! one. The system gives large pages for memory that it was asked to before anything touched it; an allocator's own note at the
//! start of a piece is such a touch, so these mappings have none: whoever frees memory says how long it is.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;

/// Pieces from this size on are mappings of their own.
const LONG: usize = 1 << 20;

/// What mappings are multiples of: a multiple of every system's page.
const PAGE: usize = 64 << 10;

/// What every system's mappings are aligned to.
const ALIGN: usize = 4096;

/// The size of a large page.
const LARGE: usize = 2 << 20;

/// The rest of a piece after its last whole large page gets one too if it is so long: less memory than it costs faults.
const WORTHWHILE: usize = LARGE * 5 / 8;

pub(crate) struct LongInLargePages;

/// The length of the mapping for so many bytes.
fn mapped(size: usize) -> Option<usize> {
    size.checked_next_multiple_of(if size % LARGE >= WORTHWHILE { LARGE } else { PAGE })
}

fn is_long(layout: &Layout) -> bool {
    layout.size() >= LONG && layout.align() <= ALIGN
}

/// A new mapping for so many bytes, or null.
fn map(size: usize) -> *mut u8 {
    // The system aligns whole numbers of large pages to themselves.
    let (Some(length), Some(aligned)) = (mapped(size), size.checked_next_multiple_of(LARGE)) else {
        return ptr::null_mut();
    };
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping at a place that the system chooses touches nothing that is there.
    let start = unsafe { libc::mmap(ptr::null_mut(), aligned, access, kind, -1, 0) };
    if start == libc::MAP_FAILED {
        return ptr::null_mut();
    }
    // SAFETY: both ranges are in the new mapping. The rest of it goes back, which nobody has seen yet; the hint changes no byte,
    // and without effect it only takes more time. The whole piece has the hint, as only mappings of one kind can be resized.
    unsafe {
        if length < aligned {
            libc::munmap(start.byte_add(length), aligned - length);
        }
        libc::madvise(start, length, libc::MADV_HUGEPAGE);
    }
    start.cast()
}

/// Moves a mapping for so many bytes to one for another number of them, or null where that is not to be had.
///
/// # Safety
///
/// `start` is a mapping of this module for `old` bytes. Unless the result is null it is used no more.
unsafe fn resize(start: *mut u8, old: usize, new: usize) -> *mut u8 {
    let (Some(old_length), Some(new_length)) = (mapped(old), mapped(new)) else { return ptr::null_mut() };
    if old_length == new_length {
        return start;
    }
    let target = map(new);
    if target.is_null() {
        return target;
    }
    let how = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    // SAFETY: the caller vouches for the old mapping; the target is one of the new length that nobody uses yet.
    let moved = unsafe { libc::mremap(start.cast(), old_length, new_length, how, target) };
    if moved == libc::MAP_FAILED {
        // SAFETY: the target is a mapping of that length, and nobody uses it.
        unsafe { libc::munmap(target.cast(), new_length) };
        return ptr::null_mut();
    }
    moved.cast()
}

// SAFETY: each piece is either the system allocator's or a mapping of its own, at least as long as asked for and aligned to
// [`ALIGN`]; which of the two follows from its layout alone, so that it is freed and resized as what it was made.
unsafe impl GlobalAlloc for LongInLargePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match is_long(&layout) {
            true => map(layout.size()),
            // SAFETY: the caller's promise about the layout is the one asked for.
            false => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match is_long(&layout) {
            // New mappings are zero.
            true => map(layout.size()),
            // SAFETY: the caller's promise about the layout is the one asked for.
            false => unsafe { System.alloc_zeroed(layout) },
        }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        match is_long(&layout) {
            true => {
                let length = mapped(layout.size()).unwrap_or(0);
                // SAFETY: the caller says that the piece has this layout, so it is a mapping of this length, and that nobody
                // uses it any more.
                unsafe { libc::munmap(start.cast(), length) };
            }
            // SAFETY: a piece of such a layout is the system allocator's; the caller's promises are the ones asked for.
            false => unsafe { System.dealloc(start, layout) },
        }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the size is right for the alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (is_long(&layout), is_long(&wanted)) {
            // SAFETY: a piece of such a layout is the system allocator's; the caller's promises are the ones asked for.
            (false, false) => unsafe { System.realloc(start, layout, size) },
            // SAFETY: a piece of such a layout is a mapping of its own; the caller uses the old place no more unless this fails.
            (true, true) => unsafe { resize(start, layout.size(), size) },
            _ => {
                // SAFETY: the caller's promises about the new layout are the ones asked for.
                let moved = unsafe { self.alloc(wanted) };
                if !moved.is_null() {
                    // SAFETY: both pieces are at least so long, and a new one overlaps no other. The old one is freed as what
                    // it was made, and used no more.
                    unsafe {
                        ptr::copy_nonoverlapping(start, moved, layout.size().min(size));
                        self.dealloc(start, layout);
                    }
                }
                moved
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_keep_their_bytes_over_the_limit_and_back() {
        let sizes = [16, LONG - 1, LONG, LONG + 1, LARGE, 3 * LARGE + 5, LONG, 10 * LARGE, LONG - 1, 100, 2 * LARGE];
        let mut layout = Layout::from_size_align(8, 8).unwrap();
        // SAFETY: each piece is written and read within its size, resized with its own layout, and freed once.
        unsafe {
            let mut piece = LongInLargePages.alloc(layout);
            ptr::write_bytes(piece, 0x5a, 8);
            for size in sizes {
                piece = LongInLargePages.realloc(piece, layout, size);
                assert!(!piece.is_null() && (0..8).all(|at| *piece.add(at) == 0x5a), "{size}");
                layout = Layout::from_size_align(size, 8).unwrap();
                *piece.add(size - 1) = 0xa5;
                *piece.add(size / 2) = 0x5a;
            }
            LongInLargePages.dealloc(piece, layout);
        }
    }

    #[test]
    fn zeroed_pieces_are_zero() {
        for size in [1, LONG, LARGE + 1] {
            let layout = Layout::from_size_align(size, 1).unwrap();
            // SAFETY: the piece is read within its size and freed once.
            unsafe {
                let piece = LongInLargePages.alloc_zeroed(layout);
                assert!((0..size).all(|at| *piece.add(at) == 0));
                LongInLargePages.dealloc(piece, layout);
            }
        }
    }

    #[test]
    fn what_no_machine_has_is_refused() {
        let layout = Layout::from_size_align(isize::MAX as usize - 7, 8).unwrap();
        // SAFETY: null is not used.
        assert!(unsafe { LongInLargePages.alloc(layout) }.is_null());
    }

    #[test]
    fn large_pages_go_where_they_are_filled() {
        for (size, length) in [
            (LONG, LONG),
            (LONG + 1, LONG + PAGE),
            (WORTHWHILE - 1, WORTHWHILE),
            (WORTHWHILE, LARGE),
            (LARGE, LARGE),
            (LARGE + 1, LARGE + PAGE),
            (LARGE + WORTHWHILE, 2 * LARGE),
        ] {
            assert_eq!(mapped(size), Some(length));
        }
        assert_eq!(mapped(usize::MAX), None);
    }
}
