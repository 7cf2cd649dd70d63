//! `jitlink bpf link`: one object of several.

use super::args::BpfLink;
use super::error::Failure;
use crate::inputs;
use crate::progress::Progress;
use jitlink::core::link::relocatable;
use jitlink::{LinkOptions, Registry};
use std::process::ExitCode;

pub(super) fn run(args: &BpfLink) -> Result<ExitCode, Failure> {
    let progress = Progress::start(format!("linking {} files", args.link.inputs.len()));
    let inputs = inputs::open_all(&args.link.inputs)?;
    let registry = Registry::global().map_err(jitlink::LinkErrors::from)?;
    let bytes = relocatable(&registry, &inputs, &LinkOptions::default())?;
    drop(progress);
    std::fs::write(&args.output, bytes).map_err(|error| Failure::io(&args.output, &error))?;
    Ok(ExitCode::SUCCESS)
}
