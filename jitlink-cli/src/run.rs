//! `jitlink run`: link in this process, and run.
//!
//! Programs that run in another process are `remote`'s.

use crate::args::{LinkArgs, ProfileKind, Run};
use crate::inputs::Given;
use crate::progress::Progress;
use crate::watch::Watch;
use crate::{inputs, program, remote, report};
use jitlink::{
    Addr, Executor, Input, LinkError, LinkErrors, Module, ProcessExecutor, Profile, Registry, Roots, Session,
};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::sync::Arc;

/// How many bytes of thread-local variables a program may have that are found without a look-up; more is looked up.
const ROOM: usize = 64 << 10;

pub(crate) fn run(args: &Run) -> ExitCode {
    // Those that link stay while the program runs.
    let threads = rayon::ThreadPoolBuilder::new().num_threads(args.link.threads.map_or(0, |count| count as usize));
    if let Err(error) = program::without_signals(|| threads.build_global()) {
        let error = LinkError::Request(format!("cannot start the threads that link: {error}"));
        return report::failure(&error.into(), args.link.format, &[]);
    }
    #[cfg(feature = "bpf")]
    if let Some(code) = crate::bpf::plain::run(args) {
        return code;
    }
    if let Some(place) = remote::place(args) {
        return remote::run(args, &place);
    }
    if !args.environment.is_empty() {
        let error =
            LinkError::Request("--env is for programs in another process; set the variable before jitlink".into());
        return report::failure(&error.into(), args.link.format, &[]);
    }
    // Before anything is read, so that no change is missed.
    let watch = args.watch.then(|| Watch::new(&args.link));
    let started = link(args).and_then(|linked| start(args, &linked, watch));
    match started {
        // Runs what the program registered with atexit, then the module's finalisers, and flushes its streams.
        Ok(status) => std::process::exit(status),
        Err(errors) => report::failure(&errors, args.link.format, std::slice::from_ref(&args.entry)),
    }
}

/// A program that is ready to run.
struct Linked {
    /// Updates link in it.
    _session: Session,
    module: Module,
    entry: Addr,
    /// The program's name first.
    arguments: Vec<CString>,
}

fn link(args: &Run) -> Result<Linked, LinkErrors> {
    let progress = Progress::start(inputs::linking(&args.link));
    let given = inputs::open(&args.link)?;
    let mut options = inputs::options(&args.link, Roots::Named(vec![args.entry.clone()]));
    options.updatable = args.watch;
    options.keep_debug = args.debug || args.profile == Some(ProfileKind::Jitdump);
    let name = args.link.inputs.first().map(|path| path.as_os_str());
    let words = name.into_iter().chain(args.arguments.iter().map(|word| word.as_os_str()));
    let arguments = words.map(|word| CString::new(word.as_bytes())).collect::<Result<Vec<CString>, _>>();
    let arguments = arguments.map_err(|_| LinkError::Request("an argument holds a zero byte".into()))?;
    let mut executor = executor(&args.link, &given, args.arena_size)?;
    given.inputs.first().map_or(Ok(()), |first| check_convention(first, &*executor))?;
    if args.debug {
        executor = Arc::new((*executor).clone().debuggable());
    }
    if let Some(kind) = args.profile {
        let profiled = (*executor).clone().profiled(&profile(kind, args.debug)?);
        executor = Arc::new(profiled.map_err(LinkError::from)?);
    }
    executor.set_arguments(&arguments);
    let session = Session::new(Registry::global()?, executor);
    let module = session.link(&given.inputs, &options)?;
    Input::close_all(given.inputs);
    // The terminal is the program's from here on.
    drop(progress);
    match module.roots().first().copied().flatten() {
        Some(entry) => Ok(Linked { _session: session, module, entry, arguments }),
        None => Err(LinkError::Request(format!("{} is null, so there is nothing to call", args.entry)).into()),
    }
}

/// Refuses a program whose functions are called in another way than the executor's, before what it misses of its own system does.
pub(crate) fn check_convention(first: &Input, executor: &dyn Executor) -> Result<(), LinkError> {
    let Some(target) = remote::target_of(first).filter(|target| !executor.calls_as(target)) else { return Ok(()) };
    Err(LinkError::Executor {
        reason: format!(
            "{} is code for the calling convention {}, which is not that of the process that it would run in",
            first.name(),
            target.convention
        ),
        advice: "give the object as a file, or the executor of its system (--executor)".into(),
    })
}

fn profile(kind: ProfileKind, debug: bool) -> Result<Profile, LinkError> {
    match kind {
        ProfileKind::Map if debug => {
            Err(LinkError::Request("--profile map shows no names with --debug: use --profile jitdump".into()))
        }
        ProfileKind::Map => Ok(Profile::PerfMap),
        // perf's own agent for Java looks there too.
        ProfileKind::Jitdump => {
            Ok(Profile::JitDump(std::env::var_os("JITDUMPDIR").unwrap_or_else(|| ".".into()).into()))
        }
    }
}

/// The executor of this process, with the libraries that were asked for.
pub(crate) fn executor(
    args: &LinkArgs,
    given: &Given,
    arena_size: Option<u64>,
) -> Result<Arc<ProcessExecutor>, LinkErrors> {
    let mut executor = ProcessExecutor::new().map_err(LinkError::from)?;
    // SAFETY: this is the variable's only use. The main thread, which runs the program, is the one that comes here, and lives to the end
    // of the process; the linker's own threads do not run linked code.
    if let Ok(with_room) = unsafe { executor.clone().thread_locals_in(jitlink::core::thread_local_room!(ROOM)) } {
        executor = with_room;
    }
    if let Some(size) = arena_size {
        executor = executor.arena_size(size);
    }
    let mut errors = Vec::new();
    for library in &given.libraries {
        // SAFETY: the user asked for this library, and with it for its initialisers to run.
        let loaded = unsafe { executor.load_library(library, &args.library_paths) };
        errors.extend(loaded.err().map(LinkError::from));
    }
    LinkErrors::check(errors)?;
    Ok(Arc::new(executor))
}

/// Runs the program; the status that it ends with.
fn start(args: &Run, linked: &Linked, watch: Option<Watch>) -> Result<i32, LinkErrors> {
    report::linked(linked.module.statistics(), &args.link);
    // Without crash reports a crash is still a crash.
    let _ = jitlink::core::process::crash::install();
    program::prepare(&linked.arguments[0]);
    if let Some(watch) = watch {
        let started = program::without_signals(|| watch.start(linked.module.clone(), &args.link));
        started.map_err(|error| LinkError::Request(format!("cannot watch the objects: {error}")))?;
    }
    // SAFETY: running this program is what the user asked for; its entry is a C main by convention.
    unsafe { linked.module.run_main(linked.entry, &linked.arguments) }.map_err(LinkErrors::from)
}
