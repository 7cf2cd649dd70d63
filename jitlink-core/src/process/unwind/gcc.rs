//! GCC's unwinder (`libgcc_s`, or `libgcc_eh` in the program): takes a whole `.eh_frame` with its terminator.

use super::records::Records;
use super::registry::{Known, Unwinder};
use std::ffi::c_void;

/// `__register_frame` or `__deregister_frame`.
pub(super) type Register = unsafe extern "C" fn(*const c_void);

pub(super) struct Gcc {
    pub(super) register: Register,
    pub(super) deregister: Register,
}

struct Section {
    address: u64,
    deregister: Register,
}

impl Unwinder for Gcc {
    fn identity(&self) -> usize {
        self.register as usize
    }

    unsafe fn tell(&self, records: &Records) -> Option<Box<dyn Known>> {
        let address = records.address().0;
        // SAFETY: a `.eh_frame` as the caller describes it is what the function takes.
        unsafe { (self.register)(address as *const c_void) };
        Some(Box::new(Section { address, deregister: self.deregister }))
    }
}

impl Known for Section {}

impl Drop for Section {
    fn drop(&mut self) {
        // SAFETY: this address was registered, and is deregistered once.
        unsafe { (self.deregister)(self.address as *const c_void) };
    }
}
