//! An executor that runs nothing: it places segments at a given address in plain buffers, from which an image file is written.
//!
//! Addresses depend on the requests and their order alone, so the same links at the same base give the same bytes on every host.
//! Batches lie one after another; what is given back at the end of the used addresses is used again, so a link that reserves
//! twice, because stubs made it grow, gets the addresses that it would have had with one reservation.

mod thread_locals;

pub use thread_locals::ImageThreadLocals;

use crate::addr::{Addr, AddrRange};
use crate::arch::Target;
use crate::executor::{
    Action, Allocation, Executor, ExecutorError, MemoryRequest, PointerArray, PointerPlace, Reservation,
    SegmentRequest, ThreadLocalBlock, ThreadLocalRequest, WorkingMemory,
};
use crate::graph::{Protection, Residence};
use crate::pages;
use std::collections::{BTreeMap, HashMap};
use std::ffi::CString;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where an [`ImageExecutor`] places segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageConfig {
    /// The address of the first segment, a multiple of the page size.
    pub base: Addr,
    /// How many bytes of addresses there are from `base`.
    pub arena_size: u64,
    /// What segments are aligned to, a power of two.
    pub page_size: u64,
}

impl Default for ImageConfig {
    /// One gibibyte from an address that every code model reaches, in pages of 4 KiB.
    fn default() -> Self {
        ImageConfig { base: Addr(0x1000_0000), arena_size: 1 << 30, page_size: 4096 }
    }
}

/// Places linked batches in buffers. Clones share their segments.
#[derive(Clone)]
pub struct ImageExecutor {
    config: ImageConfig,
    symbols: Arc<HashMap<Vec<u8>, Addr>>,
    has_thread_locals: bool,
    state: Arc<Mutex<State>>,
}

/// One placed segment of a linked batch.
#[derive(Clone)]
pub struct ImageSegment {
    /// Where it starts.
    pub address: Addr,
    /// What the program may do with it.
    pub protection: Protection,
    bytes: Arc<Vec<u8>>,
}

struct State {
    /// The first unused address.
    next: u64,
    /// By address.
    segments: BTreeMap<u64, ImageSegment>,
    thread_locals: Option<ImageThreadLocals>,
}

impl ImageExecutor {
    /// An executor for these addresses.
    pub fn new(config: ImageConfig) -> Result<ImageExecutor, ExecutorError> {
        if !config.page_size.is_power_of_two() {
            return Err(ExecutorError::with_advice(
                format!("the page size {:#x} is not a power of two", config.page_size),
                "give one such as 0x1000",
            ));
        }
        if !config.base.0.is_multiple_of(config.page_size) {
            return Err(ExecutorError::with_advice(
                format!("the base {} is not a multiple of the page size {:#x}", config.base, config.page_size),
                "choose a page-aligned base",
            ));
        }
        if config.base.0.checked_add(config.arena_size).is_none() {
            return Err(ExecutorError::with_advice(
                format!("{:#x} bytes from {} reach past the end of memory", config.arena_size, config.base),
                "choose a lower base or a smaller arena",
            ));
        }
        let state = State { next: config.base.0, segments: BTreeMap::new(), thread_locals: None };
        let (symbols, state) = (Arc::default(), Arc::new(Mutex::new(state)));
        Ok(ImageExecutor { config, symbols, has_thread_locals: false, state })
    }

    /// The same executor with a table of symbols that it answers look-ups from.
    pub fn with_symbols<N: Into<Vec<u8>>>(mut self, symbols: impl IntoIterator<Item = (N, Addr)>) -> ImageExecutor {
        let known = Arc::make_mut(&mut self.symbols);
        known.extend(symbols.into_iter().map(|(name, address)| (name.into(), address)));
        self
    }

    /// The same executor for programs that give each of their threads a copy of the thread-local variables: the image holds the initial
    /// values, and code finds the variables as in a static program of its machine. Without it such variables are refused.
    pub fn with_thread_locals(mut self) -> ImageExecutor {
        self.has_thread_locals = true;
        self
    }

    /// Where the initial values of thread-local variables are; `None` while nothing is linked that has such variables.
    pub fn placed_thread_locals(&self) -> Option<ImageThreadLocals> {
        lock(&self.state).thread_locals
    }

    /// The segments of all batches that are linked now, sorted by address. The bytes are shared, not copied.
    pub fn segments(&self) -> Vec<ImageSegment> {
        lock(&self.state).segments.values().cloned().collect()
    }

    fn region(&self) -> AddrRange {
        AddrRange::new(self.config.base, self.config.arena_size)
    }

