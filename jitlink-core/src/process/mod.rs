//! The executor of this process: linked code runs beside the code that linked it.
//!
//! Memory comes from *arenas*, striped by protection, in which small modules share pages; no address is ever writable and
//! executable, and linking next to running code takes nothing away from it. Symbols come from the program and from its shared
//! libraries, never as copies. Initialisers, exit handlers and unwind records are the C library's and the unwinder's own, registered
//! for each module and undone with it.
//!
//! After a fork the child runs and keeps what was linked before, and links into arenas of its own. What the *parent* frees later is
//! freed for the child too, because code is shared between them.
//!
//! Only this module and its parts contain unsafe code that concerns memory and calls; each part has one concern:
//!
//! | part | concern |
//! | --- | --- |
//! | `map` | system calls that map memory |
//! | `place` | where arenas go |
//! | `free_list`, `runs` | which addresses are free, which bytes are zero |
//! | `arena` | stripes, aliases, growth |
//! | `allocation` | a batch's memory from reservation to removal |
//! | `icache` | instruction fetch sees what was written |
//! | `symbols`, `libraries`, `objects` | look-up in the process; shared libraries by name; what the loader knows |
//! | `call`, `exit` | initialisers, `main`, what runs at the end |
//! | `unwind` | unwind records, for each unwinder of the process |
//! | `thread_locals`, `thread_room` | thread-local variables: those that the loader holds, and those at a fixed distance |
//! | `thread_exit` | what runs at the end of a thread |
//! | `lazy` | functions that are linked when they are first called |
//! | `indirect` | functions whose resolver says where they are |
//! | `debugger` | debug information of modules, shown to debuggers |
//! | `profile` | files from which profilers know linked code |
//! | `modules`, [`crash`], `context` | which module an address is in; reports of crashes |

mod allocation;
mod arena;
mod call;
mod context;
pub mod crash;
mod debugger;
mod exit;
mod free_list;
mod icache;
mod indirect;
mod lazy;
mod libraries;
mod map;
#[cfg(all(test, loom))]
mod models;
mod modules;
mod objects;
mod place;
mod profile;
mod runs;
mod symbols;
mod sync;
#[cfg(all(test, not(loom)))]
mod tests;
mod thread_exit;
mod thread_locals;
mod thread_room;
mod unwind;
mod vectors;

pub use place::Placement;
pub use profile::Profile;

use crate::addr::{Addr, AddrRange, Endian};
use crate::arch::Target;
use crate::executor::{
    Executor, ExecutorError, MemoryRequest, PointerArray, Reservation, SegmentRequest, ThreadLocalBlock,
    ThreadLocalRequest,
};
use crate::graph::{InitStage, Residence};
use allocation::{Pieces, ProcessReservation};
use arena::{Arena, Piece, Purpose, StripeSizes};
use map::Span;
use std::ffi::CString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// An arena gets this much address space unless told otherwise. Unused, it costs nothing where there is enough of it.
const ARENA_SIZE: u64 = if cfg!(target_pointer_width = "64") { 1 << 30 } else { 64 << 20 };

/// An arena of the usual size shrinks to this, where address space is limited, before it is an error.
const SMALLEST_ARENA: u64 = 8 << 20;

/// How functions of this process are called, where a target's convention has a name for that ([`Target::convention`]).
const CONVENTION: &str =
    if cfg!(all(target_arch = "powerpc64", target_endian = "big", target_abi = "elfv2")) { "ELFv2" } else { "" };

/// Links into this process. Clones share their memory and libraries.
#[derive(Clone, Debug)]
pub struct ProcessExecutor {
    arena_size: u64,
    placement: Placement,
    /// Where thread-local variables go first.
    room: Option<Arc<thread_room::Room>>,
    purpose: Purpose,
    profiles: Vec<Arc<profile::Output>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    arenas: Mutex<Vec<Home>>,
    /// The system's handles of loaded libraries, in order.
    libraries: Mutex<Vec<usize>>,
}

/// An arena, and what it is for.
#[derive(Clone, Debug)]
struct Home {
    arena: Arc<Arena>,
    /// What it was placed for: requests without a limit of their own do not use arenas of those with one, which lie elsewhere.
    residence: Residence,
    limited: bool,
    purpose: Purpose,
}

