//! Links against the physical floor: a process that reads the same files and copies as many bytes as the link allocates.

use super::inputs::ROWS;
use super::measure::{self, Side};
use super::report::{Bars, Line, Measured};
use super::rivals::{self, pair};
use super::{Plan, folder};
use crate::Result;
use crate::process::{capture, cargo, run, target};
use std::process::Command;

/// Rows that have to come near the floor, and how near.
const BARS: [(&str, f64); 2] = [("large", 3.0), ("many", 3.0)];

/// The rows that have a bar.
pub(crate) fn compare(plan: &Plan) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (name, bar) in BARS {
        let Some(row) = ROWS.iter().find(|row| row.name == name) else { continue };
        eprintln!("{name}: against the floor");
        let inputs = row.prepare(&folder(name))?;
        let link = rivals::command(&plan.jitlink, &["link", "--no-exec"], &inputs);
        let copy = command(&link, &inputs)?;
        let bytes = copy[1].clone();
        let (results, rounds) =
            measure::compare(&[Side { commands: vec![link] }, Side { commands: vec![copy] }], plan.time);
        lines.push(Line {
            row: name.into(),
            what: format!("{}, of which {bytes} bytes are allocated", row.what),
            against: "floor".into(),
            measured: pair(results).map(|(ours, theirs)| Measured { ours, theirs, knows_usage: true, rounds }),
            bars: Bars { time: Some(bar), memory: None, cpu: None },
        });
    }
    Ok(lines)
}

/// A process that reads the files and copies as many bytes as a link of them allocates.
pub(crate) fn command(link: &[String], inputs: &[String]) -> Result<Vec<String>> {
    run(&mut cargo(&["build", "--release", "--package", "xtask", "--bin", "floor"]))?;
    let bytes = allocated(link)?.to_string();
    Ok(rivals::command(&target().join("release/floor"), &[&bytes], inputs))
}

/// How many bytes a link allocates, by what it prints.
fn allocated(link: &[String]) -> Result<u64> {
    sum_of_sizes(&capture(Command::new(&link[0]).args(&link[1..]))?)
}

fn sum_of_sizes(summary: &str) -> Result<u64> {
    let mut sum = 0;
    for line in summary.lines() {
        let mut words = line.split_whitespace().skip(1);
        let (size, unit) = (words.next(), words.next());
        let size = size.filter(|_| unit == Some("bytes")).and_then(|size| size.parse::<u64>().ok());
        sum += size.ok_or_else(|| format!("no segment: `{line}`"))?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::sum_of_sizes;

    #[test]
    fn the_sizes_of_segments_are_added_up() {
        let summary = "0x10000000       4652 bytes  r-x  code\n0x10002000       1596 bytes  r--  constants\n";
        assert_eq!(sum_of_sizes(summary).unwrap(), 4652 + 1596);
        assert!(sum_of_sizes("error: no such file\n").is_err());
    }
}
