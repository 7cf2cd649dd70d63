//! Address space for linked code, and what of it is free.
//!
//! Batches of one arena reach each other with short references. Each has pages of its own, because protections are set in place: what
//! is written is not yet executable, and what is executable is not written again.

use jitlink_core::AddrRange;
use std::collections::BTreeMap;
use std::io;
use std::mem::MaybeUninit;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_DECOMMIT, MEM_FREE, MEM_RELEASE, MEM_RESERVE, MEMORY_BASIC_INFORMATION, PAGE_EXECUTE_READ,
    PAGE_NOACCESS, PAGE_PROTECTION_FLAGS, PAGE_READONLY, PAGE_READWRITE, VirtualAlloc, VirtualFree, VirtualProtect,
    VirtualQuery,
};
use windows_sys::Win32::System::SystemInformation::{GetSystemInfo, SYSTEM_INFO};

/// How much address space an arena has, unless a batch is larger. Unused, it costs nothing.
const SIZE: u64 = 1 << 30;

/// How much one has that must lie in a part of memory.
const LIMITED_SIZE: u64 = 64 << 20;

/// Page size, and what the system rounds addresses of reservations to, in bytes.
pub(super) fn granularity() -> (u64, u64) {
    static INFO: OnceLock<(u64, u64)> = OnceLock::new();
    *INFO.get_or_init(|| {
        let mut info = MaybeUninit::<SYSTEM_INFO>::zeroed();
        // SAFETY: the call fills the structure, for which all zeroes are values too.
        let info = unsafe {
            GetSystemInfo(info.as_mut_ptr());
            info.assume_init()
        };
        (u64::from(info.dwPageSize).max(1), u64::from(info.dwAllocationGranularity).max(1))
    })
}

/// A run of address space that holds nothing until pages of it are opened.
#[derive(Debug)]
pub(super) struct Arena {
    start: u64,
    size: u64,
    /// It lies in a part of memory that was asked for.
    is_limited: bool,
    /// What is free: where it starts, and its size.
    free: Mutex<BTreeMap<u64, u64>>,
}

impl Arena {
    /// One with room for this much, all of it in the range.
    pub(super) fn new(needed: u64, range: &AddrRange) -> io::Result<Arena> {
        let is_limited = *range != AddrRange::ALL;
        let size = needed.max(if is_limited { LIMITED_SIZE } else { SIZE });
        let size = size.checked_next_multiple_of(granularity().1).ok_or_else(no_memory)?;
        let start = match is_limited {
            false => reserve(0, size)?,
            true => reserve_in(needed, size, range)?,
        };
        let size = if is_limited { start.1 } else { size };
        let start = start.0;
        Ok(Arena { start, size, is_limited, free: Mutex::new(BTreeMap::from([(start, size)])) })
    }

    /// Where it is.
    pub(super) fn region(&self) -> AddrRange {
        AddrRange::new(jitlink_core::Addr(self.start), self.size)
    }

    /// Whether what must lie in this range can lie here.
    pub(super) fn suits(&self, range: &AddrRange) -> bool {
        match *range == AddrRange::ALL {
            true => !self.is_limited,
            false => range.intersect(&self.region()) == Some(self.region()),
        }
    }

