//! What lowering did, explained afterwards: the edges as they were are compared with the edges as they are.
//!
//! The reasons come from the same questions that lowering asks, so lowering itself records nothing.

use super::super::layout::Addresses;
use super::super::observe::{Change, Reason, Rewrite, Slot, Stub};
use super::{Lowered, is_apart, reaches, residence};
use crate::addr::{Addr, AddrRange};
use crate::arch::StubKind;
use crate::error::SignedHex;
use crate::graph::{BlockId, Edge, LinkGraph, Residence, SymbolId, Value};
use crate::reloc::{Base, Reloc, Subject};
use hashbrown::{HashMap, HashSet};

/// What is asked of a lowered batch.
pub(in crate::link) struct Explainer<'e, 'a> {
    pub(in crate::link) graph: &'e LinkGraph<'a>,
    /// The edges before lowering.
    pub(in crate::link) before: &'e [Edge],
    pub(in crate::link) lowered: &'e Lowered,
    pub(in crate::link) addresses: &'e Addresses,
    pub(in crate::link) region: AddrRange,
}

impl Explainer<'_, '_> {
    /// The GOT's slots.
    pub(in crate::link) fn slots(&self) -> Vec<Slot> {
        let uses_slot = |kind: StubKind| {
            let fixups = self.graph.target.arch.stub(kind).map_or(&[][..], |template| template.fixups());
            fixups.iter().any(|fixup| self.graph.rows.row(fixup.row).subject() == Subject::GotSlot)
        };
        let through = self.lowered.stubs.iter().filter(|(_, _, kind)| uses_slot(*kind)).map(|stub| stub.0);
        let through: HashSet<SymbolId> = through.collect();
        let slot = |slot: &super::Slot| Slot {
            symbol: slot.symbol,
            target: slot.target,
            for_stub: slot.content == Subject::Symbol && through.contains(&slot.target),
        };
        self.lowered.slots.iter().map(slot).collect()
    }

    /// Stubs and thunks.
    pub(in crate::link) fn stubs(&self) -> Vec<Stub> {
        let stub = |&(target, symbol, kind): &(SymbolId, SymbolId, StubKind)| Stub { symbol, target, kind };
        self.lowered.stubs.iter().map(stub).collect()
    }

    /// The edges that changed.
    pub(in crate::link) fn rewrites(&self) -> Vec<Rewrite> {
        let mut made: HashMap<SymbolId, Change> = HashMap::new();
        made.extend(self.lowered.slots.iter().map(|slot| (slot.symbol, Change::Slot(slot.symbol))));
        for &(_, stub, _) in &self.lowered.stubs {
            let is_thunk = self.section_name(stub) == Some(b".thunks");
            made.insert(stub, if is_thunk { Change::Thunk(stub) } else { Change::Stub(stub) });
        }
        let mut rewrites = Vec::new();
        for (block, data) in self.graph.blocks() {
            if !self.graph.is_live(block) || !self.graph.section(data.section).is_loaded() {
                continue;
            }
            for (index, position) in data.edge_range().enumerate() {
                // What lowering made has no edges from before.
                let Some(&before) = self.before.get(position) else { break };
                let after = self.graph.edges[position];
                if (before.target, before.row, before.addend) == (after.target, after.row, after.addend) {
                    continue;
                }
                let outlined = || match self.graph.symbol(after.target).value {
                    Value::Block { block, .. } if after.target != before.target => Some(Change::Outlined(block)),
                    _ => None,
                };
                let change = made.get(&after.target).copied().or_else(outlined).unwrap_or(Change::Relaxed);
                let reason = self.reason(block, &before, change);
                rewrites.push(Rewrite { block, index: index as u32, before, change, reason });
            }
        }
        rewrites
    }

    fn section_name(&self, symbol: SymbolId) -> Option<&[u8]> {
        match self.graph.symbol(symbol).value {
            Value::Block { block, .. } => Some(self.graph.section(self.graph.block(block).section).name),
            _ => None,
        }
    }

    fn reason(&self, block: BlockId, before: &Edge, change: Change) -> Reason {
        let graph = self.graph;
        let row = graph.rows.row(before.row);
        let from = residence(graph, block);
        let (fixed, to) = match graph.symbol(before.target).value {
            Value::Absolute(address) => (Some(Addr(address)), None),
            Value::Block { block, .. } => (None, Some(residence(graph, block))),
            _ => (None, None),
        };
        match (change, fixed) {
            (Change::Relaxed, _) => Reason::InReach,
            (Change::Thunk(_), _) => self.too_far(block, before, row),
            (_, None) if is_apart(graph, before.target, from) => Reason::Apart { from, to },
            (Change::Slot(_), Some(target)) if before.subject == Subject::GotSlot => Reason::External { target },
            (Change::Slot(_), None) if before.subject == Subject::GotSlot => Reason::NeedsSlot,
            (_, Some(_)) if from != Residence::Near => Reason::Apart { from, to: None },
            (_, Some(target)) => self.out_of_reach(row, target, before.addend),
            (_, None) => self.too_far(block, before, row),
        }
    }

    fn out_of_reach(&self, row: &Reloc, target: Addr, addend: i64) -> Reason {
        let value = |base: Addr| {
            let value = i128::from(target.0) + i128::from(addend);
            let relative = if row.base() == Base::Zero { value } else { value - i128::from(base.0) };
            SignedHex(i128::from(relative as u64 as i64))
        };
        // One type of an unwind table that does not reach makes all of its table indirect.
        if reaches(row, self.region, target, addend) {
            return Reason::NeedsSlot;
        }
        let values = (value(self.region.start), value(self.region.last));
        Reason::OutOfReach { target, values, limits: limits(row) }
    }

    fn too_far(&self, block: BlockId, before: &Edge, row: &Reloc) -> Reason {
        let target = self.addresses.symbols.get(before.target.index()).copied().unwrap_or(0);
        let place = self.addresses.blocks[block.index()] + u64::from(before.offset);
        let value = i128::from(target) + i128::from(before.addend) - i128::from(place.0);
        Reason::TooFar { value: SignedHex(value), limits: limits(row) }
    }
}

fn limits(row: &Reloc) -> (SignedHex, SignedHex) {
    let (min, max) = row.limits().unwrap_or((i128::from(i64::MIN), i128::from(u64::MAX)));
    (SignedHex(min), SignedHex(max))
}
