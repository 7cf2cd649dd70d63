//! The libunwind of nongnu.org (`libunwind.so.8`): keeps a list of tables, each for one run of code (its manual, `_U_dyn_register`).
//!
//! A table is what an `.eh_frame_hdr` has: the functions in ascending order, each with its record, both as 32-bit distances from one
//! address, which is chosen in the middle. Functions that lie more than 4 GiB from their records are left out.
//!
//! Threads walk the list without a lock while others put tables in and take them out. So its nodes are never freed, but used again, and a
//! walker finds in each a run of code and a table that belong together: the end of the run is written last, and read after its start.
//!
//! What it has found out about an address stays in a cache until that is flushed, also of code that is gone. There is a cache in each of its
//! libraries: one of them unwinds this process, another one for each machine any process. (What `unw_backtrace` remembers besides, in each
//! thread, nobody can flush.)

use super::records::Records;
use super::registry::{Known, Unwinder};
use crate::addr::{Addr, AddrRange};
use crate::process::{map::page_size, place};
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// `_U_dyn_register` or `_U_dyn_cancel`.
pub(super) type Change = unsafe extern "C" fn(*const Node);

/// `unw_flush_cache`: of an address space, for a range of addresses.
pub(super) type Flush = unsafe extern "C" fn(*mut c_void, usize, usize);

/// The list of tables.
pub(super) struct Tables {
    pub(super) register: Change,
    pub(super) cancel: Change,
    /// Whether nodes have an offset, which is zero for linked code.
    pub(super) has_offset: bool,
}

/// A cache of what was found in the list.
pub(super) struct Cache {
    pub(super) flush: Flush,
    /// The variable that holds the address space of this process.
    pub(super) space: *const *mut c_void,
}

// SAFETY: the variable belongs to a library that stays loaded, and is constant.
unsafe impl Send for Cache {}

/// What the library reads (`unw_dyn_info_t` with a `unw_dyn_remote_table_info_t`).
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Node {
    /// The library's.
    next: AtomicPtr<Node>,
    previous: AtomicPtr<Node>,
    start: AtomicUsize,
    end: AtomicUsize,
    global_pointer: AtomicUsize,
    format: AtomicI32,
    padding: AtomicI32,
    /// In some versions an offset, then in all a name, what distances are counted from, the length of the table in words, and
    /// the table.
    words: [AtomicUsize; 5],
}

/// `dwarf_search_unwind_table`: of an address space, for an address, in a node; fills a description.
pub(super) type Search =
    unsafe extern "C" fn(*mut c_void, usize, *const Node, *mut [usize; 64], i32, *mut c_void) -> i32;

/// `UNW_INFO_FORMAT_REMOTE_TABLE`: a table of distances.
const FORMAT: i32 = 2;

/// `-UNW_ENOINFO`.
const NOT_FOUND: i32 = -10;

/// A function and its record, each as a distance.
type Line = [i32; 2];

/// A table that is in the list.
struct Told {
    node: &'static Node,
    cancel: Change,
    _table: Box<[Line]>,
}

struct TablesOf {
    _told: Vec<Told>,
}

/// Nodes that are in no list.
static UNUSED: Mutex<Vec<&'static Node>> = Mutex::new(Vec::new());

impl Unwinder for Tables {
    fn identity(&self) -> usize {
        self.register as usize
    }

    unsafe fn tell(&self, records: &Records) -> Option<Box<dyn Known>> {
        // SAFETY: as the caller promises.
        let functions = unsafe { records.functions() };
        let mut functions: Vec<(u64, u64)> = functions.iter().filter_map(|fde| Some((fde.function?, fde.at))).collect();
        functions.sort_unstable();
        let tell = |code: &AddrRange| {
            let first = functions.partition_point(|(function, _)| *function < code.start.0);
            let end = functions.partition_point(|(function, _)| *function <= code.last.0);
            let (base, table) = table(&functions[first..end])?;
            let node = unused_node();
            node.set(code, [base, table.len() as u64, table.as_ptr().expose_provenance() as u64], self.has_offset);
            // SAFETY: a node in no list, whose table lives until it is cancelled.
            unsafe { (self.register)(node) };
            Some(Told { node, cancel: self.cancel, _table: table })
        };
        let told: Vec<Told> = records.code().iter().filter_map(tell).collect();
        Some(Box::new(TablesOf { _told: told }))
    }
}

