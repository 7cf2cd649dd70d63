//! `jitlink bpf`: BPF objects and instructions, linked, run and shown.

pub(crate) mod args;
mod bytes;
mod capture;
mod error;
mod inspect;
mod kernel;
mod link;
mod outcome;
pub(crate) mod plain;
mod program;
mod raw;
mod records;
mod run;
mod sections;
mod table;
mod trace;
mod values;

use args::{Bpf, BpfCommand};
use std::process::ExitCode;

pub(crate) fn run(args: &Bpf) -> ExitCode {
    let (result, format) = match &args.command {
        BpfCommand::Run(args) => (run::run(args), args.link.format),
        BpfCommand::Link(args) => (link::run(args), args.link.format),
        BpfCommand::Inspect(args) => (inspect::run(args), args.link.format),
    };
    match result {
        Ok(code) => code,
        Err(failure) => failure.report(format),
    }
}
