//! Groups of objects with a TOC base of their own.
//!
//! Code of the small model reaches 64 KiB of the TOC. Where a batch's objects bring more along, they are put into groups, each with its
//! own base, in the order in which their parts lie. The first group has the linker's GOT and all that no code of the small
//! model reaches; so most batches have this one alone. In the others `.TOC.` means their own base, and a call from one group to
//! another has to change `r2`, as a call out of the batch does.

use super::calls::{LOCAL_ENTRY, REL24};
use super::{descriptors, rows, toc};
use jitlink_core::graph::{BlockId, Edge, LinkGraph, ObjectId, SectionId, Value};
use jitlink_core::reloc::Subject;

/// What code of the small model reaches.
const REACH: u64 = 0x1_0000;
const REL64: u32 = 44;
const REL16_LO: u32 = 250;
const REL16_HA: u32 = 252;

/// Which objects are in which group.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// By object; those behind the end are in the first group.
    of_object: Vec<u32>,
    /// The first block of the TOC of each group but the first.
    pub(super) starts: Vec<BlockId>,
}

impl Groups {
    /// The group of an object.
    pub(super) fn of(&self, object: ObjectId) -> usize {
        self.of_object.get(object.index()).map_or(0, |&group| group as usize)
    }

    /// Groups the objects of a batch.
    pub(super) fn new(graph: &LinkGraph<'_>) -> Groups {
        let mut groups = Groups::default();
        let is_short = |section: &SectionId| {
            let section = graph.section(*section);
            section.name == toc::NAME && section.sort_key == toc::SHORT_KEY
        };
        // In the order in which they will lie.
        let sections: Vec<SectionId> = graph.sections().map(|(id, _)| id).filter(is_short).collect();
        let size = |section: SectionId| {
            let live = graph.blocks_of(section).filter(|(id, _)| graph.is_live(*id));
            live.map(|(_, block)| block.size().next_multiple_of(block.align().max(8))).sum::<u64>()
        };
        let mut used = slots(graph);
        let total = sections.iter().fold(used, |sum, &section| sum.saturating_add(size(section)));
        if total <= REACH {
            return groups;
        }
        groups.of_object = vec![0; graph.objects().len()];
        for &section in &sections {
            let Some((first, _)) = graph.blocks_of(section).find(|(id, _)| graph.is_live(*id)) else { continue };
            if used + size(section) > REACH {
                groups.starts.push(first);
                used = 0;
            }
            used += size(section);
            groups.of_object[graph.section(section).object.index()] = groups.starts.len() as u32;
        }
        groups
    }

    /// Says of references and calls of all groups but the first what they mean there, and of calls from that one to others.
    pub(super) fn mark(&self, graph: &mut LinkGraph<'_>) -> Result<(), String> {
        if self.starts.is_empty() {
            return Ok(());
        }
        if graph.sections().any(|(_, section)| section.name == descriptors::NAME) {
            let object = graph.object_of(self.starts[0]);
            return Err(format!(
                "with {} the batch has more than 64 KiB of TOC, of which code of the small model reaches no more; under the ELFv1 \
                 ABI there is one TOC in a link: compile with -mcmodel=medium",
                object.name
            ));
        }
        let row = |raw: u32| graph.rows().by_raw(raw).map(|(row, _)| row);
        let [rel24, rel64, lower, upper] = [REL24, REL64, REL16_LO, REL16_HA].map(row);
        let got = graph.got();
        let blocks: Vec<BlockId> = graph.blocks().map(|(id, _)| id).filter(|&id| graph.is_live(id)).collect();
        for block in blocks {
            let own = self.of(graph.section(graph.block(block).section).object);
            for index in 0..graph.edges(block).len() {
                let edge = graph.edges(block)[index];
                let is_base = |edge: &Edge| match graph.symbol(edge.target).value {
                    Value::Block { block, .. } => Some(block) == got,
                    _ => false,
                };
                let row = Some(edge.row);
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
            Value::Block { block, .. } => {
                let theirs = self.of(graph.section(graph.block(block).section).object);
                theirs != own && callee.other & LOCAL_ENTRY != 0
            }
            _ => own != 0,
        }
    }
}

/// At most how many bytes the linker's slots will take.
fn slots(graph: &LinkGraph<'_>) -> u64 {
    let live = graph.blocks().filter(|(id, _)| graph.is_live(*id));
    let has_slot = |edge: &&Edge| match edge.subject {
        Subject::GotSlot => true,
        Subject::Callee => !matches!(graph.symbol(edge.target).value, Value::Block { .. }),
        _ => false,
    };
    let needed = live.flat_map(|(id, _)| graph.edges(id)).filter(has_slot);
    let mut symbols: Vec<_> = needed.map(|edge| graph.canonical(edge.target)).collect();
    symbols.sort_unstable();
    symbols.dedup();
    symbols.len() as u64 * 8
}
