//! Memory from the system: the only module that maps, protects or gives back pages.
//!
//! A [`Span`] owns a run of address space and unmaps it when dropped. Addresses are numbers here; the few functions that replace
//! pages which may be in use are `unsafe`, everything else touches only pages that the span itself owns.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::OnceLock;

/// The size of a page.
pub(super) fn page_size() -> u64 {
    static SIZE: OnceLock<u64> = OnceLock::new();
    *SIZE.get_or_init(|| {
        // SAFETY: sysconf reads a constant of the system.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        u64::try_from(size).unwrap_or(4096)
    })
}

/// A run of address space that belongs to whoever holds this.
#[derive(Debug)]
pub(super) struct Span {
    start: u64,
    size: u64,
}

/// A file as seen through a mapping.
#[derive(Clone, Copy, Debug)]
struct View<'f> {
    file: &'f MemFile,
    /// Where in the file it starts.
    place: u64,
    access: Access,
}

/// What a mapping of a file may be used for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Access {
    ReadExecute,
    /// As [`Access::ReadExecute`], but who writes to a page all the same, as only debuggers can, gets a copy of it.
    ReadExecuteOrCopy,
    Read,
    ReadWrite,
}

impl Access {
    fn bits(self) -> i32 {
        match self {
            Access::ReadExecute | Access::ReadExecuteOrCopy => libc::PROT_READ | libc::PROT_EXEC,
            Access::Read => libc::PROT_READ,
            Access::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
        }
    }

    fn sharing(self) -> i32 {
        match self {
            Access::ReadExecuteOrCopy => libc::MAP_PRIVATE,
            Access::ReadExecute | Access::Read | Access::ReadWrite => libc::MAP_SHARED,
        }
    }
}

/// Address space that holds nothing and costs nothing until pages of it are opened.
const RESERVED: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;

