//! Code that is linked again though it looks the same, because what it refers to is elsewhere now.
//!
//! A fingerprint says what code refers to by name, or by place in its object. It is looked at here whether the same names and
//! places are still where they were when the code was linked.

use super::Baseline;
use super::diff::{Fate, Origin, Tracker};
use super::identity::{self, Class};
use crate::graph::{BlockId, LinkGraph, Scope, SymbolId, Value};
use crate::link::entries::is_entered;
use hashbrown::{HashMap, HashSet};
use rustc_hash::FxBuildHasher;

impl Tracker<'_> {
    /// Links again what refers directly to something that is linked again.
    pub(super) fn spread(&mut self, graph: &LinkGraph<'_>, base: &Baseline) {
        let removed: HashSet<&[u8]> = self.removed.iter().copied().collect();
        let unwind = identity::unwind_records(graph);
        let mut referrers: HashMap<BlockId, Vec<BlockId>, FxBuildHasher> = HashMap::default();
        let mut work: Vec<BlockId> = Vec::new();
        for block in (0..graph.blocks.len()).map(BlockId::new) {
            let text = self.identities[block.index()].as_ref().is_some_and(|identity| identity.class == Class::Text);
            match self.fates[block.index()] {
                Fate::Fresh if text => work.push(block),
                Fate::Kept(_) if text => {
                    let records = identity::records_of(&unwind, block);
                    let from = std::iter::once(block).chain(records);
                    let targets = from.flat_map(|from| graph.edges(from)).map(|edge| graph.canonical(edge.target));
                    let mut moved = false;
                    for target in targets {
                        if let Some(target) = direct(graph, block, target) {
                            referrers.entry(target).or_default().push(block);
                        }
                        moved |= self.has_moved(graph, base, &removed, (block, target));
                    }
                    if moved {
                        self.fates[block.index()] = Fate::Fresh;
                        work.push(block);
                    }
                }
                _ => {}
            }
        }
        while let Some(moved) = work.pop() {
            for &block in referrers.get(&moved).into_iter().flatten() {
                if std::mem::replace(&mut self.fates[block.index()], Fate::Fresh) != Fate::Fresh {
                    work.push(block);
                }
            }
        }
    }

    /// Whether something that a block of code refers to, which looks the same, is not where it was when the block was linked.
    fn has_moved(
        &self,
        graph: &LinkGraph<'_>,
        base: &Baseline,
        removed: &HashSet<&[u8]>,
        (from, target): (BlockId, SymbolId),
    ) -> bool {
        let (symbol, origin) = (graph.symbol(target), self.origins[target.index()]);
        let (name, object) = (symbol.name.bytes(), |block| graph.section(graph.block(block).section).object);
        let known = (symbol.scope != Scope::Local).then(|| base.name(name)).flatten();
        let old = self.old(graph, object(from)).filter(|_| symbol.scope != Scope::Local);
        if old.is_some_and(|old| old.outside.binary_search_by(|other| (**other).cmp(name)).is_ok())
            && (known.is_some() || origin != Origin::Elsewhere)
        {
            // Others defined before what is the module's own now.
            return true;
        }
        match symbol.value {
            Value::Block { .. } => {
                let Some(block) = direct(graph, from, target) else { return false };
                let Some(record) = self.kept(graph, block) else { return true };
                if object(block) != object(from) {
                    return known.map(|known| known.address) != self.standing(graph, base, target);
                }
                // A variable may have been found in another place of the object.
                let ordinal = self.identities[block.index()].as_ref().map(|identity| identity.ordinal);
                let place = (&*record.section, &*record.group);
                (identity::place(graph, block), ordinal) != (place, Some(record.ordinal))
            }
            Value::Boundary { .. } => !base.boundaries.contains_key(name),
            Value::Absolute(address) if origin == Origin::Own => known.is_none_or(|known| known.address.0 != address),
            _ => symbol.scope != Scope::Local && removed.contains(name),
        }
    }
}

/// The block of another part of the batch that a block refers to without an entry between them, and that may move.
pub(super) fn direct(graph: &LinkGraph<'_>, from: BlockId, target: SymbolId) -> Option<BlockId> {
    let Value::Block { block, .. } = graph.symbol(target).value else { return None };
    // What stays has the slots that it was linked with, the module has one handle, and what is not loaded has no place.
    let stays = block == from || [graph.got, graph.handle].contains(&Some(block));
    let loaded = graph.section(graph.block(block).section).is_loaded();
    (loaded && !stays && !is_entered(graph, target)).then_some(block)
}
