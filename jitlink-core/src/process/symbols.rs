//! Symbols of this process: what the system's loader knows, and the few that only static libraries have.
//!
//! A C library keeps some functions out of its shared object and in a small static one (`libc_nonshared.a`), because they need to
//! know which module calls them. They are served from here:
//!
//! - `atexit`, `at_quick_exit` and `pthread_atfork` by [`exit`](super::exit), for the module that the function given to them is in;
//! - what the resolvers of `target_clones` ask about the processor: the shared library of GCC's run-time has it, but under a version
//!   that only programs linked long ago mean, because compilers link the static one;
//! - `stat` and its like, which were such wrappers before glibc 2.33, by this program's own, wherever they came from.

use super::exit;
use crate::addr::Addr;
use std::ffi::{CStr, CString, c_void};
use std::ptr;

/// The address of a symbol in the program or in a library that it has loaded.
pub(super) fn find(name: &CStr) -> Option<Addr> {
    find_in(libc::RTLD_DEFAULT, name)
}

/// The address of a symbol in one library and those it depends on.
pub(super) fn find_in(library: *mut c_void, name: &CStr) -> Option<Addr> {
    // SAFETY: the name is a C string, and the handle is one of the C library's: a constant, or of a library that stays loaded.
    // dlerror is read first to forget an earlier error: a symbol may exist and be null.
    let (address, missing) = unsafe {
        libc::dlerror();
        let address = libc::dlsym(library, name.as_ptr());
        (address, address.is_null() && !libc::dlerror().is_null())
    };
    (!missing).then_some(Addr(address as u64))
}

/// The address that a symbol of the program or of a library that it has loaded has under a version.
#[cfg(target_env = "gnu")]
fn find_versioned(name: &CStr, version: &CStr) -> Option<Addr> {
    // SAFETY: both are C strings, and the handle is a constant of the C library.
    let address = unsafe { libc::dlvsym(libc::RTLD_DEFAULT, name.as_ptr(), version.as_ptr()) };
    (!address.is_null()).then_some(Addr(address as u64))
}

/// The address of a symbol as linked code should see it; `libraries` are searched in order after what is globally visible.
pub(super) fn lookup(name: &[u8], libraries: &[usize]) -> Option<Addr> {
    if let Some(address) = exit::service(name) {
        return Some(address);
    }
    // A name with a NUL inside is no name of the loader's.
    let c_name = CString::new(name).ok()?;
    find(&c_name)
        .or_else(|| libraries.iter().find_map(|library| find_in(ptr::with_exposed_provenance_mut(*library), &c_name)))
        .or_else(|| fallback(name))
}

/// What old C libraries keep in their static part.
fn fallback(name: &[u8]) -> Option<Addr> {
    let function = match name {
        // Position-independent code of 32-bit targets calls the failure handler by this name.
        b"__stack_chk_fail_local" => return find(c"__stack_chk_fail"),
        #[cfg(target_env = "gnu")]
        b"__cpu_model" => return find_versioned(c"__cpu_model", c"GCC_4.8.0"),
        #[cfg(target_env = "gnu")]
        b"__cpu_indicator_init" => return find_versioned(c"__cpu_indicator_init", c"GCC_4.8.0"),
        b"stat" => libc::stat as *const (),
        b"fstat" => libc::fstat as *const (),
        b"lstat" => libc::lstat as *const (),
        b"fstatat" => libc::fstatat as *const (),
        b"mknod" => libc::mknod as *const (),
        b"mknodat" => libc::mknodat as *const (),
        #[cfg(target_env = "gnu")]
        b"stat64" => libc::stat64 as *const (),
        #[cfg(target_env = "gnu")]
        b"fstat64" => libc::fstat64 as *const (),
        #[cfg(target_env = "gnu")]
        b"lstat64" => libc::lstat64 as *const (),
        #[cfg(target_env = "gnu")]
        b"fstatat64" => libc::fstatat64 as *const (),
        _ => return None,
    };
    Some(Addr(function as u64))
}
