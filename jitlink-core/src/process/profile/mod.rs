//! Linked code, made known to profilers through the two kinds of files that `perf` and others read.
//!
//! | part | concern |
//! | --- | --- |
//! | `perf_map` | addresses, sizes and names |
//! | `jit_dump` | code, lines and unwind records with times |
//! | `frames` | the unwind records of one function, as a file of its own needs them |
//! | `files` | files that nobody else can put in the way |
//!
//! A process has at most one file of each kind and folder, which all of its executors share. A batch is written before any of its
//! code can run, as a whole or not at all. After a fork, what the child links is in no file of its parent's.

mod files;
mod frames;
mod jit_dump;
mod perf_map;

use crate::addr::Addr;
use crate::executor::{Description, ExecutorError};
use crate::process::sync::{Mutex, lock, shared, try_lock};
use frames::Frames;
use jit_dump::JitDump;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

/// A file for profilers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// `/tmp/perf-PID.map`, where `perf report` looks names up: address, size and name of each function.
    ///
    /// The file does not say when code was there: if addresses are used again, after a module was removed, names may be those of
    /// another time. Not together with [`ProcessExecutor::debuggable`](super::ProcessExecutor::debuggable), whose code `perf` does
    /// not look for in the map. Other runtimes that write such a map in the same process would replace this one.
    PerfMap,
    /// `jit-PID.dump` in this folder, for `perf record -k mono` and `perf inject --jit`: for each function its code, when it came,
    /// its unwind records, and its lines, if debug information is kept. The file system must allow execution: a mapping of
    /// the file tells `perf` where it is.
    ///
    /// A `perf` that unwinds with libunwind looks for records in the program's memory only, where functions lie side by side and leave no
    /// room for them; call graphs by frame pointers work with any.
    JitDump(PathBuf),
}

/// Where `perf` looks for maps, whatever `TMPDIR` says.
const MAP_FOLDER: &str = "/tmp";

/// A file of this process.
#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    /// The process that made it; in a forked child nothing is written.
    process: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// How much of it is whole.
    length: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Map,
    Dump(JitDump),
    /// A dump to which nothing is added any more.
    Ended,
}

shared! {
    static OPEN: Mutex<Vec<Arc<Output>>> = Mutex::new(Vec::new());
}

/// The file of this process for a profile, made if it is not there.
pub(super) fn open(profile: &Profile) -> Result<Arc<Output>, ExecutorError> {
    let process = std::process::id();
    let path = match profile {
        Profile::PerfMap => Path::new(MAP_FOLDER).join(format!("perf-{process}.map")),
        Profile::JitDump(folder) => {
            let path = folder.join(format!("jit-{process}.dump"));
            std::path::absolute(&path).unwrap_or(path)
        }
    };
    let mut open = lock(&OPEN);
    if let Some(known) = open.iter().find(|output| output.process == process && output.path == path) {
        return Ok(Arc::clone(known));
    }
    let failed = |error: io::Error| {
        ExecutorError::with_advice(
            format!("cannot make the profile {}: {error}", path.display()),
            "remove what is there, or choose a folder of your own whose file system allows execution",
        )
    };
    let file = files::create(&path).map_err(failed)?;
    let (kind, head) = match profile {
        Profile::PerfMap => (Kind::Map, Vec::new()),
        Profile::JitDump(_) => (Kind::Dump(JitDump::default()), jit_dump::header().map_err(failed)?),
    };
    let mut state = State { file, length: 0, kind };
    state.append(&head).map_err(failed)?;
    if matches!(state.kind, Kind::Dump(_)) {
        jit_dump::mark(&state.file).map_err(failed)?;
        // A model has no locks when the process ends.
        if !cfg!(loom) {
            close_at_exit();
        }
    }
    let output = Arc::new(Output { path, process, state: Mutex::new(state) });
    open.push(Arc::clone(&output));
    Ok(output)
}

impl Output {
    /// Writes a batch down.
    pub(super) fn record(&self, batch: &Batch<'_>) -> Result<(), ExecutorError> {
        if self.process != std::process::id() {
            return Ok(());
        }
        let mut state = lock(&self.state);
        let bytes = match &mut state.kind {
            Kind::Map => perf_map::lines(batch),
            Kind::Dump(dump) => dump.records(batch),
            // The process exits, while this thread still links.
            Kind::Ended => return Ok(()),
        };
        state.append(&bytes).map_err(|error| {
            let what = format!("cannot write to the profile {}: {error}", self.path.display());
            ExecutorError::with_advice(what, "make room there, or link without a profile")
        })
    }

    /// Ends a dump. Called when the process exits, and so waits for nobody.
    pub(super) fn close(&self) {
        if self.process == std::process::id()
            && let Some(mut state) = try_lock(&self.state)
            && matches!(state.kind, Kind::Dump(_))
        {
            state.kind = Kind::Ended;
            // Who reads the file takes its end for the same.
            let _ = state.append(&jit_dump::end());
        }
    }
}

impl State {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.file.write_all_at(bytes, self.length) {
            Ok(()) => {
                self.length += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Half a record would hide all that come later.
                let _ = self.file.set_len(self.length);
                Err(error)
            }
        }
    }
}

fn close_at_exit() {
    static REGISTERED: Once = Once::new();
    extern "C" fn close() {
        if let Some(open) = try_lock(&OPEN) {
            open.iter().for_each(|output| output.close());
        }
    }
    // Without it the end of the file ends the dump.
    // SAFETY: the handler neither unwinds nor waits.
    REGISTERED.call_once(|| _ = unsafe { libc::atexit(close) });
}

/// What is written down of a batch.
pub(super) struct Batch<'b> {
    description: &'b Description,
    functions: Vec<Function<'b>>,
    frames: Frames<'b>,
}

/// A function with its code.
struct Function<'b> {
    name: &'b str,
    address: Addr,
    code: &'b [u8],
}

impl<'b> Batch<'b> {
    /// The functions of a batch, and where its unwind records are. `code` gives the bytes of a run of its memory.
    pub(super) fn new(
        description: &'b Description,
        frames: Option<(Addr, &'b [u8])>,
        code: impl Fn(Addr, u64) -> Option<&'b [u8]>,
    ) -> Batch<'b> {
        let named = functions(description).into_iter();
        let functions = named.filter_map(|(name, range)| {
            let code = code(range.start, range.end.offset_from(range.start))?;
            Some(Function { name, address: range.start, code })
        });
        Batch { description, functions: functions.collect(), frames: Frames::read(frames) }
    }
}

/// Runs of code with the name of each, in ascending order; none lies over another. Of several names for one address the one that
/// says most of the code counts; what has no size ends where the next one begins.
fn functions(description: &Description) -> Vec<(&str, Range<Addr>)> {
    let mut functions = Vec::with_capacity(description.symbols.len());
    let mut end = Addr(0);
    for (index, symbol) in description.symbols.iter().enumerate() {
        let start = symbol.address;
        let segment = description.segments.iter().find(|(at, size)| start.offset_from(*at) < *size);
        let Some(limit) = segment.map(|(at, size)| *at + *size).filter(|_| start >= end) else { continue };
        let next = description.symbols[index..].iter().map(|symbol| symbol.address).find(|next| *next > start);
        end = match symbol.size {
            0 => next.unwrap_or(limit).min(limit),
            size => (start + size).min(limit),
        };
        let (name, length) = (symbol.name.0 as usize, symbol.name.1 as usize);
        functions.extend(description.names.get(name..name + length).map(|name| (name, start..end)));
    }
    functions
}

#[cfg(all(test, loom))]
pub(super) mod models;
#[cfg(all(test, not(loom)))]
mod tests;
