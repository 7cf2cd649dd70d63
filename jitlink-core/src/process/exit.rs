//! What runs at the end: of a module that is removed, or of the process, whichever comes first.
//!
//! The C library keeps one list of functions to run at exit, each with the handle of the module that registered it, runs it backwards
//! at exit, and runs and forgets one module's part on `__cxa_finalize`. Linked modules use the same list: compiled destructors
//! through `__cxa_atexit` itself, plain `atexit` through the services here, and a module's finaliser arrays through one more entry,
//! registered before its initialisers run and therefore run after all else, as the system's loader does it.

use super::{call, modules, thread_exit};
use crate::addr::Addr;
use crate::executor::{ExecutorError, PointerArray};
use std::collections::BTreeMap;
use std::ffi::{CStr, c_int, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};

type Callback = unsafe extern "C" fn(*mut c_void);
type AtFork = Option<unsafe extern "C" fn()>;

unsafe extern "C" {
    fn __cxa_atexit(run: Callback, argument: *mut c_void, handle: *mut c_void) -> c_int;
    fn __cxa_finalize(handle: *mut c_void);
}

static FINALISERS: Mutex<Finalisers> = Mutex::new(Finalisers { next: 1, waiting: BTreeMap::new() });

struct Finalisers {
    next: usize,
    waiting: BTreeMap<usize, Vec<PointerArray>>,
}

fn finalisers() -> MutexGuard<'static, Finalisers> {
    FINALISERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The address of a function that this process provides to linked code in place of the C library's.
pub(super) fn service(name: &[u8]) -> Option<Addr> {
    let function = match name {
        b"atexit" => atexit as *const (),
        b"at_quick_exit" => at_quick_exit as *const (),
        b"pthread_atfork" => pthread_atfork as *const (),
        b"__cxa_thread_atexit_impl" | b"__cxa_thread_atexit" => thread_exit::register as *const (),
        _ => return None,
    };
    Some(Addr(function as u64))
}

/// The handle of the first of these functions' modules; null, which stands for the program, for what no linked module holds.
fn caller(functions: &[*const ()]) -> *mut c_void {
    let found = functions.iter().find_map(|function| modules::handle_at(Addr(*function as u64)));
    found.map_or(0, |handle| handle.0) as *mut c_void
}

/// A function of the C library that only some have.
pub(super) fn optional(name: &CStr) -> Option<*const ()> {
    super::symbols::find(name).map(|address| address.0 as *const ()).filter(|address| !address.is_null())
}

/// C11 7.22.4.2, for the module that `run` is in.
unsafe extern "C" fn atexit(run: Callback) -> c_int {
    // SAFETY: the caller's promise about `run` is that of `atexit`. It takes no argument, and every C calling convention that
    // Linux uses lets a function ignore one; the C library's own `atexit` relies on it too.
    unsafe { __cxa_atexit(run, std::ptr::null_mut(), caller(&[run as *const ()])) }
}

/// C11 7.22.4.3, for the module that `run` is in.
unsafe extern "C" fn at_quick_exit(run: Callback) -> c_int {
    type Register = unsafe extern "C" fn(Callback, *mut c_void) -> c_int;
    match optional(c"__cxa_at_quick_exit") {
        // SAFETY: a function of that name has this type (glibc, stdlib/cxa_at_quick_exit.c).
        Some(function) => unsafe {
            std::mem::transmute::<*const (), Register>(function)(run, caller(&[run as *const ()]))
        },
        None => -1,
    }
}

/// POSIX `pthread_atfork`, for the module that the functions are in.
unsafe extern "C" fn pthread_atfork(prepare: AtFork, parent: AtFork, child: AtFork) -> c_int {
    type Register = unsafe extern "C" fn(AtFork, AtFork, AtFork, *mut c_void) -> c_int;
    let address = |function: AtFork| function.map_or(std::ptr::null(), |function| function as *const ());
    match optional(c"__register_atfork") {
        // SAFETY: a function of that name has this type (LSB Core, `__register_atfork`).
        Some(function) => unsafe {
            let register = std::mem::transmute::<*const (), Register>(function);
            register(prepare, parent, child, caller(&[prepare, parent, child].map(address)))
        },
        None => libc::ENOSYS,
    }
}

/// Registers finaliser arrays to run at exit or when the module of that handle ends.
///
/// # Safety
/// As for [`crate::Executor::run_at_exit`].
pub(super) unsafe fn register(handle: Addr, arrays: &[PointerArray]) -> Result<(), ExecutorError> {
    let mut finalisers = finalisers();
    let ticket = finalisers.next;
    finalisers.next += 1;
    finalisers.waiting.insert(ticket, arrays.to_vec());
    drop(finalisers);
    // SAFETY: `run_registered` takes the ticket as a number; it does nothing for one that it has seen.
    let result = unsafe { __cxa_atexit(run_registered, ticket as *mut c_void, handle.0 as *mut c_void) };
    if result == 0 {
        return Ok(());
    }
    self::finalisers().waiting.remove(&ticket);
    Err(ExecutorError::new("the C library has no memory to register what runs at exit"))
}

unsafe extern "C" fn run_registered(ticket: *mut c_void) {
    let arrays = finalisers().waiting.remove(&(ticket as usize));
    for array in arrays.iter().flatten() {
        // SAFETY: who registered the arrays promised that they are sound to run, until they have run.
        unsafe { call::run_array(array) };
    }
}

/// Runs what the module of that handle registered, latest first.
///
/// # Safety
/// As for [`crate::Executor::run_exit_handlers`].
pub(super) unsafe fn run_module(handle: Addr) {
    // Null would run everything that is registered in the process.
    if handle != Addr(0) {
        // SAFETY: the caller promises that the module's code is sound to run and is still there.
        unsafe {
            thread_exit::run_module(handle);
            __cxa_finalize(handle.0 as *mut c_void);
        }
    }
}

/// How many modules wait for their end, for tests.
#[cfg(all(test, not(loom)))]
pub(super) fn waiting() -> usize {
    finalisers().waiting.len()
}
