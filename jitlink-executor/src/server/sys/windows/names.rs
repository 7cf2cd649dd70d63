//! Names of DLLs, and DLLs by name.
//!
//! Import libraries say in which DLL a name is, and objects do not. So a name is looked for in all that are loaded: those that were
//! asked for, the C library, and those of the system that compilers link against unasked.

use super::exit;
use jitlink_core::Addr;
use jitlink_core::executor::ExecutorError;
use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use windows_sys::Win32::Foundation::HMODULE;
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress, LoadLibraryA};

/// DLLs that every process has, in the order in which they are asked. The last has copies of some functions of the C library.
const LOADED: [&CStr; 3] = [c"msvcrt.dll", c"kernel32.dll", c"ntdll.dll"];

/// Those that compilers link against unasked, and that are loaded when a name is nowhere else: C's, and those of Rust's standard library.
const USUAL: [&CStr; 8] = [
    c"advapi32.dll",
    c"user32.dll",
    c"shell32.dll",
    c"ws2_32.dll",
    c"api-ms-win-core-synch-l1-2-0.dll",
    c"bcryptprimitives.dll",
    c"bcrypt.dll",
    c"userenv.dll",
];

/// DLLs that were asked for, as numbers: modules of this process may be used by all of its threads.
static ASKED: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// Where a name is.
pub(super) fn look_up(name: &[u8]) -> Option<Addr> {
    if let Some(service) = exit::service(name) {
        return Some(service);
    }
    let name = CString::new(name).ok()?;
    let asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let in_asked = asked.iter().find_map(|module| find(*module as HMODULE, &name));
    // SAFETY: asks for modules by name.
    let in_loaded =
        || LOADED.iter().find_map(|module| find(unsafe { GetModuleHandleA(module.as_ptr().cast()) }, &name));
    // SAFETY: loads libraries of the system, which are sound to load.
    let in_usual = || USUAL.iter().find_map(|module| find(unsafe { LoadLibraryA(module.as_ptr().cast()) }, &name));
    in_asked.or_else(in_loaded).or_else(in_usual)
}

/// Where a module has a name, if it is one and has it.
pub(super) fn find(module: HMODULE, name: &CStr) -> Option<Addr> {
    if module.is_null() {
        return None;
    }
    // SAFETY: the module is loaded and stays so, and the name is a C string.
    let found = unsafe { GetProcAddress(module, name.as_ptr().cast()) };
    found.map(|function| Addr(function as usize as u64))
}

/// Where the C library has a name.
pub(super) fn in_c_library(name: &CStr) -> Option<Addr> {
    // SAFETY: asks for a module by name.
    find(unsafe { GetModuleHandleA(LOADED[0].as_ptr().cast()) }, name)
}

/// Where the lowest part of the system has a name.
pub(super) fn in_system(name: &CStr) -> Option<Addr> {
    // SAFETY: asks for a module by name.
    find(unsafe { GetModuleHandleA(LOADED[2].as_ptr().cast()) }, name)
}

/// Loads a DLL: `NAME` stands for `NAME.dll` or `libNAME.dll`, `:FILE` for a file of that name, in the search folders and then in the
/// system's.
///
/// # Safety
/// The DLL's initialisers are sound to run.
pub(super) unsafe fn load(name: &str, search: &[PathBuf]) -> Result<(), ExecutorError> {
    let files = match name.strip_prefix(':') {
        Some(file) => vec![file.to_owned()],
        None if name.contains(['/', '\\']) || name.to_ascii_lowercase().ends_with(".dll") => vec![name.to_owned()],
        None => vec![format!("{name}.dll"), format!("lib{name}.dll")],
    };
    let found = search.iter().flat_map(|folder| files.iter().map(move |file| folder.join(file)));
    let found = found.filter(|path| path.is_file()).chain(files.iter().map(PathBuf::from));
    for path in found {
        // SAFETY: the caller vouches for the library.
        if let Some(module) = unsafe { load_file(&path) } {
            ASKED.lock().unwrap_or_else(PoisonError::into_inner).push(module);
            return Ok(());
        }
    }
    Err(ExecutorError::with_advice(
        format!("the DLL {name} cannot be loaded: {}", std::io::Error::last_os_error()),
        "give the folder that it is in, as the target sees it (-L)",
    ))
}

/// # Safety
/// As for [`load`].
unsafe fn load_file(path: &Path) -> Option<usize> {
    let path = CString::new(path.to_str()?).ok()?;
    // SAFETY: the path is a C string, and the caller vouches for what is there.
    let module = unsafe { LoadLibraryA(path.as_ptr().cast()) };
    (!module.is_null()).then_some(module as usize)
}
