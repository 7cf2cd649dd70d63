//! What of Windows the program for the target uses.
//!
//! | part | concern |
//! | --- | --- |
//! | `channel` | the handles of the connection |
//! | `front` | the second process in front of a program |
//! | `crash` | what is told of a crash |
//! | `host` | the executor of this process |
//! | `arena` | address space, and what of it is free |
//! | `allocation` | a batch's memory from its reservation to its end |
//! | `functions` | tables by which the system unwinds |
//! | `thread_locals` | variables of threads, in a reserve of this program's own |
//! | `guard` | calls that stop the search for who catches an exception |
//! | `overflow` | threads whose stack is used up |
//! | `threads` | functions that are called when threads start and end |
//! | `names` | look-up in DLLs, and DLLs by name |
//! | `command_line` | what the system is asked for a program's arguments |
//! | `arguments`, `exit` | what a program is started with, and what runs at its end |

mod allocation;
mod arena;
mod arguments;
mod channel;
mod command_line;
mod crash;
mod exit;
mod front;
mod functions;
mod guard;
mod host;
mod names;
mod overflow;
mod thread_locals;
mod threads;

pub(in crate::server) use channel::{connect, disconnect, is_connected};
pub(in crate::server) use crash::{catch_crashes, report_crashes};
pub(in crate::server) use front::{Process, is_readable, split};
pub(in crate::server) use host::Host;
pub(in crate::server) use names::import;
pub(in crate::server) use overflow::when_this_thread_ends;

use jitlink_core::executor::ExecutorError;
use std::collections::hash_map::RandomState;
use std::ffi::{CStr, CString, c_char, c_int};
use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, TerminateProcess};

/// The calling convention of the system's functions, as tables of relocations name it ("x64 calling convention").
pub(in crate::server) const CONVENTION: &str = if cfg!(target_arch = "x86_64") { "win64" } else { "" };

unsafe extern "C" {
    fn exit(status: c_int) -> !;
    fn _putenv(variable: *const c_char) -> c_int;
}

/// The executor of this process.
pub(in crate::server) fn host() -> Result<Host, ExecutorError> {
    Ok(Host::default())
}

/// Ends the process at once.
pub(in crate::server) fn end_now(status: c_int) -> ! {
    // SAFETY: ends this process; nothing of it runs any more.
    unsafe { TerminateProcess(GetCurrentProcess(), status as u32) };
    std::process::abort()
}

/// Ends the process as a return from `main` does: what was registered to run at its end runs, and streams are flushed.
pub(in crate::server) fn end(status: c_int) -> ! {
    // SAFETY: the C library is the one that linked code uses; its functions to run at the end are sound to run now.
    unsafe { exit(status) }
}

/// Runs `start`: no signal goes to a thread that did not cause it here.
pub(in crate::server) fn without_signals<R>(start: impl FnOnce() -> R) -> R {
    start()
}

/// Threads have signals from their start here.
pub(in crate::server) fn take_signals() {}

/// A write to a closed pipe is an error here, for every program.
pub(in crate::server) fn end_by_closed_pipes() {}

/// The C library has no messages of its own that begin with the program's name.
pub(in crate::server) fn set_program_name(_name: &CStr) {}

/// Sets a variable of the environment, the system's and the C library's.
///
/// # Safety
/// No other thread uses the environment.
pub(in crate::server) unsafe fn set_variable(name: &CStr, value: &CStr) {
    let text = [name.to_bytes(), b"=", value.to_bytes()].concat();
    // Both came from C strings, so there is no zero byte in them.
    let Ok(text) = CString::new(text) else { return };
    // SAFETY: the C library copies the string; the caller promises the rest.
    unsafe { _putenv(text.as_ptr()) };
}

/// Random bytes.
pub(in crate::server) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A path out of its bytes.
pub(in crate::server) fn path(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}
