//! A large program: the compiler that the benchmark links too, against itself linked by GNU ld.

use super::build_jitlink;
use super::run::run;
use crate::Result;
use crate::bench::program::Program;
use crate::process::{capture, step, target};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What takes this long hangs.
const TIME_LIMIT: Duration = Duration::from_secs(300);

/// As many objects are linked at least.
const FEWEST: u64 = 2000;

pub(super) fn main(jitlink: Option<PathBuf>) -> Result {
    step("conformance of a large program");
    let jitlink = jitlink.map_or_else(build_jitlink, Ok)?;
    let program = Program::make()?;
    let work = target().join("conformance/large");
    std::fs::create_dir_all(&work)?;
    let (native, link) = program.theirs("bfd")?;
    capture(Command::new(&link[0]).args(&link[1..]))?;
    let native = run(&mut Command::new(native), &work.join("native"), TIME_LIMIT)?;
    let ours = program.ours(&jitlink, "run");
    let linked = run(Command::new(&ours[0]).args(&ours[1..]), &work.join("jitlink"), TIME_LIMIT)?;
    if native.end != linked.end {
        return Err(format!("natively it ends with {}, under jitlink with {}", native.end, linked.end).into());
    }
    if native.stdout != linked.stdout || native.stdout.is_empty() {
        return Err(format!("it prints otherwise than natively (see {})", work.display()).into());
    }
    let objects = objects(&program, &jitlink)?;
    if objects < FEWEST {
        return Err(format!("it has {objects} objects, which is not many").into());
    }
    println!("conformance: a program of {objects} objects prints what it prints natively");
    Ok(())
}

/// How many objects the program consists of.
fn objects(program: &Program, jitlink: &Path) -> Result<u64> {
    let link = program.ours(jitlink, "link");
    let mut command = Command::new(&link[0]);
    let output = command.args(&link[1..]).args(["--time", "--format", "json"]).output()?;
    let report: serde_json::Value = serde_json::from_slice(&output.stderr)?;
    report["objects"].as_u64().ok_or_else(|| "jitlink does not say how many objects it linked".into())
}
