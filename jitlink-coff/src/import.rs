//! Import libraries: archives whose members say that a name is in a DLL ("PE Format", "Import Library Format").
//!
//! A member in the short form is a header and two or three strings. Linkers make of it a slot `__imp_NAME`, to be filled with the
//! address, and a piece of code NAME that jumps there. Here the slot is a constant, and NAME itself is looked up outside of the
//! batch: a call that does not reach it goes through a stub like any other.
//!
//! | name type | what is looked up |
//! | --- | --- |
//! | by ordinal (0), name (1) | the symbol's name: nothing here numbers what it exports |
//! | without prefix (2) | the name without one leading `?`, `@` or `_` |
//! | undecorated (3) | that, up to the first `@` |
//! | export as (4) | the third string |
//!
//! Members in GNU's long form are objects with pieces of the tables that a loader reads (`.idata$5` is the slot, `.idata$6` the name)
//! and the code that jumps. They are taken for the same. Where the slot holds an ordinal there is no name; then it is the symbol's too.

use crate::bytes::{half, until_zero, word};
use crate::conventions;
use crate::header::File;
use crate::symbols::raw::{EXTERNAL, Home, RawSymbol};
use crate::symbols::{Slot, Symbols, import_slot};
use jitlink_core::LinkError;
use jitlink_core::graph::{Fallback, Linkage, ObjectBuilder, Symbol, SymbolId};

const HEADER: usize = 20;

/// What the highest byte of a slot has set that holds an ordinal ("PE Format", "Import Lookup Table").
const BY_ORDINAL: u8 = 0x80;

/// What an import is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Code,
    Data,
    /// Data whose name means the slot.
    Constant,
}

/// A member in the short form.
struct Import<'a> {
    /// The symbol's name.
    name: &'a [u8],
    /// What is looked up.
    outside: &'a [u8],
    kind: Kind,
}

impl<'a> Import<'a> {
    fn parse(object: &str, bytes: &'a [u8]) -> Result<Import<'a>, LinkError> {
        crate::header::read(object, bytes)?;
        let malformed = |at: u64, what: String| LinkError::malformed(object, "", at, what);
        let size = word(bytes, 12) as usize;
        let Some(data) = bytes[HEADER..].get(..size) else {
            let what = format!("strings of {size:#x} bytes run past the file's end at {:#x}", bytes.len());
            return Err(malformed(12, what));
        };
        let mut strings = Strings(data);
        let (name, library) = (strings.next(), strings.next());
        let (Some(name), Some(_)) = (name.filter(|name| !name.is_empty()), library) else {
            return Err(malformed(HEADER as u64, "the names of the symbol and of the DLL are cut off".into()));
        };
        let bits = half(bytes, 18);
        let kind = match bits & 3 {
            0 => Kind::Code,
            1 => Kind::Data,
            2 => Kind::Constant,
            other => return Err(malformed(18, format!("the type of the import is {other}, none from 0 to 2"))),
        };
        let outside = match bits >> 2 & 7 {
            0 | 1 => name,
            2 => without_prefix(name),
            3 => {
                let name = without_prefix(name);
                &name[..name.iter().position(|byte| *byte == b'@').unwrap_or(name.len())]
            }
            4 => match strings.next() {
                Some(name) => name,
                None => return Err(malformed(18, "the name that it is exported as is cut off".into())),
            },
            other => return Err(malformed(18, format!("the type of the import's name is {other}, none from 0 to 4"))),
        };
        if outside.is_empty() {
            return Err(malformed(18, "the name that it is exported as is empty".into()));
        }
        Ok(Import { name, outside, kind })
    }
}

/// Strings, each with a zero behind it.
struct Strings<'a>(&'a [u8]);

impl<'a> Iterator for Strings<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let string = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Some(string)
    }
}

fn without_prefix(name: &[u8]) -> &[u8] {
    match name {
        [b'?' | b'@' | b'_', rest @ ..] => rest,
        _ => name,
    }
}

/// Reads a member in the short form. Whatever refers to a slot makes one for itself, which points to the symbol's name; so all that
/// is left to say is what that name means.
pub(crate) fn read<'a>(bytes: &'a [u8], builder: &mut ObjectBuilder<'_, 'a>) -> Result<(), LinkError> {
    let import = Import::parse(builder.name(), bytes)?;
    if import.kind == Kind::Constant {
        let slot = import_slot(import.outside, builder)?;
        builder.symbol_mut(slot.target).linkage = Linkage::Strong;
        let value = builder.graph().symbol(slot.symbol).value;
        builder.add_symbol(Symbol { value, ..Symbol::undefined(import.name, builder.id()) });
    } else if import.outside != import.name {
        let reference = |name| Symbol { linkage: Linkage::Weak, ..Symbol::undefined(name, builder.id()) };
        let (name, target) = (reference(import.name), reference(import.outside));
        let (name, target) = (builder.add_symbol(name), builder.add_symbol(target));
        builder.add_fallback(Fallback { name, target, needs: Some(target) });
    }
    Ok(())
}