impl Known for TablesOf {}

impl Drop for Told {
    fn drop(&mut self) {
        // SAFETY: the node is in the list, and is taken out once.
        unsafe { (self.cancel)(self.node) };
        self.node.end.store(0, Ordering::Release);
        UNUSED.lock().unwrap_or_else(PoisonError::into_inner).push(self.node);
    }
}

fn unused_node() -> &'static Node {
    let known = UNUSED.lock().unwrap_or_else(PoisonError::into_inner).pop();
    known.unwrap_or_else(|| Box::leak(Box::default()))
}

impl Node {
    /// `words` are what distances are counted from, how many lines there are, and where the first is.
    fn set(&self, code: &AddrRange, words: [u64; 3], has_offset: bool) {
        self.next.store(ptr::null_mut(), Ordering::Relaxed);
        self.previous.store(ptr::null_mut(), Ordering::Relaxed);
        self.format.store(FORMAT, Ordering::Relaxed);
        for (index, word) in words.into_iter().enumerate() {
            self.words[1 + usize::from(has_offset) + index].store(word as usize, Ordering::Relaxed);
        }
        self.start.store(code.start.0 as usize, Ordering::Relaxed);
        self.end.store(code.last.0.wrapping_add(1) as usize, Ordering::Release);
    }
}

/// Asks the library whether its nodes have an offset, as they do from version 1.6 on, and later no more. `None` if it gives no sensible answer.
///
/// It searches a node that makes sense in both forms: with an offset, it has a table of one line, counted from zero; without one, the
/// table has no lines. So the one record there is must be where 32 bits reach.
///
/// # Safety
/// The function and the address space are the library's.
pub(super) unsafe fn has_offset(search: Search, space: *mut c_void) -> Option<bool> {
    if size_of::<usize>() != 8 {
        // What follows has pointers of eight bytes.
        return None;
    }
    let size = page_size();
    let span = place::reserve_in(size, &AddrRange { start: Addr(0), last: Addr(i32::MAX as u64) }).ok()?;
    span.open(0, size).ok()?;
    let start = span.start();
    // A CIE with absolute pointers, and the FDE of a function that takes the whole page.
    let mut records = vec![20, 0, 0, 0, 0, 0, 0, 0, 1, b'z', b'R', 0, 1, 0x78, 16, 1, 0];
    records.resize(24, 0);
    records.extend([28, 0, 0, 0, 28, 0, 0, 0]);
    records.extend(start.to_ne_bytes());
    records.extend(size.to_ne_bytes());
    records.resize(24 + 32, 0);
    // SAFETY: the page is open, nobody else knows of it, and it is larger than that.
    unsafe { ptr::copy_nonoverlapping(records.as_ptr(), start as *mut u8, records.len()) };
    let table: [Line; 1] = [[start as i32, start as i32 + 24]];
    let node = Node::default();
    node.set(&AddrRange::new(Addr(start), size), [0, 1, table.as_ptr().expose_provenance() as u64], true);
    let mut description = [0; 64];
    // SAFETY: the function reads the node, the table and the records, all of which live longer, and writes to a description, which is larger
    // than those of any version.
    match unsafe { search(space, start as usize + 1, &node, &mut description, 0, ptr::null_mut()) } {
        0 if description[..2] == [start, start + size].map(|address| address as usize) => Some(true),
        NOT_FOUND => Some(false),
        _ => None,
    }
}

