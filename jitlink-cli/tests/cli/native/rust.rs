//! Objects of rustc, against the libcore that it ships as an archive.

use super::support::{Folder, find};
use std::path::{Path, PathBuf};

/// The archive with libcore that belongs to this compiler.
fn libcore(rustc: &Path) -> PathBuf {
    let folder = Folder::new();
    let libraries = folder.command(rustc, "--print target-libdir").stdout;
    let mut entries = std::fs::read_dir(libraries.trim()).unwrap().flatten().map(|entry| entry.path());
    let is_core = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("libcore-") && name.ends_with(".rlib")
    };
    entries.find(is_core).expect("rustc ships libcore")
}

#[test]
fn programs_without_std_run_at_every_level_and_model() {
    let Some(rustc) = find(&["rustc"]) else { return };
    let core = libcore(&rustc);
    for options in [
        "-Copt-level=0",
        "-Copt-level=3",
        "-Copt-level=0 -Ccode-model=large",
        "-Copt-level=3 -Ccode-model=large",
        "-Copt-level=0 -Crelocation-model=static",
        "-Copt-level=3 -Crelocation-model=static",
        "-Copt-level=3 -Crelocation-model=pic",
        "-Copt-level=2 -Cdebuginfo=2",
    ] {
        let folder = Folder::new();
        let source = super::source("program.rs");
        folder.tool(&rustc, &format!("--edition 2024 -Cpanic=abort {options} --emit obj -o program.o {source}"));
        let outcome = folder.jitlink(&format!("run program.o {}", core.display()));
        assert_eq!(outcome.visible(), (5, "rust 1 3 7.142\n"), "{options}: {}", outcome.stderr);
    }
}
