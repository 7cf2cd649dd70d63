//! What models of the registry need: unwinders that note what they are told, and modules without memory.

use super::REGISTRY;
use super::records::Records;
use super::registry::{Known, Registration, Unwinder};
use crate::addr::Addr;
use std::sync::{Arc, Mutex};

/// Which unwinder knows of records at which address.
#[derive(Clone, Default)]
pub(in super::super) struct Notes(Arc<Mutex<Vec<(usize, u64)>>>);

struct Noting {
    identity: usize,
    notes: Notes,
}

struct Noted {
    entry: (usize, u64),
    notes: Notes,
}

impl Notes {
    /// Adds an unwinder that notes here what it is told.
    pub(in super::super) fn add(&self, identity: usize) {
        REGISTRY.add(Box::new(Noting { identity, notes: self.clone() }));
    }

    pub(in super::super) fn known(&self) -> Vec<(usize, u64)> {
        self.0.lock().unwrap().clone()
    }
}

impl Unwinder for Noting {
    fn identity(&self) -> usize {
        self.identity
    }

    unsafe fn tell(&self, records: &Records) -> Option<Box<dyn Known>> {
        let entry = (self.identity, records.address().0);
        self.notes.0.lock().unwrap().push(entry);
        Some(Box::new(Noted { entry, notes: self.notes.clone() }))
    }
}

impl Known for Noted {}

impl Drop for Noted {
    fn drop(&mut self) {
        let mut known = self.notes.0.lock().unwrap();
        let at = known.iter().position(|entry| *entry == self.entry).expect("what was told");
        known.remove(at);
    }
}

/// Makes records at this address known in this run of the model.
pub(in super::super) fn register(address: u64) -> Registration<'static> {
    // SAFETY: the models' unwinders do not look at the records.
    unsafe { REGISTRY.register(Records::new(Addr(address), 0, Vec::new())) }
}
