//! What runs of a program came to, and how it is shown.

use super::records::Log;
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

/// What the numbers mean that a program returns.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdicts {
    /// What they mean to programs of a kind, if it is known.
    Of(Option<ProgramType>),
    /// What becomes of a system call (`SECCOMP_RET_*`).
    OfSystemCalls,
}

impl Verdicts {
    fn name(self, value: u32) -> Option<String> {
        match self {
            Verdicts::Of(kind) => verdict(kind, value),
            Verdicts::OfSystemCalls => Some(seccomp(value)),
        }
    }
}

/// Everything that is shown.
#[derive(Debug)]
pub(super) struct Outcome {
    program: String,
    /// Where it ran: `vm` or `kernel`.
    executor: &'static str,
    verdicts: Verdicts,
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
    holds: Holds,
    /// Keys and values, as far as they are shown; records and the values of queues have no keys.
    entries: Vec<Entry>,
    /// How many are not.
    more: usize,
}

/// A key, where there is one, and a value.
type Entry = (Option<Cell>, Cell);

/// What is shown of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Elements,
    /// What was sent by it, and how much more found no room.
    Records {
        lost: u64,
    },
}

impl Outcome {
    pub(super) fn new(program: &str, executor: &'static str, verdicts: Verdicts, tally: Tally) -> Outcome {
        Outcome { program: program.into(), executor, verdicts, tally, printed: Vec::new(), maps: Vec::new() }
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
        let mut cells: Vec<(Vec<u8>, Entry)> = first
            .map(|(key, value)| {
                let named = (!key.is_empty()).then(|| cell(definition.types.0, &key));
                (key, (named, cell(definition.types.1, &value)))
            })
            .collect();
        cells.sort_by(|left, right| left.0.cmp(&right.0));
        self.maps.push(MapContent {
            name: definition.name.clone(),
            kind: kind_name(definition),
            max_entries: definition.max_entries,
            holds: Holds::Elements,
            entries: cells.into_iter().map(|(_, cells)| cells).collect(),
            more: entries.count(),
        });
    }

    /// Adds a map by which the program sent records of a type.
    pub(super) fn add_records(&mut self, image: &BpfImage, definition: &MapDefinition, ty: TypeId, log: &Log) {
        let cell = |record: &Vec<u8>| (None, values::cell(Some(&image.types.btf), ty, record, image.endian));
        self.maps.push(MapContent {
            name: definition.name.clone(),
            kind: kind_name(definition),
            max_entries: definition.max_entries,
            holds: Holds::Records { lost: log.lost },
            entries: log.first.iter().map(cell).collect(),
            more: log.total - log.first.len(),
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
            .map(|(&value, count)| json!({ "value": value, "name": self.verdicts.name(value), "count": count }));
        let faults = self.tally.faults.iter().map(|(fault, count)| json!({ "fault": fault, "count": count }));
        let maps = self.maps.iter().map(|map| {
            let entries = map.entries.iter().map(|(key, value)| match (key, map.holds) {
                (_, Holds::Records { .. }) => value.to_json(),
                (None, Holds::Elements) => json!({ "value": value.to_json() }),
                (Some(key), Holds::Elements) => json!({ "key": key.to_json(), "value": value.to_json() }),
            });
            let entries: Vec<Value> = entries.collect();
            let (name, kind, max_entries, more) = (&map.name, &map.kind, map.max_entries, map.more);
            match map.holds {
                Holds::Elements => json!({
                    "name": name, "type": kind, "max_entries": max_entries, "entries": entries, "more": more,
                }),
                Holds::Records { lost } => json!({
                    "name": name, "type": kind, "max_entries": max_entries, "records": entries, "more": more, "lost": lost,
                }),
            }
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
            let name = self.verdicts.name(value).unwrap_or_else(|| format!("{value:#x}"));
            writeln!(out, "{count:>8}  {name}")?;
        }
        for (fault, count) in &self.tally.faults {
            writeln!(out, "{count:>8}  stopped: {}", fault.replace('\n', "\n          "))?;
        }
        for map in &self.maps {
            let total = map.entries.len() + map.more;
            let held = match map.holds {
                Holds::Elements => format!("{total} of {}", map.max_entries),
                Holds::Records { lost: 0 } => format!("{total} sent"),
                Holds::Records { lost } => format!("{total} sent, {lost} lost"),
            };
            writeln!(out, "\n{} ({}, {held})", map.name, map.kind)?;
            let name = if map.holds == Holds::Elements { "value" } else { "record" };
            let mut table = Table::default();
            for (key, value) in &map.entries {
                let key = key.iter().flat_map(|key| key.columns("key"));
                table.row(key.chain(value.columns(name)));
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

fn kind_name(definition: &MapDefinition) -> String {
    maps::by_number(definition.kind).map_or_else(|| format!("type {}", definition.kind), |kind| kind.name.to_string())
}

/// What the kernel calls what becomes of a system call (include/uapi/linux/seccomp.h): an action, and 16 bits of data.
fn seccomp(value: u32) -> String {
    let (action, data) = (value & 0xffff_0000, value & 0xffff);
    match action {
        0 => "SECCOMP_RET_KILL_THREAD".into(),
        0x0003_0000 => format!("SECCOMP_RET_TRAP, {data}"),
        0x0005_0000 => format!("SECCOMP_RET_ERRNO, {data}"),
        0x7fc0_0000 => "SECCOMP_RET_USER_NOTIF".into(),
        0x7ff0_0000 => format!("SECCOMP_RET_TRACE, {data}"),
        0x7ffc_0000 => "SECCOMP_RET_LOG".into(),
        0x7fff_0000 => "SECCOMP_RET_ALLOW".into(),
        // 0x80000000, and whatever is none of these.
        _ => "SECCOMP_RET_KILL_PROCESS".into(),
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
