//! Small data: variables that code reaches with 16 bits from `_SDA_BASE_`, which `r13` holds (`-msdata=sysv`; Power Architecture 32-bit ABI
//! Supplement, "Small Data Area").
//!
//! Objects bring them along in sections named `.sdata` and `.sbss`. Where code of the batch counts from the base, all of these lie
//! together, the base 32 KiB past the start, so that 64 KiB are reached.
//!
//! `r13` belongs to the program: the code that starts it sets it, once, and everything else leaves it alone. Code that was
//! linked into a process finds the value of the program that runs there. So batches that count from the base, and do not themselves take
//! its address to set `r13`, are refused.

use super::relocs::SDAREL16;
use jitlink_core::Addr;
use jitlink_core::graph::{
    BlockId, Content, LinkGraph, ObjectBuilder, Protection, Section, SectionId, Symbol, SymbolId, Value,
};
use jitlink_core::link::PassContext;

/// The anchor that stands for the base.
pub(super) const SMALL_DATA: u8 = 0;
/// How far the base lies past the start.
const BIAS: u64 = 0x8000;
const NAME: &[u8] = b".sdata";
const BASE: &[u8] = b"_SDA_BASE_";

/// Gathers small data and defines the base, where something counts from it or names it.
pub(super) fn gather(graph: &mut LinkGraph<'_>) -> Result<(), String> {
    let sdarel16 = graph.rows().by_raw(SDAREL16).map(|(row, _)| row);
    let counts = graph.blocks().any(|(id, _)| graph.edges(id).iter().any(|edge| Some(edge.row) == sdarel16));
    let is_base = |symbol: &Symbol<'_>| symbol.value == Value::Undefined && symbol.name.bytes() == BASE;
    let named: Vec<SymbolId> = graph.symbols().filter(|(_, symbol)| is_base(symbol)).map(|(id, _)| id).collect();
    if !counts && named.is_empty() {
        return Ok(());
    }
    let sections: Vec<SectionId> =
        graph.sections().filter(|(_, section)| is_small(section.name)).map(|(id, _)| id).collect();
    for id in sections {
        let section = graph.section_mut(id);
        (section.name, section.gathered, section.sort_key) = (NAME, true, 1);
    }
    let mut object = ObjectBuilder::new(graph, "(small data)".into(), String::new());
    let id = object.id();
    let mut section = Section::new(NAME, id);
    (section.protection, section.gathered) = (Protection::ReadWrite, true);
    object.add_section(section);
    let block = object.add_block(Content::Owned(vec![0; 8].into()), 0, 3);
    let start = object.add_symbol(Symbol::local(START, id, block, 0));
    object.retain(start);
    for symbol in named {
        object.symbol_mut(symbol).value = Value::Block { block, offset: BIAS };
    }
    Ok(())
}

/// The symbol at the start of it all.
const START: &[u8] = b"(start of small data)";

fn is_small(name: &[u8]) -> bool {
    let of = |prefix: &[u8]| name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"."));
    of(b".sdata") || of(b".sbss") || name.starts_with(b".gnu.linkonce.s.") || name.starts_with(b".gnu.linkonce.sb.")
}

/// The block at the start of small data, if the batch has any that something counts from.
fn start(graph: &LinkGraph<'_>) -> Option<BlockId> {
    let found = graph.symbols().find(|(_, symbol)| symbol.name.bytes() == START)?;
    match found.1.value {
        Value::Block { block, .. } => Some(block),
        _ => None,
    }
}

/// Refuses code that counts from the base where nothing sets `r13`.
pub(super) fn check(graph: &LinkGraph<'_>) -> Result<(), String> {
    let Some(start) = start(graph) else { return Ok(()) };
    let sdarel16 = graph.rows().by_raw(SDAREL16).map(|(row, _)| row);
    let mut first = None;
    for (id, _) in graph.blocks().filter(|(id, block)| graph.is_live(*id) && graph.section(block.section).is_loaded()) {
        for edge in graph.edges(id) {
            if matches!(graph.symbol(edge.target).value, Value::Block { block, offset: BIAS } if block == start) {
                return Ok(());
            }
            if Some(edge.row) == sdarel16 {
                first = first.or(Some((id, *edge)));
            }
        }
    }
    match first {
        None => Ok(()),
        Some((block, edge)) => Err(format!(
            "{}: the variable is reached from r13, and no code of this link sets that (nothing refers to _SDA_BASE_); compile \
             with -msdata=data or -msdata=none",
            graph.site(block, &edge)
        )),
    }
}

/// Resolves the base for all blocks.
pub(super) fn resolve(graph: &mut LinkGraph<'_>, context: &PassContext<'_>) -> Result<(), String> {
    let Some(start) = start(graph) else { return Ok(()) };
    let base = context.address(start).map(|start| start + BIAS).unwrap_or(Addr(0));
    let bases = vec![base; graph.blocks().len()];
    graph.set_anchor(SMALL_DATA, bases);
    Ok(())
}
