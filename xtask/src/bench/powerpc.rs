//! Objects for 64-bit PowerPC: links against those of llvm-jitlink, and links to another process against links to nowhere.

use super::inputs::{COMPILED, PPC64LE, ROWS, prepared};
use super::measure::{self, Side};
use super::report::{Bars, Line, Measured};
use super::rivals::{self, pair};
use super::{Plan, folder};
use crate::Result;
use crate::conformance::foreign::Machine;
use crate::process::{find_tool, target};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Our time at most this part of llvm-jitlink's.
const TIME_BAR: f64 = 1.0 / 3.0;

/// Objects of a link to another process, and its CPU time on this side at most so many times that of the same link to nowhere.
const REMOTE: (usize, f64) = (1000, 1.5);

fn folder_of(row: &str) -> std::path::PathBuf {
    folder("ppc64le").join(row)
}

/// Generates the inputs.
pub(crate) fn prepare() -> Result {
    for row in ROWS.iter().filter(|row| COMPILED.contains(&row.name)) {
        eprintln!("ppc64le {}: {}", row.name, row.what);
        row.prepare_by(&PPC64LE, &folder_of(row.name))?;
    }
    remote_inputs().map(|_| ())
}

fn remote_inputs() -> Result<Vec<String>> {
    prepared(&folder_of("remote"), |folder| PPC64LE.small_objects(folder, REMOTE.0))
}

/// Both comparisons.
pub(crate) fn compare(plan: &Plan) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    match find_tool(&["llvm-jitlink-22", "llvm-jitlink"]) {
        Some(rival) => {
            for row in ROWS.iter().filter(|row| COMPILED.contains(&row.name)) {
                eprintln!("ppc64le {}: against llvm-jitlink", row.name);
                let inputs = row.prepare_by(&PPC64LE, &folder_of(row.name))?;
                let sides = [(plan.jitlink.as_path(), &["link", "--no-exec"][..]), (rival.as_path(), &["-noexec"])];
                let sides =
                    sides.map(|(tool, options)| Side { commands: vec![rivals::command(tool, options, &inputs)] });
                let bars = Bars { time: Some(TIME_BAR), ..Bars::default() };
                lines.push(line(&sides, plan, row.name, row.what, "llvm-jitlink", bars));
            }
        }
        None => eprintln!("bench: llvm-jitlink is not installed, its rows are skipped"),
    }
    eprintln!("ppc64le: to another process against to nowhere");
    let listener = Listener::start()?;
    let inputs = remote_inputs()?;
    let remote = rivals::command(&plan.jitlink, &["run", "--connect", &listener.address], &inputs);
    let nowhere = rivals::command(&plan.jitlink, &["link", "--no-exec"], &inputs);
    let sides = [Side { commands: vec![remote] }, Side { commands: vec![nowhere] }];
    let bars = Bars { cpu: Some(REMOTE.1), ..Bars::default() };
    lines.push(line(&sides, plan, "remote", "1,000 objects linked into an emulated process", "--no-exec", bars));
    Ok(lines)
}

fn line(sides: &[Side], plan: &Plan, row: &str, what: &str, against: &str, bars: Bars) -> Line {
    let (results, rounds) = measure::compare(sides, plan.time);
    let measured = pair(results).map(|(ours, theirs)| Measured { ours, theirs, knows_usage: true, rounds });
    Line { row: row.into(), what: what.into(), against: against.into(), measured, bars }
}

/// The executor of that machine under its emulator, which listens for as long as this is there. It is no child of those that are measured.
struct Listener {
    address: String,
    process: Child,
}

impl Listener {
    fn start() -> Result<Listener> {
        const PATIENCE: Duration = Duration::from_secs(20);
        let mut command = Machine::PPC64LE.run(Machine::PPC64LE.executor()?)?;
        let socket = target().join("bench/ppc64le/executor");
        if socket.exists() {
            std::fs::remove_file(&socket)?;
        }
        let address = format!("unix:{}", socket.display());
        let process = command
            .args(["--listen", &address])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut listener = Listener { address, process };
        let start = Instant::now();
        while !Path::new(&socket).exists() {
            if listener.process.try_wait()?.is_some() || start.elapsed() > PATIENCE {
                return Err("the executor does not listen".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(listener)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
