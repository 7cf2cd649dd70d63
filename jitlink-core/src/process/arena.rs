//! Arenas: reserved address space in three stripes, one for each protection, from which segments are cut.
//!
//! | stripe | its pages | written through |
//! | --- | --- | --- |
//! | code, `r-x` | a memory file, shared | a writable *alias*: the same file mapped a second time, elsewhere |
//! | constants, `r--` | a memory file, shared | an alias |
//! | data, `rw-` | private pages of zeros | its own addresses |
//!
//! No address is ever writable and executable, and no protection changes while a page is in use: adding to a page of code that is
//! running takes nothing away from it. Data is private, so that a forked child has its own, as with any program. Code is shared
//! with children; they get no alias, so they cannot write to it.
//!
//! Debuggers write breakpoints to code. The kernel lets them where a page is private, and then gives them a copy, which what is written
//! through the alias no longer reaches. So an arena *for debugging* maps the code privately, gives each piece pages of its own,
//! and drops the copies before a page is used again. Pages without breakpoints are the file's, as ever.
//!
//! A profiler that takes names from a map does so only for code that is in no file. So an arena *for mapping* has anonymous pages for
//! code, which are mapped a second time by other means.
//!
//! Pages of memory files are small ones, each of which costs a fault and is given back by itself. So a large segment of code or
//! constants is *sealed* instead: private pages, large ones where the system has them, cover its part of the stripe. They are written in
//! place, and lose the right to be written before they gain another, once, before anything of the segment runs. When the segment is
//! given back, the file's pages are there again. Where the system forbids written pages to become code, code is not sealed.
//!
//! Address space is reserved at once and filled in steps: the first is [`FIRST_STEP`], later ones double what is there, to at most
//! [`LARGEST_STEP`]. A small link costs a dozen system calls and no more pages than it writes to.

use super::free_list::{FreeList, GRANULE};
use super::icache::IS_TOLD;
use super::map::{Access, Backing, Doubled, Span, may_become_code, page_size};
use super::runs::RunSet;
use crate::addr::{Addr, AddrRange};
use crate::executor::SegmentRequest;
use crate::graph::Protection;
use std::io;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// How much of a stripe is opened first.
const FIRST_STEP: u64 = 256 << 10;

/// How much of a stripe is opened at once at most.
const LARGEST_STEP: u64 = 64 << 20;

/// The size of a large page.
const LARGE_PAGE: u64 = 2 << 20;

const STRIPES: [Protection; 3] = [Protection::ReadExecute, Protection::Read, Protection::ReadWrite];

/// The sizes of an arena's stripes: code, constants, data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StripeSizes([u64; 3]);

impl StripeSizes {
    /// An arena of about `size` bytes: three eighths code, two constants, three data.
    pub(super) fn of_arena(size: u64) -> StripeSizes {
        let unit = if size / 8 >= LARGE_PAGE { LARGE_PAGE } else { page_size() };
        let eighth = (size / 8).max(unit) & !(unit - 1);
        StripeSizes([3 * eighth, 2 * eighth, 3 * eighth])
    }

    /// What these segments need at most.
    pub(super) fn needed<'s>(segments: impl Iterator<Item = &'s SegmentRequest>) -> Option<StripeSizes> {
        let mut sizes = [0_u64; 3];
        for segment in segments {
            // Pages of their own, should the arena be for debugging.
            let shape = Shape::of(segment, Purpose::Debugging)?;
            let need = shape.capacity.checked_add(shape.align)?;
            let stripe = &mut sizes[stripe_of(segment.protection)];
            *stripe = stripe.checked_add(need)?;
        }
        for size in &mut sizes {
            // So that the first segment of each stripe, if large, begins with a large page.
            *size = size.checked_next_multiple_of(if *size >= LARGE_PAGE { LARGE_PAGE } else { page_size() })?;
        }
        let sizes = StripeSizes(sizes);
        sizes.0.iter().try_fold(0_u64, |total, size| total.checked_add(*size))?;
        Some(sizes)
    }

    /// The larger of the two, for each stripe.
    pub(super) fn max(self, other: StripeSizes) -> StripeSizes {
        StripeSizes([0, 1, 2].map(|index| self.0[index].max(other.0[index])))
    }

    /// All stripes together.
    pub(super) fn total(self) -> u64 {
        self.0.iter().sum()
    }
}

