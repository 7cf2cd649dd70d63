//! Pruning: what the roots reach over edges and dependencies stays.
//!
//! Unwind records, group members and ordered sections need no special case: they are dependencies from the start. Only runs of
//! gathered sections are kept by name, when something live refers to an end of theirs.

use super::groups::is_discarded;
use super::observe::{Cause, Causes};
use super::options::{LinkOptions, Roots};
use crate::error::LinkError;
use crate::graph::{
    BlockId, Edge, GroupId, LinkGraph, Residence, Role, Scope, Section, SectionId, Symbol, SymbolId, Value,
};
use crate::pages;
use hashbrown::HashSet;
use rayon::prelude::*;
use std::hint::black_box;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

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
    let marks = Marks::new(graph);
    // What stands already counts as seen, and is not placed.
    graph.pinned.iter().enumerate().filter(|(_, pinned)| **pinned).for_each(|(block, _)| _ = marks.live[block].set());
    let members = group_members(graph);
    match graph.threads > 1 {
        true => graph.dependencies.par_sort_unstable(),
        false => graph.dependencies.sort_unstable(),
    }
    graph.dependencies.dedup();
    let mut errors = broken_arrays(graph);

    let reach = Reach::new(graph, members);
    let walk = Walk { graph, marks: &marks, reach: &reach };
    let mut found = Found::new(causes);
    for (_, section) in graph.sections() {
        let Some(cause) = root(section) else { continue };
        if !is_discarded(graph, section.group) {
            section.blocks.clone().for_each(|block| walk.mark(BlockId(block), cause, &mut found));
        }
    }
    for &root in roots {
        let root = graph.canonical(root);
        walk.mark_symbol(root, Cause::Entry(root), &mut found);
    }
    for &root in &graph.roots {
        let root = graph.canonical(root);
        walk.mark_symbol(root, Cause::Retained(root), &mut found);
    }
    let exported = match options.roots {
        Roots::Exported => true,
        Roots::Named(_) => false,
        Roots::IfDefined(_) => roots.iter().all(|&root| !graph.symbol(graph.canonical(root)).is_defined()),
    };
    if exported {
        for (id, symbol) in graph.symbols() {
            if symbol.scope >= Scope::Protected && graph.canonical(id) == id && symbol.is_defined() {
                walk.mark_symbol(id, Cause::Exported(id), &mut found);
            }
        }
    }
    for &root in roots.iter().chain(&graph.roots) {
        if !graph.symbol(root).is_defined() {
            found.needed.push(graph.canonical(root));
        }
    }
    walk.finish(&mut found);
    let Found { mut needed, discarded, .. } = found;
    (graph.live, graph.walked) = marks.into_vectors();
    for (block, _) in graph.pinned.iter().enumerate().filter(|(_, pinned)| **pinned) {
        graph.live[block] = false;
    }
    if discarded {
        errors.extend(references_to_discarded(graph));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    needed.sort_unstable();
    needed.dedup();
    Ok(needed)
}

/// A mark that several threads may set.
#[derive(Default)]
struct Mark(AtomicBool);

impl Mark {
    /// Sets it; whether it was not set before.
    fn set(&self) -> bool {
        // Whoever sets it first goes on from there; nothing else is told by it.
        !self.0.load(Ordering::Relaxed) && !self.0.swap(true, Ordering::Relaxed)
    }
}

/// What was met.
struct Marks {
    live: Vec<Mark>,
    /// Runs of gathered sections.
    runs: Vec<Mark>,
    /// What a symbol without a block means for liveness is looked at once, however many edges refer to it.
    symbols: Vec<Mark>,
}

impl Marks {
    fn new(graph: &LinkGraph<'_>) -> Marks {
        let marks = |count| std::iter::repeat_with(Mark::default).take(count).collect();
        let (blocks, runs, symbols) = (graph.blocks.len(), graph.runs.len(), graph.symbols.len());
        Marks { live: marks(blocks), runs: marks(runs), symbols: marks(symbols) }
    }

