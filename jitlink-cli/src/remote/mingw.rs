//! What MinGW's compilers link a program of Windows with, unasked.
//!
//! Objects that they make expect the static parts of the run-time libraries (`libgcc`, `libmingwex`, `libstdc++`) and import libraries,
//! in which names of DLLs may be others than those in objects. Where MinGW is installed, `jitlink run` looks in all of these for what is
//! defined nowhere else. Its start-up code (`crt2.o`) is left out: that is the executor's, which has started already. So a program
//! has its own copy of C++'s run-time library, and needs no DLL but the system's.

use super::target_of;
use crate::inputs::Given;
use jitlink::{Input, LinkError};
use std::path::{Path, PathBuf};

/// The libraries, as the compilers' drivers name them ("Link Options", `-dumpspecs`): C++'s first.
const LIBRARIES: [&str; 12] = [
    "stdc++", "mingw32", "gcc_eh", "gcc", "moldname", "mingwex", "msvcrt", "pthread", "advapi32", "shell32", "user32",
    "kernel32",
];

/// How GCC begins what it leaves in objects, and how its version ends there for threads of POSIX.
const COMPILER: &[u8] = b"GCC: (GNU) ";
const POSIX: &str = "-posix";

/// The target as MinGW calls it.
const TRIPLE: &str = "x86_64-w64-mingw32";

/// The calling convention of programs that these libraries are for.
const CONVENTION: &str = "win64";

/// Adds them to what is linked, if it is for Windows; the libraries of `-l` that are among them or beside them.
pub(super) fn add(given: &mut Given) -> Result<Vec<String>, LinkError> {
    let is_meant = given.inputs.iter().find_map(target_of).is_some_and(|target| target.convention == CONVENTION);
    let folders = if is_meant { folders(Path::new("/usr"), model(&given.inputs)) } else { Vec::new() };
    let mut asked = Vec::new();
    for library in &given.libraries {
        if let Some(path) = archive(&folders, library) {
            given.inputs.push(Input::open(&path)?);
            asked.push(library.clone());
        }
    }
    for library in LIBRARIES.iter().filter(|library| !asked.iter().any(|asked| asked == *library)) {
        if let Some(path) = archive(&folders, library) {
            given.inputs.push(Input::open(&path)?);
        }
    }
    Ok(asked)
}

/// Where a library is: `:FILE` is a file of that name.
fn archive(folders: &[PathBuf], library: &str) -> Option<PathBuf> {
    let file = library.strip_prefix(':').map_or_else(|| format!("lib{library}.a"), str::to_owned);
    folders.iter().map(|folder| folder.join(&file)).find(|path| path.is_file())
}

/// The folders with MinGW's libraries: the newest compiler's own of a model of threads, and those of the system.
fn folders(root: &Path, model: &str) -> Vec<PathBuf> {
    let versions = std::fs::read_dir(root.join("lib/gcc").join(TRIPLE)).into_iter().flatten();
    let versions = versions.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.join("libgcc.a").is_file());
    // `12-posix`
    let number = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (name.split('-').next().and_then(|number| number.parse::<u32>().ok()), name.ends_with(model), name)
    };
    versions.max_by_key(number).into_iter().chain([root.join(TRIPLE).join("lib")]).collect()
}

/// The model of threads that the objects' C++ was compiled for, of the two that MinGW has. GCC leaves its name and version in
/// objects, the model of POSIX among it where that was chosen; the other is what is taken unasked, by clang too.
fn model(inputs: &[Input]) -> &'static str {
    let says_posix = |bytes: &[u8]| {
        let mut places = bytes.windows(COMPILER.len()).enumerate().filter(|(_, window)| *window == COMPILER);
        places.any(|(place, _)| {
            let text = bytes[place..].iter().take(64).take_while(|byte| **byte != 0).copied();
            text.collect::<Vec<u8>>().ends_with(POSIX.as_bytes())
        })
    };
    if inputs.iter().any(|input| says_posix(input.bytes())) { POSIX } else { "-win32" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_say_for_which_threads_they_are() {
        let object = |text: &str| Input::from_bytes("a.o", text.as_bytes().to_vec());
        let (clang, win32) = (object("clang version 22.1.0"), object("\0GCC: (GNU) 12-win32\0"));
        assert_eq!(model(&[clang, win32]), "-win32");
        assert_eq!(model(&[object("-posix GCC: (GNU) 12\0"), object("\0GCC: (GNU) 12-posix\0")]), POSIX);
    }

    #[test]
    fn the_newest_compiler_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["9-posix", "12-posix", "12-win32", "13-empty"] {
            let of_version = folder.path().join("lib/gcc").join(TRIPLE).join(version);
            std::fs::create_dir_all(&of_version).unwrap();
            if !version.ends_with("empty") {
                std::fs::write(of_version.join("libgcc.a"), "").unwrap();
            }
        }
        let found = folders(folder.path(), POSIX);
        assert!(found[0].ends_with("12-posix"), "{found:?}");
        assert_eq!(archive(&found, "gcc"), Some(found[0].join("libgcc.a")));
        assert!(folders(folder.path(), "-win32")[0].ends_with("12-win32"));
        assert_eq!(archive(&found, "m"), None);
    }
}
