//! Tables of rows: what an architecture registers, and what a batch indexes.

use super::{Reloc, row::reloc};
use crate::addr::Endian;
use crate::error::LinkError;
use crate::executor::StaticThreadLocals;
use std::sync::Arc;

/// The relocations of one machine in one object format; a registry entry of its own.
#[derive(Clone, Copy, Debug)]
pub struct RelocTable {
    format: &'static str,
    machine: u32,
    pointer_bytes: u8,
    endian: Option<Endian>,
    convention: &'static str,
    thread_locals: Option<StaticThreadLocals>,
    arch: &'static str,
    rows: &'static [Reloc],
}

impl RelocTable {
    /// The rows that objects of `format` for `machine` (the format's own number) with pointers of `pointer_bytes` bytes use,
    /// and the architecture that they mean. Rows are sorted by raw number.
    pub const fn new(
        format: &'static str,
        machine: u32,
        pointer_bytes: u8,
        arch: &'static str,
        rows: &'static [Reloc],
    ) -> RelocTable {
        let (endian, convention, thread_locals) = (None, "", None);
        RelocTable { format, machine, pointer_bytes, endian, convention, thread_locals, arch, rows }
    }

    /// This table for objects of one byte order only.
    pub const fn endian(mut self, endian: Endian) -> RelocTable {
        self.endian = Some(endian);
        self
    }

    /// This table for objects whose functions are called in another way than is usual for the architecture: what the two sides of
    /// a call must agree on is then not what others expect that have no objects of this format. Rust's name of it: `win64`.
    pub const fn called_as(mut self, convention: &'static str) -> RelocTable {
        self.convention = convention;
        self
    }

    /// This table for a machine whose static programs have their thread-local variables where `layout` says; unknown by default.
    pub const fn static_thread_locals(mut self, layout: StaticThreadLocals) -> RelocTable {
        self.thread_locals = Some(layout);
        self
    }

    /// Where static programs have their thread-local variables, if that is known.
    pub const fn thread_local_layout(&self) -> Option<StaticThreadLocals> {
        self.thread_locals
    }

    /// The name of the calling convention, where that is not the usual one of the architecture; empty otherwise.
    pub const fn convention(&self) -> &'static str {
        self.convention
    }

    /// The format's name.
    pub const fn format(&self) -> &'static str {
        self.format
    }

    /// The format's number for the machine.
    pub const fn machine(&self) -> u32 {
        self.machine
    }

    /// The size of a pointer.
    pub const fn pointer_bytes(&self) -> u8 {
        self.pointer_bytes
    }

    /// The byte order, where the table is for one only.
    pub const fn byte_order(&self) -> Option<Endian> {
        self.endian
    }

    /// The architecture's name.
    pub const fn arch(&self) -> &'static str {
        self.arch
    }

    /// The rows, sorted by raw number.
    pub const fn rows(&self) -> &'static [Reloc] {
        self.rows
    }
}

static NO_ROW: Reloc =
    reloc(0, "(none)", super::Subject::Nothing, super::Base::Zero, &super::Field::none(), super::Overflow::Ignore);

/// What a section holds, where relocation numbers mean different things by that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Instructions.
    Code,
    /// Anything else.
    Data,
}

/// The rows of one batch: the architecture's own (for slots and stubs), then the format's.
#[derive(Clone, Debug)]
pub struct RowTable {
    rows: Arc<[Reloc]>,
    /// Index of a raw number's row plus one; zero where there is none.
    by_raw: Arc<[u16]>,
    /// The size of each row's field.
    field_bytes: Arc<[u8]>,
    /// How many are the architecture's.
    own: usize,
}

impl RowTable {
    /// The rows of an architecture and of one of its tables. Raw numbers are below 65,536.
    pub fn new(arch_rows: &'static [Reloc], table: &'static [Reloc]) -> Result<RowTable, LinkError> {
        let rows: Vec<Reloc> = arch_rows.iter().chain(table).copied().collect();
        let limit = 0xffff;
        if rows.len() >= limit || table.iter().any(|row| row.raw() as usize >= limit) {
            let value = rows.len() as u64;
            return Err(LinkError::TooLarge { what: "relocation table".into(), value, limit: limit as u64 });
        }
        let mut by_raw = vec![0u16; table.iter().map(|row| row.raw() as usize + 1).max().unwrap_or(0)];
        for (index, row) in table.iter().enumerate() {
            by_raw[row.raw() as usize] = (arch_rows.len() + index + 1) as u16;
        }
        let field_bytes = rows.iter().map(|row| row.field().bytes() as u8).collect();
        let own = arch_rows.len();
        Ok(RowTable { own, rows: rows.into(), by_raw: by_raw.into(), field_bytes })
    }

    /// The row that an edge indexes.
    #[inline]
    pub fn row(&self, index: u16) -> &Reloc {
        self.rows.get(usize::from(index)).unwrap_or(&NO_ROW)
    }

    /// The sizes of the rows' fields in bytes, by index.
    pub(crate) fn field_bytes(&self) -> &[u8] {
        &self.field_bytes
    }

    /// The row of a raw number of the format, with its index.
    #[inline]
    pub fn by_raw(&self, raw: u32) -> Option<(u16, &Reloc)> {
        let index = self.by_raw.get(raw as usize)?.checked_sub(1)?;
        Some((index, &self.rows[usize::from(index)]))
    }

    /// The row of a raw number of the format in a section that holds code, or in one that holds none, with its index.
    #[inline]
    pub fn by_raw_in(&self, raw: u32, holds: Holds) -> Option<(u16, &Reloc)> {
        let found = self.by_raw(raw)?;
        match holds {
            Holds::Code => Some(found),
            Holds::Data => match found.1.raw_outside_code() {
                same if same == raw => Some(found),
                other => self.by_raw(other),
            },
        }
    }

    /// Whether the row is one of the architecture's own, which have no number in files.
    #[inline]
    pub fn is_own(&self, index: u16) -> bool {
        usize::from(index) < self.own
    }

    /// All rows.
    pub fn rows(&self) -> &[Reloc] {
        &self.rows
    }
}
