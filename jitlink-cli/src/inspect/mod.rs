//! `jitlink inspect`: the link graph before and after a link, and the reasons for what the link did.
//!
//! The link is an ordinary one. An observer ([`collect`]) fills a [`model`], which all views read: [`table`], JSON, [`dot`] and
//! [`page`]. Questions are answered from the same model ([`why`]). A link that fails is shown as far as it came.
//!
//! # The document
//!
//! `--format json` writes the model. Lists refer to each other by position; addresses are strings, `"0x…"`; what is not known, or
//! not so, is `null`.
//!
//! ```text
//! { "version": 1,
//!   "target": {"format", "arch", "endian", "pointer_bytes"},
//!   "reached": "nothing|read|resolved|pruned|placed|linked",      the last step that succeeded
//!   "errors": [{"code", "message", "advice", "site"}],            as jitlink link --format json writes them
//!   "totals": {"before", "after", "pruned": {"objects", "sections", "blocks", "symbols", "edges", "bytes"},
//!              "slots", "stubs", "thunks", "relaxed", "outlined"},
//!   "segments": [{"address", "size", "protection": "r-x", "residence": "near|far"}],
//!   "objects":  [{"name", "path", "made"}],                       made: by the linker
//!   "members":  [{"archive", "name", "joined", "wanted", "defines": [name]}],
//!   "groups":   [{"name", "object", "kept"}],                     kept: the object whose copy is kept instead
//!   "sections": [{"name", "object", "protection", "residence", "group"}],
//!   "blocks":   [{"section", "offset", "size", "align", "address",
//!                 "state": "undecided|live|pruned|discarded|absorbed|made",
//!                 "cause": {"kind": "entry|retained|exported|retained-section|initialisers|unloaded|edge|dependency|group",
//!                           "symbol", "block", "edge"},
//!                 "edges": [first, end]}],
//!   "symbols":  [{"name", "object", "scope", "linkage", "kind", "size", "canonical", "address",
//!                 "own", "place": {"kind": "undefined|block|absolute|boundary|common", "block", "offset", "address"}}],
//!   "edges":    [{"block", "offset",
//!                 "before", "after": {"relocation", "subject", "target", "addend"},
//!                 "change": {"kind": "stub|thunk|slot|relaxed|outlined", "reason", "text"}}],
//!   "slots":    [{"symbol", "target", "address", "for_stub"}],
//!   "stubs":    [{"symbol", "target", "address", "kind"}] }
//! ```
//!
//! A block is *absorbed* when its bytes went into one of the linker's, as equal strings and unwind records do. An edge's `before` is
//! null in what the linker made, its `after` is null in what is not in memory. `own` is where a symbol's own object says that it is,
//! `place` where it is once names are resolved.
//!
//! With questions, `--format json` writes the answers instead:
//!
//! ```text
//! { "version": 1, "errors": […],
//!   "answers": [{"question": "why-live|why-stub|why-not", "symbol", "verdict", "answer",
//!                "steps": [{"text", "depth", "block", "symbol", "edge", "site"}]}] }
//! ```
//!
//! Verdicts: `live`; `stub`, `thunk`, `slot`, `direct`, `unreferenced`; `pruned`, `discarded`, `gave-way`, `archive-member`,
//! `external`, `absolute`, `boundary`, `unneeded`, `null`, `undefined`, `unknown`, `undecided`. `block`, `symbol` and `edge` are
//! positions in the document of the same link.

mod collect;
mod dot;
mod model;
mod page;
mod similar;
mod table;
mod totals;
mod why;
mod words;

