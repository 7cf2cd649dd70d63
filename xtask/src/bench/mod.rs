//! How much faster and smaller a link is than by LLVM's own JIT linker and by static linkers, how near it is to what the
//! machine can do at all, and how its time grows.
//!
//! Whole processes are measured, because that is what a user waits for; ratios are reported, because absolute times
//! belong to one machine. Nothing here is ever a limit in a test.
//!
//! A table is a module, and a row of [`TABLES`] unless it is always made.

mod bpf;
mod churn;
mod coff;
mod floor;
mod growth;
mod inputs;
mod measure;
mod powerpc;
pub(crate) mod program;
mod report;
mod rivals;
mod thread_locals;
mod update;

use crate::conformance::build_jitlink;
use crate::process::{capture, run, step, target};
use crate::{Args, Result};
use inputs::{ROWS, Row};
use report::Line;
use rivals::Rival;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub(crate) const OPTIONS: &str =
    "  --only ROWS      some of the rows, with commas: trivial, large, many, relocations, chain, archive
  --linkers        also against mold and ld.lld: our link and run against their link and run
  --floor          also large and many against a process that only reads the files and copies the bytes
  --growth         also ten times the input against one time, in objects, sections, symbols, relocations, chains
  --churn          also 100,000 modules linked and removed in a loop, and 10,000 that stay: the last tenth against the first
  --update         also the update of one function against linking programs of 1,000 and of 10,000
  --program        also a compiler made of LLVM's static libraries (package llvm-22-dev), against mold and ld.lld, and the floor
  --thread-locals  also 100,000,000 calls through each model of thread-local storage, against natively linked programs
  --powerpc        also objects for 64-bit PowerPC: links against llvm-jitlink, and into an emulated process against --no-exec
  --coff           also objects of Windows: links against llvm-jitlink
  --bpf            also BPF: four programs in our machine against the interpreters of rbpf and uBPF, and links of 1,000 and of
                   10,000 functions to one object, against bpftool and each other
  --no-rivals      only the tables of the options
  --seconds N      time for each row's rounds (default 20)
  --jitlink PATH   use this jitlink instead of building the one here
  --prepare        only generate what is linked
  --format json    a report for programs
";

/// What every table needs.
pub(crate) struct Plan {
    jitlink: PathBuf,
    /// For the rounds of each line.
    time: Duration,
}

/// A table that is made when it is asked for.
struct Table {
    option: &'static str,
    title: &'static str,
    make: fn(&Plan) -> Result<Vec<Line>>,
    /// Generates inputs that are no rows.
    prepare: fn() -> Result,
}

const TABLES: &[Table] = &[
    Table {
        option: "--floor",
        title: "against reading the files and copying the bytes (aim 1.5)",
        make: floor::compare,
        prepare: || Ok(()),
    },
    Table {
        option: "--growth",
        title: "ten times the input",
        make: |plan| growth::compare(plan, &ROWS[0]),
        prepare: growth::prepare,
    },
    Table { option: "--churn", title: "linking in a loop", make: churn::compare, prepare: || Ok(()) },
    Table {
        option: "--update",
        title: "updates of one function of a running program",
        make: update::compare,
        prepare: || Ok(()),
    },
    Table {
        option: "--program",
        title: "a large program, linked and run; and its link against the floor (aim 2)",
        make: program::compare,
        prepare: || Ok(()),
    },
    Table {
        option: "--thread-locals",
        title: "calls of functions that use thread-local variables, against the natively linked program",
        make: thread_locals::compare,
        prepare: || Ok(()),
    },
    Table {
        option: "--powerpc",
        title: "objects for little-endian 64-bit PowerPC",
        make: powerpc::compare,
        prepare: powerpc::prepare,
    },
    Table { option: "--coff", title: "objects of Windows", make: coff::compare, prepare: coff::prepare },
    Table {
        option: "--bpf",
        title: "BPF programs against other interpreters (aim 0.25), and links to one object",
        make: bpf::compare,
        prepare: bpf::prepare,
    },
];

