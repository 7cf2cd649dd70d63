//! What of a Unix system the program for the target uses.
//!
//! | part | concern |
//! | --- | --- |
//! | `channel` | descriptors of the connection, in this process and in those that it forks |
//! | `front` | the second process in front of a program |
//! | `crash` | what is told of a crash |
//! | `listen` | connections that come from outside |

mod channel;
mod crash;
mod front;
mod listen;

pub(in crate::server) use channel::{connect, disconnect, is_connected};
pub(in crate::server) use crash::{catch_crashes, report_crashes};
pub(in crate::server) use front::{Process, is_readable, split};
pub use listen::{Listener, listen};

use crate::wire::ImportsRecord;
use jitlink_core::Addr;
use jitlink_core::executor::ExecutorError;
use jitlink_core::process::ProcessExecutor;
use std::ffi::{CStr, c_int};
use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The executor of this process.
pub(in crate::server) type Host = ProcessExecutor;

/// The calling convention of the system's functions, as tables of relocations name it.
pub(in crate::server) const CONVENTION: &str = "";

/// How much each thread of the process has for thread-local variables of linked code.
const ROOM: usize = 64 << 10;

/// An executor that puts thread-local variables where code finds them that was compiled for an executable.
pub(in crate::server) fn host() -> Result<Host, ExecutorError> {
    let executor = ProcessExecutor::new()?;
    // SAFETY: this is the variable's only use, as a process serves one connection. The caller's thread is the main one, which runs
    // linked code and lives to the end of the process; the thread that answers runs none.
    let with_room = unsafe { executor.clone().thread_locals_in(jitlink_core::thread_local_room!(ROOM)) };
    // Without room the loader holds them.
    Ok(with_room.unwrap_or(executor))
}

/// Where imports are: here a name is looked for in all libraries, as the system does, so that none are known by their files.
///
/// # Safety
/// None is needed here; on other systems libraries are loaded.
#[allow(clippy::unnecessary_wraps, reason = "other systems may fail")]
pub(in crate::server) unsafe fn import(_imports: &ImportsRecord) -> Result<Option<Vec<Option<Addr>>>, ExecutorError> {
    Ok(None)
}

/// A thread that crashes takes the process with it here.
pub(in crate::server) fn when_this_thread_ends(_then: impl FnOnce() + Send + 'static) {}

/// Random bytes; zero where the system has none.
pub(in crate::server) fn random() -> u64 {
    let mut value = [0; 8];
    // Who compares with zero finds no difference, and no more.
    let _ = File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut value));
    u64::from_ne_bytes(value)
}

/// A path out of its bytes.
pub(in crate::server) fn path(bytes: Vec<u8>) -> PathBuf {
    std::ffi::OsString::from_vec(bytes).into()
}

/// Ends the process at once, as `_exit` does.
pub(in crate::server) fn end_now(status: c_int) -> ! {
    // SAFETY: ends the process; nothing of it runs any more.
    unsafe { libc::_exit(status) }
}

/// Ends the process as a return from `main` does: what was registered to run at its end runs.
pub(in crate::server) fn end(status: c_int) -> ! {
    std::process::exit(status)
}

/// Runs `start` with all signals blocked, so that the threads that it starts get none of the program's.
pub(in crate::server) fn without_signals<R>(start: impl FnOnce() -> R) -> R {
    let (mut all, mut before) = (MaybeUninit::<libc::sigset_t>::uninit(), MaybeUninit::<libc::sigset_t>::uninit());
    // SAFETY: the first call fills the set that the second reads; the second fills the other.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let started = start();
    // SAFETY: the set was filled above; nothing is written.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    started
}

/// Lets this thread have signals again, which it was started without.
pub(in crate::server) fn take_signals() {
    let mut none = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the first call fills the set that the second reads.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
    }
}

