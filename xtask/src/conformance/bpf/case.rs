//! One case: an object, or several that are one program, by libbpf and by jitlink.
//!
//! jitlink links the objects to one, which libbpf must load as it loads the original: the same programs and maps, or a
//! refusal of the same kind. jitlink must also tell what is in the objects, and its own loader must bring the same programs
//! into the kernel.

use super::libbpf::{Loaded, Loader, Program};
use super::objects::Group;
use super::refusal::Refusal;
use crate::Result;
use crate::process::capture;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The programs under test.
pub(super) struct Tools {
    /// The `jitlink` command.
    pub(super) jitlink: PathBuf,
    /// The example that loads objects by the library.
    pub(super) loader: PathBuf,
    /// bpftool, where this machine lets it load.
    pub(super) libbpf: Option<Loader>,
}

/// How a case ended.
pub(super) enum Verdict {
    /// Both loads have the same programs and maps.
    Same(Loaded),
    /// Both loads are refused, for the same reason.
    Refused(Refusal),
    /// It was linked; what the kernel says of it cannot be known here, or cannot be compared, for this reason.
    Linked(String),
    /// What differed.
    Differs(String),
}

/// One case's result.
pub(super) struct CaseResult {
    pub(super) name: String,
    pub(super) objects: usize,
    pub(super) verdict: Verdict,
    /// What else is worth knowing.
    pub(super) note: Option<String>,
    pub(super) link_time: Duration,
}

/// Links and loads `group` both ways, below `folder`.
pub(super) fn run(group: &Group, folder: &Path, tools: &Tools) -> CaseResult {
    let mut result = CaseResult {
        name: group.name.clone(),
        objects: group.files.len(),
        verdict: Verdict::Linked(String::new()),
        note: None,
        link_time: Duration::ZERO,
    };
    result.verdict = judge(group, folder, tools, &mut result).unwrap_or_else(|why| Verdict::Differs(why.to_string()));
    result
}

fn judge(group: &Group, folder: &Path, tools: &Tools, result: &mut CaseResult) -> Result<Verdict> {
    let linked = link(group, folder, tools, result)?;
    let Some(libbpf) = &tools.libbpf else { return Ok(Verdict::Linked("nothing can be loaded here".into())) };
    let original = match group.files.as_slice() {
        [one] => one.clone(),
        several => {
            // Names of data maps begin with the file's name, so both files have the same.
            let path = folder.join("libbpf").join(format!("{}.o", group.name));
            std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
            if let Err(refusal) = libbpf.link(several, &path) {
                return Ok(Verdict::Linked(format!("libbpf does not link it: {}", refusal.words)));
            }
            path
        }
    };
    Ok(match (libbpf.load(&original)?, libbpf.load(&linked)?) {
        (Ok(theirs), Ok(ours)) if theirs != ours => Verdict::Differs(difference(&theirs, &ours)),
        (Ok(theirs), Ok(_)) => match own_load(group, tools) {
            Ok(programs) if programs == theirs.programs => Verdict::Same(theirs),
            Ok(programs) => {
                let ours = Loaded { programs, maps: theirs.maps.clone() };
                Verdict::Differs(format!("by jitlink's loader, {}", difference(&theirs, &ours)))
            }
            Err(error) => Verdict::Differs(format!("by jitlink's loader: {error}")),
        },
        (Err(theirs), Err(ours)) if theirs.is_like(&ours) => {
            result.note = own_load(group, tools).ok().map(|own| format!("jitlink's loader loads {}", own.len()));
            Verdict::Refused(theirs)
        }
        (Err(theirs), Err(ours)) => {
            Verdict::Differs(format!("linked, it is refused otherwise: {}; without: {}", ours.words, theirs.words))
        }
        (Ok(_), Err(ours)) => Verdict::Differs(format!("linked, it is refused: {}", ours.words)),
        (Err(theirs), Ok(_)) => Verdict::Differs(format!("only linked it is loaded; without: {}", theirs.words)),
    })
}

/// Links by jitlink, and has it tell what is in the objects; the linked object.
fn link(group: &Group, folder: &Path, tools: &Tools, result: &mut CaseResult) -> Result<PathBuf> {
    let linked = folder.join("jitlink").join(format!("{}.o", group.name));
    std::fs::create_dir_all(linked.parent().unwrap_or(folder))?;
    let start = Instant::now();
    capture(Command::new(&tools.jitlink).args(["bpf", "link"]).args(&group.files).arg("-o").arg(&linked))?;
    result.link_time = start.elapsed();
    for files in [group.files.as_slice(), std::slice::from_ref(&linked)] {
        let mut command = Command::new(&tools.jitlink);
        command.args(["bpf", "inspect", "--format", "json"]).args(files);
        let told = capture(&mut command)?;
        serde_json::from_str::<serde_json::Value>(&told).map_err(|error| format!("jitlink bpf inspect: {error}"))?;
    }
    Ok(linked)
}

/// Loads by jitlink's own loader; what the kernel says of its programs.
fn own_load(group: &Group, tools: &Tools) -> Result<Vec<Program>> {
    let printed = capture(Command::new(&tools.loader).args(&group.files))?;
    let mut programs = Vec::new();
    for line in printed.lines() {
        let [name, size, tag] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err(format!("it printed `{line}`").into());
        };
        programs.push(Program { name: name.to_owned(), size: size.parse()?, tag: tag.to_owned() });
    }
    programs.sort();
    Ok(programs)
}

/// Where two loads differ.
fn difference(theirs: &Loaded, ours: &Loaded) -> String {
    let list = |loaded: &Loaded| {
        let programs = loaded.programs.iter();
        let programs =
            programs.map(|program| format!("program {} of {} bytes, tag {}", program.name, program.size, program.tag));
        programs.chain(loaded.maps.iter().map(|map| format!("map {map}"))).collect::<Vec<_>>()
    };
    let (theirs, ours) = (list(theirs), list(ours));
    let only = |one: &[String], other: &[String]| {
        let lines: Vec<&str> = one.iter().filter(|line| !other.contains(line)).map(String::as_str).collect();
        if lines.is_empty() { "nothing".to_owned() } else { lines.join(", ") }
    };
    format!("loaded is {} instead of {}", only(&ours, &theirs), only(&theirs, &ours))
}
