//! What the linking side asks for.

use super::action::{ImportsRecord, QueryRecord, WireAction};
use super::codec::{Bytes, Decoder, Encoder, Wire, WireError};
use jitlink_core::Addr;
use jitlink_core::executor::{MemoryRequest, PointerArray, PointerPlace};
use std::ffi::CString;

/// A request. Those that say so are not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The addresses of these names.
    Lookup(Vec<Bytes>),
    /// The addresses of these functions of the unwinder, if it has all.
    Unwinder(Vec<Bytes>),
    /// Memory for a batch.
    Reserve(MemoryRequest),
    /// Gives a reservation back. Not answered.
    Abandon(u32),
    /// Fixes the sizes of a reservation, and shows its memory to a linking side that can write to it by itself.
    Prepare(u32, Vec<u64>),
    /// Fixes the sizes of a reservation where they are given, takes that many [`Request::Write`]s that follow at once, and makes it the
    /// target's with these actions.
    Finalize {
        /// The reservation.
        reservation: u32,
        /// The final sizes; empty after [`Request::Prepare`], which has fixed them.
        sizes: Vec<u64>,
        /// How many frames with bytes follow.
        writes: u32,
        /// What is done then.
        actions: Vec<WireAction>,
    },
    /// Bytes at an offset in a segment. Only behind [`Request::Finalize`]. Not answered.
    Write(u32, u64, Bytes),
    /// Frees the memory of a batch. Not answered.
    Free(u32),
    /// Frees a part of it.
    Release(u32, Addr, u64),
    /// Stores a pointer in it.
    StorePointer(u32, PointerPlace, u64),
    /// Replaces a pointer in it.
    ReplacePointer(u32, PointerPlace, (u64, u64)),
    /// Copies bytes out of it.
    Read(u32, Addr, u32),
    /// A block of thread-local variables: initial values, size and alignment, and what is to be known.
    ThreadLocals(Bytes, (u64, u64), Vec<QueryRecord>),
    /// Takes a block from all threads. Not answered.
    FreeThreadLocals(u32),
    /// Loads a shared library: its name, and where it is searched first.
    Load(String, Vec<Bytes>),
    /// What initialisers and `main` get as their arguments. Not answered.
    Arguments(Vec<CString>),
    /// Sets variables of the environment. Not answered.
    Environment(Vec<(CString, CString)>),
    /// Runs resolvers of these slots.
    RunResolvers(Vec<Addr>),
    /// Runs arrays of functions.
    RunArrays(Vec<PointerArray>),
    /// Calls a `main`.
    RunMain(Addr, Vec<CString>),
    /// Has arrays run at the module's end.
    RunAtExit(Addr, Vec<PointerArray>),
    /// Runs what a module has registered for its end.
    RunExitHandlers(Addr),
    /// Ends the process as `exit` does. Not answered but by the event of its end.
    Exit(i32),
    /// Lets the process live on when the connection ends, until what runs has returned.
    Detach,
    /// Bytes for the program's standard input; none end it. Not answered but by an event.
    Input(Bytes),
    /// The addresses of what shared libraries export. Answered by none at all where libraries are not known by their files.
    Import(ImportsRecord),
}

impl Request {
    /// What the first byte of an [`Request::Input`] is.
    pub(crate) const INPUT: u8 = 24;
    /// What the first byte of a [`Request::Detach`] is.
    pub(crate) const DETACH: u8 = 23;
    /// What the first byte of a [`Request::Write`] is.
    pub(crate) const WRITE: u8 = 6;
}

impl Wire for Request {
    const WHAT: &'static str = "a request";
    const LEAST: usize = 1;

