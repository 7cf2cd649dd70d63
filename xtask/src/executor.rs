//! Builds the executor for another machine.
//!
//! A prebuilt standard library comes from rustup where that has one for the target and can get it. Otherwise Debian's package of a
//! recent compiler, with the library's sources, is unpacked into cargo's output folder, and the library is built from these. Nothing of
//! it is installed.

use crate::process::{capture, cargo, find_tool, root, run, step, target};
use crate::{Args, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const OPTIONS: &str =
    "  --target T    the machine, as Rust calls it: powerpc64le-unknown-linux-gnu (default: this one)
  --from-source  build the standard library, even if there is a prebuilt one
  --check       test that it runs that machine's code, under an emulator if it is another
";

/// Debian's packages of a recent compiler, and of the sources of its standard library.
const COMPILER: &str = "rustc-web";
const SOURCES: &str = "rust-web-src";
const LIBRARY: &str = "libstd-rust-web-dev";

pub(crate) fn main(mut args: Args) -> Result {
    let wanted = args.value("--target")?;
    let from_source = args.flag("--from-source");
    let checks = args.flag("--check");
    args.finish()?;
    let host = host()?;
    let wanted = wanted.unwrap_or_else(|| host.clone());
    let path = build(&wanted, &host, from_source)?;
    if checks {
        check(&path, &wanted, &host)?;
    }
    println!("{}", path.display());
    Ok(())
}

/// Builds the executor for a target, where `jitlink run` finds it.
pub(crate) fn for_target(wanted: &str) -> Result<PathBuf> {
    build(wanted, &host()?, false)
}

/// Has the executor run code of its machine.
fn check(path: &Path, wanted: &str, host: &str) -> Result {
    step(&format!("code for {wanted} in its executor"));
    let mut command = path.display().to_string();
    if is_windows(wanted) {
        let wine = crate::wine::find().ok_or("Wine is not here: install the package wine64")?;
        command = format!("{} {command} --stdio", wine.display());
    } else if wanted != host {
        let arch = wanted.split('-').next().unwrap_or_default();
        let name = match arch {
            "powerpc64le" => "ppc64le",
            "powerpc64" => "ppc64",
            "powerpc" => "ppc",
            "riscv64gc" => "riscv64",
            other => other,
        };
        let names = [format!("qemu-{name}-static"), format!("qemu-{name}")];
        let emulator = find_tool(&names.each_ref().map(String::as_str));
        let emulator =
            emulator.ok_or_else(|| format!("qemu-{name} is not here: install the package qemu-user-static"))?;
        command = format!("{} -L /usr/{} {command}", emulator.display(), triple(wanted));
    }
    let mut tests = cargo(&["test", "--locked", "-p", "jitlink-executor", "--test", "foreign", "--", "--ignored"]);
    run(tests.env("JITLINK_FOREIGN_EXECUTOR", command))
}

/// The machine that this one is, as Rust calls it.
fn host() -> Result<String> {
    let version = capture(Command::new("rustc").arg("-vV").current_dir(root()))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("rustc does not say for which machine it is")?.to_owned())
}

/// Builds the executor for a target; where it is then.
fn build(wanted: &str, host: &str, from_source: bool) -> Result<PathBuf> {
    step(&format!("executor for {wanted}"));
    let folder = target().join("cross");
    let mut command = cargo(&["build", "--release", "--locked", "-p", "jitlink-executor", "--bin", "jitlink-executor"]);
    command.args(["--target", wanted]).arg("--target-dir").arg(&folder);
    if wanted != host {
        let linker = linker(wanted);
        if find_tool(&[&linker]).is_none() {
            return Err(format!("{linker} is not here: install the package {}", package(wanted)).into());
        }
        command.env(format!("CARGO_TARGET_{}_LINKER", wanted.to_uppercase().replace('-', "_")), linker);
    }
    if from_source || !(wanted == host || has_prebuilt(wanted)) {
        let compiler = Compiler::unpack(&target().join("cross-rust"))?;
        // Unstable options are what RUSTC_BOOTSTRAP is for.
        command.env("RUSTC", &compiler.rustc).env("LD_LIBRARY_PATH", &compiler.libraries).env("RUSTC_BOOTSTRAP", "1");
        command.arg("-Zbuild-std=std,panic_abort");
    }
    run(&mut command)?;
    let suffix = if is_windows(wanted) { ".exe" } else { "" };
    let built = folder.join(wanted).join(format!("release/jitlink-executor{suffix}"));
    let executors = target().join("executors");
    std::fs::create_dir_all(&executors)?;
    let path = executors.join(format!("jitlink-executor-{wanted}{suffix}"));
    std::fs::copy(&built, &path).map_err(|error| format!("{}: {error}", built.display()))?;
    if is_windows(wanted) {
        supply_random(&linker(wanted), &executors)?;
    }
    Ok(path)
}

fn is_windows(target: &str) -> bool {
    target.ends_with("-windows-gnu")
}

