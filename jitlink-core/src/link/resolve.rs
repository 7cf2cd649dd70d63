//! Resolving: which definition each name means.
//!
//! Two steps. *Collect* enters every visible name into one table as objects join, which decides the archive members that the
//! batch pulls in. *Settle* runs when no more objects join: it selects COMDAT groups, then the best definition of each
//! name, and writes the definition's value into all its references, so that later phases look at a symbol alone.

mod boundaries;
mod fallbacks;
mod unwinder;

use super::groups::{is_discarded, select_groups};
use super::lower::provide_got;
use super::name_table::NameTable;
use super::observe::ArchiveMember;
use super::options::LinkOptions;
use super::read::{BatchTarget, LazyArchive, Reader, Source};
use super::resolver::{Existing, Resolver};
use super::synthetic::Synthetic;
use super::thread_locals::Outside;
use crate::error::{LinkError, LinkErrors};
use crate::executor::Executor;
use crate::format::{Provided, VisibleName};
use crate::graph::{
    Content, LinkGraph, Linkage, Name, Protection, Role, Scope, Section, Symbol, SymbolId, SymbolKind, Value,
};
use crate::pages;
use rayon::prelude::*;

/// What is known of a name.
struct Entry<'a> {
    name: Name<'a>,
    definition: Option<SymbolId>,
    /// The symbol that stands for the name while nothing defines it.
    reference: Option<SymbolId>,
    /// Something must define it.
    needed: bool,
    defined: bool,
    /// The archive and member that would define it.
    lazy: Option<(u32, u32)>,
    scope: Scope,
}

const NO_ENTRY: u32 = u32::MAX;

/// How many symbols are worth a task that ranks them.
const RANKED_AT_ONCE: usize = 1 << 14;

/// How many symbols are entered together.
const AT_ONCE: usize = 64;

/// All visible names of a batch.
#[derive(Default)]
pub(super) struct Names<'a> {
    entries: Vec<Entry<'a>>,
    table: NameTable,
    /// The entry of each symbol; `NO_ENTRY` for local ones.
    entry_of: Vec<u32>,
    /// Entries that became needed since archives were last searched.
    wanted: Vec<u32>,
    /// The archive members that joined, each with the entry that it joined for.
    joined: Vec<(u32, (u32, u32))>,
    /// How many archives have entered their members' names.
    listed: usize,
    /// How many bytes the names have together.
    bytes: usize,
    /// Which fallbacks were looked for in archives.
    fallen: Vec<bool>,
    /// Every name was decided once, and perhaps has to be again.
    settled: bool,
}

/// What is left to the linker when the batch's definitions are chosen.
struct Rest {
    /// The entries that have references only.
    undefined: Vec<u32>,
    /// The definitions without memory.
    common: Vec<SymbolId>,
}

impl<'a> Names<'a> {
    /// Makes room for the names of `symbols` symbols.
    pub(super) fn reserve(&mut self, symbols: usize) {
        self.table.reserve(symbols);
        pages::reserve(&mut self.entries, symbols);
    }

    fn enter(&mut self, name: Name<'a>) -> u32 {
        let (entries, new) = (&self.entries, self.entries.len() as u32);
        let known = self.table.enter(name.hash(), new, |index| entries[index as usize].name == name);
        known.unwrap_or_else(|| {
            self.bytes += name.bytes().len();
            self.entries.push(Entry {
                name,
                definition: None,
                reference: None,
                needed: false,
                defined: false,
                lazy: None,
                scope: Scope::Global,
            });
            new
        })
    }

    /// The entry of a name that is there already.
    fn find(&self, name: &Name<'_>) -> Option<usize> {
        let same = |index: u32| self.entries[index as usize].name == *name;
        self.table.find(name.hash(), same).map(|index| index as usize)
    }

    /// Enters the symbols of objects that joined since the last call.
    fn collect(&mut self, graph: &LinkGraph<'a>) {
        let new = &graph.symbols[self.entry_of.len()..];
        pages::reserve(&mut self.entry_of, new.len());
        let is_entered = |symbol: &&Symbol<'_>| symbol.scope != Scope::Local && !symbol.name.is_empty();
        for some in new.chunks(AT_ONCE) {
            self.table.approach(some.iter().filter(is_entered).map(|symbol| symbol.name.hash()));
            for symbol in some {
                let entry = if is_entered(&symbol) { self.meet(symbol) } else { NO_ENTRY };
                self.entry_of.push(entry);
            }
        }
    }

