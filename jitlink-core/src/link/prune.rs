//! Pruning: what the roots reach over edges and dependencies stays.
//!
//! Unwind records, group members and ordered sections need no special case: they are dependencies from the start. Only runs of
//! gathered sections are kept by name, when something live refers to an end of theirs.

use super::groups::is_discarded;
use super::observe::{Cause, Causes};
use super::options::{LinkOptions, Roots};
use crate::error::LinkError;
use crate::graph::{BlockId, GroupId, LinkGraph, Residence, Role, Scope, Section, SectionId, Symbol, SymbolId, Value};
use crate::pages;
use std::hint::black_box;
use std::ops::Range;

/// Marks what is live, and tells `causes` why; the canonical symbols that live code needs and the batch does not define, in symbol order.
pub(super) fn prune(
    graph: &mut LinkGraph<'_>,
    options: &LinkOptions,
    roots: &[SymbolId],
    causes: &mut impl Causes,
) -> Result<Vec<SymbolId>, Vec<LinkError>> {
    mark(graph, options, roots, causes, |section| match section.role {
        Role::Initialisers(_) => Some(Cause::Initialisers),
        _ if section.retain => Some(Cause::RetainedSection),
        _ if section.residence == Residence::Unloaded => Some(Cause::Unloaded),
        _ => None,
    })
}

/// Marks all but what lost its group, and what only goes with such: unwind records and ordered sections.
pub(super) fn keep_all(
    graph: &mut LinkGraph<'_>,
    options: &LinkOptions,
    roots: &[SymbolId],
    causes: &mut impl Causes,
) -> Result<Vec<SymbolId>, Vec<LinkError>> {
    mark(graph, options, roots, causes, |section| {
        (section.role != Role::EhFrame && section.ordered_by.is_none()).then_some(Cause::RetainedSection)
    })
}

