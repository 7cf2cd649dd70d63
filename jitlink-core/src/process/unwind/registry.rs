//! Which modules there are, and which unwinders: each of these knows each of those.
//!
//! Modules come and go while unwinders only come, since a library in which one was found stays loaded. Both happen on any thread. The lock is
//! never held while the loader is asked for anything: its own lock may be held by a thread that links, from the initialiser of a library.

use super::records::Records;
use crate::process::sync::{Mutex, lock};
use std::collections::BTreeMap;

/// What is done when it is dropped: an unwinder forgets.
pub(super) trait Known: Send {}

/// Who is told of records.
pub(super) trait Unwinder: Send {
    /// Tells two of a kind apart.
    fn identity(&self) -> usize;

    /// Makes the records of a module known until the result is dropped.
    ///
    /// # Safety
    /// The records are well-formed, and stay as they are until then.
    unsafe fn tell(&self, records: &Records) -> Option<Box<dyn Known>>;
}

/// The modules and the unwinders of a process.
pub(super) struct Registry {
    pub(super) state: Mutex<State>,
}

pub(super) struct State {
    unwinders: Vec<Box<dyn Unwinder>>,
    /// In the order in which they came. Where two have code at one address, since a part of the older one was freed, some unwinders believe
    /// the one of which they were told last.
    modules: BTreeMap<u64, Module>,
    next: u64,
}

struct Module {
    records: Records,
    known: Vec<Box<dyn Known>>,
}

/// Records that are known to the unwinders for as long as this lives.
pub(in super::super) struct Registration<'r> {
    registry: &'r Registry,
    number: u64,
}

impl State {
    pub(super) const fn new() -> State {
        State { unwinders: Vec::new(), modules: BTreeMap::new(), next: 0 }
    }
}

impl Registry {
    /// Tells all unwinders, those that come later too.
    ///
    /// # Safety
    /// The records are well-formed, and stay as they are until the registration is dropped.
    pub(super) unsafe fn register(&self, records: Records) -> Registration<'_> {
        let mut state = lock(&self.state);
        let number = state.next;
        state.next += 1;
        // SAFETY: as the caller promises.
        let tell = |unwinder: &dyn Unwinder| unsafe { unwinder.tell(&records) };
        let known = state.unwinders.iter().map(AsRef::as_ref).filter_map(tell).collect();
        state.modules.insert(number, Module { records, known });
        Registration { registry: self, number }
    }

    /// Adds an unwinder, and tells it of all that is there; nothing if it is known.
    pub(super) fn add(&self, unwinder: Box<dyn Unwinder>) {
        let mut state = lock(&self.state);
        if state.unwinders.iter().any(|known| known.identity() == unwinder.identity()) {
            return;
        }
        for module in state.modules.values_mut() {
            // SAFETY: the module's registration is there, which leaves the list under this lock before its records go.
            module.known.extend(unsafe { unwinder.tell(&module.records) });
        }
        state.unwinders.push(unwinder);
    }
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        let module = lock(&self.registry.state).modules.remove(&self.number);
        // Latest first. Unwinders have locks of their own.
        let mut known = module.map(|module| module.known).unwrap_or_default();
        while known.pop().is_some() {}
    }
}
