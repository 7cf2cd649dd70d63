//! One program by one compiler in one variant: compiled once, linked and run twice, and compared.

use super::programs::{Language, Program};
use super::variants::{Library, Variant};
use crate::Result;
use crate::conformance::build::Compiler;
use crate::conformance::run::{self, Outcome, compare, run};
use crate::process::capture;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What takes this long hangs.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// How often a reference under an emulator is run again.
const EMULATED_RUNS: u32 = 3;

/// What a Rust program says that cannot unwind: GNU ld does not link the unwind tables of far code.
const NO_PANICS: &str = "failed to initiate panic";

/// What Wine's debugger begins with, on standard output, when nobody handles a program's exception.
const UNHANDLED: &[u8] = b"Unhandled exception: ";

/// How a case ended.
pub(super) enum Verdict {
    Same,
    /// The compiler or its linker takes no such program, so there is nothing to compare with.
    NoReference(String),
    /// What differs, and the command that shows it.
    Fails(String, String),
}

pub(super) struct Case<'p> {
    pub(super) program: &'p Program,
    pub(super) compiler: &'p Compiler,
    pub(super) variant: Variant,
}

/// What was compiled.
struct Built {
    reference: PathBuf,
    /// What jitlink gets besides options.
    inputs: Vec<PathBuf>,
}