    fn place(&self, next: u64, request: &SegmentRequest, range: &AddrRange) -> Result<Addr, ExecutorError> {
        let align = request.align.max(self.config.page_size);
        let address = Addr(next).align_up(align);
        let fits =
            |address: &Addr| self.region().contains(*address, request.size) && address.0 + request.size <= self.end().0;
        let address = address.filter(fits).ok_or_else(|| {
            ExecutorError::with_advice(
                format!(
                    "the arena of {:#x} bytes from {} has no room for {:#x} bytes of {} memory after {:#x}",
                    self.config.arena_size,
                    self.config.base,
                    request.size,
                    request.protection.name(),
                    next
                ),
                "make the arena larger (--arena-size)",
            )
        })?;
        if !range.contains(address, request.size) {
            return Err(ExecutorError::with_advice(
                format!(
                    "{:#x} bytes at {address} lie outside {} to {}, which the short references of these objects reach",
                    request.size, range.start, range.last
                ),
                "choose another base (--base), or compile for a larger code model",
            ));
        }
        Ok(address)
    }

    fn end(&self) -> Addr {
        self.config.base + self.config.arena_size
    }
}

impl ImageSegment {
    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its bytes without zeros at the end, which an image file need not hold.
    pub fn stored_bytes(&self) -> &[u8] {
        let stored = self.bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        &self.bytes[..stored]
    }
}

impl fmt::Debug for ImageSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:#x} {}", self.address, self.size(), self.protection.name())
    }
}

impl fmt::Debug for ImageExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageExecutor").field("config", &self.config).field("segments", &self.segments()).finish()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // Every change of the state is one step, so a panic elsewhere cannot leave it half done.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn cannot_run(what: &str) -> ExecutorError {
    ExecutorError::with_advice(format!("an image is only written, {what}"), "link for an executor that runs programs")
}

#[allow(unsafe_code, reason = "the trait declares running as unsafe; nothing here runs")]
impl Executor for ImageExecutor {
    fn name(&self) -> &'static str {
        "image"
    }

    /// It has no functions but those that it was told of, which are whatever code needs.
    fn calls_as(&self, _target: &Target) -> bool {
        true
    }

    fn page_size(&self) -> u64 {
        self.config.page_size
    }

    fn reserve(&self, request: &MemoryRequest) -> Result<Box<dyn Reservation>, ExecutorError> {
        let mut state = lock(&self.state);
        let start = state.next;
        let mut next = start;
        let mut segments = vec![None; request.segments.len()];
        for near in [true, false] {
            for (index, segment) in request.segments.iter().enumerate() {
                if (segment.residence == Residence::Near) == near {
                    let address = self.place(next, segment, &request.range)?;
                    next = address.0 + segment.size;
                    segments[index] = Some((address, segment.size, segment.protection));
                }
            }
        }
        state.next = next;
        let segments = segments.into_iter().flatten().map(|(address, size, protection)| Placed {
            address,
            capacity: size,
            size,
            protection,
            bytes: None,
        });
        Ok(Box::new(ImageReservation { executor: self.clone(), start, end: next, segments: segments.collect() }))
    }

    fn lookup(&self, names: &[&[u8]]) -> Result<Vec<Option<Addr>>, ExecutorError> {
        Ok(names.iter().map(|name| self.symbols.get(*name).copied()).collect())
    }

    /// In static programs every variable is at a distance from the thread pointer that is known.
    fn has_fixed_thread_locals(&self, _size: u64, _align: u64) -> bool {
        self.has_thread_locals
    }

    fn thread_locals(&self, request: &ThreadLocalRequest<'_>) -> Result<Box<dyn ThreadLocalBlock>, ExecutorError> {
        thread_locals::block(self, request)
    }

    unsafe fn run_arrays(&self, _arrays: &[PointerArray]) -> Result<(), ExecutorError> {
        Err(cannot_run("its initialisers do not run"))
    }

    unsafe fn run_main(&self, _entry: Addr, _arguments: &[CString]) -> Result<i32, ExecutorError> {
        Err(cannot_run("it does not run"))
    }
}

struct Placed {
    address: Addr,
    /// What was reserved.
    capacity: u64,
    size: u64,
    protection: Protection,
    /// Made when first asked for, with the final size.
    bytes: Option<Vec<u8>>,
}

struct ImageReservation {
    executor: ImageExecutor,
    start: u64,
    end: u64,
    segments: Vec<Placed>,
}

