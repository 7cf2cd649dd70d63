//! Objects of Windows: links against those of llvm-jitlink, which reads such objects of this machine too.

use super::inputs::{COMPILED, ROWS, Row, WINDOWS};
use super::measure::{self, Side};
use super::report::{Bars, Line, Measured};
use super::rivals::{self, pair};
use super::{Plan, folder};
use crate::Result;
use crate::process::find_tool;

/// Our time at most this part of llvm-jitlink's.
const TIME_BAR: f64 = 1.0 / 3.0;

fn rows() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(|row| COMPILED.contains(&row.name))
}

fn inputs(row: &Row) -> Result<Vec<String>> {
    row.prepare_by(&WINDOWS, &folder("coff").join(row.name))
}

/// Generates the inputs.
pub(crate) fn prepare() -> Result {
    for row in rows() {
        eprintln!("coff {}: {}", row.name, row.what);
        inputs(row)?;
    }
    Ok(())
}

/// The comparison.
pub(crate) fn compare(plan: &Plan) -> Result<Vec<Line>> {
    let Some(rival) = find_tool(&["llvm-jitlink-22", "llvm-jitlink"]) else {
        eprintln!("bench: llvm-jitlink is not installed, its rows are skipped");
        return Ok(Vec::new());
    };
    let mut lines = Vec::new();
    for row in rows() {
        eprintln!("coff {}: against llvm-jitlink", row.name);
        let inputs = inputs(row)?;
        let sides = [(plan.jitlink.as_path(), &["link", "--no-exec"][..]), (rival.as_path(), &["-noexec"])];
        let sides = sides.map(|(tool, options)| Side { commands: vec![rivals::command(tool, options, &inputs)] });
        let (results, rounds) = measure::compare(&sides, plan.time);
        let measured = pair(results).map(|(ours, theirs)| Measured { ours, theirs, knows_usage: true, rounds });
        let bars = Bars { time: Some(TIME_BAR), ..Bars::default() };
        let (row, what) = (row.name.into(), row.what.into());
        lines.push(Line { row, what, against: "llvm-jitlink".into(), measured, bars });
    }
    Ok(lines)
}
