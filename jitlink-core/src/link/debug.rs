//! What debuggers, crash reports and profilers are told of a batch whose debug information was kept.
//!
//! On entry the batch is fixed up, and its memory not yet the target's.

use super::entries::Entry;
use super::layout::{Addresses, Layout};
use super::linked::Segment;
use super::read::BatchTarget;
use crate::addr::Addr;
use crate::debug::{DebugImage, DebugSymbol};
use crate::error::LinkErrors;
use crate::executor::{Action, WorkingMemory};
use crate::format::ObjectHeader;
use crate::graph::{BlockId, LinkGraph, SymbolId, SymbolKind, Value};
use hashbrown::HashSet;

/// The sections without memory, each with its relocated bytes.
pub(super) fn sections(layout: &Layout, unloaded: &[u8]) -> Vec<(String, Vec<u8>)> {
    let section = |(name, start, size): &(Vec<u8>, u64, u64)| {
        (String::from_utf8_lossy(name).into_owned(), unloaded[*start as usize..(start + size) as usize].to_vec())
    };
    layout.unloaded.iter().map(section).collect()
}

/// The bytes of a block, as they are before the memory becomes the target's.
pub(super) fn content(
    graph: &LinkGraph<'_>,
    layout: &Layout,
    working: &[(usize, WorkingMemory<'_>)],
    block: BlockId,
) -> Vec<u8> {
    let Some((kind, offset)) = layout.place(block) else { return Vec::new() };
    let memory = working.iter().find(|(known, _)| *known == kind);
    let range = offset as usize..(offset + graph.block(block).size()) as usize;
    memory.and_then(|(_, memory)| memory.bytes.get(range)).map_or_else(Vec::new, <[u8]>::to_vec)
}

/// What of a finished batch is shown to its format.
pub(super) struct Finished<'f, 'a> {
    pub(super) batch: &'f BatchTarget,
    pub(super) header: ObjectHeader,
    pub(super) graph: &'f LinkGraph<'a>,
    pub(super) entries: &'f [Entry],
    pub(super) addresses: &'f Addresses,
    pub(super) segments: &'f [Segment],
    pub(super) unwind: Option<(Addr, Vec<u8>)>,
    pub(super) sections: &'f [(String, Vec<u8>)],
    /// Whether a file for debuggers is wanted.
    pub(super) wants_file: bool,
}

impl Finished<'_, '_> {
    /// Adds the lines to the description, if there is one, and the file for debuggers to the actions, if it is wanted.
    pub(super) fn describe(&self, actions: &mut Vec<Action>) -> Result<(), LinkErrors> {
        let image = DebugImage {
            header: self.header,
            segments: self.segments,
            unwind: self.unwind.as_ref().map(|(address, bytes)| (*address, bytes.as_slice())),
            symbols: self.symbols(),
            sections: self.sections,
        };
        for action in actions.iter_mut() {
            if let Action::Describe(description) = action {
                description.lines = self.batch.format.lines(&image)?;
            }
        }
        if self.wants_file {
            actions.extend(self.batch.format.debug_file(&image)?.map(Action::Debug));
        }
        Ok(())
    }

    fn symbols(&self) -> Vec<DebugSymbol<'_>> {
        let graph = self.graph;
        let mut symbols = Vec::new();
        let entries: HashSet<SymbolId> = self.entries.iter().map(|entry| entry.function).collect();
        for (id, symbol) in graph.symbols() {
            let Value::Block { block, .. } = symbol.value else { continue };
            let is_named = !symbol.name.is_empty() && !matches!(symbol.kind, SymbolKind::Section | SymbolKind::File);
            let is_here = graph.is_live(block) && graph.section(graph.block(block).section).is_loaded();
            if is_named && is_here && graph.canonical(id) == id {
                let address = Addr(self.addresses.symbols[id.index()]);
                let (name, size, is_entry) = (symbol.name.bytes(), symbol.size, entries.contains(&id));
                symbols.push(DebugSymbol { name, address, size, kind: symbol.kind, scope: symbol.scope, is_entry });
            }
        }
        symbols.sort_by_key(|symbol| symbol.address);
        symbols
    }
}
