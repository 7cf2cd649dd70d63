//! `jitlink run` in another process: one that is started for it, one that listens, or one of another machine under an emulator.

mod emulator;
mod mingw;

use crate::args::Run;
use crate::progress::Progress;
use crate::{inputs, report};
use jitlink::core::arch::{SystemNames, Target};
use jitlink::core::executor::ExecutorError;
use jitlink::remote::{Address, End, TOKEN_VARIABLE};
use jitlink::{Input, LinkError, LinkErrors, Registry, RemoteExecutor, Roots, Session};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, ExitCode};
use std::sync::Arc;

/// Where the program is to run.
pub(crate) enum Place {
    /// In a process that this command starts.
    Command(String),
    /// In a process that listens here.
    Address(Address),
    /// In a process of another machine, under an emulator, or of another system.
    Emulator(&'static SystemNames),
}

/// Where the program is to run, if not in this process.
pub(crate) fn place(args: &Run) -> Option<Place> {
    if let Some(command) = &args.executor {
        return Some(Place::Command(command.clone()));
    }
    if let Some(address) = &args.connect {
        return Some(Place::Address(address.clone()));
    }
    // What cannot be read is reported by whoever links it.
    let first = args.link.inputs.iter().find(|path| path.as_os_str() != "-")?;
    elsewhere(&Input::open(first).ok()?).map(Place::Emulator)
}

/// The system that an object is for, if it is not this one.
pub(crate) fn elsewhere(object: &Input) -> Option<&'static SystemNames> {
    system_of(object).filter(|system| !is_native(system))
}

/// The system that an object is for.
fn system_of(object: &Input) -> Option<&'static SystemNames> {
    let target = target_of(object)?;
    target.arch.info().system(target.endian, target.pointer_bytes, target.convention)
}

/// What an object is for, if it is one that can be linked.
pub(crate) fn target_of(object: &Input) -> Option<Target> {
    let registry = Registry::global().ok()?;
    let format = registry.recognize(object.bytes())?;
    let header = format.header(object.name(), object.bytes()).ok()?;
    registry.target(format, &header, object.name()).ok().map(|(target, _)| target)
}

fn is_native(system: &SystemNames) -> bool {
    let (endian, bytes) = system.shape();
    let is_arch = system.rust_arch() == std::env::consts::ARCH && system.convention().is_empty();
    is_arch && endian == jitlink::core::Endian::NATIVE && usize::from(bytes) == size_of::<usize>()
}

/// Links and runs the program there.
pub(crate) fn run(args: &Run, place: &Place) -> ExitCode {
    match link_and_run(args, place) {
        Ok(end) => finish(end),
        Err(errors) => report::failure(&errors, args.link.format, std::slice::from_ref(&args.entry)),
    }
}

/// Ends as the program did.
fn finish(end: End) -> ExitCode {
    match end {
        End::Exited(status) => std::process::exit(status),
        End::Killed(signal) => {
            end_by(signal);
            // The signal was one that ends nothing here.
            ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
        }
    }
}

fn link_and_run(args: &Run, place: &Place) -> Result<End, LinkErrors> {
    let progress = Progress::start(inputs::linking(&args.link));
    let mut given = inputs::open(&args.link)?;
    let libraries = mingw::add(&mut given)?;
    let name = args.link.inputs.first().map(|path| path.as_os_str());
    let words = name.into_iter().chain(args.arguments.iter().map(|word| word.as_os_str()));
    let arguments = words.map(|word| CString::new(word.as_bytes())).collect::<Result<Vec<CString>, _>>();
    let arguments = arguments.map_err(|_| LinkError::Request("an argument holds a zero byte".into()))?;
    let executor = loading_imports(start(args, place)?, args);
    given.inputs.first().map_or(Ok(()), |first| crate::run::check_convention(first, &executor))?;
    set_environment(args, &executor)?;
    executor.set_arguments(&arguments).map_err(LinkError::from)?;
    for library in &given.libraries {
        match load(&executor, library, args) {
            // What was linked from an archive may be in no DLL.
            Err(error) if !libraries.contains(library) => return Err(error.into()),
            _ => {}
        }
    }
    let session = Session::new(Registry::global()?, Arc::new(executor.clone()));
    let module = session.link(&given.inputs, &inputs::options(&args.link, Roots::Named(vec![args.entry.clone()])))?;
    drop(progress);
    let Some(entry) = module.roots().first().copied().flatten() else {
        return Err(LinkError::Request(format!("{} is null, so there is nothing to call", args.entry)).into());
    };
    report::linked(module.statistics(), &args.link);
    executor.forward_input().map_err(LinkError::from)?;
    leave_the_terminal_to_the_program();
    let status = run_main(&module, entry, &arguments);
    let ended = match status {
        Ok(status) => executor.exit(status).map_err(LinkError::from),
        // The program may end itself before its main returns.
        Err(error) => executor.ended().ok_or(error),
    };
    if let Some(crash) = executor.crash() {
        eprintln!("jitlink: {crash}");
        if let Some(advice) = advice(place, crash.signal) {
            eprintln!("  help: {advice}");
        }
    }
    // Memory of a process that is gone need not be given back.
    Ok(ended?)
}

