//! `jitlink link`: link, and show or write what went where.

use crate::args::{Format, Link, Options};
use crate::progress::Progress;
use crate::{image, inputs, map, report, run};
use clap::CommandFactory;
use clap::error::ErrorKind;
use jitlink::{
    Addr, ImageConfig, ImageExecutor, Input, LinkError, LinkErrors, LinkOptions, Module, Registry, Roots, Session,
};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

pub(crate) fn run(args: &Link) -> ExitCode {
    match link(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(errors) => report::failure(&errors, args.link.format, &args.entry),
    }
}

fn link(args: &Link) -> Result<(), LinkErrors> {
    if [&args.map, &args.image].into_iter().flatten().filter(|path| path.as_os_str() == "-").count() == 2 {
        usage("only one of --map and --image can go to standard output");
    }
    let mut options = inputs::options(&args.link, roots(&args.entry, args.allow_undefined_entry));
    let wants_json = args.link.format == Format::Json;
    options.map = args.map.is_some() || wants_json;
    options.keep_debug = args.keep_debug;
    // Wrong options end the process, so they are found before progress has a line to clear.
    let image = args.no_exec.then(|| Arc::new(image_executor(args)));
    let mut progress = Some(Progress::start(inputs::linking(&args.link)));
    let given = inputs::open(&args.link)?;
    if let Some(path) = &args.output {
        let written = write_relocatable(path, &given.inputs, &options);
        drop(progress);
        return written;
    }
    let (module, layout) = if let Some(image) = image {
        let module = Session::new(Registry::global()?, image.clone()).link(&given.inputs, &options)?;
        let layout = image::Layout::of(image.segments(), image.placed_thread_locals());
        if let Some(path) = &args.image {
            if is_standard_output(path) {
                progress = None;
            }
            image::write(path, &layout)?;
        }
        (module, Some(layout))
    } else {
        let executor = run::executor(&args.link, &given, Some(args.arena_size))?;
        (Session::new(Registry::global()?, executor).link(&given.inputs, &options)?, None)
    };
    drop(progress);
    write_map(args, &module, layout.as_ref())?;
    report::linked(module.statistics(), &args.link);
    if !args.link.time && args.map.is_none() && args.image.is_none() {
        let mut out = std::io::stdout().lock();
        // A closed pipe is the reader's wish.
        let _ = match wants_json {
            false => map::write_summary(&mut out, &module),
            true => writeln!(out, "{:#}", map::to_json(&module, layout.as_ref())),
        };
    }
    // The process ends with it, which takes less time than to give its memory back bit by bit.
    std::mem::forget(module);
    Input::close_all(given.inputs);
    Ok(())
}

/// What is kept, by the names of --entry.
pub(crate) fn roots(entry: &[String], allow_undefined: bool) -> Roots {
    match (entry.is_empty(), allow_undefined) {
        (true, _) => Roots::Exported,
        (false, false) => Roots::Named(entry.to_vec()),
        (false, true) => Roots::IfDefined(entry.to_vec()),
    }
}

/// Writes one relocatable object.
fn write_relocatable(path: &Path, inputs: &[Input], options: &LinkOptions) -> Result<(), LinkErrors> {
    let progress = Progress::start(format!("combining {} files", inputs.len()));
    let bytes = jitlink::core::link::relocatable(&Registry::global()?, inputs, options)?;
    drop(progress);
    write_bytes(path, &bytes)
}

/// Writes a file, or standard output.
pub(crate) fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), LinkErrors> {
    let written = match is_standard_output(path) {
        true => std::io::stdout().lock().write_all(bytes),
        false => std::fs::write(path, bytes),
    };
    written.map_err(|error| cannot_write(path, &error).into())
}

/// The executor that only computes. Values that contradict each other are wrong use of the command line.
fn image_executor(args: &Link) -> ImageExecutor {
    let config = ImageConfig { base: Addr(args.base), arena_size: args.arena_size, page_size: args.page_size };
    match ImageExecutor::new(config) {
        Ok(executor) if args.thread_locals => executor.with_thread_locals(),
        Ok(executor) => executor,
        Err(error) => usage(&format!("{error}; {}", error.advice)),
    }
}

/// Ends this process as one whose command line makes no sense.
pub(crate) fn usage(message: &str) -> ! {
    Options::command().error(ErrorKind::ValueValidation, message).exit()
}

fn write_map(args: &Link, module: &Module, layout: Option<&image::Layout>) -> Result<(), LinkErrors> {
    let Some(path) = &args.map else { return Ok(()) };
    write_map_to(path, module, layout)
}

/// Writes a map to a file, or to standard output.
pub(crate) fn write_map_to(path: &Path, module: &Module, layout: Option<&image::Layout>) -> Result<(), LinkErrors> {
    let mut text = format!("{:#}", map::to_json(module, layout));
    text.push('\n');
    write_bytes(path, text.as_bytes())
}

pub(crate) fn is_standard_output(path: &Path) -> bool {
    path.as_os_str() == "-"
}

pub(crate) fn cannot_write(path: &Path, error: &std::io::Error) -> LinkError {
    LinkError::Request(format!("cannot write {}: {error}", path.display()))
}