impl Span {
    /// Reserves address space where the system likes.
    pub(super) fn reserve(size: u64) -> io::Result<Span> {
        // SAFETY: without MAP_FIXED no existing mapping changes.
        let start = unsafe { libc::mmap(ptr::null_mut(), length(size)?, libc::PROT_NONE, RESERVED, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Span { start: start as u64, size })
    }

    /// Reserves address space at `start`; an error if something is there.
    pub(super) fn reserve_at(start: u64, size: u64) -> io::Result<Span> {
        let flags = RESERVED | libc::MAP_FIXED_NOREPLACE;
        // SAFETY: MAP_FIXED_NOREPLACE fails rather than replace a mapping (kernels that do not know it take the address as a
        // hint, which changes no mapping either).
        let got = unsafe { libc::mmap(start as *mut _, length(size)?, libc::PROT_NONE, flags, -1, 0) };
        if got == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let span = Span { start: got as u64, size };
        if span.start != start {
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        Ok(span)
    }

    /// Its first address.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Its size.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    fn at(&self, offset: u64, size: u64) -> (*mut libc::c_void, usize) {
        assert!(offset.checked_add(size).is_some_and(|end| end <= self.size), "outside of the span");
        ((self.start + offset) as *mut libc::c_void, size as usize)
    }

    /// Makes private pages of zeros out of reserved ones, to read and write.
    pub(super) fn open(&self, offset: u64, size: u64) -> io::Result<()> {
        let (start, size) = self.at(offset, size);
        // SAFETY: the pages are this span's, and gain rights.
        check(unsafe { libc::mprotect(start, size, libc::PROT_READ | libc::PROT_WRITE) })
    }

    /// Puts private pages of zeros, to read and write, in place of what is there; large ones where the system has them.
    ///
    /// # Safety
    /// Nothing uses these pages of the span.
    pub(super) unsafe fn cover(&self, offset: u64, size: u64) -> io::Result<()> {
        let (start, size) = self.at(offset, size);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        // SAFETY: MAP_FIXED replaces pages of this span only, which nobody uses. The hint changes no byte.
        unsafe {
            let got = libc::mmap(start, size, Access::ReadWrite.bits(), flags, -1, 0);
            if got == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            libc::madvise(start, size, libc::MADV_HUGEPAGE);
        }
        Ok(())
    }

    /// Sets what private pages may be used for.
    ///
    /// # Safety
    /// Nobody who uses these pages needs more.
    pub(super) unsafe fn protect(&self, offset: u64, size: u64, access: Access) -> io::Result<()> {
        let (start, size) = self.at(offset, size);
        // SAFETY: the pages are this span's, and nobody needs what they lose.
        check(unsafe { libc::mprotect(start, size, access.bits()) })
    }

    /// Maps pages of a file in place of reserved ones.
    ///
    /// # Safety
    /// Nothing uses these pages of the span.
    unsafe fn map(&self, offset: u64, size: u64, view: View<'_>) -> io::Result<()> {
        let (start, size) = self.at(offset, size);
        let place = libc::off_t::try_from(view.place).map_err(io::Error::other)?;
        let flags = view.access.sharing() | libc::MAP_FIXED;
        // SAFETY: MAP_FIXED replaces pages of this span only, which nobody uses.
        let got = unsafe { libc::mmap(start, size, view.access.bits(), flags, view.file.0.as_raw_fd(), place) };
        if got == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Maps new pages of zeros, shared with children, in place of reserved ones.
    ///
    /// # Safety
    /// As for [`Span::map`].
    unsafe fn map_anonymous(&self, offset: u64, size: u64) -> io::Result<()> {
        let (start, size) = self.at(offset, size);
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        // SAFETY: MAP_FIXED replaces pages of this span only, which nobody uses.
        let got = unsafe { libc::mmap(start, size, Access::ReadWrite.bits(), flags, -1, 0) };
        if got == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Maps shared pages of another span a second time, in place of reserved ones.
    ///
    /// # Safety
    /// As for [`Span::map`].
    unsafe fn map_again(&self, offset: u64, size: u64, from: (&Span, u64), access: Access) -> io::Result<()> {
        let ((start, size), (old, _)) = (self.at(offset, size), from.0.at(from.1, size));
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        // SAFETY: of an old size of zero, shared pages stay and are mapped again. MREMAP_FIXED replaces pages of this span only,
        // which nobody uses; they lose the right to be written to before they gain another.
        unsafe {
            if libc::mremap(old, 0, size, flags, start) == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            check(libc::mprotect(start, size, access.bits()))
        }
    }

    /// Keeps pages out of processes that this one forks.
    fn hide_from_children(&self, offset: u64, size: u64) {
        let (start, size) = self.at(offset, size);
        // SAFETY: the pages are this span's, and this process keeps them. A failure leaves them visible, which only matters
        // to a child that writes to an address it was never told.
        unsafe { libc::madvise(start, size, libc::MADV_DONTFORK) };
    }

    /// Gives whole private pages back; they read as zeros from now on.
    ///
    /// # Safety
    /// Nothing uses these pages.
    pub(super) unsafe fn discard(&self, offset: u64, size: u64) -> io::Result<()> {
        let (start, size) = self.at(offset, size);
        // SAFETY: the pages are this span's, and nobody uses them.
        check(unsafe { libc::madvise(start, size, libc::MADV_DONTNEED) })
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        // SAFETY: the span owns its addresses, and whoever drops it no longer uses them.
        unsafe { libc::munmap(self.start as *mut libc::c_void, self.size as usize) };
    }
}

/// Whether private pages that were written may become code. Systems can be told to forbid that (`PR_SET_MDWE`, SELinux).
pub(super) fn may_become_code() -> bool {
    static MAY: OnceLock<bool> = OnceLock::new();
    *MAY.get_or_init(|| {
        let Ok(page) = Span::reserve(page_size()) else { return false };
        // SAFETY: nobody uses the page, which is new and goes at the end of this.
        page.open(0, page_size()).is_ok() && unsafe { page.protect(0, page_size(), Access::ReadExecute) }.is_ok()
    })
}

/// Memory with two addresses: in a span for who reads or runs it, and at an alias for who writes it.
#[derive(Debug)]
pub(super) struct Doubled {
    alias: Span,
    /// None where pages are anonymous, so that tools take them for code that was made at run time.
    file: Option<MemFile>,
}

impl Doubled {
    /// With room for this much. Nothing is there yet.
    pub(super) fn new(size: u64, backing: Backing) -> io::Result<Doubled> {
        let file = match backing {
            Backing::Anonymous => None,
            Backing::ExecutableFile => Some(MemFile::new(true)?),
            Backing::File => Some(MemFile::new(false)?),
        };
        Ok(Doubled { alias: Span::reserve(size)?, file })
    }

    /// Where it is written.
    pub(super) fn alias(&self) -> &Span {
        &self.alias
    }

    /// Opens `size` bytes at `from`, which are at `offset` in `span`. Children get no alias.
    ///
    /// # Safety
    /// Nothing uses these pages.
    pub(super) unsafe fn open(
        &self,
        from: u64,
        size: u64,
        (span, offset): (&Span, u64),
        access: Access,
    ) -> io::Result<()> {
        // SAFETY: nobody uses the pages of either span, as the caller promises.
        unsafe {
            match &self.file {
                Some(file) => {
                    file.grow(from + size)?;
                    span.map(offset, size, View { file, place: from, access })?;
                    self.alias.map(from, size, View { file, place: from, access: Access::ReadWrite })?;
                }
                None => {
                    self.alias.map_anonymous(from, size)?;
                    span.map_again(offset, size, (&self.alias, from), access)?;
                }
            }
        }
        self.alias.hide_from_children(from, size);
        Ok(())
    }

    /// Maps open pages, `size` bytes at `from`, once more where they are mapped, at `offset` in `span`. Only files can be: others stay.
    ///
    /// # Safety
    /// These pages are mapped there, for the same access.
    pub(super) unsafe fn map_once_more(
        &self,
        from: u64,
        size: u64,
        (span, offset): (&Span, u64),
        access: Access,
    ) -> io::Result<()> {
        match &self.file {
            // SAFETY: as the caller promises, the same pages of the same file take their own place, in one step, so that nobody who
            // uses them notices.
            Some(file) => unsafe { span.map(offset, size, View { file, place: from, access }) },
            None => Ok(()),
        }
    }

    /// Maps open pages, `size` bytes at `from`, where other pages were put in their place, at `offset` in `span`.
    ///
    /// # Safety
    /// Nothing uses what is there.
    pub(super) unsafe fn uncover(
        &self,
        from: u64,
        size: u64,
        (span, offset): (&Span, u64),
        access: Access,
    ) -> io::Result<()> {
        // SAFETY: nobody uses the pages that go, as the caller promises.
        unsafe {
            match &self.file {
                Some(_) => self.map_once_more(from, size, (span, offset), access),
                None => span.map_again(offset, size, (&self.alias, from), access),
            }
        }
    }

    /// Gives whole pages back; they read as zeros from now on.
    ///
    /// # Safety
    /// Nothing uses these pages at either address.
    pub(super) unsafe fn discard(&self, offset: u64, size: u64) -> io::Result<()> {
        match &self.file {
            // SAFETY: as the caller promises.
            Some(file) => unsafe { file.discard(offset, size) },
            None => {
                let (start, size) = self.alias.at(offset, size);
                // SAFETY: the pages are the alias's, and nobody uses them there or elsewhere.
                check(unsafe { libc::madvise(start, size, libc::MADV_REMOVE) })
            }
        }
    }
}

/// What is behind pages with two addresses.
#[derive(Clone, Copy, Debug)]
pub(super) enum Backing {
    File,
    ExecutableFile,
    Anonymous,
}

/// Memory with a file descriptor, so that it can be mapped twice.
#[derive(Debug)]
struct MemFile(OwnedFd);

impl MemFile {
    /// An empty one.
    fn new(executable: bool) -> io::Result<MemFile> {
        let kind = if executable { libc::MFD_EXEC } else { libc::MFD_NOEXEC_SEAL };
        // Kernels before 6.3 know neither flag, and allow execution without.
        let plain = libc::MFD_CLOEXEC;
        let descriptor = match memfd(plain | kind) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => memfd(plain)?,
            other => other?,
        };
        Ok(MemFile(descriptor))
    }

    /// Makes it at least this large; new bytes are zero.
    fn grow(&self, size: u64) -> io::Result<()> {
        let size = libc::off_t::try_from(size).map_err(io::Error::other)?;
        // SAFETY: a larger file changes no byte that is mapped.
        check(unsafe { libc::ftruncate(self.0.as_raw_fd(), size) })
    }

    /// Gives whole pages back; they read as zeros from now on.
    ///
    /// # Safety
    /// Nothing uses these pages through any mapping.
    unsafe fn discard(&self, offset: u64, size: u64) -> io::Result<()> {
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        let (offset, size) = (libc::off_t::try_from(offset), libc::off_t::try_from(size));
        let (offset, size) = (offset.map_err(io::Error::other)?, size.map_err(io::Error::other)?);
        // SAFETY: nobody uses the pages.
        check(unsafe { libc::fallocate(self.0.as_raw_fd(), mode, offset, size) })
    }
}

fn memfd(flags: u32) -> io::Result<OwnedFd> {
    // SAFETY: the name is a C string, and the result is checked.
    let descriptor = unsafe { libc::memfd_create(c"jitlink".as_ptr(), flags) };
    check(descriptor)?;
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn length(size: u64) -> io::Result<usize> {
    usize::try_from(size).map_err(io::Error::other)
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
