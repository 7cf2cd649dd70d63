//! The descriptors of the connection.

use super::{aside, close, in_children, inherited};
use crate::server::Channel;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

impl Channel {
    /// Over one descriptor.
    pub fn new(descriptor: OwnedFd) -> io::Result<Channel> {
        let input = File::from(aside(descriptor));
        let output = File::from(aside(input.try_clone()?.into()));
        Ok(Channel { input, output })
    }

    /// Over what this process was started with: the number of a descriptor.
    pub fn inherited(name: &str) -> io::Result<Channel> {
        Channel::new(inherited(name.parse().map_err(io::Error::other)?)?)
    }

    /// Over standard input and standard output, which are nobody else's any more.
    pub fn standard() -> io::Result<Channel> {
        let channel = Channel { input: inherited(0)?.into(), output: inherited(1)?.into() };
        // What is opened next must not get their numbers.
        for _ in 0..2 {
            let nothing = File::options().read(true).write(true).open("/dev/null")?;
            _ = nothing.into_raw_fd();
        }
        Ok(channel)
    }
}

/// The descriptors of the connection, for processes that are forked; −1 where it is not this process's.
static DESCRIPTORS: [AtomicI32; 2] = [const { AtomicI32::new(-1) }; 2];

/// The connection is over these files. Processes that this one forks do not have it.
pub(in crate::server) fn connect(input: &File, output: &File) {
    DESCRIPTORS[0].store(input.as_raw_fd(), Ordering::Release);
    DESCRIPTORS[1].store(output.as_raw_fd(), Ordering::Release);
    in_children(leave);
}

/// Whether there is a connection, and it is this process's.
pub(in crate::server) fn is_connected() -> bool {
    DESCRIPTORS[1].load(Ordering::Acquire) >= 0
}

/// There is none any more.
pub(in crate::server) fn disconnect() {
    DESCRIPTORS.iter().for_each(|descriptor| descriptor.store(-1, Ordering::Release));
}

/// In a process that was forked: the connection stays its parent's, and ends with it.
extern "C" fn leave() {
    let mut last = -1;
    for descriptor in &DESCRIPTORS {
        let descriptor = descriptor.swap(-1, Ordering::AcqRel);
        if descriptor >= 0 && descriptor != last {
            close(descriptor);
            last = descriptor;
        }
    }
}
