//! Other machines, whose programs run here under an emulator: linked by that machine's `ld`, and by jitlink into the executor that
//! was built for it.

use super::build::Compiler;
pub(crate) use super::machines::Machine;
use super::machines::{Bare, MACHINES, Runner};
use super::musl::{self, Library};
use super::native::{self, Language};
use super::{Plan, run_plan};
use crate::process::{capture, cargo, find_tool, in_ci, run, step};
use crate::{Args, Result, executor};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What CI runs: of the first machine, these programs in these variants, and a code base; of the second, the tests in a process of it.
const SAMPLE: (&[&str], &[&str]) =
    (&["c/choices", "c/thread_locals", "cxx/exceptions"], &["-O0 -fPIC", "-O2 -fno-pic"]);

/// What it runs of Windows, besides the tests of its programs and a code base.
const WINDOWS_SAMPLE: (&[&str], &[&str]) = (&["cxx/exceptions", "cxx/types"], &["-O2"]);

impl Machine {
    /// Its executor, which is built if it is not there.
    pub(crate) fn executor(&self) -> Result<PathBuf> {
        let path = executor::for_target(self.target)?;
        if self.runner == Runner::Wine {
            // Wine makes its settings when it first starts, and talks about it where programs have their errors.
            capture(self.run(path.clone())?.arg("--version"))?;
        }
        Ok(path)
    }

    /// A command for what runs here by another program.
    pub(crate) fn run(&self, program: PathBuf) -> Result<Command> {
        let mut words = self.runner()?;
        // Compilers for Windows add this to what they make.
        let program = if self.runner == Runner::Wine { program.with_extension("exe") } else { program };
        words.push(program.display().to_string());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        self.prepare(&mut command);
        Ok(command)
    }

    /// The program that runs others, with its arguments.
    fn runner(&self) -> Result<Vec<String>> {
        let found = self.emulator();
        let found = found.map_err(|(name, package)| format!("{name} is not installed (package {package})"))?;
        let cpu = match self.runner {
            Runner::Qemu(_, cpu) => cpu.into_iter().flat_map(|cpu| ["-cpu".to_owned(), cpu.to_owned()]),
            Runner::Wine | Runner::Bare(..) => return Ok(vec![found.display().to_string()]),
        };
        let root = ["-L".to_owned(), format!("/usr/{}", self.triple)];
        Ok([found.display().to_string()].into_iter().chain(cpu).chain(root).collect())
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

    /// Runs the command's tests with programs that are for this system alone.
    fn test_programs(&self) -> Result {
        let executor = self.executor()?;
        step(&format!("tests of programs of {}", self.name));
        let mut command =
            cargo(&["test", "--locked", "-p", "jitlink-cli", "--test", "cli", "--", "--ignored", self.name]);
        self.prepare(&mut command);
        command.env("JITLINK_EXECUTORS", executor.parent().unwrap_or(Path::new(".")));
        run(&mut command)
    }

    /// Tells what runs programs of it how to, when jitlink starts that.
    pub(super) fn prepare(&self, command: &mut Command) {
        match self.runner {
            Runner::Qemu(_, Some(cpu)) => _ = command.env("QEMU_CPU", cpu),
            Runner::Qemu(_, None) | Runner::Bare(..) => {}
            Runner::Wine => crate::wine::prepare(command),
        }
    }

    /// A command that links a program for it.
    pub(super) fn link(&self, compiler: &str, is_cpp: bool) -> Command {
        if let Runner::Bare(_, bare) = self.runner {
            let mut command = Command::new(format!("{}-ld", self.triple));
            // GNU ld 2.40 makes wrong code of some that clang has for variables of threads in other objects, where it optimises that.
            command.args(["-m", bare.emulation, "-static", "--eh-frame-hdr", "--no-tls-optimize"]);
            // What crtbegin.o defines elsewhere.
            command.arg("--defsym=__dso_handle=0");
            return command;
        }
        let mut linker = self.linker(is_cpp);
        if self.compilers[1] == compiler {
            // The other model's headers are those that clang takes.
            linker = linker.replace("-posix", "-win32");
        }
        let mut command = Command::new(linker);
        if self.runner == Runner::Wine {
            // No DLL of the compiler's is where Wine looks. Coroutines without optimisation call each other deeper than 2 MiB of stack.
            command.args(["-static", "-Wl,--stack,0x800000"]);
        }
        command
    }

    /// Its linker for a language.
    pub(super) fn linker(&self, is_cpp: bool) -> String {
        // Of the two models of threads that MinGW has, the one whose C++ library has threads.
        let model = if self.runner == Runner::Wine { "-posix" } else { "" };
        format!("{}-{}{model}", self.triple, if is_cpp { "g++" } else { "gcc" })
    }

    /// What runs its programs; or what that is called, and the package that has it.
    fn emulator(&self) -> std::result::Result<PathBuf, (String, &'static str)> {
        match self.runner {
            Runner::Qemu(name, _) | Runner::Bare(name, _) => {
                let found = find_tool(&[&format!("qemu-{name}-static"), &format!("qemu-{name}")]);
                found.ok_or_else(|| (format!("qemu-{name}"), "qemu-user"))
            }
            Runner::Wine => crate::wine::find().ok_or_else(|| ("wine64".to_owned(), "wine64")),
        }
    }

    /// What is missing here to compile for it and to run.
    fn missing(&self) -> Option<String> {
        let tools = [self.linker(false), self.linker(true)];
        let compiler = tools.iter().find(|tool| find_tool(&[tool.as_str()]).is_none());
        let zig = matches!(self.runner, Runner::Bare(..)).then(musl::zig);
        let zig = zig.is_some_and(|zig| zig.is_none()).then(|| format!("zig ({})", musl::PACKAGE));
        compiler.cloned().or_else(|| self.emulator().err().map(|(name, _)| name)).or(zig)
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
        let wanted = |name: &str| {
            let short = name.rsplit('-').next().unwrap_or(name);
            wanted.is_empty() || wanted.iter().any(|wanted| wanted == short)
        };
        if let Runner::Bare(_, bare) = self.runner {
            return self.bare_compilers(language, bare, wanted);
        }
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
            let Some(path) = path.filter(|_| wanted(name)) else { continue };
            compilers.push(self.compiler(name, path, arguments, None)?);
        }
        Ok(compilers)
    }

