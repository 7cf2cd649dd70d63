//! Lowering: edges that ask for more than a symbol's address get what they ask for.
//!
//! A GOT reference is relaxed where its target is near, or gets a slot. A call out of reach gets a stub. A direct reference out
//! of reach is moved out of line where the architecture can do that. Slots and stubs are shared by all of the batch, keyed by
//! what they are for. After this phase every edge of a live, loaded block means a plain address (a call, that of its callee).
//!
//! It runs when memory is reserved and nothing is laid out yet: what counts as near is the region in which the batch will lie,
//! so no decision depends on where in it a block ends up, and no second round is needed.

mod demand;
mod far;
mod reasons;
mod survey;
mod tables;
mod thread_locals;
mod thunks;
mod unwind_tables;

pub(super) use thunks::{Islands, insert_thunks};

use super::synthetic::Synthetic;
use crate::addr::{Addr, AddrRange};
use crate::arch::{CodeSite, StubKind};
use crate::error::LinkError;
use crate::graph::{BlockId, Edge, LinkGraph, Protection, Residence, SymbolId, SymbolKind, Value};
use crate::reloc::{Base, Reloc, Subject};
pub(super) use demand::{Demand, demand};
use rayon::prelude::*;
pub(super) use reasons::Explainer;
pub(super) use survey::Survey;
use tables::Tables;
pub(super) use tables::provide_got;
pub(super) use thread_locals::{Accesses, Variable, is_thread_local};

/// How many blocks with edges to look at are worth a task.
const BLOCKS: usize = 1 << 10;

/// The outcome of lowering that later phases need.
#[derive(Debug, Default)]
pub(super) struct Lowered {
    /// The GOT's first slot, if the batch has a GOT.
    pub(super) got: Option<BlockId>,
    /// GOT slots in order.
    pub(super) slots: Vec<Slot>,
    /// Stubs in order: what each is for, its own symbol, its kind.
    pub(super) stubs: Vec<(SymbolId, SymbolId, StubKind)>,
    /// How thread-local variables are found.
    pub(super) thread_locals: Accesses,
}

/// A pointer-sized place in the GOT.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// What it is for.
    pub(super) target: SymbolId,
    /// Its own symbol.
    pub(super) symbol: SymbolId,
    /// What of the target it holds.
    pub(super) content: Subject,
}

/// Lowers all edges of live, loaded blocks, for where the batch will lie, and whether its thread-local variables will be at one
/// distance from the thread pointer. All errors are collected.
pub(super) fn lower(
    graph: &mut LinkGraph<'_>,
    synthetic: &mut Synthetic,
    (region, fixed): (AddrRange, bool),
    survey: &Survey,
) -> Result<Lowered, Vec<LinkError>> {
    let Some(pointer_row) = graph.target.pointer_row() else {
        let (arch, bytes) = (graph.target.arch.info().name(), graph.target.pointer_bytes);
        return Err(vec![LinkError::Request(format!("{arch} has no relocation row for pointers of {bytes} bytes"))]);
    };
    let tables = Tables::new(graph, pointer_row);
    let (far, accesses, own_module) = (Vec::new(), Accesses::default(), None);
    let relaxes_descriptors = fixed && thread_locals::relaxes_descriptors(graph, survey);
    let mut lowering =
        Lowering { graph, synthetic, tables, survey, region, fixed, relaxes_descriptors, far, accesses, own_module };
    let mut errors = Vec::new();
    for (block, index) in (Look { graph: lowering.graph, survey, region }).unsettled() {
        let section = lowering.graph.section(lowering.graph.block(block).section);
        let is_code = section.protection == Protection::ReadExecute;
        errors.extend(lowering.edge(block, index as usize, is_code).err());
    }
    let Lowering { graph, synthetic, mut tables, far, accesses, .. } = lowering;
    far::lower(graph, synthetic, &mut tables, far, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Lowered { thread_locals: accesses, ..tables.finish(graph, synthetic) })
}

/// A look at edges that changes nothing.
#[derive(Clone, Copy)]
struct Look<'l, 'a> {
    graph: &'l LinkGraph<'a>,
    survey: &'l Survey,
    /// Where the batch will lie.
    region: AddrRange,
}

impl Look<'_, '_> {
    /// The surveyed edges that do not mean a plain address as they are, now that it is known what is near: most calls of what is
    /// outside do.
    fn unsettled(self) -> Vec<(BlockId, u32)> {
        let rest = |&(block, edges): &(BlockId, &[u32])| {
            let is_near = residence(self.graph, block) == Residence::Near;
            let settled = move |index: &u32| is_near && self.is_settled(block, *index as usize);
            edges.iter().copied().filter(move |index| !settled(index)).map(|index| (block, index)).collect::<Vec<_>>()
        };
        let blocks: Vec<_> = self.survey.again().collect();
        match self.graph.threads > 1 {
            true => blocks.par_iter().with_min_len(BLOCKS).flat_map_iter(rest).collect(),
            false => blocks.iter().flat_map(rest).collect(),
        }
    }

