//! What runs at the end of a thread: destructors of the thread-local variables of linked modules.
//!
//! Compiled code registers them with `__cxa_thread_atexit` (C++) or `__cxa_thread_atexit_impl` (the C library's, which Rust
//! calls), and the C library runs them when the thread ends, latest first. It cannot know when the code of a linked module goes. So
//! it is given a ticket instead, and what the ticket stands for is forgotten when the module ends: the thread that removes the module
//! runs its own destructors first, as a program does at its end, and those of other threads that still live do not run at all,
//! because no other thread may run code of the module any more.

use super::{exit, modules};
use crate::addr::Addr;
use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};

type Destructor = unsafe extern "C" fn(*mut c_void);
type Register = unsafe extern "C" fn(Destructor, *mut c_void, *mut c_void) -> c_int;

struct Waiting {
    module: usize,
    thread: libc::pthread_t,
    destructor: Destructor,
    variable: usize,
}

struct Tickets {
    next: usize,
    waiting: BTreeMap<usize, Waiting>,
}

static TICKETS: Mutex<Tickets> = Mutex::new(Tickets { next: 1, waiting: BTreeMap::new() });

fn tickets() -> MutexGuard<'static, Tickets> {
    TICKETS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The calling thread, which need not be one of Rust's and may be at its end. Tickets of a thread are gone before its number is
/// another's.
fn current() -> libc::pthread_t {
    // SAFETY: it has no conditions.
    unsafe { libc::pthread_self() }
}

/// `__cxa_thread_atexit` of the Itanium C++ ABI (section 3.3.7), for a variable of the calling thread. The module is given by its
/// handle or, as the C library allows and Rust does, by any address in it.
pub(super) unsafe extern "C" fn register(destructor: Destructor, variable: *mut c_void, module: *mut c_void) -> c_int {
    let Some(function) = exit::optional(c"__cxa_thread_atexit_impl") else { return -1 };
    let module = modules::handle_at(Addr(module as u64)).map_or(module as usize, |handle| handle.0 as usize);
    let ticket = {
        let mut tickets = tickets();
        let ticket = tickets.next;
        tickets.next += 1;
        let thread = current();
        let waiting = Waiting { module, thread, destructor, variable: variable as usize };
        tickets.waiting.insert(ticket, waiting);
        ticket
    };
    // SAFETY: a function of that name has this type (glibc, `stdlib/cxa_thread_atexit_impl.c`). It is given a function of this
    // program, and an address in it, which keeps what it is in loaded. Null would do in threads that registered something before.
    let result = unsafe {
        let register = std::mem::transmute::<*const (), Register>(function);
        register(run_ticket, ticket as *mut c_void, (&raw const TICKETS).cast_mut().cast())
    };
    if result != 0 {
        tickets().waiting.remove(&ticket);
    }
    result
}

/// Runs what a ticket stands for, unless its module has ended.
unsafe extern "C" fn run_ticket(ticket: *mut c_void) {
    let waiting = tickets().waiting.remove(&(ticket as usize));
    if let Some(Waiting { destructor, variable, .. }) = waiting {
        // SAFETY: who registered the destructor promised that it is sound to run at the end of this thread, if its module is
        // still there, which forgets its tickets when it ends.
        unsafe { destructor(variable as *mut c_void) };
    }
}

/// Runs the destructors of the calling thread's variables of a module, latest first, and forgets those of other threads.
///
/// # Safety
/// As for [`crate::Executor::run_exit_handlers`].
pub(super) unsafe fn run_module(module: Addr) {
    let here = current();
    loop {
        // One at a time: a destructor may register others.
        let latest = {
            let mut tickets = tickets();
            tickets.waiting.retain(|_, waiting| waiting.module as u64 != module.0 || waiting.thread == here);
            let own = tickets.waiting.iter().rev().find(|(_, waiting)| waiting.module as u64 == module.0);
            own.map(|(ticket, _)| *ticket)
        };
        let Some(ticket) = latest else { return };
        // SAFETY: as this function's caller promises.
        unsafe { run_ticket(ticket as *mut c_void) };
    }
}
