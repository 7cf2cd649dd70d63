//! Tables with a record for each function, from which a system unwinds.
//!
//! Such a system looks a function up by halving, so records are to be sorted by where their functions are. Sections come in the
//! order of the input, and functions of several sections lie in an order of their own; so records are sorted once all is fixed up.

use super::layout::{Addresses, Layout};
use crate::addr::{Addr, Endian};
use crate::error::LinkError;
use crate::executor::{Action, WorkingMemory};
use crate::graph::{BlockId, LinkGraph, Role};

/// Where the table of a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FunctionTable {
    address: Addr,
    segment: usize,
    offset: u64,
    size: u64,
    record: u32,
}

impl FunctionTable {
    /// The table of a batch that has one. Fails where something lies between its records.
    pub(super) fn find(
        graph: &LinkGraph<'_>,
        layout: &Layout,
        addresses: &Addresses,
    ) -> Result<Option<FunctionTable>, LinkError> {
        let mut table: Option<FunctionTable> = None;
        let mut records = 0;
        for (_, section) in graph.sections() {
            let Role::FunctionTable(record) = section.role else { continue };
            for block in section.blocks.clone().map(BlockId).filter(|&block| graph.is_live(block)) {
                let Some((segment, offset)) = layout.place(block) else { continue };
                let (address, size) = (addresses.blocks[block.index()], graph.block(block).size());
                if size == 0 {
                    continue;
                }
                records += size;
                let next = FunctionTable { address, segment, offset, size, record };
                let all = table.map_or(next, |table| table.with(&next));
                if all.segment != segment || all.record != record {
                    let what = format!("tables of functions that cannot be one: {} and others", section.name_lossy());
                    return Err(LinkError::Request(what));
                }
                table = Some(all);
            }
        }
        match table {
            Some(table) if table.size != records || !records.is_multiple_of(u64::from(table.record)) => {
                let (size, record) = (table.size, table.record);
                let what =
                    format!("a table of functions has {records:#x} bytes of records of {record} in {size:#x} bytes");
                Err(LinkError::Request(what))
            }
            table => Ok(table),
        }
    }

    /// Where both are.
    fn with(&self, other: &FunctionTable) -> FunctionTable {
        let end = (self.offset + self.size).max(other.offset + other.size);
        let offset = self.offset.min(other.offset);
        FunctionTable { address: self.address.min(other.address), offset, size: end - offset, ..*self }
    }

    /// Sorts the records, which are fixed up.
    pub(super) fn sort(&self, memory: &mut [(usize, WorkingMemory<'_>)], endian: Endian) {
        let segment = memory.iter_mut().find(|(kind, _)| *kind == self.segment);
        let bytes = segment
            .and_then(|(_, memory)| memory.bytes.get_mut(self.offset as usize..(self.offset + self.size) as usize));
        let Some(bytes) = bytes else { return };
        let record = self.record as usize;
        let start = |record: &[u8]| {
            let field: [u8; 4] = record.first_chunk().copied().unwrap_or_default();
            if endian == Endian::Little { u32::from_le_bytes(field) } else { u32::from_be_bytes(field) }
        };
        if bytes.chunks_exact(record).map(start).is_sorted() {
            return;
        }
        let unsorted = bytes.to_vec();
        let mut records: Vec<&[u8]> = unsorted.chunks_exact(record).collect();
        records.sort_by_key(|record| start(record));
        bytes.chunks_exact_mut(record).zip(records).for_each(|(place, record)| place.copy_from_slice(record));
    }

    /// Has the executor register it.
    pub(super) fn action(&self, image: Addr) -> Action {
        let record = u64::from(self.record);
        Action::RegisterFunctionTable { address: self.address, count: self.size / record, record, image }
    }
}
