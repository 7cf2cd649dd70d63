//! Tables by which the system finds how to unwind a function ("x64 exception handling", "struct RUNTIME_FUNCTION").
//!
//! Tables that can grow are those that debuggers and profilers see too; systems before Windows 8 have the others only.

use super::names;
use jitlink_core::executor::ExecutorError;
use jitlink_core::{Addr, AddrRange};
use std::ffi::c_void;
use windows_sys::Win32::System::Diagnostics::Debug::{
    IMAGE_RUNTIME_FUNCTION_ENTRY, RtlAddFunctionTable, RtlDeleteFunctionTable,
};

/// `RtlAddGrowableFunctionTable`: where the handle goes, the table, how many records it has and may have, and what it is for.
type Add = unsafe extern "system" fn(*mut *mut c_void, *const c_void, u32, u32, usize, usize) -> i32;

/// `RtlDeleteGrowableFunctionTable`, of a handle.
type Delete = unsafe extern "system" fn(*mut c_void);

/// A table that the system knows.
#[derive(Debug)]
pub(super) enum FunctionTable {
    /// By its address.
    Fixed(u64),
    /// By its handle, and the function that takes it back.
    Growable(u64, Delete),
}

impl FunctionTable {
    /// Has the system know a table of so many records, sorted by where their functions start, which count from the start of `image`.
    pub(super) fn register(
        address: Addr,
        (count, record): (u64, u64),
        image: AddrRange,
    ) -> Result<FunctionTable, ExecutorError> {
        let failed = || {
            ExecutorError::new(format!("the system takes no table of {count} records of {record} bytes at {address}"))
        };
        if record != size_of::<IMAGE_RUNTIME_FUNCTION_ENTRY>() as u64 {
            return Err(failed());
        }
        let entries = u32::try_from(count).map_err(|_| failed())?;
        if let Some((add, delete)) = growable() {
            let mut handle = std::ptr::null_mut();
            let (start, end) = (image.start.0 as usize, image.last.0 as usize + 1);
            // SAFETY: the caller's batch holds the table, which changes no more and stays until it is taken back.
            let status = unsafe { add(&mut handle, address.0 as *const _, entries, entries, start, end) };
            return if status >= 0 { Ok(FunctionTable::Growable(handle as u64, delete)) } else { Err(failed()) };
        }
        let table = address.0 as *const IMAGE_RUNTIME_FUNCTION_ENTRY;
        // SAFETY: as above.
        match unsafe { RtlAddFunctionTable(table, entries, image.start.0) } {
            true => Ok(FunctionTable::Fixed(address.0)),
            false => Err(failed()),
        }
    }
}

/// The system's functions for tables that can grow, if it has them.
fn growable() -> Option<(Add, Delete)> {
    let [add, delete] = [c"RtlAddGrowableFunctionTable", c"RtlDeleteGrowableFunctionTable"].map(names::in_system);
    let (add, delete) = (add?.0 as usize, delete?.0 as usize);
    // SAFETY: functions of these names are of these types wherever they are.
    unsafe { Some((std::mem::transmute::<usize, Add>(add), std::mem::transmute::<usize, Delete>(delete))) }
}

impl Drop for FunctionTable {
    fn drop(&mut self) {
        // SAFETY: the system was given this table, and no code of the batch runs any more.
        unsafe {
            match *self {
                FunctionTable::Fixed(table) => {
                    RtlDeleteFunctionTable(table as *const IMAGE_RUNTIME_FUNCTION_ENTRY);
                }
                FunctionTable::Growable(handle, delete) => delete(handle as *mut c_void),
            }
        }
    }
}
