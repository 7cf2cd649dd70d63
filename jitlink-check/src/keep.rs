//! Keeps everything that the objects hold, so that rules can ask about code that nothing calls.

use jitlink_core::graph::{BlockId, LinkGraph, Role, Scope, SectionId, SymbolId, Value};
use jitlink_core::link::{Pipeline, Stage};

/// Adds the pass.
pub(crate) fn everything(pipeline: &mut Pipeline) {
    pipeline.add(Stage::BeforePrune, "jitlink-check: keep everything", |graph, _| {
        keep(graph);
        Ok(())
    });
}

fn keep(graph: &mut LinkGraph<'_>) {
    let is_kept = |section: SectionId| {
        let section = graph.section(section);
        // A group may have been discarded for another of its name: what is left of it is kept by its names.
        section.is_loaded() && section.role == Role::Ordinary && section.group.is_none()
    };
    let mut roots: Vec<SymbolId> = Vec::new();
    let mut keeper: Option<BlockId> = None;
    for (id, symbol) in graph.symbols() {
        let Value::Block { block, .. } = symbol.value else { continue };
        if graph.canonical(id) != id {
            continue;
        }
        if is_kept(graph.block(block).section) {
            keeper = keeper.or(Some(block));
            roots.push(id);
        } else if symbol.scope != Scope::Local {
            roots.push(id);
        }
    }
    let nameless: Vec<BlockId> =
        graph.blocks().filter(|(_, block)| is_kept(block.section)).map(|(block, _)| block).collect();
    roots.into_iter().for_each(|root| graph.retain(root));
    if let Some(keeper) = keeper {
        nameless.into_iter().for_each(|block| graph.add_dependency(keeper, block));
    }
}
