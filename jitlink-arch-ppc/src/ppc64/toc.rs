//! The TOC: pointers and small constants that code reaches from the base in `r2`.
//!
//! Objects bring their part of it along in sections named `.toc`, with room for what the linker adds (the GOT), and compute the
//! base as `.TOC.`: 32 KiB past the start, so that 16 signed bits reach 64 KiB of it (ELFv2 ABI, "TOC Pointer Usage"). Code of the
//! small model reaches no more. Code of the medium and large models uses two instructions for up to 2 GiB, and reaches
//! data from the same base directly.
//!
//! Where the parts that code of the small model uses are longer than that, they are grouped ([`super::groups`]), and each group has
//! a base of its own.
//!
//! So the GOT and all `.toc` sections lie together, the GOT first, then those that code of the small model uses. They are written
//! by the linker only, and are constants to the program.

use super::groups::Groups;
use jitlink_core::Addr;
use jitlink_core::graph::{Block, BlockId, LinkGraph, ObjectBuilder, Protection, SectionId};
use jitlink_core::link::PassContext;

/// The anchor that stands for the TOC base.
pub(crate) const TOC: u8 = 0;
/// How far the base lies past the start.
pub(super) const BIAS: u64 = 0x8000;
/// The sections.
pub(super) const NAME: &[u8] = b".toc";

/// The sort key of those that code of the small model uses. The GOT's is zero.
pub(super) const SHORT_KEY: u32 = 1;
/// Relocations whose 16 bits hold the whole distance from the base: TOC16, TOC16_DS, and the same of what the linker adds.
const SHORT: [u32; 8] = [14, 47, 58, 63, 79, 83, 87, 91];

/// Says of an object's `.toc` sections where they go.
pub(super) fn place(object: &mut ObjectBuilder<'_, '_>) {
    let graph = object.graph();
    let tocs = object.own_sections().filter(|(_, section)| section.name == NAME);
    let sections: Vec<SectionId> = tocs.map(|(id, _)| id).collect();
    if sections.is_empty() {
        return;
    }
    let is_short = |row: u16| SHORT.contains(&graph.rows().row(row).raw());
    let blocks = object.own_sections().flat_map(|(id, _)| graph.blocks_of(id));
    let short = { blocks }.flat_map(|(id, _)| graph.edges(id)).any(|edge| is_short(edge.row));
    for id in sections {
        let section = object.section_mut(id);
        (section.gathered, section.protection) = (true, Protection::Read);
        section.sort_key = if short { SHORT_KEY } else { SHORT_KEY + 1 };
    }
}

/// Resolves the TOC base for all blocks.
pub(super) fn resolve(graph: &mut LinkGraph<'_>, context: &PassContext<'_>, groups: &Groups) -> Result<(), String> {
    // Whoever counts from the base has made the linker provide a GOT.
    let base = graph.got().and_then(|got| context.address(got)).map(|start| start + BIAS).unwrap_or_default();
    let first =
        |group: &Option<BlockId>| group.and_then(|start| context.address(start)).map_or(Addr(0), |at| at + BIAS);
    let later: Vec<Addr> = groups.starts.iter().map(first).collect();
    let of_block = |block: &Block<'_>| match groups.of(graph.section(block.section).object) {
        0 => base,
        group => later[group - 1],
    };
    let bases = graph.blocks().map(|(_, block)| of_block(block)).collect();
    graph.set_anchor(TOC, bases);
    Ok(())
}