    fn free(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whole pages of this size at a multiple of `align`; none where there is no room.
    pub(super) fn take(self: &Arc<Self>, size: u64, align: u64) -> Option<Pages> {
        let mut free = self.free();
        let fitting = free.iter().find_map(|(&start, &length)| {
            let first = start.checked_next_multiple_of(align)?;
            let end = first.checked_add(size)?;
            (end <= start + length).then_some((start, length, first, end))
        });
        let (start, length, first, end) = fitting?;
        free.remove(&start);
        if first > start {
            free.insert(start, first - start);
        }
        if end < start + length {
            free.insert(end, start + length - end);
        }
        Some(Pages { arena: self.clone(), start: first, size })
    }

    fn give_back(&self, start: u64, size: u64) {
        let mut free = self.free();
        let (mut start, mut size) = (start, size);
        if let Some((&before, &length)) = free.range(..start).next_back()
            && before + length == start
        {
            free.remove(&before);
            (start, size) = (before, size + length);
        }
        if let Some(length) = free.remove(&(start + size)) {
            size += length;
        }
        free.insert(start, size);
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the arena owns its address space, and whoever drops it no longer uses it: pages hold the arena.
        unsafe { VirtualFree(self.start as *mut _, 0, MEM_RELEASE) };
    }
}

fn no_memory() -> io::Error {
    io::Error::from(io::ErrorKind::OutOfMemory)
}

/// Reserves address space, at an address if it is not zero: where, and how much.
fn reserve(at: u64, size: u64) -> io::Result<(u64, u64)> {
    let length = usize::try_from(size).map_err(io::Error::other)?;
    // SAFETY: takes address space that nobody has, or fails.
    let start = unsafe { VirtualAlloc(at as *const _, length, MEM_RESERVE, PAGE_NOACCESS) };
    if start.is_null() { Err(io::Error::last_os_error()) } else { Ok((start as u64, size)) }
}

/// Reserves address space in a range: as much as is wanted, or what is needed where there is no more.
fn reserve_in(needed: u64, wanted: u64, range: &AddrRange) -> io::Result<(u64, u64)> {
    let grain = granularity().1;
    let needed = needed.checked_next_multiple_of(grain).ok_or_else(no_memory)?;
    for size in [wanted, needed] {
        // The first pages are nobody's, so that null pointers point nowhere.
        let mut at = range.start.0.max(grain);
        while let Some((start, length, is_free)) = look(at) {
            let first = start.max(at).next_multiple_of(grain);
            let Some(end) = first.checked_add(size).filter(|end| end - 1 <= range.last.0) else { break };
            if is_free && end <= start + length {
                // Another thread may have been faster.
                if let Ok(reserved) = reserve(first, size) {
                    return Ok(reserved);
                }
            }
            at = start + length;
        }
    }
    Err(no_memory())
}

/// What is at an address: where that starts, its size, and whether it is free.
fn look(at: u64) -> Option<(u64, u64, bool)> {
    let mut info = MaybeUninit::<MEMORY_BASIC_INFORMATION>::zeroed();
    // SAFETY: the call fills the structure if it does not fail, and all zeroes are values too.
    let (length, info) = unsafe {
        let size = size_of::<MEMORY_BASIC_INFORMATION>();
        (VirtualQuery(at as *const _, info.as_mut_ptr(), size), info.assume_init())
    };
    (length != 0 && info.RegionSize != 0).then_some((
        info.BaseAddress as u64,
        info.RegionSize as u64,
        info.State == MEM_FREE,
    ))
}

/// What pages may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    ReadExecute,
    Read,
    ReadWrite,
}

impl Access {
    fn flags(self) -> PAGE_PROTECTION_FLAGS {
        match self {
            Access::ReadExecute => PAGE_EXECUTE_READ,
            Access::Read => PAGE_READONLY,
            Access::ReadWrite => PAGE_READWRITE,
        }
    }
}

/// Pages of an arena, which whoever holds this owns.
#[derive(Debug)]
pub(super) struct Pages {
    arena: Arc<Arena>,
    start: u64,
    size: u64,
}

impl Pages {
    /// Where they start.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// How many bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The arena's address space.
    pub(super) fn region(&self) -> AddrRange {
        self.arena.region()
    }

    fn at(&self, start: u64, size: u64) -> (*mut std::ffi::c_void, usize) {
        assert!(start >= self.start && start + size <= self.start + self.size, "outside of the pages");
        (start as *mut _, size as usize)
    }

    /// Makes pages of zeroes of those at `start`, to read and write.
    pub(super) fn open(&self, start: u64, size: u64) -> io::Result<()> {
        let (place, length) = self.at(start, size);
        // SAFETY: the pages are this owner's, and hold nothing yet.
        let got = unsafe { VirtualAlloc(place, length, MEM_COMMIT, PAGE_READWRITE) };
        if got.is_null() { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Sets what pages may be used for.
    ///
    /// # Safety
    /// Nobody who uses them needs more.
    pub(super) unsafe fn protect(&self, start: u64, size: u64, access: Access) -> io::Result<()> {
        let (place, length) = self.at(start, size);
        let mut before = 0;
        // SAFETY: the pages are this owner's and open, nobody needs what they lose, and there is a place for what was before.
        match unsafe { VirtualProtect(place, length, access.flags(), &mut before) } {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the pages are this owner's, who no longer uses them. Those that were never opened stay as they are.
        unsafe { VirtualFree(self.start as *mut _, self.size as usize, MEM_DECOMMIT) };
        self.arena.give_back(self.start, self.size);
    }
}
