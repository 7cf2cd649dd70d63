//! `jitlink run` on BPF objects: the machine instead of this process.

use super::error::Failure;
use crate::args::Run;
use jitlink::bpf::vm::context::NoContext;
use jitlink::bpf::vm::contexts::Packet;
use jitlink::bpf::vm::helpers::Host;
use jitlink::bpf::{ProgramError, Programs};
use jitlink::{Input, Registry};
use std::process::ExitCode;

/// Runs the program of BPF objects once, on nothing. `None` if the objects are for something else, or cannot be read: whoever
/// links them says what is wrong then.
pub(crate) fn run(args: &Run) -> Option<ExitCode> {
    let first = args.link.inputs.iter().find(|path| path.as_os_str() != "-")?;
    if !is_bpf(&Input::open(first).ok()?) {
        return None;
    }
    Some(match once(args) {
        // The lowest byte, as of what a C main returns.
        Ok(result) => ExitCode::from(result as u8),
        Err(failure) => failure.report(args.link.format),
    })
}

fn is_bpf(input: &Input) -> bool {
    let Ok(registry) = Registry::global() else { return false };
    let Some(format) = registry.recognize(input.bytes()) else { return false };
    let Ok(header) = format.header(input.name(), input.bytes()) else { return false };
    registry.target(format, &header, input.name()).is_ok_and(|(target, _)| target.arch.info().name() == "bpf")
}

/// Runs the program that --entry names, or the only one there is; gives what it returns.
fn once(args: &Run) -> Result<u64, Failure> {
    let refuse = |error: ProgramError| match error {
        ProgramError::Link(errors) => Failure::Link(errors),
        other => Failure::new("bpf", other, ""),
    };
    let host = Host::new().on_print(|text| println!("{}", text.trim_end_matches('\n')));
    let programs = Programs::on(&args.link.inputs, host).map_err(refuse)?;
    let all = programs.vm().programs();
    let entry = match (all.iter().find(|program| program.name == args.entry), all) {
        (Some(named), _) => named,
        (None, [only]) => only,
        (None, _) => {
            let names: Vec<&str> = all.iter().map(|program| program.name.as_str()).collect();
            let message = format!("{} is none of the programs: {}", args.entry, names.join(", "));
            return Err(Failure::new("program", message, "say which: --entry NAME, or jitlink bpf run --program NAME"));
        }
    };
    match programs.run(&entry.name, Packet::default()) {
        Ok(ran) => Ok(ran.verdict.into()),
        Err(ProgramError::NoPackets { .. }) => {
            let result = programs.vm().run(entry, &mut NoContext);
            result.map_err(|fault| Failure::new("fault", fault, ""))
        }
        Err(error) => Err(refuse(error)),
    }
}
