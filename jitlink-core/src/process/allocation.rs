//! A batch's memory in this process, from its reservation to its end.

use super::arena::{Arena, Piece};
use super::runs::RunSet;
use super::{debugger, icache, indirect, lazy, modules, profile, unwind};
use crate::addr::{Addr, AddrRange, Endian};
use crate::executor::{Action, Allocation, ExecutorError, PointerPlace, Reservation, WorkingMemory};
use crate::graph::Protection;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Pieces that were cut for one batch, each with its arena, in the order of the request. Dropping them gives them back.
#[derive(Default)]
pub(super) struct Pieces {
    pieces: Vec<(Arc<Arena>, Piece)>,
    /// The segment that each stands for, while not all are there.
    places: Vec<usize>,
    /// Addresses that were given back early.
    released: Mutex<RunSet>,
}

impl Pieces {
    /// Adds pieces that were cut from `arena`, each for the segment of that index.
    pub(super) fn extend(&mut self, arena: &Arc<Arena>, pieces: impl Iterator<Item = (usize, Piece)>) {
        for (segment, piece) in pieces {
            let at = self.places.partition_point(|place| *place < segment);
            self.places.insert(at, segment);
            self.pieces.insert(at, (Arc::clone(arena), piece));
        }
    }

    /// The piece that holds these bytes.
    fn holding(&self, address: Addr, size: u64) -> Result<&(Arc<Arena>, Piece), ExecutorError> {
        let inside = |(_, piece): &&(Arc<Arena>, Piece)| range_of(piece).contains(address, size);
        self.pieces.iter().find(inside).ok_or_else(|| {
            ExecutorError::new(format!("{size:#x} bytes at {address} are not in a segment of this module"))
        })
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        let released = self.released.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (arena, piece) in &self.pieces {
            let mut at = piece.address;
            let end = piece.address + piece.capacity;
            let early = if piece.sealed { at..at } else { at..end };
            for gone in released.within(early).chain(std::iter::once(end..end)) {
                // SAFETY: these bytes of the piece were not released, and with the pieces their last user goes.
                unsafe { arena.free(piece.protection, at..gone.start) };
                at = gone.end;
            }
        }
    }
}

fn range_of(piece: &Piece) -> AddrRange {
    AddrRange::new(Addr(piece.address), piece.size)
}

/// Memory that only its linker uses.
pub(super) struct ProcessReservation {
    pub(super) pieces: Pieces,
    pub(super) region: AddrRange,
    /// Where the batch is written down.
    pub(super) profiles: Vec<Arc<profile::Output>>,
}

impl ProcessReservation {
    /// Writes the batch down for profilers.
    fn record(&self, actions: &[Action]) -> Result<(), ExecutorError> {
        if self.profiles.is_empty() {
            return Ok(());
        }
        let bytes = |address: Addr, size: u64| {
            self.pieces.holding(address, size).ok()?;
            // SAFETY: the bytes are in readable memory of this batch, which nobody writes to any more and nothing runs in yet.
            Some(unsafe { std::slice::from_raw_parts(address.0 as *const u8, size as usize) })
        };
        let frames = actions.iter().find_map(|action| match action {
            Action::RegisterEhFrame { address, size } => bytes(*address, *size).map(|bytes| (*address, bytes)),
            _ => None,
        });
        for action in actions {
            if let Action::Describe(description) = action {
                let batch = profile::Batch::new(description, frames, bytes);
                self.profiles.iter().try_for_each(|output| output.record(&batch))?;
            }
        }
        Ok(())
    }
}

impl Reservation for ProcessReservation {
    fn address(&self, segment: usize) -> Addr {
        Addr(self.pieces.pieces[segment].1.address)
    }

    fn region(&self) -> AddrRange {
        self.region
    }

    fn resize(&mut self, sizes: &[u64]) -> Result<(), ExecutorError> {
        let pieces = &mut self.pieces.pieces;
        if sizes.len() != pieces.len() || pieces.iter().zip(sizes).any(|((_, piece), size)| *size > piece.capacity) {
            return Err(ExecutorError::new("a segment grew beyond what was reserved for it"));
        }
        for ((arena, piece), size) in pieces.iter_mut().zip(sizes) {
            let kept = arena.kept(piece, *size).unwrap_or(piece.capacity);
            let (start, end) = (piece.address + kept, piece.address + piece.capacity);
            (piece.size, piece.capacity) = (*size, kept);
            // SAFETY: the tail belongs to the piece no more, and only working memory, which is borrowed anew, reached it.
            unsafe { arena.free(piece.protection, start..end) };
        }
        Ok(())
    }