    fn encode(&self, to: &mut Encoder) {
        match self {
            Request::Lookup(names) => _ = to.put(&0u8).put(names),
            Request::Unwinder(names) => _ = to.put(&1u8).put(names),
            Request::Reserve(request) => _ = to.put(&2u8).put(request),
            Request::Abandon(reservation) => _ = to.put(&3u8).put(reservation),
            Request::Prepare(reservation, sizes) => _ = to.put(&4u8).put(reservation).put(sizes),
            Request::Finalize { reservation, sizes, writes, actions } => {
                to.put(&5u8).put(reservation).put(sizes).put(writes).put(actions);
            }
            Request::Write(segment, offset, bytes) => _ = to.put(&Self::WRITE).put(segment).put(offset).put(bytes),
            Request::Free(allocation) => _ = to.put(&7u8).put(allocation),
            Request::Release(allocation, address, size) => _ = to.put(&8u8).put(allocation).put(address).put(size),
            Request::StorePointer(allocation, place, value) => {
                to.put(&9u8).put(allocation).put(place).put(value);
            }
            Request::ReplacePointer(allocation, place, values) => {
                to.put(&10u8).put(allocation).put(place).put(values);
            }
            Request::Read(allocation, address, size) => _ = to.put(&11u8).put(allocation).put(address).put(size),
            Request::ThreadLocals(image, extent, queries) => _ = to.put(&12u8).put(image).put(extent).put(queries),
            Request::FreeThreadLocals(block) => _ = to.put(&13u8).put(block),
            Request::Load(name, search) => _ = to.put(&14u8).put(name).put(search),
            Request::Arguments(arguments) => _ = to.put(&15u8).put(arguments),
            Request::Environment(variables) => _ = to.put(&16u8).put(variables),
            Request::RunResolvers(slots) => _ = to.put(&17u8).put(slots),
            Request::RunArrays(arrays) => _ = to.put(&18u8).put(arrays),
            Request::RunMain(entry, arguments) => _ = to.put(&19u8).put(entry).put(arguments),
            Request::RunAtExit(handle, arrays) => _ = to.put(&20u8).put(handle).put(arrays),
            Request::RunExitHandlers(handle) => _ = to.put(&21u8).put(handle),
            Request::Exit(status) => _ = to.put(&22u8).put(status),
            Request::Detach => _ = to.put(&Self::DETACH),
            Request::Input(bytes) => _ = to.put(&Self::INPUT).put(bytes),
            Request::Import(imports) => _ = to.put(&25u8).put(imports),
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Request, WireError> {
        Ok(match from.get::<u8>()? {
            0 => Request::Lookup(from.get()?),
            1 => Request::Unwinder(from.get()?),
            2 => Request::Reserve(from.get()?),
            3 => Request::Abandon(from.get()?),
            4 => Request::Prepare(from.get()?, from.get()?),
            5 => Request::Finalize {
                reservation: from.get()?,
                sizes: from.get()?,
                writes: from.get()?,
                actions: from.get()?,
            },
            Self::WRITE => Request::Write(from.get()?, from.get()?, from.get()?),
            7 => Request::Free(from.get()?),
            8 => Request::Release(from.get()?, from.get()?, from.get()?),
            9 => Request::StorePointer(from.get()?, from.get()?, from.get()?),
            10 => Request::ReplacePointer(from.get()?, from.get()?, from.get()?),
            11 => Request::Read(from.get()?, from.get()?, from.get()?),
            12 => Request::ThreadLocals(from.get()?, from.get()?, from.get()?),
            13 => Request::FreeThreadLocals(from.get()?),
            14 => Request::Load(from.get()?, from.get()?),
            15 => Request::Arguments(from.get()?),
            16 => Request::Environment(from.get()?),
            17 => Request::RunResolvers(from.get()?),
            18 => Request::RunArrays(from.get()?),
            19 => Request::RunMain(from.get()?, from.get()?),
            20 => Request::RunAtExit(from.get()?, from.get()?),
            21 => Request::RunExitHandlers(from.get()?),
            22 => Request::Exit(from.get()?),
            Self::DETACH => Request::Detach,
            Self::INPUT => Request::Input(from.get()?),
            25 => Request::Import(from.get()?),
            value => return Err(WireError::Unknown { what: "request", value: value.into() }),
        })
    }
}
