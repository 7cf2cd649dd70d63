//! Symbols ("PE Format", "COFF Symbol Table"): definitions, references, and what weak externals fall back to.
//!
//! A weak external is a reference with a symbol that it means if nothing defines its name. Its search rule says whether
//! archives are searched for the name: yes (2); no, and no as for an alias (1 and 3). GNU's tools write weak definitions in this form too.
//!
//! A reference to an import slot (`__imp_NAME`) that nothing defines, for which an import library would be needed, means a slot of
//! this object's with the address of NAME, be that in the batch or outside.

pub(crate) mod raw;

use crate::conventions::{self, StartUp};
use crate::directives::Directives;
use crate::header::{self, File};
use crate::import::{Descriptor, LongImport};
use crate::sections::Placement;
use jitlink_core::LinkError;
use jitlink_core::graph::{
    Content, Edge, Fallback, Linkage, Name, ObjectBuilder, Protection, Residence, Scope, Section, Symbol, SymbolId,
    SymbolKind, Value,
};
use jitlink_core::reloc::Subject;
use raw::{EXTERNAL, Home, LABEL, RawSymbol, SECTION, STATIC, WEAK_EXTERNAL};

/// The largest alignment that common symbols get for their size, as a power of two. That is LLD's and link.exe's.
const MOST_COMMON_ALIGN: u32 = 5;

const NONE: u32 = u32::MAX;

/// Which symbols of the graph the entries of the table became.
pub(crate) struct Symbols {
    /// By number in the table.
    ids: Vec<u32>,
}

impl Symbols {
    /// The graph's symbol for an entry, if there is one that can be referred to.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<SymbolId> {
        self.ids.get(number as usize).filter(|id| **id != NONE).map(|id| SymbolId::new(*id as usize))
    }

    /// How many entries there are.
    pub(crate) fn count(&self) -> usize {
        self.ids.len()
    }
}

/// Everything that decides what a symbol becomes.
pub(crate) struct Reader<'f, 'n, 'a> {
    pub(crate) file: &'f File<'n, 'a>,
    pub(crate) placement: &'f Placement,
    pub(crate) directives: &'f Directives<'a>,
    pub(crate) import: Option<LongImport<'a>>,
    pub(crate) descriptor: Option<Descriptor>,
}

