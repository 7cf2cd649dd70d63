//! Brings sources: cargo downloads the crate that ships them, at the exact version, and checks its hash.
//!
//! Each crate has a scratch package of its own with that one dependency, so that crates never have to agree on anything.

use super::bases::Base;
use crate::Result;
use crate::process::capture;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Pauses between tries, in seconds.
const PAUSES: &[u64] = &[2, 10, 30];

/// The folder of a crate; what is needed to find it again stands in `work`.
pub(crate) fn fetch(package: &str, version: &str, work: &Path) -> Result<PathBuf> {
    let note = work.join(format!("package-{version}"));
    if let Ok(known) = std::fs::read_to_string(&note)
        && Path::new(&known).is_dir()
    {
        return Ok(known.into());
    }
    let scratch = work.join("fetch");
    std::fs::create_dir_all(&scratch)?;
    std::fs::write(scratch.join("Cargo.toml"), manifest(package, version))?;
    std::fs::write(scratch.join("lib.rs"), "")?;
    let folder = package_folder(package, &download(&scratch)?)?;
    std::fs::write(&note, folder.to_string_lossy().as_bytes())?;
    Ok(folder)
}

/// A package of its own workspace, so that cargo does not look for ours above it.
fn manifest(package: &str, version: &str) -> String {
    format!(
        "[package]\nname = \"fetch-{package}\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
         [lib]\npath = \"lib.rs\"\n\n[workspace]\n\n\
         [dependencies]\n{package} = {{ version = \"={version}\", default-features = false }}\n"
    )
}

/// What `cargo metadata` says once everything is downloaded.
fn download(scratch: &Path) -> Result<serde_json::Value> {
    let text = patiently(|| {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["metadata", "--quiet", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"]);
        capture(cargo.current_dir(scratch))
    })?;
    Ok(serde_json::from_str(&text)?)
}

/// Does what needs the network, again and again with a growing pause while it fails.
pub(crate) fn patiently<T>(mut job: impl FnMut() -> Result<T>) -> Result<T> {
    let mut pauses = PAUSES.iter();
    loop {
        match (job(), pauses.next()) {
            (Ok(answer), _) => return Ok(answer),
            (Err(error), None) => return Err(error),
            (Err(error), Some(seconds)) => {
                eprintln!("fetch: {error}\nfetch: trying again in {seconds} s");
                std::thread::sleep(Duration::from_secs(*seconds));
            }
        }
    }
}

fn package_folder(name: &str, metadata: &serde_json::Value) -> Result<PathBuf> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let package = packages.into_iter().find(|package| package["name"].as_str() == Some(name));
    let manifest = package.and_then(|package| package["manifest_path"].as_str()).map(Path::new);
    let folder = manifest.and_then(Path::parent).ok_or_else(|| format!("cargo did not bring {name}"))?;
    Ok(folder.to_path_buf())
}

/// The files that the base compiles, in order of path.
pub(crate) fn sources(base: &Base, package: &Path) -> Result<Vec<PathBuf>> {
    let top = package.join(base.folder);
    let mut found = Vec::new();
    for pattern in base.sources {
        let (folder, name) = pattern.rsplit_once('/').unwrap_or((".", pattern));
        let entries =
            std::fs::read_dir(top.join(folder)).map_err(|error| format!("{}: {folder}: {error}", base.name))?;
        for entry in entries {
            let path = entry?.path();
            let file = path.file_name().and_then(|file| file.to_str()).unwrap_or_default();
            if matches(name, file) && !base.without.contains(&file) {
                found.push(path.clone());
            }
        }
    }
    found.sort();
    if found.is_empty() {
        return Err(format!("{}: {} has none of its sources", base.name, package.display()).into());
    }
    Ok(found)
}

/// Whether a file's name is of the pattern's form; at most one `*`.
pub(crate) fn matches(pattern: &str, file: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == file,
        Some((start, end)) => file.len() >= start.len() + end.len() && file.starts_with(start) && file.ends_with(end),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_part_of_a_name() {
        assert!(matches("*.c", "a.c") && matches("lib*.c", "lib.c") && matches("a.c", "a.c"));
        assert!(!matches("*.c", "a.cpp") && !matches("lib*b.c", "lib.c"));
    }
}
