//! Tables by which the system finds how to unwind a function ("x64 exception handling", "struct RUNTIME_FUNCTION").

use jitlink_core::Addr;
use jitlink_core::executor::ExecutorError;
use windows_sys::Win32::System::Diagnostics::Debug::{
    IMAGE_RUNTIME_FUNCTION_ENTRY, RtlAddFunctionTable, RtlDeleteFunctionTable,
};

/// A table that the system knows.
#[derive(Debug)]
pub(super) struct FunctionTable(u64);

impl FunctionTable {
    /// Has the system know a table of so many records, sorted by where their functions start, which count from `image`.
    pub(super) fn register(
        address: Addr,
        (count, record): (u64, u64),
        image: Addr,
    ) -> Result<FunctionTable, ExecutorError> {
        let failed = || {
            ExecutorError::new(format!("the system takes no table of {count} records of {record} bytes at {address}"))
        };
        if record != size_of::<IMAGE_RUNTIME_FUNCTION_ENTRY>() as u64 {
            return Err(failed());
        }
        let entries = u32::try_from(count).map_err(|_| failed())?;
        // SAFETY: the caller's batch holds the table, which changes no more and stays until it is taken back.
        match unsafe { RtlAddFunctionTable(address.0 as *const IMAGE_RUNTIME_FUNCTION_ENTRY, entries, image.0) } {
            true => Ok(FunctionTable(address.0)),
            false => Err(failed()),
        }
    }
}

impl Drop for FunctionTable {
    fn drop(&mut self) {
        // SAFETY: the system was given this table, and no code of the batch runs any more.
        unsafe { RtlDeleteFunctionTable(self.0 as *const IMAGE_RUNTIME_FUNCTION_ENTRY) };
    }
}
