//! An executor that behaves as if it ran code: an image that notes what it is told to do.

use jitlink_core::executor::{
    Action, Allocation, ExecutorError, IndirectSlot, LazySlot, MemoryRequest, PointerArray, Reservation, WorkingMemory,
};
use jitlink_core::image::ImageExecutor;
use jitlink_core::{Addr, AddrRange, Executor};
use std::ffi::CString;
use std::sync::{Arc, Mutex, PoisonError};

/// Where its linker of lazy functions pretends to be.
pub const LINKER: Addr = Addr(0x7000_0000);

/// Runs arrays of pointers as a test wants it.
type RunArrays = dyn Fn(&[PointerArray]) + Send + Sync;

#[derive(Clone)]
pub struct Host {
    pub image: ImageExecutor,
    slots: Arc<Mutex<Vec<LazySlot>>>,
    indirect: Arc<Mutex<Vec<IndirectSlot>>>,
    /// What runs when initialisers do.
    run: Arc<RunArrays>,
}

impl Host {
    pub fn new(image: ImageExecutor, run: impl Fn(&[PointerArray]) + Send + Sync + 'static) -> Host {
        Host { image, slots: Arc::default(), indirect: Arc::default(), run: Arc::new(run) }
    }

    /// The slots of lazy functions of all batches, in order.
    pub fn slots(&self) -> Vec<LazySlot> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The slots of indirect functions of all batches, in order.
    pub fn indirect(&self) -> Vec<IndirectSlot> {
        self.indirect.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets them, and what they keep.
    pub fn forget(&self) {
        let slots = std::mem::take(&mut *self.slots.lock().unwrap_or_else(PoisonError::into_inner));
        drop(slots);
    }
}

impl Executor for Host {
    fn name(&self) -> &'static str {
        "host"
    }

    fn is_this_process(&self) -> bool {
        true
    }

    fn page_size(&self) -> u64 {
        self.image.page_size()
    }

    fn reserve(&self, request: &MemoryRequest) -> Result<Box<dyn Reservation>, ExecutorError> {
        let (slots, indirect) = (self.slots.clone(), self.indirect.clone());
        Ok(Box::new(HostReservation { inner: self.image.reserve(request)?, slots, indirect }))
    }

    fn lookup(&self, names: &[&[u8]]) -> Result<Vec<Option<Addr>>, ExecutorError> {
        self.image.lookup(names)
    }

    fn lazy_linker(&self) -> Result<Addr, ExecutorError> {
        Ok(LINKER)
    }

    unsafe fn run_arrays(&self, arrays: &[PointerArray]) -> Result<(), ExecutorError> {
        (self.run)(arrays);
        Ok(())
    }

    unsafe fn run_main(&self, _entry: Addr, _arguments: &[CString]) -> Result<i32, ExecutorError> {
        Ok(0)
    }
}

struct HostReservation {
    inner: Box<dyn Reservation>,
    slots: Arc<Mutex<Vec<LazySlot>>>,
    indirect: Arc<Mutex<Vec<IndirectSlot>>>,
}

impl Reservation for HostReservation {
    fn address(&self, segment: usize) -> Addr {
        self.inner.address(segment)
    }

    fn region(&self) -> AddrRange {
        self.inner.region()
    }

    fn resize(&mut self, sizes: &[u64]) -> Result<(), ExecutorError> {
        self.inner.resize(sizes)
    }

    fn working_memory(&mut self) -> Vec<WorkingMemory<'_>> {
        self.inner.working_memory()
    }

    fn finalize(self: Box<Self>, actions: Vec<Action>) -> Result<Box<dyn Allocation>, ExecutorError> {
        for action in &actions {
            match action {
                Action::LinkOnCall(slots) => {
                    self.slots.lock().unwrap_or_else(PoisonError::into_inner).extend(slots.iter().cloned());
                }
                Action::ResolveOnCall(slots) => {
                    self.indirect.lock().unwrap_or_else(PoisonError::into_inner).extend(slots.iter().cloned());
                }
                _ => {}
            }
        }
        self.inner.finalize(actions)
    }
}
