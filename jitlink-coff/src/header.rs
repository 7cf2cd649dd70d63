//! The file header, the section headers and the tables behind them ("PE Format", "COFF File Header" and "Section Table").
//!
//! Objects with more than 65,279 sections have a longer header ("bigobj", `ANON_OBJECT_HEADER_BIGOBJ` of the Windows SDK) and symbols
//! of 20 bytes instead of 18.
//!
//! Invariants of a [`File`], which bound the memory and time that any input can take:
//! - the section headers, the symbol table, the string table, and the bytes and relocations of all sections lie inside the file;
//! - together they are no larger than the file, so whatever is made of each in turn is bounded by the file's size too;
//! - names looked up are together no longer than a multiple of the file's size, although they may share bytes.

use crate::bytes::{half, until_zero, word};
use crate::machine;
use jitlink_core::format::ObjectHeader;
use jitlink_core::{LinkError, Site};
use std::cell::Cell;

const HEADER: usize = 20;
const BIG_HEADER: usize = 56;
const SECTION: usize = 40;
const RELOCATION: usize = 10;

/// `ClassID` of a bigobj: {D1BAA1C7-BAEE-4BA9-AF20-FAF66AA4DCB8}.
const BIG_CLASS: [u8; 16] =
    [0xc7, 0xa1, 0xba, 0xd1, 0xee, 0xba, 0xa9, 0x4b, 0xaf, 0x20, 0xfa, 0xf6, 0x6a, 0xa4, 0xdc, 0xb8];

/// How many times longer than the file all names together may be.
const NAME_BUDGET: u64 = 256;

/// `IMAGE_SCN_LNK_NRELOC_OVFL`: the number of relocations stands in the first of them.
const OVERFLOWED: u32 = 0x0100_0000;
/// `IMAGE_SCN_CNT_UNINITIALIZED_DATA`.
const UNINITIALIZED: u32 = 0x80;

/// What the first bytes of a file announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// An object with an ordinary header.
    Plain,
    /// An object with the longer header.
    Big,
    /// A member of an import library in its short form.
    Import,
    /// An object of a compiler's intermediate code, or something else behind the same magic number.
    Anonymous,
    /// A linked program or library.
    Image,
}

impl Shape {
    /// By the first bytes; `None` for a file of another format.
    pub(crate) fn of(bytes: &[u8]) -> Option<Shape> {
        if bytes.starts_with(b"MZ") {
            return Some(Shape::Image);
        }
        let start = bytes.get(..8)?;
        if half(start, 0) == 0 && half(start, 2) == 0xffff {
            let is_big = || bytes.get(12..28) == Some(&BIG_CLASS);
            return Some(match half(start, 4) {
                0 => Shape::Import,
                2.. if is_big() => Shape::Big,
                _ => Shape::Anonymous,
            });
        }
        // Objects have no optional header.
        let is_object = bytes.get(16..18).is_none_or(|size| size == [0, 0]);
        (machine::is_known(half(start, 0)) && is_object).then_some(Shape::Plain)
    }
}

/// What the header of an object or of an import says of its machine; refuses all else.
pub(crate) fn read(name: &str, bytes: &[u8]) -> Result<ObjectHeader, LinkError> {
    let (needed, at) = match shape(name, bytes)? {
        Shape::Big => (BIG_HEADER, 6),
        Shape::Import => (HEADER, 6),
        _ => (HEADER, 0),
    };
    if bytes.len() < needed {
        let what = format!("the file ends within its header of {needed} bytes, after {}", bytes.len());
        return Err(LinkError::malformed(name, "", 0, what));
    }
    let number = half(bytes, at);
    machine::header(number)
        .ok_or_else(|| LinkError::malformed(name, "", at as u64, format!("{number:#x} is no machine's number")))
}

/// The shape of an object or of an import; refuses all else.
pub(crate) fn shape(name: &str, bytes: &[u8]) -> Result<Shape, LinkError> {
    match Shape::of(bytes) {
        Some(Shape::Image) => {
            let advice = "pass the object files that it was made of, or the import library of a DLL";
            Err(unsupported(name, "", 0, "this is a linked program or DLL, not a relocatable object", advice))
        }
        Some(Shape::Anonymous) => {
            let what = "the object holds a compiler's intermediate code, not machine code";
            Err(unsupported(name, "", 0, what, "compile without link-time code generation (/GL-, -fno-lto)"))
        }
        Some(shape) => Ok(shape),
        None => {
            let what = "the file does not start with the number of a machine that has COFF objects";
            Err(LinkError::malformed(name, "", 0, what))
        }
    }
}

