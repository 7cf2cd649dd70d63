//! Where linked bytes live and run.
//!
//! A link asks its executor for memory in two steps. [`Executor::reserve`] fixes addresses, so that the linker knows what is in
//! reach; [`Reservation::finalize`] makes the written bytes the target's. Between them the linker writes into *working memory*,
//! which may be the target's own memory under another address, or a buffer that is sent there.

mod thread_locals;

pub use thread_locals::{
    StaticThreadLocals, ThreadLocalAccess, ThreadLocalBlock, ThreadLocalQuery, ThreadLocalRequest, ThreadLocalVariable,
};

use crate::addr::{Addr, AddrRange, Endian};
use crate::arch::Target;
use crate::debug::LineTable;
use crate::error::LinkErrors;
use crate::graph::{ExportName, Initialisers, Protection, Residence};
use std::ffi::CString;
use std::fmt;
use std::sync::Arc;

/// Owns the memory in which linked code lives, and runs it.
#[allow(unsafe_code, reason = "running linked code is what an executor is for, and is declared unsafe")]
pub trait Executor: Send + Sync {
    /// Its name, for errors.
    fn name(&self) -> &'static str;

    /// Refuses a target whose code it cannot run. Links ask first of all; executors that run nothing take every target.
    fn accept(&self, _target: &Target) -> Result<(), ExecutorError> {
        Ok(())
    }

    /// Whether its own functions and those of the target call each other in one way. If not, its names are not looked up for the
    /// target, and it calls no function of it as a program's: `main`, initialisers.
    fn calls_as(&self, target: &Target) -> bool {
        target.convention.is_empty()
    }

    /// Whether what it links is memory of this process, which calls and reads it at its addresses, and which gives it addresses of
    /// its own.
    fn is_this_process(&self) -> bool {
        false
    }

    /// The size of a page.
    fn page_size(&self) -> u64;

    /// Reserves address space for a batch. Dropping the reservation gives it back.
    fn reserve(&self, request: &MemoryRequest) -> Result<Box<dyn Reservation>, ExecutorError>;

    /// The addresses of symbols of the target's own, one for each name; `None` where it has none.
    fn lookup(&self, names: &[&[u8]]) -> Result<Vec<Option<Addr>>, ExecutorError>;

