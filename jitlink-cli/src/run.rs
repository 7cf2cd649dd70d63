//! `jitlink run`: link in this process, and run.

use crate::args::{LinkArgs, Run};
use crate::progress::Progress;
use crate::{inputs, report};
use jitlink::{LinkError, LinkErrors, Module, ProcessExecutor, Registry, Session};
use std::ffi::CString;
use std::process::ExitCode;
use std::sync::Arc;

pub(crate) fn run(args: &Run) -> ExitCode {
    match link(args) {
        Ok((module, arguments)) => start(args, &module, &arguments),
        Err(errors) => report::failure(&errors, args.link.format),
    }
}

fn link(args: &Run) -> Result<(Module, Vec<CString>), LinkErrors> {
    let inputs = inputs::open(&args.link)?;
    let options = inputs::options(&args.link, std::slice::from_ref(&args.entry));
    let program = args.link.inputs.first().map_or_else(String::new, |path| path.display().to_string());
    let words = std::iter::once(program).chain(args.arguments.iter().cloned());
    let arguments = words.map(CString::new).collect::<Result<Vec<CString>, _>>();
    let arguments = arguments.map_err(|_| LinkError::Request("an argument holds a zero byte".into()))?;
    let progress = Progress::start(format!("linking {} files", inputs.len()));
    let executor = executor(&args.link, args.arena_size)?;
    executor.set_arguments(&arguments);
    let module = Session::new(Registry::global()?, executor).link(&inputs, &options)?;
    drop(progress);
    Ok((module, arguments))
}

/// The executor of this process, with the libraries that were asked for.
pub(crate) fn executor(args: &LinkArgs, arena_size: Option<u64>) -> Result<Arc<ProcessExecutor>, LinkErrors> {
    let failed = |error: jitlink::core::executor::ExecutorError| {
        let advice = if error.advice.is_empty() { String::new() } else { format!(" ({})", error.advice) };
        LinkError::Executor(format!("{}{advice}", error.reason))
    };
    let mut executor = ProcessExecutor::new().map_err(failed)?;
    if let Some(size) = arena_size {
        executor = executor.arena_size(size);
    }
    for library in &args.libraries {
        // SAFETY: the user asked for this library, and with it for its initialisers to run.
        unsafe { executor.load_library(library, &args.library_paths) }.map_err(failed)?;
    }
    Ok(Arc::new(executor))
}

/// Runs the program and ends this process as the program ends.
fn start(args: &Run, module: &Module, arguments: &[CString]) -> ExitCode {
    if args.link.time {
        report::times(module.statistics(), args.link.format);
    }
    // Without crash reports a crash is still a crash.
    let _ = jitlink::core::process::crash::install();
    let Some(Some(entry)) = module.roots().first().copied() else {
        let error = LinkError::Request(format!("the program has no function {}", args.entry));
        return report::failure(&error.into(), args.link.format);
    };
    // SAFETY: running this program is what the user asked for; its entry is a C main by convention.
    match unsafe { module.run_main(entry, arguments) } {
        // Runs what the program registered with atexit, then the module's finalisers, and flushes its streams.
        Ok(status) => std::process::exit(status),
        Err(error) => report::failure(&error.into(), args.link.format),
    }
}
