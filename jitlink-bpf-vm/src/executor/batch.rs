//! The memory of one batch, from its reservation to its removal.

use super::Inner;
use super::places::{self, lock};
use crate::code::{Source, UnitFunction, compile};
use crate::memory::Memory;
use crate::space::{Area, What};
use hashbrown::HashMap;
use jitlink_arch_bpf::insn::words;
use jitlink_core::executor::{
    Action, Allocation, Description, ExecutorError, MemoryRequest, PointerPlace, Reservation, WorkingMemory,
};
use jitlink_core::graph::Protection;
use jitlink_core::{Addr, AddrRange};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Addresses that are given back with it, and bytes that are not the machine's yet.
pub(super) struct Batch {
    inner: Arc<Inner>,
    segments: Vec<Segment>,
}

struct Segment {
    address: Addr,
    protection: Protection,
    /// What was reserved.
    capacity: u64,
    size: u64,
    /// Made when first asked for, with the final size.
    bytes: Option<Vec<u8>>,
}

impl Batch {
    pub(super) fn reserve(inner: Arc<Inner>, request: &MemoryRequest) -> Result<Batch, ExecutorError> {
        let mut batch = Batch { inner: inner.clone(), segments: Vec::with_capacity(request.segments.len()) };
        let mut places = lock(&inner.places);
        for segment in &request.segments {
            let taken = places.take(segment, &request.range);
            let address = match taken {
                Ok(address) => address,
                Err(error) => {
                    // What the batch has taken so far is given back when it is dropped, which takes the lock.
                    drop(places);
                    return Err(error);
                }
            };
            let (capacity, size, protection) = (segment.size, segment.size, segment.protection);
            batch.segments.push(Segment { address, protection, capacity, size, bytes: None });
        }
        drop(places);
        Ok(batch)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let mut places = lock(&self.inner.places);
        self.segments.iter().for_each(|segment| places.give_back(segment.address));
    }
}

impl Reservation for Batch {
    fn address(&self, segment: usize) -> Addr {
        self.segments[segment].address
    }

    fn region(&self) -> AddrRange {
        places::code()
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
        Ok(())
    }

    fn working_memory(&mut self) -> Vec<WorkingMemory<'_>> {
        let memory = self.segments.iter_mut().map(|segment| {
            let zeros = || vec![0; usize::try_from(segment.size).unwrap_or(usize::MAX)];
            WorkingMemory { bytes: segment.bytes.get_or_insert_with(zeros), zeroed: true }
        });
        memory.collect()
    }

    fn finalize(mut self: Box<Self>, actions: Vec<Action>) -> Result<Box<dyn Allocation>, ExecutorError> {
        self.working_memory();
        let mut description = Description::default();
        for action in actions {
            match action {
                Action::Describe(described) => description = described,
                Action::LinkOnCall(_) | Action::ResolveOnCall(_) => {
                    return Err(ExecutorError::new("programs find no functions on their first call"));
                }
                // Nothing unwinds.
                _ => {}
            }
        }
        let (mut areas, mut units, mut code) = (Vec::new(), Vec::new(), Vec::new());
        for segment in &mut self.segments {
            let bytes = segment.bytes.take().unwrap_or_default();
            if segment.protection == Protection::ReadExecute {
                units.push(Arc::new(load(self.inner.endian, segment.address, &bytes, &description)?));
                code.push((segment.address, bytes));
            } else {
                let memory = Memory::zeroed(bytes.len()).map_err(|error| ExecutorError::new(error.to_string()))?;
                memory.write(0, &bytes);
                let area = Area::whole(segment.address.0, Arc::new(memory), What::Data);
                areas.push(Area { writable: segment.protection == Protection::ReadWrite, ..area });
            }
        }
        let taken = |address| ExecutorError::new(format!("something else is at {address:#x}"));
        self.inner.shared.space.add(areas.clone(), units).map_err(taken)?;
        Ok(Box::new(Linked { batch: *self, areas, code }))
    }
}

