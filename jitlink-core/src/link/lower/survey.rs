//! The first look at all edges: which are relaxed, and which blocks hold any that lowering has to look at one by one.
//!
//! A GOT reference needs no slot where the code that loads a near address from it can compute the address instead. What is near
//! does not depend on where the batch will lie, so this comes before room for slots is counted. Most edges, then or from the
//! start, mean a plain address inside the batch, and are never looked at again before fix-up.
//!
//! Each edge is looked at by itself, those of a large block by several threads.

use super::demand::{RowClass, code_size};
use super::{asks_for_more, is_apart, is_thread_local, residence};
use crate::arch::CodeSite;
use crate::graph::{BlockId, Edge, LinkGraph, Protection, Residence, Symbol, SymbolKind, Value};
use crate::reloc::{Reloc, Subject};
use rayon::prelude::*;
use std::ops::Range;

/// How many edges are worth a task.
const TASK: usize = 1 << 14;

/// How many blocks are, of which most have few edges.
const BLOCKS: usize = 1 << 12;

/// What the first look found.
pub(in crate::link) struct Survey {
    /// By row.
    pub(super) classes: Vec<RowClass>,
    /// Rows, and symbols, that make an edge worth another look.
    rows: Vec<bool>,
    symbols: Vec<bool>,
    /// Live, loaded blocks with such edges.
    blocks: Vec<bool>,
    /// How much memory the code takes up at most, where that is asked for.
    pub(super) code_size: u64,
}

impl Survey {
    /// Relaxes what can be relaxed, and looks at the rest.
    pub(in crate::link) fn new(graph: &mut LinkGraph<'_>) -> Survey {
        let classes: Vec<RowClass> = graph.rows.rows().iter().map(RowClass::of).collect();
        let (rows, symbols) = filters(graph, &classes);
        let code_size = match graph.target.arch.info().direct_call_reach() {
            Some(_) => code_size(graph),
            None => 0,
        };
        let mut survey = Survey { classes, rows, symbols, blocks: vec![false; graph.blocks.len()], code_size };
        let is_relaxable = |row: &Reloc| row.is_relaxable() && row.refusal().is_none();
        let relaxable: Vec<bool> = graph.rows.rows().iter().map(is_relaxable).collect();
        let first = First { graph, survey: &survey, relaxable: &relaxable };
        let count = graph.blocks.len();
        let found: Vec<Found> = match graph.threads > 1 {
            true => {
                let starts = (0..count).into_par_iter().step_by(BLOCKS);
                starts.map(|start| first.blocks(start..count.min(start + BLOCKS))).collect()
            }
            false => vec![first.blocks(0..count)],
        };
        for part in found {
            part.again.into_iter().for_each(|block| survey.blocks[block.index()] = true);
            part.relaxed.into_iter().for_each(|(index, edge)| graph.edges[index] = edge);
        }
        survey
    }

    /// Whether a block holds edges that are worth another look.
    pub(super) fn holds(&self, block: BlockId) -> bool {
        self.blocks.get(block.index()).copied().unwrap_or(false)
    }

    /// Whether an edge of a near block may mean more than a plain address inside the batch, and symbols that came later do not.
    pub(super) fn looks_at(&self, edge: &Edge) -> bool {
        let symbol = self.symbols.get(edge.target.index()).copied().unwrap_or(false);
        symbol || self.rows[usize::from(edge.row)] || asks_for_more(edge)
    }
}

/// What the first look at some edges found.
#[derive(Default)]
struct Found {
    /// Blocks with edges that are worth another look.
    again: Vec<BlockId>,
    /// Edges that became others, by their place in the graph.
    relaxed: Vec<(usize, Edge)>,
}

/// The first look.
struct First<'f, 'a> {
    graph: &'f LinkGraph<'a>,
    survey: &'f Survey,
    /// By row.
    relaxable: &'f [bool],
}

impl First<'_, '_> {
    fn blocks(&self, blocks: Range<usize>) -> Found {
        let graph = self.graph;
        let mut found = Found::default();
        for id in blocks.map(BlockId::new) {
            let block = graph.block(id);
            let section = graph.section(block.section);
            if !graph.is_live(id) || !section.is_loaded() {
                continue;
            }
            let is_code = section.protection == Protection::ReadExecute;
            let all = block.edge_range();
            let again = if graph.threads > 1 && all.len() >= 2 * TASK {
                let parts = all.clone().into_par_iter().step_by(TASK).map(|start| {
                    let mut relaxed = Vec::new();
                    (self.edges(id, is_code, start..all.end.min(start + TASK), &mut relaxed), relaxed)
                });
                let parts: Vec<_> = parts.collect();
                parts.into_iter().fold(false, |again, (one, mut relaxed)| {
                    found.relaxed.append(&mut relaxed);
                    again | one
                })
            } else {
                self.edges(id, is_code, all, &mut found.relaxed)
            };
            if again || section.residence != Residence::Near && block.edge_count > 0 {
                found.again.push(id);
            }
        }
        found
    }

    /// Whether any of the edges is worth another look.
    fn edges(&self, id: BlockId, is_code: bool, edges: Range<usize>, relaxed: &mut Vec<(usize, Edge)>) -> bool {
        let mut again = false;
        for index in edges {
            let mut edge = self.graph.edges[index];
            if is_code && edge.subject == Subject::GotSlot && self.relaxable[usize::from(edge.row)] {
                relax(self.graph, id, &mut edge);
                if edge != self.graph.edges[index] {
                    relaxed.push((index, edge));
                }
            }
            again |= self.survey.looks_at(&edge);
        }
        again
    }
}

/// Which rows, and which symbols, make an edge worth a look.
fn filters(graph: &LinkGraph<'_>, classes: &[RowClass]) -> (Vec<bool>, Vec<bool>) {
    let short_calls = graph.target.arch.info().direct_call_reach().is_some();
    let by_row = graph.rows.rows().iter().zip(classes);
    let row = |(row, class): (&Reloc, &RowClass)| class.matters || short_calls && row.subject() == Subject::Callee;
    let symbol = |symbol: &Symbol<'_>| {
        let special = symbol.kind == SymbolKind::ThreadLocal;
        special
            || match symbol.value {
                Value::Block { block, .. } => {
                    residence(graph, block) != Residence::Near || is_thread_local(graph, block)
                }
                _ => true,
            }
    };
    (by_row.map(row).collect(), graph.symbols.iter().map(symbol).collect())
}

/// Gives a reference its shorter form, where there is one.
fn relax(graph: &LinkGraph<'_>, id: BlockId, edge: &mut Edge) {
    let symbol = graph.symbol(edge.target);
    let plain = symbol.kind != SymbolKind::ThreadLocal;
    let inside = !matches!(symbol.value, Value::Absolute(_));
    if !plain || !inside || is_apart(graph, edge.target, residence(graph, id)) {
        return;
    }
    let row = graph.rows.row(edge.row);
    let site = CodeSite { block: graph.block(id).content.bytes(), start: 0, edge: *edge, row, target: None };
    let Some(relaxed) = graph.target.arch.relax(&site) else { return };
    if relaxed.offset as usize + graph.rows.row(relaxed.row).field().bytes() <= site.block.len() {
        (edge.offset, edge.row, edge.addend) = (relaxed.offset, relaxed.row, relaxed.addend);
        edge.subject = Subject::Symbol;
    }
}
