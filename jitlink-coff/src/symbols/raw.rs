//! Entries of the symbol table ("PE Format", "COFF Symbol Table" and "Auxiliary Symbol Records").

use crate::bytes::{half, word};
use crate::header::File;
use jitlink_core::LinkError;

/// `IMAGE_SYM_CLASS_EXTERNAL`.
pub(crate) const EXTERNAL: u8 = 2;
/// `IMAGE_SYM_CLASS_STATIC`.
pub(crate) const STATIC: u8 = 3;
/// `IMAGE_SYM_CLASS_LABEL`.
pub(crate) const LABEL: u8 = 6;
/// `IMAGE_SYM_CLASS_SECTION`.
pub(crate) const SECTION: u8 = 104;
/// `IMAGE_SYM_CLASS_WEAK_EXTERNAL`.
pub(crate) const WEAK_EXTERNAL: u8 = 105;

/// Classes whose symbols only say something of others: nothing (0), blocks (100), starts and ends of functions (101 and 255),
/// files (103), tokens of managed code (107).
const MARKS: [u8; 6] = [0, 100, 101, 103, 107, 255];

/// Where a symbol says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// In no section: undefined, or common where the value is not zero.
    Nowhere,
    /// At a fixed address.
    Absolute,
    /// In debug information only.
    Debug,
    /// In the section with this index, which is one less than its number.
    Section(usize),
}

/// An entry of the symbol table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawSymbol<'a> {
    /// Its number in the table.
    pub(crate) number: usize,
    pub(crate) name: &'a [u8],
    pub(crate) value: u32,
    pub(crate) home: Home,
    pub(crate) class: u8,
    /// Its type says that it is a function.
    pub(crate) is_function: bool,
    /// The records that follow, of the same size each.
    pub(crate) aux: &'a [u8],
}

impl RawSymbol<'_> {
    /// Whether it stands for its section as a whole, and its record says something of that.
    pub(crate) fn is_section(&self) -> bool {
        self.class == STATIC && self.value == 0 && !self.aux.is_empty() && matches!(self.home, Home::Section(_))
    }

    /// Whether it names nothing that could be referred to.
    pub(crate) fn is_mark(&self) -> bool {
        MARKS.contains(&self.class) || self.home == Home::Debug
    }
}

/// What a section's symbol says of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SectionRecord {
    /// The section's size, before padding.
    pub(crate) length: u32,
    /// The number of the section with which this one goes.
    pub(crate) number: u32,
    /// The selection rule.
    pub(crate) selection: u8,
}

impl SectionRecord {
    /// The first record behind a section's symbol.
    pub(crate) fn of(symbol: &RawSymbol<'_>, is_big: bool) -> SectionRecord {
        let high = if is_big { u32::from(half(symbol.aux, 16)) << 16 } else { 0 };
        let number = u32::from(half(symbol.aux, 12)) | high;
        SectionRecord { length: word(symbol.aux, 0), number, selection: symbol.aux[14] }
    }
}

/// What the record behind a weak external says: the number of the symbol that it falls back to, and how it is looked for.
pub(crate) fn weak_external(symbol: &RawSymbol<'_>) -> Option<(u32, u32)> {
    (!symbol.aux.is_empty()).then(|| (word(symbol.aux, 0), word(symbol.aux, 4)))
}

/// All symbols of a file in order, without the records behind them.
pub(crate) fn symbols<'f, 'a>(
    file: &'f File<'_, 'a>,
) -> impl Iterator<Item = Result<RawSymbol<'a>, LinkError>> + use<'f, 'a> {
    let mut number = 0;
    std::iter::from_fn(move || {
        let count = file.symbol_count();
        if number >= count {
            return None;
        }
        let symbol = read(file, number);
        number = match &symbol {
            Ok(symbol) => number + 1 + symbol.aux.len() / file.symbol_size(),
            Err(_) => count,
        };
        Some(symbol)
    })
}

fn read<'a>(file: &File<'_, 'a>, number: usize) -> Result<RawSymbol<'a>, LinkError> {
    let size = file.symbol_size();
    let table: &'a [u8] = file.symbols;
    let entry: &'a [u8] = &table[number * size..][..size];
    let malformed = |what: String| LinkError::malformed(file.name, "(symbols)", (number * size) as u64, what);
    let name = if word(entry, 0) == 0 && word(entry, 4) != 0 {
        let offset = word(entry, 4);
        file.string(offset.into()).ok_or_else(|| {
            malformed(format!("the name of symbol {number}, at {offset:#x}, is not in the string table"))
        })?
    } else {
        crate::bytes::until_zero(&entry[..8])
    };
    // In the longer form of objects the section's number has four bytes.
    let rest = &entry[size - 4..];
    let section = if file.is_big {
        word(entry, 12) as i32
    } else {
        // The two numbers below zero that are used; the others are of sections.
        match half(entry, 12) {
            special @ 0xff00.. => i32::from(special as i16),
            number => i32::from(number),
        }
    };
    let home = match section {
        0 => Home::Nowhere,
        -1 => Home::Absolute,
        -2 => Home::Debug,
        1.. if section as usize <= file.sections().len() => Home::Section(section as usize - 1),
        _ => {
            let count = file.sections().len();
            return Err(malformed(format!("symbol {number} is in section {section}, of which there are {count}")));
        }
    };
    let aux_count = usize::from(rest[3]);
    let aux = table[(number + 1) * size..].get(..aux_count * size).ok_or_else(|| {
        malformed(format!(
            "the {aux_count} records behind symbol {number} run past the table of {}",
            file.symbol_count()
        ))
    })?;
    // The complex type is in the second byte, in its lower half: a function is 2.
    let is_function = half(rest, 0) >> 4 & 3 == 2;
    Ok(RawSymbol { number, name, value: word(entry, 8), home, class: rest[2], is_function, aux })
}
