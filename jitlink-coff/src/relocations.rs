//! Relocations ("PE Format", "COFF Relocations (Object Only)"): ten bytes each, with their addends in the fields.

use crate::bytes::{half, word};
use crate::header::File;
use crate::sections::{Placed, Placement};
use crate::symbols::Symbols;
use jitlink_core::graph::{BlockId, Edge, ObjectBuilder, Value};
use jitlink_core::reloc::RowTable;
use jitlink_core::{Endian, LinkError, Site};

const RELOCATION: usize = 10;

/// Reads the relocations of all sections that were read.
pub(crate) fn read<'a>(
    file: &File<'_, 'a>,
    placement: &Placement,
    symbols: &Symbols,
    builder: &mut ObjectBuilder<'_, 'a>,
) -> Result<(), LinkError> {
    let rows = builder.graph().rows().clone();
    for (index, placed) in placement.iter() {
        let header = &file.sections()[index];
        let section = builder.graph().section(placed.id);
        if header.relocation_count() == 0 || !section.is_loaded() && builder.keeps_beside(section.name) {
            continue;
        }
        let arch = builder.target().arch.info().name();
        let (content, table) = (header.content.unwrap_or_default(), header.relocations());
        let table_read = Table { symbols, rows: &rows, content, table, base: header.address };
        let site = Relocated { file, arch, index, read: table_read };
        let read = |number: usize| table_read.edge(number);
        builder.add_table_edges(placed.id, table, header.relocation_count(), read, |number| site.explain(number))?;
        if placed.is_unwind_table() {
            depend(&placed, builder);
        }
    }
    Ok(())
}

/// Makes each record of a table of unwind records live with its function, to which the record's first word refers. One without
/// a function of this object is kept, since nothing says when it is not needed.
fn depend(table: &Placed, builder: &mut ObjectBuilder<'_, '_>) {
    for record in table.block_ids() {
        let first = builder.graph().edges(record).iter().find(|edge| edge.offset == 0);
        let function = first.and_then(|edge| match builder.graph().symbol(edge.target).value {
            Value::Block { block, .. } => Some(block),
            _ => None,
        });
        let function: BlockId = function.filter(|&block| block != record).unwrap_or(record);
        if function == record {
            builder.section_mut(table.id).retain = true;
        } else {
            builder.add_dependency(function, record);
        }
    }
}

/// The relocations of a section, and what they mean.
#[derive(Clone, Copy)]
struct Table<'f, 'a> {
    symbols: &'f Symbols,
    rows: &'f RowTable,
    content: &'a [u8],
    table: &'a [u8],
    /// What offsets count from.
    base: u32,
}

/// A section being relocated, for errors.
struct Relocated<'f, 'n, 'a> {
    file: &'f File<'n, 'a>,
    arch: &'static str,
    /// The section.
    index: usize,
    read: Table<'f, 'a>,
}

/// One relocation as the file holds it.
struct Raw {
    offset: u64,
    symbol: u32,
    kind: u32,
}

impl Table<'_, '_> {
    #[inline]
    fn raw(&self, number: usize) -> Raw {
        let entry = &self.table[number * RELOCATION..][..RELOCATION];
        // Below the base it is outside of the section, as it is here.
        let offset = u64::from(word(entry, 0)).wrapping_sub(self.base.into());
        Raw { offset, symbol: word(entry, 4), kind: half(entry, 8).into() }
    }

    /// The edge for a relocation, with its place in the section; `None` where it is wrong.
    #[inline]
    fn edge(&self, number: usize) -> Option<(u64, Edge)> {
        let raw = self.raw(number);
        let (row, reloc) = self.rows.by_raw(raw.kind)?;
        let target = self.symbols.get(raw.symbol)?;
        let start = usize::try_from(raw.offset).ok().filter(|start| *start <= self.content.len())?;
        let field = self.content[start..].get(..reloc.field().bytes())?;
        let addend = reloc.implicit_addend(field, Endian::Little);
        Some((raw.offset, Edge { addend, offset: 0, target, row, subject: reloc.subject() }))
    }
}

impl Relocated<'_, '_, '_> {
    /// What is wrong with a relocation that is no edge.
    #[cold]
    fn explain(&self, number: usize) -> LinkError {
        let Table { symbols, rows, content, .. } = self.read;
        let raw = self.read.raw(number);
        let mut site = Site {
            object: self.file.name.to_string(),
            section: self.file.display_section(self.index),
            offset: raw.offset,
            ..Site::default()
        };
        let Some((_, reloc)) = rows.by_raw(raw.kind) else {
            return LinkError::UnknownRelocation { site: Box::new(site), raw: raw.kind, arch: self.arch.to_string() };
        };
        site.reloc = reloc.name().to_string();
        let (count, size) = (symbols.count(), reloc.field().bytes());
        let what = match symbols.get(raw.symbol) {
            None if raw.symbol as usize >= count => {
                format!("there is no symbol {}, only {count}", raw.symbol)
            }
            None => format!("it refers to symbol {}, which names nothing that was read", raw.symbol),
            Some(_) => format!("the field of {size:#x} bytes lies outside the section's {:#x}", content.len()),
        };
        LinkError::Malformed { site: Box::new(site), what }
    }
}