impl ProcessExecutor {
    /// An executor for this process. Reserves nothing before the first link.
    pub fn new() -> Result<ProcessExecutor, ExecutorError> {
        let (arena_size, placement, purpose) = (ARENA_SIZE, Placement::Near, Purpose::Running);
        let (room, profiles) = (None, Vec::new());
        Ok(ProcessExecutor { arena_size, placement, room, purpose, profiles, shared: Arc::default() })
    }

    /// With arenas of this size instead of 1 GiB, or of 64 MiB where addresses have 32 bits.
    #[must_use]
    pub fn arena_size(mut self, bytes: u64) -> ProcessExecutor {
        self.arena_size = bytes.next_multiple_of(map::page_size());
        self
    }

    /// With arenas in other places than near the shared libraries.
    #[must_use]
    pub fn place(mut self, placement: Placement) -> ProcessExecutor {
        self.placement = placement;
        self
    }

    /// Gives thread-local variables of linked code room in one of the program's own ([`thread_local_room!`](crate::thread_local_room)):
    /// there they are at the same distance from the thread pointer in every thread, so that code which was compiled for that
    /// (without `-fPIC`) finds them, and code which looks them up is rewritten to do without. When the room is used up, variables are
    /// held by the C library's loader as they are without this.
    ///
    /// Fails where the variable is not the executable's, as in a program that is loaded as a shared library.
    ///
    /// # Safety
    /// `room` is the calling thread's copy of a thread-local variable that nothing else uses. The thread outlives the executor. Of the
    /// threads that exist when a module is linked, no other uses the module's thread-local variables: their values are the
    /// initial ones only in the calling thread and in threads that are made later.
    pub unsafe fn thread_locals_in(mut self, room: *mut [u8]) -> Result<ProcessExecutor, ExecutorError> {
        self.room = Some(Arc::new(thread_room::Room::new(room)?));
        Ok(self)
    }

    /// Lets debuggers of this process see what is linked with
    /// [`LinkOptions::keep_debug`](crate::link::LinkOptions::keep_debug), and set breakpoints in it: GDB, and LLDB, through GDB's JIT
    /// interface, whether they are there already or attach later.
    ///
    /// Each module's code then has pages of its own, so that a breakpoint in one is not in the way of the next.
    #[must_use]
    pub fn debuggable(mut self) -> ProcessExecutor {
        self.purpose = Purpose::Debugging;
        self
    }

    /// Writes what is linked to a file for profilers, before it runs. Functions are there by the names of their symbols; lines too,
    /// where the file has them and [`LinkOptions::keep_debug`](crate::link::LinkOptions::keep_debug) is set.
    ///
    /// Makes the file, readable to this user alone, and replaces one that an earlier process of the same number left. Fails if anything
    /// else is in its place. Links fail when they cannot write to it.
    pub fn profiled(mut self, profile: &Profile) -> Result<ProcessExecutor, ExecutorError> {
        let output = profile::open(profile)?;
        if (profile, self.purpose) == (&Profile::PerfMap, Purpose::Running) {
            self.purpose = Purpose::Mapping;
        }
        if !self.profiles.iter().any(|known| Arc::ptr_eq(known, &output)) {
            self.profiles.push(output);
        }
        Ok(self)
    }

    /// Loads a shared library, as `-l NAME` would have a program do: `NAME` stands for `libNAME.so` in the search directories and
    /// then in the system's, `:FILE` for a file of that name, and what contains a slash for itself. Linker scripts in place of a
    /// library are followed. Libraries stay loaded, and their symbols are visible to what is loaded later.
    ///
    /// # Safety
    /// Runs the initialisers of the library, which must be sound to run.
    pub unsafe fn load_library(&self, name: &str, search: &[PathBuf]) -> Result<(), ExecutorError> {
        // SAFETY: the caller promises that the library is sound to load.
        let loaded = unsafe { libraries::load(name, search)? };
        let mut libraries = self.shared.libraries.lock().unwrap_or_else(PoisonError::into_inner);
        libraries.extend(loaded);
        drop(libraries);
        // What is linked may be seen by an unwinder that came along.
        unwind::look();
        Ok(())
    }

    /// Sets what initialisers and the next `main` get as their arguments, the program's name first. There is one set in a
    /// process. They are never freed, because a program may keep pointers to them.
    pub fn set_arguments(&self, arguments: &[CString]) {
        call::set_arguments(arguments);
    }

    fn reserve_in(&self, home: &Home, segments: &[SegmentRequest]) -> Result<Option<Vec<Piece>>, ExecutorError> {
        home.arena.allocate(segments).map_err(|error| {
            ExecutorError::with_advice(
                format!("cannot get memory for linked code from the system: {error}"),
                "check the limits on memory, files and executable memory files (ulimit -a, vm.memfd_noexec)",
            )
        })
    }