    /// Which blocks, and which runs, are marked.
    fn into_vectors(self) -> (Vec<bool>, Vec<bool>) {
        let plain = |marks: Vec<Mark>| marks.into_iter().map(|mark| mark.0.into_inner()).collect();
        (plain(self.live), plain(self.runs))
    }
}

/// What a thread has found.
struct Found<'c, C> {
    /// What was marked, in order, and is to be looked at.
    work: Vec<BlockId>,
    needed: Vec<SymbolId>,
    /// Something refers to what lost its group.
    discarded: bool,
    causes: &'c mut C,
}

impl<'c, C> Found<'c, C> {
    fn new(causes: &'c mut C) -> Self {
        Found { work: Vec::new(), needed: Vec::new(), discarded: false, causes }
    }
}

/// The way from the roots over all that they need.
struct Walk<'w, 'a> {
    graph: &'w LinkGraph<'a>,
    marks: &'w Marks,
    reach: &'w Reach,
}

impl Walk<'_, '_> {
    /// Goes on from what was marked until nothing new is.
    fn finish<C: Causes>(&self, found: &mut Found<'_, C>) {
        // First come, first served: so the cause of each mark is on a shortest way from a root.
        while !found.work.is_empty() {
            let work = std::mem::take(&mut found.work);
            if C::ARE_HEARD || self.graph.threads == 1 || work.len() < 2 * TASK {
                self.look(&work, found);
                continue;
            }
            let look = |some: &[BlockId]| {
                let mut nobody = ();
                let mut found = Found::new(&mut nobody);
                self.look(some, &mut found);
                (found.work, found.needed, found.discarded)
            };
            for (work, needed, discarded) in work.par_chunks(TASK).map(look).collect::<Vec<_>>() {
                found.work.extend(work);
                found.needed.extend(needed);
                found.discarded |= discarded;
            }
        }
    }

    /// Marks what these blocks need.
    fn look<C: Causes>(&self, blocks: &[BlockId], found: &mut Found<'_, C>) {
        for some in blocks.chunks(AT_ONCE) {
            approach(self.graph, some.iter());
            some.iter().for_each(|&block| self.block(block, found));
        }
    }

    fn block<C: Causes>(&self, block: BlockId, found: &mut Found<'_, C>) {
        let (graph, reach) = (self.graph, self.reach);
        let section = graph.block(block).section;
        if graph.section(section).residence == Residence::Unloaded {
            return;
        }
        for (index, edge) in graph.edges(block).iter().enumerate() {
            let cause = Cause::Edge { from: block, index: index as u32 };
            if let Some(target) = reach.block(edge.target) {
                self.mark(target, cause, found);
                continue;
            }
            if !self.marks.symbols[edge.target.index()].set() {
                continue;
            }
            match graph.symbol(edge.target).value {
                Value::Block { block: target, .. } => match discarded_for(graph, target) {
                    Some(_) => found.discarded = true,
                    None => self.mark(target, cause, found),
                },
                Value::Undefined => found.needed.push(graph.canonical(edge.target)),
                _ => self.mark_symbol(edge.target, cause, found),
            }
        }
        for &(_, kept) in &graph.dependencies[reach.dependencies(block)] {
            self.mark(kept, Cause::Dependency(block), found);
        }
        if let Some(group) = graph.section(section).group {
            for &(_, member) in reach.members(group) {
                let cause = Cause::Group(block);
                graph.section(member).blocks.clone().for_each(|block| self.mark(BlockId(block), cause, found));
            }
        }
    }

    fn mark<C: Causes>(&self, block: BlockId, cause: Cause, found: &mut Found<'_, C>) {
        if self.marks.live[block.index()].set() {
            found.work.push(block);
            found.causes.marked(block, cause);
        }
    }