    fn working_memory(&mut self) -> Vec<WorkingMemory<'_>> {
        let memory = self.pieces.pieces.iter_mut().map(|(_, piece)| {
            // SAFETY: the arena opened this many bytes for writing at the alias, and cut them for this piece alone. The target
            // does not know of them before they are finalized, so for as long as the reservation is borrowed nobody else
            // uses them. Data segments have no second address; those of code and constants are not read yet.
            let bytes = unsafe { std::slice::from_raw_parts_mut(piece.alias as *mut u8, piece.size as usize) };
            let zeroed = clear(piece, bytes);
            WorkingMemory { bytes, zeroed }
        });
        memory.collect()
    }

    fn finalize(self: Box<Self>, actions: Vec<Action>) -> Result<Box<dyn Allocation>, ExecutorError> {
        for (arena, piece) in &self.pieces.pieces {
            if piece.sealed {
                // SAFETY: working memory borrows the reservation, which nobody else holds.
                unsafe { arena.seal(piece) }.map_err(|error| {
                    ExecutorError::new(format!("cannot set the protection of linked memory: {error}"))
                })?;
            }
            if piece.protection == Protection::ReadExecute {
                icache::code_written(range_of(piece));
                if !piece.dirty.is_empty() {
                    icache::code_replaced();
                }
            }
        }
        self.record(&actions)?;
        let mut allocation = Box::new(ProcessAllocation { undo: Vec::new(), pieces: self.pieces });
        for action in actions {
            let undo = allocation.run(action)?;
            allocation.undo.extend(undo);
        }
        Ok(allocation)
    }
}

/// Clears old bytes where they are few in a large piece: its other pages need not be touched then. Whether all is zero.
fn clear(piece: &mut Piece, bytes: &mut [u8]) -> bool {
    if piece.sealed {
        return true;
    }
    let length = bytes.len();
    let cut = |address: u64| (address.saturating_sub(piece.address) as usize).min(length);
    let dirty: usize = piece.dirty.iter().map(|run| cut(run.end) - cut(run.start)).sum();
    if dirty == 0 {
        return true;
    }
    if dirty > length / 4 {
        return false;
    }
    for run in &piece.dirty {
        let run = cut(run.start)..cut(run.end);
        bytes[run].fill(0);
    }
    true
}

const POINTER_BYTES: u64 = size_of::<usize>() as u64;

/// What undoes an action when it is dropped.
enum Undo {
    Frames { _registration: unwind::Registration },
    Module { _entry: modules::Entry },
    Lazy { _registration: lazy::Registration },
    Indirect { _registration: indirect::Registration },
    Debugger { _registration: debugger::Registration },
}

/// Memory of a linked module.
struct ProcessAllocation {
    undo: Vec<Undo>,
    pieces: Pieces,
}

impl ProcessAllocation {
    fn run(&self, action: Action) -> Result<Option<Undo>, ExecutorError> {
        match action {
            Action::RegisterEhFrame { address, size } => {
                self.pieces.holding(address, size)?;
                // SAFETY: the linker wrote a whole `.eh_frame` there, into memory that outlives what undoes this.
                let registration = unsafe { unwind::register(address, size, self.code()) };
                Ok(Some(Undo::Frames { _registration: registration }))
            }
            // Unwinders of this process have no such tables.
            Action::RegisterFunctionTable { address, .. } => {
                Err(ExecutorError::new(format!("the system has no use for the table of functions at {address}")))
            }
            Action::LinkOnCall(slots) => {
                for lazy in &slots {
                    self.word_at(lazy.slot)?;
                }
                // SAFETY: each slot is an aligned word of a writable segment of this memory, which outlives what undoes this.
                let registration = unsafe { lazy::register(slots) };
                Ok(Some(Undo::Lazy { _registration: registration }))
            }
            Action::ResolveOnCall(slots) => {
                for indirect in &slots {
                    self.word_at(indirect.slot)?;
                }
                // SAFETY: as above.
                let registration = unsafe { indirect::register(slots) };
                Ok(Some(Undo::Indirect { _registration: registration }))
            }
            Action::Debug(file) => Ok(Some(Undo::Debugger { _registration: debugger::register(file) })),
            Action::Describe(description) => Ok(Some(Undo::Module { _entry: modules::add(description) })),
        }
    }
}

