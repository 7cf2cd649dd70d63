//! Memory of a process on the same machine.
//!
//! Linked bytes can be written straight to the process that is to have them. It shows where, in memory that is not the program's yet.
//! That it means *itself* by the number of its process is found out, and not assumed: there may be a second machine between the two, or
//! another view of the processes.
//!
//! This process may be able to write to more than the other side can. So it does where nothing is gained by a lie: to a process that it
//! has started, and to those of its own user, as the system says it of a socket's other end.

use crate::wire::Welcome;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

/// Whether the other end of a socket is a process of the user that this process is of. Sockets that know no users have none.
pub(super) fn is_same_user(socket: &UnixStream) -> bool {
    let mut other = libc::ucred { pid: 0, uid: libc::uid_t::MAX, gid: libc::gid_t::MAX };
    let mut size = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: there is room for the answer, whose size is given; what this process is cannot fail to be known.
    let (result, own) = unsafe {
        let place = (&raw mut other).cast();
        (libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, place, &mut size), libc::geteuid())
    };
    result == 0 && other.pid > 0 && other.uid == own
}

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
