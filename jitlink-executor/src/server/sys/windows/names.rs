//! Names of DLLs, and DLLs by name.
//!
//! Import libraries say in which DLL a name is, and objects do not. So a name of no import library's is looked for in all that are
//! loaded: those that were asked for, the C library, and those of the system that compilers link against unasked.

use super::exit;
use crate::wire::{ExportRecord, ImportsRecord};
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

/// What to do where a DLL is not found.
const FOLDER: &str = "give the folder that it is in, as the target sees it (-L)";

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

/// Where what DLLs export is. Those that are not loaded yet are, if the request says where they may be.
///
/// # Safety
/// The initialisers of DLLs that are to be loaded are sound to run.
pub(in crate::server) unsafe fn import(imports: &ImportsRecord) -> Result<Option<Vec<Option<Addr>>>, ExecutorError> {
    let search = imports.search.as_ref();
    let search: Option<Vec<PathBuf>> =
        search.map(|search| search.iter().map(|path| super::path(path.0.clone())).collect());
    let mut modules = Vec::new();
    for (number, library) in imports.libraries.iter().enumerate() {
        let name = String::from_utf8_lossy(&library.0);
        // SAFETY: the caller vouches for the initialisers.
        let module = loaded(&name).or_else(|| unsafe { load_any(&[name.to_string()], search.as_ref()?) });
        modules.push(module.ok_or_else(|| {
            let error = std::io::Error::last_os_error();
            let of_library = imports.imports.iter().find(|import| import.0 as usize == number);
            let export = match of_library.map(|import| &import.1) {
                Some(ExportRecord::Name(name)) => String::from_utf8_lossy(&name.0).into_owned(),
                Some(ExportRecord::Ordinal(number)) => format!("number {number}"),
                None => "nothing".into(),
            };
            let what = format!("the DLL {name}, from which {export} is imported, cannot be loaded: {error}");
            ExecutorError::with_advice(what, FOLDER)
        })?);
    }
    let address = |(library, export): &(u32, ExportRecord)| {
        let module = *modules.get(*library as usize)? as HMODULE;
        match export {
            ExportRecord::Name(name) => exit::service(&name.0).or_else(|| find(module, &CString::new(&*name.0).ok()?)),
            ExportRecord::Ordinal(number) => find_by_ordinal(module, *number),
        }
    };
    Ok(Some(imports.imports.iter().map(address).collect()))
}

/// The module of a DLL that is loaded already.
fn loaded(name: &str) -> Option<usize> {
    let name = CString::new(name).ok()?;
    // SAFETY: asks for a module by name.
    let module = unsafe { GetModuleHandleA(name.as_ptr().cast()) };
    (!module.is_null()).then_some(module as usize)
}

/// Where a module has what it exports under a number.
fn find_by_ordinal(module: HMODULE, number: u16) -> Option<Addr> {
    // SAFETY: the module is loaded and stays so; a pointer below 64 KiB is such a number ("GetProcAddress").
    let found = unsafe { GetProcAddress(module, std::ptr::without_provenance(number.into())) };
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
    // SAFETY: the caller vouches for the library.
    let module = unsafe { load_any(&files, search) };
    let what = || format!("the DLL {name} cannot be loaded: {}", std::io::Error::last_os_error());
    let module = module.ok_or_else(|| ExecutorError::with_advice(what(), FOLDER))?;
    ASKED.lock().unwrap_or_else(PoisonError::into_inner).push(module);
    Ok(())
}

/// Loads the first of some files that is there, in the search folders and then in the system's.
///
/// # Safety
/// As for [`load`].
unsafe fn load_any(files: &[String], search: &[PathBuf]) -> Option<usize> {
    let found = search.iter().flat_map(|folder| files.iter().map(move |file| folder.join(file)));
    let mut found = found.filter(|path| path.is_file()).chain(files.iter().map(PathBuf::from));
    // SAFETY: the caller vouches for the library.
    found.find_map(|path| unsafe { load_file(&path) })
}

/// # Safety
/// As for [`load`].
unsafe fn load_file(path: &Path) -> Option<usize> {
    let path = CString::new(path.to_str()?).ok()?;
    // SAFETY: the path is a C string, and the caller vouches for what is there.
    let module = unsafe { LoadLibraryA(path.as_ptr().cast()) };
    (!module.is_null()).then_some(module as usize)
}
