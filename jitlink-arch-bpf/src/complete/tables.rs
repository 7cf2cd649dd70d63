//! Jump tables: what clang makes of a switch with many cases, from `-mcpu=v4` on.
//!
//! A table stands in section `.jumptables`, which takes up no memory by its flags. Its words are offsets in the section of the code
//! that refers to it, and have no relocations; its symbol, `BPF.JT.` and two numbers, is global, and the same in all objects. A
//! loader makes a map of the table (`BPF_MAP_TYPE_INSN_ARRAY`). To the linker it is a constant of the object's own, whose words are
//! pointers into code, so that functions can be cut and moved.

use super::Code;
use crate::insn::WORD;
use crate::relocs::{POINTER, WIDE_LOAD};
use hashbrown::HashMap;
use jitlink_core::LinkError;
use jitlink_core::graph::{
    BlockId, LocalReference, ObjectBuilder, Residence, Scope, SectionId, Split, Symbol, SymbolId, SymbolKind, Value,
};
use std::collections::BTreeMap;

/// Where they are.
pub(crate) const SECTION: &[u8] = b".jumptables";

/// A table: where it ends, and the number of the code that refers to it.
struct Table {
    end: u64,
    code: Option<usize>,
}

/// Makes the object's tables its own memory, and gives where to cut between them and what they refer to.
pub(super) fn read(object: &mut ObjectBuilder<'_, '_>, code: &[Code]) -> Result<Split, LinkError> {
    let own = object.own_sections();
    let sections: Vec<SectionId> = own.filter(|(_, section)| section.name == SECTION).map(|(id, _)| id).collect();
    let mut split = Split::default();
    if sections.is_empty() {
        return Ok(split);
    }
    let symbols = symbols(object, &sections);
    let tables = tables(object, code, &symbols)?;
    for (&(block, start), table) in &tables {
        split.cuts.push((block, start as u32));
        let Some(owner) = table.code else { continue };
        for offset in (start..table.end).step_by(WORD) {
            split.references.push(entry(object, block, offset, &code[owner])?);
        }
    }
    for (id, ..) in symbols {
        object.symbol_mut(id).scope = Scope::Local;
    }
    for id in sections {
        object.section_mut(id).residence = Residence::Near;
    }
    Ok(split)
}

/// The symbols in the sections, each with its block and offset.
fn symbols(object: &ObjectBuilder<'_, '_>, sections: &[SectionId]) -> Vec<(SymbolId, BlockId, u64)> {
    let graph = object.graph();
    let place = |(id, symbol): (SymbolId, &Symbol<'_>)| match symbol.value {
        Value::Block { block, offset } if sections.contains(&graph.block(block).section) => Some((id, block, offset)),
        _ => None,
    };
    object.own_symbols().filter_map(place).collect()
}

/// The tables by their places, with the code that refers to each.
fn tables(
    object: &ObjectBuilder<'_, '_>,
    code: &[Code],
    symbols: &[(SymbolId, BlockId, u64)],
) -> Result<BTreeMap<(BlockId, u64), Table>, LinkError> {
    let graph = object.graph();
    let mut tables = BTreeMap::new();
    for &(id, block, offset) in symbols {
        let symbol = graph.symbol(id);
        if symbol.kind != SymbolKind::Section {
            let end = offset.saturating_add(symbol.size);
            if end > graph.block(block).size() || !symbol.size.is_multiple_of(WORD as u64) {
                let what =
                    format!("table {} of {:#x} bytes is not whole words of the section", symbol.name, symbol.size);
                return Err(malformed(object, block, offset, what));
            }
            tables.insert((block, offset), Table { end, code: None });
        }
    }
    let known: HashMap<SymbolId, (BlockId, u64)> = symbols.iter().map(|&(id, block, at)| (id, (block, at))).collect();
    for (number, code) in code.iter().enumerate() {
        for edge in graph.edges(code.block) {
            let Some(&(block, at)) = known.get(&edge.target) else { continue };
            let meant = at.wrapping_add_signed(edge.addend);
            let table = tables.range_mut((block, 0)..=(block, meant)).next_back();
            let table = table.map(|(_, table)| table).filter(|table| meant < table.end);
            let Some(table) = table.filter(|_| graph.rows().row(edge.row).raw() == WIDE_LOAD) else {
                let what = format!("code refers to offset {meant:#x}, where there is no table");
                return Err(malformed(object, block, 0, what));
            };
            if table.code.replace(number).is_some_and(|other| other != number) {
                return Err(malformed(object, block, meant, "two sections of code refer to one table".into()));
            }
        }
    }
    Ok(tables)
}

/// What a word of a table refers to.
fn entry(
    object: &ObjectBuilder<'_, '_>,
    block: BlockId,
    offset: u64,
    code: &Code,
) -> Result<LocalReference, LinkError> {
    let graph = object.graph();
    let table = graph.block(block).content.bytes();
    let word = graph.target().endian.read(&table[offset as usize..offset as usize + WORD]);
    let start = graph.block(code.block).section_offset;
    let place = word.checked_sub(start).filter(|place| *place < (code.words.len() * WORD) as u64);
    match place.filter(|place| place.is_multiple_of(WORD as u64)) {
        Some(addend) => Ok(LocalReference { from: block, offset: offset as u32, row: POINTER, to: code.block, addend }),
        None => {
            let section = graph.section(code.section).name_lossy();
            Err(malformed(object, block, offset, format!("the table leads to {word:#x}, no instruction of {section}")))
        }
    }
}

fn malformed(object: &ObjectBuilder<'_, '_>, block: BlockId, offset: u64, what: String) -> LinkError {
    let start = object.graph().block(block).section_offset;
    LinkError::malformed(object.name(), String::from_utf8_lossy(SECTION), start + offset, what)
}
