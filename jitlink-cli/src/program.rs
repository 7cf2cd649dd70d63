//! What a process has when a program starts, and what running inside another program changes.
//!
//! A linked program runs where the Rust run-time library has already been, and expects a fresh process. Two things would differ:
//! writes to a closed pipe must end the program, not fail; and the C library's messages (`error`, `warn`, `getopt`) must begin
//! with the program's name.

use std::ffi::{CStr, CString, c_char};

/// Makes this process look as it does to a program called `name` that has just started.
pub(crate) fn prepare(name: &CStr) {
    // SAFETY: sets the default action, which has no code.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    // The C library keeps pointers to the name for as long as the process lives.
    let name = CString::from(name).into_raw();
    // SAFETY: the string ends in a zero byte, and an offset up to its length stays in it.
    let short = unsafe {
        let slash = libc::strrchr(name, i32::from(b'/'));
        if slash.is_null() { name } else { slash.add(1) }
    };
    set(c"program_invocation_name", name);
    set(c"program_invocation_short_name", short);
}

/// Sets a pointer variable of the C library, where it has one of that name.
fn set(variable: &CStr, value: *mut c_char) {
    // SAFETY: the two variables that this is called for are of this type, and nothing else runs yet that reads them.
    unsafe {
        let place = libc::dlsym(libc::RTLD_DEFAULT, variable.as_ptr()).cast::<*mut c_char>();
        if !place.is_null() {
            place.write(value);
        }
    }
}
