//! From a fixed-up graph to what callers keep: exports, arrays to run, actions, the map.

use super::layout::Addresses;
use super::linked::{Exports, LinkMap, MapObject, MapSection, MapSymbol};
use super::lower::Lowered;
use super::resolve::Names;
use super::synthetic::LINKER;
use crate::addr::Addr;
use crate::debug::LineTable;
use crate::executor::{DescribedSymbol, Description, PointerArray};
use crate::graph::{BlockId, InitStage, LinkGraph, Linkage, Protection, Role, Scope, SymbolId, SymbolKind, Value};
use crate::pages;
use hashbrown::HashMap;
use rayon::prelude::*;
use std::ops::Range;

/// The names that others see.
pub(super) fn exports(graph: &LinkGraph<'_>, names: &Names<'_>, addresses: &Addresses) -> Exports {
    let most = names.exports(graph).size_hint().1.unwrap_or(0).min(graph.symbols.len());
    let mut exports = Exports::with_capacity(most, names.bytes());
    for (name, id) in names.exports(graph) {
        let symbol = graph.symbol(id);
        let here = match symbol.value {
            // What is not loaded has no address.
            Value::Block { block, .. } => graph.is_live(block) && graph.section(graph.block(block).section).is_loaded(),
            // What is defined outside is not this batch's, but aliases of it and absolute definitions are.
            Value::Absolute(_) => !graph.yielded.contains(&id) || symbol.name != name,
            _ => false,
        };
        if here {
            exports.push(name, Addr(addresses.symbols[id.index()]), symbol.size, symbol.kind, symbol.linkage);
        }
    }
    exports
}

/// Arrays of function pointers of a stage in the order in which they run. Sections that are gathered are one array.
pub(super) fn arrays(graph: &LinkGraph<'_>, addresses: &Addresses, fini: bool) -> Vec<PointerArray> {
    let pointer = u64::from(graph.target.pointer_bytes);
    let mut arrays = Vec::new();
    for (_, section) in graph.sections() {
        let Role::Initialisers(order) = section.role else { continue };
        if (order.stage == InitStage::Fini) != fini {
            continue;
        }
        for block in section.blocks.clone().map(BlockId).filter(|&block| graph.is_live(block)) {
            let count = graph.block(block).size() / pointer;
            if count > 0 {
                let position = arrays.len() as i64;
                let is_turned = section.gathered && order.backwards != fini;
                let array = PointerArray { address: addresses.blocks[block.index()], count, order };
                arrays.push((array, if is_turned { -position } else { position }));
            }
        }
    }
    arrays.sort_by_key(|(array, position)| (array.order.stage, array.order.priority, *position));
    let mut arrays: Vec<PointerArray> = arrays.into_iter().map(|(array, _)| array).collect();
    if fini {
        // What was set up first is torn down last.
        arrays.reverse();
    }
    arrays
}

/// What crash reports say about the batch.
pub(super) fn describe(
    graph: &LinkGraph<'_>,
    addresses: &Addresses,
    segments: Vec<(Addr, u64)>,
    handle: Addr,
) -> Description {
    let count = graph.symbols.len();
    let part = |start: usize| describe_some(graph, addresses, start..count.min(start + DESCRIBED_AT_ONCE));
    let parts: Vec<_> = match graph.threads > 1 {
        true => (0..count).into_par_iter().step_by(DESCRIBED_AT_ONCE).map(part).collect(),
        false => (0..count).step_by(DESCRIBED_AT_ONCE).map(part).collect(),
    };
    let (mut names, mut symbols) = (String::new(), pages::vector(parts.iter().map(|part| part.1.len()).sum()));
    names.reserve(parts.iter().map(|part| part.0.len()).sum());
    for (some_names, some) in parts {
        let start = names.len() as u32;
        names.push_str(&some_names);
        symbols.extend(some.into_iter().map(|mut symbol: DescribedSymbol| {
            symbol.name.0 += start;
            symbol
        }));
    }
    let order = |symbol: &DescribedSymbol| (symbol.address, std::cmp::Reverse(symbol.size), symbol.name.0);
    match graph.threads > 1 {
        true => symbols.par_sort_unstable_by_key(order),
        false => symbols.sort_unstable_by_key(order),
    }
    let objects = graph.objects.iter().map(|object| object.name.clone()).collect();
    Description { segments, symbols, names, objects, lines: LineTable::default(), handle }
}

/// How many symbols are described by a task.
const DESCRIBED_AT_ONCE: usize = 1 << 13;

