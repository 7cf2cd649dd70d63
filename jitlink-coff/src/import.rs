//! Import libraries: archives whose members say that a name is in a DLL ("PE Format", "Import Library Format").
//!
//! A member in the short form is a header and two or three strings. Linkers make of it a slot `__imp_NAME`, to be filled with the
//! address, and a piece of code NAME that jumps there. Here the slot is a constant, and NAME itself is looked up in the DLL: a call that
//! does not reach it goes through a stub like any other.
//!
//! | name type | what is looked up |
//! | --- | --- |
//! | by ordinal (0) | the number |
//! | by name (1) | the symbol's name |
//! | without prefix (2) | the name without one leading `?`, `@` or `_` |
//! | undecorated (3) | that, up to the first `@` |
//! | export as (4) | the third string |
//!
//! Members in the long form are objects with pieces of the tables that a loader reads (`.idata$5` is the slot, with a number or a reference
//! to the name in `.idata$6`) and the code that jumps. They are taken for the same. Which DLL they are of stands in two further objects:
//! they refer to a descriptor (`.idata$2`), by a reference in `.idata$7` (GNU's tools) or by the name `__IMPORT_DESCRIPTOR_…` (Microsoft's),
//! and that refers to the name of the DLL ("PE Format", "Import Directory Table"), which has an object of its own (GNU's) or is in
//! the same. So that name is read, and a descriptor means its place.

use crate::bytes::{half, until_zero, word};
use crate::conventions;
use crate::header::File;
use crate::symbols::raw::{EXTERNAL, Home, RawSymbol};
use crate::symbols::{Symbols, slot_of};
use jitlink_core::LinkError;
use jitlink_core::graph::{ExportName, Fallback, Import, ImportLibrary, Linkage, Name, ObjectBuilder, Scope, Symbol};

const HEADER: usize = 20;

/// What the highest byte of a slot has set that holds an ordinal ("PE Format", "Import Lookup Table").
const BY_ORDINAL: u8 = 0x80;

/// How Microsoft's tools name descriptors.
const DESCRIPTOR: &[u8] = b"__IMPORT_DESCRIPTOR_";

/// Where in a descriptor the reference to the DLL's name is ("PE Format", "Import Directory Table", "Name RVA").
const NAME_OF_DLL: u32 = 12;

/// What an import is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Code,
    Data,
    /// Data whose name means the slot.
    Constant,
}

/// A member in the short form.
struct Member<'a> {
    /// The symbol's name.
    name: &'a [u8],
    /// The DLL's.
    library: &'a [u8],
    export: ExportName<'a>,
    kind: Kind,
}

