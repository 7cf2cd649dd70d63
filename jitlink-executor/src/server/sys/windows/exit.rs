//! What runs at the end: of a batch that is removed, or of the process, whichever comes first.
//!
//! Here `atexit` is no function of the C library but of each program's start-up code, which linked code has none of. The one that
//! it gets keeps a list, whose functions belong to the batch that they are in. The C library runs what is left at exit.

use super::{arguments, command_line, threads};
use jitlink_core::executor::{ExecutorError, PointerArray};
use jitlink_core::{Addr, AddrRange};
use std::ffi::c_int;
use std::sync::{Mutex, MutexGuard, PoisonError};

type Callback = unsafe extern "C" fn();

unsafe extern "C" {
    /// The start-up code's, for functions of this program.
    #[link_name = "atexit"]
    fn register_own(run: Callback) -> c_int;
}

/// What waits for the end, of one module.
#[derive(Debug)]
enum Waiting {
    Function(Callback),
    Arrays(Vec<PointerArray>),
}

/// A module: its handle, and its segments.
type Module = (Addr, Vec<(Addr, u64)>);

#[derive(Debug)]
struct State {
    modules: Vec<Module>,
    /// In the order in which they were registered; each with the handle of its module, zero for none.
    waiting: Vec<(Addr, Waiting)>,
    is_registered: bool,
}

static STATE: Mutex<State> = Mutex::new(State { modules: Vec::new(), waiting: Vec::new(), is_registered: false });

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The constructors of a module run with its arrays, so that the list that start-up code walks over is empty: a count that is to be
/// found out, and the end ("collect2", `__CTOR_LIST__`).
static NO_CONSTRUCTORS: [isize; 2] = [-1, 0];

/// That floating-point numbers are used: code that does refers to it, and nobody reads it.
static USES_FLOATING_POINT: i32 = 0x9875;

/// The address of what this process provides to linked code in the place of start-up code's.
pub(super) fn service(name: &[u8]) -> Option<Addr> {
    match name {
        b"atexit" => Some(Addr(atexit as *const () as u64)),
        b"_fltused" => Some(Addr(std::ptr::from_ref(&USES_FLOATING_POINT) as u64)),
        b"__CTOR_LIST__" | b"__DTOR_LIST__" => Some(Addr(NO_CONSTRUCTORS.as_ptr() as u64)),
        _ => command_line::service(name),
    }
}

/// Makes a module known.
pub(super) fn add_module(handle: Addr, segments: Vec<(Addr, u64)>) {
    state().modules.push((handle, segments));
}

/// Forgets one, and what it has waiting.
pub(super) fn remove_module(handle: Addr) {
    let mut state = state();
    state.modules.retain(|module| module.0 != handle);
    state.waiting.retain(|waiting| waiting.0 != handle);
    threads::remove(handle);
}

/// The handle of the module that an address is in; zero for none.
pub(super) fn module_at(address: Addr) -> Addr {
    state().module_at(address)
}

impl State {
    /// The handle of the module that an address is in.
    fn module_at(&self, address: Addr) -> Addr {
        let holds = |(start, size): &(Addr, u64)| *size > 0 && AddrRange::new(*start, *size).contains(address, 1);
        let found = self.modules.iter().find(|module| module.1.iter().any(holds));
        found.map_or(Addr(0), |module| module.0)
    }

    /// Appends what is to run; whether it will.
    fn register(&mut self, handle: Addr, waiting: Waiting) -> bool {
        if !self.is_registered {
            // SAFETY: the function is this program's, and there for as long as it.
            self.is_registered = unsafe { register_own(run_all) } == 0;
        }
        self.waiting.push((handle, waiting));
        self.is_registered
    }
}

/// C11 7.22.4.2, for the module that `run` is in.
unsafe extern "C" fn atexit(run: Callback) -> c_int {
    let mut state = state();
    let handle = state.module_at(Addr(run as *const () as u64));
    if state.register(handle, Waiting::Function(run)) { 0 } else { -1 }
}

/// Has arrays of finalisers run at the end.
///
/// # Safety
/// They hold functions that are sound to run, until they have run.
pub(super) unsafe fn run_at_exit(handle: Addr, arrays: &[PointerArray]) -> Result<(), ExecutorError> {
    match state().register(handle, Waiting::Arrays(arrays.to_vec())) {
        true => Ok(()),
        false => Err(ExecutorError::new("the C library has no memory to register what runs at exit")),
    }
}

/// Runs what a module has registered, latest first, and what that registers.
///
/// # Safety
/// The module is still there, and sound to run.
pub(super) unsafe fn run_module(handle: Addr) {
    // SAFETY: as the caller promises.
    unsafe {
        run_those(|of| of == handle);
        threads::end(handle);
    }
}

/// At the process's end: what is left of all modules.
unsafe extern "C" fn run_all() {
    // SAFETY: who registered something promised that it is sound to run until it has run; modules that are gone have nothing left.
    unsafe { run_those(|_| true) };
}

/// # Safety
/// What these modules have registered is sound to run.
unsafe fn run_those(is_meant: impl Fn(Addr) -> bool) {
    loop {
        // The list is free while a function runs, which may register another.
        let last = {
            let mut state = state();
            let last = state.waiting.iter().rposition(|waiting| is_meant(waiting.0));
            last.map(|last| state.waiting.remove(last).1)
        };
        // SAFETY: the caller promises it.
        unsafe {
            match last {
                Some(Waiting::Function(run)) => run(),
                Some(Waiting::Arrays(arrays)) => arrays.iter().for_each(|array| arguments::run_array(array)),
                None => return,
            }
        }
    }
}
