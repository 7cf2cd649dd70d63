//! The first look at all edges: which are relaxed, and which lowering has to look at one by one.
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

/// How many blocks, of which most have few edges, or symbols are.
const BLOCKS: usize = 1 << 12;

/// What the first look found.
pub(in crate::link) struct Survey {
    /// By row.
    pub(super) classes: Vec<RowClass>,
    /// Rows, and symbols, that make an edge worth another look.
    rows: Vec<bool>,
    symbols: Vec<bool>,
    /// Such edges of live, loaded blocks, in their order.
    again: Again,
    /// How much memory the code takes up at most, where that is asked for.
    pub(super) code_size: u64,
}

impl Survey {
    /// Relaxes what can be relaxed, and looks at the rest.
    pub(in crate::link) fn new(graph: &mut LinkGraph<'_>) -> Survey {
        let has_got = graph.got().is_some();
        let classes: Vec<RowClass> = graph.rows.rows().iter().map(|row| RowClass::of(row, has_got)).collect();
        let (rows, symbols) = filters(graph, &classes);
        let code_size = match graph.target.arch.info().direct_call_reach() {
            Some(_) => code_size(graph),
            None => 0,
        };
        let mut survey = Survey { classes, rows, symbols, again: Again::default(), code_size };
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
            part.relaxed.into_iter().for_each(|(index, edge)| graph.edges[index] = edge);
            if !part.has_large {
                survey.again.append(part.again);
                continue;
            }
            for (block, edges) in part.again.iter() {
                match edges {
                    [] => survey.again.edges.append(&mut survey.large(graph, block, &relaxable)),
                    _ => survey.again.edges.extend_from_slice(edges),
                }
                survey.again.end(block);
            }
        }
        survey
    }

    /// Relaxes the edges of a large block where they stand; which of them are worth another look.
    fn large(&self, graph: &mut LinkGraph<'_>, block: BlockId, relaxable: &[bool]) -> Vec<u32> {
        let range = graph.block(block).edge_range();
        let start = range.start;
        let mut edges = std::mem::take(&mut graph.edges);
        let first = First { graph, survey: self, relaxable };
        let (is_code, is_near) = (first.is_code(block), residence(graph, block) == Residence::Near);
        let parts = edges[range].par_chunks_mut(TASK).enumerate().map(|(number, part)| {
            let mut again = Vec::new();
            for (index, edge) in part.iter_mut().enumerate() {
                if is_code && first.may_relax(edge) {
                    *edge = relax(graph, block, edge).unwrap_or(*edge);
                }
                if !is_near || self.looks_at(edge) {
                    again.push((start + number * TASK + index) as u32);
                }
            }
            again
        });
        let again: Vec<Vec<u32>> = parts.collect();
        graph.edges = edges;
        again.concat()
    }

    /// The edges that are worth another look, by their blocks; all of those that may lie far.
    pub(super) fn again(&self) -> impl Iterator<Item = (BlockId, &[u32])> {
        self.again.iter()
    }

    /// Whether an edge of a near block may mean more than a plain address inside the batch.
    fn looks_at(&self, edge: &Edge) -> bool {
        let symbol = self.symbols[edge.target.index()];
        symbol || self.rows[usize::from(edge.row)] || asks_for_more(edge)
    }
}

/// Edges of blocks, by their place in the graph.
#[derive(Default)]
struct Again {
    /// Each block with where its edges end, which start where those of the block before end.
    blocks: Vec<(BlockId, u32)>,
    edges: Vec<u32>,
}

impl Again {
    /// Ends the edges of a block, if there are any since the last one.
    fn end(&mut self, block: BlockId) {
        let end = self.edges.len() as u32;
        if end > self.blocks.last().map_or(0, |last| last.1) {
            self.blocks.push((block, end));
        }
    }

    fn append(&mut self, mut other: Again) {
        let base = self.edges.len() as u32;
        self.blocks.extend(other.blocks.into_iter().map(|(block, end)| (block, base + end)));
        self.edges.append(&mut other.edges);
    }

    fn iter(&self) -> impl Iterator<Item = (BlockId, &[u32])> {
        let starts = std::iter::once(0).chain(self.blocks.iter().map(|block| block.1));
        let ranges = self.blocks.iter().zip(starts).map(|(&(block, end), start)| (block, start as usize..end as usize));
        ranges.map(|(block, range)| (block, &self.edges[range]))
    }
}

/// What the first look at some edges found.
#[derive(Default)]
struct Found {
    /// Edges that are worth another look.
    again: Again,
    /// Edges that became others, by their place in the graph.
    relaxed: Vec<(usize, Edge)>,
    /// Blocks with too many edges for one thread are among them, without edges.
    has_large: bool,
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
            if graph.threads > 1 && block.edge_count as usize >= 2 * TASK {
                found.again.blocks.push((id, found.again.edges.len() as u32));
                found.has_large = true;
                continue;
            }
            let (is_code, is_near) = (self.is_code(id), section.residence == Residence::Near);
            for index in block.edge_range() {
                let mut edge = graph.edges[index];
                if is_code
                    && self.may_relax(&edge)
                    && let Some(relaxed) = relax(graph, id, &edge)
                {
                    found.relaxed.push((index, relaxed));
                    edge = relaxed;
                }
                if !is_near || self.survey.looks_at(&edge) {
                    found.again.edges.push(index as u32);
                }
            }
            found.again.end(id);
        }
        found
    }

    fn is_code(&self, block: BlockId) -> bool {
        self.graph.section(self.graph.block(block).section).protection == Protection::ReadExecute
    }

    /// Whether an edge of code asks for a slot that it may do without.
    fn may_relax(&self, edge: &Edge) -> bool {
        edge.subject == Subject::GotSlot && self.relaxable[usize::from(edge.row)]
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
    let symbols = match graph.threads > 1 {
        true => graph.symbols.par_iter().with_min_len(BLOCKS).map(symbol).collect(),
        false => graph.symbols.iter().map(symbol).collect(),
    };
    (by_row.map(row).collect(), symbols)
}

/// A GOT reference in its shorter form, where there is one.
fn relax(graph: &LinkGraph<'_>, id: BlockId, edge: &Edge) -> Option<Edge> {
    let symbol = graph.symbol(edge.target);
    let plain = symbol.kind != SymbolKind::ThreadLocal;
    let inside = !matches!(symbol.value, Value::Absolute(_));
    if !plain || !inside || is_apart(graph, edge.target, residence(graph, id)) {
        return None;
    }
    let row = graph.rows.row(edge.row);
    let site = CodeSite { block: graph.block(id).content.bytes(), start: 0, edge: *edge, row, target: None };
    let short = graph.target.arch.relax(&site)?;
    let fits = short.offset as usize + graph.rows.row(short.row).field().bytes() <= site.block.len();
    let (offset, row, addend) = (short.offset, short.row, short.addend);
    fits.then_some(Edge { offset, row, addend, subject: Subject::Symbol, ..*edge })
}
