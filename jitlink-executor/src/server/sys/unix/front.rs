//! A second process, in front of the one that runs linked code.

use super::{Forked, fork, pipe, put};
use crate::server::Channel;
use crate::server::supervise::{Front, Role};
use crate::wire::End;
use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// The process that runs linked code.
#[derive(Clone, Debug)]
pub(in crate::server) struct Process(libc::pid_t);

impl Process {
    /// Ends it.
    pub(in crate::server) fn kill(&self) {
        // SAFETY: sends a signal to a child that was not waited for.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }

    /// Waits for its end.
    pub(in crate::server) fn wait(&self) -> End {
        let status = wait(self.0);
        match libc::WIFSIGNALED(status) {
            true => End::Killed(libc::WTERMSIG(status)),
            false => End::Exited(libc::WEXITSTATUS(status)),
        }
    }
}

/// Makes the second process, and everything between the two.
pub(in crate::server) fn split(keeps_errors: bool) -> io::Result<Role> {
    let (ours, theirs) = UnixStream::pair()?;
    let (input, output, errors) = (pipe()?, pipe()?, pipe()?);
    // SAFETY: no thread was started in this process: it was itself forked, or has only read its arguments.
    match unsafe { fork() }? {
        Forked::Child => {
            put(input.0, 0)?;
            put(output.1, 1)?;
            if !keeps_errors {
                put(errors.1, 2)?;
            }
            Ok(Role::Worker(Channel::new(theirs.into())?))
        }
        Forked::Parent(process) => {
            let mut streams = vec![(1, output.0.into())];
            if !keeps_errors {
                streams.push((2, errors.0.into()));
            }
            let to_worker = OwnedFd::from(ours.try_clone()?).into();
            let (process, from_worker) = (Process(process), OwnedFd::from(ours).into());
            Ok(Role::Front(Front { process, to_worker, from_worker, input: input.1.into(), streams }))
        }
    }
}

/// Waits for the end of a child; its wait status.
fn wait(process: libc::pid_t) -> c_int {
    let mut status = 0;
    // SAFETY: `status` is a place for the answer.
    while unsafe { libc::waitpid(process, &mut status, 0) } < 0 {
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return libc::W_EXITCODE(1, 0);
        }
    }
    status
}

/// Waits until a file can be read, or for so many milliseconds; whether it can.
pub(in crate::server) fn is_readable(file: &File, milliseconds: c_int) -> bool {
    let mut poll = libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one description is given, and counted.
    unsafe { libc::poll(&mut poll, 1, milliseconds) > 0 }
}
