//! A batch's memory in the other process.

use super::connection::{Connection, unexpected};
use super::shared;
use crate::wire::{CHUNK, Encoder, Reply, Request, Wire, WireAction};
use jitlink_core::executor::{
    Action, Allocation, Description, ExecutorError, MemoryRequest, PointerPlace, Reservation, ThreadLocalBlock,
    WorkingMemory,
};
use jitlink_core::{Addr, AddrRange};
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

/// What is sent or left out as a whole, if all of it is zero.
const GRAIN: usize = 4 << 10;

/// Memory that is reserved there and written here.
struct RemoteReservation {
    connection: Arc<Connection>,
    number: u32,
    starts: Vec<Addr>,
    region: AddrRange,
    sizes: Vec<u64>,
    bytes: Vec<Vec<u8>>,
    /// It is an allocation now, or was lost.
    is_over: bool,
}

/// Asks for memory.
pub(super) fn reserve(
    connection: &Arc<Connection>,
    request: &MemoryRequest,
) -> Result<Box<dyn Reservation>, ExecutorError> {
    let reserved = match connection.ask(&Request::Reserve(request.clone()))? {
        Reply::Reserved(reserved) if reserved.starts.len() == request.segments.len() => reserved,
        other => return Err(unexpected(&other)),
    };
    let sizes = request.segments.iter().map(|segment| segment.size).collect();
    let (number, starts, region) = (reserved.number, reserved.starts, reserved.region);
    let connection = connection.clone();
    Ok(Box::new(RemoteReservation { connection, number, starts, region, sizes, bytes: Vec::new(), is_over: false }))
}

impl Reservation for RemoteReservation {
    fn address(&self, segment: usize) -> Addr {
        self.starts[segment]
    }

    fn region(&self) -> AddrRange {
        self.region
    }

    fn resize(&mut self, sizes: &[u64]) -> Result<(), ExecutorError> {
        let fits = sizes.len() == self.sizes.len() && sizes.iter().zip(&self.sizes).all(|(size, most)| size <= most);
        if !fits {
            return Err(ExecutorError::new("a segment grew beyond what was reserved for it"));
        }
        self.sizes = sizes.to_vec();
        Ok(())
    }

    fn working_memory(&mut self) -> Vec<WorkingMemory<'_>> {
        let is_new = self.bytes.is_empty();
        if is_new {
            self.bytes = self.sizes.iter().map(|size| vec![0; *size as usize]).collect();
        }
        self.bytes.iter_mut().map(|bytes| WorkingMemory { bytes, zeroed: is_new }).collect()
    }

    fn finalize(mut self: Box<Self>, actions: Vec<Action>) -> Result<Box<dyn Allocation>, ExecutorError> {
        let mut description = Description::default();
        let actions = actions.into_iter().map(|action| match action {
            Action::RegisterEhFrame { address, size } => Ok(WireAction::RegisterEhFrame(address, size)),
            Action::RegisterFunctionTable { address, count, record, image } => {
                Ok(WireAction::RegisterFunctionTable(address, (count, record), image))
            }
            Action::Describe(given) => {
                let action = WireAction::Describe(given.segments.clone(), given.handle);
                description = given;
                Ok(action)
            }
            Action::ResolveOnCall(slots) => Ok(WireAction::ResolveOnCall(slots)),
            Action::LinkOnCall(slots) => {
                let names: Vec<&str> = slots.iter().map(|slot| slot.function.name()).collect();
                Err(ExecutorError::with_advice(
                    format!("functions of another process are not linked on their first call: {}", names.join(", ")),
                    "supply their object or address instead",
                ))
            }
            other => Err(ExecutorError::new(format!("the executor cannot do this in another process: {other:?}"))),
        });
        let actions = actions.collect::<Result<Vec<_>, _>>()?;
        if self.bytes.is_empty() {
            self.working_memory();
        }
        let runs: Vec<(usize, Range<usize>)> = self
            .bytes
            .iter()
            .enumerate()
            .flat_map(|(segment, bytes)| runs(bytes).into_iter().map(move |run| (segment, run)))
            .collect();
        let written = self.connection.shares_memory() && self.write_directly(&runs)?;
        let (sizes, writes) = if written { (Vec::new(), 0) } else { (self.sizes.clone(), runs.len() as u32) };
        let request = Request::Finalize { reservation: self.number, sizes, writes, actions };
        self.is_over = true;
        let reply = self.connection.ask_with(&request, |number, to| {
            let runs = if written { &[][..] } else { &runs };
            runs.iter().try_for_each(|(segment, run)| send(to, number, *segment, run, &self.bytes[*segment]))
        })?;
        let Reply::Made(number) = reply else { return Err(unexpected(&reply)) };
        self.connection.describe(number, description);
        Ok(Box::new(RemoteAllocation { connection: self.connection.clone(), number }))
    }
}