impl<'a> Reader<'_, '_, 'a> {
    /// Adds all symbols to the graph.
    pub(crate) fn read(
        &self,
        symbols: &[RawSymbol<'a>],
        builder: &mut ObjectBuilder<'_, 'a>,
    ) -> Result<Symbols, LinkError> {
        let mut ids = vec![NONE; self.file.symbol_count()];
        for symbol in symbols {
            let of_start_up = conventions::of_start_up(symbol.name).filter(|_| is_undefined(symbol));
            if let Some(known) = of_start_up {
                ids[symbol.number] = start_up(known, builder)?.index() as u32;
            } else if let Some(made) = self.symbol(symbol, builder)? {
                ids[symbol.number] = builder.add_symbol(made).index() as u32;
            }
        }
        let symbols_read = Symbols { ids };
        for symbol in symbols.iter().filter(|symbol| symbol.class == WEAK_EXTERNAL) {
            self.fall_back(symbol, &symbols_read, builder)?;
        }
        for symbol in symbols.iter().filter(|symbol| is_undefined(symbol)) {
            if let (Some(imported), Some(id)) =
                (conventions::imported(symbol.name), symbols_read.get(symbol.number as u32))
            {
                let slot = import_slot(imported, builder)?;
                let Slot { symbol, target } = slot;
                builder.add_fallback(Fallback { name: id, target: symbol, needs: Some(target) });
            }
        }
        if let Some(import) = &self.import {
            import.complete(&symbols_read, builder)?;
        }
        if let Some(descriptor) = &self.descriptor {
            descriptor.complete(symbols, &symbols_read, builder);
        }
        Ok(symbols_read)
    }

    /// What an entry becomes; `None` where nothing can refer to it.
    fn symbol(&self, raw: &RawSymbol<'a>, builder: &ObjectBuilder<'_, 'a>) -> Result<Option<Symbol<'a>>, LinkError> {
        if raw.is_mark() {
            return Ok(None);
        }
        let is_local = match raw.class {
            EXTERNAL | WEAK_EXTERNAL => conventions::is_object_mark(raw.name),
            STATIC | LABEL | SECTION => true,
            class => {
                let what = format!("its storage class is {class}");
                return Err(self.unsupported(raw, what, "compile without the extension that made this symbol"));
            }
        };
        let mut symbol = Symbol::undefined(raw.name, builder.id());
        if is_local {
            (symbol.name, symbol.scope) = (Name::local(raw.name), Scope::Local);
        } else if self.directives.is_hidden(raw.name) {
            symbol.scope = Scope::Hidden;
        }
        if raw.is_function {
            symbol.kind = SymbolKind::Function;
        }
        match raw.home {
            Home::Nowhere if is_local => return Ok(None),
            Home::Nowhere if raw.class == WEAK_EXTERNAL => symbol.linkage = Linkage::Weak,
            Home::Nowhere if raw.value > 0 => {
                (symbol.size, symbol.kind) = (raw.value.into(), SymbolKind::Object);
                let natural = raw.value.checked_next_power_of_two().map_or(31, u32::trailing_zeros);
                let asked = self.directives.common_align(raw.name).unwrap_or(0);
                let align_log2 = (natural.min(MOST_COMMON_ALIGN) as u8).max(asked);
                symbol.value = Value::Common { align_log2, residence: Residence::Near };
            }
            Home::Nowhere => {}
            Home::Absolute => symbol.value = Value::Absolute(raw.value.into()),
            Home::Debug => return Ok(None),
            Home::Section(index) => {
                if raw.is_section() || raw.class == SECTION {
                    symbol.kind = SymbolKind::Section;
                }
                if self.import.as_ref().is_some_and(|import| import.replaces(raw)) {
                    return Ok(Some(symbol));
                }
                if self.descriptor.as_ref().is_some_and(|descriptor| descriptor.replaces(raw)) {
                    symbol.scope = Scope::Hidden;
                    return Ok(Some(symbol));
                }
                let Some(placed) = self.placement.get(index) else { return Ok(None) };
                if u64::from(raw.value) > placed.size {
                    let section = self.file.display_section(index);
                    let what =
                        format!("it is at {:#x} of section {section}, which has {:#x} bytes", raw.value, placed.size);
                    return Err(self.malformed(raw, what));
                }
                if placed.is_name_of_dll {
                    // For the linker alone.
                    symbol.scope = symbol.scope.min(Scope::Hidden);
                }
                let (block, offset) = placed.place(raw.value.into());
                symbol.value = Value::Block { block, offset };
            }
        }
        Ok(Some(symbol))
    }

    /// What a weak external means if nothing defines it.
    fn fall_back(
        &self,
        raw: &RawSymbol<'a>,
        symbols: &Symbols,
        builder: &mut ObjectBuilder<'_, 'a>,
    ) -> Result<(), LinkError> {
        let Some(name) = symbols.get(raw.number as u32) else { return Ok(()) };
        if raw.home != Home::Nowhere {
            return Ok(());
        }
        let Some((number, rule)) = raw::weak_external(raw) else {
            return Err(self.malformed(raw, "no record says what it falls back to".into()));
        };
        let Some(target) = symbols.get(number) else {
            let what = format!("it falls back to symbol {number}, which cannot be referred to");
            return Err(self.malformed(raw, what));
        };
        match rule {
            1 | 3 => {}
            // Looked for in archives, as a reference is that must be defined.
            2 => builder.symbol_mut(name).linkage = Linkage::Strong,
            4 => {
                let what =
                    "a weak external against a dependency of its own (rule 4), which mixed code of two machines has"
                        .into();
                return Err(self.unsupported(raw, what, "compile for one machine"));
            }
            _ => return Err(self.malformed(raw, format!("its search rule is {rule}, none from 1 to 4"))),
        }
        builder.add_fallback(Fallback { name, target, needs: Some(target) });
        Ok(())
    }

    fn what(&self, raw: &RawSymbol<'_>, what: String) -> (u64, String) {
        let name = String::from_utf8_lossy(&raw.name[..raw.name.len().min(256)]).into_owned();
        ((raw.number * self.file.symbol_size()) as u64, format!("symbol {} ({name}): {what}", raw.number))
    }

    fn malformed(&self, raw: &RawSymbol<'_>, what: String) -> LinkError {
        let (offset, what) = self.what(raw, what);
        LinkError::malformed(self.file.name, "(symbols)", offset, what)
    }

    fn unsupported(&self, raw: &RawSymbol<'_>, what: String, advice: &str) -> LinkError {
        let (offset, what) = self.what(raw, what);
        header::unsupported(self.file.name, "(symbols)", offset, what, advice)
    }
}

fn is_undefined(raw: &RawSymbol<'_>) -> bool {
    raw.class == EXTERNAL && raw.home == Home::Nowhere && raw.value == 0
}

/// Whether others see a definition of this symbol. A weak external is one where it says that it is in a section.
pub(crate) fn is_definition(raw: &RawSymbol<'_>) -> bool {
    let is_seen = matches!(raw.class, EXTERNAL | WEAK_EXTERNAL) && !conventions::is_object_mark(raw.name);
    let is_there = raw.home != Home::Nowhere || raw.class == EXTERNAL && raw.value > 0;
    is_seen && is_there && !raw.is_mark()
}

/// A slot that was made.
struct Slot {
    /// Its own symbol.
    symbol: SymbolId,
    /// The reference to what it points to.
    target: SymbolId,
}

/// Adds a slot with the address of a name, which lives as long as something refers to it.
fn import_slot<'a>(name: &'a [u8], builder: &mut ObjectBuilder<'_, 'a>) -> Result<Slot, LinkError> {
    // Looked for in archives, and missing, only if the slot is used.
    let reference = Symbol { linkage: Linkage::Weak, ..Symbol::undefined(name, builder.id()) };
    let target = builder.add_symbol(reference);
    let symbol = slot_of(target, builder)?;
    Ok(Slot { symbol, target })
}

/// Adds a slot with the address of a symbol.
pub(crate) fn slot_of(target: SymbolId, builder: &mut ObjectBuilder<'_, '_>) -> Result<SymbolId, LinkError> {
    slot((target, Subject::Symbol), builder)
}

/// Adds what stands for a part of start-up code, which is for linked files and not searched for it.
fn start_up(known: StartUp, builder: &mut ObjectBuilder<'_, '_>) -> Result<SymbolId, LinkError> {
    match known {
        StartUp::ThreadLocalIndex => {
            let name = conventions::THREAD_LOCALS;
            let start = builder.add_symbol(Symbol { linkage: Linkage::Weak, ..Symbol::undefined(name, builder.id()) });
            slot((start, Subject::TlsModule), builder)
        }
        StartUp::ThreadLocalDirectory => {
            let mut section = Section::new(b".rdata", builder.id());
            section.protection = Protection::Read;
            builder.add_section(section);
            let bytes = builder.target().pointer_bytes;
            // Four pointers and two numbers.
            let block = builder.add_block(Content::Zero(4 * u64::from(bytes) + 8), 0, bytes.trailing_zeros() as u8);
            Ok(builder.add_symbol(Symbol::local(b"", builder.id(), block, 0)))
        }
    }
}

/// Adds a slot for something about a symbol.
fn slot((target, subject): (SymbolId, Subject), builder: &mut ObjectBuilder<'_, '_>) -> Result<SymbolId, LinkError> {
    let bytes = builder.target().pointer_bytes;
    let Some(row) = builder.target().pointer_row() else {
        let arch = builder.target().arch.info().name();
        return Err(LinkError::Request(format!("{arch} has no relocation row for pointers of {bytes} bytes")));
    };
    let mut section = Section::new(b".idata", builder.id());
    section.protection = Protection::Read;
    builder.add_section(section);
    let content = Content::Owned(vec![0; usize::from(bytes)].into());
    let block = builder.add_block(content, 0, bytes.trailing_zeros() as u8);
    let symbol = builder.add_symbol(Symbol::local(b"", builder.id(), block, 0));
    builder.begin_edges(block);
    builder.add_edge(block, Edge { addend: 0, offset: 0, target, row, subject })?;
    Ok(symbol)
}
