//! Functions that are found when they are first called: the host's side.
//!
//! A trampoline calls [`linker`]'s function with the address of its slot, on the thread that made the call and wherever in the
//! program that was. What the slot stands for is found in one table of the process. There is nobody to whom an error could be
//! returned: the caller expects whatever the function returns. So a function that cannot be linked ends the process with a message,
//! as a function that nothing defines would have ended it when it started.
//!
//! A slot of an indirect function, whose resolver is called instead, is in the table of `indirect`.

use super::{indirect, vectors};
use crate::addr::Addr;
use crate::error::LinkErrors;
use crate::executor::{LazyFunction, LazySlot};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Slots of modules that are linked, to what they stand for.
static SLOTS: Mutex<BTreeMap<usize, Arc<dyn LazyFunction>>> = Mutex::new(BTreeMap::new());

fn slots() -> MutexGuard<'static, BTreeMap<usize, Arc<dyn LazyFunction>>> {
    SLOTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Slots that are known for as long as this lives.
pub(super) struct Registration(Vec<usize>);

/// Makes slots known.
///
/// # Safety
/// The slots are aligned words in memory that linked code may write, which is there for as long as the registration lives; nothing
/// but atomic stores changes them.
pub(super) unsafe fn register(lazy: Vec<LazySlot>) -> Registration {
    let addresses = lazy.iter().map(|lazy| lazy.slot.0 as usize).collect();
    slots().extend(lazy.into_iter().map(|lazy| (lazy.slot.0 as usize, lazy.function)));
    Registration(addresses)
}

impl Drop for Registration {
    fn drop(&mut self) {
        // Dropped without the lock: what a function holds may be the last of a module with slots of its own.
        let gone: Vec<_> = {
            let mut slots = slots();
            self.0.iter().filter_map(|slot| slots.remove(slot)).collect()
        };
        drop(gone);
    }
}

/// The function that trampolines call.
pub(super) fn linker() -> Addr {
    Addr(link_at as *const () as u64)
}

/// The C library's variable, which the caller may look at after the call: linking must not show.
struct SavedErrno(i32);

impl SavedErrno {
    fn new() -> SavedErrno {
        // SAFETY: the C library gives each thread such a variable.
        SavedErrno(unsafe { *libc::__errno_location() })
    }
}

impl Drop for SavedErrno {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { *libc::__errno_location() = self.0 };
    }
}

/// Finds the function of a slot, and returns its address. A panic ends the process, because this is a function of C.
extern "C" fn link_at(slot: usize) -> usize {
    vectors::kept(|| link(slot))
}

fn link(slot: usize) -> usize {
    let _errno = SavedErrno::new();
    // SAFETY: code of the slot's module runs now, for which its caller has vouched, so that the module stays linked.
    if let Some(address) = unsafe { indirect::on_call(slot) } {
        return address;
    }
    let function = slots().get(&slot).cloned();
    let Some(function) = function else {
        give_up(&format!("code of a module that was removed made a first call through the slot at {:#x}", slot));
    };
    let address = function.link().unwrap_or_else(|errors| give_up(&cannot_link(&*function, &errors)));
    let address = address.0 as usize;
    if address == 0 {
        give_up(&format!("{} was linked on its first call, but is null", function.name()));
    }
    // SAFETY: a slot that is registered is an aligned word of a linked module, whose code runs now, so that it is not removed.
    // Other threads load it at any time; they see the trampoline's or the function's address, and what the function's memory
    // holds was written before.
    unsafe { AtomicUsize::from_ptr(slot as *mut usize) }.store(address, Ordering::Release);
    address
}

fn cannot_link(function: &dyn LazyFunction, errors: &LinkErrors) -> String {
    format!("{} cannot be linked on its first call:\n{errors}", function.name())
}

/// Ends the process with a message.
pub(super) fn give_up(what: &str) -> ! {
    eprintln!("jitlink: {what}");
    std::process::abort();
}
