//! Real BPF objects: linked by jitlink they load into the kernel as they do without it.
//!
//! Objects come from Debian's packages and, compiled here, from crates. The reference is libbpf, through bpftool. Where
//! the kernel lets nobody load, that is said, and linking alone is judged.

mod case;
mod fetch;
mod libbpf;
mod objects;
mod projects;
mod refusal;

use super::build::in_parallel;
use super::{build_jitlink, pick};
use crate::Result;
use crate::process::{cargo, find_tool, in_ci, run, step, target};
use case::{CaseResult, Tools, Verdict};
use libbpf::Loader;
use projects::{Origin, PROJECTS, Project, SAMPLE};
use serde_json::json;
use std::path::{Path, PathBuf};

/// What to run and how.
pub(super) struct Plan {
    pub(super) only: Vec<String>,
    pub(super) jobs: usize,
    pub(super) jitlink: Option<PathBuf>,
    pub(super) json: bool,
}

/// The projects that CI runs.
pub(super) fn sample_names() -> Vec<String> {
    SAMPLE.iter().map(|name| (*name).to_owned()).collect()
}

pub(super) fn main(plan: &Plan) -> Result {
    step("conformance of BPF");
    let projects = pick(PROJECTS, &plan.only, |project| project.name, "project")?;
    let jitlink = match &plan.jitlink {
        Some(path) => path.clone(),
        None => build_jitlink()?,
    };
    let work = target().join("conformance/bpf");
    std::fs::create_dir_all(&work)?;
    let tools = Tools { jitlink, loader: build_loader()?, libbpf: libbpf()? };
    let (mut report, mut counts, mut objects) = (Vec::new(), [0; 4], 0);
    for project in projects {
        let results =
            run_project(project, &work, plan.jobs, &tools).map_err(|error| format!("{}: {error}", project.name))?;
        if !plan.json {
            println!("{} ({})", project.name, packages(project));
        }
        for result in &results {
            counts[place(&result.verdict)] += 1;
            objects += result.objects;
            match plan.json {
                true => report.push(as_json(project, result)),
                false => println!("{}", as_row(result)),
            }
        }
    }
    let [same, refused, linked, differing] = counts;
    if plan.json {
        println!("{}", serde_json::to_string_pretty(&json!({ "version": 1, "cases": report }))?);
    } else {
        println!(
            "conformance: {objects} objects of BPF: {same} cases load as by libbpf, {refused} are refused alike, {linked} are \
             only linked, {differing} differ"
        );
    }
    if differing > 0 {
        return Err(format!("{differing} of {} cases differ", counts.iter().sum::<usize>()).into());
    }
    Ok(())
}

/// The example that loads by the library.
fn build_loader() -> Result<PathBuf> {
    run(&mut cargo(&["build", "--package", "xtask", "--example", "load_bpf"]))?;
    Ok(target().join("debug/examples/load_bpf"))
}

/// The reference, if it is here and may load.
fn libbpf() -> Result<Option<Loader>> {
    let Some(bpftool) = find_tool(&["bpftool", "/usr/sbin/bpftool"]) else {
        if in_ci() {
            return Err("bpftool is not installed, and CI skips no test".into());
        }
        eprintln!("conformance: bpftool is not installed, nothing is loaded (try `cargo xtask setup`)");
        return Ok(None);
    };
    match Loader::new(bpftool) {
        Ok(loader) => Ok(Some(loader)),
        Err(why) => {
            eprintln!("conformance: this machine's kernel loads nothing for us, so links alone are judged: {why}");
            Ok(None)
        }
    }
}

fn run_project(project: &Project, work: &Path, jobs: usize, tools: &Tools) -> Result<Vec<CaseResult>> {
    let groups = objects::of_project(project, work, jobs)?;
    let count: usize = groups.iter().map(|group| group.files.len()).sum();
    eprintln!("{}: {count} objects in {} cases", project.name, groups.len());
    let folder = work.join(project.name);
    Ok(in_parallel(&groups, jobs, |group| case::run(group, &folder, tools)))
}

fn packages(project: &Project) -> String {
    let packages = match &project.origin {
        Origin::Debian { packages, .. } => packages,
        Origin::Crate { package, .. } => std::slice::from_ref(package),
    };
    packages.iter().map(|package| format!("{} {}", package.name, package.version)).collect::<Vec<_>>().join(", ")
}

fn place(verdict: &Verdict) -> usize {
    match verdict {
        Verdict::Same(_) => 0,
        Verdict::Refused(_) => 1,
        Verdict::Linked(_) => 2,
        Verdict::Differs(_) => 3,
    }
}

fn as_row(result: &CaseResult) -> String {
    let verdict = match &result.verdict {
        Verdict::Same(loaded) => {
            format!("same: {} programs, {} maps", loaded.programs.len(), loaded.maps.len())
        }
        Verdict::Refused(refusal) => format!("refused alike: it {}", refusal.kind),
        Verdict::Linked(why) => format!("linked: {why}"),
        Verdict::Differs(why) => format!("DIFFERS: {why}"),
    };
    let note = result.note.as_ref().map_or_else(String::new, |note| format!(" ({note})"));
    let time = result.link_time.as_secs_f64() * 1e3;
    format!("  {:44} {:3} objects {time:7.1} ms  {verdict}{note}", result.name, result.objects)
}

fn as_json(project: &Project, result: &CaseResult) -> serde_json::Value {
    let kind = match &result.verdict {
        Verdict::Refused(refusal) => Some(refusal.kind),
        _ => None,
    };
    let (verdict, detail) = match &result.verdict {
        Verdict::Same(_) => ("same", None),
        Verdict::Refused(refusal) => ("refused", Some(&refusal.words)),
        Verdict::Linked(why) => ("linked", Some(why)),
        Verdict::Differs(why) => ("differs", Some(why)),
    };
    json!({
        "project": project.name,
        "packages": packages(project),
        "case": result.name,
        "objects": result.objects,
        "link_seconds": result.link_time.as_secs_f64(),
        "verdict": verdict,
        "refusal": kind,
        "detail": detail,
        "note": result.note,
    })
}