    /// Pieces for segments of one residence, all from one arena.
    fn reserve_group(
        &self,
        segments: &[SegmentRequest],
        range: &AddrRange,
        residence: Residence,
    ) -> Result<(Arc<Arena>, Vec<Piece>), ExecutorError> {
        let range = self.limit(range);
        let limited = range != AddrRange::ALL;
        let mut arenas = self.shared.arenas.lock().unwrap_or_else(PoisonError::into_inner);
        let suits = |home: &&Home| {
            let region = home.arena.region();
            let place = if limited { range.intersect(&region) == Some(region) } else { !home.limited };
            place && (home.residence, home.purpose) == (residence, self.purpose) && home.arena.is_own()
        };
        // The latest is the one with room, if any has.
        for home in arenas.iter().rev().filter(suits) {
            if let Some(pieces) = self.reserve_in(home, segments)? {
                return Ok((Arc::clone(&home.arena), pieces));
            }
        }
        // What nobody holds a piece of is given back, so that arenas made for large batches do not pile up.
        arenas.retain(|home| Arc::strong_count(&home.arena) > 1);
        let arena = self.new_arena(segments, &range, residence)?;
        let home = Home { arena: Arc::new(arena), residence, limited, purpose: self.purpose };
        arenas.push(home.clone());
        let pieces = self.reserve_in(&home, segments)?;
        let pieces = pieces.ok_or_else(|| ExecutorError::new("a new arena is too small for what it was made for"))?;
        Ok((home.arena, pieces))
    }

    fn limit(&self, range: &AddrRange) -> AddrRange {
        let low = AddrRange { start: Addr(0), last: Addr((1 << 31) - 1) };
        // Everything that this process can have is no limit.
        let whole = AddrRange { start: Addr(0), last: Addr(usize::MAX as u64) };
        let range = if range.intersect(&whole) == Some(whole) { &AddrRange::ALL } else { range };
        match self.placement {
            Placement::Low => low.intersect(range).unwrap_or(*range),
            Placement::Near | Placement::At(_) => *range,
        }
    }

    /// An arena with room for these segments; smaller than usual where there is no room for that.
    fn new_arena(
        &self,
        segments: &[SegmentRequest],
        range: &AddrRange,
        residence: Residence,
    ) -> Result<Arena, ExecutorError> {
        let needed = StripeSizes::needed(segments.iter())
            .ok_or_else(|| ExecutorError::new("the batch is larger than the address space"))?;
        let mut size = self.arena_size;
        loop {
            let sizes = StripeSizes::of_arena(size).max(needed);
            match self.reserve_span(sizes.total(), range, residence) {
                Ok(span) => return Ok(Arena::new(span, sizes, self.purpose)),
                Err(error) if size <= SMALLEST_ARENA => return Err(place::no_room(sizes.total(), range, &error)),
                Err(_) => size /= 2,
            }
        }
    }

    fn reserve_span(&self, size: u64, range: &AddrRange, residence: Residence) -> std::io::Result<Span> {
        match (residence, self.placement) {
            (Residence::Near, Placement::At(address)) if range.contains(address, size) => {
                Span::reserve_at(address.0, size).or_else(|_| place::reserve_near(size, range))
            }
            (Residence::Near, _) => place::reserve_near(size, range),
            (Residence::Far | Residence::Unloaded, _) => place::reserve_in(size, range),
        }
    }
}

/// Whether a target is of the architecture that this process runs on; the compiler spells some of the names differently.
fn is_host(target: &Target) -> bool {
    let (info, host) = (target.arch.info(), std::env::consts::ARCH);
    let spelled = || info.name().bytes().map(|byte| if byte == b'-' { b'_' } else { byte }).eq(host.bytes());
    info.system(target.endian, target.pointer_bytes, target.convention)
        .map_or_else(spelled, |system| system.rust_arch() == host)
}

