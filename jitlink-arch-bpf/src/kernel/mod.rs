//! The kernel as an executor of linked BPF programs, through the `bpf(2)` system call.
//!
//! The kernel takes one array of instructions a program, with descriptors of maps where a linker would put addresses, checks it and
//! runs it where it is attached, or at once on given input ([`KernelProgram::test_run`]). The lower half of this module is the
//! system call, safe to use: [`KernelMap`], [`KernelProgram`], [`KernelBtf`].
//!
//! Everything is removed when its last descriptor is dropped; nothing outlives the process unless it is pinned or attached.
//! Where the system call is not allowed, errors are [`KernelError::NotAllowed`] and say what to do; [`allowed`] asks beforehand.
//!
//! Only `sys` contains unsafe code.

mod btf;
mod error;
mod load;
mod map;
mod program;
mod run;
#[allow(unsafe_code, reason = "makes the system call; nothing else in this crate may")]
mod sys;
#[cfg(test)]
mod tests;

pub use btf::KernelBtf;
pub use error::KernelError;
pub use load::{KernelObject, LoadOptions, load};
pub use map::{Entry, KernelMap, MapContext};
pub use program::{KernelProgram, ProgramRequest, ProgramTypes};
pub use run::{TestResult, TestRun};

use crate::insn::Insn;
use std::ffi::CString;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use sys::{Attr, Command};

/// Whether this process may load programs: loads the least one, which returns zero.
pub fn allowed() -> Result<(), KernelError> {
    let instructions = [Insn { code: 0xb7, ..Insn::default() }, Insn { code: 0x95, ..Insn::default() }];
    // BPF_PROG_TYPE_XDP, which no setting opens to everyone.
    let request = ProgramRequest { name: "allowed", kind: 6, instructions: &instructions, ..ProgramRequest::default() };
    KernelProgram::load(&request).map(|_| ())
}

/// The first `len` bytes of what the kernel tells about an object, fewer where it has no more.
fn info(object: BorrowedFd<'_>, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut attr = Attr::new(Command::Info);
    attr.set_fd(sys::info::OBJECT, object);
    attr.output(sys::info::BYTES, &mut bytes)?;
    attr.call()?;
    let count = attr.count(sys::info::BYTES);
    bytes.truncate(count);
    Ok(bytes)
}

fn pin(path: &Path, object: BorrowedFd<'_>) -> io::Result<()> {
    Attr::pin(&path_name(path)?, object).call().map(|_| ())
}

fn path_name(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}