impl ImageReservation {
    /// The addresses after the last segment, in use no longer, where no later batch follows.
    fn shrink_to(&mut self, end: u64) {
        let mut state = lock(&self.executor.state);
        if state.next == self.end {
            state.next = end;
            self.end = end;
        }
    }
}

impl Drop for ImageReservation {
    fn drop(&mut self) {
        self.shrink_to(self.start);
    }
}

impl Reservation for ImageReservation {
    fn address(&self, segment: usize) -> Addr {
        self.segments[segment].address
    }

    fn region(&self) -> AddrRange {
        self.executor.region()
    }

    fn resize(&mut self, sizes: &[u64]) -> Result<(), ExecutorError> {
        let grown = self.segments.iter().zip(sizes).any(|(segment, size)| *size > segment.capacity);
        if grown || sizes.len() != self.segments.len() {
            return Err(ExecutorError::new("a segment grew beyond what was reserved for it"));
        }
        for (segment, size) in self.segments.iter_mut().zip(sizes) {
            segment.size = *size;
            segment.bytes = None;
        }
        let end = self.segments.iter().map(|segment| segment.address.0 + segment.size).max();
        self.shrink_to(end.unwrap_or(self.start));
        Ok(())
    }

    fn working_memory(&mut self) -> Vec<WorkingMemory<'_>> {
        let memory = self.segments.iter_mut().map(|segment| {
            // Zeros from the system: a page that nobody writes to costs nothing.
            let zeros = || pages::zeros(usize::try_from(segment.size).unwrap_or(usize::MAX));
            WorkingMemory { bytes: segment.bytes.get_or_insert_with(zeros), zeroed: true }
        });
        memory.collect()
    }

    fn finalize(mut self: Box<Self>, _actions: Vec<Action>) -> Result<Box<dyn Allocation>, ExecutorError> {
        self.working_memory();
        let mut state = lock(&self.executor.state);
        let segments = self.segments.iter_mut().map(|placed| ImageSegment {
            address: placed.address,
            protection: placed.protection,
            bytes: Arc::new(placed.bytes.take().unwrap_or_default()),
        });
        let placed: Vec<ImageSegment> = segments.filter(|segment| segment.size() > 0).collect();
        let segments = placed.iter().map(|segment| (segment.address, segment.size())).collect();
        state.segments.extend(placed.into_iter().map(|segment| (segment.address.0, segment)));
        drop(state);
        Ok(Box::new(ImageAllocation { reservation: *self, segments }))
    }
}

/// A finished batch; the reservation inside keeps its addresses.
struct ImageAllocation {
    reservation: ImageReservation,
    /// Its segments in the image: address, size.
    segments: Vec<(Addr, u64)>,
}

impl ImageAllocation {
    /// Gives bytes of the batch, in the image, to `look`.
    fn with_bytes<T>(
        &self,
        address: Addr,
        size: u64,
        look: impl FnOnce(&mut ImageSegment, std::ops::Range<usize>) -> T,
    ) -> Result<T, ExecutorError> {
        let inside = |(start, length): &&(Addr, u64)| AddrRange::new(*start, *length).contains(address, size);
        let mut state = lock(&self.reservation.executor.state);
        let segment = self.segments.iter().find(inside).and_then(|(start, _)| state.segments.get_mut(&start.0));
        let segment = segment.ok_or_else(|| {
            ExecutorError::new(format!("{size:#x} bytes at {address} are not in a segment of this module"))
        })?;
        let start = address.offset_from(segment.address) as usize;
        Ok(look(segment, start..start + size as usize))
    }

    /// Gives a pointer of the batch's variables to `change`, which says what to write.
    fn change<T>(&self, place: PointerPlace, change: impl FnOnce(u64) -> (T, Option<u64>)) -> Result<T, ExecutorError> {
        self.with_bytes(place.address, u64::from(place.bytes), |segment, range| {
            if segment.protection != Protection::ReadWrite {
                let what = format!("no pointer can be stored at {}: it is not in a writable segment", place.address);
                return Err(ExecutorError::new(what));
            }
            let (answer, value) = change(place.endian.read(&segment.bytes[range.clone()]));
            if let Some(value) = value {
                // Copied only if somebody holds the bytes as they were.
                place.endian.write(&mut Arc::make_mut(&mut segment.bytes)[range], value);
            }
            Ok(answer)
        })?
    }
}

impl Allocation for ImageAllocation {
    fn release(&self, address: Addr, size: u64) -> Result<(), ExecutorError> {
        self.with_bytes(address, size, |_, _| ())
    }

    fn store_pointer(&self, place: PointerPlace, value: u64) -> Result<(), ExecutorError> {
        self.change(place, |_| ((), Some(value)))
    }

