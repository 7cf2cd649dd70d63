//! GOT references that need no slot: the code that loads a near address from its slot can compute it instead.
//!
//! What is near does not depend on where the batch will lie, so this comes before room for slots is counted. Each reference is
//! looked at by itself, those of a large block by several threads.

use super::{is_apart, residence};
use crate::arch::CodeSite;
use crate::graph::{BlockId, Edge, LinkGraph, Protection, SymbolKind, Value};
use crate::reloc::{Reloc, Subject};
use rayon::prelude::*;

/// How many edges are worth a task.
const TASK: usize = 1 << 14;

/// Relaxes the references of live code.
pub(in crate::link) fn relax(graph: &mut LinkGraph<'_>) {
    let is_relaxable = |row: &Reloc| row.is_relaxable() && row.refusal().is_none();
    let rows: Vec<bool> = graph.rows.rows().iter().map(is_relaxable).collect();
    if !rows.contains(&true) {
        return;
    }
    let mut edges = std::mem::take(&mut graph.edges);
    for (id, block) in graph.blocks() {
        let section = graph.section(block.section);
        if !graph.is_live(id) || !section.is_loaded() || section.protection != Protection::ReadExecute {
            continue;
        }
        let relax_some = |edges: &mut [Edge]| {
            for edge in edges {
                if edge.subject == Subject::GotSlot
                    && rows[usize::from(edge.row)]
                    && let Some(relaxed) = relaxed(graph, id, edge)
                {
                    *edge = relaxed;
                }
            }
        };
        let edges = &mut edges[block.edge_range()];
        if graph.threads > 1 && edges.len() >= 2 * TASK {
            edges.par_chunks_mut(TASK).for_each(relax_some);
        } else {
            relax_some(edges);
        }
    }
    graph.edges = edges;
}

/// The shorter form of one reference, where there is one.
fn relaxed(graph: &LinkGraph<'_>, id: BlockId, edge: &Edge) -> Option<Edge> {
    let symbol = graph.symbol(edge.target);
    let plain = !matches!(symbol.kind, SymbolKind::Indirect | SymbolKind::ThreadLocal);
    let inside = !matches!(symbol.value, Value::Absolute(_));
    if !plain || !inside || is_apart(graph, edge.target, residence(graph, id)) {
        return None;
    }
    let row = graph.rows.row(edge.row);
    let site = CodeSite { block: graph.block(id).content.bytes(), start: 0, edge: *edge, row, target: None };
    let relaxed = graph.target.arch.relax(&site)?;
    let fits = relaxed.offset as usize + graph.rows.row(relaxed.row).field().bytes() <= site.block.len();
    let (offset, row, addend) = (relaxed.offset, relaxed.row, relaxed.addend);
    fits.then_some(Edge { offset, row, addend, subject: Subject::Symbol, ..*edge })
}
