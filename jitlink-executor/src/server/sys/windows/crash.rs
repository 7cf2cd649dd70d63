//! Crashes: an exception that nobody handles ends the process, and the linking side is told before that.

use super::front::signal_of;
use crate::server::output::{self, CrashRecord};
use std::sync::OnceLock;
use windows_sys::Win32::System::Diagnostics::Debug::{
    CONTEXT, EXCEPTION_POINTERS, LPTOP_LEVEL_EXCEPTION_FILTER, SetUnhandledExceptionFilter,
};
use windows_sys::Win32::System::Diagnostics::Debug::{EXCEPTION_CONTINUE_EXECUTION, EXCEPTION_EXECUTE_HANDLER};

/// What was asked before: the C library's, which raises its signals.
static BEFORE: OnceLock<LPTOP_LEVEL_EXCEPTION_FILTER> = OnceLock::new();

/// Has crashes told.
pub(in crate::server) fn report_crashes() {
    // SAFETY: the function has the type that is asked for, and is there for as long as the process.
    BEFORE.get_or_init(|| unsafe { SetUnhandledExceptionFilter(Some(unhandled)) });
}

/// Crashes of all threads are caught once they are told.
pub(in crate::server) fn catch_crashes() {}

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
    let Some((signal, name)) = signal_of(record.ExceptionCode) else { return EXCEPTION_EXECUTE_HANDLER };
    // Of an access the second parameter is its address ("EXCEPTION_RECORD structure").
    let address = match record.NumberParameters {
        2.. => record.ExceptionInformation[1] as u64,
        _ => record.ExceptionAddress as u64,
    };
    let instruction = record.ExceptionAddress as u64;
    let registers = registers(context);
    output::crashed(&CrashRecord {
        signal,
        name,
        address,
        instruction: Some(instruction),
        return_to: None,
        registers: &registers,
    });
    EXCEPTION_EXECUTE_HANDLER
}

#[cfg(target_arch = "x86_64")]
fn registers(context: &CONTEXT) -> [(&'static str, u64); 17] {
    [
        ("rip", context.Rip),
        ("rsp", context.Rsp),
        ("rbp", context.Rbp),
        ("rax", context.Rax),
        ("rbx", context.Rbx),
        ("rcx", context.Rcx),
        ("rdx", context.Rdx),
        ("rsi", context.Rsi),
        ("rdi", context.Rdi),
        ("r8", context.R8),
        ("r9", context.R9),
        ("r10", context.R10),
        ("r11", context.R11),
        ("r12", context.R12),
        ("r13", context.R13),
        ("r14", context.R14),
        ("r15", context.R15),
    ]
}

#[cfg(not(target_arch = "x86_64"))]
fn registers(_context: &CONTEXT) -> [(&'static str, u64); 0] {
    []
}
