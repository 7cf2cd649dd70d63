//! Objects made by compilers.

use jitlink::Input;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What compilers for this machine are called, where it is not the machine that usually runs these tests: the triple of Debian's names.
const CROSS: Option<&str> = if cfg!(target_arch = "powerpc") {
    Some("powerpc-linux-gnu")
} else if cfg!(all(target_arch = "powerpc64", target_endian = "big")) {
    Some("powerpc64-linux-gnu")
} else if cfg!(target_arch = "powerpc64") {
    Some("powerpc64le-linux-gnu")
} else {
    None
};

/// Compilers of C with the names that they may have.
pub(crate) const C_COMPILERS: [&[&str]; 2] = [&["gcc"], &["clang-22", "clang"]];

/// Compilers of C++ with the names that they may have.
pub(crate) const CXX_COMPILERS: [&[&str]; 2] = [&["g++"], &["clang++-22", "clang++"]];

fn is_clang(name: &str) -> bool {
    name.starts_with("clang")
}

/// The first of these programs that is installed. Without one, says that the test skips itself; in CI that is a failure.
pub(crate) fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let full = |name: &str| match CROSS {
        Some(triple) if !is_clang(name) => format!("{triple}-{name}"),
        _ => name.to_string(),
    };
    let found =
        names.iter().find_map(|name| folders.iter().map(|folder| folder.join(full(name))).find(|file| file.is_file()));
    if found.is_none() {
        let test = std::thread::current().name().unwrap_or("a test").to_string();
        let in_ci = std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
        assert!(!in_ci, "{test}: {} is not installed, and CI skips no test", names.join(" or "));
        eprintln!("{test}: skipped in part: {} is not installed", names.join(" or "));
    }
    found
}

/// The object of a text.
pub(crate) fn text(compiler: &Path, language: &str, text: &str, flags: &str) -> Input {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(format!("text.{language}"));
    std::fs::write(&path, text).expect("a source");
    compile(compiler, &path, flags)
}

/// The object of a source.
pub(crate) fn compile(compiler: &Path, path: &Path, flags: &str) -> Input {
    let folder = tempfile::tempdir().expect("a folder");
    let object = folder.path().join("out.o");
    let mut command = Command::new(compiler);
    if let Some(triple) = CROSS.filter(|_| compiler.file_name().is_some_and(|name| is_clang(&name.to_string_lossy()))) {
        command.arg(format!("--target={triple}"));
    }
    command.args(flags.split_whitespace()).arg("-w").arg("-c").arg(path).arg("-o").arg(&object);
    let output = command.output().expect("a compiler that starts");
    assert!(output.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&output.stderr));
    Input::from_bytes(format!("{}", path.display()), std::fs::read(&object).expect("an object"))
}