/// A section's header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SectionHeader<'a> {
    /// Its bytes in the file; `None` where all are zero.
    pub(crate) content: Option<&'a [u8]>,
    pub(crate) size: u32,
    /// What the offsets of relocations count from.
    pub(crate) address: u32,
    pub(crate) flags: u32,
    relocations: &'a [u8],
}

impl<'a> SectionHeader<'a> {
    /// The relocations: entries of ten bytes.
    pub(crate) fn relocations(&self) -> &'a [u8] {
        self.relocations
    }

    /// How many relocations there are.
    pub(crate) fn relocation_count(&self) -> usize {
        self.relocations.len() / RELOCATION
    }

    /// The number of the symbol to which a relocation at an offset refers, if there is one.
    pub(crate) fn reference_at(&self, offset: u32) -> Option<u32> {
        let mut entries = self.relocations.chunks_exact(RELOCATION);
        let entry = entries.find(|entry| word(entry, 0).wrapping_sub(self.address) == offset)?;
        Some(word(entry, 4))
    }

    /// Has one of these flags.
    pub(crate) fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }
}

/// An object whose header and tables were checked.
pub(crate) struct File<'n, 'a> {
    /// What errors call the object.
    pub(crate) name: &'n str,
    pub(crate) machine: u16,
    pub(crate) is_big: bool,
    bytes: &'a [u8],
    /// The section headers, the first of which is section 1.
    headers: Vec<SectionHeader<'a>>,
    names: &'a [u8],
    pub(crate) symbols: &'a [u8],
    strings: &'a [u8],
    name_budget: Cell<u64>,
}

impl<'n, 'a> File<'n, 'a> {
    /// Checks the header and the tables of an object.
    pub(crate) fn parse(name: &'n str, bytes: &'a [u8]) -> Result<Self, LinkError> {
        read(name, bytes)?;
        let is_big = shape(name, bytes)? == Shape::Big;
        let (machine, header, count, symbols_at, symbol_count) = if is_big {
            (half(bytes, 6), BIG_HEADER, word(bytes, 44) as usize, word(bytes, 48), word(bytes, 52))
        } else {
            (half(bytes, 0), HEADER, usize::from(half(bytes, 2)), word(bytes, 8), word(bytes, 12))
        };
        let sized = count.checked_mul(SECTION).and_then(|size| bytes.get(header..)?.get(..size));
        let Some(names) = sized else {
            let what = format!("{count} section headers run past the file's end at {:#x}", bytes.len());
            return Err(LinkError::malformed(name, "", header as u64, what));
        };
        let mut file = File {
            name,
            machine,
            is_big,
            bytes,
            headers: Vec::with_capacity(count),
            names,
            symbols: &[],
            strings: &[],
            name_budget: Cell::new((bytes.len() as u64).saturating_mul(NAME_BUDGET)),
        };
        file.find_symbols(symbols_at, symbol_count)?;
        let mut claimed = names.len() + file.symbols.len();
        for index in 0..count {
            let section = file.section_header(index, &names[index * SECTION..][..SECTION])?;
            claimed += section.content.map_or(0, <[u8]>::len) + section.relocations.len();
            if claimed > bytes.len() {
                let what = format!(
                    "its tables and sections overlap: up to section {} they claim {claimed:#x} bytes of {:#x}",
                    index + 1,
                    bytes.len()
                );
                return Err(LinkError::malformed(name, "", (header + index * SECTION) as u64, what));
            }
            file.headers.push(section);
        }
        Ok(file)
    }

    /// The symbol table, and the string table that follows it.
    fn find_symbols(&mut self, at: u32, count: u32) -> Result<(), LinkError> {
        // Strings follow even where there are no symbols.
        if at == 0 {
            return Ok(());
        }
        let size = u64::from(count) * self.symbol_size() as u64;
        let rest = self.bytes.get(at as usize..).filter(|rest| size <= rest.len() as u64);
        let Some((symbols, rest)) = rest.map(|rest| rest.split_at(size as usize)) else {
            let what = format!("{count} symbols, {size:#x} bytes, run past the file's end at {:#x}", self.bytes.len());
            return Err(LinkError::malformed(self.name, "", at.into(), what));
        };
        self.symbols = symbols;
        if rest.is_empty() {
            return Ok(());
        }
        let size = rest.get(..4).map(|size| word(size, 0) as usize);
        // A size of zero is that of a table without strings, as some producers write it.
        let table = size.and_then(|size| if size < 4 { Some(&rest[..0]) } else { rest.get(..size) });
        let Some(table) = table else {
            let what = format!("the string table runs past the file's end at {:#x}", self.bytes.len());
            return Err(LinkError::malformed(self.name, "", u64::from(at) + symbols.len() as u64, what));
        };
        self.strings = table;
        Ok(())
    }

