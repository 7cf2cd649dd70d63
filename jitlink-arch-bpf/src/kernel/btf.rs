//! Type information in the kernel.

use super::error::KernelError;
use super::program::{explain, retry};
use super::sys::{self, Attr, Command};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// BTF that was given to the kernel, for the maps and programs that refer to it.
#[derive(Debug)]
pub struct KernelBtf {
    fd: OwnedFd,
}

impl KernelBtf {
    /// Gives BTF to the kernel, which checks it.
    pub fn load(bytes: &[u8]) -> Result<KernelBtf, KernelError> {
        let attempt = |log: &mut [u8]| {
            let mut attr = Attr::new(Command::BtfLoad);
            attr.input(sys::btf::BYTES, bytes)?;
            if !log.is_empty() {
                attr.set(sys::btf::LOG_LEVEL, 1);
                attr.output(sys::btf::LOG, log)?;
            }
            retry(|| attr.open())
        };
        match attempt(&mut []).or_else(|first| explain(first, attempt)) {
            Ok(fd) => Ok(KernelBtf { fd }),
            Err((source, log)) if log.is_empty() => Err(KernelError::call(Command::BtfLoad, "BTF", source)),
            Err((source, log)) => Err(KernelError::Types { source, log }),
        }
    }
}

impl AsFd for KernelBtf {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
