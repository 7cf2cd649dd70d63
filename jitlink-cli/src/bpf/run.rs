//! `jitlink bpf run`: a program on packets or memory.

use super::args::BpfRun;
use super::error::Failure;
use super::outcome::{Outcome, Tally, Verdicts};
use super::records::{self, Records};
use super::{bytes, capture, program, raw};
use crate::progress::Progress;
use jitlink::bpf::catalog::programs::ProgramType;
use jitlink::bpf::classic::{self, FilterKind};
use jitlink::bpf::image::BpfImage;
use jitlink::bpf::vm::context::{Context, RawMemory};
use jitlink::bpf::vm::contexts::{Packet, PacketContext};
use jitlink::bpf::vm::helpers::{Host, standard};
use jitlink::bpf::vm::maps::{Map, MapKind};
use jitlink::bpf::vm::vm::{Program, Vm, VmBuilder};
use jitlink::core::Endian;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

pub(super) fn run(args: &BpfRun) -> Result<ExitCode, Failure> {
    if let Some(path) = &args.raw {
        return raw::run(args, path).map(|()| ExitCode::SUCCESS);
    }
    let inputs = inputs(args)?;
    let outcome = match &args.classic {
        Some(path) => classic(args, path, &inputs)?,
        None => {
            let mut image = program::link(&args.link)?;
            if args.kernel {
                super::kernel::run(args, &image, &inputs)?
            } else {
                program::relocate(&mut image, &args.link)?;
                machine(args, &image, &inputs)?
            }
        }
    };
    outcome.print(args.link.format);
    Ok(if outcome.tally.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// What the program runs on: packets or memory, one after another.
fn inputs(args: &BpfRun) -> Result<Vec<Vec<u8>>, Failure> {
    match (&args.pcap, &args.input) {
        (Some(path), _) => capture::packets(path),
        (None, Some(path)) => Ok(vec![bytes::read(path)?]),
        (None, None) => Ok(vec![Vec::new()]),
    }
}

/// What programs printed, to be shown after all runs: a line for each message, as in the kernel's trace.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<String>>>);

impl Printed {
    fn host(&self) -> Host {
        let lines = Arc::clone(&self.0);
        Host::new().on_print(move |text| {
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(text.trim_end_matches('\n').into());
        })
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn builder(args: &BpfRun, printed: &Printed) -> VmBuilder {
    let builder = VmBuilder::new().functions(standard(Arc::new(printed.host())));
    match args.budget {
        Some(budget) => builder.budget(budget),
        None => builder,
    }
}

/// Runs a linked program in the virtual machine.
fn machine(args: &BpfRun, image: &BpfImage, inputs: &[Vec<u8>]) -> Result<Outcome, Failure> {
    let chosen = program::choose(image, args.program.as_deref())?;
    let printed = Printed::default();
    let refuse = |error| Failure::new("load", error, "");
    let vm = builder(args, &printed).build(image).map_err(refuse)?;
    let entry = vm.program(&chosen.name).map_err(|error| Failure::new("program", error, ""))?.clone();
    let kind = program::kind(chosen);
    let mut records = Records::listen(&vm, image, args.entries);
    records::check(args, &records.names())?;
    let tally = run_all(&vm, &entry, (kind, image.endian), inputs, || records.take())?;
    let mut outcome = Outcome::new(&chosen.name, "vm", Verdicts::Of(kind), tally);
    outcome.printed = printed.lines();
    for definition in &image.maps {
        let Some(map) = vm.map(&definition.name) else { continue };
        match records.of(definition) {
            Some(log) => outcome.add_records(image, definition, records::type_of(args, image, definition)?, log),
            None if is_queue(map) => {
                let values = std::iter::from_fn(|| map.lookup_and_delete(&[], 0).ok());
                outcome.add_map(image, definition, values.map(|value| (Vec::new(), value)), args.entries);
            }
            None => outcome.add_map(image, definition, map.entries(), args.entries),
        }
    }
    Ok(outcome)
}

/// Whether a map gives its values in order, and has no keys.
fn is_queue(map: &Map) -> bool {
    matches!(map.kind(), MapKind::Queue | MapKind::Stack)
}

/// Runs a classic filter in the virtual machine.
fn classic(args: &BpfRun, path: &Path, inputs: &[Vec<u8>]) -> Result<Outcome, Failure> {
    let refuse = |error: classic::ClassicError| {
        Failure::new("classic", format!("{}: {error}", path.display()), "give what tcpdump -ddd prints")
    };
    let bytes = bytes::read(path)?;
    let filter = match std::str::from_utf8(&bytes) {
        Ok(text) if !bytes.contains(&0) => classic::from_text(text),
        _ => classic::from_bytes(&bytes, Endian::NATIVE),
    };
    let kind = if args.seccomp { FilterKind::Seccomp } else { FilterKind::Socket };
    let words = filter.and_then(|filter| classic::translate(&filter, kind)).map_err(refuse)?;
    let printed = Printed::default();
    let vm =
        builder(args, &printed).build_raw(&words, Endian::NATIVE).map_err(|error| Failure::new("load", error, ""))?;
    let program = &vm.programs()[0];
    if args.seccomp {
        let tally = run_all(&vm, program, (None, Endian::NATIVE), &[system_call(inputs)?], || ())?;
        return Ok(Outcome::new("filter", "vm", Verdicts::OfSystemCalls, tally));
    }
    let kind = Some(ProgramType::SocketFilter);
    let tally = run_all(&vm, program, (kind, Endian::NATIVE), inputs, || ())?;
    Ok(Outcome::new("filter", "vm", Verdicts::Of(kind), tally))
}

/// What a filter of system calls reads: `struct seccomp_data` (include/uapi/linux/seccomp.h).
fn system_call(inputs: &[Vec<u8>]) -> Result<Vec<u8>, Failure> {
    const SIZE: usize = 64;
    let data = inputs.first().map_or(&[][..], Vec::as_slice);
    match data.len() {
        0 => Ok(vec![0; SIZE]),
        SIZE => Ok(data.to_vec()),
        size => {
            let message = format!("struct seccomp_data has {SIZE} bytes, and --input has {size}");
            let advice =
                "give the call's number (4 bytes), the machine (4), the place (8) and six arguments of 8 bytes";
            Err(Failure::new("input", message, advice))
        }
    }
}

/// Runs a program on every input, with `after` after each run.
fn run_all(
    vm: &Vm,
    entry: &Program,
    (kind, endian): (Option<ProgramType>, Endian),
    inputs: &[Vec<u8>],
    mut after: impl FnMut(),
) -> Result<Tally, Failure> {
    let _progress = Progress::start(format!("running {} {} times", entry.name, inputs.len()));
    let mut tally = Tally::default();
    let no_memory = |error| Failure::new("memory", error, "");
    for input in inputs {
        let packet = kind.map(|kind| PacketContext::new(kind, Packet::ethernet(&**input), endian));
        let result = match packet.transpose().map_err(no_memory)?.flatten() {
            Some(mut packet) => vm.run(entry, &mut packet as &mut dyn Context),
            None => vm.run(entry, &mut RawMemory::new(input).map_err(no_memory)?),
        };
        match result {
            Ok(verdict) => tally.add(verdict as u32),
            Err(fault) => tally.fail(fault.to_string()),
        }
        after();
    }
    Ok(tally)
}
