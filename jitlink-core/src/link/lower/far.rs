//! Direct references that cannot reach their target: a stub for calls, out-of-line code for the rest.

use super::super::synthetic::Synthetic;
use super::tables::Tables;
use super::unwind_tables::UnwindTables;
use super::{residence, unsupported};
use crate::addr::Addr;
use crate::arch::{CodeSite, Outlined, StubKind};
use crate::error::LinkError;
use crate::graph::{BlockId, Content, Edge, LinkGraph, Protection, Section, SymbolId, SymbolKind, Value};
use crate::reloc::{Base, Reloc, Subject};
use hashbrown::HashMap;

/// What to do when nothing else helps.
const ADVICE: &str = "compile with -fPIC (or -mcmodel=large), so that the compiler reaches it through the GOT";

/// Lowers the edges in `far`: block, index of the edge, and whether the block is code.
pub(super) fn lower(
    graph: &mut LinkGraph<'_>,
    synthetic: &mut Synthetic,
    tables: &mut Tables,
    far: Vec<(BlockId, u32, bool)>,
    errors: &mut Vec<LinkError>,
) {
    // Where known instructions start in each block that is looked at.
    let mut starts: HashMap<BlockId, Vec<u32>> = HashMap::new();
    if !far.is_empty() {
        starts.extend(far.iter().map(|(block, ..)| (*block, Vec::new())));
        for symbol in &graph.symbols {
            if let Value::Block { block, offset } = symbol.value
                && let Some(known) = starts.get_mut(&block)
            {
                known.extend(u32::try_from(offset).ok());
            }
        }
        starts.values_mut().for_each(|known| known.sort_unstable());
    }
    let mut unwind_tables = UnwindTables::default();
    for (block, index, is_code) in far {
        let edge = graph.edges[index as usize];
        let known = &starts[&block];
        let start = known[..known.partition_point(|&start| start <= edge.offset)].last().copied().unwrap_or(0);
        let row = *graph.rows.row(edge.row);
        // Unknown for what lies in the batch, but apart from its short references.
        let target = match graph.symbol(edge.target).value {
            Value::Absolute(address) => Some(Addr(address)),
            _ => None,
        };
        let arch = graph.target.arch;
        let site = CodeSite { block: graph.block(block).content.bytes(), start, edge, row: &row, target };
        if is_code && arch.is_branch(&site) {
            let (called, from) = (graph.canonical(edge.target), residence(graph, block));
            graph.edges[index as usize].target = tables.stub(graph, synthetic, called, (StubKind::Plt, from));
            continue;
        }
        if is_in_image(&row, &edge, graph) {
            // In an image a function outside is the code in it that goes there.
            let (called, from) = (graph.canonical(edge.target), residence(graph, block));
            graph.edges[index as usize].target = tables.stub(graph, synthetic, called, (StubKind::Plt, from));
            continue;
        }
        let applied = match is_code {
            true => arch.outline(&site).and_then(|moved| move_out(graph, synthetic, block, index as usize, moved)),
            false => unwind_tables.make_indirect(graph, synthetic, tables, block, index as usize),
        };
        if let Err(why) = applied {
            let at =
                target.map_or_else(|| "in a section of the large code model".into(), |target| format!("at {target}"));
            let what = format!("the target {at} is out of reach of this field: {why}");
            errors.push(unsupported(graph, block, &edge, what, ADVICE));
        }
    }
}

/// Whether a reference counts from the image's base to something that may be a function: not to a place in it, nor to data.
fn is_in_image(row: &Reloc, edge: &Edge, graph: &LinkGraph<'_>) -> bool {
    row.base() == Base::Image && edge.addend == 0 && graph.symbol(edge.target).kind != SymbolKind::Object
}

/// Replaces the instruction by a jump to its out-of-line form.
fn move_out(
    graph: &mut LinkGraph<'_>,
    synthetic: &mut Synthetic,
    block: BlockId,
    index: usize,
    outlined: Outlined,
) -> Result<(), String> {
    let edge = graph.edges[index];
    let replaced = outlined.offset..outlined.offset + outlined.patch.len() as u32;
    let range = graph.block(block).edge_range();
    let shared = graph.edges[range].iter().filter(|other| replaced.contains(&other.offset)).count();
    if shared > 1 {
        return Err("the instruction has another relocation".into());
    }
    let Some(bytes) = graph.blocks[block.index()].content.to_mut() else { return Err("the block is empty".into()) };
    let Some(place) = bytes.get_mut(replaced.start as usize..replaced.end as usize) else {
        return Err("the instruction runs past the end of its block".into());
    };
    place.copy_from_slice(&outlined.patch);

    let mut section = Section::new(b".outlined", synthetic.object(graph));
    (section.protection, section.residence) = (Protection::ReadExecute, residence(graph, block));
    // Where instructions have one length, that is also what they are aligned to.
    let align_log2 = graph.target.arch.info().trap_bytes().len().trailing_zeros() as u8;
    let code = synthetic.add(graph, section, Content::Owned(outlined.code.into()), align_log2);
    let entry = synthetic.symbol(graph, code, 0);
    let home = synthetic.symbol(graph, block, 0);
    let fixup = |target: SymbolId| {
        move |&(offset, row, addend): &(u32, u16, i64)| Edge { offset, target, addend, row, subject: Subject::Symbol }
    };
    let to_target = outlined.target_fixups.iter().map(fixup(edge.target));
    let back = outlined.block_fixups.iter().map(fixup(home));
    let edges: Vec<Edge> = to_target.chain(back).collect();
    synthetic.set_edges(graph, code, edges);
    let (offset, addend) = (outlined.offset + outlined.jump.0, outlined.jump.1);
    graph.edges[index] = Edge { offset, target: entry, addend, row: outlined.jump_row, subject: Subject::Symbol };
    Ok(())
}
