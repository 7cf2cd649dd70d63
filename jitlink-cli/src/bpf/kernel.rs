//! `jitlink bpf run --kernel`: the same program, in the kernel of this machine.

use super::args::BpfRun;
use super::error::Failure;
use super::outcome::{Outcome, Tally, Verdicts};
use super::program;
use super::records::{self, Log};
use super::trace::Trace;
use crate::progress::Progress;
use jitlink::bpf::catalog::maps;
use jitlink::bpf::image::{BpfImage, MapDefinition};
use jitlink::bpf::kernel::{KernelError, KernelMap, KernelObject, LoadOptions, TestRun, load};

/// What the kernel takes for a packet: one that has a head (`ETH_HLEN`).
const SHORTEST: usize = 14;

/// Room for what a program makes of its packet, beyond what it was.
const ROOM: usize = 4096;

pub(super) fn run(args: &BpfRun, image: &BpfImage, inputs: &[Vec<u8>]) -> Result<Outcome, Failure> {
    let chosen = program::choose(image, args.program.as_deref())?;
    let _progress = Progress::start(format!("running {} in the kernel {} times", chosen.name, inputs.len()));
    let refuse = |error: KernelError| Failure::new("kernel", error, "");
    let programs = [chosen.name.as_str()];
    let object =
        load(image, &LoadOptions { name: "jitlink", programs: &programs, ..LoadOptions::default() }).map_err(refuse)?;
    let missing = || Failure::new("kernel", format!("{} was not loaded", chosen.name), "");
    let loaded = object.program(&chosen.name).ok_or_else(missing)?;
    let trace = Trace::listen(image);
    let rings = image.maps.iter().filter(|definition| kind(definition) == "ringbuf");
    let mut rings: Vec<_> =
        rings.filter_map(|definition| Some((definition, object.map(&definition.name)?, Log::default()))).collect();
    records::check(args, &rings.iter().map(|(definition, ..)| definition.name.as_str()).collect::<Vec<_>>())?;
    let mut tally = Tally::default();
    for input in inputs {
        let run = TestRun { data: input, room: input.len() + ROOM, context: &[], repeat: 1 };
        match loaded.test_run(&run) {
            Ok(result) => tally.add(result.retval),
            Err(error) if input.len() < SHORTEST => {
                let why = format!("the kernel runs programs on packets of {SHORTEST} bytes or more: --pcap, --input");
                tally.fail(format!("{error} ({why})"));
            }
            Err(error) => tally.fail(error.to_string()),
        }
        for (_, ring, log) in &mut rings {
            ring.consume(|record| log.add(record, args.entries)).map_err(refuse)?;
        }
    }
    let mut outcome = Outcome::new(&chosen.name, "kernel", Verdicts::Of(program::kind(chosen)), tally);
    outcome.printed = trace.map_or(Ok(Vec::new()), Trace::printed)?;
    object.notes().iter().for_each(|note| eprintln!("note: {note}"));
    show_maps(args, image, &object, &rings, &mut outcome)?;
    Ok(outcome)
}

/// The name of a map's type, as the kernel has it.
fn kind(definition: &MapDefinition) -> &'static str {
    maps::by_number(definition.kind).map_or("", |kind| kind.name)
}

/// What is in the maps after all runs, and what was sent by them.
fn show_maps(
    args: &BpfRun,
    image: &BpfImage,
    object: &KernelObject,
    rings: &[(&MapDefinition, &KernelMap, Log)],
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    for definition in &image.maps {
        if let Some((.., log)) = rings.iter().find(|(ring, ..)| ring.name == definition.name) {
            outcome.add_records(image, definition, records::type_of(args, image, definition)?, log);
            continue;
        }
        if kind(definition) == "perf_event_array" {
            eprintln!("note: what was sent by {} is not read from the kernel, only from the machine", definition.name);
            continue;
        }
        let Some(map) = object.map(&definition.name) else { continue };
        if matches!(kind(definition), "queue" | "stack") {
            let values = std::iter::from_fn(|| map.take().ok().flatten());
            outcome.add_map(image, definition, values.map(|value| (Vec::new(), value)), args.entries);
        } else {
            // Not every type of map can be walked; those that cannot are shown without elements.
            let entries = map.entries(definition.max_entries as usize).unwrap_or_default();
            outcome.add_map(image, definition, entries.into_iter(), args.entries);
        }
    }
    Ok(())
}
