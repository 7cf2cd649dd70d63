//! A batch's memory, from its reservation to its end.

use super::arena::{Access, Pages, granularity};
use super::exit;
use super::functions::FunctionTable;
use jitlink_core::executor::{
    Action, Allocation, Description, ExecutorError, PointerPlace, Reservation, SegmentRequest, WorkingMemory,
};
use jitlink_core::graph::Protection;
use jitlink_core::{Addr, AddrRange, Endian};
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use windows_sys::Win32::System::Diagnostics::Debug::FlushInstructionCache;
use windows_sys::Win32::System::Threading::GetCurrentProcess;

/// One segment: where it is, how large, and what it becomes.
#[derive(Clone, Copy, Debug)]
struct Segment {
    start: u64,
    size: u64,
    access: Access,
}

/// Reserved pages.
#[derive(Debug)]
pub(super) struct WindowsReservation {
    pages: Pages,
    segments: Vec<Segment>,
    is_open: bool,
}

/// How much address space segments take, and at which alignment; none if that is more than there is.
pub(super) fn extent(requests: &[SegmentRequest]) -> Option<(u64, u64)> {
    let page = granularity().0;
    let align = requests.iter().map(|request| request.align).fold(page, u64::max);
    let size = requests.iter().try_fold(0u64, |end, request| {
        end.checked_next_multiple_of(request.align.max(page))?.checked_add(request.size)?.checked_next_multiple_of(page)
    })?;
    Some((size, align))
}

impl WindowsReservation {
    /// Cuts pages, which are as many as [`extent`] says, into segments.
    pub(super) fn new(pages: Pages, requests: &[SegmentRequest]) -> WindowsReservation {
        let page = granularity().0;
        let mut next = pages.start();
        let segments = requests.iter().map(|request| {
            let start = next.next_multiple_of(request.align.max(page));
            next = (start + request.size).next_multiple_of(page);
            let access = match request.protection {
                Protection::ReadExecute => Access::ReadExecute,
                Protection::Read => Access::Read,
                Protection::ReadWrite => Access::ReadWrite,
            };
            Segment { start, size: request.size, access }
        });
        let segments = segments.collect();
        WindowsReservation { pages, segments, is_open: false }
    }

    fn open(&mut self) -> io::Result<()> {
        let page = granularity().0;
        for segment in self.segments.iter().filter(|segment| segment.size > 0) {
            self.pages.open(segment.start, segment.size.next_multiple_of(page))?;
        }
        self.is_open = true;
        Ok(())
    }

    /// Has code be code and constants be constants.
    fn protect(&self) -> io::Result<()> {
        let page = granularity().0;
        for segment in self.segments.iter().filter(|segment| segment.size > 0) {
            // SAFETY: the linker has written what it had to write, and nobody else knows these pages yet.
            unsafe { self.pages.protect(segment.start, segment.size.next_multiple_of(page), segment.access)? };
            if segment.access == Access::ReadExecute {
                // SAFETY: the bytes are open; the machine is told that they are code now.
                unsafe { FlushInstructionCache(GetCurrentProcess(), segment.start as *const _, segment.size as usize) };
            }
        }
        Ok(())
    }
}

fn failed(error: &io::Error) -> ExecutorError {
    ExecutorError::with_advice(
        format!("cannot get memory for linked code from the system: {error}"),
        "link less at once, or check whether this process may make code (dynamic code policy)",
    )
}

impl Reservation for WindowsReservation {
    fn address(&self, segment: usize) -> Addr {
        Addr(self.segments[segment].start)
    }

    fn region(&self) -> AddrRange {
        self.pages.region()
    }

    fn resize(&mut self, sizes: &[u64]) -> Result<(), ExecutorError> {
        let fits = sizes.len() == self.segments.len()
            && sizes.iter().zip(&self.segments).all(|(size, segment)| *size <= segment.size);
        if !fits {
            return Err(ExecutorError::new("a segment grew beyond what was reserved for it"));
        }
        self.segments.iter_mut().zip(sizes).for_each(|(segment, size)| segment.size = *size);
        self.open().map_err(|error| failed(&error))
    }