    /// The addresses of what shared libraries of the target export, one for each import; `None` for what a library does not have.
    /// Libraries that are not loaded are loaded only by an executor whose maker has vouched for their initialisers; one that cannot be
    /// used is an error. `None` in the place of all means that libraries are not known by their files here, so that names alone count.
    fn import(&self, _imports: &[LibraryImport<'_>]) -> Result<Option<Vec<Option<Addr>>>, ExecutorError> {
        Ok(None)
    }

    /// Whether batches are to come with an [`Action::Describe`].
    fn wants_description(&self) -> bool {
        false
    }

    /// Whether batches whose debug information is kept are to come with an [`Action::Debug`].
    fn wants_debug_file(&self) -> bool {
        false
    }

    /// The address, in the target, of a function that finds others when they are first called. It takes the address of a slot
    /// that came with [`Action::LinkOnCall`] or [`Action::ResolveOnCall`], stores the address of the function in the slot, and
    /// returns it.
    fn lazy_linker(&self) -> Result<Addr, ExecutorError> {
        Err(ExecutorError::with_advice(
            format!("the executor \"{}\" links no functions on their first call", self.name()),
            "supply their object or address instead",
        ))
    }

    /// The addresses of these functions of the unwinder that it registers unwind records with ([`Action::RegisterEhFrame`]), if it
    /// has all of them. A batch that brings an unwinder along (`libgcc_eh.a`) uses these in the place of its own, so that there is
    /// one, which knows all frames.
    fn unwinder(&self, _names: &[&[u8]]) -> Option<Vec<Addr>> {
        None
    }

    /// Whether a block of variables of this size and alignment can be at the same distance from the thread pointer in every thread,
    /// at no cost to anybody: code of the batch that looks its own variables up is then rewritten, and asks for that.
    fn has_fixed_thread_locals(&self, _size: u64, _align: u64) -> bool {
        false
    }

    /// Gives every thread a copy of a block of variables, and tells how code finds them and those of others.
    fn thread_locals(&self, _request: &ThreadLocalRequest<'_>) -> Result<Box<dyn ThreadLocalBlock>, ExecutorError> {
        Err(ExecutorError::with_advice(
            format!("the executor \"{}\" has no threads, and so no thread-local variables", self.name()),
            "link for an executor that runs the code, or build without thread-local variables",
        ))
    }

    /// Runs the resolvers of indirect functions, in the order given, that no call has run yet. `slots` came with
    /// [`Action::ResolveOnCall`]. An executor that leaves them to first calls does nothing.
    ///
    /// # Safety
    /// As for [`Executor::run_arrays`], with the resolvers in the place of what arrays hold.
    unsafe fn run_resolvers(&self, _slots: &[Addr]) -> Result<(), ExecutorError> {
        Ok(())
    }

    /// Runs arrays of function pointers in the order given, each with the program's arguments as the platform does it.
    ///
    /// # Safety
    /// The arrays hold pointers to functions of modules that stay linked until they return, and whose code is sound to run.
    unsafe fn run_arrays(&self, arrays: &[PointerArray]) -> Result<(), ExecutorError>;

    /// Calls `entry` as a C `main`, and returns what it returns.
    ///
    /// # Safety
    /// `entry` is a function of type `int (int, char **, char **)` in a module that stays linked until it returns, and whose
    /// code is sound to run.
    unsafe fn run_main(&self, entry: Addr, arguments: &[CString]) -> Result<i32, ExecutorError>;

    /// Arranges that a module's finalisers run, in the order given, when the process that hosts it ends or when
    /// [`Executor::run_exit_handlers`] is called for it, whichever comes first. What the module registers later (`atexit`,
    /// destructors of static objects) runs before them, so this comes before its initialisers.
    ///
    /// # Safety
    /// As for [`Executor::run_arrays`], until the arrays have run. `handle` is an address in the module, always the same one
    /// for it ([`Description::handle`]).
    unsafe fn run_at_exit(&self, _handle: Addr, _arrays: &[PointerArray]) -> Result<(), ExecutorError> {
        Err(ExecutorError::new(format!("the executor \"{}\" runs no finalisers", self.name())))
    }

    /// Runs what a module has registered to run at its end, latest first, and forgets it. Must be called before the memory of
    /// a module is freed whose code has run; it may be called when nothing is registered.
    ///
    /// # Safety
    /// As for [`Executor::run_arrays`]; no other code of the module runs any more.
    unsafe fn run_exit_handlers(&self, _handle: Addr) -> Result<(), ExecutorError> {
        Ok(())
    }
}

/// Something that a shared library of the target exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LibraryImport<'a> {
    /// The name of the library's file, without a folder.
    pub library: &'a [u8],
    /// What it calls it.
    pub export: ExportName<'a>,
}

/// What a batch needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryRequest {
    /// The segments, one for each pair of protection and residence that occurs.
    pub segments: Vec<SegmentRequest>,
    /// Where all of the batch must lie, because it holds references narrower than a pointer; all of memory otherwise.
    pub range: AddrRange,
}

/// One run of memory with one protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentRequest {
    /// What the program may do with it.
    pub protection: Protection,
    /// Whether short references from the others must reach it.
    pub residence: Residence,
    /// Its size in bytes.
    pub size: u64,
    /// Its alignment, a power of two; may be larger than a page.
    pub align: u64,
}

/// Reserved address space, not yet the target's.
pub trait Reservation: Send {
    /// Where a segment starts.
    fn address(&self, segment: usize) -> Addr;