    /// Whether an edge of near code or data is an address in reach, or a call of one, whatever its callee expects.
    fn is_settled(&self, block: BlockId, index: usize) -> bool {
        let graph = self.graph;
        let edge = graph.edges[index];
        let Value::Absolute(at) = graph.symbol(edge.target).value else { return false };
        let row = graph.rows.row(edge.row);
        if asks_for_more(&edge)
            || row.refusal().is_some()
            || graph.symbol(edge.target).kind == SymbolKind::ThreadLocal
            || counts_from_got(graph, row)
            || self.is_far(&edge, row, Residence::Near)
        {
            return false;
        }
        if edge.subject != Subject::Callee {
            return true;
        }
        let site = CodeSite { block: graph.block(block).content.bytes(), start: 0, edge, row, target: Some(Addr(at)) };
        let form = graph.target.arch.call(&site, graph.symbol(graph.canonical(edge.target)).other);
        form.entry == 0 && !form.always
    }

    /// Whether an edge of what has the given residence may not reach its target.
    fn is_far(&self, edge: &Edge, row: &Reloc, from: Residence) -> bool {
        self.survey.classes[usize::from(edge.row)].narrow
            && match self.graph.symbol(edge.target).value {
                Value::Absolute(at) => from != Residence::Near || !reaches(row, self.region, Addr(at), edge.addend),
                // Absolute references limit where all of the batch may lie; relative ones do not cross.
                _ => row.base() != Base::Zero && is_apart(self.graph, edge.target, from),
            }
    }
}

/// The state of the phase.
struct Lowering<'l, 'a> {
    graph: &'l mut LinkGraph<'a>,
    synthetic: &'l mut Synthetic,
    tables: Tables,
    survey: &'l Survey,
    /// Where the batch will lie.
    region: AddrRange,
    /// Whether the batch's thread-local variables will be at the same distance from the thread pointer in every thread.
    fixed: bool,
    /// Whether code then does without descriptors of them.
    relaxes_descriptors: bool,
    /// Direct references out of reach: block, index of the edge, whether the block is code. Edges change when code is moved out
    /// of line, so that waits until all are seen.
    far: Vec<(BlockId, u32, bool)>,
    /// How thread-local variables are found.
    accesses: Accesses,
    /// The variable whose slot tells the number of the batch's thread-local block.
    own_module: Option<SymbolId>,
}

impl Lowering<'_, '_> {
    fn edge(&mut self, block: BlockId, index: usize, is_code: bool) -> Result<(), LinkError> {
        let mut edge = self.graph.edges[index];
        let row = *self.graph.rows.row(edge.row);
        if row.base() == Base::Section && edge.subject == Subject::Symbol && self.is_thread_local(edge.target) {
            // Each thread's copy of the section is all that it counts from.
            edge.subject = Subject::TlsOffset;
            self.graph.edges[index] = edge;
        }
        self.check_supported(block, &edge, &row)?;
        match edge.subject {
            Subject::Symbol | Subject::Callee => self.direct(block, index, &row, is_code)?,
            Subject::GotSlot => self.got_slot(index),
            subject if subject.is_thread_local() => self.thread_local(block, index)?,
            _ => {}
        }
        if edge.subject == Subject::GotBase || counts_from_got(self.graph, &row) {
            self.tables.need_got(self.graph, self.synthetic);
        }
        Ok(())
    }

    /// Refuses by name what cannot be served.
    fn check_supported(&self, block: BlockId, edge: &Edge, row: &Reloc) -> Result<(), LinkError> {
        let (what, advice) = if let Some(why) = row.refusal() {
            (why, "compile for static linking: relocatable objects only")
        } else {
            match edge.subject {
                Subject::Size if self.graph.external.contains(&self.graph.canonical(edge.target)) => (
                    "the size of a symbol outside the batch is not known",
                    "link the object that defines it with this one",
                ),
                Subject::Nothing | Subject::GotBase | Subject::Size => return Ok(()),
                Subject::Symbol | Subject::Callee | Subject::GotSlot if self.is_thread_local(edge.target) => {
                    thread_locals::NO_ADDRESS
                }
                _ => return Ok(()),
            }
        };
        Err(unsupported(self.graph, block, edge, what.into(), advice))
    }

    fn is_thread_local(&self, symbol: SymbolId) -> bool {
        match self.graph.symbol(symbol).value {
            Value::Block { block, .. } => is_thread_local(self.graph, block),
            _ => self.graph.symbol(symbol).kind == SymbolKind::ThreadLocal,
        }
    }

    /// The target's address, where it is outside the batch.
    fn fixed(&self, edge: &Edge) -> Option<Addr> {
        match self.graph.symbol(edge.target).value {
            Value::Absolute(address) => Some(Addr(address)),
            _ => None,
        }
    }

    /// A plain address or a call: a stub for calls that cannot reach.
    fn direct(&mut self, block: BlockId, index: usize, row: &Reloc, is_code: bool) -> Result<(), LinkError> {
        let edge = self.graph.edges[index];
        let look = Look { graph: self.graph, survey: self.survey, region: self.region };
        let is_far = look.is_far(&edge, row, residence(look.graph, block));
        if edge.subject == Subject::Callee {
            return self.call(block, index, row, (is_far, is_code));
        }
        if is_far {
            self.far.push((block, index as u32, is_code));
        }
        self.graph.edges[index].subject = Subject::Symbol;
        Ok(())
    }

