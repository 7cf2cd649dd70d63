//! Brings packages: Debian's by apt-get, crates by cargo. Both check hashes against what their index says, and versions are
//! exact, so that the same bytes come each time or none.
//!
//! Nothing is installed and no root is needed: apt's lists and packages are kept in a folder of ours, with the sources
//! that this machine has.

use super::projects::Package;
use crate::Result;
use crate::conformance::fetch::patiently;
use crate::process::{capture, cargo_home};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The file in a folder that says that all of a package is in it.
const WHOLE: &str = "whole-package";

/// The files of one package of Debian, below a folder of `work`.
pub(super) fn debian(package: &Package, work: &Path) -> Result<PathBuf> {
    let folder = work.join("debian").join(format!("{}_{}", package.name, package.version));
    if folder.join(WHOLE).is_file() {
        return Ok(folder);
    }
    let state = work.join("apt");
    let downloads = state.join("downloads");
    for needed in [&folder, &downloads, &state.join("lists/partial"), &state.join("archives/partial")] {
        std::fs::create_dir_all(needed)?;
    }
    let wanted = format!("{}={}", package.name, package.version);
    let download = || capture(apt_get(&state, &["download", &wanted]).current_dir(&downloads));
    // The lists may be old, or not there yet.
    patiently(|| download().or_else(|_| capture(&mut apt_get(&state, &["update"])).and_then(|_| download())))
        .map_err(|error| format!("{error}\n(the package is Debian 12's; other systems have other versions)"))?;
    let file = downloaded(package, &downloads)?;
    capture(Command::new("dpkg-deb").arg("-x").arg(&file).arg(&folder))?;
    std::fs::write(folder.join(WHOLE), "")?;
    Ok(folder)
}

fn apt_get(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.arg("-q").arg("-o").arg(format!("Dir::State::Lists={}", state.join("lists").display()));
    command.arg("-o").arg(format!("Dir::Cache={}", state.display()));
    // Root would become a user who cannot write here.
    command.args(["-o", "APT::Sandbox::User=root"]).args(arguments);
    command
}

/// The file of a package among what was downloaded; apt writes `:` in versions as `%3a`.
fn downloaded(package: &Package, folder: &Path) -> Result<PathBuf> {
    let start = format!("{}_{}_", package.name, package.version.replace(':', "%3a"));
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&start)) {
            return Ok(path);
        }
    }
    Err(format!("apt-get did not bring {} {}", package.name, package.version).into())
}

/// The folder of a crate, where cargo keeps what it has downloaded. Other than a dependency the crate comes alone.
pub(super) fn of_crate(package: &Package) -> Result<PathBuf> {
    if let Some(folder) = unpacked(package) {
        return Ok(folder);
    }
    let wanted = format!("{}@{}", package.name, package.version);
    patiently(|| {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        capture(cargo.args(["info", "--quiet", "--registry", "crates-io", &wanted])).map(drop)
    })?;
    unpacked(package).ok_or_else(|| format!("cargo did not bring {wanted}").into())
}

fn unpacked(package: &Package) -> Option<PathBuf> {
    let registries = std::fs::read_dir(cargo_home().join("registry/src")).ok()?;
    let folders = registries.flatten().map(|registry| registry.path());
    let mut folders = folders.map(|registry| registry.join(format!("{}-{}", package.name, package.version)));
    // Cargo writes this file last.
    folders.find(|folder| folder.join(".cargo-ok").is_file())
}

/// A folder with what is in an archive of a crate.
pub(super) fn archive(package: &Package, archive: &str, work: &Path) -> Result<PathBuf> {
    let folder = work.join("archives").join(format!("{}-{}", package.name, package.version));
    if !folder.join(WHOLE).is_file() {
        std::fs::create_dir_all(&folder)?;
        capture(Command::new("tar").arg("-xf").arg(of_crate(package)?.join(archive)).arg("-C").arg(&folder))?;
        std::fs::write(folder.join(WHOLE), "")?;
    }
    Ok(folder)
}
