//! Shared libraries by the names that a linker takes.
//!
//! What is called `libNAME.so` may be a library, a link to one, or a text: a linker script that names the files to use instead
//! (`GROUP ( /lib/libc.so.6 /usr/lib/libc_nonshared.a )`). Scripts are followed; static libraries in them hold what
//! [`symbols`](super::symbols) provides. Where only the versioned file is installed (`libNAME.so.6`), that is taken: the
//! unversioned name comes with a package for developers that a program needs no more once it is compiled.
//!
//! Libraries are loaded as if the program had been linked with them: at once, with their symbols visible to all that is loaded later
//! (`RTLD_NOW | RTLD_GLOBAL`). C++ needs that for type information that must be one in all libraries.

use crate::executor::ExecutorError;
use std::ffi::{CStr, CString};
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How deep linker scripts may name each other.
const DEPTH: usize = 8;

/// Loads a library; the system's handles of it, or of those that a linker script names.
///
/// # Safety
/// As for [`super::ProcessExecutor::load_library`].
pub(super) unsafe fn load(name: &str, search: &[PathBuf]) -> Result<Vec<usize>, ExecutorError> {
    let mut loader = Loader { search, handles: Vec::new(), problems: Vec::new() };
    // SAFETY: the caller promises that what the name stands for is sound to load.
    let found =
        unsafe { if name.contains('/') { loader.file(Path::new(name), DEPTH) } else { loader.named(name, DEPTH) } };
    if found {
        return Ok(loader.handles);
    }
    let problem = loader.problems.first().cloned().unwrap_or_else(|| "no such file in any search directory".into());
    Err(ExecutorError::with_advice(
        format!("cannot load the shared library \"{name}\": {problem}"),
        "check its name, add its directory (-L DIR), or install the package that contains it",
    ))
}

struct Loader<'s> {
    search: &'s [PathBuf],
    handles: Vec<usize>,
    /// What was wrong with files that were found.
    problems: Vec<String>,
}

impl Loader<'_> {
    /// Loads `-l NAME`. Whether anything was loaded.
    unsafe fn named(&mut self, name: &str, depth: usize) -> bool {
        let directories: Vec<PathBuf> = self.search.iter().cloned().chain(system_directories()).collect();
        let plain = match name.strip_prefix(':') {
            Some(file) => file.to_string(),
            None => format!("lib{name}.so"),
        };
        for directory in &directories {
            let path = directory.join(&plain);
            // SAFETY: the caller promises that what the name stands for is sound to load.
            if path.is_file() && unsafe { self.file(&path, depth) } {
                return true;
            }
        }
        // The loader knows directories of its own, such as those in this program's headers.
        // SAFETY: as above.
        if unsafe { self.open(Path::new(&plain)) } {
            return true;
        }
        directories.iter().filter_map(|directory| latest_version(directory, &plain)).any(|path| {
            // SAFETY: as above.
            unsafe { self.file(&path, depth) }
        })
    }

    /// Loads a file, a library or a script. Whether anything was loaded.
    unsafe fn file(&mut self, path: &Path, depth: usize) -> bool {
        match script(path) {
            // SAFETY: the caller promises that the library is sound to load.
            None => unsafe { self.open(path) },
            Some(text) if depth > 0 => {
                let mut found = false;
                for input in inputs(&text) {
                    // SAFETY: what a script names is part of what the caller asked for.
                    found |= unsafe { self.input(path, &input, depth - 1) };
                }
                found
            }
            Some(_) => false,
        }
    }

    /// Loads what a script names.
    unsafe fn input(&mut self, script: &Path, input: &str, depth: usize) -> bool {
        if input.ends_with(".a") || input.ends_with(".o") {
            tracing::debug!(script = %script.display(), input, "a static part of a library is left out");
            return false;
        }
        // SAFETY: the caller promises that what the script names is sound to load.
        unsafe {
            if let Some(name) = input.strip_prefix("-l") {
                return self.named(name, depth);
            }
            let beside = script.parent().unwrap_or(Path::new("")).join(input);
            if beside.is_file() { self.file(&beside, depth) } else { self.open(Path::new(input)) }
        }
    }

    /// Loads one library. Whether it was loaded.
    unsafe fn open(&mut self, path: &Path) -> bool {
        let Ok(name) = CString::new(path.as_os_str().as_bytes()) else { return false };
        // SAFETY: the caller promises that the library is sound to load. dlerror's text is copied before another call.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
        if !handle.is_null() {
            tracing::debug!(path = %path.display(), "loaded a shared library");
            self.handles.push(handle.expose_provenance());
            return true;
        }
        // SAFETY: dlerror returns a C string or null, valid until the next call of this thread.
        let message = unsafe {
            let message = libc::dlerror();
            (!message.is_null()).then(|| CStr::from_ptr(message).to_string_lossy().into_owned())
        };
        // That a bare name is nowhere is what the caller says in any case.
        if path.components().count() > 1 {
            self.problems.extend(message);
        }
        false
    }
}

/// The text of a linker script; `None` for a library, which starts with the ELF magic, and for what cannot be read.
fn script(path: &Path) -> Option<String> {
    let mut start = [0; 4];
    let mut file = fs::File::open(path).ok()?;
    file.read_exact(&mut start).ok()?;
    if start == *b"\x7fELF" {
        return None;
    }
    let mut text = start.to_vec();
    // No script is large; a large file that is no library is not read.
    file.take(1 << 16).read_to_end(&mut text).ok()?;
    String::from_utf8(text).ok()
}

