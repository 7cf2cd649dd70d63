//! Lowering: edges that ask for more than a symbol's address get what they ask for.
//!
//! A GOT reference gets a slot, or is relaxed where its target is near. A call out of reach gets a stub. A direct reference out
//! of reach is moved out of line where the architecture can do that. Slots and stubs are shared by all of the batch, keyed by
//! what they are for. After this phase every edge of a live, loaded block means a plain address.
//!
//! It runs when memory is reserved and nothing is laid out yet: what counts as near is the region in which the batch will lie,
//! so no decision depends on where in it a block ends up, and no second round is needed.

mod far;
mod tables;
mod thunks;
mod unwind_tables;

pub(super) use thunks::{Islands, insert_thunks};

use super::options::LinkOptions;
use super::synthetic::Synthetic;
use crate::addr::{Addr, AddrRange};
use crate::arch::{CodeSite, StubKind};
use crate::error::LinkError;
use crate::graph::{BlockId, Edge, LinkGraph, Linkage, Protection, Scope, Symbol, SymbolId, SymbolKind, Value};
use crate::reloc::{Base, Reloc, Subject};
use tables::Tables;
pub(super) use tables::provide_got;

/// The outcome of lowering that later phases need.
#[derive(Debug, Default)]
pub(super) struct Lowered {
    /// The GOT's first slot, if the batch has a GOT.
    pub(super) got: Option<BlockId>,
    /// GOT slots in order: what each holds, and its own symbol.
    pub(super) slots: Vec<(SymbolId, SymbolId)>,
    /// Stubs in order: what each is for, its own symbol, its kind.
    pub(super) stubs: Vec<(SymbolId, SymbolId, StubKind)>,
}

/// Where the batch may lie, given the narrow absolute references that it holds; and how many bytes slots, stubs and
/// out-of-line code can take at most.
pub(super) struct Demand {
    pub(super) range: AddrRange,
    pub(super) code: u64,
    pub(super) slots: u64,
    /// The relocation that limits the range, for errors.
    pub(super) limited_by: Option<(BlockId, usize)>,
}

/// Which rows, and which symbols, make an edge worth a look: all others mean a plain address inside the batch.
fn filters(graph: &LinkGraph<'_>, classes: &[RowClass], updatable: bool) -> (Vec<bool>, Vec<bool>) {
    let short_calls = graph.target.arch.info().direct_call_reach().is_some();
    let by_row = graph.rows.rows().iter().zip(classes);
    let row = |(row, class): (&Reloc, &RowClass)| {
        updatable || class.matters || short_calls && row.subject() == Subject::Callee
    };
    let symbol = |symbol: &Symbol<'_>| {
        let special = matches!(symbol.kind, SymbolKind::Indirect | SymbolKind::ThreadLocal);
        special || !matches!(symbol.value, Value::Block { .. })
    };
    (by_row.map(row).collect(), graph.symbols.iter().map(symbol).collect())
}

/// How much out-of-line code one reference can take at most.
const OUTLINE_BYTES: u64 = 128;

