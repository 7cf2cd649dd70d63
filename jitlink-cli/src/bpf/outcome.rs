//! What runs of a program came to, and how it is shown.

use super::table::Table;
use super::values::{self, Cell};
use crate::args::Format;
use jitlink::bpf::btf::TypeId;
use jitlink::bpf::catalog::{maps, programs::ProgramType};
use jitlink::bpf::image::{BpfImage, MapDefinition};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;

/// Results, counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) runs: usize,
    verdicts: BTreeMap<u32, usize>,
    /// Why runs did not come to their end, and how often.
    pub(super) faults: BTreeMap<String, usize>,
}

impl Tally {
    pub(super) fn add(&mut self, verdict: u32) {
        self.runs += 1;
        *self.verdicts.entry(verdict).or_default() += 1;
    }

    pub(super) fn fail(&mut self, fault: String) {
        self.runs += 1;
        *self.faults.entry(fault).or_default() += 1;
    }
}

/// Everything that is shown.
#[derive(Debug)]
pub(super) struct Outcome {
    program: String,
    /// Where it ran: `vm` or `kernel`.
    executor: &'static str,
    kind: Option<ProgramType>,
    pub(super) tally: Tally,
    /// Lines that the program printed.
    pub(super) printed: Vec<String>,
    maps: Vec<MapContent>,
}

/// What is in a map.
#[derive(Debug)]
struct MapContent {
    name: String,
    kind: String,
    max_entries: u32,
    /// Keys and values, as far as they are shown.
    entries: Vec<(Cell, Cell)>,
    /// How many are not.
    more: usize,
}

impl Outcome {
    pub(super) fn new(program: &str, executor: &'static str, kind: Option<ProgramType>, tally: Tally) -> Outcome {
        Outcome { program: program.into(), executor, kind, tally, printed: Vec::new(), maps: Vec::new() }
    }

    /// Adds a map, of whose elements `shown` are shown. Elements of arrays that are all zero are left out.
    pub(super) fn add_map(
        &mut self,
        image: &BpfImage,
        definition: &MapDefinition,
        entries: impl Iterator<Item = (Vec<u8>, Vec<u8>)>,
        shown: usize,
    ) {
        let kind = maps::by_number(definition.kind);
        let is_array = kind.is_some_and(|kind| kind.name.contains("array"));
        let wanted = |(_, value): &(Vec<u8>, Vec<u8>)| !is_array || value.iter().any(|byte| *byte != 0);
        let mut entries = entries.filter(wanted);
        let cell = |id: u32, bytes: &[u8]| values::cell(Some(&image.types.btf), TypeId(id), bytes, image.endian);
        let first = entries.by_ref().take(shown);
        let mut cells: Vec<(Vec<u8>, (Cell, Cell))> = first
            .map(|(key, value)| {
                let cells = (cell(definition.types.0, &key), cell(definition.types.1, &value));
                (key, cells)
            })
            .collect();
        cells.sort_by(|left, right| left.0.cmp(&right.0));
        self.maps.push(MapContent {
            name: definition.name.clone(),
            kind: kind.map_or_else(|| format!("type {}", definition.kind), |kind| kind.name.to_string()),
            max_entries: definition.max_entries,
            entries: cells.into_iter().map(|(_, cells)| cells).collect(),
            more: entries.count(),
        });
    }

    pub(super) fn print(&self, format: Format) {
        let mut out = std::io::stdout().lock();
        // A closed pipe is the reader's wish.
        let _ = match format {
            Format::Json => writeln!(out, "{:#}", self.to_json()),
            Format::Text => self.write(&mut out),
        };
    }

    fn to_json(&self) -> Value {
        let verdicts = self
            .tally
            .verdicts
            .iter()
            .map(|(&value, count)| json!({ "value": value, "name": verdict(self.kind, value), "count": count }));
        let faults = self.tally.faults.iter().map(|(fault, count)| json!({ "fault": fault, "count": count }));
        let maps = self.maps.iter().map(|map| {
            let entries =
                map.entries.iter().map(|(key, value)| json!({ "key": key.to_json(), "value": value.to_json() }));
            json!({
                "name": map.name,
                "type": map.kind,
                "max_entries": map.max_entries,
                "entries": entries.collect::<Vec<_>>(),
                "more": map.more,
            })
        });
        json!({
            "version": 1,
            "program": self.program,
            "executor": self.executor,
            "runs": self.tally.runs,
            "verdicts": verdicts.collect::<Vec<_>>(),
            "faults": faults.collect::<Vec<_>>(),
            "printed": self.printed,
            "maps": maps.collect::<Vec<_>>(),
        })
    }

    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let times = if self.tally.runs == 1 { "time" } else { "times" };
        writeln!(out, "{} ran {} {times}", self.program, self.tally.runs)?;
        for (&value, count) in &self.tally.verdicts {
            let name = verdict(self.kind, value).unwrap_or_else(|| format!("{value:#x}"));
            writeln!(out, "{count:>8}  {name}")?;
        }
        for (fault, count) in &self.tally.faults {
            writeln!(out, "{count:>8}  stopped: {}", fault.replace('\n', "\n          "))?;
        }
        for map in &self.maps {
            let total = map.entries.len() + map.more;
            writeln!(out, "\n{} ({}, {total} of {})", map.name, map.kind, map.max_entries)?;
            let mut table = Table::default();
            for (key, value) in &map.entries {
                table.row(key.columns("key").into_iter().chain(value.columns("value")));
            }
            table.write(out)?;
            if map.more > 0 {
                writeln!(out, "  … and {} more (--entries N shows more)", map.more)?;
            }
        }
        if !self.printed.is_empty() {
            writeln!(out, "\nprinted")?;
        }
        self.printed.iter().try_for_each(|line| writeln!(out, "  {line}"))
    }
}

/// What the kernel calls a verdict of a kind of program.
fn verdict(kind: Option<ProgramType>, value: u32) -> Option<String> {
    let names: &[&str] = match kind? {
        ProgramType::Xdp => &["XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT"],
        ProgramType::SchedCls | ProgramType::SchedAct => &[
            "TC_ACT_OK",
            "TC_ACT_RECLASSIFY",
            "TC_ACT_SHOT",
            "TC_ACT_PIPE",
            "TC_ACT_STOLEN",
            "TC_ACT_QUEUED",
            "TC_ACT_REPEAT",
            "TC_ACT_REDIRECT",
            "TC_ACT_TRAP",
        ],
        ProgramType::SocketFilter => {
            return Some(match value {
                0 => "dropped".into(),
                u32::MAX => "kept whole".into(),
                bytes => format!("kept up to {bytes} bytes"),
            });
        }
        ProgramType::CgroupSkb => &["dropped", "passed"],
        _ => return None,
    };
    if value == u32::MAX && matches!(kind, Some(ProgramType::SchedCls | ProgramType::SchedAct)) {
        return Some("TC_ACT_UNSPEC".into());
    }
    names.get(value as usize).map(|name| name.to_string())
}
