//! `.BTF.ext` from bytes.

use super::{BtfExt, CoreRelo, ExtError, FuncInfo, LineInfo, SectionInfo};
use crate::btf::read::MAGIC;
use crate::btf::{Btf, Kind, TypeId};
use crate::core_relo::CoreKind;
use jitlink_core::Endian;
use std::slice::ChunksExact;

/// The bytes of the header without CO-RE relocations, and with them.
const SHORT_HEADER: usize = 24;
const LONG_HEADER: usize = 32;

impl BtfExt {
    /// Reads and checks the bytes of a `.BTF.ext` section of the object whose types are `btf`.
    pub fn read(bytes: &[u8], btf: &Btf) -> Result<BtfExt, ExtError> {
        let bad = || ExtError::Header { length: bytes.len() };
        let header = bytes.get(..SHORT_HEADER).ok_or_else(bad)?;
        let order = |endian: Endian| endian.read(&header[..2]) == u64::from(MAGIC);
        let endian = [Endian::Little, Endian::Big].into_iter().find(|endian| order(*endian)).ok_or_else(bad)?;
        let length = endian.read(&header[4..8]) as usize;
        if header[2] != 1 || header[3] != 0 || length < SHORT_HEADER || length > bytes.len() {
            return Err(bad());
        }
        let reader = Reader { body: &bytes[length..], endian, btf };
        let word = |index: usize| endian.read(&bytes[index * 4..][..4]) as u32;
        let mut ext = BtfExt::default();
        reader.list((word(2), word(3)), 8, |records, name| {
            let funcs = &mut ext.entry(name).funcs;
            for record in records {
                funcs.push(reader.func(record)?);
            }
            Ok(())
        })?;
        reader.list((word(4), word(5)), 16, |records, name| {
            let lines = &mut ext.entry(name).lines;
            for record in records {
                lines.push(reader.line(record)?);
            }
            Ok(())
        })?;
        if length >= LONG_HEADER {
            reader.list((word(6), word(7)), 16, |records, name| {
                let relos = &mut ext.entry(name).relos;
                for record in records {
                    relos.push(reader.relo(record)?);
                }
                Ok(())
            })?;
        }
        ext.sections.values_mut().for_each(SectionInfo::sort);
        Ok(ext)
    }

    fn entry(&mut self, name: &str) -> &mut SectionInfo {
        if self.sections.get(name).is_none() {
            self.sections.insert(name.to_owned(), SectionInfo::default());
        }
        &mut self.sections[name]
    }
}

struct Reader<'a> {
    body: &'a [u8],
    endian: Endian,
    btf: &'a Btf,
}

impl<'a> Reader<'a> {
    /// Calls `each` with the records of every section of a list, and the section's name.
    fn list(
        &self,
        (offset, length): (u32, u32),
        least: usize,
        mut each: impl FnMut(ChunksExact<'a, u8>, &'a str) -> Result<(), ExtError>,
    ) -> Result<(), ExtError> {
        if length == 0 {
            return Ok(());
        }
        if !offset.is_multiple_of(4) {
            return Err(value("a list starts at no multiple of four:", offset));
        }
        let start = offset as usize;
        let list = self.slice("a list", start, u64::from(length))?;
        let record = self.word(list, 0, start)? as usize;
        if record < least || !record.is_multiple_of(4) {
            return Err(value("a list has records of an impossible size,", record as u32));
        }
        let mut position = 4;
        while position < list.len() {
            let (name, count) = (self.word(list, position, start)?, self.word(list, position + 4, start)?);
            let name = self.text(name, "a section's name is at")?;
            if count == 0 {
                return Err(value("a section has no records, at", (start + position) as u32));
            }
            position += 8;
            let needed = u64::from(count) * record as u64;
            let truncated = || truncated("the records of a section", start + position, needed, list.len() - position);
            let end = usize::try_from(needed).ok().and_then(|needed| position.checked_add(needed));
            let records = end.and_then(|end| list.get(position..end)).ok_or_else(truncated)?;
            each(records.chunks_exact(record), name)?;
            position += records.len();
        }
        Ok(())
    }

    fn func(&self, record: &[u8]) -> Result<FuncInfo, ExtError> {
        let (insn_off, ty) = (self.instruction(record)?, self.part(record, 1));
        match self.btf.ty(TypeId(ty)).map(|ty| ty.kind()) {
            Some(Kind::Func) => Ok(FuncInfo { insn_off, ty: TypeId(ty) }),
            _ => Err(value("a function has a type that is no FUNC:", ty)),
        }
    }

    fn line(&self, record: &[u8]) -> Result<LineInfo, ExtError> {
        let (insn_off, file, text) = (self.instruction(record)?, self.part(record, 1), self.part(record, 2));
        for offset in [file, text] {
            if self.btf.string(offset).is_none() {
                return Err(value("a source line is at", offset));
            }
        }
        let place = self.part(record, 3);
        Ok(LineInfo { insn_off, file, text, line: place >> 10, column: (place & 0x3ff) as u16 })
    }

    fn relo(&self, record: &[u8]) -> Result<CoreRelo, ExtError> {
        let (insn_off, ty, access) = (self.instruction(record)?, self.part(record, 1), self.part(record, 2));
        if self.btf.ty(TypeId(ty)).is_none() {
            return Err(value("a CO-RE relocation has no type", ty));
        }
        self.text(access, "an access string is at")?;
        let number = self.part(record, 3);
        let kind = CoreKind::from_number(number).ok_or(value("a CO-RE relocation is of unknown kind", number))?;
        Ok(CoreRelo { insn_off, ty: TypeId(ty), access, kind })
    }

    fn instruction(&self, record: &[u8]) -> Result<u32, ExtError> {
        let offset = self.part(record, 0);
        if offset.is_multiple_of(8) { Ok(offset) } else { Err(value("a record is of no whole instruction:", offset)) }
    }

    /// A word of a record, whose size is known to be enough.
    fn part(&self, record: &[u8], index: usize) -> u32 {
        self.endian.read(&record[index * 4..][..4]) as u32
    }

    fn word(&self, list: &[u8], position: usize, start: usize) -> Result<u32, ExtError> {
        let bytes = list.get(position..position + 4);
        let missing = || truncated("a word of a list", start + position, 4, list.len().saturating_sub(position));
        Ok(self.endian.read(bytes.ok_or_else(missing)?) as u32)
    }

    fn slice(&self, what: &'static str, start: usize, length: u64) -> Result<&'a [u8], ExtError> {
        let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length));
        let missing = || truncated(what, start, length, self.body.len());
        end.and_then(|end| self.body.get(start..end)).ok_or_else(missing)
    }

    fn text(&self, offset: u32, what: &'static str) -> Result<&'a str, ExtError> {
        let text = self.btf.string(offset).and_then(|bytes| std::str::from_utf8(bytes).ok());
        text.filter(|text| !text.is_empty()).ok_or(value(what, offset))
    }
}

fn truncated(what: &'static str, offset: usize, needed: u64, available: usize) -> ExtError {
    ExtError::Truncated { what, offset, needed, available }
}

fn value(what: &'static str, value: u32) -> ExtError {
    ExtError::Value { what, value: u64::from(value) }
}