/// Looks over all live edges for what they will need.
pub(super) fn demand(graph: &LinkGraph<'_>, updatable: bool) -> Demand {
    let mut demand = Demand { range: AddrRange::ALL, code: 0, slots: 0, limited_by: None };
    let stub = [StubKind::Plt, StubKind::Thunk].into_iter().filter_map(|kind| graph.target.arch.stub(kind));
    let stub_bytes = stub.map(|stub| stub.code().len() as u64 + stub.align()).max().unwrap_or(0);
    let classes: Vec<RowClass> = graph.rows.rows().iter().map(RowClass::of).collect();
    let (looks_at_row, looks_at_symbol) = filters(graph, &classes, updatable);
    let mut counted = vec![0u8; graph.symbols.len()];
    for (id, block) in graph.blocks() {
        if !graph.is_live(id) || !graph.section(block.section).is_loaded() {
            continue;
        }
        for (index, edge) in graph.edges[block.edge_range()].iter().enumerate() {
            if !looks_at_row[usize::from(edge.row)] && !looks_at_symbol[edge.target.index()] {
                continue;
            }
            let class = &classes[usize::from(edge.row)];
            let symbol = &graph.symbols[edge.target.index()];
            let inside = !matches!(symbol.value, Value::Absolute(_));
            if let (true, Some(range)) = (inside, class.absolute)
                && let Some(both) = demand.range.intersect(&range)
                && both != demand.range
            {
                (demand.range, demand.limited_by) = (both, Some((id, index)));
            }
            let seen = &mut counted[graph.canonical(edge.target).index()];
            if edge.subject == Subject::GotSlot && *seen & 1 == 0 {
                (demand.slots, *seen) = (demand.slots + 8, *seen | 1);
            }
            if edge.subject == Subject::Callee && (!inside || updatable) && *seen & 2 == 0 {
                (demand.slots, demand.code, *seen) = (demand.slots + 8, demand.code + stub_bytes, *seen | 2);
            }
            if edge.subject == Subject::Symbol && (!inside || updatable) && class.narrow {
                (demand.slots, demand.code) = (demand.slots + 8, demand.code + OUTLINE_BYTES + stub_bytes);
            }
        }
    }
    demand
}

/// What a row means for lowering.
struct RowClass {
    /// Targets inside the batch need a look too.
    matters: bool,
    /// The value may not fit.
    narrow: bool,
    /// Where a target must lie for the value to fit, for absolute rows.
    absolute: Option<AddrRange>,
}

impl RowClass {
    fn of(row: &Reloc) -> RowClass {
        let plain = matches!(row.subject(), Subject::Symbol | Subject::Callee);
        let limits = row.limits();
        // Fields of 8 and 16 bits hold constants in practice; no placement could make addresses fit them.
        let wide = row.field().value_bits() >= 24;
        let absolute = match (row.base(), limits) {
            (Base::Zero, Some((_, max)))
                if wide && row.formula().is_none() && (plain || row.subject() == Subject::GotSlot) =>
            {
                Some(AddrRange { start: Addr(0), last: Addr(max as u64) })
            }
            _ => None,
        };
        let direct = plain && row.refusal().is_none();
        RowClass {
            matters: !direct || absolute.is_some() || row.base() == Base::Got,
            narrow: limits.is_some(),
            absolute,
        }
    }
}

