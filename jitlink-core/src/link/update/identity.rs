//! What makes a block the same as one of an earlier link: its bytes, and what its edges refer to.

use super::diff::Origin;
use crate::graph::{
    BlockId, Content, GroupId, LinkGraph, Protection, Role, Scope, Symbol, SymbolId, SymbolKind, Value,
};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// How updates treat a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Code and constants: replaced when they change.
    Text,
    /// Variables: kept, whatever the new object says.
    Data,
    /// Arrays of functions that run at the start or the end: kept, and not run again.
    Initialisers,
}

/// A variable of a block.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Variable {
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) name: Box<[u8]>,
}

impl Variable {
    /// The name without the number by which compilers tell static variables of functions apart (`count.2`, `count.0`).
    pub(super) fn plain(&self) -> &[u8] {
        let digits = self.name.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        match self.name.len().checked_sub(digits + 1) {
            Some(dot) if digits > 0 && dot > 0 && self.name[dot] == b'.' => &self.name[..dot],
            _ => &self.name,
        }
    }
}

/// What is known of a block before it is placed.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) class: Class,
    /// Which of the object's sections of this name and group it is in.
    pub(super) ordinal: u32,
    /// A hash of all that decides its bytes except addresses.
    pub(super) fingerprint: u128,
    /// Its variables by offset, for data.
    pub(super) variables: Vec<Variable>,
}

/// The identities of all loaded blocks of the inputs; `None` for others, and for unwind records, which follow their functions.
pub(super) fn identities(graph: &LinkGraph<'_>, origins: &[Origin]) -> Vec<Option<Identity>> {
    let definitions = definitions(graph);
    let mut identities: Vec<Option<Identity>> = vec![None; graph.blocks.len()];
    for (_, object) in graph.objects() {
        let mut seen: HashMap<(&[u8], Option<GroupId>), u32, FxBuildHasher> = HashMap::default();
        for section in &graph.sections[object.sections.start as usize..object.sections.end as usize] {
            if !section.is_loaded() || section.role == Role::EhFrame {
                continue;
            }
            let count = seen.entry((section.name, section.group)).or_insert(0);
            let class = match (section.role, section.protection) {
                (Role::Initialisers(_), _) => Class::Initialisers,
                (_, Protection::ReadWrite) => Class::Data,
                _ => Class::Text,
            };
            for block in section.blocks.clone() {
                let own = definitions.of(block);
                let variables = if class == Class::Data { variables(graph, own) } else { Vec::new() };
                identities[block as usize] = Some(Identity { class, ordinal: *count, fingerprint: 0, variables });
                *count += 1;
            }
        }
    }
    let unwind = unwind_records(graph);
    for index in 0..identities.len() {
        if identities[index].is_some() {
            let print =
                fingerprint((graph, origins), &identities, BlockId::new(index), definitions.of(index as u32), &unwind);
            if let Some(identity) = &mut identities[index] {
                identity.fingerprint = print;
            }
        }
    }
    identities
}

/// The section and the group that a block is in; with the block's number they tell it from others of its object.
pub(super) fn place<'g>(graph: &'g LinkGraph<'_>, block: BlockId) -> (&'g [u8], &'g [u8]) {
    let section = graph.section(graph.block(block).section);
    (section.name, section.group.map_or(b"", |group| graph.groups[group.index()].name.bytes()))
}

/// Each function's unwind records, sorted by function.
pub(super) fn unwind_records(graph: &LinkGraph<'_>) -> Vec<(BlockId, BlockId)> {
    let is_record = |block: BlockId| graph.section(graph.block(block).section).role == Role::EhFrame;
    let pairs = graph.dependencies.iter().copied();
    let mut records: Vec<_> = pairs.filter(|&(keeper, kept)| is_record(kept) && !is_record(keeper)).collect();
    records.sort_unstable();
    records.dedup();
    records
}

/// The records of one function.
pub(super) fn records_of(records: &[(BlockId, BlockId)], block: BlockId) -> impl Iterator<Item = BlockId> {
    let first = records.partition_point(|pair| pair.0 < block);
    records[first..].iter().take_while(move |pair| pair.0 == block).map(|pair| pair.1)
}

/// Named definitions in blocks, sorted by block and offset.
struct Definitions(Vec<(u32, u64, SymbolId)>);

impl Definitions {
    fn of(&self, block: u32) -> &[(u32, u64, SymbolId)] {
        let first = self.0.partition_point(|entry| entry.0 < block);
        let count = self.0[first..].partition_point(|entry| entry.0 == block);
        &self.0[first..first + count]
    }
}

