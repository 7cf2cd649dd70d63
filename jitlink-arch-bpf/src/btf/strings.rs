//! The heap of strings: each is stored once, and found by its bytes.

use super::BtfError;
use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use std::hash::BuildHasher;

/// The string at an offset, up to the next zero.
pub(crate) fn at(strings: &[u8], offset: u32) -> Option<&[u8]> {
    let tail = strings.get(offset as usize..)?;
    let end = tail.iter().position(|byte| *byte == 0)?;
    Some(&tail[..end])
}

/// Strings that are being collected. Offset 0 is the empty string.
#[derive(Clone, Debug)]
pub(crate) struct Strings {
    bytes: Vec<u8>,
    table: HashTable<u32>,
}

impl Default for Strings {
    fn default() -> Strings {
        Strings { bytes: vec![0], table: HashTable::new() }
    }
}

impl Strings {
    /// Strings that exist already, with the offsets that they have.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Strings {
        let mut strings = Strings { bytes, table: HashTable::new() };
        let mut start = 0;
        while let Some(text) = at(&strings.bytes, start) {
            let next = start + text.len() as u32 + 1;
            if !text.is_empty() {
                strings.enter(start);
            }
            start = next;
        }
        strings
    }

    /// The offset of a string, which is added if it is not there. Bytes from a zero on do not count.
    pub(crate) fn add(&mut self, text: &[u8]) -> Result<u32, BtfError> {
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        if text.is_empty() {
            return Ok(0);
        }
        let bytes = &self.bytes;
        if let Some(offset) = self.table.find(hash(text), |offset| at(bytes, *offset) == Some(text)) {
            return Ok(*offset);
        }
        let full = || BtfError::TooLarge { what: "strings of more than 4 GiB" };
        let offset = u32::try_from(self.bytes.len()).map_err(|_| full())?;
        u32::try_from(self.bytes.len() + text.len() + 1).map_err(|_| full())?;
        self.bytes.extend_from_slice(text);
        self.bytes.push(0);
        self.enter(offset);
        Ok(offset)
    }

    /// The string at an offset that [`add`](Self::add) gave.
    pub(crate) fn at(&self, offset: u32) -> &[u8] {
        at(&self.bytes, offset).unwrap_or_default()
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn enter(&mut self, offset: u32) {
        let bytes = &self.bytes;
        let hash_of = |offset: &u32| hash(at(bytes, *offset).unwrap_or_default());
        self.table.insert_unique(hash_of(&offset), offset, hash_of);
    }
}

fn hash(text: &[u8]) -> u64 {
    FxBuildHasher.hash_one(text)
}
