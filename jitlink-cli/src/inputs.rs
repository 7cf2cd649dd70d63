//! From the command line to the inputs and options of a link.

use crate::args::{LinkArgs, Unresolved};
use jitlink::{Addr, Input, LinkError, LinkErrors, LinkOptions, Roots};
use std::ffi::OsString;

/// Replaces `@FILE` by the words in the file, split as a shell splits them. What follows `--` is left alone.
pub(crate) fn expand_response_files(arguments: Vec<OsString>) -> Result<Vec<OsString>, LinkErrors> {
    let mut expanded = Vec::with_capacity(arguments.len());
    let mut literal = false;
    for argument in arguments {
        literal |= argument == "--";
        let path = argument.to_str().and_then(|text| text.strip_prefix('@')).filter(|_| !literal);
        let Some(path) = path else {
            expanded.push(argument);
            continue;
        };
        let failed = |reason: String| LinkError::Io { path: path.to_string(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let words = shlex::split(&text).ok_or_else(|| failed("a quotation mark is not closed".into()))?;
        expanded.extend(words.into_iter().map(OsString::from));
    }
    Ok(expanded)
}

/// Opens the inputs; reports all that cannot be opened.
pub(crate) fn open(args: &LinkArgs) -> Result<Vec<Input>, LinkErrors> {
    let mut errors = Vec::new();
    let mut inputs = Vec::with_capacity(args.inputs.len());
    for path in &args.inputs {
        match Input::open(path) {
            Ok(input) if args.whole_archive => inputs.push(input.whole_archive()),
            Ok(input) => inputs.push(input),
            Err(error) => errors.push(error),
        }
    }
    LinkErrors::check(errors)?;
    Ok(inputs)
}

/// The options that every link has.
pub(crate) fn options(args: &LinkArgs, entries: &[String]) -> LinkOptions {
    LinkOptions {
        roots: if entries.is_empty() { Roots::Exported } else { Roots::Named(entries.to_vec()) },
        unresolved: match args.unresolved {
            Unresolved::Error => jitlink::Unresolved::Error,
            Unresolved::Null => jitlink::Unresolved::Null,
        },
        defines: args.define.iter().map(|(name, address)| (name.clone(), Addr(*address))).collect(),
        aliases: args.alias.clone(),
        threads: args.threads.map(|count| count as usize),
        ..LinkOptions::default()
    }
}
