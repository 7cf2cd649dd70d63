//! An image whose linker of functions on their first call is somewhere, so that what has such functions is linked, and nothing runs.

use jitlink_core::executor::{ExecutorError, MemoryRequest, PointerArray, Reservation};
use jitlink_core::image::ImageExecutor;
use jitlink_core::{Addr, Executor};
use std::ffi::CString;

/// Where that linker pretends to be.
pub const LINKER: Addr = Addr(0x6660_0000);

/// Links as the image does.
pub struct Host(pub ImageExecutor);

#[allow(unsafe_code, reason = "the trait declares running as unsafe; nothing here runs")]
impl Executor for Host {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn page_size(&self) -> u64 {
        self.0.page_size()
    }

    fn reserve(&self, request: &MemoryRequest) -> Result<Box<dyn Reservation>, ExecutorError> {
        self.0.reserve(request)
    }

    fn lookup(&self, names: &[&[u8]]) -> Result<Vec<Option<Addr>>, ExecutorError> {
        self.0.lookup(names)
    }

    fn lazy_linker(&self) -> Result<Addr, ExecutorError> {
        Ok(LINKER)
    }

    unsafe fn run_arrays(&self, arrays: &[PointerArray]) -> Result<(), ExecutorError> {
        // SAFETY: as the caller promises.
        unsafe { self.0.run_arrays(arrays) }
    }

    unsafe fn run_main(&self, entry: Addr, arguments: &[CString]) -> Result<i32, ExecutorError> {
        // SAFETY: as the caller promises.
        unsafe { self.0.run_main(entry, arguments) }
    }
}