fn load(
    endian: jitlink_core::Endian,
    address: Addr,
    bytes: &[u8],
    description: &Description,
) -> Result<crate::code::Unit, ExecutorError> {
    let whole = || ExecutorError::new(format!("code of {:#x} bytes is not whole words of eight bytes", bytes.len()));
    let words = words(bytes, endian).ok_or_else(whole)?;
    let inside = |symbol: &&jitlink_core::executor::DescribedSymbol| {
        symbol.address.0.wrapping_sub(address.0) < bytes.len() as u64
    };
    let functions = description.symbols.iter().filter(inside).map(|symbol| {
        let (start, len) = (symbol.name.0 as usize, symbol.name.1 as usize);
        UnitFunction {
            name: description.names.get(start..start + len).unwrap_or_default().into(),
            first: ((symbol.address.0 - address.0) / 8) as usize,
            len: (symbol.size / 8) as usize,
        }
    });
    let functions = functions.collect();
    let source = Source { start: address.0, endian, words: &words, functions, links: HashMap::new(), arena: None };
    Ok(compile(source).map_err(|error| ExecutorError::new(error.to_string()))?.fused())
}

/// A batch that is the machine's.
struct Linked {
    batch: Batch,
    areas: Vec<Area>,
    code: Vec<(Addr, Vec<u8>)>,
}

impl Linked {
    /// The area that holds a pointer, and the pointer's offset in it.
    fn pointer(&self, place: PointerPlace) -> Result<(&Area, usize), ExecutorError> {
        let size = u64::from(place.bytes);
        let area = self.areas.iter().find(|area| area.writable && area.contains(place.address.0, size));
        let aligned = place.bytes == 8 && place.address.0.is_multiple_of(8);
        match area {
            Some(area) if aligned => Ok((area, (place.address.0 - area.start) as usize)),
            Some(_) => Err(ExecutorError::new(format!("no aligned pointer of eight bytes is at {}", place.address))),
            None => Err(ExecutorError::new(format!(
                "no pointer can be stored at {}: it is not in a writable segment of this module",
                place.address
            ))),
        }
    }
}

/// A pointer as the word of the host that holds it.
fn word(place: PointerPlace, value: u64) -> u64 {
    let mut bytes = [0; 8];
    place.endian.write(&mut bytes, value);
    u64::from_ne_bytes(bytes)
}

impl Allocation for Linked {
    fn release(&self, _address: Addr, _size: u64) -> Result<(), ExecutorError> {
        // Memory goes as a whole: programs may hold snapshots of it.
        Ok(())
    }

    fn store_pointer(&self, place: PointerPlace, value: u64) -> Result<(), ExecutorError> {
        let (area, offset) = self.pointer(place)?;
        area.memory.word(offset).store(word(place, value), Ordering::SeqCst);
        Ok(())
    }

    fn replace_pointer(&self, place: PointerPlace, old: u64, new: u64) -> Result<bool, ExecutorError> {
        let (area, offset) = self.pointer(place)?;
        let (old, new) = (word(place, old), word(place, new));
        Ok(area.memory.word(offset).compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst).is_ok())
    }

    fn read(&self, address: Addr, bytes: &mut [u8]) -> Result<(), ExecutorError> {
        let size = bytes.len() as u64;
        if let Some(area) = self.areas.iter().find(|area| area.contains(address.0, size)) {
            area.memory.read((address.0 - area.start) as usize, bytes);
            return Ok(());
        }
        let inside =
            |(start, code): &&(Addr, Vec<u8>)| AddrRange::new(*start, code.len() as u64).contains(address, size);
        let outside =
            || ExecutorError::new(format!("{size:#x} bytes at {address} are not in a segment of this module"));
        let (start, code) = self.code.iter().find(inside).ok_or_else(outside)?;
        let start = (address.0 - start.0) as usize;
        let found = code.get(start..start + bytes.len()).ok_or_else(outside)?;
        bytes.copy_from_slice(found);
        Ok(())
    }
}

impl Drop for Linked {
    fn drop(&mut self) {
        // Removed before the batch gives the addresses back.
        let starts: Vec<u64> = self.batch.segments.iter().map(|segment| segment.address.0).collect();
        self.batch.inner.shared.space.remove(&starts);
    }
}
