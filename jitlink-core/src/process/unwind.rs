//! Unwind records of linked modules, registered with the unwinder that this process uses.
//!
//! `__register_frame` means two things: GCC's takes a whole `.eh_frame` with its terminator, LLVM's takes one FDE. LLVM's library also
//! has `__unw_add_dynamic_fde`; if that lies in the same library, the function is LLVM's. A process without an unwinder cannot throw,
//! so nothing is registered.

use super::symbols;
use crate::addr::{Addr, Endian};
use crate::graph::unwind::{Record, classify, record_size};
use std::ffi::{CString, c_void};
use std::sync::OnceLock;

type Register = unsafe extern "C" fn(*const c_void);

/// The unwinder's two functions, and what it takes.
#[derive(Clone, Copy)]
struct Unwinder {
    register: Register,
    deregister: Register,
    one_record: bool,
}

/// Registered records. Dropping it deregisters them.
pub(super) struct Registration {
    unwinder: Unwinder,
    /// Addresses that were registered.
    starts: Vec<u64>,
}

/// Registers a `.eh_frame`; `None` if nothing can use it.
///
/// # Safety
/// The memory is a well-formed `.eh_frame` with its terminator, and stays so until the registration is dropped.
pub(super) unsafe fn register(address: Addr, size: u64) -> Option<Registration> {
    let unwinder = unwinder()?;
    let starts = if unwinder.one_record {
        // SAFETY: the caller promises that the memory is there, and unwind records are only read.
        let bytes = unsafe { std::slice::from_raw_parts(address.0 as *const u8, size as usize) };
        functions(bytes).map(|offset| address.0 + offset as u64).collect()
    } else {
        vec![address.0]
    };
    for start in &starts {
        // SAFETY: the unwinder gets what it takes: see `Unwinder::one_record`.
        unsafe { (unwinder.register)(*start as *const c_void) };
    }
    Some(Registration { unwinder, starts })
}

impl Drop for Registration {
    fn drop(&mut self) {
        for start in self.starts.iter().rev() {
            // SAFETY: this address was registered, and is deregistered once.
            unsafe { (self.unwinder.deregister)(*start as *const c_void) };
        }
    }
}

/// The addresses of functions of the unwinder, if it has all of them.
pub(super) fn functions_named(names: &[&[u8]]) -> Option<Vec<Addr>> {
    unwinder()?;
    names.iter().map(|name| CString::new(*name).ok().and_then(|name| symbols::find(&name))).collect()
}

/// Offsets of the FDEs in a `.eh_frame`.
fn functions(bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let endian = if cfg!(target_endian = "little") { Endian::Little } else { Endian::Big };
    let mut at = 0;
    let records = std::iter::from_fn(move || {
        let rest = bytes.get(at..)?;
        let size = record_size(rest, endian)?;
        let record = classify(rest, endian)?;
        let start = at;
        at += size;
        (record != Record::Terminator).then_some((start, record))
    });
    records.filter(|(_, record)| matches!(record, Record::Fde { .. })).map(|(start, _)| start)
}

fn unwinder() -> Option<Unwinder> {
    static FOUND: OnceLock<Option<Unwinder>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let found = find().or_else(|| {
            // A C++ program that is linked later brings its unwinder along as a library; GCC's serves them all.
            // SAFETY: loading GCC's runtime runs no code but its own start-up.
            unsafe { libc::dlopen(c"libgcc_s.so.1".as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
            find()
        });
        if found.is_none() {
            tracing::debug!("this process has no unwinder: unwind records of linked modules are not registered");
        }
        found
    })
}

fn find() -> Option<Unwinder> {
    let register = symbols::find(c"__register_frame")?;
    let deregister = symbols::find(c"__deregister_frame")?;
    let llvm = symbols::find(c"__unw_add_dynamic_fde");
    let one_record = llvm.is_some_and(|llvm| library_of(llvm) == library_of(register));
    // SAFETY: functions of these names have this type in both libraries.
    let function = |address: Addr| unsafe { std::mem::transmute::<usize, Register>(address.0 as usize) };
    Some(Unwinder { register: function(register), deregister: function(deregister), one_record })
}

/// Where the library that holds an address is loaded.
fn library_of(address: Addr) -> Option<u64> {
    // SAFETY: an all-zero description is valid, and dladdr fills it or fails.
    unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        (libc::dladdr(address.0 as *const c_void, &mut info) != 0).then_some(info.dli_fbase as u64)
    }
}
