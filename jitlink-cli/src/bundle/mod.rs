//! `jitlink bundle`: record a link in one file. `replay` links it again.

pub(crate) mod args;
mod case;
mod container;
mod manifest;
pub(crate) mod replay;
mod thin;

use crate::args::Unresolved;
use crate::progress::Progress;
use crate::{inputs, link, report, run};
use args::Bundle;
use case::{Case, Outcome};
use jitlink::{ImageConfig, ImageExecutor, Input, LinkError, LinkErrors};
use manifest::{Expected, Hex, Manifest, Options, Stored};
use std::process::ExitCode;

pub(crate) fn run(args: &Bundle) -> ExitCode {
    match record(args) {
        Ok(outcome) => {
            if let Outcome::Failed(errors) = outcome {
                let first = errors.iter().next().map(|error| error.to_string()).unwrap_or_default();
                eprintln!("recorded a link that fails: {first}");
            }
            ExitCode::SUCCESS
        }
        Err(errors) => report::failure(&errors, args.link.format, &args.entry),
    }
}

fn record(args: &Bundle) -> Result<Outcome, LinkErrors> {
    let config = ImageConfig { base: jitlink::Addr(args.base), arena_size: args.arena_size, page_size: args.page_size };
    if let Err(error) = ImageExecutor::new(config) {
        link::usage(&format!("{error}; {}", error.advice));
    }
    if args.link.whole_archive && args.link.rust_std.is_some() {
        link::usage(
            "a bundle's archives are linked whole or as needed, all alike: leave out --whole-archive or --rust-std",
        );
    }
    let given = inputs::open(&args.link)?;
    let names = container::unique_names(given.inputs.iter().map(Input::name));
    let mut recorded = Vec::new();
    for (input, name) in given.inputs.iter().zip(names) {
        let bytes = thin::flatten(input.name(), input.bytes())?;
        let input = Input::from_bytes(name, bytes);
        recorded.push(if args.link.whole_archive { input.whole_archive() } else { input });
    }
    let mut case = Case { inputs: recorded, options: options(args), externals: Default::default() };
    let threads = args.link.threads.map(|count| count as usize);
    let progress = Progress::start(format!("recording {} files", case.inputs.len()));
    if !args.no_exec {
        case.learn(&*run::executor(&args.link, &given, None)?, threads)?;
    }
    let outcome = case.link(threads)?;
    let bytes = container(&case, &outcome)?;
    drop(progress);
    link::write_bytes(&args.output, &bytes)?;
    if let Outcome::Linked { module, .. } = &outcome {
        report::linked(module.statistics(), &args.link);
    }
    Ok(outcome)
}

fn options(args: &Bundle) -> Options {
    Options {
        base: Hex(args.base),
        arena_size: args.arena_size,
        page_size: args.page_size,
        entry: args.entry.clone(),
        allow_undefined_entry: args.allow_undefined_entry,
        unresolved: match args.link.unresolved {
            Unresolved::Error => manifest::Unresolved::Error,
            Unresolved::Null => manifest::Unresolved::Null,
        },
        define: args.link.define.iter().map(|(name, address)| (name.clone(), Hex(*address))).collect(),
        alias: args.link.alias.clone(),
        whole_archive: args.link.whole_archive,
        keep_debug: args.keep_debug,
    }
}

/// The bytes of the bundle.
fn container(case: &Case, outcome: &Outcome) -> Result<Vec<u8>, LinkErrors> {
    let file = |input: &Input| format!("inputs/{}", input.name());
    let inputs: Vec<Stored> = case.inputs.iter().map(|input| Stored::of(file(input), input.bytes())).collect();
    let result = outcome.expected();
    let mut files: Vec<(String, &[u8])> =
        inputs.iter().zip(&case.inputs).map(|(stored, input)| (stored.file.clone(), input.bytes())).collect();
    if let (Expected::Segments(entries), Outcome::Linked { segments, .. }) = (&result, outcome) {
        let stored = entries.iter().zip(segments);
        files.extend(stored.map(|(entry, segment)| (entry.stored.file.clone(), segment.stored_bytes())));
    }
    let manifest = Manifest {
        format: manifest::FORMAT.into(),
        version: manifest::VERSION,
        jitlink: env!("CARGO_PKG_VERSION").into(),
        inputs,
        options: case.options.clone(),
        externals: case.externals.clone(),
        result,
    };
    let failed = |reason: String| LinkErrors::from(LinkError::Request(format!("cannot make the bundle: {reason}")));
    let mut text = serde_json::to_vec_pretty(&manifest).map_err(|error| failed(error.to_string()))?;
    text.push(b'\n');
    let all = std::iter::once((manifest::NAME, text.as_slice()));
    let all = all.chain(files.iter().map(|(name, bytes)| (name.as_str(), *bytes)));
    container::write(all).map_err(|error| failed(error.to_string()))
}
