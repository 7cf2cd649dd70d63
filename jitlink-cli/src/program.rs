//! What a process has when a program starts, and what running inside another program changes.
//!
//! A linked program runs where the Rust run-time library has already been, and expects a fresh process. Three things would differ:
//! writes to a closed pipe must end the program, not fail; the C library's messages (`error`, `warn`, `getopt`) must begin with the
//! program's name; and a signal that all of the program's threads block must wait, though there are threads that it does not know.

use std::ffi::{CStr, CString, c_char};
use std::mem::MaybeUninit;

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

/// Starts threads that get none of the process's signals.
pub(crate) fn without_signals<R>(start: impl FnOnce() -> R) -> R {
    let (mut all, mut before) = (MaybeUninit::<libc::sigset_t>::uninit(), MaybeUninit::<libc::sigset_t>::uninit());
    // SAFETY: the first call fills the one set that the second reads; the second fills the other.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    // New threads begin with the mask of the thread that starts them.
    let started = start();
    // SAFETY: the set was filled above; nothing is written.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    started
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
