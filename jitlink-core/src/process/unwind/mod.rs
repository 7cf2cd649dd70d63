//! Unwind records of linked modules, made known to every unwinder of this process.
//!
//! A process may have several, each of which knows what it was told and what the loader has: the one with which C++ and Rust throw, and
//! others that only look at the stack (profilers, allocators and crash reporters bring them along). All that offer functions for
//! records that come at run time are told:
//!
//! | unwinder | known by | is told |
//! | --- | --- | --- |
//! | GCC's (`gcc`) | `__register_frame` | of a whole `.eh_frame` |
//! | LLVM's (`llvm`) | `__unw_add_dynamic_fde` beside it | the same, or of one record after the other |
//! | nongnu.org's libunwind (`nongnu`) | `_U_dyn_register` | of a sorted table for each run of code |
//!
//! They are looked for (`find`) in the objects of the process before a module is registered and after a library was loaded, if the loader
//! has loaded any since the last time; what an unwinder that came late has missed it is told then (`registry`). One that linked code
//! loads by itself, with `dlopen`, is found by the next link. A process without an unwinder of the first two kinds gets GCC's.

mod find;
mod gcc;
mod llvm;
#[cfg(all(test, loom))]
pub(super) mod models;
mod nongnu;
mod records;
mod registry;

use super::symbols;
use super::sync::{Mutex, shared};
use crate::addr::{Addr, AddrRange};
use records::Records;
use registry::{Registry, State};
use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering};

shared! {
    static REGISTRY: Registry = Registry { state: Mutex::new(State::new()) };
}

/// Records that are known to the unwinders for as long as this lives.
pub(super) type Registration = registry::Registration<'static>;

/// Makes a `.eh_frame` known, whose functions are in these runs of code.
///
/// # Safety
/// The memory is a well-formed `.eh_frame` with its terminator, and stays so until the registration is dropped.
pub(super) unsafe fn register(address: Addr, size: u64, code: Vec<AddrRange>) -> Registration {
    ensure();
    // SAFETY: as the caller promises.
    unsafe { REGISTRY.register(Records::new(address, size, code)) }
}

/// Looks for unwinders that came since the last time, and tells them of all that is linked.
pub(super) fn look() {
    find::look(&REGISTRY);
}

/// The addresses of functions of the unwinder, if it has all of them.
pub(super) fn functions_named(names: &[&[u8]]) -> Option<Vec<Addr>> {
    ensure();
    names.iter().map(|name| CString::new(*name).ok().and_then(|name| symbols::find(&name))).collect()
}

/// Looks for unwinders, and brings one along if there is none with which programs could throw.
fn ensure() {
    // Several threads may do this at once: nothing is held that the initialiser of a library could wait for.
    static DONE: AtomicBool = AtomicBool::new(false);
    if !DONE.load(Ordering::Acquire) {
        if symbols::find(c"__register_frame").is_none() {
            // A C++ program that is linked later brings its unwinder along as a library; GCC's serves them all.
            // SAFETY: loading GCC's runtime runs no code but its own start-up.
            let handle = unsafe { libc::dlopen(c"libgcc_s.so.1".as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
            if handle.is_null() {
                tracing::debug!("this process has no unwinder that linked code could throw with");
            }
        }
        DONE.store(true, Ordering::Release);
    }
    look();
}