    /// Enters a symbol's name, and what the symbol says of it.
    fn meet(&mut self, symbol: &Symbol<'a>) -> u32 {
        let index = self.enter(symbol.name);
        let entry = &mut self.entries[index as usize];
        match symbol.is_defined() {
            true => entry.defined = true,
            false if symbol.linkage == Linkage::Strong && !entry.needed => {
                entry.needed = true;
                self.wanted.push(index);
            }
            false => {}
        }
        index
    }

    /// Whether an object of the batch defines the name.
    pub(super) fn is_defined(&self, name: &[u8]) -> bool {
        self.find(&Name::new(name)).is_some_and(|index| self.entries[index].defined)
    }

    /// Looks for the name in archives that join from now on.
    pub(super) fn want(&mut self, name: &'a [u8]) {
        let index = self.enter(Name::new(name));
        self.wanted.push(index);
    }

    /// Pulls in archive members until the batch needs no more. May be called again when objects or archives were added.
    pub(super) fn complete(
        &mut self,
        graph: &mut LinkGraph<'a>,
        reader: &Reader<'_, 'a>,
        batch: &BatchTarget,
        archives: &mut [LazyArchive<'a>],
    ) -> Result<(), LinkErrors> {
        self.collect(graph);
        let first = std::mem::replace(&mut self.listed, archives.len());
        let listed = archives[first..].iter().filter_map(|archive| archive.archive.names());
        self.reserve(listed.map(<[_]>::len).sum());
        reader.definitions(&archives[first..], |names, archive| {
            for some in names.chunks(AT_ONCE) {
                self.table.approach(some.iter().map(|(name, _)| name.hash()));
                for &(name, member) in some {
                    let index = self.enter(name) as usize;
                    self.entries[index].lazy.get_or_insert((first as u32 + archive, member));
                }
            }
        })?;
        loop {
            let mut sources: Vec<Source<'a>> = Vec::new();
            let mut errors = Vec::new();
            // In the order in which names were met, whatever the order of archives.
            let mut wanted = std::mem::take(&mut self.wanted);
            wanted.sort_unstable();
            for index in wanted {
                let entry = &self.entries[index as usize];
                let (false, Some((archive, member))) = (entry.defined, entry.lazy) else { continue };
                let taken = &mut archives[archive as usize].taken[member as usize];
                if !std::mem::replace(taken, true) {
                    self.joined.push((index, (archive, member)));
                    match reader.member(&archives[archive as usize], member as usize) {
                        Ok(source) => sources.push(source),
                        Err(error) => errors.push(error),
                    }
                }
            }
            LinkErrors::check(errors)?;
            if sources.is_empty() {
                if self.want_fallbacks(graph) {
                    continue;
                }
                return Ok(());
            }
            reader.read(graph, batch, &sources, &mut |graph| self.collect(graph))?;
        }
    }

    /// All members of the archives, for who looks on.
    pub(super) fn members<'v>(&'v self, archives: &'v [LazyArchive<'a>]) -> Vec<ArchiveMember<'v>> {
        let mut starts = Vec::new();
        let mut members = Vec::new();
        for archive in archives {
            starts.push(members.len());
            let all = archive.archive.members().iter().zip(&archive.taken);
            members.extend(all.map(|(member, &joined)| {
                let (archive, name) = (archive.name.as_str(), &*member.name);
                ArchiveMember { archive, name, joined, wanted: None, defines: Vec::new() }
            }));
        }
        let at = |(archive, member): (u32, u32)| starts[archive as usize] + member as usize;
        for entry in &self.entries {
            if let Some(lazy) = entry.lazy {
                members[at(lazy)].defines.push(entry.name.bytes());
            }
        }
        for &(entry, member) in &self.joined {
            members[at(member)].wanted = Some(self.entries[entry as usize].name.bytes());
        }
        members
    }

    /// Decides every name within the batch, and against what stands already. If more objects are to join, it starts anew with
    /// the graph as it was before.
    pub(super) fn settle(
        &mut self,
        graph: &mut LinkGraph<'a>,
        (resolver, executor): (&dyn Resolver, &dyn Executor),
        options: &LinkOptions,
        batch: &BatchTarget,
        synthetic: &mut Synthetic,
    ) -> Result<(), LinkErrors> {
        if std::mem::replace(&mut self.settled, true) {
            for entry in &mut self.entries {
                (entry.definition, entry.reference, entry.scope) = (None, None, Scope::Global);
            }
        }
        let mut errors = select_groups(graph);
        errors.extend(fallbacks::disagreements(graph));
        self.choose(graph, &mut errors);
        self.alias(graph, options, &mut errors);
        self.yield_to_existing(graph, resolver, &mut errors)?;
        self.fall_back(graph, resolver);
        self.yield_unwinder(graph, executor);
        let rest = self.rest(graph);
        self.boundaries(graph, &rest.undefined, batch, &mut errors);
        self.provide(graph, &rest.undefined, batch, synthetic);
        provide_commons(graph, &rest.common, synthetic);
        LinkErrors::check(errors)?;
        self.point(graph);
        Ok(())
    }

    /// Decides every name within the batch as far as an object can that will be linked again: what the linker provides, ends
    /// of runs, and memory for common symbols are left to that link.
    pub(super) fn settle_within(&mut self, graph: &mut LinkGraph<'a>, options: &LinkOptions) -> Result<(), LinkErrors> {
        let mut errors = select_groups(graph);
        self.choose(graph, &mut errors);
        self.alias(graph, options, &mut errors);
        LinkErrors::check(errors)?;
        for (name, address) in &options.defines {
            let Some(index) = self.find(&Name::new(name.as_bytes())) else { continue };
            let entry = &mut self.entries[index];
            if let (None, Some(reference)) = (entry.definition, entry.reference) {
                graph.symbols[reference.index()].value = Value::Absolute(address.0);
                entry.definition = Some(reference);
            }
        }
        // Which of the references knew what it refers to does not depend on their order.
        for (index, &number) in self.entry_of.iter().enumerate() {
            let kind = graph.symbols[index].kind;
            if let Some(Entry { definition: None, reference: Some(reference), .. }) = self.entries.get(number as usize)
                && graph.symbols[reference.index()].kind == SymbolKind::Other
            {
                graph.symbols[reference.index()].kind = kind;
            }
        }
        self.point(graph);
        Ok(())
    }

    /// Every name that something of the batch defines or refers to, in the order of the symbols that they mean.
    pub(super) fn visible(&self, graph: &LinkGraph<'_>) -> Vec<VisibleName<'a>> {
        let mut names: Vec<VisibleName<'a>> = self
            .entries
            .iter()
            .filter_map(|entry| {
                let symbol = entry.definition.or(entry.reference)?;
                Some(VisibleName { name: entry.name, scope: entry.scope, symbol })
            })
            .collect();
        debug_assert!(names.iter().all(|name| graph.canonical(name.symbol) == name.symbol));
        names.sort_by_key(|name| name.symbol);
        names
    }

    /// Gives all references the values of their definitions.
    fn point(&self, graph: &mut LinkGraph<'a>) {
        graph.canonical = pages::vector(graph.symbols.len());
        graph.canonical.extend((0..graph.symbols.len()).map(SymbolId::new));
        for (index, &number) in self.entry_of.iter().enumerate() {
            let Some(entry) = self.entries.get(number as usize) else { continue };
            let Some(winner) = entry.definition.or(entry.reference) else { continue };
            graph.canonical[index] = winner;
            if self.entry_of[winner.index()] == number {
                // Not for an alias, whose visibility is not that of what it names.
                graph.symbols[winner.index()].scope = entry.scope;
            }
            if winner.index() != index {
                let definition = &graph.symbols[winner.index()];
                let (value, size, kind) = (definition.value, definition.size, definition.kind);
                let symbol = &mut graph.symbols[index];
                (symbol.value, symbol.size, symbol.kind) = (value, size, kind);
            } else if entry.definition.is_none() && entry.needed {
                graph.symbols[index].linkage = Linkage::Strong;
            }
        }
    }

    fn choose(&mut self, graph: &mut LinkGraph<'a>, errors: &mut Vec<LinkError>) {
        let ranks: Vec<u8> = match graph.threads > 1 {
            true => graph.symbols.par_iter().with_min_len(RANKED_AT_ONCE).map(|symbol| rank(graph, symbol)).collect(),
            false => graph.symbols.iter().map(|symbol| rank(graph, symbol)).collect(),
        };
        for (index, &rank) in ranks.iter().enumerate() {
            let Some(entry) = self.entries.get_mut(self.entry_of[index] as usize) else { continue };
            let id = SymbolId::new(index);
            let symbol = &graph.symbols[index];
            entry.scope = entry.scope.min(symbol.scope);
            if rank == 0 {
                entry.reference.get_or_insert(id);
                // Code that came with a definition, even a weak one, does not expect null.
                entry.needed |= symbol.is_defined();
                continue;
            }
            let Some(best) = entry.definition else {
                entry.definition = Some(id);
                continue;
            };
            match rank.cmp(&ranks[best.index()]) {
                std::cmp::Ordering::Greater => entry.definition = Some(id),
                std::cmp::Ordering::Equal if rank == STRONG => errors.push(LinkError::Duplicate {
                    symbol: symbol.name.to_string(),
                    first: graph.object(graph.symbol(best).object).name.clone(),
                    second: graph.object(symbol.object).name.clone(),
                }),
                // Common symbols of one name share memory that is large and aligned enough for each.
                std::cmp::Ordering::Equal if rank == COMMON => {
                    let (size, value) = (symbol.size, symbol.value);
                    let best = &mut graph.symbols[best.index()];
                    best.size = best.size.max(size);
                    if let (Value::Common { align_log2: have, .. }, Value::Common { align_log2: want, .. }) =
                        (&mut best.value, value)
                    {
                        *have = (*have).max(want);
                    }
                }
                _ => {}
            }
        }
        // A definition in a discarded group refers to the copy that was kept.
        for (index, &entry) in self.entry_of.iter().enumerate() {
            if let Some(entry) = self.entries.get(entry as usize)
                && entry.definition.is_none()
                && entry.reference == Some(SymbolId::new(index))
                && graph.symbols[index].is_defined()
            {
                graph.symbols[index].value = Value::Undefined;
            }
        }
    }

    fn alias(&mut self, graph: &mut LinkGraph<'a>, options: &LinkOptions, errors: &mut Vec<LinkError>) {
        for (new, old) in &options.aliases {
            let Some(new_index) = self.find(&Name::new(new.as_bytes())) else { continue };
            // What an alias names may be an alias too.
            let next = |name: &String| options.aliases.iter().find(|alias| alias.0 == *name).map(|alias| &alias.1);
            let chain = std::iter::successors(Some(old), |name| next(name));
            let Some(last) = chain.clone().take(options.aliases.len()).last().filter(|last| next(last).is_none())
            else {
                errors.push(LinkError::Request(format!("--alias {new}={old} leads to no name but aliases")));
                continue;
            };
            let last_entry = self.find(&Name::new(last.as_bytes())).map(|index| &self.entries[index]);
            let target = last_entry.and_then(|entry| entry.definition.or(entry.reference));
            let entry = &mut self.entries[new_index];
            match (entry.definition, target) {
                (Some(definition), _) => errors.push(LinkError::Duplicate {
                    symbol: new.clone(),
                    first: graph.object(graph.symbol(definition).object).name.clone(),
                    second: format!("--alias {new}={old}"),
                }),
                (None, target) => entry.definition = target,
            }
        }
    }

    /// Weak definitions give way to those that are published already.
    fn yield_to_existing(
        &mut self,
        graph: &mut LinkGraph<'a>,
        resolver: &dyn Resolver,
        errors: &mut Vec<LinkError>,
    ) -> Result<(), LinkErrors> {
        let mut unique = Vec::new();
        for (index, entry) in self.entries.iter().enumerate() {
            let Some(definition) = entry.definition.filter(|_| entry.scope >= Scope::Protected) else { continue };
            let symbol = graph.symbol(definition);
            let linkage = match symbol.value {
                // One variable, whoever provides its memory.
                Value::Common { .. } => Linkage::Weak,
                _ => symbol.linkage,
            };
            if linkage == Linkage::Weak && entry.scope == Scope::Protected {
                // The batch means its own, whatever others see.
                continue;
            }
            match resolver.existing(&entry.name, linkage) {
                Some(Existing { address, weak: _ }) if linkage != Linkage::Strong => {
                    let symbol = &mut graph.symbols[definition.index()];
                    (symbol.value, symbol.linkage) = (Value::Absolute(address.0), linkage);
                    graph.yielded.insert(definition);
                }
                Some(Existing { weak: false, .. }) => errors.push(LinkError::Duplicate {
                    symbol: entry.name.to_string(),
                    first: "a module that is linked already".into(),
                    second: graph.object(graph.symbol(definition).object).name.clone(),
                }),
                _ if linkage == Linkage::Unique => unique.push(index),
                _ => {}
            }
        }
        let names: Vec<&[u8]> = unique.iter().map(|&index| self.entries[index].name.bytes()).collect();
        if names.is_empty() {
            return Ok(());
        }
        for (index, address) in unique.into_iter().zip(resolver.unique(&names)?) {
            if let (Some(address), Some(definition)) = (address, self.entries[index].definition) {
                graph.symbols[definition.index()].value = Value::Absolute(address.0);
                graph.yielded.insert(definition);
            }
        }
        Ok(())
    }

    /// One look at all entries for what comes next.
    fn rest(&self, graph: &LinkGraph<'_>) -> Rest {
        let mut rest = Rest { undefined: Vec::new(), common: Vec::new() };
        for (index, entry) in self.entries.iter().enumerate() {
            match (entry.definition, entry.reference) {
                (Some(definition), _) if matches!(graph.symbol(definition).value, Value::Common { .. }) => {
                    rest.common.push(definition);
                }
                (None, Some(_)) => rest.undefined.push(index as u32),
                _ => {}
            }
        }
        rest
    }

    /// Defines names that the linker itself provides.
    fn provide(
        &mut self,
        graph: &mut LinkGraph<'a>,
        undefined: &[u32],
        batch: &BatchTarget,
        synthetic: &mut Synthetic,
    ) {
        for &index in undefined {
            let entry = &mut self.entries[index as usize];
            let (None, Some(reference)) = (entry.definition, entry.reference) else { continue };
            let value = match batch.format.provided(entry.name.bytes()) {
                Some(Provided::GotBase) => {
                    let block = provide_got(graph, synthetic);
                    Value::Block { block, offset: graph.target.arch.info().got_base_bias() }
                }
                Some(Provided::ImageBase) => Value::ImageBase,
                Some(Provided::ModuleHandle) => {
                    let mut section = Section::new(b".handle", synthetic.object(graph));
                    section.protection = Protection::ReadWrite;
                    let size = u64::from(graph.target.pointer_bytes);
                    let block = synthetic.add(graph, section, Content::Zero(size), size.trailing_zeros() as u8);
                    graph.handle = Some(block);
                    Value::Block { block, offset: 0 }
                }
                Some(Provided::ThreadLocalBase) => {
                    graph.thread_locals.insert(reference, Outside::Base);
                    Value::Absolute(0)
                }
                None => continue,
            };
            graph.symbols[reference.index()].value = value;
            entry.definition = Some(reference);
            entry.scope = Scope::Hidden;
        }
    }

    /// Names that others see once the batch is linked, with the symbols that define them.
    pub(super) fn exports(&self, graph: &LinkGraph<'_>) -> impl Iterator<Item = (Name<'a>, SymbolId)> {
        self.entries.iter().enumerate().filter_map(|(number, entry)| {
            let definition = entry.definition?;
            // A pass may have changed the symbol's visibility; an alias has its own.
            let is_alias = self.entry_of.get(definition.index()) != Some(&(number as u32));
            let scope = if is_alias { entry.scope } else { graph.symbol(definition).scope };
            (scope >= Scope::Protected).then_some((entry.name, definition))
        })
    }

    /// How many bytes the names have together.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Gives common symbols that nothing else defines their memory.
fn provide_commons(graph: &mut LinkGraph<'_>, definitions: &[SymbolId], synthetic: &mut Synthetic) {
    for &definition in definitions {
        let symbol = graph.symbol(definition);
        let Value::Common { align_log2, residence } = symbol.value else { continue };
        let (size, kind) = (symbol.size, symbol.kind);
        let mut section = Section::new(b".common", synthetic.object(graph));
        (section.protection, section.residence) = (Protection::ReadWrite, residence);
        if kind == SymbolKind::ThreadLocal {
            section.role = Role::ThreadLocal;
        }
        let block = synthetic.add(graph, section, Content::Zero(size), align_log2);
        graph.symbols[definition.index()].value = Value::Block { block, offset: 0 };
    }
}

const STRONG: u8 = 3;
const COMMON: u8 = 2;

/// How a symbol competes: zero for references and for definitions that were discarded.
fn rank(graph: &LinkGraph<'_>, symbol: &Symbol<'_>) -> u8 {
    match symbol.value {
        Value::Undefined => 0,
        Value::Block { block, .. } if is_discarded(graph, graph.section(graph.block(block).section).group) => 0,
        // gABI, "Symbol Table": a common symbol wins over weak definitions.
        Value::Common { .. } => COMMON,
        _ if symbol.linkage == Linkage::Strong => STRONG,
        _ => 1,
    }
}
