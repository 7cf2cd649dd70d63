//! What the linking side has asked for and holds: reservations, allocations, blocks of variables.
//!
//! Memory is that of core's executor for this process. What is checked here is that the other side names only what it was given:
//! whatever it says, nothing outside of that is written, freed or called. What it has linked, it may of course run.

use super::calls::{Call, Caller};
use super::output::Output;
use super::sys;
use crate::wire::{Bytes, CHUNK, FRAME_LIMIT, QueryRecord, Reply, Request, ReservedRecord, WireAction, read_frame};
use jitlink_core::executor::{
    Action, Allocation, Description, Executor, ExecutorError, MemoryRequest, PointerArray, Reservation,
    ThreadLocalBlock, ThreadLocalRequest,
};
use jitlink_core::{Addr, AddrRange};
use std::collections::{HashMap, HashSet};
use std::ffi::CString;
use std::io::Read;

/// The most things of a kind that a session may hold.
const HELD_LIMIT: usize = 1 << 20;

/// What a block of thread-local variables may be at most: as core has it.
const THREAD_LOCAL_LIMIT: u64 = 1 << 28;
const THREAD_LOCAL_ALIGN: u64 = 1 << 20;

/// How the other side broke the protocol.
pub(super) type Broken = String;

/// A reservation, and where its segments are.
struct Held {
    reservation: Box<dyn Reservation>,
    requested: Vec<u64>,
    /// Start, and the final size once it is known.
    segments: Vec<(Addr, u64)>,
    is_prepared: bool,
}

/// An allocation, and where its segments are.
struct Linked {
    allocation: Box<dyn Allocation>,
    segments: Vec<(Addr, u64)>,
}

/// One side's session.
pub(super) struct Session {
    executor: sys::Host,
    caller: Caller,
    output: Output,
    next: u32,
    reservations: HashMap<u32, Held>,
    allocations: HashMap<u32, Linked>,
    blocks: HashMap<u32, Box<dyn ThreadLocalBlock>>,
    /// Addresses that were looked up: they may be called too.
    known: HashSet<Addr>,
    /// Linked code may have run.
    has_run: bool,
}

/// What follows a request.
pub(super) enum Next {
    Reply(Reply),
    /// The answer comes later, or there is none.
    Nothing,
    /// The connection ends, and the process goes on.
    Detach,
}

impl Session {
    pub(super) fn new(executor: sys::Host, caller: Caller, output: Output) -> Session {
        Session {
            executor,
            caller,
            output,
            next: 1,
            reservations: HashMap::new(),
            allocations: HashMap::new(),
            blocks: HashMap::new(),
            known: HashSet::new(),
            has_run: false,
        }
    }

    /// Changes the environment before linked code runs.
    #[allow(unsafe_code, reason = "the environment is the whole process's")]
    fn set_environment(&self, variables: &[(CString, CString)]) -> Result<(), Broken> {
        if self.has_run {
            return Err("the environment was to change while the program runs".into());
        }
        for (name, value) in variables {
            // SAFETY: the main thread waits for its first call, and this is the only other one.
            unsafe { sys::set_variable(name, value) };
        }
        Ok(())
    }

    /// Has finalisers run at the end.
    #[allow(unsafe_code, reason = "has linked code run, which is what this program is for")]
    fn run_at_exit(&self, handle: Addr, arrays: &[PointerArray]) -> Result<Reply, ExecutorError> {
        self.check_arrays(arrays)?;
        self.check(handle, 1)?;
        // SAFETY: the arrays are memory of the session, and who asked vouches for the code.
        unsafe { self.executor.run_at_exit(handle, arrays) }?;
        Ok(Reply::Done)
    }

