//! What can go wrong in `jitlink bpf` besides a link.

use crate::args::Format;
use crate::report;
use jitlink::LinkErrors;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

/// Why a subcommand ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The objects do not link.
    Link(LinkErrors),
    /// Anything else: a short name for tools, what is wrong, and what to do.
    Other { code: &'static str, message: String, advice: String },
}

impl Failure {
    /// A failure with advice, which may be empty.
    pub(crate) fn new(code: &'static str, message: impl ToString, advice: impl Into<String>) -> Failure {
        Failure::Other { code, message: message.to_string(), advice: advice.into() }
    }

    /// A file that cannot be read or written.
    pub(crate) fn io(path: &Path, error: &std::io::Error) -> Failure {
        Failure::new("io", format!("{}: {error}", path.display()), "")
    }

    /// Says it on standard error.
    pub(crate) fn report(&self, format: Format) -> ExitCode {
        match self {
            Failure::Link(errors) => return report::failure(errors, format, &[]),
            Failure::Other { code, message, advice } if format == Format::Json => {
                let error = json!({ "code": code, "message": message, "advice": advice, "site": null });
                eprintln!("{}", json!({ "errors": [error] }));
            }
            Failure::Other { code, message, advice } => {
                eprintln!("error[{code}]: {message}");
                if !advice.is_empty() {
                    eprintln!("  help: {advice}");
                }
            }
        }
        ExitCode::from(1)
    }
}

impl From<LinkErrors> for Failure {
    fn from(errors: LinkErrors) -> Failure {
        Failure::Link(errors)
    }
}
