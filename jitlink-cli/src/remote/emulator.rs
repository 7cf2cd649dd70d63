//! What a program of another machine or system needs here: an emulator and that machine's C library, or a layer between the two
//! systems; and an executor that was built for it.

use jitlink::LinkError;
use jitlink::core::arch::SystemNames;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable of the environment that names a folder with executors for other machines.
const EXECUTORS: &str = "JITLINK_EXECUTORS";

/// The option by which the connection is over standard input and output.
pub(super) const STDIO: &str = "--stdio";

/// The package with QEMU's programs for single processes.
const QEMU: &str = "qemu-user-static";

/// What the layer between systems is told unless the environment says otherwise: to keep quiet, and not to offer to install things.
const QUIET: [(&str, &str); 2] = [("WINEDEBUG", "-all"), ("WINEDLLOVERRIDES", "mscoree,mshtml=")];

/// The command that starts an executor of that system.
pub(super) fn command(system: &SystemNames) -> Result<Command, LinkError> {
    find(system, &Here::new()).map_err(LinkError::Request)
}

/// Where things are looked for.
struct Here {
    /// The folders of programs.
    path: Vec<PathBuf>,
    /// The folders with executors.
    executors: Vec<PathBuf>,
    /// The root of the file system.
    root: PathBuf,
}

impl Here {
    fn new() -> Here {
        let list = |name: &str| {
            let value = std::env::var_os(name).unwrap_or_default();
            std::env::split_paths(&value).filter(|path| !path.as_os_str().is_empty()).collect::<Vec<_>>()
        };
        let mut executors = list(EXECUTORS);
        if let Some(folder) = std::env::current_exe().ok().as_deref().and_then(Path::parent) {
            // Beside this program; and where the task that builds them puts them.
            executors.push(folder.to_path_buf());
            executors.extend(folder.parent().map(|folder| folder.join("executors")));
        }
        let path = list("PATH");
        executors.extend(path.iter().cloned());
        Here { path, executors, root: "/".into() }
    }
}

fn first(folders: &[PathBuf], names: &[String]) -> Option<PathBuf> {
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file())
}

/// The command, or what is missing, in one line.
fn find(system: &SystemNames, here: &Here) -> Result<Command, String> {
    let target = system.rust_target();
    if let Some(layer) = system.layer_names() {
        return find_layer(target, layer, here);
    }
    let qemu = system
        .qemu_name()
        .ok_or_else(|| format!("code for {target} runs on its own machine only: --executor or --connect"))?;
    let emulator = first(&here.path, &[format!("qemu-{qemu}-static"), format!("qemu-{qemu}")]);
    let emulator = emulator
        .ok_or_else(|| format!("code for {target} needs qemu-{qemu}, which is not here: install the package {QEMU}"))?;
    let (triple, package) = system
        .debian_names()
        .ok_or_else(|| format!("no package is known with the C library for {target}: --executor"))?;
    let root = root(triple, here)
        .ok_or_else(|| format!("code for {target} needs that machine's C library: install the package {package}"))?;
    let executor = executor(target, "", here)?;
    let mut command = Command::new(emulator);
    command.arg("-L").arg(root).arg(executor);
    Ok(command)
}

/// The executor for a target, whose file has this suffix.
fn executor(target: &str, suffix: &str, here: &Here) -> Result<PathBuf, String> {
    first(&here.executors, &[format!("jitlink-executor-{target}{suffix}")]).ok_or_else(|| {
        format!(
            "code for {target} needs jitlink-executor-{target}{suffix}, which is not here: build it with cargo xtask executor \
             --target {target}, or name its folder ({EXECUTORS})"
        )
    })
}

