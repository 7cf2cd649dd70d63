//! DWARF unwind records (`.eh_frame`): where they begin, and whose life they share.
//!
//! Layout: LSB Core, "DWARF Extensions", `.eh_frame`; DWARF 5, section 6.4.1. A record is a length (four bytes, or
//! `0xffffffff` and eight), then an id: zero for a CIE, else the distance from the id back to the CIE of this FDE.

mod encodings;

#[cfg(all(feature = "in-process", target_os = "linux"))]
pub(crate) use encodings::{Encodings, width as pointer_width};
pub(crate) use encodings::{check_encoding, encoding, encodings};

use super::{BlockId, Edge, LinkGraph, ObjectId, Role, Value};
use crate::addr::Endian;
use crate::error::LinkError;

/// The size of the record at the start of `bytes`, its length field included; `None` if it is cut short.
pub(crate) fn record_size(bytes: &[u8], endian: Endian) -> Option<usize> {
    let length = endian.read(bytes.get(..4)?);
    let (header, length) = match length {
        0xffff_ffff => (12, endian.read(bytes.get(4..12)?)),
        length => (4, length),
    };
    let size = usize::try_from(length).ok()?.checked_add(header)?;
    (size <= bytes.len()).then_some(size)
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// The zero length that ends a section.
    Terminator,
    /// Common information; holds the offset of its id field.
    Cie,
    /// The record of one function.
    Fde {
        /// The offset of the field that points back to the CIE.
        pointer: usize,
        /// What that field holds.
        distance: u64,
        /// The offset of the function's address.
        function: usize,
    },
}

/// Reads the head of a record that [`record_size`] delimited.
pub(crate) fn classify(bytes: &[u8], endian: Endian) -> Option<Record> {
    let length = endian.read(bytes.get(..4)?);
    let id = match length {
        0 => return Some(Record::Terminator),
        0xffff_ffff => 12,
        _ => 4,
    };
    // In .eh_frame the id is four bytes in both forms (LSB Core, "CIE ID").
    let distance = endian.read(bytes.get(id..id + 4)?);
    Some(match distance {
        0 => Record::Cie,
        _ => Record::Fde { pointer: id, distance, function: id + 4 },
    })
}

/// How many bytes of a record say how long it is and what it is; for the record that ends a section, all.
fn head_size(bytes: &[u8], endian: Endian) -> usize {
    let length = bytes.get(..4).map_or(0, |bytes| endian.read(bytes));
    let head = if length == 0xffff_ffff { 12 + 4 } else { 4 + 4 };
    head.min(bytes.len())
}

/// Makes each record of an object live with its function, and its CIE with it.
pub(crate) fn link_records(graph: &mut LinkGraph<'_>, object: ObjectId) -> Result<(), LinkError> {
    let endian = graph.target.endian;
    let sections = graph.object(object).sections.clone();
    for section in sections {
        let section = &graph.sections[section as usize];
        if section.role != Role::EhFrame {
            continue;
        }
        let (blocks, name) = (section.blocks.clone(), section.name);
        // Compilers write a CIE for many records: the place and the block of the one before.
        let mut last: Option<(u64, BlockId)> = None;
        // Behind those of the functions, which come first: so all are in order, and there is little to sort.
        let mut of_records = Vec::with_capacity(blocks.len());
        for index in blocks.clone() {
            let block = &graph.blocks[index as usize];
            let start = block.section_offset;
            let malformed = |at: usize, what: &str| {
                let section = String::from_utf8_lossy(name);
                LinkError::malformed(graph.object(object).name.clone(), section, start + at as u64, what)
            };
            let record =
                classify(block.content.bytes(), endian).ok_or_else(|| malformed(0, "an unwind record too short"))?;
            let edges = &graph.edges[block.edge_range()];
            // What the records were told apart by is what memory must hold.
            let head = head_size(block.content.bytes(), endian);
            let writes = |edge: &&Edge| graph.rows.row(edge.row).field().bytes() > 0;
            if let Some(edge) = edges.iter().filter(writes).find(|edge| (edge.offset as usize) < head) {
                let site = Box::new(graph.site(BlockId(index), edge));
                let what = "the field lies in the length or the CIE pointer of an unwind record".into();
                return Err(LinkError::Malformed { site, what });
            }
            let Record::Fde { pointer, distance, function } = record else { continue };
            let cie = (start + pointer as u64).checked_sub(distance).and_then(|at| {
                if let Some((_, known)) = last.filter(|(known, _)| *known == at) {
                    return Some(known);
                }
                let all = &graph.blocks[blocks.start as usize..blocks.end as usize];
                let found = all.binary_search_by_key(&at, |block| block.section_offset).ok()?;
                let is_cie = classify(all[found].content.bytes(), endian) == Some(Record::Cie);
                let cie = is_cie.then_some(BlockId(blocks.start + found as u32))?;
                last = Some((at, cie));
                Some(cie)
            });
            let cie = cie.ok_or_else(|| malformed(pointer, "an FDE whose CIE pointer points to no CIE"))?;
            let edge = edges.iter().find(|edge| edge.offset as usize == function);
            let target = edge.map(|edge| graph.symbol(edge.target).value);
            let Some(Value::Block { block: keeper, .. }) = target else {
                return Err(malformed(function, "an FDE that is for no function of this object"));
            };
            of_records.push((BlockId(index), cie));
            graph.dependencies.push((keeper, BlockId(index)));
        }
        graph.dependencies.append(&mut of_records);
    }
    Ok(())
}
