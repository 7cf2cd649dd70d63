//! Crashes: an exception that nobody handles ends the process, and the linking side is told before that.

use super::front::signal_of;
use super::overflow;
use crate::server::output::{self, CrashRecord};
use std::sync::OnceLock;
use windows_sys::Win32::Foundation::NTSTATUS;
use windows_sys::Win32::System::Diagnostics::Debug::{
    CONTEXT, EXCEPTION_POINTERS, LPTOP_LEVEL_EXCEPTION_FILTER, SetUnhandledExceptionFilter,
};
use windows_sys::Win32::System::Diagnostics::Debug::{EXCEPTION_CONTINUE_EXECUTION, EXCEPTION_EXECUTE_HANDLER};
use windows_sys::Win32::System::Threading::SetThreadStackGuarantee;

/// What was asked before: the C library's, which raises its signals.
static BEFORE: OnceLock<LPTOP_LEVEL_EXCEPTION_FILTER> = OnceLock::new();

/// Has crashes told.
pub(in crate::server) fn report_crashes() {
    // SAFETY: the function has the type that is asked for, and is there for as long as the process.
    BEFORE.get_or_init(|| unsafe { SetUnhandledExceptionFilter(Some(unhandled)) });
    overflow::watch();
}

/// How much of a thread's stack is kept for what happens when the rest is used up.
const KEPT_STACK: u32 = 64 << 10;

/// Has the calling thread's crashes told, even if its stack is used up.
pub(in crate::server) fn catch_crashes() {
    let mut size = KEPT_STACK;
    // SAFETY: the size before is stored in the place of the new one. A stack that has no so much room has less for this.
    unsafe { SetThreadStackGuarantee(&mut size) };
}

unsafe extern "system" fn unhandled(pointers: *const EXCEPTION_POINTERS) -> i32 {
    // A program's own handler of the signal may go on.
    if let Some(Some(before)) = BEFORE.get()
        // SAFETY: it was this process's filter, and is given what the system gave.
        && unsafe { before(pointers) } == EXCEPTION_CONTINUE_EXECUTION
    {
        return EXCEPTION_CONTINUE_EXECUTION;
    }
    // SAFETY: the system gives both records, which live until the process ends.
    let (record, context) = unsafe { (&*(*pointers).ExceptionRecord, &*(*pointers).ContextRecord) };
    // Of an access the second parameter is its address ("EXCEPTION_RECORD structure").
    let address = match record.NumberParameters {
        2.. => record.ExceptionInformation[1] as u64,
        _ => record.ExceptionAddress as u64,
    };
    let instruction = record.ExceptionAddress as u64;
    let values = values(context);
    let mut registers = [("", 0); REGISTERS.len()];
    for ((register, name), value) in registers.iter_mut().zip(REGISTERS).zip(values) {
        *register = (name, value);
    }
    tell(record.ExceptionCode, address, instruction, &registers);
    EXCEPTION_EXECUTE_HANDLER
}

/// Tells a crash by an exception, if it is one that means a signal.
pub(super) fn tell(exception: NTSTATUS, address: u64, instruction: u64, registers: &[(&'static str, u64)]) {
    let Some((signal, name)) = signal_of(exception) else { return };
    output::crashed(&CrashRecord { signal, name, address, instruction: Some(instruction), return_to: None, registers });
}

/// The names of the registers that are told.
#[cfg(target_arch = "x86_64")]
pub(super) const REGISTERS: [&str; 17] = [
    "rip", "rsp", "rbp", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
];

/// Their values.
#[cfg(target_arch = "x86_64")]
pub(super) fn values(of: &CONTEXT) -> [u64; REGISTERS.len()] {
    [
        of.Rip, of.Rsp, of.Rbp, of.Rax, of.Rbx, of.Rcx, of.Rdx, of.Rsi, of.Rdi, of.R8, of.R9, of.R10, of.R11, of.R12,
        of.R13, of.R14, of.R15,
    ]
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) const REGISTERS: [&str; 0] = [];

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn values(_of: &CONTEXT) -> [u64; 0] {
    []
}
