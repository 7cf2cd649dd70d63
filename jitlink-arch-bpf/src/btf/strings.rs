//! The heap of strings: each is stored once, and found by its bytes.

use super::BtfError;
use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use std::ffi::CStr;
use std::hash::BuildHasher;

/// The string at an offset, up to the next zero.
pub(crate) fn at(strings: &[u8], offset: u32) -> Option<&[u8]> {
    CStr::from_bytes_until_nul(strings.get(offset as usize..)?).ok().map(CStr::to_bytes)
}

/// Strings that are being collected. Offset 0 is the empty string.
#[derive(Clone, Debug)]
pub(crate) struct Strings {
    bytes: Vec<u8>,
    /// Hash and offset: the table grows without looking at the bytes.
    table: HashTable<(u64, u32)>,
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
                let hash = hash(text);
                strings.enter(hash, start);
            }
            start = next;
        }
        strings
    }

    /// The offset of a string, which is added if it is not there. Bytes from a zero on do not count.
    pub(crate) fn add(&mut self, text: &[u8]) -> Result<u32, BtfError> {
        let text = match text.contains(&0) {
            true => text.split(|byte| *byte == 0).next().unwrap_or_default(),
            false => text,
        };
        if text.is_empty() {
            return Ok(0);
        }
        let (bytes, hash) = (&self.bytes, hash(text));
        let is_text = |offset: u32| {
            let rest = bytes.get(offset as usize..).and_then(|tail| tail.strip_prefix(text));
            rest.is_some_and(|rest| rest.first() == Some(&0))
        };
        if let Some((_, offset)) = self.table.find(hash, |entry| entry.0 == hash && is_text(entry.1)) {
            return Ok(*offset);
        }
        let full = || BtfError::TooLarge { what: "strings of more than 4 GiB" };
        let offset = u32::try_from(self.bytes.len()).map_err(|_| full())?;
        u32::try_from(self.bytes.len() + text.len() + 1).map_err(|_| full())?;
        self.bytes.extend_from_slice(text);
        self.bytes.push(0);
        self.enter(hash, offset);
        Ok(offset)
    }

    /// The string at an offset that [`add`](Self::add) gave.
    pub(crate) fn at(&self, offset: u32) -> &[u8] {
        at(&self.bytes, offset).unwrap_or_default()
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn enter(&mut self, hash: u64, offset: u32) {
        self.table.insert_unique(hash, (hash, offset), |entry| entry.0);
    }
}

fn hash(text: &[u8]) -> u64 {
    FxBuildHasher.hash_one(text)
}
