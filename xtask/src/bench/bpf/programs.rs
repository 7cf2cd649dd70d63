//! Four programs that compute on memory, in our machine and in others.
//!
//! Every machine is a program that runs the code a number of times and says how long a run took, so the start of a process and
//! the loading of code are not in the figures. All must return the same.

use super::machines::{self, Machine};
use crate::Result;
use crate::bench::measure::{Figures, median, take_turns};
use crate::bench::report::{Bars, Line, Measured};
use crate::bench::{Plan, folder};
use crate::process::{capture, root};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs of `jitlink-bpf-vm/examples/kernels`, and the bytes of memory that each gets.
const PROGRAMS: [(&str, usize); 4] =
    [("checksum", 64 << 10), ("hash", 32 << 10), ("histogram", 64 << 10), ("matrix", 48 * 48 * 12)];

/// How often a process runs a program.
const REPEAT: usize = 50;

/// Our time at most this part of another interpreter's.
const BARS: Bars = Bars { time: Some(1.0 / 2.0), memory: None, cpu: None };

/// Every program in every machine; ours is the first.
pub(super) fn compare(plan: &Plan) -> Result<Vec<Line>> {
    let machines = machines::find(plan)?;
    let mut lines = Vec::new();
    for (name, size) in PROGRAMS {
        eprintln!("bpf: {name} in {} machines", machines.len());
        lines.extend(program(plan, &machines, name, &memory(name, size)?)?);
    }
    Ok(lines)
}

/// Writes the memory of a program: bytes without a pattern, the same on every machine.
fn memory(name: &str, size: usize) -> Result<PathBuf> {
    let folder = folder("bpf");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join(name).with_extension("memory");
    let bytes: Vec<u8> = (0..size as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    std::fs::write(&file, bytes)?;
    Ok(file)
}

fn program(plan: &Plan, machines: &[Machine], name: &str, memory: &Path) -> Result<Vec<Line>> {
    let code = root().join("jitlink-bpf-vm/examples/kernels").join(name).with_extension("bin");
    let run = |machine: &Machine| -> Result<Run> {
        let words = machine.command(&code, memory, REPEAT);
        parse(&capture(Command::new(&words[0]).args(&words[1..]))?)
    };
    let (results, rounds) = take_turns(machines, plan.time, |machine| run(machine).map(drop), run);
    let mut results = results.into_iter();
    let ours = results.next().ok_or("our machine is lost")??;
    let line = |(machine, theirs): (&Machine, Result<Vec<Run>>)| Line {
        row: name.into(),
        what: format!("{REPEAT} runs of the program {name}"),
        against: machine.name.into(),
        measured: theirs.and_then(|theirs| measured(&ours, &theirs, rounds)),
        bars: BARS,
    };
    Ok(machines[1..].iter().zip(results).map(line).collect())
}

/// What a machine says of one process.
#[derive(Clone, Debug, PartialEq)]
struct Run {
    result: String,
    nanoseconds: f64,
}

/// Reads `{"r0": "0x…", "ns_per_run": …}`.
fn parse(text: &str) -> Result<Run> {
    let report: Value = serde_json::from_str(text)?;
    let (result, nanoseconds) = (report["r0"].as_str(), report["ns_per_run"].as_f64());
    let (Some(result), Some(nanoseconds)) = (result, nanoseconds) else {
        return Err(format!("a machine says nothing of a run: `{}`", text.trim_end()).into());
    };
    Ok(Run { result: result.to_owned(), nanoseconds })
}

/// The medians of two machines, which must have computed the same.
fn measured(ours: &[Run], theirs: &[Run], rounds: usize) -> Result<Measured> {
    let expected = &ours.first().ok_or("no run was made")?.result;
    if let Some(other) = ours.iter().chain(theirs).find(|run| run.result != *expected) {
        return Err(format!("the results differ: {expected} and {}", other.result).into());
    }
    let figures = |runs: &[Run]| {
        let times = runs.iter().map(|run| run.nanoseconds * REPEAT as f64 / 1e9).collect();
        Figures { wall: median(times), ..Figures::default() }
    };
    Ok(Measured { ours: figures(ours), theirs: figures(theirs), knows_usage: false, rounds })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(result: &str, nanoseconds: f64) -> Run {
        Run { result: result.to_owned(), nanoseconds }
    }

    #[test]
    fn reads_what_machines_print() {
        assert_eq!(parse("{\"r0\":\"0x2a\",\"ns_per_run\":1.5,\"load_us\":9}\n").unwrap(), run("0x2a", 1.5));
        assert!(parse("{\"r0\":\"0x2a\"}").is_err() && parse("0x2a").is_err());
    }

    #[test]
    fn machines_that_disagree_are_not_compared() {
        let ours = [run("0x1", 1e6), run("0x1", 3e6), run("0x1", 2e6)];
        let both = measured(&ours, &[run("0x1", 8e6)], 3).unwrap();
        assert_eq!((both.ours.wall, both.theirs.wall), (2e-3 * REPEAT as f64, 8e-3 * REPEAT as f64));
        let error = measured(&ours, &[run("0x2", 8e6)], 3).err().unwrap().to_string();
        assert_eq!(error, "the results differ: 0x1 and 0x2");
    }

    #[test]
    fn every_program_is_there() {
        for (name, _) in PROGRAMS {
            let file = root().join("jitlink-bpf-vm/examples/kernels").join(name).with_extension("bin");
            let size = std::fs::metadata(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())).len();
            assert!(size > 0 && size.is_multiple_of(8), "{name}");
        }
    }
}