    /// Does what a request asks for. `input` is where frames come from that belong to it.
    pub(super) fn handle(&mut self, number: u32, request: Request, input: &mut impl Read) -> Result<Next, Broken> {
        let reply = match request {
            Request::Lookup(names) => self.look_up(&names),
            Request::Unwinder(names) => Ok(self.unwinder(&names)),
            Request::Reserve(request) => self.reserve(&request),
            Request::Abandon(reservation) => {
                self.reservations.remove(&reservation).ok_or_else(|| unknown("reservation", reservation))?;
                return Ok(Next::Nothing);
            }
            Request::Prepare(reservation, sizes) => self.prepare(reservation, &sizes)?,
            Request::Finalize { reservation, sizes, writes, actions } => {
                self.finalize(reservation, &sizes, writes, actions, input)?
            }
            Request::Write(..) => return Err("bytes came without the memory that they belong to".into()),
            Request::Free(allocation) => {
                self.allocations.remove(&allocation).ok_or_else(|| unknown("allocation", allocation))?;
                return Ok(Next::Nothing);
            }
            Request::Release(allocation, address, size) => self.within(allocation, address, size).and_then(|linked| {
                linked.allocation.release(address, size)?;
                Ok(Reply::Done)
            }),
            Request::StorePointer(allocation, place, value) => self.allocation(allocation).and_then(|linked| {
                linked.allocation.store_pointer(place, value)?;
                Ok(Reply::Done)
            }),
            Request::ReplacePointer(allocation, place, (old, new)) => self
                .allocation(allocation)
                .and_then(|linked| linked.allocation.replace_pointer(place, old, new).map(Reply::Flag)),
            Request::Read(allocation, address, size) => self.read(allocation, address, size),
            Request::ThreadLocals(image, extent, queries) => self.thread_locals(&image, extent, &queries),
            Request::FreeThreadLocals(block) => {
                self.blocks.remove(&block).ok_or_else(|| unknown("block of thread-local variables", block))?;
                return Ok(Next::Nothing);
            }
            Request::Arguments(arguments) => {
                self.executor.set_arguments(&arguments);
                return Ok(Next::Nothing);
            }
            Request::Environment(variables) => {
                self.set_environment(&variables)?;
                return Ok(Next::Nothing);
            }
            Request::Detach => return Ok(Next::Detach),
            Request::Input(_) => return Err("input came for a program that has its own".into()),
            Request::RunAtExit(handle, arrays) => self.run_at_exit(handle, &arrays),
            other => return self.call(number, other),
        };
        Ok(Next::Reply(reply.unwrap_or_else(|error| Reply::Failed(error.reason, error.advice))))
    }

    /// Has linked code called, if it is where it may be.
    fn call(&mut self, number: u32, request: Request) -> Result<Next, Broken> {
        let checked = match request {
            Request::Load(name, search) => {
                Ok(Call::Load(name, search.into_iter().map(|path| sys::path(path.0)).collect()))
            }
            Request::Import(imports) => {
                let count = imports.libraries.len();
                match imports.imports.iter().find(|(library, _)| *library as usize >= count) {
                    Some((library, _)) => return Err(unknown("shared library", *library)),
                    None => Ok(Call::Import(imports)),
                }
            }
            Request::RunResolvers(slots) => {
                slots.iter().try_for_each(|slot| self.check(*slot, 1)).map(|()| Call::Resolvers(slots))
            }
            Request::RunArrays(arrays) => self.check_arrays(&arrays).map(|()| Call::Arrays(arrays)),
            Request::RunMain(entry, arguments) if self.known.contains(&entry) => Ok(Call::Main(entry, arguments)),
            Request::RunMain(entry, arguments) => self.check(entry, 1).map(|()| Call::Main(entry, arguments)),
            Request::RunExitHandlers(handle) => self.check(handle, 1).map(|()| Call::ExitHandlers(handle)),
            Request::Exit(status) => Ok(Call::Exit(status)),
            other => return Err(format!("{other:?} is not answered here")),
        };
        match checked {
            Ok(call) => {
                self.has_run = true;
                self.caller.call(number, call);
                Ok(Next::Nothing)
            }
            Err(error) => Ok(Next::Reply(Reply::Failed(error.reason, error.advice))),
        }
    }

    fn number(&mut self) -> u32 {
        let number = self.next;
        self.next = self.next.checked_add(1).unwrap_or(1);
        number
    }

    fn look_up(&mut self, names: &[Bytes]) -> Result<Reply, ExecutorError> {
        let names: Vec<&[u8]> = names.iter().map(|name| name.0.as_slice()).collect();
        let found = self.executor.lookup(&names)?;
        self.known.extend(found.iter().flatten());
        Ok(Reply::Addresses(found.into_iter().map(|address| address.map(|address| address.0)).collect()))
    }

    fn unwinder(&self, names: &[Bytes]) -> Reply {
        let names: Vec<&[u8]> = names.iter().map(|name| name.0.as_slice()).collect();
        let found = self.executor.unwinder(&names).unwrap_or_default();
        Reply::Addresses(found.into_iter().map(|address| Some(address.0)).collect())
    }