impl RemoteReservation {
    /// Writes to the other process's memory. Whether it did; if not, the bytes are to be sent.
    fn write_directly(&self, runs: &[(usize, Range<usize>)]) -> Result<bool, ExecutorError> {
        let prepared = self.connection.ask(&Request::Prepare(self.number, self.sizes.clone()))?;
        let Reply::Prepared(places) = prepared else { return Err(unexpected(&prepared)) };
        if places.len() != self.bytes.len() {
            return Err(ExecutorError::new("the executor shows another number of segments than it has reserved"));
        }
        let process = self.connection.welcome.process;
        for (segment, run) in runs {
            let place = places[*segment].wrapping_add(run.start as u64);
            shared::write(process, place, &self.bytes[*segment][run.clone()]).map_err(|error| {
                ExecutorError::new(format!("cannot write to the memory of process {process} at {place:#x}: {error}"))
            })?;
        }
        Ok(true)
    }
}

impl Drop for RemoteReservation {
    fn drop(&mut self) {
        if !self.is_over {
            // Where the connection is over, so is the memory.
            let _ = self.connection.tell(&Request::Abandon(self.number));
        }
    }
}

/// What of the bytes is not zero, in runs that fit in a frame.
fn runs(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (index, grain) in bytes.chunks(GRAIN).enumerate() {
        if grain.iter().all(|byte| *byte == 0) {
            continue;
        }
        let start = index * GRAIN;
        let end = start + grain.len();
        match runs.last_mut() {
            Some(last) if last.end == start && end - last.start <= CHUNK => last.end = end,
            _ => runs.push(start..end),
        }
    }
    runs
}

/// Sends a run as a [`Request::Write`], without a copy of its bytes.
fn send(to: &mut dyn Write, number: u32, segment: usize, run: &Range<usize>, bytes: &[u8]) -> io::Result<()> {
    let bytes = &bytes[run.clone()];
    let mut head = Encoder::default();
    // Number, kind, segment, offset and length come before the bytes.
    let length = (4 + 1 + 4 + 8 + 4 + bytes.len()) as u32;
    head.put(&length).put(&number).put(&Request::WRITE).put(&(segment as u32)).put(&(run.start as u64));
    (bytes.len() as u32).encode(&mut head);
    to.write_all(&head.bytes)?;
    to.write_all(bytes)
}

/// Memory of a linked batch.
#[derive(Debug)]
struct RemoteAllocation {
    connection: Arc<Connection>,
    number: u32,
}

impl Allocation for RemoteAllocation {
    fn release(&self, address: Addr, size: u64) -> Result<(), ExecutorError> {
        match self.connection.ask(&Request::Release(self.number, address, size))? {
            Reply::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    fn store_pointer(&self, place: PointerPlace, value: u64) -> Result<(), ExecutorError> {
        match self.connection.ask(&Request::StorePointer(self.number, place, value))? {
            Reply::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    fn replace_pointer(&self, place: PointerPlace, old: u64, new: u64) -> Result<bool, ExecutorError> {
        match self.connection.ask(&Request::ReplacePointer(self.number, place, (old, new)))? {
            Reply::Flag(replaced) => Ok(replaced),
            other => Err(unexpected(&other)),
        }
    }

    fn read(&self, address: Addr, bytes: &mut [u8]) -> Result<(), ExecutorError> {
        let mut at = address;
        for part in bytes.chunks_mut(CHUNK) {
            match self.connection.ask(&Request::Read(self.number, at, part.len() as u32))? {
                Reply::Memory(memory) if memory.0.len() == part.len() => part.copy_from_slice(&memory.0),
                other => return Err(unexpected(&other)),
            }
            at = at + part.len() as u64;
        }
        Ok(())
    }
}

impl Drop for RemoteAllocation {
    fn drop(&mut self) {
        self.connection.forget(self.number);
        // Where the connection is over, so is the memory.
        let _ = self.connection.tell(&Request::Free(self.number));
    }
}

/// Thread-local variables of the other process.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) connection: Arc<Connection>,
    pub(super) number: u32,
    pub(super) answers: Vec<Option<[u64; 2]>>,
}

impl ThreadLocalBlock for Block {
    fn answers(&self) -> &[Option<[u64; 2]>] {
        &self.answers
    }

    fn address(&self, _offset: u64) -> Result<Addr, ExecutorError> {
        Err(ExecutorError::new("the calling thread is of this process, and has no copy of another's variables"))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // Where the connection is over, so are the variables.
        let _ = self.connection.tell(&Request::FreeThreadLocals(self.number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_zero_is_sent() {
        let mut bytes = vec![0; 5 * GRAIN + 7];
        assert_eq!(runs(&bytes), []);
        bytes[GRAIN] = 1;
        bytes[3 * GRAIN - 1] = 1;
        bytes[5 * GRAIN + 6] = 1;
        assert_eq!(runs(&bytes), [GRAIN..3 * GRAIN, 5 * GRAIN..5 * GRAIN + 7]);
    }

    #[test]
    fn no_run_is_longer_than_a_frame_may_be() {
        let runs = runs(&vec![1; 2 * CHUNK + 1]);
        assert_eq!(runs, [0..CHUNK, CHUNK..2 * CHUNK, 2 * CHUNK..2 * CHUNK + 1]);
    }
}
