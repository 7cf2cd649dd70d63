//! Ring buffers: records of any size from programs to the host, in the order in which they were reserved; and the other
//! way round, from the host to programs.
//!
//! Positions count bytes and never go back; a record is its header of eight bytes (length and two marks, as the
//! kernel's) and its data, rounded up to eight. The kernel maps the buffer twice in a row, so that a record at the end
//! goes on behind it. Here the memory is twice as long and such a record simply lies across the middle: no two records
//! that are in use overlap, since only one of them can hold the end. What a program writes into a header is never
//! believed: the lengths that count are in a list of the records in use, of which there are at most a eighth of the
//! size.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::errno::{Errno, MapResult};
use super::family::{Family, missing};
use super::spec::{MapHost, MapSpec, flag};
use super::value::{Writer, allocate};
use super::{Map, Store};
use crate::memory::Memory;

/// Bytes before a record's data.
const HEADER: usize = 8;

/// The largest record (`RINGBUF_MAX_RECORD_SZ`).
const RECORD_LIMIT: u64 = (u32::MAX / 4) as u64;

/// Marks in the length of a header.
const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;

/// Bytes of a page, of which the size is a multiple.
const PAGE: u32 = 4096;

/// Flags of submitting: do not wake the host, or wake it in any case.
const NO_WAKEUP: u64 = 1;
const FORCE_WAKEUP: u64 = 2;

/// A ring buffer.
#[derive(Debug)]
pub struct Ring {
    memory: Arc<Memory>,
    size: u64,
    state: Mutex<State>,
    woken: Condvar,
    /// A program drains it.
    busy: AtomicBool,
}

/// The right to drain a ring buffer, which one run at a time has.
#[derive(Debug)]
pub(crate) struct Draining<'r>(&'r Ring);

#[derive(Debug, Default)]
struct State {
    producer: u64,
    consumer: u64,
    records: VecDeque<Record>,
    wakeups: u64,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    position: u64,
    len: u32,
    marks: u32,
}

/// What `bpf_ringbuf_query` tells (`BPF_RB_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingState {
    /// Bytes that were not consumed yet, with headers.
    pub available: u64,
    /// Bytes of the buffer.
    pub size: u64,
    /// Up to where records were consumed.
    pub consumer: u64,
    /// Up to where records were reserved.
    pub producer: u64,
}

impl Ring {
    /// Checks the definition as the kernel does (`ringbuf_map_alloc`) and makes an empty ring buffer.
    pub(super) fn new(spec: &MapSpec, host: &MapHost) -> MapResult<Ring> {
        spec.check_flags(flag::NUMA_NODE)?;
        MapSpec::check_size("key_size", spec.key_size, 0..=0)?;
        MapSpec::check_size("value_size", spec.value_size, 0..=0)?;
        let size = spec.max_entries;
        if !size.is_power_of_two() || !size.is_multiple_of(PAGE) {
            return Err(Errno::INVAL.because(format!("max_entries is {size} and no power of two of whole pages")));
        }
        let memory = Arc::new(allocate(u128::from(size) * 2, host)?);
        Ok(Ring {
            memory,
            size: u64::from(size),
            state: Mutex::default(),
            woken: Condvar::new(),
            busy: AtomicBool::new(false),
        })
    }

    /// Where a program may write a record of `len` bytes: the offset in [`Map::values`]. None if there is no room
    /// (`bpf_ringbuf_reserve`). It must be given to [`Ring::submit`] or [`Ring::discard`].
    pub fn reserve(&self, len: u64) -> Option<usize> {
        self.reserve_record(&mut self.state(), len)
    }

    /// Hands a reserved record to the host (`bpf_ringbuf_submit`). `EINVAL` if nothing was reserved there.
    pub fn submit(&self, offset: usize, flags: u64) -> MapResult {
        self.commit(offset, flags, 0)
    }

    /// Gives a reserved record up: the host skips it (`bpf_ringbuf_discard`). `EINVAL` if nothing was reserved there.
    pub fn discard(&self, offset: usize, flags: u64) -> MapResult {
        self.commit(offset, flags, DISCARDED)
    }

    /// Copies a record in (`bpf_ringbuf_output`). `EAGAIN` if there is no room, `EINVAL` for flags that there are not.
    pub fn output(&self, data: &[u8], flags: u64) -> MapResult {
        if flags & !(NO_WAKEUP | FORCE_WAKEUP) != 0 {
            return Err(Errno::INVAL.because(format!("there are no flags {flags:#x} for output")));
        }
        let offset = self.reserve(data.len() as u64).ok_or_else(|| Errno::AGAIN.because("the ring buffer is full"))?;
        self.memory.write(offset, data);
        self.submit(offset, flags)
    }

    /// How full it is (`bpf_ringbuf_query`).
    pub fn query(&self) -> RingState {
        let state = self.state();
        let (producer, consumer) = (state.producer, state.consumer);
        RingState { available: producer - consumer, size: self.size, consumer, producer }
    }

    /// The data of the next record that was submitted, and frees its place; none if there is none, or if the next one
    /// is still being written. Discarded records are skipped.
    pub fn next(&self) -> Option<Vec<u8>> {
        let mut state = self.state();
        let record = front(&mut state)?;
        let data = self.memory.to_vec(self.offset_of(record), record.len as usize);
        retire(&mut state);
        Some(data)
    }

    /// Calls for each record that was submitted, in order, and tells how many there were. New ones that come meanwhile
    /// are consumed too, up to one buffer full, so that this ends however fast programs are.
    pub fn consume(&self, mut each: impl FnMut(&[u8])) -> usize {
        let end = self.query().consumer.saturating_add(self.size);
        let mut count = 0;
        while self.query().consumer < end {
            let Some(data) = self.next() else { break };
            each(&data);
            count += 1;
        }
        count
    }