pub(crate) fn main(mut args: Args) -> Result {
    let only = args.list("--only")?;
    let with_linkers = args.flag("--linkers");
    let without_rivals = args.flag("--no-rivals");
    let prepare_only = args.flag("--prepare");
    let time = Duration::from_secs(args.number("--seconds")?.unwrap_or(20) as u64);
    let jitlink = args.value("--jitlink")?;
    let json = args.json()?;
    let tables: Vec<&Table> = TABLES.iter().filter(|table| args.flag(table.option)).collect();
    args.finish()?;
    let rows = rows(&only)?;
    if prepare_only {
        return prepare(&rows, &tables);
    }
    let jitlink = match jitlink {
        Some(path) => Path::new(&path).canonicalize().map_err(|error| format!("{path}: {error}"))?,
        None => build_jitlink()?,
    };
    let plan = Plan { jitlink, time };
    prepare_elsewhere(&only, &tables)?;
    step("bench");
    let rivals = if without_rivals { Vec::new() } else { rivals::find(with_linkers) };
    let mut done = Vec::new();
    if !rivals.is_empty() {
        done.push(("whole links", rivals::compare(&plan, &rows, &rivals)?));
    }
    for table in tables {
        done.push((table.title, (table.make)(&plan)?));
    }
    match json {
        true => println!("{}", serde_json::to_string_pretty(&as_json(&done, &rivals, &plan)?)?),
        false => done.iter().for_each(|(title, lines)| report::print(title, lines)),
    }
    let lines = done.iter().flat_map(|(_, lines)| lines);
    match lines.filter(|line| line.measured.is_err()).count() {
        0 => Ok(()),
        count => Err(format!("{count} comparisons could not be made").into()),
    }
}

fn rows(only: &[String]) -> Result<Vec<&'static Row>> {
    if let Some(unknown) = only.iter().find(|name| ROWS.iter().all(|row| row.name != name.as_str())) {
        return Err(format!("there is no row `{unknown}` (see --help)").into());
    }
    Ok(ROWS.iter().filter(|row| only.is_empty() || only.iter().any(|name| name == row.name)).collect())
}

/// Where what a row or a table needs is kept.
fn folder(name: &str) -> PathBuf {
    target().join("bench").join(name)
}

fn prepare(rows: &[&Row], tables: &[&Table]) -> Result {
    for row in rows {
        eprintln!("{}: {}", row.name, row.what);
        row.prepare(&folder(row.name)).map_err(|error| format!("{}: {error}", row.name))?;
    }
    tables.iter().try_for_each(|table| (table.prepare)())
}

/// Generates the inputs in a process of its own: until it starts its program, a child counts its parent's memory as its
/// peak, so the process that measures has to stay small.
fn prepare_elsewhere(only: &[String], tables: &[&Table]) -> Result {
    // Tables have rows of their own choice.
    let only = if tables.is_empty() { only.join(",") } else { String::new() };
    let options = tables.iter().map(|table| table.option);
    run(Command::new("/proc/self/exe").args(["bench", "--prepare", "--only", &only]).args(options))
}

fn as_json(tables: &[(&str, Vec<Line>)], rivals: &[Rival], plan: &Plan) -> Result<serde_json::Value> {
    let version = |path: &Path| -> String {
        let text = capture(Command::new(path).arg("--version")).unwrap_or_default();
        text.lines()
            .map(str::trim)
            .find(|line| line.contains(|c: char| c.is_ascii_digit()))
            .unwrap_or_default()
            .to_owned()
    };
    let against: Vec<_> =
        rivals.iter().map(|rival| json!({ "name": rival.name, "version": version(&rival.path) })).collect();
    let tables: Vec<_> =
        tables.iter().map(|(title, lines)| json!({ "title": title, "rows": report::as_json(lines) })).collect();
    Ok(json!({ "version": 2, "jitlink": version(&plan.jitlink), "against": against, "tables": tables }))
}

#[cfg(test)]
mod tests {
    use super::{OPTIONS, ROWS, TABLES, rows};

    #[test]
    fn help_names_every_table_and_row() {
        for table in TABLES {
            assert!(OPTIONS.contains(&format!("  {} ", table.option)), "{}", table.option);
        }
        for row in ROWS {
            assert!(OPTIONS.contains(row.name), "{}", row.name);
        }
        assert!(rows(&["nonsense".to_owned()]).is_err());
    }
}
