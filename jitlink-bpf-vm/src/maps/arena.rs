//! Arenas: sparse memory of up to 4 GiB, in pages that programs allocate and free, and that the host sees at the same
//! addresses.
//!
//! An address in an arena is its low 32 bits, which are also the offset in [`Map::values`]; the upper half tells who
//! sees it. `map_extra` gives the host's address of the first page. Without one, the pages begin at the second, so that
//! no pointer to them has low bits of zero, which programs take for null (an arena of all 4 GiB must begin at zero).
//!
//! Pages that are not allocated read as zeros; what is written to them is lost when they are allocated. The kernel does
//! the same, unless `BPF_F_SEGV_ON_FAULT` ends the host's process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::errno::{Errno, MapResult};
use super::family::{Family, missing};
use super::spec::{MapHost, MapSpec, flag};
use super::value::{Writer, allocate};
use super::{Map, Store};
use crate::memory::Memory;

/// Bytes of a page.
const PAGE: u64 = 4096;

/// All that 32 bits reach.
const LIMIT: u64 = 1 << 32;

/// An arena.
#[derive(Debug)]
pub struct Arena {
    memory: Arc<Memory>,
    first: u64,
    pages: u32,
    used: Mutex<Box<[u64]>>,
}

impl Arena {
    /// Checks the definition as the kernel does (`arena_map_alloc`) and makes an arena without pages.
    pub(super) fn new(spec: &MapSpec, host: &MapHost) -> MapResult<Arena> {
        MapSpec::check_size("key_size", spec.key_size, 0..=0)?;
        MapSpec::check_size("value_size", spec.value_size, 0..=0)?;
        MapSpec::check_size("max_entries", spec.max_entries, 1..=u32::MAX)?;
        if !spec.has(flag::MMAPABLE) {
            return Err(Errno::INVAL.because("arenas need BPF_F_MMAPABLE"));
        }
        spec.check_flags(flag::MMAPABLE | flag::SEGV_ON_FAULT | flag::NO_USER_CONV)?;
        let (start, size) = (spec.extra, u64::from(spec.max_entries) * PAGE);
        if !start.is_multiple_of(PAGE) {
            return Err(Errno::INVAL.because(format!("map_extra {start:#x} is no multiple of a page")));
        }
        if size > LIMIT {
            return Err(Errno::TOO_BIG.because(format!("{} pages are more than 4 GiB", spec.max_entries)));
        }
        if start >> 32 != start.wrapping_add(size - 1) >> 32 {
            return Err(Errno::RANGE.because(format!("{size:#x} bytes at {start:#x} cross a border of 4 GiB")));
        }
        let first = match start {
            0 if size < LIMIT => PAGE,
            _ => start % LIMIT,
        };
        let memory = Arc::new(allocate(u128::from(first + size), host)?);
        let used = vec![0; spec.max_entries.div_ceil(64) as usize].into_boxed_slice();
        Ok(Arena { memory, first, pages: spec.max_entries, used: Mutex::new(used) })
    }

    /// The low half of the address of the first page.
    pub fn start(&self) -> u32 {
        self.first as u32
    }

    /// Allocates zeroed pages (`bpf_arena_alloc_pages`), at an address of which only the low half counts, or anywhere
    /// for zero. The low half of the first page's address; none if there is no such room.
    pub fn allocate(&self, address: u64, pages: u32) -> Option<u32> {
        let mut used = self.used();
        let page = self.place(&used, address, pages)?;
        (page..page + pages).for_each(|page| used[page as usize / 64] |= 1 << (page % 64));
        let at = self.address_of(page);
        self.memory.fill(at as usize, pages as usize * PAGE as usize, 0);
        Some(at)
    }

    /// Frees pages (`bpf_arena_free_pages`), from the one that holds an address. Those outside or free already are
    /// passed over.
    pub fn free(&self, address: u64, pages: u32) {
        let start = (address % LIMIT) / PAGE * PAGE;
        let Some(page) = start.checked_sub(self.first).map(|offset| offset / PAGE) else { return };
        let end = page.saturating_add(u64::from(pages)).min(u64::from(self.pages));
        let mut used = self.used();
        for page in page..end {
            let (word, bit) = (page as usize / 64, 1 << (page % 64));
            if used[word] & bit != 0 {
                used[word] &= !bit;
                self.memory.fill(self.address_of(page as u32) as usize, PAGE as usize, 0);
            }
        }
    }

    /// How many pages are allocated.
    pub fn allocated(&self) -> u32 {
        self.used().iter().map(|word| word.count_ones()).sum()
    }

    fn used(&self) -> MutexGuard<'_, Box<[u64]>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn address_of(&self, page: u32) -> u32 {
        (self.first + u64::from(page) * PAGE) as u32
    }

    /// The first of so many free pages.
    fn place(&self, used: &[u64], address: u64, pages: u32) -> Option<u32> {
        if pages == 0 || pages > self.pages {
            return None;
        }
        let is_free = |page: u32| used[page as usize / 64] & 1 << (page % 64) == 0;
        if address != 0 {
            let offset = (address % LIMIT).checked_sub(self.first)?;
            let page = u32::try_from(offset / PAGE).ok()?;
            let fits = address.is_multiple_of(PAGE) && page <= self.pages - pages;
            return (fits && (page..page + pages).all(is_free)).then_some(page);
        }
        let (mut start, mut page) = (0, 0);
        while start <= self.pages - pages {
            if page == start + pages {
                return Some(start);
            }
            if used[page as usize / 64] == u64::MAX {
                page = (page / 64 + 1) * 64;
                start = page;
            } else {
                let free = is_free(page);
                page += 1;
                start = if free { start } else { page };
            }
        }
        None
    }
}

impl Map {
    /// The arena that this map is.
    pub fn arena(&self) -> Option<&Arena> {
        match &self.store {
            Store::Arena(arena) => Some(arena),
            _ => None,
        }
    }
}

impl Family for Arena {
    fn values(&self) -> Option<&Arc<Memory>> {
        Some(&self.memory)
    }

    fn lookup(&self, _key: &[u8], _flags: u64) -> MapResult<Vec<u8>> {
        Err(Errno::INVAL.because("arenas have no keys"))
    }

    fn update(&self, _key: &[u8], _value: &[u8], _flags: u64, _by: Writer) -> MapResult {
        Err(missing(Errno::OPNOTSUPP))
    }

    fn delete(&self, _key: &[u8]) -> MapResult {
        Err(missing(Errno::OPNOTSUPP))
    }

    fn next_key(&self, _key: Option<&[u8]>) -> MapResult<Vec<u8>> {
        Err(missing(Errno::OPNOTSUPP))
    }
}
