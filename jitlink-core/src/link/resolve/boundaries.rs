//! Names that mean an end of a run of sections by convention.

use super::super::groups::is_discarded;
use super::super::read::BatchTarget;
use super::Names;
use crate::error::{LinkError, Site};
use crate::format::{Boundary, BoundaryEnd};
use crate::graph::{InitStage, LinkGraph, Protection, Role, Scope, Section, SectionId, Value};
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
            let Some(Boundary { section, stage, end }) = batch.format.boundary(entry.name.bytes()) else { continue };
            let run = *runs.entry(section).or_insert_with(|| {
                if let Some(stage) = stage {
                    errors.extend(gather_arrays(graph, section, stage).err());
                }
                let of_name = |(_, candidate): &(SectionId, &Section<'_>)| {
                    candidate.gathered && candidate.run_name() == section && !is_discarded(graph, candidate.group)
                };
                let members: Vec<SectionId> = graph.sections().filter(of_name).map(|(id, _)| id).collect();
                errors.extend(unite(graph, &members).err());
                graph.runs.push(members);
                graph.runs.len() as u32 - 1
            });
            let stop = end == BoundaryEnd::Stop;
            graph.symbols[reference.index()].value = match (graph.runs[run as usize].is_empty(), stage) {
                (false, _) => Value::Boundary { run, stop },
                // Start-up code is for programs without such arrays too: both ends are the same, so that it calls nothing.
                (true, Some(_)) => Value::Absolute(0),
                (true, None) => continue,
            };
            entry.definition = Some(reference);
            entry.scope = Scope::Hidden;
        }
    }
}

/// Makes one run of all arrays of functions of a stage, in the order in which they run from its first pointer on, or at the end of the
/// program from its last.
fn gather_arrays<'a>(graph: &mut LinkGraph<'a>, name: &'a [u8], stage: InitStage) -> Result<(), LinkError> {
    for id in (0..graph.sections.len()).map(|id| SectionId(id as u32)) {
        let section = &graph.sections[id.index()];
        let Role::Initialisers(order) = section.role else { continue };
        if order.stage != stage {
            continue;
        }
        let is_empty = graph.blocks_of(id).all(|(_, block)| block.size() == 0);
        if order.backwards != (stage == InitStage::Fini) && !is_empty {
            let what = "it runs backwards, and start-up code of its own walks over all arrays as one, in one direction";
            let object = graph.object(section.object).name.clone();
            let place = Site { object, section: section.name_lossy(), ..Site::default() };
            let advice = "compile with a compiler that makes .init_array and .fini_array";
            return Err(LinkError::Unsupported { site: Box::new(place), what: what.into(), advice: advice.into() });
        }
        let section = &mut graph.sections[id.index()];
        (section.name, section.suffix, section.gathered) = (name, 0, true);
        section.sort_key = order.priority;
    }
    Ok(())
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
