//! Addends of GNU as before 2.41.
//!
//! For a symbol that the object itself defines for others, that assembler writes the symbol's offset in its section into the
//! field, besides the addend, and names the symbol in the relocation all the same; in calls it counts the offset in bytes and the
//! rest in instructions. (Its own linker adds the symbol's address to that and gets wrong addresses.) Here the offset is taken
//! away again. Newer versions and LLVM write the addend alone, with the same relocation number, so the assembler must be
//! told apart first:
//!
//! - the numbers 11 and 12 are only the older ones';
//! - a call that would go elsewhere than to its symbol, unless the offset is taken away, is theirs; one that goes to its
//!   symbol as it stands is not;
//! - the same holds for addresses that would lie outside of their variable;
//! - `.comment` names GCC, and up to GCC 12 no newer assembler existed;
//! - objects of GCC without any of these signs are refused.

use super::Code;
use crate::relocs::{CALL_RAW, WIDE_LOAD};
use hashbrown::HashSet;
use jitlink_core::LinkError;
use jitlink_core::graph::{BlockId, Edge, LinkGraph, ObjectBuilder, SymbolKind, Value};

/// The last version of GCC that was released before the assembler changed.
const LAST_OLDER_GCC: u32 = 12;
/// Data relocations that only older assemblers write.
const OLDER_DATA: std::ops::RangeInclusive<u32> = 11..=12;
/// Their newer numbers.
const NEWER_DATA: std::ops::RangeInclusive<u32> = 2..=3;

/// Gives data the numbers that newer tools and LLVM read, so that objects of both kinds can become one.
pub(super) fn renumber_data(object: &mut ObjectBuilder<'_, '_>) {
    let graph = object.graph();
    let blocks: Vec<BlockId> = object
        .own_sections()
        .flat_map(|(id, _)| graph.blocks_of(id).map(|(block, _)| block))
        .filter(|&block| graph.edges(block).iter().any(|edge| OLDER_DATA.contains(&graph.rows().row(edge.row).raw())))
        .collect();
    let rows = [(11, 3), (12, 2)].map(|(older, newer)| Some((object.row(older)?.0, object.row(newer)?.0)));
    for block in blocks {
        for edge in object.edges_mut(block) {
            let newer = rows.iter().flatten().find(|(older, _)| *older == edge.row);
            edge.row = newer.map_or(edge.row, |(_, newer)| *newer);
        }
    }
}

/// Takes offsets out of addends where the object's assembler has put them there.
pub(super) fn correct_addends(object: &mut ObjectBuilder<'_, '_>, code: &[Code]) -> Result<(), LinkError> {
    let graph = object.graph();
    let blocks: Vec<BlockId> = object
        .own_sections()
        .filter(|(_, section)| section.is_loaded())
        .flat_map(|(id, _)| graph.blocks_of(id).map(|(block, _)| block))
        .collect();
    let code: HashSet<BlockId> = code.iter().map(|code| code.block).collect();
    let mut signs = Signs::default();
    let mut affected: Vec<(BlockId, usize, i64)> = Vec::new();
    for &block in &blocks {
        let in_code = code.contains(&block);
        for (index, edge) in graph.edges(block).iter().enumerate() {
            let raw = graph.rows().row(edge.row).raw();
            signs.older |= OLDER_DATA.contains(&raw);
            signs.newer |= !in_code && NEWER_DATA.contains(&raw);
            if let Some(excess) = excess(graph, edge, raw) {
                signs.look(graph, edge, raw, excess);
                affected.push((block, index, excess));
            }
        }
    }
    let Some(&(block, index, _)) = affected.first() else { return Ok(()) };
    let compiler = gcc_version(graph, object);
    let older = match (signs.older, signs.newer, compiler) {
        (true, false, _) => true,
        (false, true, _) | (false, false, None) => false,
        (false, false, Some(version)) if version <= LAST_OLDER_GCC => true,
        _ => return Err(unclear(graph, block, index, signs)),
    };
    if older {
        for (block, index, excess) in affected {
            let edge = &mut object.edges_mut(block)[index];
            edge.addend = edge.addend.wrapping_sub(excess);
        }
    }
    Ok(())
}

/// What speaks for which assembler.
#[derive(Clone, Copy, Default)]
struct Signs {
    older: bool,
    newer: bool,
}

impl Signs {
    /// Looks at an edge to a symbol that does not stand at its section's start.
    fn look(&mut self, graph: &LinkGraph<'_>, edge: &Edge, raw: u32, excess: i64) {
        let size = match raw {
            // Code calls the first instruction of functions.
            CALL_RAW => 0,
            _ => i64::try_from(graph.symbol(edge.target).size).unwrap_or(i64::MAX),
        };
        let inside = |addend: i64| (0..=size).contains(&addend);
        match (inside(edge.addend.wrapping_sub(excess)), inside(edge.addend)) {
            (true, false) => self.older = true,
            (false, true) => self.newer = true,
            _ => {}
        }
    }
}

/// What the older assembler adds to the addend of this edge, if it would add anything.
fn excess(graph: &LinkGraph<'_>, edge: &Edge, raw: u32) -> Option<i64> {
    let symbol = graph.symbol(edge.target);
    let Value::Block { offset, .. } = symbol.value else { return None };
    let scale = match raw {
        CALL_RAW => 8,
        WIDE_LOAD | 11 | 12 => 1,
        _ => return None,
    };
    let offset = i64::try_from(offset).ok()?.checked_mul(scale)?;
    (symbol.kind != SymbolKind::Section && offset != 0).then_some(offset)
}

/// The first number of GCC's version, if the object says that it is GCC's.
fn gcc_version(graph: &LinkGraph<'_>, object: &ObjectBuilder<'_, '_>) -> Option<u32> {
    let (id, _) = object.own_sections().rev().find(|(_, section)| section.name == b".comment")?;
    let (_, block) = graph.blocks_of(id).next()?;
    let text = String::from_utf8_lossy(block.content.bytes()).into_owned();
    let versions = text.split('\0').filter_map(|line| {
        let (_, version) = line.strip_prefix("GCC: (")?.split_once(") ")?;
        version.split('.').next()?.parse().ok()
    });
    // Of objects that were put together, the newest compiler decides what assembler there was.
    versions.max()
}

fn unclear(graph: &LinkGraph<'_>, block: BlockId, index: usize, signs: Signs) -> LinkError {
    let why = match signs.older {
        true => "addends of both kinds, with and without the offsets of symbols: parts come from different assemblers",
        false => {
            "GNU as before 2.41 adds the offset of the symbol to this field and later ones do not, and nothing says which this is"
        }
    };
    let site = Box::new(graph.site(block, &graph.edges(block)[index]));
    let advice = "compile with GCC 12, or with clang --target=bpf, each source to an object of its own".into();
    LinkError::Unsupported { site, what: why.into(), advice }
}