    fn replace_pointer(&self, place: PointerPlace, old: u64, new: u64) -> Result<bool, ExecutorError> {
        self.change(place, |now| (now == old, (now == old).then_some(new)))
    }

    fn read(&self, address: Addr, bytes: &mut [u8]) -> Result<(), ExecutorError> {
        self.with_bytes(address, bytes.len() as u64, |segment, range| bytes.copy_from_slice(&segment.bytes[range]))
    }
}

impl Drop for ImageAllocation {
    fn drop(&mut self) {
        let mut state = lock(&self.reservation.executor.state);
        for (address, _) in &self.segments {
            state.segments.remove(&address.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(protection: Protection, residence: Residence, size: u64, align: u64) -> SegmentRequest {
        SegmentRequest { protection, residence, size, align }
    }

    fn executor(arena_size: u64) -> ImageExecutor {
        ImageExecutor::new(ImageConfig { base: Addr(0x40_0000), arena_size, page_size: 0x1000 }).unwrap()
    }

    fn request(segments: Vec<SegmentRequest>) -> MemoryRequest {
        MemoryRequest { segments, range: AddrRange::ALL }
    }

    #[test]
    fn near_segments_come_first_and_batches_follow_each_other() {
        let executor = executor(0x10_0000);
        let first = request(vec![
            segment(Protection::ReadWrite, Residence::Far, 5, 1),
            segment(Protection::ReadExecute, Residence::Near, 0x1001, 16),
            segment(Protection::Read, Residence::Near, 3, 0x4000),
        ]);
        let mut reservation = executor.reserve(&first).unwrap();
        let addresses: Vec<u64> = (0..3).map(|index| reservation.address(index).0).collect();
        assert_eq!(addresses, [0x40_5000, 0x40_0000, 0x40_4000]);
        assert_eq!(reservation.region(), AddrRange::new(Addr(0x40_0000), 0x10_0000));
        let mut memory = reservation.working_memory();
        assert!(memory.iter().all(|memory| memory.zeroed));
        memory[0].bytes.copy_from_slice(b"hello");
        let allocation = reservation.finalize(Vec::new()).unwrap();
        let next = executor.reserve(&first).unwrap();
        assert_eq!(next.address(1), Addr(0x40_6000));

        let mut bytes = [0; 4];
        allocation.read(Addr(0x40_5001), &mut bytes).unwrap();
        assert_eq!(&bytes, b"ello");
        assert!(allocation.read(Addr(0x40_5002), &mut bytes).is_err());
        let segments = executor.segments();
        assert_eq!(segments.iter().map(|segment| segment.size()).collect::<Vec<_>>(), [0x1001, 3, 5]);
        assert_eq!(segments[0].stored_bytes(), b"");
        assert_eq!(segments[2].bytes(), b"hello");
        drop(allocation);
        assert!(executor.segments().is_empty());
    }

    #[test]
    fn a_reservation_that_is_given_back_leaves_no_gap() {
        let executor = executor(0x10_0000);
        let batch = request(vec![segment(Protection::ReadExecute, Residence::Near, 0x5000, 1)]);
        drop(executor.reserve(&batch).unwrap());
        let mut reservation = executor.reserve(&batch).unwrap();
        assert_eq!(reservation.address(0), Addr(0x40_0000));
        assert!(reservation.resize(&[0x5001]).is_err());
        reservation.resize(&[0x800]).unwrap();
        assert_eq!(reservation.working_memory()[0].bytes.len(), 0x800);
        assert_eq!(executor.reserve(&batch).unwrap().address(0), Addr(0x40_1000));
    }

    #[test]
    fn what_does_not_fit_says_what_to_do() {
        let executor = executor(0x2000);
        let large = request(vec![segment(Protection::Read, Residence::Near, 0x2001, 1)]);
        let error = executor.reserve(&large).err().unwrap();
        assert!(error.advice.contains("--arena-size"), "{error:?}");
        let mut limited = request(vec![segment(Protection::Read, Residence::Near, 0x2000, 1)]);
        assert!(executor.reserve(&limited).is_ok());
        limited.range = AddrRange::new(Addr(0), 0x40_1fff);
        let error = executor.reserve(&limited).err().unwrap();
        assert!(error.advice.contains("--base"), "{error:?}");
    }

    #[test]
    fn symbols_come_from_the_table_alone() {
        let executor = executor(0x1000).with_symbols([("known", Addr(7))]);
        let found = executor.lookup(&[b"printf", b"known"]).unwrap();
        assert_eq!(found, [None, Some(Addr(7))]);
    }
}