/// The files that a linker script names in `INPUT ( … )` and `GROUP ( … )`, in order.
fn inputs(script: &str) -> Vec<String> {
    let mut text = String::new();
    let mut rest = script;
    while let Some((before, comment)) = rest.split_once("/*") {
        text.push_str(before);
        text.push(' ');
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    let spaced = text.replace('(', " ( ").replace(')', " ) ").replace(',', " ");
    let (mut inputs, mut commands, mut last) = (Vec::new(), Vec::new(), "");
    for word in spaced.split_whitespace() {
        match word {
            "(" => commands.push(last),
            ")" => {
                commands.pop();
            }
            "AS_NEEDED" => (),
            file if matches!(commands.first(), Some(&"INPUT" | &"GROUP")) => {
                inputs.push(file.trim_matches('"').to_string())
            }
            _ => (),
        }
        last = word;
    }
    inputs
}

/// The file `NAME.N` with the highest version of a single number, else the first of the longer ones.
fn latest_version(directory: &Path, name: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(directory).ok()?;
    let mut found: Vec<(bool, u64, String)> = Vec::new();
    for entry in entries.flatten() {
        let file = entry.file_name();
        let Some(file) = file.to_str() else { continue };
        let Some(version) = file.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')) else { continue };
        let number = version.parse::<u64>().ok();
        if version.split('.').all(|part| part.parse::<u64>().is_ok()) {
            found.push((number.is_some(), number.unwrap_or(0), file.to_string()));
        }
    }
    found.sort();
    found.pop().map(|(_, _, file)| directory.join(file))
}

/// Where the system keeps libraries, most specific first: the user's list, the C library's own directory (whose name depends on
/// the machine), the loader's configuration, and the traditional places.
fn system_directories() -> Vec<PathBuf> {
    let mut directories: Vec<PathBuf> = Vec::new();
    if let Some(list) = std::env::var_os("LD_LIBRARY_PATH") {
        directories.extend(std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()));
    }
    if let Some(home) = c_library_directory() {
        if let Ok(below) = home.strip_prefix("/lib") {
            directories.push(Path::new("/usr/lib").join(below));
        }
        directories.push(home);
    }
    configured_directories(Path::new("/etc/ld.so.conf"), DEPTH, &mut directories);
    directories.extend(["/usr/local/lib", "/usr/lib64", "/lib64", "/usr/lib", "/lib"].map(PathBuf::from));
    let mut seen = std::collections::HashSet::new();
    directories.retain(|directory| seen.insert(directory.clone()));
    directories
}

/// Reads the loader's configuration: a directory a line, `include PATTERN` for more.
fn configured_directories(file: &Path, depth: usize, directories: &mut Vec<PathBuf>) {
    let Ok(text) = fs::read_to_string(file) else { return };
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or("").trim();
        match line.strip_prefix("include ") {
            Some(pattern) if depth > 0 => {
                // The pattern in use everywhere is a directory with `*.conf`.
                let pattern = file.parent().unwrap_or(Path::new("/")).join(pattern.trim());
                let Some(directory) = pattern.parent() else { continue };
                let mut files: Vec<PathBuf> =
                    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
                files.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
                files.sort();
                for file in files {
                    configured_directories(&file, depth - 1, directories);
                }
            }
            None if line.starts_with('/') => directories.push(PathBuf::from(line)),
            _ => (),
        }
    }
}

/// The directory that the C library of this process was loaded from.
fn c_library_directory() -> Option<PathBuf> {
    let address = super::symbols::find(c"getenv")?;
    // SAFETY: an all-zero description is valid; dladdr fills it or fails, and its name is a C string that stays.
    let path = unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        if libc::dladdr(address.0 as *const _, &mut info) == 0 || info.dli_fname.is_null() {
            return None;
        }
        CStr::from_ptr(info.dli_fname)
    };
    let path = Path::new(std::ffi::OsStr::from_bytes(path.to_bytes()));
    path.parent().filter(|parent| parent.is_absolute()).map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_name_their_inputs() {
        let libc = "/* GNU ld script\n Use it. */\nOUTPUT_FORMAT(elf64-any)\n\
                    GROUP ( /lib/libc.so.6 /usr/lib/libc_nonshared.a  AS_NEEDED ( /lib64/ld.so.2 ) )\n";
        assert_eq!(inputs(libc), ["/lib/libc.so.6", "/usr/lib/libc_nonshared.a", "/lib64/ld.so.2"]);
        assert_eq!(inputs("INPUT(libncurses.so.6 -ltinfo)"), ["libncurses.so.6", "-ltinfo"]);
        assert_eq!(inputs("INPUT(\"a.so\",b.so) SEARCH_DIR(/x) /* open"), ["a.so", "b.so"]);
    }

    #[test]
    fn the_highest_short_version_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        for file in ["libx.so.6.0.30", "libx.so.6", "libx.so.10", "libx.so.py", "liby.so.99"] {
            fs::write(directory.path().join(file), "").unwrap();
        }
        assert_eq!(latest_version(directory.path(), "libx.so"), Some(directory.path().join("libx.so.10")));
        assert_eq!(latest_version(directory.path(), "libz.so"), None);
    }
}