    fn section_header(&self, index: usize, raw: &'a [u8]) -> Result<SectionHeader<'a>, LinkError> {
        let (size, at, flags) = (word(raw, 16), word(raw, 20) as usize, word(raw, 36));
        let content = match at == 0 || flags & UNINITIALIZED != 0 {
            true => None,
            false => Some(self.slice(at, size as usize, index, "content")?),
        };
        let (at, mut count) = (word(raw, 24) as usize, usize::from(half(raw, 32)));
        let mut skipped = 0;
        if flags & OVERFLOWED != 0 && count == 0xffff {
            count = word(self.slice(at, RELOCATION, index, "number of relocations")?, 0) as usize;
            // The entry with their number is one of them.
            skipped = 1;
            if count == 0 {
                let what = "the number of relocations, which counts itself, is zero";
                return Err(self.malformed(index, 0, what));
            }
        }
        let relocations = match count {
            0 => &[][..],
            _ => &self.slice(at, count.saturating_mul(RELOCATION), index, "relocations")?[skipped * RELOCATION..],
        };
        Ok(SectionHeader { content, size, address: word(raw, 12), flags, relocations })
    }

    fn slice(&self, at: usize, size: usize, index: usize, what: &str) -> Result<&'a [u8], LinkError> {
        self.bytes.get(at..).and_then(|rest| rest.get(..size)).ok_or_else(|| {
            let end = self.bytes.len();
            let what = format!("its {what}, {size:#x} bytes at {at:#x}, run past the file's end at {end:#x}");
            self.malformed(index, 0, what)
        })
    }

    pub(crate) fn symbol_size(&self) -> usize {
        if self.is_big { 20 } else { 18 }
    }

    pub(crate) fn symbol_count(&self) -> usize {
        self.symbols.len() / self.symbol_size()
    }

    /// The headers of the sections by index, which is one less than their number.
    pub(crate) fn sections(&self) -> &[SectionHeader<'a>] {
        &self.headers
    }

    /// A section's name ("PE Format", "Section Table": a longer one than eight bytes is a decimal offset of the string table; GNU's
    /// and LLVM's tools write offsets of more than seven digits in base 64).
    pub(crate) fn section_name(&self, index: usize) -> Result<&'a [u8], LinkError> {
        let short = until_zero(&self.names[index * SECTION..][..8]);
        let offset = match short {
            [b'/', b'/', digits @ ..] => {
                digits.iter().try_fold(0u64, |value, digit| Some(value << 6 | base64(*digit)?))
            }
            [b'/', digits @ ..] if !digits.is_empty() => digits
                .iter()
                .try_fold(0u64, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0'))),
            _ => return Ok(short),
        };
        offset.and_then(|offset| self.string(offset)).ok_or_else(|| {
            let what = format!("the name {:?} is no place in the string table", String::from_utf8_lossy(short));
            LinkError::malformed(self.name, format!("section {}", index + 1), 0, what)
        })
    }

    /// The string at an offset of the string table, if the file has not asked for absurdly many bytes of names.
    pub(crate) fn string(&self, offset: u64) -> Option<&'a [u8]> {
        let rest = usize::try_from(offset).ok().filter(|offset| *offset >= 4).and_then(|at| self.strings.get(at..))?;
        let name = &rest[..rest.iter().position(|byte| *byte == 0)?];
        self.name_budget.set(self.name_budget.get().checked_sub(name.len() as u64)?);
        Some(name)
    }

    /// A section's name for people.
    pub(crate) fn display_section(&self, index: usize) -> String {
        match self.section_name(index) {
            Ok(name) if !name.is_empty() => String::from_utf8_lossy(&name[..name.len().min(256)]).into_owned(),
            _ => format!("section {}", index + 1),
        }
    }

    /// A broken rule at a place in a section.
    pub(crate) fn malformed(&self, section: usize, offset: u64, what: impl Into<String>) -> LinkError {
        LinkError::malformed(self.name, self.display_section(section), offset, what)
    }

    /// Something of a section that is understood and not supported.
    pub(crate) fn unsupported(&self, section: usize, what: impl Into<String>, advice: &str) -> LinkError {
        unsupported(self.name, &self.display_section(section), 0, what, advice)
    }
}

fn base64(digit: u8) -> Option<u64> {
    Some(u64::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

/// Something that is understood and not supported, with a way out.
pub(crate) fn unsupported(name: &str, section: &str, offset: u64, what: impl Into<String>, advice: &str) -> LinkError {
    let site = Site { object: name.into(), section: section.into(), offset, ..Site::default() };
    LinkError::Unsupported { site: Box::new(site), what: what.into(), advice: advice.into() }
}
