//! Other machines, whose programs run here under an emulator: linked by that machine's `ld`, and by jitlink into the executor that
//! was built for it.

use super::build::Compiler;
use super::native::{self, Language};
use super::{Plan, run_plan};
use crate::process::{capture, cargo, find_tool, in_ci, run, step};
use crate::{Args, Result, executor};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A machine that Debian has cross compilers and a C library for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    /// As on the command line.
    name: &'static str,
    /// What Debian calls it in names of programs and in paths.
    triple: &'static str,
    /// What Rust calls it.
    target: &'static str,
    /// What QEMU calls it.
    qemu: &'static str,
    /// The processor that is emulated; the emulator's own choice without.
    cpu: Option<&'static str>,
    /// Its compilers, by what they are called in options and reports.
    compilers: [&'static str; 3],
    /// Programs with what its objects are refused for.
    pub(super) without: &'static [&'static str],
    /// Options that change objects, with -O2.
    pub(super) options: &'static [&'static [&'static str]],
    /// The code bases that are run: in C and in C++.
    bases: &'static [&'static str],
    /// The variants of code bases.
    variants: &'static [&'static str],
    /// Shared libraries that its compilers count on for what they have no instructions for.
    pub(super) libraries: &'static [&'static str],
}

const MACHINES: &[Machine] = &[
    Machine {
        name: "ppc64le",
        triple: "powerpc64le-linux-gnu",
        target: "powerpc64le-unknown-linux-gnu",
        qemu: "ppc64le",
        // The newest, for prefixed instructions.
        cpu: Some("power10"),
        compilers: ["ppc64le-gcc", "ppc64le-clang", "ppc64le-rustc"],
        without: &[],
        options: &[
            &["-mcpu=power8"],
            &["-mcpu=power9", "-fPIC"],
            &["-mcpu=power10"],
            &["-mcpu=power10", "-fPIC"],
            &["-fPIC", "-fno-plt"],
            &["-ffunction-sections", "-fdata-sections"],
            &["-fPIC", "-ftls-model=initial-exec"],
        ],
        bases: BASES,
        variants: VARIANTS,
        libraries: &[],
    },
    Machine {
        name: "ppc64",
        triple: "powerpc64-linux-gnu",
        target: "powerpc64-unknown-linux-gnu",
        qemu: "ppc64",
        cpu: None,
        compilers: ["ppc64-gcc", "ppc64-clang", "ppc64-rustc"],
        without: &[],
        options: &[
            &["-mcpu=power8"],
            &["-mcpu=power9", "-fPIC"],
            &["-ffunction-sections", "-fdata-sections"],
            &["-fPIC", "-ftls-model=initial-exec"],
        ],
        bases: BASES,
        variants: VARIANTS,
        libraries: &[],
    },
    Machine {
        name: "ppc32",
        triple: "powerpc-linux-gnu",
        target: "powerpc-unknown-linux-gnu",
        qemu: "ppc",
        // One with vector registers.
        cpu: Some("7450"),
        compilers: ["ppc32-gcc", "ppc32-clang", "ppc32-rustc"],
        without: &[],
        options: &[&["-fpic"], &["-ffunction-sections", "-fdata-sections"], &["-fPIC", "-ftls-model=initial-exec"]],
        // Without lcms2: the C library's libm has instructions that the emulator does not know for any processor of 32 bits.
        bases: &["lua", "quickjs", "sqlite", "zstd", "oniguruma", "hunspell"],
        variants: &["O0", "O2", "Os", "fPIC", "fno-pic", "ffunction-sections"],
        libraries: &["atomic"],
    },
];

/// The code bases of machines that can run all of these.
const BASES: &[&str] = &["lua", "quickjs", "sqlite", "lcms2", "hunspell"];

/// Their variants where a machine has code models.
const VARIANTS: &[&str] = &["O0", "O2", "Os", "fPIC", "fno-pic", "ffunction-sections", "mcmodel=large"];

/// What CI runs: of the first machine, these programs in these variants, and a code base; of the second, the tests in a process of it.
const SAMPLE: (&[&str], &[&str]) =
    (&["c/choices", "c/thread_locals", "cxx/exceptions"], &["-O0 -fPIC", "-O2 -fno-pic"]);

impl Machine {
    /// Little-endian 64-bit PowerPC.
    pub(crate) const PPC64LE: &'static Machine = &MACHINES[0];
    /// Big-endian 64-bit PowerPC, with the descriptors of the ELFv1 ABI.
    const PPC64: &'static Machine = &MACHINES[1];

    /// Its executor, which is built if it is not there.
    pub(crate) fn executor(&self) -> Result<PathBuf> {
        executor::for_target(self.target)
    }

