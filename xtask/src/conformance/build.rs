//! Compiles a code base in one variant, each source once: an object is made again only when its command, its compiler
//! or its source has changed.

use super::bases::{Base, Language, Variant};
use super::fetch;
use super::foreign::Machine;
use super::image;
use super::musl::Library;
use crate::Result;
use crate::process::{capture, root};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A compiler that is installed here.
pub(crate) struct Compiler {
    pub(crate) name: &'static str,
    pub(crate) path: PathBuf,
    /// What it hears first, always.
    pub(crate) arguments: Vec<String>,
    /// What it says of itself; a new version makes all objects again.
    pub(crate) version: String,
    /// The machine that it compiles for, if not this one.
    pub(super) machine: Option<&'static Machine>,
    /// What its programs are linked with, where that is no library of a system that runs them.
    pub(super) library: Option<Library>,
}

impl Compiler {
    /// A command that compiles.
    pub(crate) fn compile(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments);
        command
    }

    /// A command that links a program.
    pub(crate) fn link(&self, is_cpp: bool) -> Command {
        match self.machine {
            Some(machine) => {
                let mut command = machine.link(self.name, is_cpp);
                command.args(self.library.as_ref().map(|library| &library.start));
                command
            }
            None => self.compile(),
        }
    }

    /// What a link of objects to a program ends with, for libraries by the names that they have after `-l`.
    pub(super) fn libraries(&self, names: impl Iterator<Item = &'static str>) -> Vec<OsString> {
        match &self.library {
            // It is all of them.
            Some(library) => library.group(),
            None => names.map(|name| format!("-l{name}").into()).collect(),
        }
    }

    /// Has jitlink link objects and run them, with its options and the program's arguments: the command that does so.
    pub(super) fn linked_by(
        &self,
        jitlink: &Path,
        objects: &[PathBuf],
        (options, arguments): (&[String], &[&str]),
        folder: &Path,
    ) -> Result<Command> {
        let mut command = match &self.library {
            Some(library) => self.run(&image::program(jitlink, library, objects, folder)?)?,
            None => {
                let mut command = self.run_by(jitlink);
                command.args(objects).args(options);
                if !arguments.is_empty() {
                    command.arg("--");
                }
                command
            }
        };
        command.args(arguments);
        Ok(command)
    }

    /// A command that runs a program.
    pub(crate) fn run(&self, program: &Path) -> Result<Command> {
        match self.machine {
            Some(machine) => machine.run(program.to_path_buf()),
            None => Ok(Command::new(program)),
        }
    }

    /// A command that has jitlink run a program.
    fn run_by(&self, jitlink: &Path) -> Command {
        let mut command = Command::new(jitlink);
        if let Some(machine) = self.machine {
            machine.prepare(&mut command);
        }
        command.arg("run");
        command
    }
}

/// Runs `job` on every item, over `threads` threads, and returns the answers in the items' order.
pub(crate) fn in_parallel<T: Sync, R: Send>(items: &[T], threads: usize, job: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut answers = Vec::new();
        while let index = next.fetch_add(1, Ordering::Relaxed)
            && let Some(item) = items.get(index)
        {
            answers.push((index, job(item)));
        }
        answers
    };
    let mut answers: Vec<(usize, R)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// One source on its way to one object.
pub(crate) struct Unit<'a> {
    base: &'a Base,
    package: &'a Path,
    compiler: &'a Compiler,
    variant: &'a Variant,
    source: PathBuf,
    pub(crate) object: PathBuf,
}

/// Everything that one case links, its driver first.
pub(crate) fn units<'a>(
    base: &'a Base,
    package: &'a Path,
    compiler: &'a Compiler,
    variant: &'a Variant,
    folder: &Path,
) -> Result<Vec<Unit<'a>>> {
    let driver = drivers().join(base.name).join(base.language.driver());
    let mut names = BTreeSet::new();
    let mut units = Vec::new();
    for source in std::iter::once(driver).chain(fetch::sources(base, package)?) {
        let stem = source.file_stem().and_then(|stem| stem.to_str()).unwrap_or("source").to_owned();
        // Two folders may hold files of the same name.
        let mut name = stem.clone();
        for count in 2.. {
            if names.insert(name.clone()) {
                break;
            }
            name = format!("{stem}-{count}");
        }
        units.push(Unit { base, package, compiler, variant, object: folder.join(format!("{name}.o")), source });
    }
    Ok(units)
}

fn drivers() -> PathBuf {
    root().join("xtask/conformance")
}

impl Unit<'_> {
    /// Compiles the source unless its object is there and made by the same command from the same bytes.
    pub(crate) fn compile(&self) -> Result {
        let mut command = self.command();
        let made_by = format!("{command:?}\n{}\n{:x}\n", self.compiler.version, self.fingerprint()?);
        let note = self.object.with_extension("made-by");
        if self.object.is_file() && std::fs::read_to_string(&note).is_ok_and(|known| known == made_by) {
            return Ok(());
        }
        capture(&mut command)?;
        std::fs::write(note, made_by)?;
        Ok(())
    }

    fn command(&self) -> Command {
        let top = self.package.join(self.base.folder);
        let mut command = self.compiler.compile();
        command.args(self.variant.compile).args(["-g0", "-w", "-c"]);
        let is_cpp = self.base.language == Language::Cpp && self.source.extension().is_some_and(|end| end != "c");
        if is_cpp {
            command.arg("-std=c++17");
        }
        let drops = self.compiler.machine.map_or(&[][..], |machine| machine.drops);
        command.args(self.base.flags.iter().filter(|flag| !drops.contains(flag)));
        command.args(self.base.include.iter().map(|folder| format!("-I{}", top.join(folder).display())));
        command.arg(format!("-I{}", drivers().join(self.base.name).display()));
        // What was included is listed beside the object, for the count of lines.
        command.arg("-MD").arg("-MF").arg(self.object.with_extension("d"));
        command.arg("-o").arg(&self.object).arg(&self.source);
        command
    }

    /// What may change under the same command: sources of a published crate never do, our own headers and drivers do.
    fn fingerprint(&self) -> Result<u64> {
        let mut files = vec![drivers().join("common.h")];
        for entry in std::fs::read_dir(drivers().join(self.base.name))? {
            let path = entry?.path();
            if path == self.source || path.extension().is_some_and(|end| end == "h") {
                files.push(path);
            }
        }
        files.sort();
        let mut sum = 0xcbf2_9ce4_8422_2325_u64;
        for file in files {
            let bytes = std::fs::read(file)?;
            sum = bytes.iter().fold(sum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
        }
        Ok(sum)
    }
}

/// How many lines of the package the compiler read for these objects: sources and headers, each once.
pub(crate) fn lines(units: &[Unit]) -> usize {
    let mut files = BTreeSet::new();
    for unit in units {
        let listed = std::fs::read_to_string(unit.object.with_extension("d")).unwrap_or_default();
        let words = listed.split_whitespace().filter(|word| *word != "\\").map(PathBuf::from);
        files.extend(words.filter_map(|path| path.canonicalize().ok()).filter(|path| path.starts_with(unit.package)));
    }
    files
        .iter()
        .filter_map(|file| std::fs::read(file).ok())
        .map(|text| text.iter().filter(|byte| **byte == b'\n').count())
        .sum()
}