/// Calls `found` with the name by which an archive's member in the short form is found.
pub(crate) fn definitions<'a>(object: &str, bytes: &'a [u8], found: &mut dyn FnMut(&'a [u8])) -> Result<(), LinkError> {
    found(Import::parse(object, bytes)?.name);
    Ok(())
}

/// A member in GNU's long form.
pub(crate) struct GnuImport<'a> {
    /// The symbol of the slot.
    slot: RawSymbol<'a>,
    /// The code that jumps through the slot.
    code: Option<RawSymbol<'a>>,
    /// The section of that code, if it holds nothing else that others see.
    code_section: Option<usize>,
    outside: &'a [u8],
}

impl<'a> GnuImport<'a> {
    /// Finds the slot, the code and the name, if an object has a slot of an import.
    pub(crate) fn find(file: &File<'_, 'a>, symbols: &[RawSymbol<'a>]) -> Result<Option<GnuImport<'a>>, LinkError> {
        let mut name = None;
        let mut slots = None;
        for (index, header) in file.sections().iter().enumerate() {
            match file.section_name(index)? {
                b".idata$5" => slots = Some(index),
                b".idata$6" => name = header.content.and_then(|content| Some(until_zero(content.get(2..)?))),
                _ => {}
            }
        }
        let Some(slots) = slots else { return Ok(None) };
        let is_seen = |symbol: &&RawSymbol<'a>| symbol.class == EXTERNAL;
        let slot = symbols
            .iter()
            .filter(is_seen)
            .find(|symbol| symbol.home == Home::Section(slots) && conventions::imported(symbol.name).is_some());
        let Some(slot) = slot else { return Ok(None) };
        let name = name.filter(|name| !name.is_empty());
        let ordinal = file.sections()[slots].content.and_then(<[u8]>::last).filter(|high| **high & BY_ORDINAL != 0);
        let Some(outside) = name.or(ordinal.and_then(|_| conventions::imported(slot.name))) else {
            return Err(file.malformed(slots, 0, "it is the slot of an import with neither a name nor an ordinal"));
        };
        let imported = conventions::imported(slot.name);
        let code = symbols.iter().filter(is_seen).find(|symbol| {
            Some(symbol.name) == imported && matches!(symbol.home, Home::Section(index) if index != slots)
        });
        let section = |symbol: &RawSymbol<'_>| match symbol.home {
            Home::Section(index) => Some(index),
            _ => None,
        };
        let is_alone = |index: &usize| {
            let others = symbols.iter().filter(is_seen).filter(|symbol| section(symbol) == Some(*index));
            others.count() == 1
        };
        let code_section = code.and_then(section).filter(is_alone);
        Ok(Some(GnuImport { slot: *slot, code: code.copied(), code_section, outside }))
    }

    /// Whether a section holds nothing but code that gives way to what is outside: it jumps by pieces of the tables, which are left out.
    pub(crate) fn is_code(&self, section: usize) -> bool {
        self.code_section == Some(section)
    }

    /// Whether a symbol's definition gives way to what is outside.
    pub(crate) fn replaces(&self, symbol: &RawSymbol<'_>) -> bool {
        symbol.number == self.slot.number || self.code.is_some_and(|code| code.number == symbol.number)
    }

    /// Says what the slot and the code's name mean.
    pub(crate) fn complete(&self, symbols: &Symbols, builder: &mut ObjectBuilder<'_, 'a>) -> Result<(), LinkError> {
        let Slot { symbol, target } = import_slot(self.outside, builder)?;
        let mut means = |raw: &RawSymbol<'a>, meaning: SymbolId| {
            if let Some(name) = symbols.get(raw.number as u32) {
                builder.symbol_mut(name).linkage = Linkage::Weak;
                builder.add_fallback(Fallback { name, target: meaning, needs: Some(target) });
            }
        };
        means(&self.slot, symbol);
        match self.code {
            Some(code) if code.name != self.outside => means(&code, target),
            Some(_) => {}
            // Data has no name but that of the slot; other objects make slots for themselves, with the name that this is the slot of.
            None => {
                if let Some(imported) = conventions::imported(self.slot.name).filter(|name| *name != self.outside) {
                    let reference = Symbol { linkage: Linkage::Weak, ..Symbol::undefined(imported, builder.id()) };
                    let name = builder.add_symbol(reference);
                    builder.add_fallback(Fallback { name, target, needs: Some(target) });
                }
            }
        }
        Ok(())
    }
}