    /// The near region: where the near segments of this batch are, and where those of others may be.
    fn region(&self) -> AddrRange;

    /// Fixes the final sizes. They may be smaller than what was reserved; growth may fail, after which the caller reserves
    /// anew.
    fn resize(&mut self, sizes: &[u64]) -> Result<(), ExecutorError>;

    /// The bytes of each segment, to be written by the linker.
    fn working_memory(&mut self) -> Vec<WorkingMemory<'_>>;

    /// Makes the bytes the target's: sets protections and runs the actions in order. On an error all is undone.
    fn finalize(self: Box<Self>, actions: Vec<Action>) -> Result<Box<dyn Allocation>, ExecutorError>;
}

/// The bytes of one segment before they are the target's.
#[derive(Debug)]
pub struct WorkingMemory<'m> {
    /// The bytes.
    pub bytes: &'m mut [u8],
    /// Whether they are known to be zero, so that nothing needs clearing.
    pub zeroed: bool,
}

/// What is done when a batch becomes the target's, and undone when it is freed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Registers unwind records: a whole `.eh_frame` with its terminator.
    RegisterEhFrame {
        /// Where it starts.
        address: Addr,
        /// Its size in bytes, terminator included.
        size: u64,
    },
    /// Registers a table of fixed-size records, one for each function and sorted by where that starts, from which the system
    /// unwinds. What they say counts from the base of the image.
    RegisterFunctionTable {
        /// Where it starts.
        address: Addr,
        /// How many records it has.
        count: u64,
        /// The size of one in bytes.
        record: u64,
        /// The base of the image.
        image: Addr,
    },
    /// Makes the batch's names known for crash reports and for finding the module that an address belongs to.
    Describe(Description),
    /// Makes slots known whose functions are linked when they are first called. See [`Executor::lazy_linker`].
    LinkOnCall(Vec<LazySlot>),
    /// Shows debuggers a file about the batch, which [`ObjectFormat::debug_file`](crate::ObjectFormat::debug_file) wrote.
    Debug(Vec<u8>),
    /// Makes slots of indirect functions known, whose resolvers run when they are first called, or before that in
    /// [`Executor::run_resolvers`]. See [`Executor::lazy_linker`].
    ResolveOnCall(Vec<IndirectSlot>),
}

/// The slot of an indirect function: until its resolver has run it points to code that has it run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndirectSlot {
    /// Where the slot is: an aligned pointer in writable memory of the batch.
    pub slot: Addr,
    /// The resolver: a function of the batch without parameters, in the C calling convention, that returns the address of the
    /// function to use. It must run once at most.
    pub resolver: Addr,
    /// The function's name, for errors.
    pub name: String,
}

/// A function that is linked when it is first called.
pub trait LazyFunction: Send + Sync {
    /// Its name, for errors.
    fn name(&self) -> &str;

    /// Its address, linked if it was not yet. Called on the thread that calls the function, by several at once if they do, and
    /// again by a thread that calls the function while it links it. After an error the process cannot go on.
    fn link(&self) -> Result<Addr, LinkErrors>;
}

/// The slot of a function that is linked when it is first called: until then it points to code that has it linked.
#[derive(Clone)]
pub struct LazySlot {
    /// Where the slot is: an aligned pointer in writable memory of the batch.
    pub slot: Addr,
    /// The function.
    pub function: Arc<dyn LazyFunction>,
}

impl PartialEq for LazySlot {
    fn eq(&self, other: &Self) -> bool {
        self.slot == other.slot && Arc::ptr_eq(&self.function, &other.function)
    }
}

impl Eq for LazySlot {}

impl fmt::Debug for LazySlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazySlot").field("slot", &self.slot).field("function", &self.function.name()).finish()
    }
}