    /// A command for what the emulator is to run.
    pub(crate) fn run(&self, program: PathBuf) -> Result<Command> {
        let mut words = self.runner()?;
        words.push(program.display().to_string());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        Ok(command)
    }

    /// The emulator with its arguments.
    fn runner(&self) -> Result<Vec<String>> {
        let emulator =
            self.emulator().ok_or_else(|| format!("qemu-{} is not installed (package qemu-user)", self.qemu))?;
        let cpu = self.cpu.into_iter().flat_map(|cpu| ["-cpu".to_owned(), cpu.to_owned()]);
        let root = ["-L".to_owned(), format!("/usr/{}", self.triple)];
        Ok([emulator.display().to_string()].into_iter().chain(cpu).chain(root).collect())
    }

    /// Runs tests of the library that link and call code of this machine in a process of this machine.
    fn test_in_process(&self) -> Result {
        if !executor::has_prebuilt(self.target) {
            let missing = format!("rustc has no standard library for {}", self.target);
            if in_ci() {
                return Err(format!("{missing}, and CI skips no test").into());
            }
            eprintln!("conformance: {missing}; tests in a process of {} are skipped", self.name);
            return Ok(());
        }
        step(&format!("tests in a process of {}", self.name));
        let runner = self.runner()?.join(" ");
        let variable = |what: &str| format!("CARGO_TARGET_{}_{what}", self.target.to_uppercase().replace('-', "_"));
        let mut command =
            cargo(&["test", "-p", "jitlink", "--no-default-features", "--features", "elf,ppc,in-process"]);
        command.args(["--target", self.target, "--test", "lazy"]);
        command.env(variable("LINKER"), self.linker(false)).env(variable("RUNNER"), &runner);
        run(command.env("JITLINK_TEST_RUNNER", runner))
    }

    /// Has the emulator that jitlink starts be such a processor.
    pub(super) fn prepare(&self, command: &mut Command) {
        if let Some(cpu) = self.cpu {
            command.env("QEMU_CPU", cpu);
        }
    }

    /// Whether its compilers know several code models.
    pub(super) fn has_code_models(&self) -> bool {
        self.variants.iter().any(|variant| variant.starts_with("mcmodel"))
    }

    /// Its linker for a language.
    pub(super) fn linker(&self, is_cpp: bool) -> String {
        format!("{}-{}", self.triple, if is_cpp { "g++" } else { "gcc" })
    }

    fn emulator(&self) -> Option<PathBuf> {
        find_tool(&[&format!("qemu-{}-static", self.qemu), &format!("qemu-{}", self.qemu)])
    }

    /// What is missing here to compile for it and to run.
    fn missing(&self) -> Option<String> {
        let tools = [self.linker(false), self.linker(true)];
        let compiler = tools.iter().find(|tool| find_tool(&[tool.as_str()]).is_none());
        let emulator = self.emulator().is_none().then(|| format!("qemu-{}", self.qemu));
        compiler.cloned().or(emulator)
    }

    /// Whether a Rust compiler has its standard library.
    fn has_standard_library(&self, rustc: &Path) -> bool {
        let folder = capture(Command::new(rustc).args(["--print", "target-libdir", "--target", self.target]));
        let files = folder.ok().and_then(|folder| std::fs::read_dir(folder.trim()).ok());
        files.into_iter().flatten().flatten().any(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
    }

    /// The compilers of a language for it that are here and wanted.
    pub(super) fn compilers(&'static self, language: Language, wanted: &[String]) -> Result<Vec<Compiler>> {
        let is_cpp = language == Language::Cxx;
        let [gcc, clang, rustc] = self.compilers;
        let clangs: &[&str] = if is_cpp { &["clang++-22", "clang++"] } else { &["clang-22", "clang"] };
        let known = match language {
            Language::C | Language::Cxx => vec![
                (gcc, find_tool(&[&self.linker(is_cpp)]), Vec::new()),
                (clang, find_tool(clangs), vec![format!("--target={}", self.triple)]),
            ],
            Language::Rust => {
                let linker = format!("-Clinker={}", self.linker(false));
                let arguments = vec!["--target".to_owned(), self.target.to_owned(), linker];
                vec![(rustc, find_tool(&["rustc"]).filter(|rustc| self.has_standard_library(rustc)), arguments)]
            }
        };
        let mut compilers = Vec::new();
        for (name, path, arguments) in known {
            let short = name.rsplit('-').next().unwrap_or(name);
            let Some(path) = path.filter(|_| wanted.is_empty() || wanted.iter().any(|wanted| wanted == short)) else {
                continue;
            };
            let version = capture(Command::new(&path).arg("--version"))?;
            let version = version.lines().next().unwrap_or_default().to_owned();
            compilers.push(Compiler { name, path, arguments, version, machine: Some(self) });
        }
        Ok(compilers)
    }
}

/// The machines of these names that can be run here; in CI all have to be.
fn here(names: &[String]) -> Result<Vec<&'static Machine>> {
    if let Some(unknown) = names.iter().find(|wanted| MACHINES.iter().all(|machine| machine.name != wanted.as_str())) {
        let known: Vec<&str> = MACHINES.iter().map(|machine| machine.name).collect();
        return Err(format!("there is no machine `{unknown}`; there are {}", known.join(", ")).into());
    }
    let mut machines = Vec::new();
    for machine in MACHINES.iter().filter(|machine| names.is_empty() || names.iter().any(|name| name == machine.name)) {
        match machine.missing() {
            None => machines.push(machine),
            Some(what) if in_ci() => return Err(format!("{what} is not installed, and CI skips no test").into()),
            Some(what) => {
                eprintln!("conformance: {what} is not installed, {} is skipped (try `cargo xtask setup`)", machine.name)
            }
        }
    }
    Ok(machines)
}