/// What programs expect, and Rust's run-time library changes: a write to a closed pipe ends them.
pub(in crate::server) fn end_by_closed_pipes() {
    // SAFETY: sets the default action, which has no code.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Makes the C library's messages begin with this name.
pub(in crate::server) fn set_program_name(name: &CStr) {
    // The C library keeps pointers to the name for as long as the process lives.
    let name = std::ffi::CString::from(name).into_raw();
    // SAFETY: the string ends in a zero byte, so that the last slash and what follows it are in it. The two variables are the C
    // library's, of this type, and no linked code runs yet that reads them.
    unsafe {
        let slash = libc::strrchr(name, i32::from(b'/'));
        let short = if slash.is_null() { name } else { slash.add(1) };
        for (variable, value) in [(c"program_invocation_name", name), (c"program_invocation_short_name", short)] {
            let place = libc::dlsym(libc::RTLD_DEFAULT, variable.as_ptr()).cast::<*mut std::ffi::c_char>();
            if !place.is_null() {
                place.write(value);
            }
        }
    }
}

/// Sets a variable of the environment.
///
/// # Safety
/// No other thread uses the environment.
pub(in crate::server) unsafe fn set_variable(name: &CStr, value: &CStr) {
    // SAFETY: both are C strings, which are copied; the caller promises the rest.
    unsafe { libc::setenv(name.as_ptr(), value.as_ptr(), 1) };
}

/// A descriptor that was inherited under this number, for this process alone.
pub(super) fn inherited(descriptor: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: asks about a number, which need not be a descriptor.
    if unsafe { libc::fcntl(descriptor, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open, and given to this process for this one use.
    Ok(aside(unsafe { OwnedFd::from_raw_fd(descriptor) }))
}

/// The file under a high number, if there is one: programs expect the low ones to be free. Closed in programs that this one starts.
pub(super) fn aside(file: OwnedFd) -> OwnedFd {
    const HIGH: c_int = 1024 - 32;
    // SAFETY: makes a second descriptor, or fails.
    let descriptor = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, HIGH) };
    // SAFETY: the descriptor is new and nobody else's.
    if descriptor < 0 { file } else { unsafe { OwnedFd::from_raw_fd(descriptor) } }
}

/// Runs `make`, which makes files that no other user can open.
pub(super) fn for_this_user_alone<R>(make: impl FnOnce() -> R) -> R {
    // SAFETY: changes a number of this process.
    let before = unsafe { libc::umask(0o177) };
    let made = make();
    // SAFETY: as above.
    unsafe { libc::umask(before) };
    made
}

/// Makes `file` the descriptor of this number.
pub(super) fn put(file: OwnedFd, number: RawFd) -> io::Result<()> {
    // SAFETY: both are numbers of descriptors; the one that is replaced is nobody's object.
    match unsafe { libc::dup2(file.as_raw_fd(), number) } {
        result if result < 0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Has a function run in processes that this one forks, as soon as they are there.
pub(super) fn in_children(run: unsafe extern "C" fn()) {
    // SAFETY: the function takes nothing and is there for as long as the process.
    unsafe { libc::pthread_atfork(None, None, Some(run)) };
}

/// Closes a descriptor in a process that has just been forked.
pub(super) fn close(descriptor: RawFd) {
    // SAFETY: the forked process does not use its copy.
    unsafe { libc::close(descriptor) };
}

/// Which of two processes this is after a fork.
pub(super) enum Forked {
    /// The new one.
    Child,
    /// The one that forked, with the other's number.
    Parent(libc::pid_t),
}

/// Makes a second process of this one.
///
/// # Safety
/// The process has no other thread.
pub(super) unsafe fn fork() -> io::Result<Forked> {
    // SAFETY: without other threads no lock is held that the child could wait for.
    match unsafe { libc::fork() } {
        0 => Ok(Forked::Child),
        process if process > 0 => Ok(Forked::Parent(process)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Forgets children that have ended; how many.
pub(super) fn reap() -> usize {
    let mut ended = 0;
    // SAFETY: asks for the end of any child, without a place for its status.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {
        ended += 1;
    }
    ended
}

/// A pipe: the end to read from, and the one to write to.
pub(super) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: there is room for both ends, which are nobody else's.
    unsafe {
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}
