//! What a program is started with, and how it is called.

use super::command_line;
use super::guard::{self, Function};
use super::{names, overflow, threads};
use jitlink_core::Addr;
use jitlink_core::executor::PointerArray;
use jitlink_core::graph::InitStage;
use std::ffi::{CStr, CString, c_char, c_int};
use std::sync::atomic::AtomicPtr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// `argv`, as a program sees it. It may keep pointers into it for as long as the process lives, and may change it; so it is made once
/// for each run and never freed.
#[derive(Clone, Copy)]
struct Arguments(&'static [AtomicPtr<c_char>]);

impl Arguments {
    fn new(given: &[CString]) -> Arguments {
        let strings = given.iter().map(|argument| AtomicPtr::new(argument.clone().into_raw()));
        let all: Vec<AtomicPtr<c_char>> = strings.chain([AtomicPtr::default()]).collect();
        Arguments(all.leak())
    }

    fn count(self) -> c_int {
        c_int::try_from(self.0.len() - 1).unwrap_or(c_int::MAX)
    }

    fn vector(self) -> *mut *mut c_char {
        // An atomic pointer has the layout of a pointer, and may be written through a shared reference.
        self.0.as_ptr().cast_mut().cast()
    }
}

static CURRENT: Mutex<Option<Arguments>> = Mutex::new(None);

fn current() -> MutexGuard<'static, Option<Arguments>> {
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn arguments() -> Arguments {
    *current().get_or_insert_with(|| Arguments::new(&[CString::from(c"jitlink-executor")]))
}

/// A variable of the C library.
fn variable<T>(name: &CStr) -> Option<*mut T> {
    names::in_c_library(name).map(|address| address.0 as *mut T)
}

/// Sets what initialisers and `main` get, and what the C library tells who asks it.
pub(super) fn set(given: &[CString]) {
    let made = Arguments::new(given);
    *current() = Some(made);
    command_line::set(given);
    // SAFETY: the C library has these variables, of these types, and no linked code runs yet that reads them.
    unsafe {
        if let Some(count) = variable::<c_int>(c"__argc") {
            count.write(made.count());
        }
        if let Some(vector) = variable::<*mut *mut c_char>(c"__argv") {
            vector.write(made.vector());
        }
    }
}

fn environment() -> *mut *mut c_char {
    // SAFETY: the C library's variable is of this type.
    variable::<*mut *mut c_char>(c"_environ").map_or(std::ptr::null_mut(), |place| unsafe { place.read() })
}

/// Runs one array of function pointers.
///
/// # Safety
/// The array holds that many pointers, to functions that are sound to run.
pub(super) unsafe fn run_array(array: &PointerArray) {
    let (arguments, environment) = (arguments(), environment());
    let at = |index: u64| (array.address + index * size_of::<usize>() as u64).0 as *const usize;
    for step in 0..array.count {
        let index = if array.order.backwards { array.count - 1 - step } else { step };
        // SAFETY: the caller promises an array of that many pointers.
        let function = unsafe { at(index).read_unaligned() };
        // Zero and minus one end or pad such arrays, and mean no function.
        if function == 0 || function == usize::MAX {
            continue;
        }
        if array.order.stage == InitStage::Threads {
            // SAFETY: the caller promises that the array holds functions of this stage that are sound to run.
            unsafe { threads::begin(Addr(function as u64)) };
            continue;
        }
        // SAFETY: the caller promises that the array holds functions that are sound to run; one that takes fewer arguments ignores
        // the others, which the caller clears away in this calling convention.
        unsafe {
            let function = std::mem::transmute::<usize, Function>(function);
            guard::call(function, arguments.count(), arguments.vector(), environment);
        }
    }
}

/// Calls a `main`.
///
/// # Safety
/// The address is that of a function of this type that is sound to call.
pub(super) unsafe fn run_main(entry: Addr, given: &[CString]) -> i32 {
    if !given.is_empty() {
        set(given);
    }
    let arguments = arguments();
    // SAFETY: the caller promises it.
    let status = unsafe {
        let main = std::mem::transmute::<usize, Function>(entry.0 as usize);
        guard::call(main, arguments.count(), arguments.vector(), environment())
    };
    overflow::check();
    status
}