/// `conformance --foreign`: programs and code bases of other machines.
pub(super) fn main(mut args: Args, cores: usize) -> Result {
    let machines = here(&args.list("--machines")?)?;
    let (only, variants) = (args.list("--only")?, args.list("--variants")?);
    let compilers = args.list("--compilers")?;
    let jobs = args.number("--jobs")?.unwrap_or(cores);
    let jitlink = args.value("--jitlink")?.map(|path| super::there(&path)).transpose()?;
    let sample = args.flag("--sample");
    args.finish()?;
    let jitlink = jitlink.map_or_else(super::build_jitlink, Ok)?;
    if sample {
        return self::sample(jobs, &jitlink);
    }
    let (programs, bases): (Vec<String>, Vec<String>) = only.iter().cloned().partition(|name| name.contains('/'));
    let mut failures = Vec::new();
    for machine in machines {
        step(&format!("conformance of {}", machine.name));
        if only.is_empty() {
            failures.extend(machine.test_in_process().err().map(|error| format!("{}: {error}", machine.name)));
        }
        machine.executor()?;
        if only.is_empty() || !programs.is_empty() {
            let plan = native::Plan {
                only: programs.clone(),
                variants: variants.iter().filter(|name| name.starts_with('-')).cloned().collect(),
                compilers: compilers.clone(),
                jobs,
                jitlink: Some(jitlink.clone()),
                json: false,
                machine: Some(machine),
            };
            failures.extend(native::main(&plan).err().map(|error| format!("{}: {error}", machine.name)));
        }
        if only.is_empty() || !bases.is_empty() {
            let named: Vec<String> = variants.iter().filter(|name| !name.starts_with('-')).cloned().collect();
            let plan = of_bases(machine, &bases, &named, (&compilers, jobs), jitlink.clone())?;
            failures.extend(run_plan(&plan).err().map(|error| format!("{}: {error}", machine.name)));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ").into()) }
}

fn of_bases(
    machine: &'static Machine,
    bases: &[String],
    variants: &[String],
    (compilers, jobs): (&[String], usize),
    jitlink: PathBuf,
) -> Result<Plan> {
    let or_all = |names: &[String], all: &[&str]| match names.is_empty() {
        true => all.iter().map(|name| (*name).to_owned()).collect(),
        false => names.to_vec(),
    };
    let mut plan = super::chosen(&or_all(bases, machine.bases), &or_all(variants, machine.variants))?;
    plan.compilers = machine.compilers(Language::C, compilers)?;
    plan.jobs = jobs;
    plan.jitlink = Some(jitlink);
    Ok(plan)
}

/// What CI runs.
pub(super) fn sample(jobs: usize, jitlink: &Path) -> Result {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
    for machine in here(&[Machine::PPC64LE.name.to_owned()])? {
        machine.executor()?;
        let jitlink = jitlink.to_path_buf();
        let (only, variants) = (owned(SAMPLE.0), owned(SAMPLE.1));
        native::main(&native::Plan {
            only,
            variants,
            compilers: Vec::new(),
            jobs,
            jitlink: Some(jitlink.clone()),
            json: false,
            machine: Some(machine),
        })?;
        let (bases, variants, gcc) = (owned(&["lua"]), owned(&["O2"]), owned(&["gcc"]));
        run_plan(&of_bases(machine, &bases, &variants, (&gcc, jobs), jitlink)?)?;
    }
    for machine in here(&[Machine::PPC64.name.to_owned()])? {
        machine.test_in_process()?;
    }
    Ok(())
}
