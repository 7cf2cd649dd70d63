//! Fuzzing for a limited time, and replaying what fuzzing found.
//!
//! The targets are functions in `fuzz/`, a workspace of its own. Two things can be done with them: every compiler can *replay* the
//! committed inputs, which is an ordinary test; and where `cargo fuzz` and the compiler's address sanitizer are to be had, the
//! targets are *run* on inputs that nobody has seen. The sanitizers are unstable options of every compiler, stable ones
//! included, which is what `RUSTC_BOOTSTRAP` is for.
//!
//! What is learnt between runs (the corpus, and inputs that failed) stays in cargo's output folder.

use crate::process::{cargo, find_runtime, find_tool, in_ci, root, run, shown, step, target};
use crate::{Args, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const OPTIONS: &str =
    "  --target T    one of the targets: elf, coff, directives, imports, archive, link, update, bpf, vm, remote
  --seconds N   how long each target runs (default 60); 0 only replays the committed inputs
  --input FILE  run a target on one file, for example on one that failed
";

/// A target: its name, and the largest inputs that it is given.
const TARGETS: &[(&str, usize)] = &[
    ("elf", 20_000),
    ("coff", 20_000),
    ("directives", 1_024),
    ("imports", 8_192),
    ("archive", 8_192),
    ("link", 4_096),
    ("update", 2_048),
    ("bpf", 20_000),
    ("vm", 2_048),
    ("remote", 2_048),
];

/// An input that needs more memory (MiB) or time (seconds) than this is a finding: what the targets are given is small.
const MEMORY: usize = 1024;
const TIME: usize = 10;

pub(crate) fn main(mut args: Args) -> Result {
    let only = args.value("--target")?;
    let seconds = args.number("--seconds")?.unwrap_or(60);
    let input = args.value("--input")?;
    args.finish()?;
    let wanted: Vec<_> = TARGETS.iter().filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name)).collect();
    match (&input, wanted.as_slice()) {
        (_, []) => return Err(format!("there is no target `{}` (see --help)", only.unwrap_or_default()).into()),
        (Some(file), [(name, _)]) => return one(name, Path::new(file)),
        (Some(_), _) => return Err("--input needs --target".into()),
        (None, _) => {}
    }
    replay()?;
    if seconds > 0 {
        fuzz(&wanted, seconds, None)?;
    }
    Ok(())
}

/// What CI does: the committed inputs always, new ones for a moment where that is possible. The same ones for the same code, so
/// that a change is judged by what it does and not by chance.
pub(crate) fn ci() -> Result {
    replay()?;
    fuzz(&TARGETS.iter().collect::<Vec<_>>(), 10, Some(1))
}

/// Runs the committed inputs through the targets, as a test that needs nothing but a compiler.
fn replay() -> Result {
    step("committed inputs of the fuzz targets");
    let manifest = root().join("fuzz/Cargo.toml");
    let mut command = cargo(&["test", "--locked", "--no-default-features", "--tests", "--manifest-path"]);
    run(command.arg(manifest).arg("--target-dir").arg(target().join("fuzz/replay")))
}

/// Runs targets on inputs that follow from `seed`, or on others each time.
fn fuzz(targets: &[&(&str, usize)], seconds: usize, seed: Option<u32>) -> Result {
    let programs = match programs()? {
        Ok(programs) => programs,
        Err(missing) => {
            // The replay has been done, so nothing that was found once is lost.
            eprintln!("skipped: fuzzing needs {missing}");
            return Ok(());
        }
    };
    for (name, longest) in targets {
        step(&format!("fuzz {name} for {seconds} s"));
        let artifacts = folder("artifacts", name)?;
        let seeds = root().join("fuzz/seeds");
        let mut command = Command::new(programs.join(name));
        command.arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={longest}"));
        // Whole links are worth trying with long inputs from the start.
        let grows = ["elf", "coff", "imports", "archive"].contains(name);
        command.arg(format!("-len_control={}", if grows { 100 } else { 0 }));
        command.args(seed.map(|seed| format!("-seed={seed}")));
        limits(&mut command, &artifacts);
        let dictionary = seeds.join(format!("{name}.dict"));
        if dictionary.is_file() {
            command.arg(format!("-dict={}", dictionary.display()));
        }
        command.arg(folder("corpus", name)?).arg(seeds.join(name)).current_dir(&artifacts);
        let output = command.output().map_err(|error| format!("{}: {error}", shown(&command)))?;
        let log = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            eprint!("{log}");
            return Err(finding(name, &log).into());
        }
        eprintln!("{}", log.lines().rfind(|line| line.contains("DONE")).unwrap_or("it ran"));
    }
    Ok(())
}

/// Runs a target on one file.
fn one(name: &str, file: &Path) -> Result {
    let programs = programs()?.map_err(|missing| format!("fuzzing needs {missing}"))?;
    let mut command = Command::new(programs.join(name));
    limits(&mut command, &folder("artifacts", name)?);
    run(command.arg(file))
}

fn limits(command: &mut Command, artifacts: &Path) {
    command.arg(format!("-rss_limit_mb={MEMORY}")).arg(format!("-timeout={TIME}")).arg("-print_final_stats=1");
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
}

fn finding(name: &str, log: &str) -> String {
    let file = log.lines().find_map(|line| Some(line.split_once("Test unit written to ")?.1));
    let file = file.unwrap_or("(no file)");
    format!(
        "{name}: a finding, {file}. Try it with `cargo xtask fuzz --target {name} --input {file}`; once it is fixed, commit the \
         file, made as small as possible, to fuzz/seeds/{name}"
    )
}

/// A folder of a target that outlives the run.
fn folder(kind: &str, name: &str) -> Result<PathBuf> {
    let folder = target().join("fuzz").join(kind).join(name);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Builds the fuzzing programs; where they are, or what is missing for it.
fn programs() -> Result<std::result::Result<PathBuf, &'static str>> {
    let Some(host) = find_runtime("asan")? else {
        return Ok(Err("the compiler's runtime of the address sanitizer, which this target does not have"));
    };
    if find_tool(&["c++", "g++", "clang++"]).is_none() {
        return Ok(Err("a C++ compiler (try `cargo xtask setup`)"));
    }
    if find_tool(&["cargo-fuzz"]).is_none() {
        if !in_ci() {
            return Ok(Err("cargo-fuzz: `cargo install --locked cargo-fuzz`"));
        }
        run(&mut cargo(&["install", "--locked", "cargo-fuzz"]))?;
    }
    step("build the fuzz targets");
    let output = target().join("fuzz/build");
    let mut build = cargo(&["fuzz", "build", "--target", &host, "--target-dir"]);
    run(build.arg(&output).env("RUSTC_BOOTSTRAP", "1").env_remove("RUSTFLAGS").env_remove("CARGO_TARGET_DIR"))?;
    Ok(Ok(output.join(host).join("release")))
}
