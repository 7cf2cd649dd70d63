//! Thunks: calls between far ends of one batch, on machines whose calls reach less than a batch may span.
//!
//! Code is cut into groups much shorter than the reach. Behind each group stands an island, which holds a thunk for each
//! target that a call of the group cannot reach. Islands push code apart, so layout and this pass alternate until nothing is
//! out of reach: islands only grow, and a call once sent through its island stays so, which bounds the rounds.

use super::super::layout::{Layout, lay_out};
use super::super::synthetic::Synthetic;
use crate::arch::StubKind;
use crate::error::LinkError;
use crate::graph::{BlockId, Content, Edge, LinkGraph, Protection, Residence, Section, SymbolId, Value};
use crate::reloc::{Base, Subject};
use hashbrown::HashMap;

/// More rounds than any real program needs; what is left out of reach then is an error of fix-up.
const MAX_ROUNDS: usize = 32;

/// The code segment whose calls are looked at.
const NEAR_CODE: usize = 0;

/// Islands by the block that they follow, in layout order.
#[derive(Debug, Default)]
pub(in crate::link) struct Islands {
    pub(in crate::link) after: HashMap<BlockId, BlockId>,
}

/// Lays out the batch, with thunks where calls cannot reach.
pub(in crate::link) fn insert_thunks(
    graph: &mut LinkGraph<'_>,
    synthetic: &mut Synthetic,
    thunks: &mut Vec<(SymbolId, SymbolId, StubKind)>,
) -> Result<Layout, LinkError> {
    let mut islands = Islands::default();
    let layout = lay_out(graph, &islands)?;
    let info = graph.target.arch.info();
    let (Some(reach), Some(template)) = (info.direct_call_reach(), graph.target.arch.stub(StubKind::Thunk)) else {
        return Ok(layout);
    };
    if layout.extent[NEAR_CODE].0 < reach {
        return Ok(layout);
    }
    // The last block of each block's group.
    let mut group_of: HashMap<BlockId, BlockId> = HashMap::new();
    let order = &layout.order[NEAR_CODE];
    let (mut first, mut start) = (0, 0);
    for (index, &block) in order.iter().enumerate() {
        let end = layout.place(block).map_or(0, |(_, at)| at) + graph.block(block).size();
        let next_end = order.get(index + 1).and_then(|&next| Some(layout.place(next)?.1 + graph.block(next).size()));
        if next_end.is_none_or(|next_end| next_end - start > reach / 4) {
            group_of.extend(order[first..=index].iter().map(|&member| (member, block)));
            (first, start) = (index + 1, end);
        }
    }
    let order = order.clone();
    let stride = (template.code().len() as u64).next_multiple_of(template.align());
    let bias = info.call_addend_bias();
    // Symbols from here on are thunks; where one of them is out of reach, another one will not help.
    let first_thunk = graph.symbols.len();
    let mut known: HashMap<(BlockId, SymbolId, i64), SymbolId> = HashMap::new();
    let mut contents: HashMap<BlockId, Vec<(SymbolId, i64)>> = HashMap::new();
    let mut layout = layout;
    for _ in 0..MAX_ROUNDS {
        let mut changed = false;
        for &block in &order {
            for index in graph.block(block).edge_range() {
                let edge = graph.edges[index];
                if graph.rows.row(edge.row).subject() != Subject::Callee
                    || edge.target.index() >= first_thunk
                    || !is_out_of_reach(graph, &layout, block, &edge)
                {
                    continue;
                }
                let island = *islands.after.entry(group_of[&block]).or_insert_with(|| {
                    let mut section = Section::new(b".thunks", synthetic.object(graph));
                    (section.protection, section.residence) = (Protection::ReadExecute, Residence::Near);
                    let align_log2 = template.align().trailing_zeros() as u8;
                    synthetic.add(graph, section, Content::Owned(Box::default()), align_log2)
                });
                // A call may go to somewhere inside its target: compilers name local functions by section and offset.
                let (target, inside) = (graph.canonical(edge.target), edge.addend.wrapping_sub(bias));
                let thunk = *known.entry((island, target, inside)).or_insert_with(|| {
                    let targets = contents.entry(island).or_default();
                    let thunk = synthetic.symbol(graph, island, targets.len() as u64 * stride);
                    targets.push((target, inside));
                    thunks.push((target, thunk, StubKind::Thunk));
                    thunk
                });
                (graph.edges[index].target, graph.edges[index].addend) = (thunk, bias);
                changed = true;
            }
        }
        if !changed {
            break;
        }
        for (&island, targets) in &contents {
            let mut code = Vec::with_capacity(targets.len() * stride as usize);
            for _ in targets {
                code.extend_from_slice(template.code());
                code.resize((code.len() as u64).next_multiple_of(stride) as usize, 0);
            }
            graph.blocks[island.index()].content = Content::Owned(code.into());
        }
        layout = lay_out(graph, &islands)?;
    }
    let mut filled: Vec<_> = contents.into_iter().collect();
    filled.sort_unstable_by_key(|(island, _)| *island);
    for (island, targets) in filled {
        let edges = targets.iter().enumerate().flat_map(|(index, &(target, inside))| {
            let start = index as u32 * stride as u32;
            template.fixups().iter().map(move |fixup| Edge {
                offset: start + fixup.offset,
                target,
                addend: fixup.addend.wrapping_add(inside),
                row: fixup.row,
                subject: Subject::Symbol,
            })
        });
        let edges: Vec<Edge> = edges.collect();
        synthetic.set_edges(graph, island, edges);
    }
    Ok(layout)
}

/// Whether the call's field cannot hold the distance.
fn is_out_of_reach(graph: &LinkGraph<'_>, layout: &Layout, block: BlockId, edge: &Edge) -> bool {
    let Value::Block { block: target, offset } = graph.symbol(edge.target).value else { return false };
    let (Some((NEAR_CODE, to)), Some((NEAR_CODE, from))) = (layout.place(target), layout.place(block)) else {
        return false;
    };
    let row = graph.rows.row(edge.row);
    let (Some((min, max)), Base::Place) = (row.limits(), row.base()) else { return false };
    let target = i128::from(to) + i128::from(offset) + i128::from(edge.addend);
    !(min..=max).contains(&(target - i128::from(from) - i128::from(edge.offset)))
}
