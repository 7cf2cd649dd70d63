//! Calls of linked code that stop the search for who catches an exception.
//!
//! Behind linked code are frames of this program, in which its own language would catch what C++ throws, and end the process for it.
//! In a program of its own nobody would: then the run-time library finds out that nothing catches it, and calls `terminate`.
//! It does when the exception that it has raised is continued, as start-up code has it ("unwind-seh.c" of libgcc, `STATUS_GCC_THROW`).

use std::ffi::{c_char, c_int};

/// A `main`, or an initialiser.
pub(super) type Function = unsafe extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char) -> c_int;

#[cfg(target_arch = "x86_64")]
mod frame {
    use super::Function;
    use std::ffi::{c_char, c_int, c_void};
    use windows_sys::Win32::System::Diagnostics::Debug::EXCEPTION_RECORD;

    /// What GCC's run-time library raises to throw; the language is in the exception.
    const THROW: i32 = 0x2047_4343;

    /// `EXCEPTION_NONCONTINUABLE`, and that frames are being left: `EXCEPTION_UNWINDING`, `EXCEPTION_EXIT_UNWIND`.
    const NOT_HERE: u32 = 0x1 | 0x2 | 0x4;

    // "x64 exception handling": the frame is one of 40 bytes, which is room for four arguments and keeps the stack at a multiple of 16.
    std::arch::global_asm!(
        ".text",
        ".globl jitlink_guarded_call",
        ".def jitlink_guarded_call; .scl 2; .type 32; .endef",
        ".seh_proc jitlink_guarded_call",
        "jitlink_guarded_call:",
        "sub rsp, 40",
        ".seh_stackalloc 40",
        ".seh_handler {handler}, @except",
        ".seh_endprologue",
        "mov rax, rcx",
        "mov ecx, edx",
        "mov rdx, r8",
        "mov r8, r9",
        "call rax",
        "nop",
        "add rsp, 40",
        "ret",
        ".seh_endproc",
        handler = sym handler,
    );

    unsafe extern "C" {
        /// Calls a function with these arguments from a frame whose handler is below.
        pub(super) fn jitlink_guarded_call(
            function: Function,
            count: c_int,
            arguments: *mut *mut c_char,
            environment: *mut *mut c_char,
        ) -> c_int;
    }

    /// The frame's handler ("EXCEPTION_DISPOSITION"): continues (0) what was thrown and not caught so far; of all else the search goes
    /// on (1).
    unsafe extern "C" fn handler(
        record: *const EXCEPTION_RECORD,
        _frame: *const c_void,
        _context: *mut c_void,
        _dispatcher: *mut c_void,
    ) -> c_int {
        // SAFETY: the system gives the record of the exception.
        let record = unsafe { &*record };
        c_int::from(record.ExceptionCode != THROW || record.ExceptionFlags & NOT_HERE != 0)
    }
}

/// Calls a function; what it throws and does not catch ends the process by `terminate`.
///
/// # Safety
/// The function is sound to call with these arguments.
pub(super) unsafe fn call(
    function: Function,
    count: c_int,
    arguments: *mut *mut c_char,
    environment: *mut *mut c_char,
) -> c_int {
    // SAFETY: the caller vouches for the function; the frame between has the layout that its unwind data says.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        frame::jitlink_guarded_call(function, count, arguments, environment)
    }
    // SAFETY: the caller vouches for the function.
    #[cfg(not(target_arch = "x86_64"))]
    unsafe {
        function(count, arguments, environment)
    }
}
