//! `jitlink bpf run --raw`: bare instructions on memory.

use super::args::BpfRun;
use super::bytes;
use super::error::Failure;
use crate::args::Format;
use jitlink::bpf::insn::words;
use jitlink::bpf::vm::context::RawMemory;
use jitlink::bpf::vm::vm::VmBuilder;
use jitlink::core::Endian;
use serde_json::json;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

pub(super) fn run(args: &BpfRun, path: &Path) -> Result<(), Failure> {
    let code = bytes::hex_or_raw(bytes::read(path)?)?;
    let memory = args.memory.as_deref().map_or(Ok(Vec::new()), bytes::hex_or_file)?;
    let size = code.len();
    let words = words(&code, Endian::NATIVE).ok_or_else(|| {
        let message = format!("{}: {size:#x} bytes are no whole number of instructions of 8 bytes", path.display());
        Failure::new("instructions", message, "give hexadecimal text, or the bytes of the instructions alone")
    })?;
    if words.is_empty() {
        let message = format!("{}: there are no instructions", path.display());
        return Err(Failure::new("instructions", message, "the shortest program is 9500000000000000 (exit)"));
    }
    let begun = Instant::now();
    let mut builder = VmBuilder::new();
    if let Some(budget) = args.budget {
        builder = builder.budget(budget);
    }
    let vm = builder.build_raw(&words, Endian::NATIVE).map_err(|error| Failure::new("load", error, ""))?;
    let load = begun.elapsed();
    let mut context = RawMemory::new(&memory).map_err(|error| Failure::new("memory", error, ""))?;
    let program = &vm.programs()[0];
    let result = vm.run(program, &mut context).map_err(|fault| Failure::new("fault", fault, ""))?;
    let mut timed = None;
    if let Some(repeat) = args.repeat {
        let begun = Instant::now();
        // What the program returns was shown to come out once; here only the time counts.
        for _ in 0..repeat {
            vm.run(program, &mut context).map_err(|fault| Failure::new("fault", fault, ""))?;
        }
        timed = Some(begun.elapsed().div_f64(repeat as f64));
    }
    print(args.link.format, result, timed, load);
    Ok(())
}

fn print(format: Format, result: u64, run: Option<Duration>, load: Duration) {
    let mut out = std::io::stdout().lock();
    let load = load.as_secs_f64() * 1e6;
    let nanoseconds = run.map(|run| run.as_secs_f64() * 1e9);
    // A closed pipe is the reader's wish.
    let _ = match (format, nanoseconds) {
        (Format::Json, Some(run)) => {
            writeln!(out, "{}", json!({ "r0": format!("{result:#x}"), "ns_per_run": run, "load_us": load }))
        }
        (Format::Json, None) => writeln!(out, "{}", json!({ "r0": format!("{result:#x}") })),
        (Format::Text, Some(run)) => writeln!(out, "{result:#x}\n{run:.1} ns a run, {load:.1} us to load"),
        (Format::Text, None) => writeln!(out, "{result:#x}"),
    };
}
