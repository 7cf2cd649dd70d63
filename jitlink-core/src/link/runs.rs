//! The sections of what is linked, as relocations count from them: a run of gathered sections, or any other section by itself.

use super::layout::{Addresses, Layout, UNLOADED};
use crate::graph::{LinkGraph, SymbolId, Value};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

/// What is known of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Where it starts.
    pub(super) start: u64,
    /// Its number among the batch's runs by their addresses, from one.
    pub(super) number: u64,
}

/// What makes sections parts of one run: the segment that they are in, and the first section of their name or, of one that is
/// not gathered, that section.
type Key = (u8, u32);

/// The runs of a batch.
#[derive(Debug)]
pub(super) struct Runs {
    /// The section that stands for each section.
    first: Vec<u32>,
    runs: HashMap<Key, Run, FxBuildHasher>,
}

impl Runs {
    /// Finds the runs of all that is placed.
    pub(super) fn find(graph: &LinkGraph<'_>, layout: &Layout, addresses: &Addresses) -> Runs {
        let mut names: HashMap<&[u8], u32, FxBuildHasher> = HashMap::default();
        let first: Vec<u32> = (0..)
            .zip(&graph.sections)
            .map(|(id, section)| if section.gathered { *names.entry(section.run_name()).or_insert(id) } else { id })
            .collect();
        let mut starts: HashMap<Key, u64, FxBuildHasher> = HashMap::default();
        for (id, block) in graph.blocks() {
            let Some((segment, _)) = layout.place(id) else { continue };
            // References into sections without memory count from the start of their name already.
            let address = if segment == usize::from(UNLOADED) { 0 } else { addresses.blocks[id.index()].0 };
            let start = starts.entry((segment as u8, first[block.section.index()])).or_insert(address);
            *start = address.min(*start);
        }
        let mut sorted: Vec<(Key, u64)> = starts.into_iter().collect();
        sorted.sort_unstable_by_key(|&(key, start)| (key.0 == UNLOADED, start, key));
        let numbered = sorted.into_iter().zip(1..);
        Runs { first, runs: numbered.map(|((key, start), number)| (key, Run { start, number })).collect() }
    }

    /// The run that a symbol is in, if it is in memory.
    pub(super) fn of(&self, graph: &LinkGraph<'_>, layout: &Layout, symbol: SymbolId) -> Option<Run> {
        let Value::Block { block, .. } = graph.symbol(symbol).value else { return None };
        let (segment, _) = layout.place(block)?;
        self.runs.get(&(segment as u8, self.first[graph.block(block).section.index()])).copied()
    }
}