impl<'a> Member<'a> {
    fn parse(object: &str, bytes: &'a [u8]) -> Result<Member<'a>, LinkError> {
        crate::header::read(object, bytes)?;
        let malformed = |at: u64, what: String| LinkError::malformed(object, "", at, what);
        let size = word(bytes, 12) as usize;
        let Some(data) = bytes[HEADER..].get(..size) else {
            let what = format!("strings of {size:#x} bytes run past the file's end at {:#x}", bytes.len());
            return Err(malformed(12, what));
        };
        let mut strings = Strings(data);
        let (name, library) = (strings.next(), strings.next());
        let [Some(name), Some(library)] = [name, library].map(|name| name.filter(|name| !name.is_empty())) else {
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
            0 => {
                let export = ExportName::Ordinal(half(bytes, 16));
                return Ok(Member { name, library, export, kind });
            }
            1 => name,
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
        Ok(Member { name, library, export: ExportName::Name(outside), kind })
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
/// is left to say is where that name is.
pub(crate) fn read<'a>(bytes: &'a [u8], builder: &mut ObjectBuilder<'_, 'a>) -> Result<(), LinkError> {
    let Member { name, library, export, kind } = Member::parse(builder.name(), bytes)?;
    let mut reference = Symbol { linkage: Linkage::Weak, ..Symbol::undefined(name, builder.id()) };
    let mut slot = None;
    if kind == Kind::Constant {
        // The name means the slot, so that what it points to has none.
        reference = Symbol { name: Name::local(name), scope: Scope::Local, ..reference };
    }
    let reference = builder.add_symbol(reference);
    if kind == Kind::Constant {
        let made = slot_of(reference, builder)?;
        let value = builder.graph().symbol(made).value;
        slot = Some(builder.add_symbol(Symbol { value, ..Symbol::undefined(name, builder.id()) }));
    }
    builder.add_import(Import { name: reference, library: Some(ImportLibrary::Named(library)), export, slot });
    Ok(())
}

/// Calls `found` with the name by which an archive's member in the short form is found.
pub(crate) fn definitions<'a>(object: &str, bytes: &'a [u8], found: &mut dyn FnMut(&'a [u8])) -> Result<(), LinkError> {
    found(Member::parse(object, bytes)?.name);
    Ok(())
}

/// A member in the long form.
pub(crate) struct LongImport<'a> {
    /// The symbol of the slot.
    slot: RawSymbol<'a>,
    /// The symbol of the code that jumps through the slot, or another name of the slot.
    name: Option<RawSymbol<'a>>,
    /// The section of that code, if it holds nothing else that others see.
    code_section: Option<usize>,
    /// The number of the descriptor's symbol.
    descriptor: Option<u32>,
    export: ExportName<'a>,
}

fn is_seen(symbol: &&RawSymbol<'_>) -> bool {
    symbol.class == EXTERNAL
}

impl<'a> LongImport<'a> {
    /// Finds the slot, the code and the name, if an object has a slot of an import.
    pub(crate) fn find(file: &File<'_, 'a>, symbols: &[RawSymbol<'a>]) -> Result<Option<LongImport<'a>>, LinkError> {
        let (mut name, mut slots, mut descriptor) = (None, None, None);
        for (index, header) in file.sections().iter().enumerate() {
            match file.section_name(index)? {
                b".idata$5" => slots = Some(index),
                b".idata$6" => name = header.content.and_then(|content| Some(until_zero(content.get(2..)?))),
                b".idata$7" => descriptor = header.reference_at(0),
                _ => {}
            }
        }
        let Some(slots) = slots else { return Ok(None) };
        let in_slots = |symbol: &&RawSymbol<'a>| symbol.home == Home::Section(slots);
        let slot = symbols.iter().filter(is_seen).filter(in_slots);
        let slot = slot.clone().find(|symbol| conventions::imported(symbol.name).is_some());
        let Some((slot, imported)) = slot.and_then(|slot| Some((slot, conventions::imported(slot.name)?))) else {
            return Ok(None);
        };
        let export = match file.sections()[slots].content.and_then(<[u8]>::split_last) {
            Some((high, rest)) if high & BY_ORDINAL != 0 && rest.len() >= 2 => ExportName::Ordinal(half(rest, 0)),
            _ => match name.filter(|name| !name.is_empty()) {
                Some(name) => ExportName::Name(name),
                None => {
                    let what = "it is the slot of an import with neither a name nor an ordinal";
                    return Err(file.malformed(slots, 0, what));
                }
            },
        };
        let name = symbols.iter().filter(is_seen).find(|symbol| {
            symbol.name == imported
                && matches!(symbol.home, Home::Section(index) if index != slots || symbol.value == slot.value)
        });
        let section = |symbol: &RawSymbol<'_>| match symbol.home {
            Home::Section(index) => Some(index),
            _ => None,
        };
        let is_alone = |index: &usize| {
            let others = symbols.iter().filter(is_seen).filter(|symbol| section(symbol) == Some(*index));
            *index != slots && others.count() == 1
        };
        let code_section = name.and_then(section).filter(is_alone);
        let named = || symbols.iter().filter(is_seen).find(|symbol| symbol.name.starts_with(DESCRIPTOR));
        let descriptor = descriptor.or_else(|| Some(named()?.number as u32));
        Ok(Some(LongImport { slot: *slot, name: name.copied(), code_section, descriptor, export }))
    }

    /// Whether a section holds nothing but code that gives way to what is outside: it jumps by pieces of the tables, which are left out.
    pub(crate) fn is_code(&self, section: usize) -> bool {
        self.code_section == Some(section)
    }

    /// Whether a symbol's definition gives way to what is outside.
    pub(crate) fn replaces(&self, symbol: &RawSymbol<'_>) -> bool {
        symbol.number == self.slot.number || self.name.is_some_and(|name| name.number == symbol.number)
    }

    /// Says what the slot and the name mean.
    pub(crate) fn complete(&self, symbols: &Symbols, builder: &mut ObjectBuilder<'_, 'a>) -> Result<(), LinkError> {
        let get = |raw: &RawSymbol<'a>| symbols.get(raw.number as u32);
        let (Some(slot), Some(imported)) = (get(&self.slot), conventions::imported(self.slot.name)) else {
            return Ok(());
        };
        let is_slot = self.name.is_some_and(|name| name.home == self.slot.home);
        let mut reference = Symbol { linkage: Linkage::Weak, ..Symbol::undefined(imported, builder.id()) };
        if is_slot {
            reference = Symbol { name: Name::local(imported), scope: Scope::Local, ..reference };
        }
        let target = builder.add_symbol(reference);
        let made = slot_of(target, builder)?;
        let value = builder.graph().symbol(made).value;
        builder.symbol_mut(slot).linkage = Linkage::Weak;
        builder.add_fallback(Fallback { name: slot, target: made, needs: Some(target) });
        let name = self.name.and_then(|name| get(&name));
        if let Some(name) = name {
            let symbol = builder.symbol_mut(name);
            match is_slot {
                true => symbol.value = value,
                false => symbol.linkage = Linkage::Weak,
            }
        }
        let library = self.descriptor.and_then(|number| symbols.get(number)).map(ImportLibrary::At);
        builder.add_import(Import { name: target, library, export: self.export, slot: name.filter(|_| is_slot) });
        Ok(())
    }
}

/// A descriptor of a DLL, which means the place of its name.
pub(crate) struct Descriptor {
    /// The section of the descriptor.
    section: usize,
    /// The number of the symbol of the name.
    name: u32,
}

impl Descriptor {
    /// Finds the descriptor of an object, if it has one.
    pub(crate) fn find(file: &File<'_, '_>) -> Result<Option<Descriptor>, LinkError> {
        for (section, header) in file.sections().iter().enumerate() {
            if file.section_name(section)? == b".idata$2" {
                return Ok(header.reference_at(NAME_OF_DLL).map(|name| Descriptor { section, name }));
            }
        }
        Ok(None)
    }

    /// Whether a symbol stands for the descriptor.
    pub(crate) fn replaces(&self, symbol: &RawSymbol<'_>) -> bool {
        symbol.home == Home::Section(self.section) && symbol.class == EXTERNAL
    }

    /// Whether a section holds the name.
    pub(crate) fn has_name_in(&self, section: usize, symbols: &[RawSymbol<'_>]) -> bool {
        let name = symbols.iter().find(|symbol| symbol.number == self.name as usize);
        name.is_some_and(|name| name.home == Home::Section(section))
    }

    /// Says what the descriptor's symbols mean.
    pub(crate) fn complete(&self, all: &[RawSymbol<'_>], symbols: &Symbols, builder: &mut ObjectBuilder<'_, '_>) {
        let Some(target) = symbols.get(self.name) else { return };
        for raw in all.iter().filter(|raw| self.replaces(raw)) {
            if let Some(name) = symbols.get(raw.number as u32) {
                builder.symbol_mut(name).linkage = Linkage::Weak;
                builder.add_fallback(Fallback { name, target, needs: Some(target) });
            }
        }
    }
}