/// Puts the library of random bytes beside the executor which Wine before its version 9 does not have.
fn supply_random(compiler: &str, folder: &Path) -> Result {
    let source = root().join("jitlink-executor/wine/bcryptprimitives.c");
    let mut command = Command::new(compiler);
    command.args(["-Os", "-s", "-shared", "-o"]).arg(folder.join("bcryptprimitives.dll")).arg(source).arg("-ladvapi32");
    run(&mut command)
}

/// Whether rustup has the standard library for a target, or can get it.
pub(crate) fn has_prebuilt(wanted: &str) -> bool {
    let Some(rustup) = find_tool(&["rustup"]) else { return false };
    match capture(Command::new(rustup).args(["target", "add", wanted]).current_dir(root())) {
        Ok(_) => true,
        Err(_) => {
            eprintln!("executor: rustup has no standard library for {wanted} here, so it is built from source");
            false
        }
    }
}

/// Debian's package of the compiler for a target.
fn package(wanted: &str) -> String {
    match wanted.strip_suffix("-pc-windows-gnu") {
        Some(arch) => format!("gcc-mingw-w64-{}", arch.replace('_', "-")),
        None => format!("gcc-{}", triple(wanted)),
    }
}

/// What Debian calls a target.
fn triple(wanted: &str) -> String {
    if let Some(arch) = wanted.strip_suffix("-pc-windows-gnu") {
        return format!("{arch}-w64-mingw32");
    }
    wanted.replacen("-unknown-", "-", 1).replacen("riscv64gc-", "riscv64-", 1).replacen("armv7-", "arm-", 1)
}

fn linker(wanted: &str) -> String {
    format!("{}-gcc", triple(wanted))
}

/// An unpacked compiler.
struct Compiler {
    rustc: PathBuf,
    libraries: PathBuf,
}

impl Compiler {
    /// The compiler in a folder, which is put there if it is not.
    fn unpack(folder: &Path) -> Result<Compiler> {
        let unpacked = folder.join("root");
        let rustc = unpacked.join("usr/bin/rustc");
        if !rustc.is_file() {
            std::fs::create_dir_all(folder)?;
            download(folder)?;
            for package in packages_in(folder)? {
                run(Command::new("dpkg").arg("-x").arg(&package).arg(&unpacked))?;
                std::fs::remove_file(package)?;
            }
        }
        let libraries = library_folder(&unpacked.join("usr/lib"))?;
        let output = Command::new(&rustc).arg("-V").env("LD_LIBRARY_PATH", &libraries).output();
        match output {
            Ok(output) if output.status.success() => Ok(Compiler { rustc, libraries }),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                let missing = said.split_whitespace().find(|word| word.contains("libLLVM")).unwrap_or("a library");
                Err(format!("{} does not start: install the package of {missing}\n{said}", rustc.display()).into())
            }
            Err(error) => Err(format!("{}: {error}", rustc.display()).into()),
        }
    }
}

/// Downloads the packages.
fn download(folder: &Path) -> Result {
    let policy = capture(Command::new("apt-cache").args(["policy", SOURCES]))?;
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "));
    let version =
        version.filter(|version| *version != "(none)").ok_or_else(|| format!("no package source has {SOURCES}"))?;
    let shown = capture(Command::new("apt-cache").args(["show", &format!("{LIBRARY}={version}")]))?;
    let depends = shown.lines().find_map(|line| line.strip_prefix("Depends: ")).unwrap_or_default();
    let runtime = depends.split([' ', ',']).find(|word| word.starts_with("libstd-rust-web-1"));
    let runtime = runtime.ok_or_else(|| format!("{LIBRARY} does not say which library it is for"))?;
    let mut command = Command::new("apt-get");
    command.args(["download", "-q"]).current_dir(folder);
    command.args([COMPILER, SOURCES, LIBRARY, runtime].map(|package| format!("{package}={version}")));
    run(&mut command)
}

fn packages_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    Ok(entries.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "deb")).collect())
}

/// The folder below this one with the compiler's own library.
fn library_folder(folder: &Path) -> Result<PathBuf> {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with("librustc_driver") {
                return Ok(folder);
            }
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Err(format!("no compiler is below {}", folder.display()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_debians_names() {
        for (target, name) in [
            ("powerpc64le-unknown-linux-gnu", "powerpc64le-linux-gnu-gcc"),
            ("powerpc64-unknown-linux-gnu", "powerpc64-linux-gnu-gcc"),
            ("powerpc-unknown-linux-gnu", "powerpc-linux-gnu-gcc"),
            ("riscv64gc-unknown-linux-gnu", "riscv64-linux-gnu-gcc"),
            ("armv7-unknown-linux-gnueabihf", "arm-linux-gnueabihf-gcc"),
            ("x86_64-pc-windows-gnu", "x86_64-w64-mingw32-gcc"),
        ] {
            assert_eq!(linker(target), name);
        }
        assert_eq!(package("x86_64-pc-windows-gnu"), "gcc-mingw-w64-x86-64");
    }
}