fn mark(
    graph: &mut LinkGraph<'_>,
    options: &LinkOptions,
    roots: &[SymbolId],
    causes: &mut impl Causes,
    root: impl Fn(&Section<'_>) -> Option<Cause>,
) -> Result<Vec<SymbolId>, Vec<LinkError>> {
    let (live, runs) = (vec![false; graph.blocks.len()], vec![false; graph.runs.len()]);
    let mut marker = Marker { live, work: Vec::new(), runs, causes };
    // What stands already counts as seen, and is not placed.
    graph.pinned.iter().enumerate().filter(|(_, pinned)| **pinned).for_each(|(block, _)| marker.live[block] = true);
    let members = group_members(graph);
    graph.dependencies.sort_unstable();
    graph.dependencies.dedup();

    for (_, section) in graph.sections() {
        let Some(cause) = root(section) else { continue };
        if !is_discarded(graph, section.group) {
            section.blocks.clone().for_each(|block| marker.mark(BlockId(block), cause));
        }
    }
    for &root in roots {
        let root = graph.canonical(root);
        marker.mark_symbol(graph, root, Cause::Entry(root));
    }
    for &root in &graph.roots {
        let root = graph.canonical(root);
        marker.mark_symbol(graph, root, Cause::Retained(root));
    }
    let exported = match options.roots {
        Roots::Exported => true,
        Roots::Named(_) => false,
        Roots::IfDefined(_) => roots.iter().all(|&root| !graph.symbol(graph.canonical(root)).is_defined()),
    };
    if exported {
        for (id, symbol) in graph.symbols() {
            if symbol.scope >= Scope::Protected && graph.canonical(id) == id && symbol.is_defined() {
                marker.mark_symbol(graph, id, Cause::Exported(id));
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
    let reach = Reach::new(graph, &members);
    // What a symbol without a block means for liveness is looked at once, however many edges refer to it.
    let mut seen = vec![false; graph.symbols.len()];
    // First come, first served: so the cause of each mark is on a shortest way from a root.
    let mut next = 0;
    while let Some(&block) = marker.work.get(next) {
        if next.is_multiple_of(AT_ONCE) {
            approach(graph, marker.work[next..].iter().take(AT_ONCE));
        }
        next += 1;
        let section = graph.block(block).section;
        if graph.section(section).residence == Residence::Unloaded {
            continue;
        }
        for (index, edge) in graph.edges(block).iter().enumerate() {
            let cause = Cause::Edge { from: block, index: index as u32 };
            if let Some(target) = reach.block(edge.target) {
                marker.mark(target, cause);
                continue;
            }
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
                    None => marker.mark(target, cause),
                },
                Value::Undefined => needed.push(graph.canonical(edge.target)),
                _ => marker.mark_symbol(graph, edge.target, cause),
            }
        }
        for &(_, kept) in &graph.dependencies[reach.dependencies(block)] {
            marker.mark(kept, Cause::Dependency(block));
        }
        if let Some(group) = graph.section(section).group {
            for &(_, member) in &members[reach.members(group)] {
                let cause = Cause::Group(block);
                graph.section(member).blocks.clone().for_each(|block| marker.mark(BlockId(block), cause));
            }
        }
    }
    (graph.live, graph.walked) = (marker.live, marker.runs);
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

/// What marking asks of symbols and blocks most, side by side: it comes to them in no order, so that each look into a table of
/// larger entries would wait for memory.
struct Reach {
    /// The block that a symbol stands for, by symbol; `NO_BLOCK` for those that mean anything else, or what was discarded.
    blocks: Vec<u32>,
    /// Where the dependencies of each block start, and at last where those of the last one end.
    dependencies: Vec<u32>,
    /// The same for the members of each group.
    members: Vec<u32>,
}

const NO_BLOCK: u32 = u32::MAX;

impl Reach {
    /// Of a graph whose dependencies are sorted, as the members of its groups are.
    fn new(graph: &LinkGraph<'_>, members: &[(GroupId, SectionId)]) -> Reach {
        let of_symbol = |symbol: &Symbol<'_>| match symbol.value {
            Value::Block { block, .. } if !is_discarded(graph, graph.section(graph.block(block).section).group) => {
                block.0
            }
            _ => NO_BLOCK,
        };
        let mut blocks = pages::vector(graph.symbols.len());
        blocks.extend(graph.symbols.iter().map(of_symbol));
        let dependencies = starts(graph.blocks.len(), graph.dependencies.iter().map(|pair| pair.0.index()));
        let members = starts(graph.groups.len(), members.iter().map(|member| member.0.index()));
        Reach { blocks, dependencies, members }
    }

    fn block(&self, symbol: SymbolId) -> Option<BlockId> {
        Some(self.blocks[symbol.index()]).filter(|&block| block != NO_BLOCK).map(BlockId)
    }

    /// Which of the graph's dependencies a block has.
    fn dependencies(&self, block: BlockId) -> Range<usize> {
        self.dependencies[block.index()] as usize..self.dependencies[block.index() + 1] as usize
    }

    /// Which of the members are a group's.
    fn members(&self, group: GroupId) -> Range<usize> {
        self.members[group.index()] as usize..self.members[group.index() + 1] as usize
    }
}

/// Where the entries of each of `count` owners start, which come in the order of their owners; and where the last ones end.
fn starts(count: usize, owners: impl Iterator<Item = usize>) -> Vec<u32> {
    let mut starts = Vec::with_capacity(count + 1);
    let mut end = 0;
    for owner in owners {
        starts.resize(starts.len().max(owner + 1), end);
        end += 1;
    }
    starts.resize(count + 1, end);
    starts
}

/// Brings blocks that are to be looked at near, with their sections and first edges, all at once: one after another, each would
/// be waited for.
fn approach<'w>(graph: &LinkGraph<'_>, work: impl Iterator<Item = &'w BlockId> + Clone) {
    let sections = work.clone().map(|&id| graph.block(id).section);
    black_box(sections.clone().fold(0, |sum, section| sum | section.0));
    black_box(sections.fold(false, |any, section| any | graph.section(section).group.is_some()));
    let edges = work.filter_map(|&id| graph.edges(id).first());
    black_box(edges.fold(0, |sum, edge| sum | edge.offset));
}

/// How many blocks are brought near together.
const AT_ONCE: usize = 32;

struct Marker<'c, C> {
    live: Vec<bool>,
    /// What is marked, in order.
    work: Vec<BlockId>,
    /// Which runs of gathered sections are marked.
    runs: Vec<bool>,
    causes: &'c mut C,
}

impl<C: Causes> Marker<'_, C> {
    fn mark(&mut self, block: BlockId, cause: Cause) {
        if !std::mem::replace(&mut self.live[block.index()], true) {
            self.work.push(block);
            self.causes.marked(block, cause);
        }
    }

    fn mark_symbol(&mut self, graph: &LinkGraph<'_>, symbol: SymbolId, cause: Cause) {
        match graph.symbol(symbol).value {
            Value::Block { block, .. } => self.mark(block, cause),
            Value::Boundary { run, .. } if !std::mem::replace(&mut self.runs[run as usize], true) => {
                for &section in &graph.runs[run as usize] {
                    graph.section(section).blocks.clone().for_each(|block| self.mark(BlockId(block), cause));
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
