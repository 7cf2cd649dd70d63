//! Finding and running other programs.

use crate::Result;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where Debian puts LLVM's tools under their plain names, best first; looked at after `PATH`.
const LLVM_FOLDERS: &[&str] = &["/usr/lib/llvm-22/bin", "/usr/lib/llvm-21/bin", "/usr/lib/llvm-20/bin"];

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    manifest.parent().map(Path::to_path_buf).unwrap_or(manifest)
}

/// Cargo's output folder, where tasks keep what they download and build.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// The folder in which cargo keeps what it has downloaded.
pub(crate) fn cargo_home() -> PathBuf {
    let given = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    given.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo"))
}

/// Whether this is a CI run, where a missing tool is a failure and not a skip.
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// The first of `names` that is installed.
pub(crate) fn find_tool(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).chain(LLVM_FOLDERS.iter().map(PathBuf::from)).collect();
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file()))
}

/// The machine that programs are compiled for, if the compiler has the runtime of a sanitizer (`asan`) for it.
pub(crate) fn find_runtime(sanitizer: &str) -> Result<Option<String>> {
    let libraries = capture(Command::new("rustc").args(["--print", "target-libdir"]).current_dir(root()))?;
    let suffix = format!("_rt.{sanitizer}.a");
    let there = std::fs::read_dir(libraries.trim())
        .is_ok_and(|entries| entries.flatten().any(|entry| entry.file_name().to_string_lossy().ends_with(&suffix)));
    let version = capture(Command::new("rustc").arg("-vV").current_dir(root()))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.filter(|_| there).map(str::to_owned))
}

/// Says what comes next, so that a long log can be read by its headings.
pub(crate) fn step(title: &str) {
    eprintln!("\n== {title}");
}

/// A cargo command in the repository's root.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    if in_ci() {
        // Nothing is built twice there, and what would make that faster takes half of the disk.
        command.env("CARGO_INCREMENTAL", "0");
    }
    command
}

/// Runs a command, its output going where ours goes.
pub(crate) fn run(command: &mut Command) -> Result {
    let status = command.status().map_err(|error| format!("{}: {error}", shown(command)))?;
    if !status.success() {
        return Err(format!("`{}` failed: {status}", shown(command)).into());
    }
    Ok(())
}

/// Runs a command and returns what it printed; its own complaints are part of the error.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{}: {error}", shown(command)))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{}` failed: {}\n{}", shown(command), output.status, complaint.trim_end()).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The command line as a person would type it, for messages; long ones are cut.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let mut line = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(400) {
        line.truncate(end);
        line.push('…');
    }
    line
}
