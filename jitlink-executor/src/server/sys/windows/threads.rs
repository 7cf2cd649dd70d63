//! Functions that are called when threads start and end, and before and after a program ("PE Format", "TLS Callback Functions").
//!
//! The system calls those of linked files. This program has one, which calls those of linked code.

use super::exit;
use jitlink_core::Addr;
use std::ffi::c_void;
use std::sync::{Mutex, MutexGuard, PoisonError};
use windows_sys::Win32::System::LibraryLoader::GetModuleHandleA;
use windows_sys::Win32::System::SystemServices::{
    DLL_PROCESS_ATTACH, DLL_PROCESS_DETACH, DLL_THREAD_ATTACH, DLL_THREAD_DETACH,
};

/// What is called: with the handle of a module, the reason, and null.
type Callback = unsafe extern "system" fn(*mut c_void, u32, *mut c_void);

/// Those of linked code, in the order in which their modules came, each with the handle of its module.
static CALLBACKS: Mutex<Vec<(Addr, Callback)>> = Mutex::new(Vec::new());

fn callbacks() -> MutexGuard<'static, Vec<(Addr, Callback)>> {
    CALLBACKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// This program's own, among those of its run-time libraries.
#[used]
#[unsafe(link_section = ".CRT$XLY")]
static OWN: Callback = all;

/// Calls all for something that happens to the calling thread, or to the process.
unsafe extern "system" fn all(_handle: *mut c_void, reason: u32, _reserved: *mut c_void) {
    if reason == DLL_THREAD_ATTACH {
        super::crash::catch_crashes();
    }
    if reason == DLL_THREAD_DETACH {
        super::overflow::forget();
    }
    if reason != DLL_PROCESS_ATTACH {
        let all = callbacks().clone();
        // SAFETY: who gave them promised that they are sound to run until their module goes, and with it they.
        all.iter().for_each(|(_, callback)| unsafe { call(*callback, reason) });
    }
}

/// # Safety
/// The callback is sound to run.
unsafe fn call(callback: Callback, reason: u32) {
    // SAFETY: asks for the handle of this program, under which linked code runs; the caller vouches for the rest.
    unsafe { callback(GetModuleHandleA(std::ptr::null()), reason, std::ptr::null_mut()) };
}

/// Calls a module's function for its start, and from now on for all threads.
///
/// # Safety
/// It is one of these functions, and sound to run until its module goes.
pub(super) unsafe fn begin(function: Addr) {
    // The linker keeps what only the system reads where something else reads it too.
    std::hint::black_box(&OWN);
    let module = exit::module_at(function);
    // SAFETY: the caller promises that it is such a function, and sound to run.
    unsafe {
        let callback = std::mem::transmute::<usize, Callback>(function.0 as usize);
        callbacks().push((module, callback));
        call(callback, DLL_PROCESS_ATTACH);
    }
}

/// Calls those of a module for its end.
///
/// # Safety
/// The module is still there, and sound to run.
pub(super) unsafe fn end(module: Addr) {
    let mut of_module = callbacks().clone();
    of_module.retain(|callback| callback.0 == module);
    remove(module);
    // SAFETY: the caller promises that they are sound to run.
    of_module.iter().rev().for_each(|(_, callback)| unsafe { call(*callback, DLL_PROCESS_DETACH) });
}

/// Forgets those of a module.
pub(super) fn remove(module: Addr) {
    callbacks().retain(|callback| callback.0 != module);
}