use crate::args::{Format, Inspect, View};
use crate::link::{cannot_write, is_standard_output};
use crate::progress::Progress;
use crate::{inputs, report, run};
use collect::Collector;
use jitlink::{Addr, ImageConfig, ImageExecutor, LinkErrors, LinkOptions, Registry, Roots, Session};
use model::{Model, Reached, VERSION};
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) fn run(args: &Inspect) -> ExitCode {
    let roots = match (args.entry.is_empty(), args.allow_undefined_entry) {
        (true, _) => Roots::Exported,
        (false, false) => Roots::Named(args.entry.clone()),
        (false, true) => Roots::IfDefined(args.entry.clone()),
    };
    let mut options = inputs::options(&args.link, roots);
    options.keep_debug = args.keep_debug;
    let model = Collector::watch(&mut options, args.view == View::Html);
    let failed = link(args, &options).err();
    drop(options);
    let mut model = into_inner(model);
    match &failed {
        None => model.reached = Reached::Linked,
        Some(errors) => model.errors = errors.iter().map(|error| report::json_error(error, &args.entry)).collect(),
    }
    totals::count(&mut model);
    if let Err(error) = show(args, &model) {
        // A closed pipe is the reader's wish.
        if error.kind() != std::io::ErrorKind::BrokenPipe {
            let path = args.output.as_deref().unwrap_or("-".as_ref());
            return report::failure(&cannot_write(path, &error).into(), format(args), &args.entry);
        }
    }
    match failed {
        None => ExitCode::SUCCESS,
        // The document holds the errors already.
        Some(_) if args.view == View::Json => ExitCode::from(1),
        Some(errors) => report::failure(&errors, Format::Text, &args.entry),
    }
}

fn format(args: &Inspect) -> Format {
    if args.view == View::Json { Format::Json } else { Format::Text }
}

/// Links; what was linked is forgotten at once, only the observer keeps what it saw.
fn link(args: &Inspect, options: &LinkOptions) -> Result<(), LinkErrors> {
    let given = inputs::open(&args.link)?;
    let _progress = Progress::start(format!("linking {} files", given.inputs.len()));
    let in_process = args.in_process || !given.libraries.is_empty();
    let session = if in_process {
        Session::new(Registry::global()?, run::executor(&args.link, &given, Some(args.arena_size))?)
    } else {
        let config = ImageConfig { base: Addr(args.base), arena_size: args.arena_size, page_size: args.page_size };
        let executor = ImageExecutor::new(config).map_err(jitlink::LinkError::from)?;
        Session::new(Registry::global()?, Arc::new(executor))
    };
    let module = session.link(&given.inputs, options)?;
    report::warnings(module.statistics(), format(args));
    if args.link.time {
        report::times(module.statistics(), format(args));
    }
    Ok(())
}

fn into_inner(model: Arc<Mutex<Model>>) -> Model {
    // Only a pass or an observer that still runs could hold it, and the link has ended.
    std::mem::take(&mut *model.lock().unwrap_or_else(PoisonError::into_inner))
}

fn show(args: &Inspect, model: &Model) -> std::io::Result<()> {
    match &args.output {
        Some(path) if !is_standard_output(path) => {
            let mut out = BufWriter::new(File::create(path)?);
            write(args, model, &mut out)?;
            out.flush()
        }
        _ => {
            let mut out = BufWriter::new(std::io::stdout().lock());
            write(args, model, &mut out)?;
            out.flush()
        }
    }
}

fn write(args: &Inspect, model: &Model, out: &mut impl Write) -> std::io::Result<()> {
    let asks = [&args.why_live, &args.why_stub, &args.why_not].iter().any(|names| !names.is_empty());
    if model.target.is_none() && args.view != View::Json {
        // Nothing could be read, and the errors say why.
        return Ok(());
    }
    match args.view {
        View::Json if asks => {
            let answers = why::answers(model, args);
            let document = json!({ "version": VERSION, "errors": model.errors, "answers": answers });
            writeln!(out, "{document:#}")
        }
        _ if asks => why::write(out, &why::answers(model, args)),
        View::Json => {
            serde_json::to_writer_pretty(&mut *out, model)?;
            writeln!(out)
        }
        View::Text => table::write(out, model, args.all),
        View::Dot => dot::write(out, model, args.all),
        View::Html => page::write(out, model),
    }
}
