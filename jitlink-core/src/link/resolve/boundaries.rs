//! Names that mean an end of a run of sections by convention.

use super::super::groups::is_discarded;
use super::super::read::BatchTarget;
use super::Names;
use crate::error::LinkError;
use crate::format::{Boundary, BoundaryEnd};
use crate::graph::{LinkGraph, Protection, Scope, Section, SectionId, Value};
use hashbrown::HashMap;

impl<'a> Names<'a> {
    /// Names that mean an end of a run of sections by convention.
    pub(super) fn boundaries(
        &mut self,
        graph: &mut LinkGraph<'a>,
        undefined: &[u32],
        batch: &BatchTarget,
        errors: &mut Vec<LinkError>,
    ) {
        let mut runs: HashMap<&[u8], u32> = HashMap::new();
        for &index in undefined {
            let entry = &mut self.entries[index as usize];
            let (None, Some(reference)) = (entry.definition, entry.reference) else { continue };
            let Some(Boundary { section, end }) = batch.format.boundary(entry.name.bytes()) else { continue };
            let run = *runs.entry(section).or_insert_with(|| {
                let of_name = |(_, candidate): &(SectionId, &Section<'_>)| {
                    candidate.gathered && candidate.run_name() == section && !is_discarded(graph, candidate.group)
                };
                let members: Vec<SectionId> = graph.sections().filter(of_name).map(|(id, _)| id).collect();
                errors.extend(unite(graph, &members).err());
                graph.runs.push(members);
                graph.runs.len() as u32 - 1
            });
            if graph.runs[run as usize].is_empty() {
                continue;
            }
            let stop = end == BoundaryEnd::Stop;
            graph.symbols[reference.index()].value = Value::Boundary { run, stop };
            entry.definition = Some(reference);
            entry.scope = Scope::Hidden;
        }
    }
}

/// Gives sections that must lie together the protection and the place that all of them can live with.
fn unite(graph: &mut LinkGraph<'_>, members: &[SectionId]) -> Result<(), LinkError> {
    let has = |protection| members.iter().find(|&&id| graph.section(id).protection == protection).copied();
    let (code, data) = (has(Protection::ReadExecute), has(Protection::ReadWrite));
    if let (Some(code), Some(data)) = (code, data) {
        let object = |id: SectionId| graph.object(graph.section(id).object).name.clone();
        let what =
            format!("it is code, and must lie together with the writable section of its name in {}", object(data));
        return Err(LinkError::malformed(object(code), graph.section(code).name_lossy(), 0, what));
    }
    let protection = code.or(data).map_or(Protection::Read, |id| graph.section(id).protection);
    let residence = members.iter().map(|&id| graph.section(id).residence).min();
    for &id in members {
        let section = &mut graph.sections[id.index()];
        (section.protection, section.residence) = (protection, residence.unwrap_or(section.residence));
    }
    Ok(())
}