/// Lowers all edges of live, loaded blocks. All errors are collected.
pub(super) fn lower(
    graph: &mut LinkGraph<'_>,
    synthetic: &mut Synthetic,
    region: AddrRange,
    options: &LinkOptions,
) -> Result<Lowered, Vec<LinkError>> {
    let classes: Vec<RowClass> = graph.rows.rows().iter().map(RowClass::of).collect();
    let (looks_at_row, looks_at_symbol) = filters(graph, &classes, options.updatable);
    let Some(pointer_row) = graph.target.pointer_row() else {
        let (arch, bytes) = (graph.target.arch.info().name(), graph.target.pointer_bytes);
        return Err(vec![LinkError::Request(format!("{arch} has no relocation row for pointers of {bytes} bytes"))]);
    };
    let mut tables = Tables::new(graph, pointer_row, options.updatable);
    let mut errors = Vec::new();
    let mut far = Vec::new();
    for block_index in 0..graph.blocks.len() {
        let id = BlockId::new(block_index);
        if !graph.live[block_index] {
            continue;
        }
        let section = &graph.sections[graph.blocks[block_index].section.index()];
        if !section.is_loaded() {
            continue;
        }
        let is_code = section.protection == Protection::ReadExecute;
        for index in graph.blocks[block_index].edge_range() {
            let edge = graph.edges[index];
            if !looks_at_row[usize::from(edge.row)]
                && !looks_at_symbol.get(edge.target.index()).copied().unwrap_or(false)
            {
                continue;
            }
            let target = &graph.symbols[edge.target.index()];
            let fixed = match target.value {
                Value::Absolute(address) => Some(Addr(address)),
                _ => None,
            };
            let class = &classes[usize::from(edge.row)];
            if target.kind == SymbolKind::Indirect && fixed.is_none() && edge.subject != Subject::Nothing {
                let what = "indirect functions (STT_GNU_IFUNC) are not supported".into();
                errors.push(unsupported(graph, id, &edge, what, "build without ifunc and target_clones attributes"));
                continue;
            }
            let row = *graph.rows.row(edge.row);
            if let Some(why) = row.refusal() {
                errors.push(unsupported(
                    graph,
                    id,
                    &edge,
                    why.into(),
                    "compile for static linking: relocatable objects only",
                ));
                continue;
            }
            match edge.subject {
                Subject::Symbol | Subject::Callee => {
                    if is_thread_local(target.kind) {
                        errors.push(thread_local(graph, id, &edge));
                        continue;
                    }
                    let is_call = edge.subject == Subject::Callee;
                    let slotted = options.updatable && is_call && is_replaceable(graph, edge.target);
                    if slotted || is_call && fixed.is_some_and(|at| !reaches(&row, region, at, edge.addend)) {
                        let stub = tables.stub(graph, synthetic, graph.canonical(edge.target));
                        graph.edges[index].target = stub;
                    } else if let Some(at) = fixed
                        && class.narrow
                        && !reaches(&row, region, at, edge.addend)
                    {
                        // Edges move when code is moved out of line, so that waits until all are seen.
                        far.push((id, index as u32, is_code));
                    }
                    graph.edges[index].subject = Subject::Symbol;
                }
                Subject::GotSlot => {
                    let near = fixed.is_none() && !(options.updatable && is_replaceable(graph, edge.target));
                    let relaxed = match row.is_relaxable() && near && is_code {
                        true => relax(graph, id, edge, &row),
                        false => None,
                    };
                    graph.edges[index] = relaxed.unwrap_or_else(|| {
                        let slot = tables.slot(graph, synthetic, graph.canonical(edge.target));
                        Edge { target: slot, subject: Subject::Symbol, ..edge }
                    });
                }
                Subject::GotBase => {
                    tables.need_got(graph, synthetic);
                }
                Subject::Nothing | Subject::Size => {}
                Subject::SectionIndex => {
                    let what = "a section's number has no meaning in memory".into();
                    errors.push(unsupported(graph, id, &edge, what, "link for a format that numbers its sections"));
                }
                _ => errors.push(thread_local(graph, id, &edge)),
            }
            if row.base() == Base::Got {
                tables.need_got(graph, synthetic);
            }
        }
    }
    far::lower(graph, synthetic, &mut tables, far, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(tables.finish(graph, synthetic))
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
        _ => true,
    }
}

/// Whether others see the symbol, so that an update may replace it.
fn is_replaceable(graph: &LinkGraph<'_>, symbol: SymbolId) -> bool {
    let symbol = graph.symbol(graph.canonical(symbol));
    symbol.scope >= Scope::Protected && !symbol.name.is_empty() && symbol.linkage != Linkage::Unique
}

fn relax(graph: &LinkGraph<'_>, block: BlockId, edge: Edge, row: &Reloc) -> Option<Edge> {
    let site = CodeSite { block: graph.block(block).content.bytes(), start: 0, edge, row, target: None };
    let relaxed = graph.target.arch.relax(&site)?;
    let fits = relaxed.offset as usize + graph.rows.row(relaxed.row).field().bytes() <= site.block.len();
    let (offset, row, addend) = (relaxed.offset, relaxed.row, relaxed.addend);
    fits.then_some(Edge { offset, row, addend, subject: Subject::Symbol, ..edge })
}

fn is_thread_local(kind: SymbolKind) -> bool {
    kind == SymbolKind::ThreadLocal
}

fn thread_local(graph: &LinkGraph<'_>, block: BlockId, edge: &Edge) -> LinkError {
    let what = "thread-local storage is not supported".to_string();
    unsupported(
        graph,
        block,
        edge,
        what,
        "build without thread-local variables (_Thread_local, __thread, thread_local)",
    )
}

fn unsupported(graph: &LinkGraph<'_>, block: BlockId, edge: &Edge, what: String, advice: &str) -> LinkError {
    LinkError::Unsupported { site: Box::new(graph.site(block, edge)), what, advice: advice.into() }
}
