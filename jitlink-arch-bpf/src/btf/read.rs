//! BTF from bytes in either byte order.

use super::{Btf, BtfError, Kind, TypeId, check};
use jitlink_core::Endian;

/// What BTF starts with.
pub(crate) const MAGIC: u16 = 0xeb9f;
/// The bytes of `struct btf_header`.
pub(crate) const HEADER_BYTES: usize = 24;
/// Bits of the second word that no kind uses.
const RESERVED_INFO: u32 = 0x60ff_0000;

impl Btf {
    /// Reads and checks the bytes of a `.BTF` section, or of a file such as `/sys/kernel/btf/vmlinux`.
    ///
    /// Split BTF, as of kernel modules, is refused: it goes on where another ends. [`Btf::read_split`] reads it.
    pub fn read(bytes: &[u8]) -> Result<Btf, BtfError> {
        let (types, strings) = parts(bytes)?;
        if strings.first() != Some(&0) {
            return Err(BtfError::Strings { length: strings.len() });
        }
        Btf::from_parts([&super::VOID_WORDS[..], &types].concat(), strings.to_vec())
    }

    /// Reads BTF that goes on where a base ends, such as `/sys/kernel/btf/MODULE` on `/sys/kernel/btf/vmlinux`: its first type has the
    /// number after the base's last one, and its strings follow the base's. What comes out holds the types of both.
    pub fn read_split(bytes: &[u8], base: &Btf) -> Result<Btf, BtfError> {
        let (types, strings) = parts(bytes)?;
        // A base that was made of nothing has no words and strings at all.
        let before = if base.words.is_empty() { &super::VOID_WORDS[..] } else { &base.words };
        let base_strings: &[u8] = if base.strings.is_empty() { &[0] } else { &base.strings };
        Btf::from_parts([before, &types].concat(), [base_strings, strings].concat())
    }

    /// The byte order of BTF, which is that of its object.
    pub fn endian(bytes: &[u8]) -> Result<Endian, BtfError> {
        endian_of(bytes)
    }

    /// Reads the types of the running kernel, `/sys/kernel/btf/vmlinux`.
    pub fn kernel() -> std::io::Result<Btf> {
        let bytes = std::fs::read("/sys/kernel/btf/vmlinux")?;
        Btf::read(&bytes).map_err(std::io::Error::other)
    }

    /// Finds the records in words that start with those of `void`, and checks all of them.
    pub(crate) fn from_parts(words: Vec<u32>, strings: Vec<u8>) -> Result<Btf, BtfError> {
        let starts = index(&words)?;
        let btf = Btf { words, starts, strings };
        check::all(&btf)?;
        Ok(btf)
    }
}

fn endian_of(bytes: &[u8]) -> Result<Endian, BtfError> {
    let [first, second, ..] = bytes else {
        return Err(BtfError::TruncatedHeader { length: bytes.len(), needed: HEADER_BYTES });
    };
    match (u16::from_le_bytes([*first, *second]), u16::from_be_bytes([*first, *second])) {
        (MAGIC, _) => Ok(Endian::Little),
        (_, MAGIC) => Ok(Endian::Big),
        (other, _) => Err(BtfError::Magic(other)),
    }
}

/// The words of the types, and the strings.
fn parts(bytes: &[u8]) -> Result<(Vec<u32>, &[u8]), BtfError> {
    let endian = endian_of(bytes)?;
    let (types, strings) = sections(bytes, endian)?;
    let chunks = types.as_chunks().0.iter();
    let words = match endian {
        Endian::Little => chunks.map(|word| u32::from_le_bytes(*word)).collect(),
        Endian::Big => chunks.map(|word| u32::from_be_bytes(*word)).collect(),
    };
    Ok((words, strings))
}

/// The bytes of types and of strings.
fn sections(bytes: &[u8], endian: Endian) -> Result<(&[u8], &[u8]), BtfError> {
    let truncated = |needed| BtfError::TruncatedHeader { length: bytes.len(), needed };
    let header = bytes.get(..HEADER_BYTES).ok_or_else(|| truncated(HEADER_BYTES))?;
    let (version, flags) = (header[2], header[3]);
    if version != 1 || flags != 0 {
        return Err(BtfError::Version { version, flags });
    }
    let word = |index: usize| endian.read(&header[index * 4..][..4]) as u32;
    let header_length = word(1);
    if (header_length as usize) < HEADER_BYTES {
        return Err(BtfError::Range { what: "own length", offset: 0, length: header_length, available: bytes.len() });
    }
    let body = bytes.get(header_length as usize..).ok_or_else(|| truncated(header_length as usize))?;
    let part = |what, offset: u32, length: u32| {
        let end = (offset as usize).checked_add(length as usize);
        let range = end.and_then(|end| body.get(offset as usize..end));
        range.ok_or(BtfError::Range { what, offset, length, available: body.len() })
    };
    let (types, strings) = (part("types", word(2), word(3))?, part("strings", word(4), word(5))?);
    if word(2) % 4 != 0 || word(3) % 4 != 0 {
        return Err(BtfError::Misaligned { offset: word(2), length: word(3) });
    }
    // That the first string is the empty one holds for a base only.
    if strings.last().is_some_and(|last| *last != 0) {
        return Err(BtfError::Strings { length: strings.len() });
    }
    Ok((types, strings))
}

/// Where each record starts; the words of `void` come first.
fn index(words: &[u32]) -> Result<Vec<u32>, BtfError> {
    let mut starts = vec![0];
    let mut position = super::VOID_WORDS.len();
    while position < words.len() {
        let id = TypeId(starts.len() as u32);
        starts.push(position as u32);
        let info = words.get(position + 1).copied().unwrap_or_default();
        let kind = Kind::from_number(info >> 24 & 0x1f).ok_or(BtfError::Info { id, info })?;
        if info & RESERVED_INFO != 0 {
            return Err(BtfError::Info { id, info });
        }
        let needed = 3 + kind.trailing_words((info & 0xffff) as usize);
        let available = words.len() - position;
        if needed > available {
            return Err(BtfError::TruncatedType { id, kind, needed, available });
        }
        position += needed;
    }
    starts.push(position as u32);
    Ok(starts)
}
