//! Whole links; see [`jitlink_fuzz::link`].
#![no_main]

use std::ffi::{CStr, c_char};

/// What is no leak: the last steps of a thread that has done its work, which nobody can wait for.
const NO_LEAKS: &CStr = c"leak:__cxa_thread_atexit_impl\n";

// SAFETY: the leak checker asks for a function of this name and type, and nothing else defines one.
#[unsafe(no_mangle)]
extern "C" fn __lsan_default_suppressions() -> *const c_char {
    NO_LEAKS.as_ptr()
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jitlink_fuzz::link::run(bytes));
