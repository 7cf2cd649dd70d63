//! How much faster and smaller a link is than by LLVM's own JIT linker, and than by static linkers.
//!
//! Whole processes are measured, because that is what a user waits for; ratios are reported, because absolute times
//! belong to one machine. Nothing here is ever a limit in a test.

mod inputs;
mod measure;

use crate::conformance::build_jitlink;
use crate::process::{capture, find_tool, run, step, target};
use crate::{Args, Result};
use inputs::{ROWS, Row};
use measure::{Figures, Side};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub(crate) const OPTIONS: &str =
    "  --only ROWS      some of the rows, with commas: trivial, large, many, relocations, chain, archive
  --linkers        also against mold and ld.lld: our link and run against their link and run
  --seconds N      time for each row's rounds (default 20)
  --jitlink PATH   use this jitlink instead of building the one here
  --prepare        only generate what is linked
  --format json    a report for programs
";

/// Our time at most this part of llvm-jitlink's.
const BAR: f64 = 1.0 / 3.0;

/// What we are measured against in a row.
struct Rival {
    name: &'static str,
    path: PathBuf,
    kind: RivalKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum RivalKind {
    /// Links into memory, as we do.
    JitLinker,
    /// Links into a file, which is then run.
    StaticLinker,
}

/// A row against one rival.
struct Comparison {
    row: &'static Row,
    rival: &'static str,
    kind: RivalKind,
    ours: Result<Figures>,
    theirs: Result<Figures>,
    rounds: usize,
}

pub(crate) fn main(mut args: Args) -> Result {
    let only = args.list("--only")?;
    let with_linkers = args.flag("--linkers");
    let prepare_only = args.flag("--prepare");
    let time = Duration::from_secs(args.number("--seconds")?.unwrap_or(20) as u64);
    let jitlink = args.value("--jitlink")?;
    let json = args.json()?;
    args.finish()?;
    let rows = rows(&only)?;
    if prepare_only {
        return prepare(&rows);
    }
    let jitlink = match jitlink {
        Some(path) => Path::new(&path).canonicalize().map_err(|error| format!("{path}: {error}"))?,
        None => build_jitlink()?,
    };
    prepare_elsewhere(&rows)?;
    step("bench");
    let rivals = rivals(with_linkers);
    let mut comparisons = Vec::new();
    for row in rows {
        for rival in &rivals {
            eprintln!("{}: against {}", row.name, rival.name);
            comparisons.push(compare(row, rival, &jitlink, time)?);
        }
    }
    match json {
        true => println!("{}", serde_json::to_string_pretty(&as_json(&comparisons, &rivals, &jitlink)?)?),
        false => print_table(&comparisons),
    }
    match comparisons.iter().filter(|comparison| comparison.ours.is_err() || comparison.theirs.is_err()).count() {
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

fn folder(row: &Row) -> PathBuf {
    target().join("bench").join(row.name)
}

fn prepare(rows: &[&Row]) -> Result {
    for row in rows {
        eprintln!("{}: {}", row.name, row.what);
        row.prepare(&folder(row)).map_err(|error| format!("{}: {error}", row.name))?;
    }
    Ok(())
}

/// Generates the inputs in a process of its own: until it starts its program, a child counts its parent's memory as its
/// peak, so the process that measures has to stay small.
fn prepare_elsewhere(rows: &[&Row]) -> Result {
    let names: Vec<&str> = rows.iter().map(|row| row.name).collect();
    run(Command::new("/proc/self/exe").args(["bench", "--prepare", "--only", &names.join(",")]))
}

/// Who is here to be measured against; who is not is said.
fn rivals(with_linkers: bool) -> Vec<Rival> {
    let known: [(&'static str, &[&str], RivalKind); 3] = [
        ("llvm-jitlink", &["llvm-jitlink-22", "llvm-jitlink"], RivalKind::JitLinker),
        ("mold", &["mold"], RivalKind::StaticLinker),
        ("ld.lld", &["ld.lld", "ld.lld-22"], RivalKind::StaticLinker),
    ];
    let mut rivals = Vec::new();
    for (name, tools, kind) in known {
        if kind == RivalKind::StaticLinker && !with_linkers {
            continue;
        }
        match find_tool(tools) {
            Some(path) => rivals.push(Rival { name, path, kind }),
            None => eprintln!(
                "bench: {name} is not installed, its rows are skipped (llvm-jitlink comes by `cargo xtask setup`)"
            ),
        }
    }
    rivals
}

fn compare(row: &'static Row, rival: &Rival, jitlink: &Path, time: Duration) -> Result<Comparison> {
    let folder = folder(row);
    let inputs = row.prepare(&folder)?;
    let command = |program: &Path, options: &[&str]| -> Vec<String> {
        let words = [program.to_string_lossy().into_owned()].into_iter();
        words.chain(options.iter().map(|word| (*word).to_owned())).chain(inputs.iter().cloned()).collect()
    };
    let (ours, theirs) = match rival.kind {
        RivalKind::JitLinker => {
            (vec![command(jitlink, &["link", "--no-exec"])], vec![command(&rival.path, &["-noexec"])])
        }
        RivalKind::StaticLinker => {
            let start = inputs::start(&folder)?.to_string_lossy().into_owned();
            let program = folder.join(format!("by-{}", rival.name)).to_string_lossy().into_owned();
            let link = command(&rival.path, &["-o", &program, &start]);
            (vec![command(jitlink, &["run"])], vec![link, vec![program]])
        }
    };
    let sides = [Side { commands: ours }, Side { commands: theirs }];
    let (results, rounds) = measure::compare(&sides, time);
    let [ours, theirs] = <[Result<Figures>; 2]>::try_from(results).map_err(|_| "a side is lost")?;
    Ok(Comparison { row, rival: rival.name, kind: rival.kind, ours, theirs, rounds })
}

impl Comparison {
    /// Both sides' medians, when both ran.
    fn figures(&self) -> Option<(Figures, Figures)> {
        Some((*self.ours.as_ref().ok()?, *self.theirs.as_ref().ok()?))
    }

    /// The part of the rival's time that ours has to stay below.
    fn bar(&self) -> f64 {
        match self.kind {
            RivalKind::JitLinker => BAR,
            RivalKind::StaticLinker => 1.0,
        }
    }

    /// Whether the rival's CPU time and memory are known: mold works in a process that its own one does not wait for.
    fn knows_usage(&self) -> bool {
        self.rival != "mold"
    }

    fn passes(&self) -> Option<bool> {
        let (ours, theirs) = self.figures()?;
        Some(ours.wall / theirs.wall <= self.bar())
    }
}

fn print_table(comparisons: &[Comparison]) {
    println!(
        "{:12} {:13} {:>10} {:>10} {:>7} {:>6} {:5}  {:>9} {:>11}  {:>6}",
        "row", "against", "ours", "theirs", "ratio", "bar", "", "CPU ratio", "memory ratio", "rounds"
    );
    for comparison in comparisons {
        let name = format!("{:12} {:13}", comparison.row.name, comparison.rival);
        for error in [&comparison.ours, &comparison.theirs].into_iter().filter_map(|side| side.as_ref().err()) {
            println!("{name} {error}");
        }
        let Some((ours, theirs)) = comparison.figures() else { continue };
        let usage = |ratio: f64| if comparison.knows_usage() { format!("{ratio:.3}") } else { "-".to_owned() };
        println!(
            "{name} {:>7.2} ms {:>7.2} ms {:>7.3} {:>6.3} {:5}  {:>9} {:>12}  {:>6}",
            ours.wall * 1e3,
            theirs.wall * 1e3,
            ours.wall / theirs.wall,
            comparison.bar(),
            if comparison.passes() == Some(true) { "pass" } else { "FAIL" },
            usage(ours.cpu / theirs.cpu),
            usage(ours.memory / theirs.memory),
            comparison.rounds
        );
    }
}

fn as_json(comparisons: &[Comparison], rivals: &[Rival], jitlink: &Path) -> Result<serde_json::Value> {
    let version = |path: &Path| -> String {
        let text = capture(Command::new(path).arg("--version")).unwrap_or_default();
        text.lines()
            .map(str::trim)
            .find(|line| line.contains(|c: char| c.is_ascii_digit()))
            .unwrap_or_default()
            .to_owned()
    };
    let side = |result: &Result<Figures>| match result {
        Ok(figures) => json!({
            "wall_ms": figures.wall * 1e3, "cpu_ms": figures.cpu * 1e3, "memory_kib": figures.memory
        }),
        Err(error) => json!({ "error": error.to_string() }),
    };
    let rows: Vec<_> = comparisons
        .iter()
        .map(|comparison| {
            let figures = comparison.figures();
            let ratio = |figure: fn(Figures) -> f64| figures.map(|(ours, theirs)| figure(ours) / figure(theirs));
            json!({
                "row": comparison.row.name,
                "what": comparison.row.what,
                "against": comparison.rival,
                "ours": side(&comparison.ours),
                "theirs": side(&comparison.theirs),
                "wall_ratio": ratio(|side| side.wall),
                "cpu_ratio": ratio(|side| side.cpu).filter(|_| comparison.knows_usage()),
                "memory_ratio": ratio(|side| side.memory).filter(|_| comparison.knows_usage()),
                "bar": comparison.bar(),
                "pass": comparison.passes(),
                "rounds": comparison.rounds,
            })
        })
        .collect();
    let against: Vec<_> =
        rivals.iter().map(|rival| json!({ "name": rival.name, "version": version(&rival.path) })).collect();
    Ok(json!({ "version": 1, "jitlink": version(jitlink), "against": against, "rows": rows }))
}