/// Address space with three stripes. Owned by the executor and by every piece that was cut from it.
#[derive(Debug)]
pub(super) struct Arena {
    span: Span,
    /// The process that made it; in a forked child it stays as it is.
    process: u32,
    stripes: Mutex<[Stripe; 3]>,
    purpose: Purpose,
}

/// Who else looks at code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Nobody.
    Running,
    /// A debugger, which may write to it.
    Debugging,
    /// A profiler, which looks names up in a map only where code is in no file.
    Mapping,
}

/// A piece of a stripe. Given back by [`Arena::free`].
#[derive(Debug)]
pub(super) struct Piece {
    /// Where the target sees it.
    pub(super) address: u64,
    /// What was asked for.
    pub(super) size: u64,
    /// What was cut: the size rounded up.
    pub(super) capacity: u64,
    /// Where it is written.
    pub(super) alias: u64,
    /// Which addresses may hold something else than zeros.
    pub(super) dirty: Vec<Range<u64>>,
    /// What the target may do with it.
    pub(super) protection: Protection,
    /// Whether it has private pages, which are written in place until [`Arena::seal`].
    pub(super) sealed: bool,
}

/// How a segment is cut.
struct Shape {
    /// Its size rounded up.
    capacity: u64,
    align: u64,
    sealed: bool,
}

impl Shape {
    /// `None` where the size is larger than any address space.
    fn of(segment: &SegmentRequest, purpose: Purpose) -> Option<Shape> {
        let protection = segment.protection;
        let allowed = || protection == Protection::Read || may_become_code();
        let sealed = segment.size >= LARGE_PAGE && protection != Protection::ReadWrite && allowed();
        let granule = if sealed { page_size() } else { purpose.granule(protection) };
        let capacity = segment.size.max(1).checked_next_multiple_of(granule)?;
        Some(Shape { capacity, align: segment.align.max(granule), sealed })
    }
}

#[derive(Debug)]
struct Stripe {
    start: u64,
    size: u64,
    /// How much of it is open.
    open: u64,
    purpose: Purpose,
    protection: Protection,
    /// None for data, and while nothing is open.
    doubled: Option<Doubled>,
    free: FreeList,
    /// Whole pages that private ones cover.
    sealed: RunSet,
}

impl Arena {
    /// An arena in reserved address space of at least the stripes' total size.
    pub(super) fn new(span: Span, sizes: StripeSizes, purpose: Purpose) -> Arena {
        let mut start = span.start();
        let stripes = STRIPES.map(|protection| {
            let size = sizes.0[stripe_of(protection)];
            // What segments need (`StripeSizes::needed`) has room for this.
            let first = if is_invisible(start) { (start + GRANULE).min(start + size) } else { start };
            let free = FreeList::new(first..start + size, page_size());
            let stripe =
                Stripe { start, size, open: 0, purpose, protection, doubled: None, free, sealed: RunSet::default() };
            start += size;
            stripe
        });
        Arena { span, process: std::process::id(), stripes: Mutex::new(stripes), purpose }
    }

    /// How much of a piece is kept for so many bytes of it.
    pub(super) fn kept(&self, piece: &Piece, size: u64) -> Option<u64> {
        let granule = if piece.sealed { page_size() } else { self.purpose.granule(piece.protection) };
        size.max(1).checked_next_multiple_of(granule)
    }

    /// Ends the writing of a piece that has private pages: from now on the target may use it, as its protection says.
    ///
    /// # Safety
    /// Nobody writes to the piece any more.
    pub(super) unsafe fn seal(&self, piece: &Piece) -> io::Result<()> {
        let access = match piece.protection {
            Protection::ReadExecute => Access::ReadExecute,
            Protection::Read => Access::Read,
            Protection::ReadWrite => Access::ReadWrite,
        };
        // SAFETY: as the caller promises. What was cut for the piece are whole pages of its own.
        unsafe { self.span.protect(piece.address - self.span.start(), piece.capacity, access) }
    }

    /// All of its addresses.
    pub(super) fn region(&self) -> AddrRange {
        AddrRange::new(Addr(self.span.start()), self.span.size())
    }

    /// Whether this process made it. A forked child must not allocate from its parent's arenas: the code in them is shared.
    pub(super) fn is_own(&self) -> bool {
        self.process == std::process::id()
    }

