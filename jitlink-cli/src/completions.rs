//! `jitlink completions`: a script for a shell, made from the description of the command line.

use crate::args::{Completions, command};
use std::io::Write;
use std::process::ExitCode;

pub(crate) fn run(args: &Completions) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "jitlink", &mut script);
    match std::io::stdout().lock().write_all(&script) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of the pipe has gone.
        Err(_) => ExitCode::from(1),
    }
}
