//! Reading: files to objects, in parallel, and archives to members that may join later.
//!
//! Objects are read into parts that are appended in input order, so the graph does not depend on how many threads read.

use crate::arch::Target;
use crate::archive::{Archive, MemberData};
use crate::error::{LinkError, LinkErrors};
use crate::format::ObjectFormat;
use crate::graph::{LinkGraph, Name, ObjectBuilder, ObjectId, unwind};
use crate::input::Input;
use crate::registry::Registry;
use crate::reloc::RowTable;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use typed_arena::Arena;

/// Objects are handed to threads in parts of at least this many bytes.
const PART: usize = 256 << 10;

/// The size from which on an object is read by itself, whatever else there is.
const LARGE: usize = 8 << 20;

/// Bytes of an object with its names.
#[derive(Clone)]
pub(super) struct Source<'a> {
    /// For errors and maps: the file, with the member in parentheses.
    pub(super) name: String,
    /// The file.
    pub(super) path: String,
    pub(super) bytes: &'a [u8],
    /// What holds the bytes.
    input: &'a Input,
}

/// An archive whose members join the batch when it needs them.
pub(super) struct LazyArchive<'a> {
    pub(super) name: String,
    pub(super) archive: Archive<'a>,
    pub(super) taken: Vec<bool>,
    input: &'a Input,
}

/// Everything that reading needs to know.
pub(super) struct Reader<'r, 'a> {
    pub(super) objects: ObjectReader<'r>,
    /// Keeps files of thin archives while the graph borrows them.
    pub(super) files: &'a Arena<Input>,
    pub(super) threads: usize,
}

/// What the threads that read objects share.
#[derive(Clone, Copy)]
pub(super) struct ObjectReader<'r> {
    pub(super) registry: &'r Registry,
    pub(super) keep_debug: bool,
}

/// A graph of some objects, and the errors of those that are not in it.
type ReadPart<'a> = (LinkGraph<'a>, Vec<LinkError>);

/// The target of a batch, and who decided it.
pub(super) struct BatchTarget {
    pub(super) target: Target,
    pub(super) rows: RowTable,
    pub(super) format: &'static dyn ObjectFormat,
    first: String,
}

