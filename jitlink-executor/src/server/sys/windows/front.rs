//! A second process, started by the one in front of it.

use super::channel::own;
use crate::DESCRIPTOR_VARIABLE;
use crate::server::supervise::{Front, Role};
use crate::wire::{End, Frame, Hello};
use std::fs::File;
use std::io::{self, Write};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle, RawHandle};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::{
    EXCEPTION_ACCESS_VIOLATION, EXCEPTION_FLT_DIVIDE_BY_ZERO, EXCEPTION_ILLEGAL_INSTRUCTION,
    EXCEPTION_INT_DIVIDE_BY_ZERO, EXCEPTION_PRIV_INSTRUCTION, EXCEPTION_STACK_OVERFLOW, NTSTATUS,
};
use windows_sys::Win32::Security::SECURITY_ATTRIBUTES;
use windows_sys::Win32::System::Pipes::{CreatePipe, PeekNamedPipe};
use windows_sys::Win32::System::Threading::{GetExitCodeProcess, INFINITE, TerminateProcess, WaitForSingleObject};

/// How long to wait before a stream is looked at again.
const BLINK: Duration = Duration::from_millis(1);

/// The process that runs linked code.
#[derive(Clone, Debug)]
pub(in crate::server) struct Process(Arc<OwnedHandle>);

impl Process {
    /// Ends it.
    pub(in crate::server) fn kill(&self) {
        // SAFETY: the handle is open; a process that has ended already stays as it is.
        unsafe { TerminateProcess(self.0.as_raw_handle(), 1) };
    }

    /// Waits for its end.
    pub(in crate::server) fn wait(&self) -> End {
        let mut status = 1;
        // SAFETY: the handle is open, and there is a place for the answer.
        unsafe {
            WaitForSingleObject(self.0.as_raw_handle(), INFINITE);
            GetExitCodeProcess(self.0.as_raw_handle(), &mut status);
        }
        signal_of(status as NTSTATUS).map_or(End::Exited(status as i32), |(signal, _)| End::Killed(signal))
    }
}

/// The signal that means the same as an exception, by its number on Linux, where the linking side is; and its name.
pub(super) fn signal_of(exception: NTSTATUS) -> Option<(i32, &'static str)> {
    match exception {
        EXCEPTION_ACCESS_VIOLATION => Some((11, "SIGSEGV (access violation)")),
        EXCEPTION_STACK_OVERFLOW => Some((11, "SIGSEGV (stack overflow)")),
        EXCEPTION_ILLEGAL_INSTRUCTION => Some((4, "SIGILL (illegal instruction)")),
        EXCEPTION_PRIV_INSTRUCTION => Some((4, "SIGILL (privileged instruction)")),
        EXCEPTION_INT_DIVIDE_BY_ZERO => Some((8, "SIGFPE (integer division by zero)")),
        EXCEPTION_FLT_DIVIDE_BY_ZERO => Some((8, "SIGFPE (division by zero)")),
        _ => None,
    }
}

/// Starts the second process, and makes everything between the two.
pub(in crate::server) fn split(keeps_errors: bool) -> io::Result<Role> {
    let (their_requests, mut to_worker) = pipe_to()?;
    let (from_worker, their_answers) = pipe_from()?;
    let (their_input, input) = pipe_to()?;
    let (output, their_output) = pipe_from()?;
    let mut streams = vec![(1, output)];
    let number = |file: &File| file.as_raw_handle() as usize;
    let mut command = Command::new(std::env::current_exe()?);
    command.env(DESCRIPTOR_VARIABLE, format!("{},{}", number(&their_requests), number(&their_answers)));
    command.stdin(their_input).stdout(their_output);
    if !keeps_errors {
        let (errors, their_errors) = pipe_from()?;
        command.stderr(their_errors);
        streams.push((2, errors));
    }
    let child = command.spawn()?;
    let process = Process(Arc::new(child.into()));
    // Who asks was greeted here; the other process knows this one alone.
    let hello = Frame::encode(1, &Hello::new(b"")).map_err(io::Error::other)?;
    to_worker.write_all(&hello)?;
    Ok(Role::Front(Front { process, to_worker, from_worker, input, streams }))
}

/// A pipe to the other process: the end that it inherits, and this process's own.
fn pipe_to() -> io::Result<(File, File)> {
    let (theirs, ours) = pipe()?;
    own(ours.as_raw_handle())?;
    Ok((theirs, ours))
}

/// A pipe from the other process: this process's own end, and the one that it inherits.
fn pipe_from() -> io::Result<(File, File)> {
    let (ours, theirs) = pipe()?;
    own(ours.as_raw_handle())?;
    Ok((ours, theirs))
}

/// A pipe whose ends go to processes that this one starts: the end to read from, and the one to write to.
fn pipe() -> io::Result<(File, File)> {
    let attributes = SECURITY_ATTRIBUTES {
        nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
        lpSecurityDescriptor: std::ptr::null_mut(),
        bInheritHandle: 1,
    };
    let (mut read, mut write): (RawHandle, RawHandle) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: there is room for both ends, which are nobody else's.
    unsafe {
        if CreatePipe(&mut read, &mut write, &attributes, 0) == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((File::from_raw_handle(read), File::from_raw_handle(write)))
    }
}

/// Waits until a pipe can be read, which it can too when its end has come, or for so many milliseconds; whether it can.
pub(in crate::server) fn is_readable(file: &File, milliseconds: i32) -> bool {
    let until = Instant::now() + Duration::from_millis(milliseconds.unsigned_abs().into());
    loop {
        let (mut there, nothing) = (0, std::ptr::null_mut());
        // SAFETY: takes nothing out of the pipe; there is a place for the one answer that is asked for.
        let is_open =
            unsafe { PeekNamedPipe(file.as_raw_handle(), nothing, 0, nothing.cast(), &mut there, nothing.cast()) };
        if is_open == 0 || there > 0 {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(BLINK);
    }
}
