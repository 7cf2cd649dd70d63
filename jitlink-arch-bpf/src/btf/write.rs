//! BTF as bytes in either byte order.

use super::{Btf, read};
use jitlink_core::Endian;

impl Btf {
    /// The bytes of a `.BTF` section: header, types, strings.
    ///
    /// What was read from a header of the usual length with types before strings gives the same bytes again.
    pub fn to_bytes(&self, endian: Endian) -> Vec<u8> {
        let types = self.words.get(super::VOID_WORDS.len()..).unwrap_or_default();
        let strings: &[u8] = if self.strings.is_empty() { &[0] } else { &self.strings };
        let mut bytes = Vec::with_capacity(read::HEADER_BYTES + types.len() * 4 + strings.len());
        let mut magic = [0; 2];
        endian.write(&mut magic, u64::from(read::MAGIC));
        bytes.extend_from_slice(&magic);
        bytes.extend_from_slice(&[1, 0]);
        let types_length = (types.len() * 4) as u32;
        let header = [read::HEADER_BYTES as u32, 0, types_length, types_length, strings.len() as u32];
        for word in header.iter().chain(types) {
            bytes.extend_from_slice(&match endian {
                Endian::Little => word.to_le_bytes(),
                Endian::Big => word.to_be_bytes(),
            });
        }
        bytes.extend_from_slice(strings);
        bytes
    }
}
