//! The handles of the connection.

use crate::server::Channel;
use std::fs::File;
use std::io;
use std::os::windows::io::{FromRawHandle, RawHandle};
use std::sync::atomic::{AtomicBool, Ordering};
use windows_sys::Win32::Foundation::{HANDLE_FLAG_INHERIT, INVALID_HANDLE_VALUE, SetHandleInformation};
use windows_sys::Win32::System::Console::{GetStdHandle, STD_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE};

impl Channel {
    /// Over what this process was started with: the numbers of two handles, to read from and to write to, with a comma between.
    pub fn inherited(name: &str) -> io::Result<Channel> {
        let handle = |text: &str| match text.parse::<usize>() {
            Ok(number) => Ok(number as RawHandle),
            Err(error) => Err(io::Error::other(error)),
        };
        let (input, output) = name.split_once(',').ok_or_else(|| io::Error::other("two handles were to be named"))?;
        let (input, output) = (handle(input)?, handle(output)?);
        own(input)?;
        own(output)?;
        // SAFETY: both handles are open, as was seen above, and given to this process for this one use.
        unsafe { Ok(Channel { input: File::from_raw_handle(input), output: File::from_raw_handle(output) }) }
    }

    /// Over standard input and standard output, which are nobody else's any more.
    pub fn standard() -> io::Result<Channel> {
        let standard = |which: STD_HANDLE| {
            // SAFETY: asks for a handle of this process.
            let handle: RawHandle = unsafe { GetStdHandle(which) };
            if handle.is_null() || handle == INVALID_HANDLE_VALUE {
                return Err(io::Error::from(io::ErrorKind::NotConnected));
            }
            own(handle)?;
            Ok(handle)
        };
        let (input, output) = (standard(STD_INPUT_HANDLE)?, standard(STD_OUTPUT_HANDLE)?);
        // SAFETY: both handles are open. This process reads and writes nothing else through them, and ends with the connection.
        unsafe { Ok(Channel { input: File::from_raw_handle(input), output: File::from_raw_handle(output) }) }
    }
}

/// Keeps a handle out of processes that this one starts.
pub(super) fn own(handle: RawHandle) -> io::Result<()> {
    // SAFETY: asks about a number, which need not be a handle.
    match unsafe { SetHandleInformation(handle, HANDLE_FLAG_INHERIT, 0) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

static IS_CONNECTED: AtomicBool = AtomicBool::new(false);

/// The connection is over these files, which other processes do not have.
pub(in crate::server) fn connect(_input: &File, _output: &File) {
    IS_CONNECTED.store(true, Ordering::Release);
}

/// Whether there is a connection.
pub(in crate::server) fn is_connected() -> bool {
    IS_CONNECTED.load(Ordering::Acquire)
}

/// There is none any more.
pub(in crate::server) fn disconnect() {
    IS_CONNECTED.store(false, Ordering::Release);
}
