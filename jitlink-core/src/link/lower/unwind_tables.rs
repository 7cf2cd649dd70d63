//! Unwind tables with references too short for their targets: made indirect.
//!
//! Code compiled for low addresses names personality routines and types of exceptions by four-byte addresses, which cannot
//! reach those of a shared library. The encodings have a bit for "the address of the address" (`DW_EH_PE_indirect`, LSB Core,
//! "DWARF Exception Header Encoding"), so such references are pointed to GOT slots, which are near.
//!
//! A CIE tells its personality's encoding by itself. The types of an LSDA share one encoding: all of them change together.

use super::super::synthetic::Synthetic;
use super::tables::Tables;
use crate::graph::unwind::encoding::{FORMAT, INDIRECT, OMIT};
use crate::graph::unwind::{Record, classify, encodings, record_size};
use crate::graph::{BlockId, Edge, LinkGraph, Role, SymbolId, Value};
use crate::reloc::{Base, Subject};
use hashbrown::HashMap;

/// Where language-specific data starts in each block, ascending.
type LsdaStarts = HashMap<BlockId, Vec<u64>>;

/// Makes far references of unwind tables indirect.
#[derive(Default)]
pub(super) struct UnwindTables {
    lsda_starts: Option<LsdaStarts>,
}

impl UnwindTables {
    /// Whether a block has unwind tables in it, references of which can be made indirect.
    pub(super) fn are_in(&mut self, graph: &LinkGraph<'_>, block: BlockId) -> bool {
        graph.section(graph.block(block).section).role == Role::EhFrame
            || self.lsda_starts.get_or_insert_with(|| lsda_starts(graph)).contains_key(&block)
    }

    /// Makes the edge at `index` in a block of data indirect; the reason where it belongs to no unwind table.
    pub(super) fn make_indirect(
        &mut self,
        graph: &mut LinkGraph<'_>,
        synthetic: &mut Synthetic,
        tables: &mut Tables,
        block: BlockId,
        index: usize,
    ) -> Result<(), String> {
        let no_table = || "data holds a reference that is too short for its target".to_string();
        let offset = graph.edges[index].offset as usize;
        if graph.edges[index].subject != Subject::Symbol || !is_word(graph, &graph.edges[index]) {
            return Err(no_table());
        }
        if graph.section(graph.block(block).section).role == Role::EhFrame {
            let at = personality_encoding(graph, block, offset).ok_or_else(no_table)?;
            set_indirect(graph, block, at)?;
            return point_to_slot(graph, synthetic, tables, index);
        }
        let starts = self.lsda_starts.get_or_insert_with(|| lsda_starts(graph));
        let known = starts.get(&block).ok_or_else(no_table)?;
        let start = known[..known.partition_point(|&start| start <= offset as u64)].last().ok_or_else(no_table)?;
        let (encoding, end) = type_table(graph.block(block).content.bytes(), *start as usize).ok_or_else(no_table)?;
        if offset >= end {
            return Err(no_table());
        }
        if graph.block(block).content.bytes()[encoding] & INDIRECT != 0 {
            // An earlier reference of this table made it so.
            return Ok(());
        }
        set_indirect(graph, block, encoding)?;
        for index in graph.block(block).edge_range() {
            let at = graph.edges[index].offset as usize;
            if (encoding..end).contains(&at) {
                point_to_slot(graph, synthetic, tables, index)?;
            }
        }
        Ok(())
    }
}

fn is_word(graph: &LinkGraph<'_>, edge: &Edge) -> bool {
    let row = graph.rows.row(edge.row);
    row.field().plain_bytes() == Some(4) && matches!(row.base(), Base::Zero | Base::Place)
}

fn point_to_slot(
    graph: &mut LinkGraph<'_>,
    synthetic: &mut Synthetic,
    tables: &mut Tables,
    index: usize,
) -> Result<(), String> {
    let edge = graph.edges[index];
    if edge.addend != 0 || !is_word(graph, &edge) {
        return Err("an unwind table holds a reference that a GOT slot cannot stand for".into());
    }
    let target: SymbolId = graph.canonical(edge.target);
    let slot = tables.slot(graph, synthetic, target);
    graph.edges[index] = Edge { target: slot, subject: Subject::Symbol, ..edge };
    Ok(())
}