    /// Waits until a program wakes the host, or there are records that were not consumed. Whether there are any.
    pub fn wait(&self, timeout: Duration) -> bool {
        let end = Instant::now().checked_add(timeout);
        let mut state = self.state();
        let before = state.wakeups;
        while state.producer == state.consumer && state.wakeups == before {
            let left = end.map_or(timeout, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break;
            }
            state = self.woken.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.producer != state.consumer
    }

    /// How often programs woke the host.
    pub fn wakeups(&self) -> u64 {
        self.state().wakeups
    }

    /// Where the next record that was submitted is, and its length, without freeing it (`bpf_user_ringbuf_drain` gives
    /// it to the program so). [`Ring::release`] frees it.
    pub fn front(&self) -> Option<(usize, u32)> {
        let mut state = self.state();
        front(&mut state).map(|record| (self.offset_of(record), record.len))
    }

    /// Frees the record that [`Ring::front`] gave.
    pub fn release(&self) {
        retire(&mut self.state());
    }

    /// Begins to drain it for a program; none while another does.
    pub(crate) fn drain(&self) -> Option<Draining<'_>> {
        (!self.busy.swap(true, Ordering::Acquire)).then_some(Draining(self))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reserve_record(&self, state: &mut State, len: u64) -> Option<usize> {
        if len > RECORD_LIMIT {
            return None;
        }
        let whole = (len + HEADER as u64).next_multiple_of(8);
        // The kernel never fills the last byte, so that full and empty differ.
        if whole > self.size || state.producer + whole - state.consumer > self.size - 1 {
            return None;
        }
        let record = Record { position: state.producer, len: len as u32, marks: BUSY };
        state.producer += whole;
        state.records.push_back(record);
        self.write_header(record);
        Some(self.offset_of(record))
    }

    fn commit(&self, offset: usize, flags: u64, marks: u32) -> MapResult {
        let mut state = self.state();
        let found = self.record_at(&state, offset);
        let index = found.ok_or_else(|| Errno::INVAL.because(format!("nothing was reserved at offset {offset:#x}")))?;
        state.records[index].marks = marks;
        let record = state.records[index];
        self.write_header(record);
        // The host waits for this one if it has consumed all before.
        let awaited = record.position == state.consumer && flags & NO_WAKEUP == 0;
        if flags & FORCE_WAKEUP != 0 || awaited {
            state.wakeups += 1;
            self.woken.notify_all();
        }
        Ok(())
    }

    /// The record in use whose data are at an offset, if it is still being written.
    fn record_at(&self, state: &State, offset: usize) -> Option<usize> {
        let start = (offset as u64).checked_sub(HEADER as u64).filter(|start| *start < self.size)?;
        let consumed = state.consumer % self.size;
        let lap = state.consumer - consumed;
        let position = if start >= consumed { lap + start } else { lap + self.size + start };
        let index = state.records.binary_search_by_key(&position, |record| record.position).ok()?;
        (state.records[index].marks == BUSY).then_some(index)
    }

    fn offset_of(&self, record: Record) -> usize {
        (record.position % self.size) as usize + HEADER
    }

    fn write_header(&self, record: Record) {
        let at = self.offset_of(record) - HEADER;
        self.memory.write(at, &(record.len | record.marks).to_ne_bytes());
        self.memory.write(at + 4, &((at as u32) / PAGE).to_ne_bytes());
    }
}

impl Draining<'_> {
    /// As [`Ring::front`].
    pub(crate) fn front(&self) -> Option<(usize, u32)> {
        self.0.front()
    }

    /// As [`Ring::release`].
    pub(crate) fn release(&self) {
        self.0.release();
    }
}

impl Drop for Draining<'_> {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
    }
}

/// The first record that was submitted, after those that were discarded before it are freed.
fn front(state: &mut State) -> Option<Record> {
    loop {
        let record = *state.records.front()?;
        match record.marks {
            BUSY => return None,
            DISCARDED => retire(state),
            _ => return Some(record),
        }
    }
}

/// Frees the first record, unless it is still being written.
fn retire(state: &mut State) {
    if state.records.front().is_some_and(|record| record.marks == BUSY) {
        return;
    }
    if let Some(record) = state.records.pop_front() {
        let whole = (u64::from(record.len) + HEADER as u64).next_multiple_of(8);
        state.consumer = record.position + whole;
    }
}

impl Map {
    /// The ring buffer that this map is: of type `ringbuf` from programs to the host, of type `user_ringbuf` from the
    /// host to programs.
    pub fn ring(&self) -> Option<&Ring> {
        match &self.store {
            Store::Ring(ring) => Some(ring),
            _ => None,
        }
    }
}

impl Family for Ring {
    fn values(&self) -> Option<&Arc<Memory>> {
        Some(&self.memory)
    }

    fn lookup(&self, _key: &[u8], _flags: u64) -> MapResult<Vec<u8>> {
        Err(missing(Errno::NOTSUPP))
    }

    fn update(&self, _key: &[u8], _value: &[u8], _flags: u64, _by: Writer) -> MapResult {
        Err(missing(Errno::NOTSUPP))
    }

    fn delete(&self, _key: &[u8]) -> MapResult {
        Err(missing(Errno::NOTSUPP))
    }

    fn next_key(&self, _key: Option<&[u8]>) -> MapResult<Vec<u8>> {
        Err(missing(Errno::NOTSUPP))
    }
}