    fn mark_symbol<C: Causes>(&self, symbol: SymbolId, cause: Cause, found: &mut Found<'_, C>) {
        match self.graph.symbol(symbol).value {
            Value::Block { block, .. } => self.mark(block, cause, found),
            Value::Boundary { run, .. } if self.marks.runs[run as usize].set() => {
                for &section in &self.graph.runs[run as usize] {
                    let blocks = self.graph.section(section).blocks.clone();
                    blocks.for_each(|block| self.mark(BlockId(block), cause, found));
                }
            }
            _ => {}
        }
    }
}

/// The errors of live code that refers to what lost its group: the first reference to each symbol.
fn references_to_discarded(graph: &LinkGraph<'_>) -> Vec<LinkError> {
    let mut explained = HashSet::new();
    let is_looked_at = |id: BlockId| graph.is_live(id) && graph.section(graph.block(id).section).is_loaded();
    let live = graph.blocks().map(|(id, _)| id).filter(|&id| is_looked_at(id));
    let edges = live.flat_map(|id| graph.edges(id).iter().map(move |edge| (id, edge)));
    let error = |(block, edge): (BlockId, &Edge)| {
        let Value::Block { block: target, .. } = graph.symbol(edge.target).value else { return None };
        let kept = discarded_for(graph, target)?;
        let section = graph.section(graph.block(target).section).name_lossy();
        let is_first = explained.insert(edge.target);
        is_first.then(|| LinkError::Discarded { site: Box::new(graph.site(block, edge)), section, kept })
    };
    edges.filter_map(error).collect()
}

/// What marking asks of symbols and blocks most, side by side: it comes to them in no order, so that each look into a table of
/// larger entries would wait for memory.
struct Reach {
    /// The block that a symbol stands for, by symbol; `NO_BLOCK` for those that mean anything else, or what was discarded.
    blocks: Vec<u32>,
    /// Where the dependencies of each block start, and at last where those of the last one end.
    dependencies: Vec<u32>,
    /// The loaded sections that belong to groups, sorted by group, and where those of each group start.
    members: (Vec<(GroupId, SectionId)>, Vec<u32>),
}

const NO_BLOCK: u32 = u32::MAX;

impl Reach {
    /// Of a graph whose dependencies are sorted, as the members of its groups are.
    fn new(graph: &LinkGraph<'_>, members: Vec<(GroupId, SectionId)>) -> Reach {
        let of_symbol = |symbol: &Symbol<'_>| match symbol.value {
            Value::Block { block, .. } if !is_discarded(graph, graph.section(graph.block(block).section).group) => {
                block.0
            }
            _ => NO_BLOCK,
        };
        let mut blocks = pages::vector(graph.symbols.len());
        match graph.threads > 1 {
            true => blocks.par_extend(graph.symbols.par_iter().with_min_len(TASK).map(of_symbol)),
            false => blocks.extend(graph.symbols.iter().map(of_symbol)),
        }
        let dependencies = starts(graph.blocks.len(), graph.dependencies.iter().map(|pair| pair.0.index()));
        let groups = starts(graph.groups.len(), members.iter().map(|member| member.0.index()));
        Reach { blocks, dependencies, members: (members, groups) }
    }

    fn block(&self, symbol: SymbolId) -> Option<BlockId> {
        Some(self.blocks[symbol.index()]).filter(|&block| block != NO_BLOCK).map(BlockId)
    }

    /// Which of the graph's dependencies a block has.
    fn dependencies(&self, block: BlockId) -> Range<usize> {
        self.dependencies[block.index()] as usize..self.dependencies[block.index() + 1] as usize
    }

    /// The members of a group.
    fn members(&self, group: GroupId) -> &[(GroupId, SectionId)] {
        let (members, starts) = &self.members;
        &members[starts[group.index()] as usize..starts[group.index() + 1] as usize]
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

/// How many blocks, or symbols, are worth a task.
const TASK: usize = 8 * AT_ONCE;

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
