//! The `jitlink` command.
//!
//! One module a subcommand; `report` writes errors and tables for people and for tools, `advice` says what to do about errors.

mod advice;
mod args;
mod image;
mod inputs;
mod inspect;
mod link;
mod map;
mod program;
mod progress;
mod report;
mod run;
mod targets;

use args::{Command, Options};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match inputs::expand_response_files(std::env::args_os().collect()) {
        Ok(arguments) => arguments,
        Err(error) => {
            report::failure(&error, args::Format::Text, &[]);
            return ExitCode::from(2);
        }
    };
    match Options::parse_from(arguments).command {
        Command::Run(run) => run::run(&run),
        Command::Link(link) => link::run(&link),
        Command::Inspect(inspect) => inspect::run(&inspect),
        Command::Targets(targets) => targets::run(&targets),
    }
}