    fn reserve(&mut self, request: &MemoryRequest) -> Result<Reply, ExecutorError> {
        if self.reservations.len() + self.allocations.len() >= HELD_LIMIT {
            return Err(ExecutorError::new(format!("a session holds at most {HELD_LIMIT} batches")));
        }
        let reservation = self.executor.reserve(request)?;
        let starts: Vec<Addr> = (0..request.segments.len()).map(|segment| reservation.address(segment)).collect();
        let region = reservation.region();
        let number = self.number();
        let requested = request.segments.iter().map(|segment| segment.size).collect();
        let segments = starts.iter().map(|start| (*start, 0)).collect();
        self.reservations.insert(number, Held { reservation, requested, segments, is_prepared: false });
        Ok(Reply::Reserved(ReservedRecord { number, starts, region }))
    }

    fn prepare(&mut self, reservation: u32, sizes: &[u64]) -> Result<Result<Reply, ExecutorError>, Broken> {
        let held = self.reservations.get_mut(&reservation).ok_or_else(|| unknown("reservation", reservation))?;
        if let Err(error) = held.resize(sizes) {
            return Ok(Err(error));
        }
        held.is_prepared = true;
        let memory = held.cleared();
        Ok(Ok(Reply::Prepared(memory.into_iter().map(|bytes| bytes.as_ptr() as u64).collect())))
    }

    fn finalize(
        &mut self,
        reservation: u32,
        sizes: &[u64],
        writes: u32,
        actions: Vec<WireAction>,
        input: &mut impl Read,
    ) -> Result<Result<Reply, ExecutorError>, Broken> {
        let mut held = self.reservations.remove(&reservation).ok_or_else(|| unknown("reservation", reservation))?;
        if held.is_prepared && (writes > 0 || !sizes.is_empty()) {
            return Err("bytes came for memory that the linking side was to write by itself".into());
        }
        // What belongs to the request is read even if it fails.
        let resized = if held.is_prepared { Ok(()) } else { held.resize(sizes) };
        let mut memory = match &resized {
            Ok(()) if !held.is_prepared => held.cleared(),
            _ => Vec::new(),
        };
        for _ in 0..writes {
            let (segment, offset, bytes) = next_write(input)?;
            if resized.is_ok() {
                write(&mut memory, segment, offset, &bytes)?;
            }
        }
        drop(memory);
        if let Err(error) = resized {
            return Ok(Err(error));
        }
        let segments = held.segments.clone();
        let finalized = actions
            .into_iter()
            .map(|action| held.action(action))
            .collect::<Result<Vec<Action>, _>>()
            .and_then(|actions| held.reservation.finalize(actions));
        Ok(finalized.map(|allocation| {
            let number = self.number();
            self.allocations.insert(number, Linked { allocation, segments });
            Reply::Made(number)
        }))
    }

    fn allocation(&self, number: u32) -> Result<&Linked, ExecutorError> {
        self.allocations.get(&number).ok_or_else(|| ExecutorError::new(unknown("allocation", number)))
    }

    /// The allocation of a number, if it has these bytes in one segment.
    fn within(&self, number: u32, address: Addr, size: u64) -> Result<&Linked, ExecutorError> {
        let linked = self.allocation(number)?;
        match holds(&linked.segments, address, size) && size > 0 {
            true => Ok(linked),
            false => Err(outside(address, size)),
        }
    }

    /// Checks that these bytes are memory that was linked here.
    fn check(&self, address: Addr, size: u64) -> Result<(), ExecutorError> {
        match self.allocations.values().any(|linked| holds(&linked.segments, address, size)) {
            true => Ok(()),
            false => Err(outside(address, size)),
        }
    }

    fn check_arrays(&self, arrays: &[PointerArray]) -> Result<(), ExecutorError> {
        let size = |count: u64| count.saturating_mul(size_of::<usize>() as u64);
        arrays.iter().try_for_each(|array| self.check(array.address, size(array.count)))
    }

    fn read(&self, allocation: u32, address: Addr, size: u32) -> Result<Reply, ExecutorError> {
        if size as usize > CHUNK {
            return Err(ExecutorError::new(format!("{size} bytes are read at once, of which {CHUNK} may be")));
        }
        let linked = self.within(allocation, address, size.into())?;
        let mut bytes = vec![0; size as usize];
        linked.allocation.read(address, &mut bytes)?;
        Ok(Reply::Memory(Bytes(bytes)))
    }

