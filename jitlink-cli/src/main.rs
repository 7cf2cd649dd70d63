//! The `jitlink` command.
//!
//! One module a subcommand; `report` writes errors and tables for people and for tools, `advice` says what to do about errors.

mod advice;
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "an allocator hands out memory that it maps")]
mod allocator;
mod args;
#[cfg(feature = "bpf")]
mod bpf;
mod bundle;
mod check;
mod completions;
mod image;
mod inputs;
mod inspect;
mod link;
mod man;
mod map;
mod program;
mod progress;
mod remote;
mod report;
mod run;
mod rust_std;
mod targets;
mod watch;

use args::{Command, Options};
use clap::FromArgMatches;
use std::process::ExitCode;

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: allocator::LongInLargePages = allocator::LongInLargePages;

fn main() -> ExitCode {
    let arguments = match inputs::expand_response_files(std::env::args_os().collect()) {
        Ok(arguments) => arguments,
        Err(error) => {
            report::failure(&error, args::Format::Text, &[]);
            return ExitCode::from(2);
        }
    };
    let matches = args::command().get_matches_from(arguments);
    match Options::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()).command {
        Command::Run(run) => run::run(&run),
        Command::Link(link) => link::run(&link),
        Command::Check(check) => check::run(&check),
        Command::Bundle(bundle) => bundle::run(&bundle),
        Command::Replay(replay) => bundle::replay::run(&replay),
        Command::Inspect(inspect) => inspect::run(&inspect),
        #[cfg(feature = "bpf")]
        Command::Bpf(bpf) => bpf::run(&bpf),
        Command::Targets(targets) => targets::run(&targets),
        Command::Completions(completions) => completions::run(&completions),
        Command::Man(man) => man::run(&man),
    }
}