    fn working_memory(&mut self) -> Vec<WorkingMemory<'_>> {
        if !self.is_open {
            return Vec::new();
        }
        let memory = self.segments.iter().map(|segment| {
            let bytes: &mut [u8] = match segment.size {
                0 => &mut [],
                // SAFETY: the pages are open to be written and this reservation's, whom the slices borrow; segments do not overlap.
                size => unsafe { std::slice::from_raw_parts_mut(segment.start as *mut u8, size as usize) },
            };
            WorkingMemory { bytes, zeroed: true }
        });
        memory.collect()
    }

    fn finalize(self: Box<Self>, actions: Vec<Action>) -> Result<Box<dyn Allocation>, ExecutorError> {
        if !self.is_open {
            return Err(ExecutorError::new("a batch was to be finished whose sizes are not known"));
        }
        self.protect().map_err(|error| failed(&error))?;
        // What is made so far is undone if something fails.
        let mut made = Made::default();
        for action in actions {
            match action {
                Action::Describe(Description { segments, handle, .. }) => {
                    exit::add_module(handle, segments);
                    made.modules.push(Module(handle));
                }
                Action::RegisterFunctionTable { address, count, record, image } => {
                    let last = Addr(self.pages.start() + self.pages.size() - 1);
                    let image = AddrRange { start: image, last };
                    made.tables.push(FunctionTable::register(address, (count, record), image)?);
                }
                other => {
                    let what = format!("the executor cannot do this on Windows: {other:?}");
                    return Err(ExecutorError::new(what.chars().take(200).collect::<String>()));
                }
            }
        }
        let WindowsReservation { pages, segments, .. } = *self;
        Ok(Box::new(WindowsAllocation { _made: made, _pages: pages, segments }))
    }
}

/// A module that exit handlers may belong to.
#[derive(Debug)]
struct Module(Addr);

impl Drop for Module {
    fn drop(&mut self) {
        exit::remove_module(self.0);
    }
}

/// What was done for a batch, and is undone with it.
#[derive(Debug, Default)]
struct Made {
    tables: Vec<FunctionTable>,
    modules: Vec<Module>,
}

/// Memory of a linked batch. What was registered goes before its pages.
#[derive(Debug)]
struct WindowsAllocation {
    _made: Made,
    _pages: Pages,
    segments: Vec<Segment>,
}

impl WindowsAllocation {
    /// Checks that these bytes are in one segment, which may be written if that is asked for.
    fn check(&self, address: Addr, size: u64, writes: bool) -> Result<(), ExecutorError> {
        let holds = |segment: &&Segment| {
            segment.size > 0 && AddrRange::new(Addr(segment.start), segment.size).contains(address, size)
        };
        match self.segments.iter().find(holds) {
            Some(segment) if !writes || segment.access == Access::ReadWrite => Ok(()),
            _ => Err(ExecutorError::new(format!("{size:#x} bytes at {address} are not this batch's to use so"))),
        }
    }

    fn place(&self, place: PointerPlace) -> Result<(), ExecutorError> {
        self.check(place.address, place.bytes.into(), true)?;
        match matches!(place.bytes, 4 | 8) && place.address.0.is_multiple_of(place.bytes.into()) {
            true if place.endian == Endian::NATIVE => Ok(()),
            _ => Err(ExecutorError::new(format!("there is no pointer at {}", place.address))),
        }
    }
}

impl Allocation for WindowsAllocation {
    fn release(&self, address: Addr, size: u64) -> Result<(), ExecutorError> {
        // The pages stay until all of the batch goes: nothing else may lie in them.
        self.check(address, size, false)
    }

    fn store_pointer(&self, place: PointerPlace, value: u64) -> Result<(), ExecutorError> {
        self.place(place)?;
        // SAFETY: the place is aligned, of this size, and in a segment of this batch that may be written.
        unsafe {
            match place.bytes {
                4 => (*(place.address.0 as *const AtomicU32)).store(value as u32, Ordering::Release),
                _ => (*(place.address.0 as *const AtomicU64)).store(value, Ordering::Release),
            }
        }
        Ok(())
    }

    fn replace_pointer(&self, place: PointerPlace, old: u64, new: u64) -> Result<bool, ExecutorError> {
        self.place(place)?;
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        // SAFETY: as for storing.
        Ok(unsafe {
            match place.bytes {
                4 => {
                    let place = &*(place.address.0 as *const AtomicU32);
                    place.compare_exchange(old as u32, new as u32, success, failure).is_ok()
                }
                _ => (*(place.address.0 as *const AtomicU64)).compare_exchange(old, new, success, failure).is_ok(),
            }
        })
    }

    fn read(&self, address: Addr, bytes: &mut [u8]) -> Result<(), ExecutorError> {
        self.check(address, bytes.len() as u64, false)?;
        // SAFETY: the bytes are in a segment of this batch, all of whose pages can be read.
        unsafe { std::ptr::copy_nonoverlapping(address.0 as *const u8, bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }
}
