//! Names that the batch does not define: given by the caller, by libraries, or by the executor.

use super::options::{LinkOptions, Resolver, Roots, Unresolved};
use crate::error::{LinkError, LinkErrors, Site};
use crate::graph::{LinkGraph, Linkage, Scope, SymbolId, SymbolKind, Value};
use hashbrown::HashMap;
use indexmap::IndexMap;

/// Gives every needed name an address, or reports all that have none.
pub(super) fn resolve(
    graph: &mut LinkGraph<'_>,
    needed: &[SymbolId],
    resolver: &dyn Resolver,
    options: &LinkOptions,
) -> Result<(), LinkErrors> {
    let defines: IndexMap<&[u8], u64> = options.defines.iter().map(|(name, at)| (name.as_bytes(), at.0)).collect();
    let mut asked: Vec<SymbolId> = Vec::new();
    for &symbol in needed {
        match defines.get(graph.symbol(symbol).name.bytes()) {
            Some(&address) => {
                graph.symbols[symbol.index()].value = Value::Absolute(address);
                graph.external.insert(symbol);
            }
            None => asked.push(symbol),
        }
    }
    let (visible, hidden): (Vec<_>, Vec<_>) =
        asked.into_iter().partition(|&symbol| graph.symbol(symbol).scope >= Scope::Protected);
    let names: Vec<&[u8]> = visible.iter().map(|&symbol| graph.symbol(symbol).name.bytes()).collect();
    let found = if names.is_empty() { Vec::new() } else { resolver.resolve(&names)? };
    let mut missing = Vec::new();
    for (symbol, address) in visible.into_iter().zip(found).chain(hidden.into_iter().map(|symbol| (symbol, None))) {
        let weak = graph.symbol(symbol).linkage != Linkage::Strong;
        let value = match address {
            Some(address) => {
                graph.external.insert(symbol);
                address.0
            }
            None if weak || options.unresolved == Unresolved::Null => 0,
            // Lowering refuses these by name and place; that nothing defines them as well would lead astray.
            None if graph.symbol(symbol).kind == SymbolKind::ThreadLocal => 0,
            None => {
                missing.push(symbol);
                continue;
            }
        };
        graph.symbols[symbol.index()].value = Value::Absolute(value);
    }
    LinkErrors::check(undefined(graph, &missing, options))?;
    // What is left are roots that need not be there.
    missing.into_iter().for_each(|symbol| graph.symbols[symbol.index()].value = Value::Absolute(0));
    for index in 0..graph.symbols.len() {
        if !graph.symbols[index].is_defined() {
            graph.symbols[index].value = graph.symbols[graph.canonical[index].index()].value;
        }
    }
    Ok(())
}

/// How many places an error about an undefined name shows.
const SHOWN_REFERENCES: usize = 3;

/// The errors about missing names, each with the first few live places that refer to it.
fn undefined(graph: &LinkGraph<'_>, missing: &[SymbolId], options: &LinkOptions) -> Vec<LinkError> {
    if missing.is_empty() {
        return Vec::new();
    }
    let mut references: IndexMap<SymbolId, (Vec<Site>, usize)> =
        missing.iter().map(|&symbol| (symbol, Default::default())).collect();
    for (block, data) in graph.blocks() {
        if !graph.is_live(block) || !graph.section(data.section).is_loaded() {
            continue;
        }
        for edge in graph.edges(block) {
            if let Some((sites, total)) = references.get_mut(&graph.canonical(edge.target)) {
                *total += 1;
                if sites.len() < SHOWN_REFERENCES {
                    sites.push(graph.site(block, edge));
                }
            }
        }
    }
    let similar = Similar::new(graph);
    let forgiven = matches!(options.roots, Roots::IfDefined(_));
    let error = |(symbol, (references, total)): (SymbolId, (Vec<Site>, usize))| {
        if total == 0 && forgiven {
            return None;
        }
        let name = graph.symbol(symbol).name.to_string();
        let advice = advice(graph, symbol, &name, &similar);
        Some(LinkError::Undefined { advice, symbol: name, references, total })
    };
    references.into_iter().filter_map(error).collect()
}

fn advice(graph: &LinkGraph<'_>, symbol: SymbolId, name: &str, similar: &Similar) -> String {
    let add = "add the object, archive or library (-l) that defines it, or give it an address (--define NAME=ADDR)";
    if graph.symbol(symbol).scope < Scope::Protected {
        "the reference is hidden, so only an object of the same link may define it; add that object".into()
    } else if let Some(close) = similar.find(graph, name) {
        format!("did you mean {close}? Else {add}")
    } else {
        add.into()
    }
}

/// Defined names by what they have in common with slips of the pen: made once for all undefined names.
struct Similar {
    names: HashMap<String, SymbolId>,
}

impl Similar {
    fn new(graph: &LinkGraph<'_>) -> Similar {
        let mut names = HashMap::new();
        for (id, symbol) in graph.symbols() {
            if symbol.scope != Scope::Local && symbol.is_defined() {
                names.entry(plain(&symbol.name.to_string())).or_insert(id);
            }
        }
        Similar { names }
    }

    /// A defined name that differs only in leading underscores or in the case of its letters.
    fn find(&self, graph: &LinkGraph<'_>, name: &str) -> Option<String> {
        self.names.get(&plain(name)).map(|&id| graph.symbol(id).name.to_string())
    }
}

fn plain(name: &str) -> String {
    name.trim_start_matches('_').to_ascii_lowercase()
}
