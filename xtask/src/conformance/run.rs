//! Runs one case twice, linked by `ld` and by jitlink, and compares what came out.

use super::bases::{Base, Language, Variant};
use super::build::{Compiler, Unit};
use crate::Result;
use crate::process::{capture, shown};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A workload takes seconds at most; what takes this long hangs.
const TIME_LIMIT: Duration = Duration::from_secs(300);

/// What a program did.
#[derive(PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The exit status, or the signal that ended it.
    pub(crate) end: String,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) time: Duration,
}

/// How a case ended.
pub(crate) enum Verdict {
    /// Both links gave the same output and exit status.
    Same,
    /// Only the reference ran, as asked.
    ReferenceOnly,
    /// The reference does not link or does not end by itself: the case says nothing about jitlink.
    BadReference(String),
    /// What differed.
    Differs(String),
}

/// One case's result.
pub(crate) struct CaseResult {
    pub(crate) compiler: &'static str,
    pub(crate) variant: &'static str,
    pub(crate) objects: usize,
    pub(crate) verdict: Verdict,
    pub(crate) reference_time: Duration,
    pub(crate) jitlink_time: Duration,
}

/// One base by one compiler in one variant, all compiled.
pub(crate) struct Case<'a> {
    pub(crate) base: &'a Base,
    pub(crate) compiler: &'a Compiler,
    pub(crate) variant: &'a Variant,
    pub(crate) units: Vec<Unit<'a>>,
}

impl Case<'_> {
    /// Links and runs both ways in `folder`; without `jitlink`, only the reference.
    pub(crate) fn run(&self, folder: &Path, jitlink: Option<&Path>) -> CaseResult {
        let mut result = CaseResult {
            compiler: self.compiler.name,
            variant: self.variant.name,
            objects: self.units.len(),
            verdict: Verdict::ReferenceOnly,
            reference_time: Duration::ZERO,
            jitlink_time: Duration::ZERO,
        };
        let reference = match self.reference(folder) {
            Ok(reference) => reference,
            Err(error) => {
                result.verdict = Verdict::BadReference(error.to_string());
                return result;
            }
        };
        result.reference_time = reference.time;
        let Some(jitlink) = jitlink else { return result };
        result.verdict = match self.jitlink(folder, jitlink) {
            Ok(ours) => {
                result.jitlink_time = ours.time;
                compare(&reference, &ours)
            }
            Err(error) => Verdict::Differs(error.to_string()),
        };
        result
    }

    fn reference(&self, folder: &Path) -> Result<Outcome> {
        let program = folder.join("reference");
        let mut link = self.compiler.link(self.base.language == Language::Cpp);
        link.args(self.variant.link).arg("-o").arg(&program);
        link.args(self.units.iter().map(|unit| &unit.object));
        link.args(self.compiler.libraries(self.libraries()));
        capture(&mut link)?;
        let outcome = run(&mut self.compiler.run(&program)?, &folder.join("run-reference"), TIME_LIMIT)?;
        if !outcome.end.starts_with("status") || outcome.stdout.is_empty() {
            return Err(
                format!("the reference printed {} bytes and ended by {}", outcome.stdout.len(), outcome.end).into()
            );
        }
        // Status 3 is how a driver says that a library broke a promise.
        if outcome.end == "status 3" {
            return Err(String::from_utf8_lossy(&outcome.stdout).lines().last().unwrap_or_default().to_owned().into());
        }
        Ok(outcome)
    }

    /// Shared libraries, as after `-l`.
    fn libraries(&self) -> impl Iterator<Item = &'static str> {
        let machine = self.compiler.machine.map_or(&[][..], |machine| machine.libraries);
        self.base.libraries.iter().chain(machine).copied()
    }

    fn jitlink(&self, folder: &Path, jitlink: &Path) -> Result<Outcome> {
        let objects: Vec<PathBuf> = self.units.iter().map(|unit| unit.object.clone()).collect();
        let options: Vec<String> = self.libraries().flat_map(|library| ["-l".to_owned(), library.to_owned()]).collect();
        let mut command = self.compiler.linked_by(jitlink, &objects, (&options, &[]), folder)?;
        std::fs::write(folder.join("jitlink-command"), format!("{command:?}\n"))?;
        run(&mut command, &folder.join("run-jitlink"), TIME_LIMIT)
    }
}

/// Runs a program in a folder of its own and waits for its end, which has to come within the limit.
pub(crate) fn run(command: &mut Command, folder: &Path, limit: Duration) -> Result<Outcome> {
    std::fs::create_dir_all(folder)?;
    let (stdout, stderr) = (folder.join("stdout"), folder.join("stderr"));
    command.current_dir(folder).stdin(Stdio::null()).stdout(File::create(&stdout)?).stderr(File::create(&stderr)?);
    let start = Instant::now();
    let mut child = command.spawn().map_err(|error| format!("{}: {error}", shown(command)))?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Err(format!("still running after {} s: `{}`", limit.as_secs(), shown(command)).into());
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let end = match status.code() {
        Some(code) => format!("status {code}"),
        None => status.to_string(),
    };
    let stderr = String::from_utf8_lossy(&std::fs::read(stderr)?).into_owned();
    Ok(Outcome { end, stdout: std::fs::read(stdout)?, stderr, time: start.elapsed() })
}

/// What of two outcomes differs.
pub(crate) fn compare(reference: &Outcome, ours: &Outcome) -> Verdict {
    if reference.end == ours.end && reference.stdout == ours.stdout {
        return Verdict::Same;
    }
    let mut message = String::new();
    if reference.end != ours.end {
        message += &format!("{} instead of {}; ", ours.end, reference.end);
    }
    let (theirs, mine) = (String::from_utf8_lossy(&reference.stdout), String::from_utf8_lossy(&ours.stdout));
    let line = theirs.lines().zip(mine.lines()).position(|(theirs, mine)| theirs != mine);
    let line = line.unwrap_or(theirs.lines().count().min(mine.lines().count()));
    if theirs != mine {
        let (theirs, mine) = (theirs.lines().nth(line), mine.lines().nth(line));
        message += &format!("line {}: {} instead of {}; ", line + 1, quoted(mine), quoted(theirs));
    }
    let complaint = ours.stderr.trim();
    if !complaint.is_empty() {
        message += &format!("it said: {}", complaint.chars().take(2000).collect::<String>());
    }
    Verdict::Differs(message)
}

fn quoted(line: Option<&str>) -> String {
    line.map_or_else(|| "nothing".to_owned(), |line| format!("`{}`", line.chars().take(120).collect::<String>()))
}
