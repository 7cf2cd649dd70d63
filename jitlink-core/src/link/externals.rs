//! Names that the batch does not define: given by the caller, by libraries, or by the executor.

use super::options::{LinkOptions, Resolver, Unresolved};
use super::prune::Needed;
use crate::error::{LinkError, LinkErrors};
use crate::graph::{LinkGraph, Linkage, Scope, SymbolId, Value};
use indexmap::IndexMap;

/// Gives every needed name an address, or reports all that have none.
pub(super) fn resolve(
    graph: &mut LinkGraph<'_>,
    mut needed: Needed,
    resolver: &dyn Resolver,
    options: &LinkOptions,
) -> Result<(), LinkErrors> {
    let defines: IndexMap<&[u8], u64> = options.defines.iter().map(|(name, at)| (name.as_bytes(), at.0)).collect();
    let mut asked: Vec<SymbolId> = Vec::new();
    for &symbol in &needed.symbols {
        match defines.get(graph.symbol(symbol).name.bytes()) {
            Some(&address) => graph.symbols[symbol.index()].value = Value::Absolute(address),
            None => asked.push(symbol),
        }
    }
    let (visible, hidden): (Vec<_>, Vec<_>) =
        asked.into_iter().partition(|&symbol| graph.symbol(symbol).scope >= Scope::Protected);
    let names: Vec<&[u8]> = visible.iter().map(|&symbol| graph.symbol(symbol).name.bytes()).collect();
    let found = if names.is_empty() { Vec::new() } else { resolver.resolve(&names)? };
    let mut errors = Vec::new();
    for (symbol, address) in visible.into_iter().zip(found).chain(hidden.into_iter().map(|symbol| (symbol, None))) {
        let weak = graph.symbol(symbol).linkage != Linkage::Strong;
        let value = match address {
            Some(address) => address.0,
            None if weak || options.unresolved == Unresolved::Null => 0,
            None => {
                errors.push(undefined(graph, symbol, &mut needed));
                continue;
            }
        };
        graph.symbols[symbol.index()].value = Value::Absolute(value);
    }
    LinkErrors::check(errors)?;
    for index in 0..graph.symbols.len() {
        if !graph.symbols[index].is_defined() {
            graph.symbols[index].value = graph.symbols[graph.canonical[index].index()].value;
        }
    }
    Ok(())
}

fn undefined(graph: &LinkGraph<'_>, symbol: SymbolId, needed: &mut Needed) -> LinkError {
    let name = graph.symbol(symbol).name.to_string();
    let (references, total) = needed.references(symbol);
    let advice = if graph.symbol(symbol).scope < Scope::Protected {
        "the reference is hidden, so only an object of the same link may define it; add that object".to_string()
    } else if let Some(close) = similar(graph, &name) {
        format!(
            "did you mean {close}? Else add the object, archive or library (-l) that defines it, or --define {name}=ADDR"
        )
    } else {
        format!("add the object, archive or library (-l) that defines it, or --define {name}=ADDR")
    };
    LinkError::Undefined { symbol: name, references, total, advice }
}

/// A defined name that differs only in leading underscores or in the case of its letters.
fn similar(graph: &LinkGraph<'_>, name: &str) -> Option<String> {
    let plain = |name: &str| name.trim_start_matches('_').to_ascii_lowercase();
    let wanted = plain(name);
    let defined = graph.symbols().filter(|(_, symbol)| symbol.scope != Scope::Local && symbol.is_defined());
    let mut names = defined.map(|(_, symbol)| symbol.name.to_string());
    names.find(|candidate| plain(candidate) == wanted)
}
