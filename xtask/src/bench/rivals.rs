//! Links against those of other linkers: llvm-jitlink, which links into memory too, and static linkers, whose programs are run.

use super::inputs::{self, Row};
use super::measure::{self, Figures, Side};
use super::report::{Bars, Line, Measured};
use super::{Plan, folder};
use crate::Result;
use crate::process::find_tool;
use std::path::{Path, PathBuf};

/// What we are measured against in a row.
pub(crate) struct Rival {
    pub(crate) name: &'static str,
    pub(crate) path: PathBuf,
    kind: RivalKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum RivalKind {
    /// Links into memory, as we do.
    JitLinker,
    /// Links into a file, which is then run.
    StaticLinker,
}

/// Who is here to be measured against; who is not is said.
pub(crate) fn find(with_linkers: bool) -> Vec<Rival> {
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

impl Rival {
    fn bars(&self, row: &Row) -> Bars {
        match self.kind {
            RivalKind::JitLinker => Bars { time: Some(row.time_bar), memory: Some(row.memory_bar), cpu: None },
            RivalKind::StaticLinker => Bars { time: Some(1.0), memory: None, cpu: None },
        }
    }

    /// Whether its CPU time and memory are known: mold works in a process that its own one does not wait for.
    fn knows_usage(&self) -> bool {
        self.name != "mold"
    }
}

/// Every row against every rival.
pub(crate) fn compare(plan: &Plan, rows: &[&'static Row], rivals: &[Rival]) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for row in rows {
        for rival in rivals {
            eprintln!("{}: against {}", row.name, rival.name);
            lines.push(compare_row(plan, row, rival)?);
        }
    }
    Ok(lines)
}

fn compare_row(plan: &Plan, row: &'static Row, rival: &Rival) -> Result<Line> {
    let folder = folder(row.name);
    let inputs = row.prepare(&folder)?;
    let command = |program: &Path, options: &[&str]| -> Vec<String> { command(program, options, &inputs) };
    let (ours, theirs) = match rival.kind {
        RivalKind::JitLinker => {
            (vec![command(&plan.jitlink, &["link", "--no-exec"])], vec![command(&rival.path, &["-noexec"])])
        }
        RivalKind::StaticLinker => {
            let start = inputs::start(&folder)?.to_string_lossy().into_owned();
            let program = folder.join(format!("by-{}", rival.name)).to_string_lossy().into_owned();
            let link = command(&rival.path, &["-o", &program, &start]);
            (vec![command(&plan.jitlink, &["run"])], vec![link, vec![program]])
        }
    };
    let sides = [Side { commands: ours }, Side { commands: theirs }];
    let (results, rounds) = measure::compare(&sides, plan.time);
    Ok(Line {
        row: row.name.into(),
        what: row.what.into(),
        against: rival.name.into(),
        measured: pair(results).map(|(ours, theirs)| Measured {
            ours,
            theirs,
            knows_usage: rival.knows_usage(),
            rounds,
        }),
        bars: rival.bars(row),
    })
}

/// A command line.
pub(crate) fn command(program: &Path, options: &[&str], inputs: &[String]) -> Vec<String> {
    let words = [program.to_string_lossy().into_owned()].into_iter();
    words.chain(options.iter().map(|word| (*word).to_owned())).chain(inputs.iter().cloned()).collect()
}

/// The medians of two sides, or what went wrong first.
pub(crate) fn pair(results: Vec<Result<Figures>>) -> Result<(Figures, Figures)> {
    let figures = results.into_iter().collect::<Result<Vec<Figures>>>()?;
    let [ours, theirs] = <[Figures; 2]>::try_from(figures).map_err(|_| "a side is lost")?;
    Ok((ours, theirs))
}
