//! What a batch will need before it is lowered: where it may lie, and room for what lowering adds.

use super::unwind_tables::UnwindTables;
use super::{Survey, is_apart, residence};
use crate::addr::{Addr, AddrRange};
use crate::arch::StubKind;
use crate::graph::{Block, BlockId, LinkGraph, Protection, Residence, Value};
use crate::reloc::{Base, Reloc, Subject};

/// Where the batch may lie, given the narrow absolute references that it holds; and how many bytes slots, stubs and
/// out-of-line code can take at most.
pub(in crate::link) struct Demand {
    pub(in crate::link) range: AddrRange,
    pub(in crate::link) code: u64,
    /// As `code`, for what stands with far code.
    pub(in crate::link) far_code: u64,
    pub(in crate::link) slots: u64,
    /// As `slots`, for what stands with far code.
    pub(in crate::link) far_slots: u64,
    /// The relocation that limits the range, for errors.
    pub(in crate::link) limited_by: Option<(BlockId, usize)>,
}

/// How much out-of-line code one reference can take at most.
const OUTLINE_BYTES: u64 = 128;

/// Looks over the edges that mean more than a plain address for what they will need.
pub(in crate::link) fn demand(graph: &LinkGraph<'_>, survey: &Survey) -> Demand {
    // What the machine has addresses for.
    let range = match graph.target.pointer_bytes {
        4 => AddrRange { start: Addr(0), last: Addr(u32::MAX.into()) },
        _ => AddrRange::ALL,
    };
    let mut demand = Demand { range, code: 0, far_code: 0, slots: 0, far_slots: 0, limited_by: None };
    let forms = (0..graph.target.arch.info().stub_form_count()).map(StubKind::Form);
    let kinds = [StubKind::Plt, StubKind::Thunk].into_iter().chain(forms);
    let templates = kinds.filter_map(|kind| graph.target.arch.stub(kind));
    // A stub, the space to the next, and the space before the first of its block.
    let stub_bytes = templates.map(|stub| stub.code().len() as u64 + 2 * stub.align()).max().unwrap_or(0);
    let mut calls = 0u64;
    let mut counted = vec![0u8; graph.symbols.len()];
    let mut unwind_tables = UnwindTables::default();
    for (id, edges) in survey.again() {
        let block = graph.block(id);
        let mut is_far = false;
        let from = residence(graph, id);
        let is_code = graph.section(block.section).protection == Protection::ReadExecute;
        for &index in edges {
            let edge = &graph.edges[index as usize];
            let class = &survey.classes[usize::from(edge.row)];
            let symbol = &graph.symbols[edge.target.index()];
            let inside = !matches!(symbol.value, Value::Absolute(_));
            // An unwind table whose target is out of reach names a slot of the batch instead.
            let mut slot_inside = |range: &AddrRange| match symbol.value {
                Value::Absolute(value) if !is_code && edge.subject == Subject::Symbol => {
                    !range.contains(Addr(value), 1) && unwind_tables.are_in(graph, id)
                }
                _ => false,
            };
            if let Some(range) = class.absolute.filter(|range| inside || slot_inside(range))
                && let Some(both) = demand.range.intersect(&range)
                && both != demand.range
            {
                (demand.range, demand.limited_by) = (both, Some((id, (index - block.first_edge) as usize)));
            }
            let may_be_far = !inside || is_apart(graph, edge.target, from);
            if from != Residence::Near && may_be_far {
                demand.far_code += stub_bytes + OUTLINE_BYTES;
            }
            let seen = &mut counted[graph.canonical(edge.target).index()];
            if edge.subject == Subject::GotSlot && *seen & 1 == 0 {
                (demand.slots, *seen) = (demand.slots + 8, *seen | 1);
            }
            if edge.subject.is_thread_local() {
                demand.slots += 16;
                demand.far_slots += if from == Residence::Near { 0 } else { 16 };
            }
            if edge.subject == Subject::Callee && may_be_far && *seen & 2 == 0 {
                (demand.slots, demand.code, *seen) = (demand.slots + 8, demand.code + stub_bytes, *seen | 2);
            }
            if edge.subject == Subject::Symbol && may_be_far && class.narrow {
                (demand.slots, demand.code) = (demand.slots + 8, demand.code + OUTLINE_BYTES + stub_bytes);
                is_far = true;
            }
            calls += u64::from(edge.subject == Subject::Callee);
        }
        if is_far && !is_code {
            // One far type of an unwind table makes all of them indirect.
            demand.slots += 8 * u64::from(block.edge_count);
        }
    }
    // Every call may need a thunk of its own.
    if graph.target.arch.info().direct_call_reach().is_some_and(|reach| code_size(graph) + demand.code >= reach) {
        demand.code += calls * stub_bytes;
    }
    demand
}

/// How much memory the code takes up at most, without what lowering adds.
pub(super) fn code_size(graph: &LinkGraph<'_>) -> u64 {
    let is_code = |block: &Block<'_>| {
        let section = graph.section(block.section);
        section.protection == Protection::ReadExecute && section.is_loaded()
    };
    let live = graph.blocks().filter(|(id, block)| graph.is_live(*id) && is_code(block));
    live.fold(0u64, |sum, (_, block)| sum.saturating_add(block.size()).saturating_add(block.align()))
}

/// What a row means for lowering.
pub(super) struct RowClass {
    /// Targets inside the batch need a look too.
    pub(super) matters: bool,
    /// The value may not fit.
    pub(super) narrow: bool,
    /// Where a target must lie for the value to fit, for absolute rows.
    pub(super) absolute: Option<AddrRange>,
}

impl RowClass {
    /// `has_got` is whether the batch has a GOT already: what counts from it need not be seen to ask for one.
    pub(super) fn of(row: &Reloc, has_got: bool) -> RowClass {
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
            matters: !direct || absolute.is_some() || !has_got && matches!(row.base(), Base::Got | Base::Anchor(_)),
            narrow: limits.is_some(),
            absolute,
        }
    }
}