    fn thread_locals(
        &mut self,
        image: &Bytes,
        (size, align): (u64, u64),
        queries: &[QueryRecord],
    ) -> Result<Reply, ExecutorError> {
        let fits = size <= THREAD_LOCAL_LIMIT && align.is_power_of_two() && align <= THREAD_LOCAL_ALIGN;
        if !fits || image.0.len() as u64 > size || self.blocks.len() >= HELD_LIMIT {
            let what =
                format!("a block of {size} bytes of thread-local variables at a multiple of {align} cannot be made");
            return Err(ExecutorError::new(what));
        }
        let queries: Vec<_> = queries.iter().map(QueryRecord::query).collect();
        let request = ThreadLocalRequest { image: &image.0, size, align, queries: &queries, layout: None };
        let block = self.executor.thread_locals(&request)?;
        let answers = block.answers().iter().map(|answer| answer.map(|[first, second]| (first, second))).collect();
        let number = self.number();
        self.blocks.insert(number, block);
        Ok(Reply::Bound(number, answers))
    }

    /// Keeps all that is linked for as long as the process lives, and asks for no more calls.
    pub(super) fn detach(self) {
        let Session { reservations, allocations, blocks, output, .. } = self;
        output.close();
        drop(reservations);
        std::mem::forget((allocations, blocks));
    }
}

impl Held {
    fn resize(&mut self, sizes: &[u64]) -> Result<(), ExecutorError> {
        let fits =
            sizes.len() == self.requested.len() && sizes.iter().zip(&self.requested).all(|(size, most)| size <= most);
        if !fits || self.is_prepared {
            return Err(ExecutorError::new("the final sizes are not within what was reserved"));
        }
        self.reservation.resize(sizes)?;
        self.segments.iter_mut().zip(sizes).for_each(|(segment, size)| segment.1 = *size);
        Ok(())
    }

    /// The memory of the segments, all of it zero.
    fn cleared(&mut self) -> Vec<&mut [u8]> {
        let memory = self.reservation.working_memory().into_iter();
        memory
            .map(|segment| {
                if !segment.zeroed {
                    segment.bytes.fill(0);
                }
                segment.bytes
            })
            .collect()
    }

    /// An action as core has it, if it is about this batch.
    fn action(&self, action: WireAction) -> Result<Action, ExecutorError> {
        let check = |address: Addr, size: u64| match holds(&self.segments, address, size) {
            true => Ok(()),
            false => Err(outside(address, size)),
        };
        match action {
            WireAction::RegisterEhFrame(address, size) => {
                check(address, size)?;
                Ok(Action::RegisterEhFrame { address, size })
            }
            WireAction::RegisterFunctionTable(address, (count, record), image) => {
                check(address, count.saturating_mul(record))?;
                Ok(Action::RegisterFunctionTable { address, count, record, image })
            }
            WireAction::Describe(segments, handle) => {
                segments.iter().try_for_each(|(address, size)| check(*address, *size))?;
                Ok(Action::Describe(Description { segments, handle, ..Description::default() }))
            }
            WireAction::ResolveOnCall(slots) => {
                slots.iter().try_for_each(|slot| check(slot.resolver, 1))?;
                Ok(Action::ResolveOnCall(slots))
            }
        }
    }
}

fn holds(segments: &[(Addr, u64)], address: Addr, size: u64) -> bool {
    segments.iter().any(|(start, length)| *length > 0 && AddrRange::new(*start, *length).contains(address, size))
}

fn outside(address: Addr, size: u64) -> ExecutorError {
    ExecutorError::new(format!("{size:#x} bytes at {address} are not in memory that was linked here"))
}

fn unknown(what: &str, number: u32) -> String {
    format!("there is no {what} of number {number}")
}

fn next_write(input: &mut impl Read) -> Result<(u32, u64, Bytes), Broken> {
    let frame = read_frame(input, FRAME_LIMIT).map_err(|error| error.to_string())?;
    let frame = frame.ok_or("the connection ended before all bytes of a batch had come")?;
    match frame.decode::<Request>().map_err(|error| error.to_string())? {
        Request::Write(segment, offset, bytes) => Ok((segment, offset, bytes)),
        other => Err(format!("a batch's bytes were to come, and not {other:?}")),
    }
}

fn write(memory: &mut [&mut [u8]], segment: u32, offset: u64, bytes: &Bytes) -> Result<(), Broken> {
    let length = bytes.0.len();
    let place = memory.get_mut(segment as usize).and_then(|segment| {
        let start = usize::try_from(offset).ok()?;
        segment.get_mut(start..start.checked_add(length)?)
    });
    let place = place.ok_or_else(|| format!("{length} bytes at {offset:#x} are not in segment {segment}"))?;
    place.copy_from_slice(&bytes.0);
    Ok(())
}
