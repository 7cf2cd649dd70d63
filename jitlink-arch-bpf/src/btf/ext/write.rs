//! `.BTF.ext` as bytes.

use super::{BtfExt, ExtError, SectionInfo};
use crate::btf::{BtfBuilder, BtfError, read::MAGIC};
use jitlink_core::Endian;

const HEADER_BYTES: usize = 32;

impl BtfExt {
    /// The bytes of a `.BTF.ext` section; names of sections become strings of `strings`, to which all other offsets
    /// refer already.
    pub fn to_bytes(&self, endian: Endian, strings: &mut BtfBuilder) -> Result<Vec<u8>, ExtError> {
        let funcs = |info: &SectionInfo| info.funcs.iter().map(|func| [func.insn_off, func.ty.0]).collect::<Vec<_>>();
        let lines = |info: &SectionInfo| {
            let place = |line: u32, column: u16| line << 10 | u32::from(column & 0x3ff);
            let record = |line: &super::LineInfo| [line.insn_off, line.file, line.text, place(line.line, line.column)];
            info.lines.iter().map(record).collect::<Vec<_>>()
        };
        let relos = |info: &SectionInfo| {
            let record = |relo: &super::CoreRelo| [relo.insn_off, relo.ty.0, relo.access, relo.kind as u32];
            info.relos.iter().map(record).collect::<Vec<_>>()
        };
        let lists = [self.list(strings, funcs)?, self.list(strings, lines)?, self.list(strings, relos)?];
        let mut header = Vec::with_capacity(7);
        header.push(HEADER_BYTES as u32);
        let mut offset = 0;
        for list in &lists {
            let too_large = || BtfError::TooLarge { what: "more than 4 GiB of .BTF.ext" };
            let length = u32::try_from(list.len() * 4).map_err(|_| too_large())?;
            header.extend([offset, length]);
            offset = offset.checked_add(length).ok_or_else(too_large)?;
        }
        let mut bytes = vec![0; 4];
        endian.write(&mut bytes[..2], u64::from(MAGIC));
        bytes[2] = 1;
        for word in header.iter().chain(lists.iter().flatten()) {
            bytes.extend_from_slice(&match endian {
                Endian::Little => word.to_le_bytes(),
                Endian::Big => word.to_be_bytes(),
            });
        }
        Ok(bytes)
    }

    /// One of the three lists, as words; empty where no section has records.
    fn list<const WORDS: usize>(
        &self,
        strings: &mut BtfBuilder,
        records: impl Fn(&SectionInfo) -> Vec<[u32; WORDS]>,
    ) -> Result<Vec<u32>, BtfError> {
        let mut list = Vec::new();
        for (name, info) in &self.sections {
            let records = records(info);
            if records.is_empty() {
                continue;
            }
            if list.is_empty() {
                list.push(WORDS as u32 * 4);
            }
            let count =
                u32::try_from(records.len()).map_err(|_| BtfError::TooLarge { what: "records of a section" })?;
            list.extend([strings.string(name)?, count]);
            list.extend(records.iter().flatten());
        }
        Ok(list)
    }
}
