//! Memory of a process on the same machine.
//!
//! Linked bytes can be written straight to the process that is to have them, where the system lets this one (it started the other, or
//! both are of one user). The process shows where, in memory that is not the program's yet. That it means *this* process by its number is
//! found out, and not assumed: there may be a second machine between the two, or another view of the processes.

use crate::wire::Welcome;
use std::io;

/// Whether the memory of the process that answered can be reached: the bytes are there that it named.
pub(super) fn is_reachable(welcome: &Welcome) -> bool {
    let (place, value) = welcome.probe;
    let mut bytes = [0; 8];
    let Ok(process) = libc::pid_t::try_from(welcome.process) else { return false };
    let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let Ok(place) = usize::try_from(place) else { return false };
    let remote = libc::iovec { iov_base: place as *mut _, iov_len: bytes.len() };
    // SAFETY: copies as many bytes as there is room for, or fails; the other process's memory is only read.
    let count = unsafe { libc::process_vm_readv(process, &local, 1, &remote, 1, 0) };
    count == bytes.len() as isize && u64::from_le_bytes(bytes) == value
}

/// Writes bytes to the memory of a process that [`is_reachable`] has found.
pub(super) fn write(process: u32, place: u64, bytes: &[u8]) -> io::Result<()> {
    let process = libc::pid_t::try_from(process).map_err(io::Error::other)?;
    let mut done = 0;
    while done < bytes.len() {
        let rest = &bytes[done..];
        let place = usize::try_from(place).map_err(io::Error::other)?.wrapping_add(done);
        let local = libc::iovec { iov_base: rest.as_ptr().cast_mut().cast(), iov_len: rest.len() };
        let remote = libc::iovec { iov_base: place as *mut _, iov_len: rest.len() };
        // SAFETY: the local bytes are only read. What is written is memory of another process, which has offered it.
        let count = unsafe { libc::process_vm_writev(process, &local, 1, &remote, 1, 0) };
        match usize::try_from(count) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => done += count,
            Err(_) => return Err(io::Error::last_os_error()),
        }
    }
    Ok(())
}