impl Executor for ProcessExecutor {
    fn name(&self) -> &'static str {
        "in-process"
    }

    fn accept(&self, target: &Target) -> Result<(), ExecutorError> {
        let pointers = size_of::<usize>();
        if is_host(target) && usize::from(target.pointer_bytes) == pointers && target.endian == Endian::NATIVE {
            return Ok(());
        }
        let host = std::env::consts::ARCH;
        Err(ExecutorError::with_advice(
            format!(
                "code for {target} does not run in this process, which is for {host} with pointers of {pointers} bytes"
            ),
            "link it with an executor for that target, or only link it (--no-exec)",
        ))
    }

    fn is_this_process(&self) -> bool {
        true
    }

    fn page_size(&self) -> u64 {
        map::page_size()
    }

    fn reserve(&self, request: &MemoryRequest) -> Result<Box<dyn Reservation>, ExecutorError> {
        // Should a later group fail, dropping these gives them back.
        let mut pieces = Pieces::default();
        let mut region = None;
        for residence in [Residence::Near, Residence::Far] {
            let near = residence == Residence::Near;
            let wanted = |segment: &SegmentRequest| (segment.residence == Residence::Near) == near;
            let places: Vec<usize> = (0..request.segments.len()).filter(|at| wanted(&request.segments[*at])).collect();
            if places.is_empty() {
                continue;
            }
            let group: Vec<SegmentRequest> = places.iter().map(|place| request.segments[*place]).collect();
            let (arena, cut) = self.reserve_group(&group, &request.range, residence)?;
            region.get_or_insert(arena.region());
            pieces.extend(&arena, places.into_iter().zip(cut));
        }
        let (region, profiles) = (region.unwrap_or(request.range), self.profiles.clone());
        Ok(Box::new(ProcessReservation { pieces, region, profiles }))
    }

    fn lookup(&self, names: &[&[u8]]) -> Result<Vec<Option<Addr>>, ExecutorError> {
        let libraries = self.shared.libraries.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(names.iter().map(|name| symbols::lookup(name, &libraries)).collect())
    }

    fn calls_as(&self, target: &Target) -> bool {
        target.convention == CONVENTION
    }

    fn wants_description(&self) -> bool {
        true
    }

    fn wants_debug_file(&self) -> bool {
        self.purpose == Purpose::Debugging
    }

    fn lazy_linker(&self) -> Result<Addr, ExecutorError> {
        Ok(lazy::linker())
    }

    fn unwinder(&self, names: &[&[u8]]) -> Option<Vec<Addr>> {
        unwind::functions_named(names)
    }

    fn has_fixed_thread_locals(&self, size: u64, align: u64) -> bool {
        self.room.as_ref().is_some_and(|room| room.fits(size, align))
    }

    fn thread_locals(&self, request: &ThreadLocalRequest<'_>) -> Result<Box<dyn ThreadLocalBlock>, ExecutorError> {
        if let Some(room) = self.room.as_ref().filter(|_| request.size > 0)
            && let Some(block) = room.give(request)?
        {
            return Ok(Box::new(thread_room::answers(room, block, request, thread_locals::load)?));
        }
        thread_locals::load(request)
    }

    unsafe fn run_resolvers(&self, slots: &[Addr]) -> Result<(), ExecutorError> {
        for slot in slots {
            // SAFETY: the caller promises that the slots' modules are there and sound to run.
            let result = unsafe { indirect::resolve(slot.0 as usize) };
            // A resolver that found no function, or was called by itself, is the concern of who calls the function.
            result.ok_or_else(|| ExecutorError::new(format!("no indirect function has its slot at {slot}")))?.ok();
        }
        Ok(())
    }

    unsafe fn run_arrays(&self, arrays: &[PointerArray]) -> Result<(), ExecutorError> {
        if arrays.iter().any(|array| array.order.stage == InitStage::Threads) {
            return Err(ExecutorError::new("the system calls no functions when threads start and end"));
        }
        for array in arrays {
            // SAFETY: the caller promises that the arrays are there and sound to run.
            unsafe { call::run_array(array) };
        }
        Ok(())
    }

    unsafe fn run_main(&self, entry: Addr, arguments: &[CString]) -> Result<i32, ExecutorError> {
        // SAFETY: the caller promises that `entry` is a `main` that is sound to call.
        Ok(unsafe { call::run_main(entry, arguments) })
    }

    unsafe fn run_at_exit(&self, handle: Addr, arrays: &[PointerArray]) -> Result<(), ExecutorError> {
        // SAFETY: the caller promises that the arrays are sound to run until they have run.
        unsafe { exit::register(handle, arrays) }
    }

    unsafe fn run_exit_handlers(&self, handle: Addr) -> Result<(), ExecutorError> {
        // SAFETY: the caller promises that the module is still there and sound to run.
        unsafe { exit::run_module(handle) };
        Ok(())
    }
}