impl ProcessAllocation {
    /// The runs of memory that hold code.
    fn code(&self) -> Vec<AddrRange> {
        let pieces = self.pieces.pieces.iter().map(|(_, piece)| piece);
        pieces.filter(|piece| piece.protection == Protection::ReadExecute && piece.size > 0).map(range_of).collect()
    }

    /// Checks that a pointer that changes at run time may stand here: an aligned word of a writable segment.
    fn word_at(&self, address: Addr) -> Result<(), ExecutorError> {
        let (_, piece) = self.pieces.holding(address, POINTER_BYTES)?;
        if piece.protection == Protection::ReadWrite && address.0.is_multiple_of(POINTER_BYTES) {
            return Ok(());
        }
        let what = format!("no pointer can be stored at {address}: it is not an aligned word of a writable segment");
        Err(ExecutorError::new(what))
    }

    /// Gives a pointer of this module's variables to `change`.
    fn with_word<T>(&self, place: PointerPlace, change: impl FnOnce(&AtomicUsize) -> T) -> Result<T, ExecutorError> {
        let address = place.address;
        self.word_at(address)?;
        // Held until the change is done, so that no release comes between.
        let released = self.pieces.released.lock().unwrap_or_else(PoisonError::into_inner);
        if released.within(address.0..address.0 + POINTER_BYTES).next().is_some() {
            return Err(ExecutorError::new(format!("the block at {address} was released")));
        }
        // SAFETY: the word is aligned and in writable memory of this module, which is there as long as `self`. Linked code may
        // load and store it at any time; on every machine atomic accesses of words meet plain ones without tearing.
        Ok(change(unsafe { AtomicUsize::from_ptr(address.0 as *mut usize) }))
    }
}

/// A pointer's value as this process writes it.
fn word(place: PointerPlace, value: u64) -> Result<usize, ExecutorError> {
    let native = place.endian == Endian::NATIVE && usize::from(place.bytes) == size_of::<usize>();
    match usize::try_from(value) {
        Ok(value) if native => Ok(value),
        _ => Err(ExecutorError::new(format!("{value:#x} at {} is no pointer of this process", place.address))),
    }
}

impl Drop for ProcessAllocation {
    fn drop(&mut self) {
        // Latest first; the memory goes after all of them.
        while let Some(undo) = self.undo.pop() {
            drop(undo);
        }
    }
}

impl Allocation for ProcessAllocation {
    fn release(&self, address: Addr, size: u64) -> Result<(), ExecutorError> {
        let (arena, piece) = self.pieces.holding(address, size)?;
        let range = address.0..address.0 + size;
        let mut released = self.pieces.released.lock().unwrap_or_else(PoisonError::into_inner);
        if released.within(range.clone()).next().is_some() {
            return Err(ExecutorError::new(format!("a part of {size:#x} bytes at {address} was released before")));
        }
        released.insert(range.clone(), |_| ());
        drop(released);
        if piece.sealed {
            // Nothing can be written between what stays; it goes with the rest.
            return Ok(());
        }
        // SAFETY: the bytes are this module's, were not released before, and the caller says that nothing refers to them.
        unsafe { arena.free(piece.protection, range) };
        Ok(())
    }

    fn store_pointer(&self, place: PointerPlace, value: u64) -> Result<(), ExecutorError> {
        let value = word(place, value)?;
        self.with_word(place, |word| word.store(value, Ordering::SeqCst))
    }

    fn replace_pointer(&self, place: PointerPlace, old: u64, new: u64) -> Result<bool, ExecutorError> {
        let (old, new) = (word(place, old)?, word(place, new)?);
        self.with_word(place, |word| word.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst).is_ok())
    }

    fn read(&self, address: Addr, bytes: &mut [u8]) -> Result<(), ExecutorError> {
        self.pieces.holding(address, bytes.len() as u64)?;
        for (index, byte) in bytes.iter_mut().enumerate() {
            let at = (address.0 as usize + index) as *mut u8;
            // SAFETY: the byte is in readable memory of this module, which is there as long as `self`. Only loaded from, and
            // atomically, because linked code may store to it now.
            *byte = unsafe { AtomicU8::from_ptr(at) }.load(Ordering::Relaxed);
        }
        Ok(())
    }
}