/// The command for a system whose programs run here through a layer between the two.
fn find_layer(target: &str, (program, package): (&str, &str), here: &Here) -> Result<Command, String> {
    // Debian keeps the program itself out of the folders of commands.
    let folders: Vec<PathBuf> = here.path.iter().cloned().chain([here.root.join("usr/lib/wine")]).collect();
    let layer = first(&folders, &[program.to_owned()]).ok_or_else(|| {
        format!("code for {target} needs {program}, which is not here: install the package {package}")
    })?;
    let mut command = Command::new(layer);
    // A descriptor that is inherited means nothing to the other system.
    command.arg(executor(target, ".exe", here)?).arg(STDIO);
    let unsaid = QUIET.iter().filter(|(name, _)| std::env::var_os(name).is_none());
    command.envs(unsaid.copied());
    Ok(command)
}

/// Where the machine's C library is: Debian has those for compilers below `/usr`, and those of foreign systems beside its own.
fn root(triple: &str, here: &Here) -> Option<PathBuf> {
    let cross = here.root.join("usr").join(triple);
    if cross.join("lib/libc.so.6").exists() {
        return Some(cross);
    }
    let foreign = here.root.join("usr/lib").join(triple).join("libc.so.6");
    foreign.exists().then(|| here.root.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jitlink::core::Endian;

    static SYSTEM: SystemNames = SystemNames::new(Endian::Big, 8, "powerpc64", "powerpc64-unknown-linux-gnu")
        .qemu("ppc64")
        .debian("powerpc64-linux-gnu", "libc6-ppc64-cross");

    static WINDOWS: SystemNames = SystemNames::new(Endian::Little, 8, "x86_64", "x86_64-pc-windows-gnu")
        .called_as("win64")
        .layer("wine64", "wine64");

    #[test]
    fn programs_of_another_system_run_by_a_layer_over_standard_streams() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        let make = |path: &str| {
            std::fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            std::fs::write(at(path), "").unwrap();
        };
        let here = Here { path: vec![at("bin")], executors: vec![at("executors")], root: folder.path().to_path_buf() };
        let error = find(&WINDOWS, &here).unwrap_err();
        assert_eq!(error, "code for x86_64-pc-windows-gnu needs wine64, which is not here: install the package wine64");
        // Where Debian has it.
        make("usr/lib/wine/wine64");
        let error = find(&WINDOWS, &here).unwrap_err();
        assert!(error.contains("jitlink-executor-x86_64-pc-windows-gnu.exe, which is not here"), "{error}");
        make("executors/jitlink-executor-x86_64-pc-windows-gnu.exe");
        let command = find(&WINDOWS, &here).unwrap();
        assert_eq!(command.get_program(), at("usr/lib/wine/wine64"));
        let arguments: Vec<PathBuf> = command.get_args().map(PathBuf::from).collect();
        assert_eq!(arguments, [at("executors/jitlink-executor-x86_64-pc-windows-gnu.exe"), PathBuf::from(STDIO)]);
    }

    #[test]
    fn what_is_missing_is_said_one_by_one_and_then_all_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        let make = |path: &str| {
            std::fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            std::fs::write(at(path), "").unwrap();
        };
        let here = Here { path: vec![at("bin")], executors: vec![at("executors")], root: folder.path().to_path_buf() };
        let missing = |words: &str| {
            let error = find(&SYSTEM, &here).unwrap_err();
            assert!(error.contains(words) && !error.contains('\n'), "{error}");
        };
        missing("install the package qemu-user-static");
        make("bin/qemu-ppc64");
        missing("install the package libc6-ppc64-cross");
        make("usr/powerpc64-linux-gnu/lib/libc.so.6");
        missing("cargo xtask executor --target powerpc64-unknown-linux-gnu");
        make("executors/jitlink-executor-powerpc64-unknown-linux-gnu");
        let command = find(&SYSTEM, &here).unwrap();
        assert_eq!(command.get_program(), at("bin/qemu-ppc64"));
        let arguments: Vec<PathBuf> = command.get_args().map(PathBuf::from).collect();
        let executor = at("executors/jitlink-executor-powerpc64-unknown-linux-gnu");
        assert_eq!(arguments, [PathBuf::from("-L"), at("usr/powerpc64-linux-gnu"), executor]);
    }
}
