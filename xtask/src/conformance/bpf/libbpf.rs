//! Loads an object as libbpf does: `bpftool prog loadall`, and what the kernel then says of its programs and maps.
//!
//! Each load has a mount namespace and a BPF file system of its own, so whatever is pinned, by bpftool or because a map
//! asks for it, is gone when the load's process has ended, however it ends.

use super::refusal::Refusal;
use crate::Result;
use crate::process::{capture, find_tool};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// `$0` is bpftool, `$1` the object. Prints a line of JSON for each program, and one for all maps there are.
const LOAD: &str = r#"
mount -t bpf bpf /sys/fs/bpf || exit 3
"$0" prog loadall "$1" /sys/fs/bpf/programs || exit 4
for program in /sys/fs/bpf/programs/*; do
    [ -e "$program" ] || continue
    "$0" --json prog show pinned "$program" && echo || exit 5
done
"$0" --json map show && echo
"#;

/// What `LOAD` exits with where the object was not loaded.
const REFUSED: i32 = 4;

/// What was loaded, as the kernel tells it, in order of name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Loaded {
    pub(super) programs: Vec<Program>,
    /// Each map that a program uses, on a line.
    pub(super) maps: BTreeSet<String>,
}

/// A program, as the kernel tells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Program {
    /// The first 15 bytes of its name.
    pub(super) name: String,
    /// How many bytes its instructions are, as the verifier left them.
    pub(super) size: u64,
    /// The kernel's hash of its instructions, as they were before.
    pub(super) tag: String,
}

/// bpftool on a machine where it may load.
pub(super) struct Loader {
    bpftool: PathBuf,
}

impl Loader {
    /// Fails with the reason where nothing can be loaded here.
    pub(super) fn new(bpftool: PathBuf) -> Result<Loader> {
        let make = r#"mount -t bpf bpf /sys/fs/bpf &&
            "$0" map create /sys/fs/bpf/probe type array key 4 value 4 entries 1 name probe"#;
        let output = in_own_namespace(make, &bpftool, None)?;
        match output.status.success() {
            true => Ok(Loader { bpftool }),
            false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned().into()),
        }
    }

    /// Loads all programs of an object; a refusal is an answer, not an error.
    pub(super) fn load(&self, object: &Path) -> Result<std::result::Result<Loaded, Refusal>> {
        let output = in_own_namespace(LOAD, &self.bpftool, Some(object))?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(0) => Ok(Ok(loaded(&String::from_utf8_lossy(&output.stdout))?)),
            Some(REFUSED) => Ok(Err(Refusal::new(&complaint, &object.to_string_lossy()))),
            _ => Err(format!("{}: {}: {complaint}", object.display(), output.status).into()),
        }
    }

    /// Links objects as libbpf does.
    pub(super) fn link(&self, objects: &[PathBuf], output: &Path) -> std::result::Result<(), Refusal> {
        let mut command = Command::new(&self.bpftool);
        capture(command.args(["gen", "object"]).arg(output).args(objects))
            .map(drop)
            .map_err(|error| Refusal::new(&error.to_string(), &output.to_string_lossy()))
    }
}

fn in_own_namespace(script: &str, bpftool: &Path, object: Option<&Path>) -> Result<std::process::Output> {
    let unshare = find_tool(&["unshare"]).ok_or("there is no unshare here (package util-linux)")?;
    let mut command = Command::new(unshare);
    command.args(["--mount", "sh", "-c", script]).arg(bpftool).args(object).stdin(Stdio::null());
    Ok(command.output()?)
}

/// From what [`LOAD`] printed.
fn loaded(printed: &str) -> Result<Loaded> {
    let mut lines: Vec<Value> = Vec::new();
    for line in printed.lines().filter(|line| !line.is_empty()) {
        lines.push(serde_json::from_str(line).map_err(|error| format!("bpftool printed `{line}`: {error}"))?);
    }
    let all_maps = lines.pop().ok_or("bpftool printed nothing")?;
    let mut programs = Vec::new();
    let mut used = BTreeSet::new();
    for program in &lines {
        used.extend(program["map_ids"].as_array().into_iter().flatten().filter_map(Value::as_u64));
        programs.push(Program {
            // bpftool completes it from the types.
            name: program["name"].as_str().unwrap_or_default().chars().take(15).collect(),
            size: program["bytes_xlated"].as_u64().unwrap_or_default(),
            tag: program["tag"].as_str().unwrap_or_default().to_owned(),
        });
    }
    let is_used = |map: &&Value| map["id"].as_u64().is_some_and(|id| used.contains(&id));
    let maps = all_maps.as_array().into_iter().flatten().filter(is_used).map(map_line).collect();
    programs.sort();
    Ok(Loaded { programs, maps })
}

/// What a map is, without what differs from load to load.
fn map_line(map: &Value) -> String {
    let field = |name: &str| map[name].as_u64().unwrap_or_default();
    let text = |name: &str| map[name].as_str().map_or_else(|| map[name].to_string(), str::to_owned);
    format!(
        "{} of type {}: key {}, value {}, {} elements, flags {:#x}",
        text("name"),
        text("type"),
        field("bytes_key"),
        field("bytes_value"),
        field("max_entries"),
        field("flags")
    )
}
