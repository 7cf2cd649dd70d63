//! One unwinder for all code: the target's.

use super::{Entry, Names};
use crate::executor::Executor;
use crate::graph::{LinkGraph, Name, SymbolId, Value};

/// Functions one of which every unwinder has that linked code throws with ("Itanium C++ ABI: Exception Handling", section 1).
const UNWINDER: [&[u8]; 2] = [b"_Unwind_RaiseException", b"_Unwind_Resume"];

/// How the names of all others begin: those of the same document, and those by which unwinders are told of records.
const UNWINDER_PREFIXES: [&[u8]; 3] = [b"_Unwind_", b"__register_frame", b"__deregister_frame"];

impl<'a> Names<'a> {
    /// An unwinder of the batch's own gives way to the target's, which is told of the frames of every batch: of exceptions that pass
    /// through both, each would know a part of the way.
    pub(super) fn yield_unwinder(&self, graph: &mut LinkGraph<'a>, executor: &dyn Executor) {
        let definition =
            |entry: &Entry<'a>| entry.definition.filter(|id| matches!(graph.symbol(*id).value, Value::Block { .. }));
        let is_there =
            |name: &&[u8]| self.find(&Name::new(name)).is_some_and(|at| definition(&self.entries[at]).is_some());
        if !UNWINDER.iter().any(is_there) {
            return;
        }
        let is_part = |name: &[u8]| UNWINDER_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        let parts = self.entries.iter().filter(|entry| is_part(entry.name.bytes()));
        let (names, definitions): (Vec<&[u8]>, Vec<SymbolId>) =
            parts.filter_map(|entry| Some((entry.name.bytes(), definition(entry)?))).unzip();
        let Some(addresses) = executor.unwinder(&names) else { return };
        for (definition, address) in definitions.into_iter().zip(addresses) {
            graph.symbols[definition.index()].value = Value::Absolute(address.0);
            graph.yielded.insert(definition);
        }
    }
}
