//! Programs in the kernel: loading an array of instructions, and running it.

use super::error::KernelError;
use super::sys::{self, Attr, Command};
use crate::insn::{self, Insn};
use jitlink_core::Endian;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// The sizes of buffers for the verifier's log. What does not fit the last is cut: newer kernels keep its end, older ones its start.
const LOG_SIZES: [usize; 3] = [1 << 16, 1 << 20, 1 << 24];

/// The byte order of this machine, which is that of programs for its kernel.
pub(super) const HOST: Endian = if cfg!(target_endian = "little") { Endian::Little } else { Endian::Big };

/// A program as `BPF_PROG_LOAD` takes it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProgramRequest<'a> {
    /// Its name; the kernel keeps the first 15 bytes.
    pub name: &'a str,
    /// The kernel's number of its type (`enum bpf_prog_type`).
    pub kind: u32,
    /// The kernel's number of where it will be attached (`enum bpf_attach_type`), which some types need.
    pub attach: u32,
    /// The instructions, with descriptors where they refer to maps.
    pub instructions: &'a [Insn],
    /// Its license, which decides what helpers it may call.
    pub license: &'a str,
    /// What kernel version it is for; only old kernels look.
    pub version: u32,
    /// `BPF_F_*` of loading.
    pub flags: u32,
    /// Its type information, with records of functions and lines.
    pub types: Option<ProgramTypes<'a>>,
    /// What it will be attached to: a type's id, and the program or module whose it is, if it is not the kernel's.
    pub target: Option<(u32, Option<BorrowedFd<'a>>)>,
    /// Descriptors that instructions refer to by index, those of modules with functions to call.
    pub descriptors: &'a [i32],
}

/// Type information of a program.
#[derive(Clone, Copy, Debug)]
pub struct ProgramTypes<'a> {
    /// The BTF, loaded.
    pub btf: BorrowedFd<'a>,
    /// Records of functions (`struct bpf_func_info`: first instruction, type), eight bytes each.
    pub functions: &'a [u8],
    /// Records of lines (`struct bpf_line_info`: instruction, file, text, line and column), sixteen bytes each.
    pub lines: &'a [u8],
}

/// A program in the kernel. It is removed when the last descriptor of it, attachment or pin is gone.
#[derive(Debug)]
pub struct KernelProgram {
    name: String,
    kind: u32,
    fd: OwnedFd,
}

impl KernelProgram {
    /// Loads a program. If the verifier refuses it, it is asked again for its log, with a buffer that grows until all fits.
    pub fn load(request: &ProgramRequest<'_>) -> Result<KernelProgram, KernelError> {
        let license = CString::new(request.license)
            .map_err(|_| KernelError::image(request.name, "its license holds a zero byte"))?;
        let instructions = insn::bytes(request.instructions, HOST);
        let attempt = |log: &mut [u8]| {
            let mut attr = Attr::new(Command::ProgramLoad);
            fill(&mut attr, request)?;
            attr.input(sys::program::INSTRUCTIONS, &instructions)?;
            attr.license(&license, request.descriptors);
            if !log.is_empty() {
                attr.set(sys::program::LOG_LEVEL, 1);
                attr.output(sys::program::LOG, log)?;
            }
            retry(|| attr.open())
        };
        match attempt(&mut []).or_else(|first| explain(first, attempt)) {
            Ok(fd) => Ok(KernelProgram { name: request.name.to_owned(), kind: request.kind, fd }),
            Err((source, log)) if log.is_empty() => Err(KernelError::call(Command::ProgramLoad, request.name, source)),
            Err((source, log)) => Err(KernelError::Refused { program: request.name.to_owned(), source, log }),
        }
    }

    /// Its name, uncut.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the kernel says of it: the first bytes of `struct bpf_prog_info`, as many as this kernel has of `len`.
    pub fn info(&self, len: usize) -> Result<Vec<u8>, KernelError> {
        super::info(self.as_fd(), len).map_err(|error| KernelError::call(Command::Info, &self.name, error))
    }

    /// Gives it a path in a BPF file system, by which it outlives this process.
    pub fn pin(&self, path: &Path) -> Result<(), KernelError> {
        super::pin(path, self.as_fd()).map_err(|error| KernelError::call(Command::Pin, &self.name, error))
    }

    /// The kernel's number of its type.
    pub fn kind(&self) -> u32 {
        self.kind
    }
}

impl AsFd for KernelProgram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Everything but instructions, license and log.
fn fill<'a>(attr: &mut Attr<'a>, request: &ProgramRequest<'a>) -> io::Result<()> {
    attr.set(sys::program::KIND, request.kind);
    attr.set(sys::program::ATTACH, request.attach);
    attr.set(sys::program::VERSION, request.version);
    attr.set(sys::program::FLAGS, request.flags);
    attr.name(sys::program::NAME, request.name);
    if let Some(types) = &request.types {
        attr.set_fd(sys::program::BTF, types.btf);
        attr.set(sys::program::FUNCTION_SIZE, 8);
        attr.input(sys::program::FUNCTIONS, types.functions)?;
        attr.set(sys::program::LINE_SIZE, 16);
        attr.input(sys::program::LINES, types.lines)?;
    }
    if let Some((id, object)) = request.target {
        attr.set(sys::program::TARGET_TYPE, id);
        if let Some(object) = object {
            attr.set_fd(sys::program::TARGET, object);
        }
    }
    Ok(())
}

/// Tries again with room for a log, and more of it until all fits. Gives the log, empty if there is none.
pub(super) fn explain(
    first: io::Error,
    mut attempt: impl FnMut(&mut [u8]) -> io::Result<OwnedFd>,
) -> Result<OwnedFd, (io::Error, String)> {
    if first.raw_os_error() == Some(libc::ENOSYS) {
        return Err((first, String::new()));
    }
    let mut outcome = (first, Vec::new());
    for size in LOG_SIZES {
        let mut log = vec![0; size];
        match attempt(&mut log) {
            Ok(fd) => return Ok(fd),
            Err(error) => outcome = (error, log),
        }
        if outcome.0.raw_os_error() != Some(libc::ENOSPC) {
            break;
        }
    }
    let (error, log) = outcome;
    let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
    Err((error, String::from_utf8_lossy(&log[..end]).into_owned()))
}

/// Calls again after a signal, and a few times where the kernel asks for it.
pub(super) fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut attempts = 0;
    loop {
        match call() {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN)) && attempts < 5 => {
                attempts += 1
            }
            result => return result,
        }
    }
}
