//! `.BTF.ext`: which function, source line and CO-RE relocation belongs to which instruction.
//!
//! The section has three lists, each grouped by the name of the code section; the names, source lines and access
//! strings are strings of the object's `.BTF`, and the types are its types (`Documentation/bpf/btf.rst`, section
//! ".BTF.ext section"). A list says how long its records are, so that newer compilers can append fields: those are
//! passed over.
//!
//! A [`BtfExt`] that was read refers only to types and strings that exist. Records are sorted by the offset of their
//! instruction.

mod read;
mod records;
mod write;

pub use records::{CoreRelo, FuncInfo, LineInfo};

use super::{Btf, BtfBuilder, TypeId};
use indexmap::IndexMap;
use std::ops::Range;
use thiserror::Error;

/// Why bytes are no `.BTF.ext`, or why a record cannot be moved.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExtError {
    /// The header is too short, or of another format.
    #[error(".BTF.ext of {length} bytes has no header of version 1 with magic 0xeb9f")]
    Header {
        /// The bytes there are.
        length: usize,
    },
    /// A list, a group or its records lie outside of the bytes.
    #[error(".BTF.ext: {what} at {offset:#x} needs {needed:#x} bytes, {available:#x} are there")]
    Truncated {
        /// What is outside.
        what: &'static str,
        /// Where it starts, in bytes from the end of the header.
        offset: usize,
        /// How long it says to be.
        needed: u64,
        /// How many bytes there are.
        available: usize,
    },
    /// A number in the section cannot be.
    #[error(".BTF.ext: {what} {value:#x}")]
    Value {
        /// What the number is, and why it is wrong.
        what: &'static str,
        /// The number.
        value: u64,
    },
    /// Records do not fit what BTF can say.
    #[error(transparent)]
    Btf(#[from] super::BtfError),
}

/// What `.BTF.ext` says about the instructions of one section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SectionInfo {
    /// Functions, by ascending offset of their first instruction.
    pub funcs: Vec<FuncInfo>,
    /// Source lines, by ascending offset of the first instruction of each.
    pub lines: Vec<LineInfo>,
    /// CO-RE relocations, by ascending offset.
    pub relos: Vec<CoreRelo>,
}

/// The records of an object, by the name of the section of code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BtfExt {
    /// Sections in the order in which they were first named.
    pub sections: IndexMap<String, SectionInfo>,
}

impl BtfExt {
    /// What is said about a section, if anything is.
    pub fn section(&self, name: &str) -> Option<&SectionInfo> {
        self.sections.get(name)
    }

    /// Adds records to those of a section, and keeps them sorted.
    pub fn add(&mut self, section: &str, info: SectionInfo) {
        let all = self.sections.entry(section.to_owned()).or_default();
        all.funcs.extend(info.funcs);
        all.lines.extend(info.lines);
        all.relos.extend(info.relos);
        all.sort();
    }
}

impl SectionInfo {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.funcs.is_empty() && self.lines.is_empty() && self.relos.is_empty()
    }

    /// The function that the instruction at an offset belongs to: the last one that starts before it.
    pub fn func_at(&self, insn_off: u32) -> Option<&FuncInfo> {
        let after = self.funcs.partition_point(|func| func.insn_off <= insn_off);
        self.funcs[..after].last()
    }

    /// The source line of the instruction at an offset.
    pub fn line_at(&self, insn_off: u32) -> Option<&LineInfo> {
        let after = self.lines.partition_point(|line| line.insn_off <= insn_off);
        self.lines[..after].last()
    }

    /// The records of the instructions in `range` (bytes of the section), for code that now starts at `start` and
    /// belongs to `to`.
    ///
    /// `types` says the number of each type of `from` there; strings are copied.
    pub fn moved(
        &self,
        range: Range<u32>,
        start: u32,
        (from, types): (&Btf, &dyn Fn(TypeId) -> TypeId),
        to: &mut BtfBuilder,
    ) -> Result<SectionInfo, ExtError> {
        let place = |offset: u32| {
            let place = u64::from(start) + u64::from(offset - range.start);
            u32::try_from(place).map_err(|_| ExtError::Value { what: "offset beyond 4 GiB:", value: place })
        };
        let mut string = |offset: u32| to.string(from.string(offset).unwrap_or_default());
        let mut moved = SectionInfo::default();
        for func in within(&self.funcs, &range, |func| func.insn_off) {
            moved.funcs.push(FuncInfo { insn_off: place(func.insn_off)?, ty: types(func.ty) });
        }
        // Most lines are of the file of the line before.
        let mut file = (0, 0);
        for line in within(&self.lines, &range, |line| line.insn_off) {
            if line.file != file.0 {
                file = (line.file, string(line.file)?);
            }
            let text = string(line.text)?;
            moved.lines.push(LineInfo { insn_off: place(line.insn_off)?, file: file.1, text, ..*line });
        }
        for relo in within(&self.relos, &range, |relo| relo.insn_off) {
            let (insn_off, access) = (place(relo.insn_off)?, string(relo.access)?);
            moved.relos.push(CoreRelo { insn_off, ty: types(relo.ty), access, kind: relo.kind });
        }
        Ok(moved)
    }

    /// Sorts all records by their offset, those of one offset as they are.
    pub fn sort(&mut self) {
        self.funcs.sort_by_key(|func| func.insn_off);
        self.lines.sort_by_key(|line| line.insn_off);
        self.relos.sort_by_key(|relo| relo.insn_off);
    }
}

/// The records, sorted by their offset, whose offset is in the range.
fn within<'r, T>(records: &'r [T], range: &Range<u32>, offset: impl Fn(&T) -> u32) -> &'r [T] {
    let start = records.partition_point(|record| offset(record) < range.start);
    let end = records.partition_point(|record| offset(record) < range.end);
    &records[start..end.max(start)]
}