impl<'a> Reader<'_, 'a> {
    /// Sorts inputs into objects to link and archives to take from.
    pub(super) fn classify(&self, inputs: &'a [Input]) -> Result<(Vec<Source<'a>>, Vec<LazyArchive<'a>>), LinkErrors> {
        let (mut sources, mut archives, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        let parse = |input: &'a Input| {
            let (name, bytes) = (input.name().to_string(), input.bytes());
            Archive::recognize(bytes).then(|| Archive::parse(&name, bytes))
        };
        let parsed: Vec<_> = match self.threads > 1 && inputs.len() > 1 {
            true => inputs.par_iter().map(parse).collect(),
            false => inputs.iter().map(parse).collect(),
        };
        for (input, archive) in inputs.iter().zip(parsed) {
            let (name, bytes) = (input.name().to_string(), input.bytes());
            let Some(archive) = archive else {
                sources.push(Source { path: name.clone(), name, bytes, input });
                continue;
            };
            match archive {
                Ok(archive) => {
                    let taken = vec![input.whole_archive; archive.members().len()];
                    let lazy = LazyArchive { name, archive, taken, input };
                    if input.whole_archive {
                        for member in 0..lazy.archive.members().len() {
                            match self.member(&lazy, member) {
                                Ok(source) if is_metadata(&source) => {}
                                Ok(source) => sources.push(source),
                                Err(error) => errors.push(error),
                            }
                        }
                    }
                    archives.push(lazy);
                }
                Err(error) => errors.push(error),
            }
        }
        LinkErrors::check(errors)?;
        Ok((sources, archives))
    }

    /// The bytes of an archive member.
    pub(super) fn member(&self, archive: &LazyArchive<'a>, index: usize) -> Result<Source<'a>, LinkError> {
        let member = &archive.archive.members()[index];
        let name = format!("{}({})", archive.name, member.name);
        let (bytes, input) = match &member.data {
            MemberData::Inline(bytes) => (*bytes, archive.input),
            MemberData::External(path) => {
                let file = Input::open(path).map_err(|error| match error {
                    LinkError::Io { path, reason } => LinkError::Io {
                        path,
                        reason: format!("{reason} (a member of the thin archive {})", archive.name),
                    },
                    other => other,
                })?;
                let file: &Input = self.files.alloc(file);
                (file.bytes(), file)
            }
        };
        Ok(Source { name, path: archive.name.clone(), bytes, input })
    }

    /// The names that each archive's members define, with the member, and the archive: from the index, or from the members
    /// themselves.
    pub(super) fn definitions(
        &self,
        archives: &[LazyArchive<'a>],
        mut found: impl FnMut(&[(Name<'a>, u32)], u32),
    ) -> Result<(), LinkErrors> {
        let mut errors = Vec::new();
        for (number, archive) in archives.iter().enumerate() {
            if let Some(names) = archive.archive.names() {
                found(names, number as u32);
                continue;
            }
            let mut names = Vec::new();
            for member in 0..archive.archive.members().len() {
                let listed = self.member(archive, member).and_then(|source| {
                    let Some(format) = self.objects.registry.recognize(source.bytes) else { return Ok(()) };
                    let mut list = |name| names.push((Name::new(name), member as u32));
                    format.definitions(&source.name, source.bytes, &mut list)
                });
                errors.extend(listed.err());
            }
            found(&names, number as u32);
        }
        LinkErrors::check(errors)
    }

    /// Reads objects and appends them to the graph in order, of which `joined` is told now and then. Reports the errors of all.
    pub(super) fn read(
        &self,
        graph: &mut LinkGraph<'a>,
        batch: &BatchTarget,
        sources: &[Source<'a>],
        joined: &mut (impl FnMut(&LinkGraph<'a>) + Send),
    ) -> Result<(), LinkErrors> {
        graph.threads = self.threads;
        let mut errors = Vec::new();
        let all = size(sources.iter());
        let is_large = |source: &Source<'_>| is_large(source.bytes.len(), all);
        for run in sources.chunk_by(|one, next| !is_large(one) && !is_large(next)) {
            if self.threads > 1 && run.len() > 1 && (run.len() >= 256 || size(run.iter()) >= 2 << 20) {
                self.read_parts(batch, run, Appender { graph, errors: &mut errors, joined, failed: None })?;
            } else {
                errors.extend(run.iter().filter_map(|source| self.objects.read_one(graph, batch, source).err()));
                joined(graph);
            }
        }
        LinkErrors::check(errors)
    }

    /// Reads objects on several threads.
    fn read_parts(
        &self,
        batch: &BatchTarget,
        sources: &[Source<'a>],
        mut appender: Appender<'_, 'a, impl FnMut(&LinkGraph<'a>) + Send>,
    ) -> Result<(), LinkErrors> {
        let parts = parts(sources);
        let (objects, threads) = (self.objects, self.threads);
        let read_part = |part: &&[Source<'a>]| -> ReadPart<'a> {
            let mut graph = objects.empty(batch);
            graph.threads = threads;
            let errors = part.iter().filter_map(|source| objects.read_one(&mut graph, batch, source).err()).collect();
            (graph, errors)
        };
        // The first parts tell how much room all of them need.
        let (first, rest) = parts.split_at(parts.len().min(2 * threads));
        let read: Vec<ReadPart<'a>> = first.par_iter().map(read_part).collect();
        let share = size(sources.iter()) as f64 / size(first.iter().copied().flatten()).max(1) as f64;
        appender.graph.reserve(&read, share);
        appender.append(read);

        // Who has read a part leaves it for its turn, and appends those whose turn it is unless another does: nobody waits.
        let (next, turns, appender) = (AtomicUsize::new(0), Mutex::new(Turns::default()), Mutex::new(appender));
        let append = |appender: &mut Appender<'_, 'a, _>| {
            loop {
                let parts = lock(&turns).take();
                if parts.is_empty() {
                    break;
                }
                appender.append(parts);
            }
        };
        (0..threads).into_par_iter().for_each(|_| {
            while let Some((number, part)) = take(&next, rest) {
                let part = read_part(part);
                lock(&turns).read.insert(number, part);
                if let Ok(mut appender) = appender.try_lock() {
                    append(&mut appender);
                }
            }
        });
        // What was left while another appended the part before.
        let mut appender = appender.into_inner().unwrap_or_else(PoisonError::into_inner);
        append(&mut appender);
        appender.failed.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// The next item that nobody took yet, with its number.
fn take<'i, T>(next: &AtomicUsize, items: &'i [T]) -> Option<(usize, &'i T)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    Some((number, items.get(number)?))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Parts that were read before their turn.
#[derive(Default)]
struct Turns<'a> {
    read: BTreeMap<usize, ReadPart<'a>>,
    /// The number of the part whose turn it is.
    turn: usize,
}

impl<'a> Turns<'a> {
    /// Those whose turn it is.
    fn take(&mut self) -> Vec<ReadPart<'a>> {
        let mut parts = Vec::new();
        while let Some(part) = self.read.remove(&self.turn) {
            self.turn += 1;
            parts.push(part);
        }
        parts
    }
}

/// What parts are appended to.
struct Appender<'g, 'a, J> {
    graph: &'g mut LinkGraph<'a>,
    errors: &'g mut Vec<LinkError>,
    /// Is told of the graph with each part.
    joined: &'g mut J,
    /// The graph could not take a part, and takes no more.
    failed: Option<LinkError>,
}

impl<'a, J: FnMut(&LinkGraph<'a>) + Send> Appender<'_, 'a, J> {
    fn append(&mut self, parts: Vec<ReadPart<'a>>) {
        let (graphs, errors): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        self.errors.extend(errors.into_iter().flatten());
        if self.errors.is_empty() && self.failed.is_none() {
            self.failed = self.graph.append(graphs, self.joined).err();
        }
    }
}

/// Whether an object of `all` bytes that are read is worth all threads, which it gets within: it is read into the graph itself, as
/// appending it would take long.
fn is_large(size: usize, all: usize) -> bool {
    size >= LARGE || size > all / 2
}

/// Parts that are worth a task each.
fn parts<'s, 'a>(mut sources: &'s [Source<'a>]) -> Vec<&'s [Source<'a>]> {
    let mut parts = Vec::new();
    while !sources.is_empty() {
        let mut sum = 0;
        let full = sources.iter().position(|source| {
            sum += source.bytes.len();
            sum >= PART
        });
        let (part, rest) = sources.split_at(full.map_or(sources.len(), |last| last + 1));
        parts.push(part);
        sources = rest;
    }
    parts
}

fn size<'s, 'a: 's>(sources: impl Iterator<Item = &'s Source<'a>>) -> usize {
    sources.map(|source| source.bytes.len()).sum()
}

impl ObjectReader<'_> {
    /// The target that the first object decides; the convention of its functions, if that does not say it, `others` do.
    pub(super) fn target(&self, source: &Source<'_>, others: &[Source<'_>]) -> Result<BatchTarget, LinkError> {
        let format = self.format(source)?;
        let header = format.header(&source.name, source.bytes)?;
        let (mut target, rows) = self.registry.target(format, &header, &source.name)?;
        if target.arch.convention(&header).is_none() {
            // The first object that says how functions are called.
            let headers = others.iter().filter(|other| format.recognize(other.bytes));
            let headers = headers.filter_map(|other| format.header(&other.name, other.bytes).ok());
            let known = headers.map(|header| target.arch.convention(&header)).find(Option::is_some).flatten();
            target.convention = known.filter(|name| !name.is_empty()).unwrap_or(target.convention);
        }
        Ok(BatchTarget { target, rows, format, first: source.name.clone() })
    }

    fn format(&self, source: &Source<'_>) -> Result<&'static dyn ObjectFormat, LinkError> {
        self.registry.recognize(source.bytes).ok_or_else(|| {
            let magic: Vec<String> = source.bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            let formats: Vec<&str> = self.registry.formats().iter().map(|format| format.name()).collect();
            LinkError::Unrecognized {
                path: source.name.clone(),
                magic: magic.join(" "),
                formats: if formats.is_empty() { "none".into() } else { formats.join(", ") },
            }
        })
    }

    /// A graph for the batch with nothing in it.
    pub(super) fn empty<'a>(&self, batch: &BatchTarget) -> LinkGraph<'a> {
        let graph = LinkGraph::new(batch.target, batch.rows.clone());
        if self.keep_debug { graph.with_debug() } else { graph }
    }

    fn read_one<'a>(
        &self,
        graph: &mut LinkGraph<'a>,
        batch: &BatchTarget,
        source: &Source<'a>,
    ) -> Result<(), LinkError> {
        let format = if batch.format.recognize(source.bytes) { batch.format } else { self.format(source)? };
        let header = format.header(&source.name, source.bytes)?;
        let (endian, pointer_bytes) = (batch.target.endian, batch.target.pointer_bytes);
        let same =
            format.name() == batch.format.name() && (header.endian, header.pointer_bytes) == (endian, pointer_bytes);
        let target = if same && self.machine_is(format, header.machine, batch) {
            batch.target
        } else {
            self.registry.target(format, &header, &source.name)?.0
        };
        if target != batch.target {
            return Err(LinkError::MixedTargets {
                object: source.name.clone(),
                found: target.to_string(),
                first: batch.first.clone(),
                expected: batch.target.to_string(),
            });
        }
        let object = ObjectId::new(graph.objects().len());
        let builder = ObjectBuilder::new(graph, source.name.clone(), source.path.clone());
        let mut builder = builder.of_input(Some(source.input));
        format.read(source.bytes, &mut builder)?;
        batch.target.arch.complete(&header, &mut builder)?;
        unwind::link_records(graph, object)
    }

    fn machine_is(&self, format: &'static dyn ObjectFormat, machine: u32, batch: &BatchTarget) -> bool {
        let arch = batch.target.arch.info().name();
        let mut tables = self.registry.tables().iter();
        tables.any(|table| table.format() == format.name() && table.machine() == machine && table.arch() == arch)
    }
}

/// Compiler metadata that Rust's libraries carry beside their objects.
fn is_metadata(source: &Source<'_>) -> bool {
    source.name.ends_with("(lib.rmeta)")
}
