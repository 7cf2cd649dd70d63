//! `jitlink link`: link, and show or write what went where.

use crate::args::{Format, Link};
use crate::progress::Progress;
use crate::{inputs, map, report, run};
use jitlink::{Addr, ImageConfig, ImageExecutor, LinkError, LinkErrors, Module, Registry, Session};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

pub(crate) fn run(args: &Link) -> ExitCode {
    match link(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(errors) => report::failure(&errors, args.link.format),
    }
}

fn link(args: &Link) -> Result<(), LinkErrors> {
    let inputs = inputs::open(&args.link)?;
    let mut options = inputs::options(&args.link, &args.entry);
    options.map = args.map.is_some();
    options.keep_debug = args.keep_debug;
    if args.allow_undefined_entry {
        // As weak as a reference can be: the other names are still required.
        options.defines.extend(args.entry.iter().map(|name| (name.clone(), Addr(0))));
    }
    let progress = Progress::start(format!("linking {} files", inputs.len()));
    let module = if args.no_exec {
        let config = ImageConfig { base: Addr(args.base), arena_size: args.arena_size, page_size: args.page_size };
        let image = Arc::new(ImageExecutor::new(config).map_err(|error| LinkError::Request(error.to_string()))?);
        let session = Session::new(Registry::global()?, image.clone());
        let module = session.link(&inputs, &options)?;
        drop(progress);
        write_image(args, &image, &module)?;
        module
    } else {
        let executor = run::executor(&args.link, Some(args.arena_size))?;
        let module = Session::new(Registry::global()?, executor).link(&inputs, &options)?;
        drop(progress);
        write_map(args, &module, |_| 0)?;
        module
    };
    if args.link.time {
        report::times(module.statistics(), args.link.format);
    } else if args.map.is_none() && args.image.is_none() {
        let mut out = std::io::stdout().lock();
        // A closed pipe is the reader's wish.
        let _ = match args.link.format {
            Format::Text => map::write_summary(&mut out, &module),
            Format::Json => writeln!(out, "{:#}", map::to_json(&module, |_| 0)),
        };
    }
    Ok(())
}

fn write_image(args: &Link, image: &ImageExecutor, module: &Module) -> Result<(), LinkErrors> {
    let stored = image.segments();
    let mut offsets = Vec::new();
    let mut end = 0u64;
    for segment in &stored {
        offsets.push((segment.address, end));
        end += segment.stored_bytes().len() as u64;
    }
    write_map(args, module, |segment| {
        offsets.iter().find(|(address, _)| *address == segment.address).map_or(0, |(_, offset)| *offset)
    })?;
    let Some(path) = &args.image else { return Ok(()) };
    write_to(path, |out| stored.iter().try_for_each(|segment| out.write_all(segment.stored_bytes())))
}

fn write_map(args: &Link, module: &Module, image_offset: impl Fn(&jitlink::Segment) -> u64) -> Result<(), LinkErrors> {
    let Some(path) = &args.map else { return Ok(()) };
    let json = map::to_json(module, image_offset);
    write_to(path, |out| writeln!(out, "{json:#}"))
}

fn write_to(path: &Path, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<(), LinkErrors> {
    let written = match path.as_os_str() == "-" {
        true => write(&mut std::io::stdout().lock()),
        false => std::fs::File::create(path).and_then(|file| {
            let mut out = std::io::BufWriter::new(file);
            write(&mut out).and_then(|()| out.flush())
        }),
    };
    written.map_err(|error| LinkError::Io { path: path.display().to_string(), reason: error.to_string() }.into())
}
