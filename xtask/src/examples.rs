//! The examples that are projects of their own: each folder of `examples` with a manifest is a workspace apart, as a user's
//! project would be, so that what it needs burdens nobody else's build.

use crate::process::{cargo, root, run, step, target};
use crate::{Args, Result};
use std::path::PathBuf;

pub(crate) const OPTIONS: &str = "  --only TEXT   only examples whose folder contains TEXT\n";

pub(crate) fn main(mut args: Args) -> Result {
    let only = args.value("--only")?.unwrap_or_default();
    args.finish()?;
    for folder in projects()?.iter().filter(|folder| folder.to_string_lossy().contains(&only)) {
        check(folder)?;
    }
    Ok(())
}

/// The manifests' folders, in order.
fn projects() -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(root().join("examples"))?.map(|entry| entry.map(|entry| entry.path()));
    let mut folders = entries.collect::<std::io::Result<Vec<PathBuf>>>()?;
    folders.retain(|folder| folder.join("Cargo.toml").is_file());
    folders.sort();
    Ok(folders)
}

/// What CI asks of the workspace, asked of one example.
fn check(folder: &PathBuf) -> Result {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let cargo = |arguments: &[&str]| {
        let mut command = cargo(arguments);
        // One output folder for all, so that what they share with the workspace is built once.
        command.current_dir(folder).env("CARGO_TARGET_DIR", target());
        command
    };
    step(&format!("example {name}"));
    run(&mut cargo(&["fmt", "--check"]))?;
    run(&mut cargo(&["clippy", "--all-targets", "--", "-D", "warnings"]))?;
    run(&mut cargo(&["test", "--lib", "--bins", "--tests"]))
}