/// What a batch is, for crash reports and per-module services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Runs of memory: address, size.
    pub segments: Vec<(Addr, u64)>,
    /// Functions, sorted by address.
    pub symbols: Vec<DescribedSymbol>,
    /// The symbols' names, one after another.
    pub names: String,
    /// The names of the objects.
    pub objects: Vec<String>,
    /// The lines that the code comes from, if debug information was kept.
    pub lines: LineTable,
    /// An address in it that identifies it to the C library (`__dso_handle`).
    pub handle: Addr,
}

impl Description {
    /// Writes where an address is: function, object, line if it is known, and offset into its segment. With `returns` it is the
    /// address that a call returns to, and the call's own place is meant. Allocates nothing.
    pub fn write_place(&self, to: &mut dyn fmt::Write, at: Addr, returns: bool) -> fmt::Result {
        let inside = if returns { at - 1 } else { at };
        let next = self.symbols.partition_point(|symbol| symbol.address <= inside);
        match self.symbols[..next].last() {
            Some(symbol) => {
                let object = self.objects.get(symbol.object as usize).map_or("an unnamed object", String::as_str);
                let (start, length) = (symbol.name.0 as usize, symbol.name.1 as usize);
                let name = self.names.get(start..start + length).unwrap_or("?");
                write!(to, "{name}+{:#x} of {object}", at.offset_from(symbol.address))?;
                if let Some(line) = self.lines.find(inside) {
                    write!(to, " at {}:{}", line.file, line.number)?;
                }
            }
            None => {
                write!(to, "a module without symbols there ({})", self.objects.first().map_or("", String::as_str))?;
            }
        }
        let segment = self.segments.iter().find(|(start, size)| inside.offset_from(*start) < *size);
        let offset = at.offset_from(segment.map_or(Addr(0), |segment| segment.0));
        write!(to, " (address {at}, {offset:#x} into its segment)")
    }
}

/// A function in a [`Description`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescribedSymbol {
    /// Where it starts.
    pub address: Addr,
    /// Its size in bytes; zero where unknown.
    pub size: u64,
    /// Start and length of its name in [`Description::names`].
    pub name: (u32, u32),
    /// The index of its object in [`Description::objects`].
    pub object: u32,
}

/// Memory of the target that a linked batch lives in. Dropping it undoes its actions and frees it.
pub trait Allocation: Send + Sync {
    /// Frees a part of a segment early: a block that nothing refers to any more. The bytes become anyone's.
    fn release(&self, address: Addr, size: u64) -> Result<(), ExecutorError>;

    /// Stores a pointer in a writable segment at once, so that every thread sees the old or the new one.
    fn store_pointer(&self, place: PointerPlace, value: u64) -> Result<(), ExecutorError>;

    /// Replaces a pointer in a writable segment at once if it is `old`; whether it was.
    fn replace_pointer(&self, place: PointerPlace, old: u64, new: u64) -> Result<bool, ExecutorError>;

    /// Copies bytes out of the memory, for tests and tools.
    fn read(&self, address: Addr, bytes: &mut [u8]) -> Result<(), ExecutorError>;
}

/// Where a pointer is, and how the target writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PointerPlace {
    /// Its address.
    pub address: Addr,
    /// Its size in bytes: 4 or 8.
    pub bytes: u8,
    /// The byte order of the target's data.
    pub endian: Endian,
}

/// An array of function pointers to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PointerArray {
    /// Where it starts.
    pub address: Addr,
    /// How many pointers.
    pub count: u64,
    /// When and in which order.
    pub order: Initialisers,
}

/// What an executor could not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutorError {
    /// What was tried and what the system said.
    pub reason: String,
    /// What the user can do.
    pub advice: String,
}

impl ExecutorError {
    /// An error without advice.
    pub fn new(reason: impl Into<String>) -> Self {
        ExecutorError { reason: reason.into(), advice: String::new() }
    }

    /// An error with advice.
    pub fn with_advice(reason: impl Into<String>, advice: impl Into<String>) -> Self {
        ExecutorError { reason: reason.into(), advice: advice.into() }
    }
}

impl fmt::Display for ExecutorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for ExecutorError {}