/// The functions among some symbols, with their names one after another.
fn describe_some(graph: &LinkGraph<'_>, addresses: &Addresses, some: Range<usize>) -> (String, Vec<DescribedSymbol>) {
    let (mut names, mut symbols) = (String::new(), Vec::new());
    for index in some {
        let symbol = &graph.symbols[index];
        let Value::Block { block, .. } = symbol.value else { continue };
        // Sections have names of their own in some formats.
        let is_nameless = symbol.name.is_empty() || symbol.kind == SymbolKind::Section;
        if is_nameless || graph.canonical[index].index() != index || !graph.is_live(block) {
            continue;
        }
        if graph.section(graph.block(block).section).protection != Protection::ReadExecute {
            continue;
        }
        let start = names.len() as u32;
        names.push_str(&String::from_utf8_lossy(symbol.name.bytes()));
        symbols.push(DescribedSymbol {
            address: Addr(addresses.symbols[index]),
            size: symbol.size,
            name: (start, names.len() as u32 - start),
            object: symbol.object.0,
        });
    }
    (names, symbols)
}

/// What is where.
pub(super) fn map(graph: &LinkGraph<'_>, addresses: &Addresses, lowered: &Lowered) -> LinkMap {
    let mut objects: Vec<MapObject> = graph
        .objects
        .iter()
        .map(|object| MapObject { name: object.name.clone(), path: object.path.clone(), ..MapObject::default() })
        .collect();
    for (_, section) in graph.sections() {
        let live = section.blocks.clone().map(BlockId).filter(|&block| graph.is_live(block));
        let spans = live.map(|block| (addresses.blocks[block.index()], graph.block(block).size()));
        let span = spans.reduce(|all, next| (all.0.min(next.0), (next.0 + next.1).offset_from(all.0)));
        if let (Some((address, size)), true) = (span, section.is_loaded()) {
            let (name, protection) = (section.name_lossy(), section.protection);
            objects[section.object.index()].sections.push(MapSection { name, address, size, protection });
        }
    }
    for (id, symbol) in graph.symbols() {
        let Value::Block { block, .. } = symbol.value else { continue };
        let named = !symbol.name.is_empty() && !matches!(symbol.kind, SymbolKind::Section | SymbolKind::File);
        // What is linked on its first call is listed with the stubs.
        let here = graph.canonical(id) == id && graph.is_live(block) && !graph.external.contains(&id);
        if !named || !here {
            continue;
        }
        objects[symbol.object.index()].symbols.push(MapSymbol {
            name: symbol.name.to_string(),
            address: Addr(addresses.symbols[id.index()]),
            size: symbol.size,
            scope: symbol.scope,
            linkage: match symbol.linkage {
                _ if graph.section(graph.block(block).section).name == b".common" => "common",
                Linkage::Strong => "strong",
                Linkage::Weak | Linkage::Unique => "weak",
            },
        });
    }
    add_tables(graph, addresses, lowered, &mut objects);
    objects.retain(|object| !object.sections.is_empty() || !object.symbols.is_empty() || !object.path.is_empty());
    let absolute = graph.symbols().filter_map(|(id, symbol)| {
        let Value::Absolute(address) = symbol.value else { return None };
        let named = graph.canonical(id) == id && symbol.scope != Scope::Local && !symbol.name.is_empty();
        named.then(|| (symbol.name.to_string(), Addr(address)))
    });
    LinkMap { absolute: absolute.collect(), objects }
}

/// Lists slots and stubs under each object that uses them.
fn add_tables(graph: &LinkGraph<'_>, addresses: &Addresses, lowered: &Lowered, objects: &mut [MapObject]) {
    let slots: HashMap<SymbolId, SymbolId> = lowered.slots.iter().map(|slot| (slot.symbol, slot.target)).collect();
    let stubs: HashMap<_, _> = lowered.stubs.iter().map(|&(target, stub, kind)| (stub, (target, kind))).collect();
    let mut seen: HashMap<(usize, SymbolId), ()> = HashMap::new();
    for (id, block) in graph.blocks() {
        if !graph.is_live(id) {
            continue;
        }
        let object = graph.section(block.section).object.index();
        if objects[object].name == LINKER {
            continue;
        }
        for edge in graph.edges(id) {
            let used = graph.canonical(edge.target);
            let at = Addr(addresses.symbols[used.index()]);
            if let Some(&target) = slots.get(&used) {
                if seen.insert((object, used), ()).is_none() {
                    objects[object].got.push((graph.display_symbol(target), at));
                }
            } else if let Some(&(target, kind)) = stubs.get(&used)
                && seen.insert((object, used), ()).is_none()
            {
                objects[object].stubs.push((graph.display_symbol(target), at, kind));
            }
        }
    }
}
