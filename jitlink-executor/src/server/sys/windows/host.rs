//! The executor of this process.

use super::allocation::{WindowsReservation, extent};
use super::arena::{Arena, granularity};
use super::{arguments, exit, names, thread_locals};
use jitlink_core::executor::{
    Executor, ExecutorError, MemoryRequest, PointerArray, Reservation, ThreadLocalBlock, ThreadLocalRequest,
};
use jitlink_core::{Addr, AddrRange};
use std::ffi::CString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Links into this process. Clones share their memory.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct Host {
    arenas: Arc<Mutex<Vec<Arc<Arena>>>>,
}

impl Host {
    /// Loads a DLL.
    ///
    /// # Safety
    /// Its initialisers are sound to run.
    pub(in crate::server) unsafe fn load_library(&self, name: &str, search: &[PathBuf]) -> Result<(), ExecutorError> {
        // SAFETY: the caller promises that the library is sound to load.
        unsafe { names::load(name, search) }
    }

    /// Sets what initialisers and the next `main` get as their arguments.
    pub(in crate::server) fn set_arguments(&self, given: &[CString]) {
        arguments::set(given);
    }
}

impl Executor for Host {
    fn name(&self) -> &'static str {
        "process"
    }

    fn page_size(&self) -> u64 {
        granularity().0
    }

    fn reserve(&self, request: &MemoryRequest) -> Result<Box<dyn Reservation>, ExecutorError> {
        let too_large = || ExecutorError::new("the batch is larger than the address space");
        let (size, align) = extent(&request.segments).ok_or_else(too_large)?;
        // Everything that this process can have is no limit.
        let whole = AddrRange { start: Addr(0), last: Addr(usize::MAX as u64) };
        let range = if request.range == whole { AddrRange::ALL } else { request.range };
        let mut arenas = self.arenas.lock().unwrap_or_else(PoisonError::into_inner);
        let suiting = arenas.iter().rev().filter(|arena| arena.suits(&range));
        let pages = suiting.into_iter().find_map(|arena| arena.take(size, align));
        let pages = match pages {
            Some(pages) => pages,
            None => {
                // What nobody holds a page of is given back.
                arenas.retain(|arena| Arc::strong_count(arena) > 1);
                let needed = size.checked_add(align).ok_or_else(too_large)?;
                let arena = Arc::new(Arena::new(needed, &range).map_err(|error| {
                    ExecutorError::new(format!("the system has no {needed:#x} bytes of address space: {error}"))
                })?);
                arenas.push(arena.clone());
                arena.take(size, align).ok_or_else(|| ExecutorError::new("a new arena is too small for its batch"))?
            }
        };
        Ok(Box::new(WindowsReservation::new(pages, &request.segments)))
    }

    fn lookup(&self, names: &[&[u8]]) -> Result<Vec<Option<Addr>>, ExecutorError> {
        Ok(names.iter().map(|name| names::look_up(name)).collect())
    }

    fn thread_locals(&self, request: &ThreadLocalRequest<'_>) -> Result<Box<dyn ThreadLocalBlock>, ExecutorError> {
        thread_locals::bind(request)
    }

    unsafe fn run_arrays(&self, arrays: &[PointerArray]) -> Result<(), ExecutorError> {
        // SAFETY: the caller promises that the arrays are there and sound to run.
        arrays.iter().for_each(|array| unsafe { arguments::run_array(array) });
        Ok(())
    }

    unsafe fn run_main(&self, entry: Addr, given: &[CString]) -> Result<i32, ExecutorError> {
        // SAFETY: the caller promises that `entry` is a `main` that is sound to call.
        Ok(unsafe { arguments::run_main(entry, given) })
    }

    unsafe fn run_at_exit(&self, handle: Addr, arrays: &[PointerArray]) -> Result<(), ExecutorError> {
        // SAFETY: the caller promises that the arrays are sound to run until they have run.
        unsafe { exit::run_at_exit(handle, arrays) }
    }

    unsafe fn run_exit_handlers(&self, handle: Addr) -> Result<(), ExecutorError> {
        // SAFETY: the caller promises that the module is still there and sound to run.
        unsafe { exit::run_module(handle) };
        Ok(())
    }
}
