//! What calls and the code around them say that is true of other linkers' stubs alone.
//!
//! Stubs of shared libraries find slots from what their callers have in `r30`, and the addend of a call tells what that is: zero for the
//! base of the GOT (`-fpic`), 0x8000 and more for a place in the object's own `.got2` (`-fPIC`). Stubs here know where their slots
//! are, so those addends mean nothing and go. Calls that were written out in line (`-fno-plt`, `-mlongcall`) are made to do the same:
//!
//! ```text
//! addis r11, r30, f+0x8000@plt@ha          lis   r11, slot@ha
//! lwz   r11, f+0x8000@plt@l(r11)           lwz   r11, slot@l(r11)
//! ```
//!
//! Older code (`-mbss-plt`) has the base of the GOT told by the word before it, which is `blrl`: a call there comes back with
//! the address behind that word in `lr`. Memory that is written is not executed here, so such calls go to a routine that does the
//! same.

use super::relocs::{LOCAL24PC, PLT16_HA, PLT16_HI, PLT16_LO, PLTREL24};
use super::rows;
use jitlink_core::Endian;
use jitlink_core::graph::{BlockId, Content, Edge, LinkGraph, ObjectBuilder, Protection, Section, Symbol, Value};
use jitlink_core::reloc::Subject;

/// Branches that may name the word before the GOT: `REL24`, `PLTREL24` and `LOCAL24PC`.
const REL24: u32 = 10;

/// Leaves the base of the GOT in `lr`. Callers may hold anything in other registers; `ctr` is not one of them, because this is how
/// functions begin.
const TELL_GOT: [u32; 9] = [
    0x9421_fff0, //   stwu  r1, -16(r1)
    0x9181_0008, //   stw   r12, 8(r1)
    0x7d88_02a6, //   mflr  r12
    0x7d89_03a6, //   mtctr r12
    0x3d80_0000, //   lis   r12, got@ha
    0x398c_0000, //   addi  r12, r12, got@l
    0x7d88_03a6, //   mtlr  r12
    0x8181_0008, //   lwz   r12, 8(r1)
    0x3821_0010, //   addi  r1, r1, 16
];
const BCTR: u32 = 0x4e80_0420;

/// Makes edges say what is true of this linker's stubs.
pub(super) fn settle(graph: &mut LinkGraph<'_>) -> Result<(), String> {
    let row = |raw: u32| graph.rows().by_raw(raw).map(|(row, _)| row);
    let [rel24, pltrel24, local24] = [REL24, PLTREL24, LOCAL24PC].map(row);
    let [upper, rounded, lower] = [PLT16_HI, PLT16_HA, PLT16_LO].map(row);
    // In big-endian code the halfword is the instruction's second.
    let before = if graph.target().endian == Endian::Big { 2 } else { 0 };
    let got = graph.got();
    let blocks: Vec<BlockId> = graph.blocks().map(|(id, _)| id).collect();
    let mut asking = Vec::new();
    for block in blocks {
        for index in 0..graph.edges(block).len() {
            let edge = graph.edges(block)[index];
            let row = Some(edge.row);
            let is_branch = row == rel24 || row == pltrel24 || row == local24;
            if is_branch && edge.addend == -4 && got.is_some() && block_of(graph, &edge) == got {
                asking.push((block, index));
            }
            let inline = if row == rounded { Some(rows::PLT_HA) } else { (row == upper).then_some(rows::PLT_HI) };
            let edge = &mut graph.edges_mut(block)[index];
            if row == pltrel24 || row == lower {
                edge.addend = 0;
            }
            if let Some(inline) = inline {
                let offset = edge.offset.checked_sub(before);
                let offset =
                    offset.ok_or("a R_PPC_PLT16 relocation stands before the first instruction of its block")?;
                *edge = Edge { offset, addend: 0, row: inline, ..*edge };
            }
        }
    }
    if asking.is_empty() {
        return Ok(());
    }
    let routine = tell_got(graph)?;
    for (block, index) in asking {
        let edge = &mut graph.edges_mut(block)[index];
        (edge.target, edge.addend) = (routine, 0);
    }
    Ok(())
}

fn block_of(graph: &LinkGraph<'_>, edge: &Edge) -> Option<BlockId> {
    match graph.symbol(edge.target).value {
        Value::Block { block, .. } => Some(block),
        _ => None,
    }
}

/// Adds the routine.
fn tell_got(graph: &mut LinkGraph<'_>) -> Result<jitlink_core::graph::SymbolId, String> {
    let endian = graph.target().endian;
    let in_order = |word: u32| if endian == Endian::Big { word.to_be_bytes() } else { word.to_le_bytes() };
    let bytes: Vec<u8> = TELL_GOT.into_iter().chain([BCTR]).flat_map(in_order).collect();
    let mut object = ObjectBuilder::new(graph, "(base of the GOT)".into(), String::new());
    let id = object.id();
    let mut section = Section::new(b".text.got", id);
    section.protection = Protection::ReadExecute;
    object.add_section(section);
    let block = object.add_block(Content::Owned(bytes.into()), 0, 2);
    let symbol = object.add_symbol(Symbol::local(b"(base of the GOT)", id, block, 0));
    object.begin_edges(block);
    for (offset, row) in [(16, rows::GOT_HA), (20, rows::GOT_LO)] {
        let edge = Edge { offset, target: symbol, addend: 0, row, subject: Subject::GotBase };
        object.add_edge(block, edge).map_err(|error| error.to_string())?;
    }
    Ok(symbol)
}