/// What to try after a crash.
fn advice(place: &Place, signal: i32) -> Option<&'static str> {
    let is_emulated = matches!(place, Place::Emulator(_));
    (is_emulated && signal == libc::SIGILL).then_some(
        "if the code is for a newer processor than the emulator's, choose another by QEMU_CPU (QEMU_CPU=power10; QEMU_CPU=help lists them)",
    )
}

#[allow(unsafe_code, reason = "runs what the user asked to run")]
fn run_main(module: &jitlink::Module, entry: jitlink::Addr, arguments: &[CString]) -> Result<i32, LinkError> {
    // SAFETY: running this program is what the user asked for; its entry is a C main by convention.
    unsafe { module.run_main(entry, arguments) }
}

#[allow(unsafe_code, reason = "loads what the user asked to load")]
fn load(executor: &RemoteExecutor, library: &str, args: &Run) -> Result<(), LinkError> {
    // SAFETY: the user asked for this library, and with it for its initialisers to run.
    unsafe { executor.load_library(library, &args.link.library_paths) }.map_err(LinkError::from)
}

#[allow(unsafe_code, reason = "has libraries loaded that the program asks for")]
fn loading_imports(executor: RemoteExecutor, args: &Run) -> RemoteExecutor {
    // SAFETY: the user asked to run this program, and with it the initialisers of the libraries that it imports from.
    unsafe { executor.loading_imports(&args.link.library_paths) }
}

fn start(args: &Run, place: &Place) -> Result<RemoteExecutor, LinkError> {
    let started = match place {
        Place::Command(line) => {
            let words = shlex::split(line).filter(|words| !words.is_empty());
            let words = words.ok_or_else(|| LinkError::Request(format!("--executor {line}: this is no command")))?;
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]);
            start_command(command)
        }
        Place::Address(address) => RemoteExecutor::connect(address, token(args)?.as_bytes()),
        Place::Emulator(system) => start_command(emulator::command(system)?),
    };
    started.map_err(LinkError::from)
}

fn start_command(command: Command) -> Result<RemoteExecutor, ExecutorError> {
    match command.get_args().any(|word| word == emulator::STDIO) {
        true => RemoteExecutor::start_over_streams(command),
        false => RemoteExecutor::start(command),
    }
}

/// The token for a process that listens.
fn token(args: &Run) -> Result<String, LinkError> {
    match &args.token_file {
        Some(path) => match std::fs::read_to_string(path) {
            Ok(token) => Ok(token.trim().to_string()),
            Err(error) => Err(LinkError::Io { path: path.display().to_string(), reason: error.to_string() }),
        },
        None => Ok(std::env::var(TOKEN_VARIABLE).unwrap_or_default()),
    }
}

fn set_environment(args: &Run, executor: &RemoteExecutor) -> Result<(), LinkError> {
    let text = |text: &str| {
        CString::new(text).map_err(|_| LinkError::Request("a variable of the environment holds a zero byte".into()))
    };
    let variables = args.environment.iter().map(|(name, value)| Ok((text(name)?, text(value)?)));
    let variables = variables.collect::<Result<Vec<_>, LinkError>>()?;
    match variables.is_empty() {
        true => Ok(()),
        false => executor.set_environment(&variables).map_err(LinkError::from),
    }
}

/// Keys that interrupt or quit are meant for the program, as in a shell that waits for it; this process ends as that does.
#[allow(unsafe_code, reason = "sets how this process takes signals")]
fn leave_the_terminal_to_the_program() {
    // SAFETY: what is set has no code.
    unsafe {
        libc::signal(libc::SIGINT, libc::SIG_IGN);
        libc::signal(libc::SIGQUIT, libc::SIG_IGN);
    }
}

#[allow(unsafe_code, reason = "ends this process as the program ended")]
fn end_by(signal: i32) {
    // SAFETY: sets the default action, which has no code, and raises the signal; no second file of memory is wanted.
    unsafe {
        let nothing = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::setrlimit(libc::RLIMIT_CORE, &nothing);
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use jitlink::core::Endian;

    static SYSTEM: SystemNames =
        SystemNames::new(Endian::Little, 8, "powerpc64", "powerpc64le-unknown-linux-gnu").qemu("ppc64le");

    #[test]
    fn an_illegal_instruction_under_an_emulator_may_be_one_of_a_newer_processor() {
        let emulated = Place::Emulator(&SYSTEM);
        assert!(advice(&emulated, libc::SIGILL).is_some_and(|advice| advice.contains("QEMU_CPU")));
        assert_eq!(advice(&emulated, libc::SIGSEGV), None);
        assert_eq!(advice(&Place::Command("jitlink-executor".into()), libc::SIGILL), None);
    }
}
