//! What programs send to the host, by ring buffers and perf event arrays: taken after each run, as by a host that listens.

use super::args::BpfRun;
use super::error::Failure;
use jitlink::bpf::btf::{Kind, TypeId};
use jitlink::bpf::image::{BpfImage, MapDefinition};
use jitlink::bpf::vm::maps::Map;
use jitlink::bpf::vm::vm::Vm;
use std::sync::Arc;

/// How many bytes of records a channel of a perf event array holds between two runs.
const CHANNEL: usize = 1 << 20;

/// The maps by which programs send records, and what came.
pub(super) struct Records<'i> {
    of: Vec<(&'i MapDefinition, Arc<Map>, Log)>,
    /// So many of each map are kept.
    most: usize,
}

/// The records of one map.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The first of them.
    pub(super) first: Vec<Vec<u8>>,
    pub(super) total: usize,
    /// How many found a full channel.
    pub(super) lost: u64,
}

impl Log {
    /// Counts a record, and keeps it if there are not so many yet.
    pub(super) fn add(&mut self, record: &[u8], most: usize) {
        self.total += 1;
        if self.first.len() < most {
            self.first.push(record.to_vec());
        }
    }
}

impl<'i> Records<'i> {
    /// Listens to all maps of these kinds.
    pub(super) fn listen(vm: &Vm, image: &'i BpfImage, most: usize) -> Records<'i> {
        let mut of = Vec::new();
        for definition in &image.maps {
            let Some(map) = vm.map(&definition.name) else { continue };
            if let Some(perf) = map.perf() {
                for cpu in 0..map.cpus() as u32 {
                    // An array of fewer channels than there are processors has no more.
                    let _ = perf.open(cpu, CHANNEL);
                }
            } else if map.ring().is_none() {
                continue;
            }
            of.push((definition, map.clone(), Log::default()));
        }
        Records { of, most }
    }

    /// Takes what has come since the last time.
    pub(super) fn take(&mut self) {
        for (_, map, log) in &mut self.of {
            if let Some(ring) = map.ring() {
                ring.consume(|record| log.add(record, self.most));
            } else if let Some(perf) = map.perf() {
                perf.consume(|_, record| log.add(record, self.most));
                log.lost = (0..map.cpus() as u32).map(|cpu| perf.lost(cpu)).sum();
            }
        }
    }

    /// The names of the maps.
    pub(super) fn names(&self) -> Vec<&'i str> {
        self.of.iter().map(|(definition, ..)| definition.name.as_str()).collect()
    }

    /// What came by a map, if programs send records by it.
    pub(super) fn of(&self, definition: &MapDefinition) -> Option<&Log> {
        let found = self.of.iter().find(|(known, ..)| known.name == definition.name);
        found.map(|(_, _, log)| log)
    }
}

/// The type of a map's records: what --record says, or the map's own type of values.
pub(super) fn type_of(args: &BpfRun, image: &BpfImage, definition: &MapDefinition) -> Result<TypeId, Failure> {
    let mut said = args.records.iter().filter_map(|said| said.split_once('='));
    let Some((_, name)) = said.rfind(|(map, _)| *map == definition.name) else {
        return Ok(TypeId(definition.types.1));
    };
    let plain = name.strip_prefix("struct ").unwrap_or(name);
    let kinds = [Kind::Struct, Kind::Typedef, Kind::Union, Kind::Int, Kind::Enum];
    let found = kinds.into_iter().find_map(|kind| image.types.btf.find_by_name_kind(plain, kind));
    found.map(|ty| ty.id()).ok_or_else(|| {
        let message = format!("the objects have no type {name}, which --record says for {}", definition.name);
        let advice = format!(
            "jitlink bpf inspect --types shows the types; compilers leave out those of local variables, unless a global one \
             needs them: struct {plain} *unused __attribute__((unused));"
        );
        Failure::new("record", message, advice)
    })
}

/// Checks that what --record says is about maps that send records, `known`.
pub(super) fn check(args: &BpfRun, known: &[&str]) -> Result<(), Failure> {
    for said in &args.records {
        let map = said.split_once('=').map_or(said.as_str(), |(map, _)| map);
        if !known.contains(&map) {
            let message = format!("{map}, which --record names, is no map whose records are shown here");
            let advice = if known.is_empty() { String::new() } else { format!("there are: {}", known.join(", ")) };
            return Err(Failure::new("record", message, advice));
        }
    }
    Ok(())
}
