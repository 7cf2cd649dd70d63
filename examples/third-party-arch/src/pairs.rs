//! Lower halves that name the label of their upper half (psABI, "PC-Relative Symbol Addresses").
//!
//! ```text
//! label: auipc a0, %pcrel_hi(target)      R_RISCV_PCREL_HI20    target + A
//!        addi  a0, a0, %pcrel_lo(label)   R_RISCV_PCREL_LO12_I  label
//! ```
//!
//! The lower half belongs to the distance from the *upper* half to the target. Once the edge of the lower half names the target
//! itself, with the distance between the two instructions in its addend, it is an edge like any other: it keeps the target
//! alive, and lowering gives both halves the same GOT slot. So this stands before everything else.

use crate::relocs::{LOWER_HALVES, UPPER_HALVES};
use jitlink_core::graph::{BlockId, Edge, LinkGraph, Value};
use std::collections::HashMap;

/// Points each lower half to what its upper half refers to.
pub(crate) fn join(graph: &mut LinkGraph<'_>) -> Result<(), String> {
    let rows_of = |raws: &[u32]| raws.iter().filter_map(|raw| Some(graph.rows().by_raw(*raw)?.0)).collect::<Vec<u16>>();
    let (upper_rows, lower_rows) = (rows_of(&UPPER_HALVES), rows_of(&LOWER_HALVES));
    let blocks: Vec<BlockId> = graph.blocks().map(|(id, _)| id).collect();
    let mut uppers: HashMap<u32, Edge> = HashMap::new();
    for block in blocks {
        uppers.clear();
        let edges = graph.edges(block).iter();
        uppers.extend(edges.filter(|edge| upper_rows.contains(&edge.row)).map(|edge| (edge.offset, *edge)));
        for index in 0..graph.edges(block).len() {
            let lower = graph.edges(block)[index];
            if !lower_rows.contains(&lower.row) {
                continue;
            }
            let upper = match graph.symbol(lower.target).value {
                Value::Block { block: labelled, offset } if labelled == block => {
                    u32::try_from(offset).ok().and_then(|offset| uppers.get(&offset))
                }
                _ => None,
            };
            let Some(upper) = upper.filter(|_| lower.addend == 0) else {
                return Err(format!("{}: its symbol is not the label of an upper half", graph.site(block, &lower)));
            };
            let between = i64::from(lower.offset) - i64::from(upper.offset);
            let addend = upper.addend.wrapping_add(between);
            graph.edges_mut(block)[index] = Edge { target: upper.target, subject: upper.subject, addend, ..lower };
        }
    }
    Ok(())
}
