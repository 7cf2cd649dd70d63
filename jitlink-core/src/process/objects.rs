//! The objects of this process, program and libraries, that the system's loader knows.

use std::ffi::{c_int, c_void};
use std::ops::{ControlFlow, Range};

/// A program header of this process's width.
#[cfg(target_pointer_width = "64")]
pub(super) type Header = libc::Elf64_Phdr;
/// A program header of this process's width.
#[cfg(target_pointer_width = "32")]
pub(super) type Header = libc::Elf32_Phdr;

/// A number of the loader's, whatever its width.
pub(super) fn wide(number: impl Into<u64>) -> u64 {
    number.into()
}

/// An object, as its loader describes it.
pub(super) struct Object<'o> {
    /// What the loader says of it.
    pub(super) info: &'o libc::dl_phdr_info,
    /// Its program headers.
    pub(super) headers: &'o [Header],
}

impl Object<'_> {
    /// The memory that a header means.
    pub(super) fn range(&self, header: &Header) -> Range<u64> {
        let start = wide(self.info.dlpi_addr.wrapping_add(header.p_vaddr));
        start..start.wrapping_add(wide(header.p_memsz))
    }
}

/// Looks at an object; whether at the next one too.
type Visit<'v> = &'v mut dyn FnMut(&Object<'_>) -> ControlFlow<()>;

/// Shows each object in turn, the program first, until `visit` has seen enough.
pub(super) fn each(mut visit: Visit<'_>) {
    unsafe extern "C" fn call(info: *mut libc::dl_phdr_info, _size: usize, visit: *mut c_void) -> c_int {
        // SAFETY: the C library passes a valid description, and the pointer that was given to it, which is to a `Visit` that nobody
        // else uses during the call.
        let (info, visit) = unsafe { (&*info, &mut *visit.cast::<Visit<'_>>()) };
        let headers = match info.dlpi_phnum {
            0 => &[][..],
            // SAFETY: the description's table of headers has that many entries.
            count => unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(count)) },
        };
        visit(&Object { info, headers }).is_break().into()
    }
    // SAFETY: the function has the signature that is asked for, and gets `visit`, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(call), (&raw mut visit).cast()) };
}

/// How many objects have been loaded, and how many unloaded, since the process began: neither changes while the objects stay the same.
pub(super) fn changes() -> (u64, u64) {
    let mut changes = (0, 0);
    each(&mut |object| {
        changes = (object.info.dlpi_adds, object.info.dlpi_subs);
        ControlFlow::Break(())
    });
    changes
}
