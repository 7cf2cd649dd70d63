//! Pruning: what the roots reach over edges and dependencies stays.
//!
//! Unwind records, group members and ordered sections need no special case: they are dependencies from the start. Only runs of
//! gathered sections are kept by name, when something live refers to an end of theirs.

use super::options::{LinkOptions, Roots};
use super::resolve::is_discarded;
use crate::error::LinkError;
use crate::graph::{BlockId, GroupId, LinkGraph, Residence, Role, Scope, Section, SectionId, SymbolId, Value};

/// Marks what is live; the canonical symbols that live code needs and the batch does not define, in symbol order.
pub(super) fn prune(
    graph: &mut LinkGraph<'_>,
    options: &LinkOptions,
    roots: &[SymbolId],
) -> Result<Vec<SymbolId>, Vec<LinkError>> {
    let mut marker =
        Marker { live: vec![false; graph.blocks.len()], work: Vec::new(), runs: vec![false; graph.runs.len()] };
    // What stands already counts as seen, and is not placed.
    graph.pinned.iter().enumerate().filter(|(_, pinned)| **pinned).for_each(|(block, _)| marker.live[block] = true);
    let members = group_members(graph);
    graph.dependencies.sort_unstable();
    graph.dependencies.dedup();

    for (_, section) in graph.sections() {
        let unloaded = section.residence == Residence::Unloaded;
        let kept = section.retain || unloaded || matches!(section.role, Role::Initialisers(_));
        if kept && !is_discarded(graph, section.group) {
            section.blocks.clone().for_each(|block| marker.mark(BlockId(block)));
        }
    }
    for &root in roots.iter().chain(&graph.roots) {
        marker.mark_symbol(graph, graph.canonical(root));
    }
    let exported = match options.roots {
        Roots::Exported => true,
        Roots::Named(_) => false,
        Roots::IfDefined(_) => roots.iter().all(|&root| !graph.symbol(graph.canonical(root)).is_defined()),
    };
    if exported {
        for (id, symbol) in graph.symbols() {
            if symbol.scope >= Scope::Protected && graph.canonical(id) == id && symbol.is_defined() {
                marker.mark_symbol(graph, id);
            }
        }
    }
    let mut errors = broken_arrays(graph);
    let mut needed = Vec::new();
    for &root in roots.iter().chain(&graph.roots) {
        if !graph.symbol(root).is_defined() {
            needed.push(graph.canonical(root));
        }
    }
    // What a symbol means for liveness is looked at once, however many edges refer to it.
    let mut seen = vec![false; graph.symbols.len()];
    while let Some(block) = marker.work.pop() {
        let section = graph.block(block).section;
        if graph.section(section).residence == Residence::Unloaded {
            continue;
        }
        for edge in graph.edges(block) {
            if std::mem::replace(&mut seen[edge.target.index()], true) {
                continue;
            }
            match graph.symbol(edge.target).value {
                Value::Block { block: target, .. } => match discarded_for(graph, target) {
                    Some(kept) => errors.push(LinkError::Discarded {
                        site: Box::new(graph.site(block, edge)),
                        section: graph.section(graph.block(target).section).name_lossy(),
                        kept,
                    }),
                    None => marker.mark(target),
                },
                Value::Undefined => needed.push(graph.canonical(edge.target)),
                _ => marker.mark_symbol(graph, edge.target),
            }
        }
        let first = graph.dependencies.partition_point(|pair| pair.0 < block);
        for &(_, kept) in graph.dependencies[first..].iter().take_while(|pair| pair.0 == block) {
            marker.mark(kept);
        }
        if let Some(group) = graph.section(section).group {
            let first = members.partition_point(|member| member.0 < group);
            for &(_, member) in members[first..].iter().take_while(|member| member.0 == group) {
                graph.section(member).blocks.clone().for_each(|block| marker.mark(BlockId(block)));
            }
        }
    }
    graph.live = marker.live;
    for (block, _) in graph.pinned.iter().enumerate().filter(|(_, pinned)| **pinned) {
        graph.live[block] = false;
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    needed.sort_unstable();
    needed.dedup();
    Ok(needed)
}

struct Marker {
    live: Vec<bool>,
    work: Vec<BlockId>,
    /// Which runs of gathered sections are marked.
    runs: Vec<bool>,
}

impl Marker {
    fn mark(&mut self, block: BlockId) {
        if !std::mem::replace(&mut self.live[block.index()], true) {
            self.work.push(block);
        }
    }

    fn mark_symbol(&mut self, graph: &LinkGraph<'_>, symbol: SymbolId) {
        match graph.symbol(symbol).value {
            Value::Block { block, .. } => self.mark(block),
            Value::Boundary { run, .. } if !std::mem::replace(&mut self.runs[run as usize], true) => {
                for &section in &graph.runs[run as usize] {
                    graph.section(section).blocks.clone().for_each(|block| self.mark(BlockId(block)));
                }
            }
            _ => {}
        }
    }
}

/// The loaded sections that belong to groups, sorted by group.
fn group_members(graph: &LinkGraph<'_>) -> Vec<(GroupId, SectionId)> {
    let loaded = graph.sections().filter(|(_, section)| section.is_loaded());
    let mut members: Vec<_> = loaded.filter_map(|(id, section)| Some((section.group?, id))).collect();
    members.sort_unstable();
    members
}

fn discarded_for(graph: &LinkGraph<'_>, block: BlockId) -> Option<String> {
    let group = graph.section(graph.block(block).section).group?;
    let kept = graph.groups[group.index()].discarded_for?;
    Some(graph.object(kept).name.clone())
}

/// Arrays of function pointers that end in a part of one.
fn broken_arrays(graph: &LinkGraph<'_>) -> Vec<LinkError> {
    let pointer = u64::from(graph.target.pointer_bytes);
    let arrays = graph
        .sections()
        .filter(|(_, section)| matches!(section.role, Role::Initialisers(_)) && !is_discarded(graph, section.group));
    let error = |(id, section): (SectionId, &Section<'_>)| {
        let (_, block) = graph.blocks_of(id).find(|(_, block)| !block.size().is_multiple_of(pointer))?;
        let what = format!("an array of pointers of {pointer} bytes has {:#x} bytes", block.size());
        let object = graph.object(section.object).name.clone();
        Some(LinkError::malformed(object, section.name_lossy(), block.section_offset, what))
    };
    arrays.filter_map(error).collect()
}