impl Case<'_> {
    pub(super) fn name(&self) -> String {
        format!("{} {} {}", self.program.id(), self.compiler.name, self.variant.name)
    }

    /// Compiles, links and runs both ways in a folder below `work`, which stays where the case fails.
    pub(super) fn run(&self, work: &Path, jitlink: &Path) -> Result<Verdict> {
        let name: String = self.name().chars().map(|each| if "/ =".contains(each) { '_' } else { each }).collect();
        let folder = work.join(name);
        // What an earlier run left would be linked too.
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let built = match self.build(&folder) {
            Ok(built) => built,
            Err(error) => {
                std::fs::remove_dir_all(&folder)?;
                return Ok(Verdict::NoReference(error.to_string()));
            }
        };
        let refer = || -> Result<Outcome> {
            let mut reference = self.compiler.run(&built.reference)?;
            run(reference.args(self.program.arguments), &folder.join("run-reference"), TIME_LIMIT)
        };
        let reference = refer()?;
        if reference.stderr.contains(NO_PANICS) {
            std::fs::remove_dir_all(&folder)?;
            return Ok(Verdict::NoReference(format!("linked by the compiler it says: {NO_PANICS}")));
        }
        // Of GCC 12's large code model with -O3 the run-time library's own handlers of exceptions are such.
        if self.compiler.machine.is_some() && reference.stdout.windows(UNHANDLED.len()).any(|part| part == UNHANDLED) {
            std::fs::remove_dir_all(&folder)?;
            return Ok(Verdict::NoReference("linked by the compiler it crashes".into()));
        }
        let given = (self.options()?, self.program.arguments);
        let linked = self.compiler.linked_by(jitlink, &built.inputs, (&given.0, given.1), &folder);
        let repeat = linked.as_ref().map(typed).unwrap_or_default();
        let ours = linked.and_then(|mut command| run(&mut command, &folder.join("run-jitlink"), TIME_LIMIT));
        let differs = match ours {
            Ok(ours) => {
                let mut differs = difference(&reference, &ours);
                // QEMU 7.2 has one in ten starts of a 32-bit process's threads fail (EFAULT), which ends the reference. What jitlink
                // linked runs once.
                for _ in 0..self.compiler.machine.map_or(0, |_| EMULATED_RUNS) {
                    if differs.is_some() {
                        differs = difference(&refer()?, &ours);
                    }
                }
                differs
            }
            Err(error) => Some(error.to_string()),
        };
        Ok(match differs {
            Some(why) => Verdict::Fails(why, repeat),
            None => {
                std::fs::remove_dir_all(&folder)?;
                Verdict::Same
            }
        })
    }

    fn build(&self, folder: &Path) -> Result<Built> {
        let reference = folder.join(self.program.name);
        if self.program.language == Language::Rust {
            let mut archives = Vec::new();
            for name in self.program.others {
                let mut compile = self.rustc(name, folder);
                capture(compile.args(["--crate-type=rlib"]))?;
                archives.push(folder.join(format!("lib{name}.rlib")));
            }
            // Each by itself: linking removes the objects of several units.
            for emit in ["--emit=link", "--emit=obj"] {
                let mut compile = self.rustc(self.program.name, folder);
                for (name, archive) in self.program.others.iter().zip(&archives) {
                    compile.arg("--extern").arg(format!("{name}={}", archive.display()));
                }
                capture(compile.arg(emit))?;
            }
            let mut inputs = objects(folder)?;
            inputs.extend(archives);
            return Ok(Built { reference, inputs });
        }
        let mut inputs = Vec::new();
        for name in std::iter::once(&self.program.name).chain(self.program.others) {
            let object = folder.join(format!("{name}.o"));
            let mut compile = self.compiler.compile();
            compile.args(&self.variant.compile).args(self.program.flags).args(["-w", "-c", "-o"]);
            capture(compile.arg(&object).arg(self.program.source(name)))?;
            inputs.push(object);
        }
        let mut link = self.compiler.link(self.program.language == Language::Cxx);
        link.args(&inputs).arg("-o").arg(&reference).args(&self.variant.reference);
        link.args(self.compiler.libraries(["pthread", "m"].into_iter().chain(self.libraries())));
        capture(&mut link)?;
        Ok(Built { reference, inputs })
    }

    fn rustc(&self, name: &str, folder: &Path) -> Command {
        let mut command = self.compiler.compile();
        command.args(["--edition=2024", "-Awarnings", "--crate-name", name]).args(&self.variant.compile);
        command.args(self.program.flags).arg("--out-dir").arg(folder).arg(self.program.source(name));
        command
    }

    /// Further shared libraries that the machine's compilers count on, as after `-l`.
    fn libraries(&self) -> impl Iterator<Item = &'static str> {
        let of_c = self.program.language != Language::Rust;
        self.compiler.machine.filter(|_| of_c).map_or(&[][..], |machine| machine.libraries).iter().copied()
    }

    /// The libraries that jitlink is given, as the compiler gives them to its linker.
    fn options(&self) -> Result<Vec<String>> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
        let mut options: Vec<String> = match (self.program.language, self.variant.library) {
            (Language::C, _) => words(&["-l", "m"]),
            (Language::Rust, _) if self.program.flags.contains(&"-Cpanic=abort") => words(&["--rust-std=abort"]),
            (Language::Rust, _) => words(&["--rust-std"]),
            (Language::Cxx, Library::Usual) => words(&["-l", "stdc++", "-l", "m"]),
            (Language::Cxx, Library::Static) => self.archives(&["libstdc++.a", "libgcc_eh.a", "libgcc.a"])?,
            (Language::Cxx, Library::LlvmStatic) => {
                self.archives(&["libc++.a", "libc++experimental.a", "libc++abi.a"])?
            }
            (Language::Cxx, Library::Llvm) => {
                let shared = PathBuf::from(self.file_of("libc++.so")?);
                let folder = shared.parent().unwrap_or(Path::new(".")).display().to_string();
                let mut options = vec!["-L".to_owned(), folder];
                options.extend(words(&["-l", "c++", "-l", "m"]));
                options
            }
        };
        options.extend(self.libraries().flat_map(|library| words(&["-l", library])));
        Ok(options)
    }

    /// Libraries of the compiler as inputs; what is left is in the mathematical one.
    fn archives(&self, names: &[&str]) -> Result<Vec<String>> {
        let mut options = names.iter().map(|name| self.file_of(name)).collect::<Result<Vec<String>>>()?;
        options.extend(["-l".to_owned(), "m".to_owned()]);
        Ok(options)
    }

    /// Where the compiler has one of its own libraries.
    fn file_of(&self, name: &str) -> Result<String> {
        let path = capture(Command::new(&self.compiler.path).arg(format!("-print-file-name={name}")))?;
        Ok(path.trim().to_owned())
    }
}

/// The objects in a folder, in the order of their names.
fn objects(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut objects = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "o") {
            objects.push(path);
        }
    }
    objects.sort();
    Ok(objects)
}

fn difference(reference: &Outcome, ours: &Outcome) -> Option<String> {
    match compare(reference, ours) {
        run::Verdict::Differs(why) => Some(why),
        _ => None,
    }
}

/// A command that can be pasted into a shell.
fn typed(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted = words.map(|word| {
        let word = word.to_string_lossy();
        let is_plain =
            !word.is_empty() && word.chars().all(|each| each.is_ascii_alphanumeric() || "/._-+=:,@".contains(each));
        if is_plain { word.into_owned() } else { format!("'{word}'") }
    });
    quoted.collect::<Vec<_>>().join(" ")
}
