//! From the command line to the inputs and options of a link.

use crate::args::{LinkArgs, Unresolved};
use crate::rust_std;
use jitlink::{Addr, Input, LinkError, LinkErrors, LinkOptions, Roots};
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What errors and maps call the object that came in on standard input.
const STANDARD_INPUT: &str = "(standard input)";

/// The options whose values may begin with `@` themselves.
const WITH_FILES: &[&str] = &["--memory"];

/// Replaces `@FILE` by the words in the file, split as a shell splits them. What follows `--` is left alone, and so is a value of
/// an option that means a file's bytes by it.
pub(crate) fn expand_response_files(arguments: Vec<OsString>) -> Result<Vec<OsString>, LinkErrors> {
    let mut expanded = Vec::with_capacity(arguments.len());
    let (mut literal, mut is_value) = (false, false);
    for argument in arguments {
        literal |= argument == "--";
        let path = argument.to_str().and_then(|text| text.strip_prefix('@')).filter(|_| !literal && !is_value);
        is_value = WITH_FILES.iter().any(|option| argument == *option);
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

/// What progress says about a link.
pub(crate) fn linking(args: &LinkArgs) -> String {
    match args.inputs.as_slice() {
        [input] if input.as_os_str() == "-" => "linking standard input".into(),
        [input] => format!("linking {}", input.display()),
        inputs => format!("linking {} files", inputs.len()),
    }
}

/// What a link is given.
pub(crate) struct Given {
    /// Objects and archives.
    pub(crate) inputs: Vec<Input>,
    /// Shared libraries, as after `-l`.
    pub(crate) libraries: Vec<String>,
}

/// Opens the inputs of a link.
pub(crate) fn open(args: &LinkArgs) -> Result<Given, LinkErrors> {
    let mut inputs = open_all(&args.inputs)?;
    if args.whole_archive {
        inputs = inputs.into_iter().map(Input::whole_archive).collect();
    }
    let mut libraries = args.libraries.clone();
    if let Some(panic) = args.rust_std {
        let standard = rust_std::standard_library(panic, &inputs)?;
        inputs.push(standard.archive);
        libraries.extend(standard.libraries);
    }
    Ok(Given { inputs, libraries })
}

/// Opens files and standard input; reports all that cannot be opened.
pub(crate) fn open_all(paths: &[PathBuf]) -> Result<Vec<Input>, LinkErrors> {
    let is_standard_input = |path: &&PathBuf| path.as_os_str() == "-";
    let files: Vec<&PathBuf> = paths.iter().filter(|path| !is_standard_input(path)).collect();
    let mut files = Input::open_all(&files).into_iter();
    let mut errors = Vec::new();
    let mut inputs = Vec::with_capacity(paths.len());
    let mut standard_input = 0;
    for path in paths {
        let opened = if is_standard_input(&path) {
            standard_input += 1;
            if standard_input > 1 {
                errors.push(LinkError::Request("standard input can be read only once: give - once".into()));
                continue;
            }
            read_standard_input()
        } else {
            let Some(opened) = files.next() else { break };
            opened.map_err(plain)
        };
        match opened {
            Ok(input) => inputs.push(input),
            Err(error) => errors.push(error),
        }
    }
    LinkErrors::check(errors)?;
    Ok(inputs)
}

/// Opens a file, or reads standard input.
pub(crate) fn open_one(path: &Path) -> Result<Input, LinkError> {
    if path.as_os_str() == "-" { read_standard_input() } else { Input::open(path).map_err(plain) }
}

/// An error without the system's number, which says less than the words before it.
fn plain(error: LinkError) -> LinkError {
    match error {
        LinkError::Io { path, reason } => {
            let words = reason.split_once(" (os error").map_or(reason.as_str(), |(words, _)| words);
            LinkError::Io { path, reason: words.to_string() }
        }
        other => other,
    }
}

/// Reads a file that may be written to while it is in use.
pub(crate) fn read_file(path: &Path) -> Result<Input, LinkError> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| LinkError::Io { path: name.clone(), reason: error.to_string() })?;
    Ok(Input::from_bytes(name, bytes))
}

fn read_standard_input() -> Result<Input, LinkError> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(|error| LinkError::Io { path: STANDARD_INPUT.into(), reason: error.to_string() })?;
    Ok(Input::from_bytes(STANDARD_INPUT, bytes))
}

/// The options that every link has.
pub(crate) fn options(args: &LinkArgs, roots: Roots) -> LinkOptions {
    LinkOptions {
        roots,
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
