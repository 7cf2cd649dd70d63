//! Runs of gathered sections that a program begins to walk over.
//!
//! A run that the program walks over stays as it is (`Matching::check_gathered`). One that it did not walk over was pruned, or lies
//! anywhere: an update can put it together only if all of it is in the batch, and none of it stands already. What counts from where
//! a run or the image starts cannot be updated.

use super::diff::{Fate, Origin, RESTART, Tracker};
use super::{Baseline, ObjectRecord};
use crate::error::LinkError;
use crate::graph::{Edge, LinkGraph, ObjectId, Value};
use crate::reloc::{Base, Reloc, Subject};
use hashbrown::HashSet;

impl Tracker<'_> {
    /// Refuses definitions of names that mean ends of runs to code that is linked.
    pub(super) fn check_ends(&self, graph: &LinkGraph<'_>, base: &Baseline, errors: &mut Vec<LinkError>) {
        for (id, symbol) in graph.symbols().filter(|(id, _)| self.origins[id.index()] != Origin::Elsewhere) {
            if base.boundaries.contains_key(symbol.name.bytes()) && graph.canonical(id) == id {
                let what =
                    format!("{} is defined now, and was an end of sections that the program walks over", symbol.name);
                let object = graph.object(symbol.object).name.clone();
                errors.push(LinkError::NotUpdatable { object, what, advice: RESTART.into() });
            }
        }
    }

    /// Refuses new ends of runs that the batch is only a part of, once it is known which ends live code refers to.
    pub(in crate::link) fn check_runs(&self, graph: &LinkGraph<'_>) -> Result<(), Vec<LinkError>> {
        let Some(base) = self.base else { return Ok(()) };
        let (mut seen, mut errors) = (HashSet::new(), Vec::new());
        for (_, symbol) in graph.symbols() {
            let Value::Boundary { run, .. } = symbol.value else { continue };
            if !graph.walked[run as usize] || !seen.insert(run) {
                continue;
            }
            let sections = &graph.runs[run as usize];
            let Some(name) = sections.first().map(|&section| graph.section(section).name) else { continue };
            let has = |old: &&ObjectRecord| old.gathered.iter().any(|gathered| **gathered == *name);
            let within = graph.objects().filter_map(|(_, object)| base.objects.get(&object.name)).filter(has).count();
            let mut blocks = sections.iter().flat_map(|&section| graph.blocks_of(section));
            let stands = blocks.any(|(block, _)| matches!(self.fates[block.index()], Fate::Kept(_)));
            if stands || base.gathered.get(name).is_some_and(|&all| all > within) {
                let what = format!(
                    "{} is new, and sections {} of the module do not lie together",
                    symbol.name,
                    String::from_utf8_lossy(name)
                );
                let object = graph.object(symbol.object).name.clone();
                errors.push(LinkError::NotUpdatable { object, what, advice: RESTART.into() });
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// The names of an object's gathered sections.
pub(super) fn of(graph: &LinkGraph<'_>, object: ObjectId) -> Vec<Box<[u8]>> {
    let range = graph.object(object).sections.clone();
    let sections = &graph.sections[range.start as usize..range.end as usize];
    let mut names: Vec<Box<[u8]>> =
        sections.iter().filter(|section| section.gathered).map(|section| section.name.into()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Refuses code and data that count from the base of their image, or from where a run of it starts: an update would have others.
pub(in crate::link) fn check_image(graph: &LinkGraph<'_>) -> Result<(), Vec<LinkError>> {
    let counts =
        |row: &Reloc| matches!(row.base(), Base::Image | Base::Section) || row.subject() == Subject::SectionIndex;
    let rows: Vec<bool> = graph.rows().rows().iter().map(counts).collect();
    if !rows.contains(&true) && !graph.symbols().any(|(_, symbol)| symbol.value == Value::ImageBase) {
        return Ok(());
    }
    for (id, block) in graph.blocks() {
        if !graph.is_live(id) || !graph.section(block.section).is_loaded() {
            continue;
        }
        let is_relative =
            |edge: &&Edge| rows[usize::from(edge.row)] || graph.symbol(edge.target).value == Value::ImageBase;
        if let Some(edge) = graph.edges(id).iter().find(is_relative) {
            let site = graph.site(id, edge);
            let what = format!("{site} counts from the base of its image, and an update has one of its own");
            let object = graph.object_of(id).name.clone();
            return Err(vec![LinkError::NotUpdatable { object, what, advice: "link it without updates".into() }]);
        }
    }
    Ok(())
}