fn definitions(graph: &LinkGraph<'_>) -> Definitions {
    let named =
        |symbol: &Symbol<'_>| !symbol.name.is_empty() && !matches!(symbol.kind, SymbolKind::Section | SymbolKind::File);
    let own = graph.symbols().filter(|(id, symbol)| graph.canonical(*id) == *id && named(symbol));
    let mut all: Vec<_> = own
        .filter_map(|(id, symbol)| match symbol.value {
            Value::Block { block, offset } => Some((block.0, offset, id)),
            _ => None,
        })
        .collect();
    all.sort_unstable();
    Definitions(all)
}

fn variables(graph: &LinkGraph<'_>, definitions: &[(u32, u64, SymbolId)]) -> Vec<Variable> {
    let variable = |&(_, offset, id): &(u32, u64, SymbolId)| {
        let symbol = graph.symbol(id);
        Variable { offset, size: symbol.size, name: symbol.name.bytes().into() }
    };
    let mut variables: Vec<Variable> = definitions.iter().map(variable).collect();
    variables.sort_unstable();
    variables
}

/// A 128-bit hash: two blocks that differ share one by accident in no program that will ever be linked.
struct Print(SipHasher13);

impl Print {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.write_u64(bytes.len() as u64);
        self.0.write(bytes);
    }

    fn number(&mut self, number: u64) {
        self.0.write_u64(number);
    }
}

fn fingerprint(
    (graph, origins): (&LinkGraph<'_>, &[Origin]),
    identities: &[Option<Identity>],
    id: BlockId,
    definitions: &[(u32, u64, SymbolId)],
    unwind: &[(BlockId, BlockId)],
) -> u128 {
    let mut print = Print(SipHasher13::new());
    let block = graph.block(id);
    let section = graph.section(block.section);
    print.bytes(section.name);
    print.number(section.protection as u64);
    print.number(section.residence as u64);
    print.number(u64::from(block.align_log2));
    match &block.content {
        Content::Zero(size) => print.number(*size),
        content => print.bytes(content.bytes()),
    }
    print.number(definitions.len() as u64);
    for &(_, offset, symbol) in definitions {
        let symbol = graph.symbol(symbol);
        print.bytes(symbol.name.bytes());
        print.number(offset);
        // Who sees it beyond its object does not change its bytes, and depends on what else is linked with it.
        print.number(u64::from(symbol.scope == Scope::Local));
        print.number(symbol.kind as u64);
    }
    let object = section.object;
    print.number(u64::from(block.edge_count));
    for edge in graph.edges(id) {
        print.number(u64::from(edge.offset) << 16 | u64::from(edge.row));
        print.number(edge.addend as u64);
        target(&mut print, (graph, origins), identities, object, edge.target);
    }
    for record in records_of(unwind, id) {
        for edge in graph.edges(record) {
            // The record's reference to this block says nothing new.
            if !matches!(graph.symbol(edge.target).value, Value::Block { block, .. } if block == id) {
                print.number(edge.addend as u64);
                target(&mut print, (graph, origins), identities, object, edge.target);
            }
        }
    }
    print.0.finish128().as_u128()
}

/// What an edge refers to, as far as it can be told before addresses are known: names by name, the object's own parts by place.
fn target(
    print: &mut Print,
    (graph, origins): (&LinkGraph<'_>, &[Origin]),
    identities: &[Option<Identity>],
    object: crate::graph::ObjectId,
    symbol: SymbolId,
) {
    let canonical = graph.canonical(symbol);
    let definition = graph.symbol(canonical);
    match definition.value {
        Value::Block { block, offset } => {
            let section = graph.section(graph.block(block).section);
            let entered = crate::link::entries::is_entered(graph, canonical);
            if section.object != object || entered && definition.scope != Scope::Local {
                print.number(1);
                print.bytes(definition.name.bytes());
                return;
            }
            print.number(2);
            print.bytes(section.name);
            print.bytes(section.group.map_or(b"", |group| graph.groups[group.index()].name.bytes()));
            print.number(identities[block.index()].as_ref().map_or(u64::MAX, |identity| u64::from(identity.ordinal)));
            print.number(offset);
        }
        // Numbers of others, and what a weak definition of its own gives way to, are known by name.
        Value::Absolute(address)
            if definition.name.is_empty()
                || definition.scope == Scope::Local
                || origins[canonical.index()] == Origin::Own && definition.object == object =>
        {
            print.number(3);
            print.number(address);
        }
        _ => {
            print.number(1);
            print.bytes(definition.name.bytes());
        }
    }
}