fn set_indirect(graph: &mut LinkGraph<'_>, block: BlockId, at: usize) -> Result<(), String> {
    let byte = graph.blocks[block.index()].content.to_mut().and_then(|bytes| bytes.get_mut(at));
    let byte = byte.ok_or("an unwind table ends before its encoding")?;
    // Four bytes, absolute or relative to the place; the rest of the encodings have other widths.
    if !matches!(*byte & FORMAT, 0x03 | 0x0b) || *byte & INDIRECT != 0 {
        return Err(format!("an unwind table has the encoding {byte:#x}, which has no indirect form of four bytes"));
    }
    *byte |= INDIRECT;
    Ok(())
}

/// Where the encoding of the personality stands in the CIE whose personality field is at `field`.
fn personality_encoding(graph: &LinkGraph<'_>, block: BlockId, field: usize) -> Option<usize> {
    let bytes = graph.block(block).content.bytes();
    let endian = graph.target.endian;
    let mut start = 0;
    while start < bytes.len() {
        let size = record_size(&bytes[start..], endian)?;
        if field < start + size {
            break;
        }
        start += size;
    }
    if classify(&bytes[start..], endian)? != Record::Cie {
        return None;
    }
    let (at, _) = encodings(&bytes[start..], endian, usize::from(graph.target.pointer_bytes))?.personality?;
    (start + at + 1 == field).then_some(start + at)
}

/// Where the encoding of the types stands in the LSDA at `start`, and where its type table ends. (Itanium C++ ABI, "Exception
/// Handling Tables": start of landing pads, encoding of types, offset of the table's end.)
fn type_table(bytes: &[u8], start: usize) -> Option<(usize, usize)> {
    let mut at = start;
    let landing_pads = *bytes.get(at)?;
    at += 1;
    if landing_pads != OMIT {
        at = match landing_pads & FORMAT {
            0x01 | 0x09 => skip_leb(bytes, at)?,
            0x02 | 0x0a => at + 2,
            0x03 | 0x0b => at + 4,
            _ => at + 8,
        };
    }
    let encoding = at;
    if *bytes.get(encoding)? == OMIT {
        return None;
    }
    let (offset, after) = leb(bytes, encoding + 1)?;
    let end = after.checked_add(usize::try_from(offset).ok()?)?;
    (end <= bytes.len()).then_some((encoding, end))
}

/// Finds all language-specific data that live FDEs point to.
fn lsda_starts(graph: &LinkGraph<'_>) -> LsdaStarts {
    let mut starts = LsdaStarts::new();
    let endian = graph.target.endian;
    for (block, data) in graph.blocks() {
        if !graph.is_live(block) || graph.section(data.section).role != Role::EhFrame {
            continue;
        }
        let bytes = data.content.bytes();
        let mut edges = graph.edges(block).iter().peekable();
        let mut start = 0;
        while let Some(size) =
            bytes.get(start..).and_then(|rest| record_size(rest, endian)).filter(|_| start < bytes.len())
        {
            let record = classify(&bytes[start..], endian);
            while let Some(edge) = edges.next_if(|edge| (edge.offset as usize) < start + size) {
                let Some(Record::Fde { function, .. }) = record else { continue };
                if edge.offset as usize <= start + function {
                    continue;
                }
                if let Value::Block { block, offset } = graph.symbol(edge.target).value {
                    starts.entry(block).or_default().push(offset.wrapping_add_signed(edge.addend));
                }
            }
            start += size;
        }
    }
    starts.values_mut().for_each(|known| known.sort_unstable());
    starts
}

fn leb(bytes: &[u8], mut at: usize) -> Option<(u64, usize)> {
    let (mut value, mut shift) = (0u64, 0u32);
    loop {
        let byte = *bytes.get(at)?;
        at += 1;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        shift += 7;
        if byte & 0x80 == 0 {
            return Some((value, at));
        }
    }
}

fn skip_leb(bytes: &[u8], at: usize) -> Option<usize> {
    leb(bytes, at).map(|(_, after)| after)
}
