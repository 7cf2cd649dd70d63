//! Whether every crate could be published now, and its package is whole.
//!
//! `cargo publish --dry-run` makes each package and builds it from what is in it, in the order of their dependencies. What cargo
//! does not look at is checked first: a package says what it is for, carries both licences, and holds the files that its
//! sources and tests include.

use crate::process::{capture, cargo, cargo_home, root, run, step, target};
use crate::{Args, Result};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

pub(crate) const OPTIONS: &str = "  --dry-run    publish nothing (the only way there is: releases are made by hand)
  --no-build   do not build the packages from what is in them
";

/// What a manifest must say, besides what cargo demands.
const FIELDS: &[&str] = &["description", "license", "repository", "readme", "rust_version"];

/// What each package must hold.
const FILES: &[&str] = &["README.md", "LICENSE-APACHE", "LICENSE-MIT"];

pub(crate) fn main(mut args: Args) -> Result {
    let dry_run = args.flag("--dry-run");
    let without_build = args.flag("--no-build");
    args.finish()?;
    if !dry_run {
        return Err("say --dry-run: publishing itself is done by hand".into());
    }
    check(without_build)
}

/// Checks all packages, then lets cargo make and build them.
pub(crate) fn check(without_build: bool) -> Result {
    step("packages");
    let packages = packages()?;
    let mut findings = Vec::new();
    for package in &packages {
        package.check(&mut findings)?;
    }
    for finding in &findings {
        eprintln!("{finding}");
    }
    if !findings.is_empty() {
        return Err(format!("{} packages or files are not as they must be", findings.len()).into());
    }
    // A folder of its own, because what cargo builds of packages it takes for the same as long as the version is.
    let built = target().join("publish").to_string_lossy().into_owned();
    let mut clean = cargo(&["clean", "--quiet", "--target-dir", &built]);
    for package in &packages {
        package.forget_unpacked()?;
        clean.args(["--package", &package.name]);
    }
    run(&mut clean)?;
    let mut publish = cargo(&["publish", "--dry-run", "--allow-dirty", "--target-dir", &built]);
    if without_build {
        publish.arg("--no-verify");
    }
    for package in &packages {
        publish.args(["--package", &package.name]);
    }
    run(&mut publish)
}

/// A crate that is published.
pub(crate) struct Package {
    pub(crate) name: String,
    /// Its library's name, if it has one.
    pub(crate) library: Option<String>,
    manifest: Value,
}

/// The crates of the workspace that are published.
pub(crate) fn packages() -> Result<Vec<Package>> {
    let text = capture(&mut cargo(&["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&text)?;
    let all = metadata["packages"].as_array().into_iter().flatten();
    // `publish = false` is an empty list of registries.
    let published = all.filter(|package| package["publish"].as_array().is_none_or(|registries| !registries.is_empty()));
    Ok(published.map(Package::new).collect())
}

impl Package {
    fn new(manifest: &Value) -> Package {
        let targets = manifest["targets"].as_array().into_iter().flatten();
        let is_library = |target: &&Value| target["kind"].as_array().is_some_and(|kinds| kinds.contains(&"lib".into()));
        let library = targets.clone().find(is_library).and_then(|target| target["name"].as_str());
        Package {
            name: manifest["name"].as_str().unwrap_or_default().to_owned(),
            library: library.map(str::to_owned),
            manifest: manifest.clone(),
        }
    }

    /// Deletes what cargo unpacked of the package to build those that depend on it.
    ///
    /// The packages of a dry run come from a registry in a folder, and cargo unpacks them where it does those of crates.io. It
    /// takes what is there already for the same version's, though the package was made anew from other sources.
    fn forget_unpacked(&self) -> Result {
        let Ok(registries) = std::fs::read_dir(cargo_home().join("registry/src")) else { return Ok(()) };
        let version = self.manifest["version"].as_str().unwrap_or_default();
        for registry in registries {
            let registry = registry?;
            // A registry's name is its host's, which one in a folder lacks, and a hash.
            let unpacked = registry.path().join(format!("{}-{version}", self.name));
            if registry.file_name().to_string_lossy().starts_with('-') && unpacked.exists() {
                std::fs::remove_dir_all(unpacked)?;
            }
        }
        Ok(())
    }

    fn check(&self, findings: &mut Vec<String>) -> Result {
        let name = &self.name;
        for field in FIELDS.iter().filter(|field| self.manifest[**field].as_str().is_none_or(str::is_empty)) {
            findings.push(format!("{name}/Cargo.toml: it has no `{field}`"));
        }
        for list in ["categories", "keywords"] {
            if self.manifest[list].as_array().is_none_or(Vec::is_empty) {
                findings.push(format!("{name}/Cargo.toml: it has no `{list}`"));
            }
        }
        if self.library.is_some() && self.manifest["metadata"]["docs"]["rs"].is_null() {
            findings.push(format!("{name}/Cargo.toml: [package.metadata.docs.rs] does not say what docs.rs documents"));
        }
        let list = capture(&mut cargo(&["package", "--list", "--allow-dirty", "--package", name]))?;
        let files: BTreeSet<PathBuf> = list.lines().map(PathBuf::from).collect();
        for file in FILES.iter().filter(|file| !files.contains(Path::new(file))) {
            findings.push(format!("{name}: its package has no {file} (ln -s ../{file} {name}/{file})"));
        }
        let folder = root().join(name);
        let readme = std::fs::read_to_string(folder.join("README.md")).unwrap_or_default();
        if readme.lines().filter(|line| !line.trim().is_empty()).count() < 3 {
            findings.push(format!("{name}/README.md: it does not say what the crate is for"));
        }
        for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
            let Ok(text) = std::fs::read_to_string(folder.join(file)) else { continue };
            for included in included(file, &text).into_iter().filter(|included| !files.contains(included)) {
                let included = included.display();
                findings.push(format!("{name}/{}: it includes {included}, which its package lacks", file.display()));
            }
        }
        Ok(())
    }
}

/// The files that a source includes by name, relative to its package.
fn included(source: &Path, text: &str) -> Vec<PathBuf> {
    let macros = ["include_str!(\"", "include_bytes!(\"", "include!(\""];
    let after = macros.iter().flat_map(|name| text.split(name).skip(1));
    let names = after.filter_map(|rest| rest.split('"').next());
    names.map(|name| resolved(&source.parent().unwrap_or(Path::new("")).join(name))).collect()
}

/// A relative path without `.` and, where that is possible, without `..`.
fn resolved(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => _ = plain.pop(),
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::included;
    use std::path::{Path, PathBuf};

    #[test]
    fn included_files_are_found_from_where_they_are_named() {
        let text = concat!(
            "const A: &[u8] = include_",
            "bytes!(\"fixtures/a.o\");\n#![doc = include_",
            "str!(\"../README.md\")]"
        );
        let found = |source: &str| included(Path::new(source), text);
        let paths = |first: &str, second: &str| vec![PathBuf::from(first), PathBuf::from(second)];
        let mut expected = paths("README.md", "src/fixtures/a.o");
        assert_eq!(found("src/lib.rs"), expected);
        expected = paths("../README.md", "fixtures/a.o");
        assert_eq!(found("build.rs"), expected);
    }
}
