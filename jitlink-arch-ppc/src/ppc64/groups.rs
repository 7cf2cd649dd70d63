//! Groups of objects with a TOC base of their own.
//!
//! Code of the small model reaches 64 KiB of the TOC. Where a batch's objects bring more along, they are put into groups, each with its
//! own base, in the order of the objects. The first group has the linker's GOT and all that no code of the small model reaches; so
//! most batches have this one alone. In the others `.TOC.` means their own base, code of the small model has slots of its own where it
//! asks for some, and a call from one group to another has to change `r2`, as a call out of the batch does.

use super::calls::{LOCAL_ENTRY, REL24};
use super::{rows, slots, toc};
use jitlink_core::graph::{BlockId, Edge, LinkGraph, ObjectId, SectionId, Value};
use jitlink_core::reloc::Subject;
use slots::{Short, Wanted};
use std::collections::HashSet;

/// What code of the small model reaches.
const REACH: u64 = 0x1_0000;
const REL64: u32 = 44;
const REL16_LO: u32 = 250;
const REL16_HA: u32 = 252;
/// Branches that pass `r2` on and cannot go through a stub that changes it: `ADDR24`, `ADDR14`, `REL14` and their hints.
const WITHOUT_RESTORE: [u32; 7] = [2, 7, 8, 9, 11, 12, 13];

/// Which objects are in which group.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// By object; those behind the end are in the first group.
    of_object: Vec<u32>,
    /// The first block of the TOC of each group but the first. One without a part of an object's begins with its slots.
    pub(super) starts: Vec<Option<BlockId>>,
}

/// What an object needs within reach of its base.
struct Share {
    object: ObjectId,
    /// Its own part of the TOC, in bytes, and the first block of it.
    size: u64,
    first: Option<BlockId>,
    /// Slots of the linker's.
    slots: Vec<Wanted>,
}

impl Groups {
    /// The group of an object.
    pub(super) fn of(&self, object: ObjectId) -> usize {
        self.of_object.get(object.index()).map_or(0, |&group| group as usize)
    }

    /// The group of the object that a block is from.
    pub(super) fn of_block(&self, graph: &LinkGraph<'_>, block: BlockId) -> usize {
        self.of(graph.section(graph.block(block).section).object)
    }

    /// Whether a batch of which nothing is pruned yet may come to have more than one group.
    pub(super) fn may_be_several(graph: &LinkGraph<'_>) -> bool {
        !fits(graph, &Short::of(graph))
    }

    /// Groups the objects of a batch, and says of references and calls of all groups but the first what they mean there, and of
    /// calls from that one to others.
    pub(super) fn make(graph: &mut LinkGraph<'_>) -> Result<Groups, String> {
        let short = Short::of(graph);
        if fits(graph, &short) {
            return Ok(Groups::default());
        }
        let (mut groups, slots) = Groups::assign(graph, &short);
        if slots.len() > 1 {
            groups.order(graph);
            let own = slots::provide(graph, &mut groups.of_object, &mut groups.starts, slots)?;
            groups.mark(graph, &short, &own)?;
        }
        Ok(groups)
    }

    /// The groups, and which slots each needs.
    fn assign(graph: &LinkGraph<'_>, short: &Short) -> (Groups, Vec<Vec<Wanted>>) {
        let mut groups = Groups { of_object: vec![0; graph.objects().len()], starts: Vec::new() };
        let mut slots: Vec<Vec<Wanted>> = vec![Vec::new()];
        let mut known: HashSet<Wanted> = HashSet::new();
        // Those that the first group has room for are there already.
        let mut used = slots::all(graph);
        for share in shares(graph, short) {
            let is_first = slots.len() == 1;
            let missing = |known: &HashSet<Wanted>| {
                let needed = share.slots.iter().filter(|slot| !known.contains(slot));
                needed.map(|slot| slot.size()).sum::<u64>()
            };
            let more = share.size + if is_first { 0 } else { missing(&known) };
            if used.saturating_add(more) > REACH {
                known.clear();
                slots.push(Vec::new());
                used = share.size + missing(&known);
            } else {
                used += more;
            }
            let group = slots.len() - 1;
            groups.of_object[share.object.index()] = group as u32;
            if group == 0 {
                continue;
            }
            slots[group].extend(share.slots.into_iter().filter(|slot| known.insert(*slot)));
            groups.starts.resize(group, None);
            groups.starts[group - 1] = groups.starts[group - 1].or(share.first);
        }
        (groups, slots)
    }

    /// Puts what is in one group together, and behind them all what no code of the small model uses.
    fn order(&self, graph: &mut LinkGraph<'_>) {
        let last = self.of_object.iter().max().copied().unwrap_or_default();
        let tocs = graph.sections().filter(|(_, section)| section.name == toc::NAME);
        for id in tocs.map(|(id, _)| id).collect::<Vec<_>>() {
            let group = self.of(graph.section(id).object) as u32;
            let section = graph.section_mut(id);
            section.sort_key = match section.sort_key {
                toc::SHORT_KEY => toc::SHORT_KEY + group,
                // The GOT is the first.
                key if key < toc::SHORT_KEY => key,
                _ => toc::SHORT_KEY + last + 1,
            };
        }
    }

