//! What names mean that nothing defines, and what objects must agree on.

use super::super::resolver::Resolver;
use super::{NO_ENTRY, Names};
use crate::error::{LinkError, Said};
use crate::graph::{Agreement, Fallback, LinkGraph, Linkage, Scope, SymbolId, Value};
use hashbrown::{HashMap, HashSet};
use rustc_hash::FxBuildHasher;

/// The first fallback of each name, by the name's entry.
type First = HashMap<u32, Fallback, FxBuildHasher>;

/// Names that shared libraries define, by their entries.
type Imported = HashSet<u32, FxBuildHasher>;

impl<'a> Names<'a> {
    /// Looks in archives for what names need that nothing defines by now. Whether there was anything new to look for.
    pub(super) fn want_fallbacks(&mut self, graph: &LinkGraph<'a>) -> bool {
        self.fallen.resize(graph.fallbacks.len(), false);
        let before = self.wanted.len();
        let imported = self.imported(graph);
        for (fallback, fallen) in graph.fallbacks.iter().zip(&mut self.fallen) {
            let Some(needs) = fallback.needs.filter(|_| !*fallen) else { continue };
            let is_defined = |symbol: SymbolId| {
                let number = self.entry_of[symbol.index()];
                let entry = self.entries.get(number as usize);
                entry.is_none_or(|entry| entry.defined || imported.contains(&number))
            };
            if !is_defined(fallback.name) && !is_defined(needs) {
                *fallen = true;
                self.wanted.push(self.entry_of[needs.index()]);
            }
        }
        self.wanted.len() > before
    }

    fn imported(&self, graph: &LinkGraph<'a>) -> Imported {
        graph.imports.iter().map(|import| self.entry_of[import.name.index()]).collect()
    }

    /// Gives names that nothing defines what they mean then. What stands already, or is in a shared library, is a definition.
    pub(super) fn fall_back(&mut self, graph: &mut LinkGraph<'a>, resolver: &dyn Resolver) {
        let mut first = First::default();
        let imported = self.imported(graph);
        let slots: HashSet<SymbolId> = graph.imports.iter().filter_map(|import| import.slot).collect();
        for &fallback in &graph.fallbacks {
            first.entry(self.entry_of[fallback.name.index()]).or_insert(fallback);
        }
        for index in 0..graph.fallbacks.len() {
            let number = self.entry_of[graph.fallbacks[index].name.index()];
            let Some(entry) = self.entries.get(number as usize) else { continue };
            let (None, Some(reference)) = (entry.definition, entry.reference) else { continue };
            if imported.contains(&number) {
                continue;
            }
            if entry.scope >= Scope::Protected
                && let Some(existing) = resolver.existing(&entry.name, Linkage::Weak)
            {
                let symbol = &mut graph.symbols[reference.index()];
                (symbol.value, symbol.linkage) = (Value::Absolute(existing.address.0), Linkage::Weak);
                graph.yielded.insert(reference);
                self.entries[number as usize].definition = Some(reference);
                continue;
            }
            let Some((target, needs)) = self.last(&first, number) else { continue };
            let is_local = self.entry_of[target.index()] == NO_ENTRY;
            let needed = needs.and_then(|needs| self.entries.get_mut(self.entry_of[needs.index()] as usize));
            let needed = needed.and_then(|needed| {
                needed.needed = true;
                needed.definition
            });
            let entry = &mut self.entries[number as usize];
            // What would point to a slot of an import is that slot.
            entry.definition = Some(needed.filter(|needed| slots.contains(needed)).unwrap_or(target));
            if is_local {
                entry.scope = Scope::Hidden;
            }
        }
    }

    /// What a name means in the end, and what that needs; `None` for one that in the end means itself.
    fn last(&self, first: &First, number: u32) -> Option<(SymbolId, Option<SymbolId>)> {
        let mut fallback = first.get(&number)?;
        for _ in 0..=first.len() {
            let next = self.entry_of[fallback.target.index()];
            let Some(entry) = self.entries.get(next as usize) else { return Some((fallback.target, fallback.needs)) };
            if next == number {
                return None;
            }
            if let Some(definition) = entry.definition {
                return Some((definition, fallback.needs));
            }
            match first.get(&next) {
                Some(further) => fallback = further,
                None => return Some((entry.reference.unwrap_or(fallback.target), fallback.needs)),
            }
        }
        None
    }
}

/// What objects say of themselves that others of the batch contradict.
pub(super) fn disagreements(graph: &LinkGraph<'_>) -> Vec<LinkError> {
    let mut known: HashMap<&[u8], &Agreement<'_>, FxBuildHasher> = HashMap::default();
    let mut errors = Vec::new();
    for said in &graph.agreements {
        let first = *known.entry(said.key).or_insert(said);
        if first.value != said.value {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let says = |agreement: &Agreement<'_>| {
                let object = graph.object(agreement.object).name.clone();
                Box::new(Said { object, value: text(agreement.value) })
            };
            errors.push(LinkError::Disagreement { key: text(said.key), first: says(first), second: says(said) });
        }
    }
    errors
}