    /// Cuts all of these segments, or none of them: `None` when they do not fit.
    pub(super) fn allocate(&self, segments: &[SegmentRequest]) -> io::Result<Option<Vec<Piece>>> {
        let mut stripes = self.stripes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pieces = Vec::with_capacity(segments.len());
        for segment in segments {
            let stripe = &mut stripes[stripe_of(segment.protection)];
            match stripe.allocate(&self.span, segment) {
                Ok(Some(piece)) => pieces.push(piece),
                other => {
                    for piece in &pieces {
                        stripes[stripe_of(piece.protection)]
                            .free(&self.span, piece.address..piece.address + piece.capacity);
                    }
                    return other.map(|_| None);
                }
            }
        }
        Ok(Some(pieces))
    }

    /// Gives a piece or a part of one back. In a forked child nothing happens.
    ///
    /// # Safety
    /// The addresses belong to a piece of this arena, were not given back before, and nobody uses them.
    pub(super) unsafe fn free(&self, protection: Protection, range: Range<u64>) {
        if self.is_own() && !range.is_empty() {
            let mut stripes = self.stripes.lock().unwrap_or_else(PoisonError::into_inner);
            stripes[stripe_of(protection)].free(&self.span, range);
        }
    }

    /// How many bytes and runs are free, for tests.
    #[cfg(all(test, not(loom)))]
    pub(super) fn free_space(&self) -> (u64, usize) {
        let stripes = self.stripes.lock().unwrap();
        (stripes.iter().map(|stripe| stripe.free.total()).sum(), stripes.iter().map(|stripe| stripe.free.count()).sum())
    }
}

impl Stripe {
    fn allocate(&mut self, span: &Span, segment: &SegmentRequest) -> io::Result<Option<Piece>> {
        let Some(Shape { capacity, align, sealed }) = Shape::of(segment, self.purpose) else { return Ok(None) };
        let Some(found) = self.free.allocate(capacity, align) else { return Ok(None) };
        let address = found.start;
        let opened = self.open_to(span, address + capacity);
        if let Err(error) = opened.and_then(|()| self.prepare(span, address..address + capacity, sealed)) {
            self.free(span, address..address + capacity);
            return Err(error);
        }
        let alias = match &self.doubled {
            Some(doubled) if !sealed => doubled.alias().start() + (address - self.start),
            _ => address,
        };
        let protection = self.protection;
        Ok(Some(Piece { address, size: segment.size, capacity, alias, dirty: found.dirty, protection, sealed }))
    }

    /// Makes open pages ready to be written to.
    fn prepare(&mut self, span: &Span, pages: Range<u64>, sealed: bool) -> io::Result<()> {
        let (place, size) = (pages.start - span.start(), pages.end - pages.start);
        if sealed {
            // SAFETY: whole pages that were free a moment ago. What the file has of them is unknown again once they are free.
            unsafe { span.cover(place, size)? };
            self.sealed.insert(pages, |_| ());
        } else if self.purpose.copies(self.protection) {
            // SAFETY: whole pages that were free a moment ago. The file has their content; what a debugger wrote is dropped.
            unsafe { span.discard(place, size)? };
        }
        Ok(())
    }

    /// Puts the file's pages back in place of the private ones in a range that nobody uses, whole pages where it has some.
    fn uncover(&mut self, span: &Span, range: &Range<u64>) -> io::Result<()> {
        let (Some(doubled), Some(access)) = (&self.doubled, self.access()) else { return Ok(()) };
        for pages in self.sealed.within(range.clone()) {
            let (place, size) = (pages.start - span.start(), pages.end - pages.start);
            // SAFETY: nobody uses the range, and it was opened from the same places of the file before it was covered.
            unsafe { doubled.uncover(pages.start - self.start, size, (span, place), access)? };
        }
        self.sealed.remove(range.clone());
        Ok(())
    }