    fn mark(&self, graph: &mut LinkGraph<'_>, short: &Short, own_slots: &slots::Own) -> Result<(), String> {
        let row = |raw: u32| graph.rows().by_raw(raw).map(|(row, _)| row);
        let [rel24, rel64, lower, upper] = [REL24, REL64, REL16_LO, REL16_HA].map(row);
        let direct = WITHOUT_RESTORE.map(row);
        let got = graph.got();
        let blocks: Vec<BlockId> = graph.blocks().map(|(id, _)| id).filter(|&id| graph.is_live(id)).collect();
        for block in blocks {
            let own = self.of_block(graph, block);
            for index in 0..graph.edges(block).len() {
                let edge = graph.edges(block)[index];
                let is_base = |edge: &Edge| match graph.symbol(edge.target).value {
                    Value::Block { block, .. } => Some(block) == got,
                    _ => false,
                };
                let row = Some(edge.row);
                if own != 0
                    && let Some(wanted) = short.slot(graph, &edge)
                {
                    let slot = own_slots.find(own, wanted)?;
                    let marked = &mut graph.edges_mut(block)[index];
                    (marked.target, marked.subject) = (slot, Subject::Symbol);
                    continue;
                }
                if direct.contains(&row) && self.is_across(graph, own, &edge) {
                    return Err(cannot_restore(graph, block, &edge));
                }
                let new = match () {
                    () if row == rel24 && self.is_across(graph, own, &edge) => rows::CALL_ACROSS,
                    () if own == 0 || !is_base(&edge) => continue,
                    () if row == rel64 => rows::OWN_TOC64,
                    () if row == upper => rows::OWN_TOC_HA,
                    () if row == lower => rows::OWN_TOC_LO,
                    () => continue,
                };
                let marked = &mut graph.edges_mut(block)[index];
                marked.row = new;
                if new != rows::CALL_ACROSS {
                    marked.subject = Subject::GotBase;
                }
            }
        }
        Ok(())
    }

    /// Whether a call of code in the group `own` finds another TOC base than its own at the other end. Functions without a local
    /// entry use no TOC.
    fn is_across(&self, graph: &LinkGraph<'_>, own: usize, call: &Edge) -> bool {
        let callee = graph.symbol(graph.canonical(call.target));
        match callee.value {
            Value::Block { block, .. } => self.of_block(graph, block) != own && callee.other & LOCAL_ENTRY != 0,
            _ => own != 0,
        }
    }
}

/// Why a branch that is no plain call cannot go to another group.
pub(super) fn cannot_restore(graph: &LinkGraph<'_>, block: BlockId, branch: &Edge) -> String {
    format!(
        "{}: the batch has more than 64 KiB of TOC for code of the small model, so that the function has another TOC base, to which only \
         `bl` with a nop behind it can go; compile with -mcmodel=medium",
        graph.site(block, branch)
    )
}

/// Whether one base reaches all that code of the small model uses.
fn fits(graph: &LinkGraph<'_>, short: &Short) -> bool {
    let parts = graph.sections().map(|(id, _)| id).filter(|&id| is_short(graph, id));
    let tocs = parts.fold(0, |sum: u64, id| sum.saturating_add(size(graph, id).0));
    // Usually there are too few names for a longer one, and slots need not be counted.
    let names = graph.symbols().len() as u64;
    if tocs.saturating_add(names.saturating_mul(slots::LARGEST)) <= REACH {
        return true;
    }
    tocs == 0 && !short.is_used(graph) || tocs.saturating_add(slots::all(graph)) <= REACH
}

/// Whether a section is a part of the TOC that code of the small model uses.
fn is_short(graph: &LinkGraph<'_>, section: SectionId) -> bool {
    let section = graph.section(section);
    section.name == toc::NAME && section.sort_key == toc::SHORT_KEY
}

/// At most how much memory a section takes up, and its first block.
fn size(graph: &LinkGraph<'_>, section: SectionId) -> (u64, Option<BlockId>) {
    let mut live = graph.blocks_of(section).filter(|(id, _)| graph.is_live(*id)).peekable();
    let first = live.peek().map(|(id, _)| *id);
    (live.map(|(_, block)| block.size().next_multiple_of(block.align().max(8))).sum(), first)
}

/// What objects need that have code of the small model, in their order.
fn shares(graph: &LinkGraph<'_>, short: &Short) -> Vec<Share> {
    let mut shares: Vec<Share> = Vec::new();
    for (id, section) in graph.sections() {
        let (size, first) = if is_short(graph, id) { size(graph, id) } else { (0, None) };
        let blocks = graph.blocks_of(id).filter(|(id, _)| graph.is_live(*id));
        let edges = blocks.flat_map(|(id, _)| graph.edges(id));
        let slots: Vec<Wanted> = edges.filter_map(|edge| short.slot(graph, edge)).collect();
        if size == 0 && slots.is_empty() {
            continue;
        }
        if shares.last().is_none_or(|share| share.object != section.object) {
            shares.push(Share { object: section.object, size: 0, first: None, slots: Vec::new() });
        }
        let Some(share) = shares.last_mut() else { continue };
        share.size += size;
        share.first = share.first.or(first);
        share.slots.extend(slots);
    }
    for share in &mut shares {
        share.slots.sort_unstable();
        share.slots.dedup();
    }
    shares
}