    /// A call: to its callee, or through a stub.
    fn call(
        &mut self,
        block: BlockId,
        index: usize,
        row: &Reloc,
        (is_far, is_code): (bool, bool),
    ) -> Result<(), LinkError> {
        let edge = self.graph.edges[index];
        let target = self.graph.canonical(edge.target);
        let bytes = self.graph.block(block).content.bytes();
        let site = CodeSite { block: bytes, start: 0, edge, row, target: self.fixed(&edge) };
        let form = self.graph.target.arch.call(&site, self.graph.symbol(target).other);
        if !is_far && !form.always {
            let direct = &mut self.graph.edges[index];
            direct.addend = direct.addend.wrapping_add(form.entry);
            direct.subject = Subject::Symbol;
            if is_code && self.may_fall_short(block, &edge, row) {
                self.far.push((block, index as u32, is_code));
            }
            return Ok(());
        }
        let (kind, own_row) = form
            .stub
            .map_err(|why| unsupported(self.graph, block, &edge, why.into(), "compile it without this optimisation"))?;
        let from = residence(self.graph, block);
        let stub = self.tables.stub(self.graph, self.synthetic, target, (kind, from));
        let through = &mut self.graph.edges[index];
        (through.target, through.subject) = (stub, Subject::Symbol);
        if let Some(row) = own_row {
            through.row = row;
        }
        Ok(())
    }

    /// Whether a branch inside the batch may not reach its target, nor a thunk for it: thunks stand as far apart as the machine's
    /// calls reach, and some branches reach less.
    fn may_fall_short(&self, block: BlockId, branch: &Edge, row: &Reloc) -> bool {
        let Some(reach) = self.graph.target.arch.info().direct_call_reach() else { return false };
        let is_elsewhere = match self.graph.symbol(branch.target).value {
            Value::Block { block: target, .. } => target != block,
            _ => false,
        };
        let is_short = |(_, max): (i128, i128)| max + 1 < i128::from(reach) && max < i128::from(self.survey.code_size);
        row.base() == Base::Place && is_elsewhere && row.limits().is_some_and(is_short)
    }

    /// The slot of a GOT reference that nothing shorter could take the place of.
    fn got_slot(&mut self, index: usize) {
        let target = self.graph.canonical(self.graph.edges[index].target);
        let slot = self.tables.slot(self.graph, self.synthetic, target);
        let edge = &mut self.graph.edges[index];
        (edge.target, edge.subject) = (slot, Subject::Symbol);
    }
}

/// Whether the value fits wherever in the region the place (or the base of the GOT) will be.
fn reaches(row: &Reloc, region: AddrRange, target: Addr, addend: i64) -> bool {
    let (Some((min, max)), None) = (row.limits(), row.formula()) else { return true };
    let value = i128::from(target.0) + i128::from(addend);
    let fits = |value: i128| {
        // Differences are taken modulo 2^64, as the machine does.
        let wrapped = i128::from(value as u64 as i64);
        (min..=max).contains(&wrapped)
    };
    match row.base() {
        Base::Zero => fits(value),
        Base::Place | Base::Got | Base::Image | Base::Section => {
            fits(value - i128::from(region.start.0)) && fits(value - i128::from(region.last.0))
        }
        Base::PlacePage => {
            let page = |address: i128| address & !0xfff;
            let from = |place: Addr| fits(page(value) - page(place.0.into()));
            from(region.start) && from(region.last)
        }
        _ => true,
    }
}

/// Whether the row counts from the GOT's base, or from one that lies with the GOT.
fn counts_from_got(graph: &LinkGraph<'_>, row: &Reloc) -> bool {
    match row.base() {
        Base::Got => true,
        Base::Anchor(_) => graph.target.arch.info().has_gathered_got(),
        _ => false,
    }
}

/// Whether the edge means more than an address whatever its row says: a pass may have changed its subject.
fn asks_for_more(edge: &Edge) -> bool {
    !matches!(edge.subject, Subject::Symbol | Subject::Callee)
}

/// Where a block is placed.
fn residence(graph: &LinkGraph<'_>, block: BlockId) -> Residence {
    graph.section(graph.block(block).section).residence
}

/// Whether a symbol of the batch lies apart from what has the given residence: sections of the large code models may be
/// anywhere, from near ones and from each other's kinds.
fn is_apart(graph: &LinkGraph<'_>, symbol: SymbolId, from: Residence) -> bool {
    match graph.symbol(symbol).value {
        Value::Block { block, .. } => residence(graph, block) != from,
        _ => false,
    }
}

fn unsupported(graph: &LinkGraph<'_>, block: BlockId, edge: &Edge, what: String, advice: &str) -> LinkError {
    LinkError::Unsupported { site: Box::new(graph.site(block, edge)), what, advice: advice.into() }
}