    fn compiler(
        &'static self,
        name: &'static str,
        path: PathBuf,
        arguments: Vec<String>,
        library: Option<Library>,
    ) -> Result<Compiler> {
        let version = capture(Command::new(&path).arg("--version"))?;
        let version = version.lines().next().unwrap_or_default().to_owned();
        Ok(Compiler { name, path, arguments, version, machine: Some(self), library })
    }

    /// The compilers for it where it has no system: GCC in C, and clang in C++ too, whose library is LLVM's.
    fn bare_compilers(
        &'static self,
        language: Language,
        bare: &Bare,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<Compiler>> {
        let [gcc, clang, _] = self.compilers;
        let is_cpp = language == Language::Cxx;
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
        let mut compilers = Vec::new();
        if language == Language::C && wanted(gcc) {
            let path = PathBuf::from(self.linker(false));
            let own = capture(Command::new(&path).arg("-print-file-name=include"))?;
            let library = Library::of(bare.triple, is_cpp)?;
            let mut arguments = owned(bare.options);
            arguments.extend(library.options("-nostdinc"));
            arguments.extend(owned(&["-isystem", own.trim()]));
            compilers.push(self.compiler(gcc, path, arguments, Some(library))?);
        }
        let path = find_tool(if is_cpp { &["clang++-22", "clang++"] } else { &["clang-22", "clang"] });
        if let Some(path) = path.filter(|_| language != Language::Rust && wanted(clang)) {
            let library = Library::of(bare.triple, is_cpp)?;
            let mut arguments = vec![format!("--target={}", bare.triple)];
            arguments.extend(library.options("-nostdlibinc"));
            arguments.extend(is_cpp.then(|| "-nostdinc++".to_owned()));
            compilers.push(self.compiler(clang, path, arguments, Some(library))?);
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
            let tested = match machine.runner {
                Runner::Qemu(..) => machine.test_in_process(),
                Runner::Wine => machine.test_programs(),
                Runner::Bare(..) => Ok(()),
            };
            failures.extend(tested.err().map(|error| format!("{}: {error}", machine.name)));
        }
        if !matches!(machine.runner, Runner::Bare(..)) {
            machine.executor()?;
        }
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
    for machine in here(&[Machine::WINDOWS.name.to_owned()])? {
        machine.test_programs()?;
        let (only, variants) = (owned(WINDOWS_SAMPLE.0), owned(WINDOWS_SAMPLE.1));
        native::main(&native::Plan {
            only,
            variants,
            compilers: Vec::new(),
            jobs,
            jitlink: Some(jitlink.to_path_buf()),
            json: false,
            machine: Some(machine),
        })?;
        let (bases, variants, gcc) = (owned(&["lua"]), owned(&["O2"]), owned(&["gcc"]));
        run_plan(&of_bases(machine, &bases, &variants, (&gcc, jobs), jitlink.to_path_buf())?)?;
    }
    Ok(())
}