    /// Opens pages so that all below `end` are there.
    fn open_to(&mut self, span: &Span, end: u64) -> io::Result<()> {
        let needed = end - self.start;
        if needed <= self.open {
            return Ok(());
        }
        let step = self.open.clamp(FIRST_STEP, LARGEST_STEP).max(needed - self.open);
        let until = (self.open + step).next_multiple_of(page_size()).min(self.size);
        let (from, size) = (self.open, until - self.open);
        let offset = self.start - span.start();
        let Some(access) = self.access() else {
            span.open(offset + from, size)?;
            self.open = until;
            return Ok(());
        };
        let doubled = match &mut self.doubled {
            Some(doubled) => doubled,
            none => none.insert(Doubled::new(self.size, self.purpose.backing(self.protection))?),
        };
        // SAFETY: these pages lie at and after `open`, so no piece was ever cut from them and nobody uses them.
        unsafe { doubled.open(from, size, (span, offset + from), access)? };
        self.open = until;
        Ok(())
    }

    /// What its pages are mapped for; nothing for data, which is in no file.
    fn access(&self) -> Option<Access> {
        match self.protection {
            Protection::ReadWrite => None,
            protection if self.purpose.copies(protection) => Some(Access::ReadExecuteOrCopy),
            Protection::ReadExecute => Some(Access::ReadExecute),
            Protection::Read => Some(Access::Read),
        }
    }

    /// Has emulators forget the code that was in a range.
    fn forget_code(&self, span: &Span, range: &Range<u64>) {
        let (Some(doubled), Some(access)) = (&self.doubled, self.access()) else { return };
        let first = (range.start - self.start) & !(page_size() - 1);
        let end = (range.end - self.start).next_multiple_of(page_size()).min(self.open);
        let Some(size) = end.checked_sub(first).filter(|size| *size > 0) else { return };
        let place = self.start - span.start() + first;
        // SAFETY: what is open of a stripe was opened from the same places of its file to the same places of the span, for `access`.
        if let Err(error) = unsafe { doubled.map_once_more(first, size, (span, place), access) } {
            tracing::debug!(%error, "pages of code cannot be mapped again; an emulator may run what was there");
        }
    }

    /// Makes addresses free that nobody uses, and gives pages back when enough of them are.
    fn free(&mut self, span: &Span, range: Range<u64>) {
        if IS_TOLD && self.protection == Protection::ReadExecute {
            self.forget_code(span, &range);
        }
        if let Err(error) = self.uncover(span, &range) {
            tracing::debug!(%error, "pages of a large segment cannot be given back; their addresses stay taken");
            return;
        }
        for pages in self.free.free(range) {
            // Free addresses need not be open: an allocation whose pages could not be opened is given back too.
            let (offset, end) = (pages.start - self.start, (pages.end - self.start).min(self.open));
            let Some(size) = end.checked_sub(offset).filter(|size| *size > 0) else { continue };
            let place = self.start - span.start() + offset;
            // SAFETY: the free list names whole pages of which no byte is in use.
            let result = unsafe {
                match &self.doubled {
                    Some(doubled) => doubled.discard(offset, size),
                    None => span.discard(place, size),
                }
            };
            if let Err(error) = result {
                tracing::debug!(%error, "pages cannot be given back; they are cleared");
                let start = self.doubled.as_ref().map_or(self.start, |doubled| doubled.alias().start()) + offset;
                // SAFETY: the pages are open for writing at this address, and no byte of them is in use.
                unsafe { std::ptr::write_bytes(start as *mut u8, 0, size as usize) };
            }
        }
    }
}

/// Whether unwinders overlook a function that starts here. They take an unwind record whose function's address ends in as many zeros as
/// the record's field is wide, nearly always 32, for one of a function that a linker removed (GCC, `unwind-dw2-fde.c`).
fn is_invisible(address: u64) -> bool {
    address.trailing_zeros() >= 32
}

fn stripe_of(protection: Protection) -> usize {
    match protection {
        Protection::ReadExecute => 0,
        Protection::Read => 1,
        Protection::ReadWrite => 2,
    }
}

impl Purpose {
    /// Whether pages of code may have copies.
    fn copies(self, protection: Protection) -> bool {
        (self, protection) == (Purpose::Debugging, Protection::ReadExecute)
    }

    /// What is behind code and constants.
    fn backing(self, protection: Protection) -> Backing {
        match (protection, self) {
            (Protection::ReadExecute, Purpose::Mapping) => Backing::Anonymous,
            (Protection::ReadExecute, _) => Backing::ExecutableFile,
            _ => Backing::File,
        }
    }

    /// What pieces are multiples of.
    fn granule(self, protection: Protection) -> u64 {
        if self.copies(protection) { page_size() } else { GRANULE }
    }
}