/// The table of functions, in ascending order, with their records: what its distances are counted from, and its lines.
fn table(functions: &[(u64, u64)]) -> Option<(u64, Box<[Line]>)> {
    let all = || functions.iter().flat_map(|(function, record)| [*function, *record]);
    let (lowest, highest) = (all().min()?, all().max()?);
    let far = highest - lowest >= 1 << 32;
    // Where not all are near each other, those whose records are near the first of these.
    let base = if far { functions[0].1.midpoint(functions[0].0) } else { lowest + (highest - lowest).div_ceil(2) };
    let distance = |address: u64| i32::try_from(address.wrapping_sub(base) as i64).ok();
    let lines = functions.iter().filter_map(|(function, record)| Some([distance(*function)?, distance(*record)?]));
    let lines: Box<[Line]> = lines.collect();
    if lines.len() < functions.len() {
        let (count, first) = (functions.len() - lines.len(), Addr(functions[0].0));
        tracing::debug!(count, %first, "functions too far from their unwind records for nongnu.org's libunwind");
    }
    (!lines.is_empty()).then_some((base, lines))
}

struct Cached {
    flush: Flush,
    space: *const *mut c_void,
    code: Vec<AddrRange>,
}

// SAFETY: as for `Cache`.
unsafe impl Send for Cached {}

impl Unwinder for Cache {
    fn identity(&self) -> usize {
        self.space.addr()
    }

    unsafe fn tell(&self, records: &Records) -> Option<Box<dyn Known>> {
        Some(Box::new(Cached { flush: self.flush, space: self.space, code: records.code().to_vec() }))
    }
}

impl Known for Cached {}

impl Drop for Cached {
    fn drop(&mut self) {
        for code in &self.code {
            // SAFETY: the variable is the library's, and the function takes what it holds, on any thread.
            unsafe { (self.flush)(*self.space, code.start.0 as usize, code.last.0 as usize) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_reach_four_gibibytes_and_no_further() {
        let limit = (1_u64 << 32) - 1;
        let (start, functions) =
            (1_u64 << 40, |end: u64| [((1 << 40) + 16, 1 << 40), ((1 << 40) + end, (1 << 40) + 8)]);
        let (base, lines) = table(&functions(limit)).unwrap();
        assert_eq!(base, start + (1 << 31));
        let address = |distance: i32| base.wrapping_add_signed(i64::from(distance));
        let found: Vec<_> = lines.iter().map(|[function, record]| (address(*function), address(*record))).collect();
        assert_eq!(found, functions(limit));
        let (base, lines) = table(&functions(limit + 1)).unwrap();
        assert_eq!((base, &*lines), (start + 8, &[[8, -8]][..]));
        assert!(table(&[]).is_none());
        assert!(table(&[(1 << 60, 16)]).is_none(), "a function out of reach of its own record");
    }

    #[test]
    fn nodes_are_laid_out_as_the_library_reads_them() {
        // `unw_dyn_info_t` of libunwind-dynamic.h: two pointers, three words, two 32-bit numbers, an offset, a union whose table has four words.
        assert_eq!(size_of::<Node>(), 2 * 8 + 3 * 8 + 2 * 4 + 8 + 4 * 8);
        assert_eq!(std::mem::offset_of!(Node, start), 16);
        assert_eq!(std::mem::offset_of!(Node, format), 40);
        let words = |has_offset| {
            let node = Node::default();
            node.set(&AddrRange::new(Addr(0x1000), 0x10), [1, 2, 3], has_offset);
            assert_eq!((node.start.load(Ordering::Relaxed), node.end.load(Ordering::Relaxed)), (0x1000, 0x1010));
            assert_eq!(node.format.load(Ordering::Relaxed), 2);
            node.words.map(AtomicUsize::into_inner)
        };
        assert_eq!(words(false), [0, 1, 2, 3, 0]);
        assert_eq!(words(true), [0, 0, 1, 2, 3]);
    }
}
