//! The symbol table (gABI, "Symbol Table").
//!
//! Every entry becomes one symbol of the graph, in order, so that the symbol of a relocation is the object's first plus the
//! entry's number: no map is needed. That includes entries that nothing can refer to: the null entry (an absolute zero, which
//! relocations without a symbol use) and symbols of sections that were left out. The latter become local zeros too, and are
//! remembered as unusable, so that a relocation against one is an error instead of a wrong address.
//!
//! `STV_INTERNAL` leaves its meaning to processor supplements, none of which gives it one that matters after compilation; it
//! is treated as `STV_HIDDEN`.

use crate::header::File;
use crate::sections::{Placed, Placement};
use jitlink_core::LinkError;
use jitlink_core::graph::{
    BlockId, Linkage, Name, ObjectBuilder, Residence, Scope, Symbol, SymbolId, SymbolKind, Value,
};
use object::elf;
use object::endian::U32;
use object::read::StringTable;
use object::read::elf::{FileHeader, SectionHeader, Sym};

/// `SHN_X86_64_LCOMMON` (x86-64 psABI, "Large Code Model"): common symbols that only full-width references point to.
const SHN_X86_64_LCOMMON: u16 = 0xff02;

/// The section number of a machine's common symbols that may lie far from the others, if it has one.
pub(crate) fn far_common(machine: elf::Machine) -> Option<elf::SymbolSection> {
    (machine == elf::EM_X86_64).then_some(elf::SymbolSection(SHN_X86_64_LCOMMON))
}

/// Whether the machine's psABI gives the processor's bits of `st_other` a meaning, as far as is known here.
pub(crate) fn has_other_bits(machine: elf::Machine) -> bool {
    ![elf::EM_X86_64, elf::EM_386].contains(&machine)
}

/// The symbol table's entries with their names.
pub(crate) struct SymbolTable<'a, Elf: FileHeader> {
    /// The number of its section; zero if there is none.
    pub(crate) section: usize,
    pub(crate) entries: &'a [Elf::Sym],
    /// The number of the first symbol that others see.
    first_global: usize,
    names: StringTable<'a>,
    /// The section numbers that do not fit the entries (`SHT_SYMTAB_SHNDX`).
    extended: &'a [U32<Elf::Endian>],
}

impl<'a, Elf: FileHeader> SymbolTable<'a, Elf> {
    /// Finds and checks the symbol table, and the table of large section numbers that belongs to it.
    pub(crate) fn find(file: &File<'_, 'a, Elf>) -> Result<Self, LinkError> {
        let none =
            SymbolTable { section: 0, entries: &[], first_global: 0, names: StringTable::default(), extended: &[] };
        let mut table = none;
        let mut extended = None;
        for (index, header) in file.sections.iter().enumerate() {
            match header.sh_type(file.endian) {
                elf::SHT_SYMTAB if table.section != 0 => {
                    return Err(file.malformed(index, 0, "an object has one symbol table only, this is the second"));
                }
                elf::SHT_SYMTAB => {
                    let entries: &[Elf::Sym] = file.table(index)?;
                    let first_global = header.sh_info(file.endian) as usize;
                    if first_global > entries.len() {
                        let what = format!("its first global symbol is {first_global}, of only {}", entries.len());
                        return Err(file.malformed(index, 0, what));
                    }
                    let names = file.linked_strings(index)?;
                    table = SymbolTable { section: index, entries, first_global, names, extended: &[] };
                }
                elf::SHT_SYMTAB_SHNDX if extended.is_some() => {
                    return Err(file.malformed(index, 0, "a second table of extended section numbers"));
                }
                elf::SHT_SYMTAB_SHNDX => extended = Some(index),
                _ => {}
            }
        }
        if let Some(index) = extended {
            let link = file.sections[index].sh_link(file.endian) as usize;
            table.extended = file.table(index)?;
            if link != table.section || link == 0 || table.extended.len() != table.entries.len() {
                let (count, wanted) = (table.extended.len(), table.entries.len());
                let what =
                    format!("{count} extended section numbers for section {link}, where the symbol table has {wanted}");
                return Err(file.malformed(index, 0, what));
            }
        }
        Ok(table)
    }

    /// How many symbols of the graph the table stands for: the null symbol is there even without a table.
    pub(crate) fn count(&self) -> usize {
        self.entries.len().max(1)
    }

    /// A symbol's name.
    pub(crate) fn name(&self, file: &File<'_, 'a, Elf>, number: usize) -> Result<&'a [u8], LinkError> {
        let offset = self.entries[number].st_name(file.endian);
        if offset == 0 {
            return Ok(&[]);
        }
        file.spend(self.names.get(offset)).ok_or_else(|| {
            let what = format!("the name of symbol {number}, at {offset:#x} of the string table, is not there");
            self.malformed(file, number, what)
        })
    }

    /// The section that a symbol is defined in; `None` for references, absolute and other special ones.
    pub(crate) fn section_number(&self, file: &File<'_, 'a, Elf>, number: usize) -> Result<Option<usize>, LinkError> {
        let symbol = &self.entries[number];
        let section = match symbol.st_shndx(file.endian) {
            elf::SHN_XINDEX => match self.extended.get(number) {
                Some(section) => section.get(file.endian) as usize,
                None => {
                    let what = format!("symbol {number} has an extended section number, and there is no table of them");
                    return Err(self.malformed(file, number, what));
                }
            },
            other => match other.index() {
                Some(section) => usize::from(section),
                None => return Ok(None),
            },
        };
        if section == 0 || section >= file.sections.len() {
            let what = format!("symbol {number} is in section {section}, of {}", file.sections.len());
            return Err(self.malformed(file, number, what));
        }
        Ok(Some(section))
    }

    /// A symbol's name for people.
    pub(crate) fn display(&self, file: &File<'_, 'a, Elf>, number: usize) -> String {
        match self.entries.get(number).map(|_| self.name(file, number)) {
            Some(Ok(name)) if !name.is_empty() => String::from_utf8_lossy(&name[..name.len().min(4096)]).into_owned(),
            Some(_) => match self.section_number(file, number) {
                Ok(Some(section)) => file.display_section(section),
                _ => format!("symbol {number}"),
            },
            None => format!("symbol {number}"),
        }
    }

    /// A broken rule in an entry.
    pub(crate) fn malformed(&self, file: &File<'_, 'a, Elf>, number: usize, what: impl Into<String>) -> LinkError {
        file.malformed(self.section, (number * size_of::<Elf::Sym>()) as u64, what)
    }

    fn unsupported(&self, file: &File<'_, 'a, Elf>, number: usize, what: String) -> LinkError {
        let site = file.display_section(self.section);
        let offset = (number * size_of::<Elf::Sym>()) as u64;
        let what = format!("symbol {}: {what}", self.display(file, number));
        crate::header::unsupported(
            file.name,
            &site,
            offset,
            what,
            "compile without the extension that made this symbol",
        )
    }

    /// Calls `found` with each name that the object defines for others.
    pub(crate) fn definitions(
        &self,
        file: &File<'_, 'a, Elf>,
        found: &mut dyn FnMut(&'a [u8]),
    ) -> Result<(), LinkError> {
        for number in self.first_global..self.entries.len() {
            let symbol = &self.entries[number];
            if !symbol.is_local() && !symbol.is_undefined(file.endian) {
                found(self.name(file, number)?);
            }
        }
        Ok(())
    }

    /// Adds all symbols to the graph.
    pub(crate) fn read(
        &self,
        file: &File<'_, 'a, Elf>,
        placement: &Placement,
        builder: &mut ObjectBuilder<'_, 'a>,
    ) -> Result<Symbols, LinkError> {
        let mut symbols = Symbols { first: 0, count: self.count(), unusable: Vec::new() };
        let null =
            Symbol { name: Name::anonymous(), value: Value::Absolute(0), ..Symbol::undefined(&[], builder.id()) };
        let null = Symbol { scope: Scope::Local, ..null };
        symbols.first = builder.add_symbol(null.clone()).index();
        for (number, entry) in self.entries.iter().enumerate().skip(1) {
            let symbol = match self.read_one(file, placement, builder, number, entry)? {
                Some(symbol) => symbol,
                None => {
                    symbols.mark_unusable(number);
                    null.clone()
                }
            };
            builder.add_symbol(symbol);
        }
        Ok(symbols)
    }

    /// One symbol; `None` where it names nothing that was read.
    fn read_one(
        &self,
        file: &File<'_, 'a, Elf>,
        placement: &Placement,
        builder: &ObjectBuilder<'_, 'a>,
        number: usize,
        entry: &Elf::Sym,
    ) -> Result<Option<Symbol<'a>>, LinkError> {
        let kind = self.kind(file, number, entry)?;
        let (linkage, scope) = self.binding(file, number, entry)?;
        let Some(value) = self.value(file, placement, builder, number, entry)? else { return Ok(None) };
        let bytes = self.name(file, number)?;
        let local = scope == Scope::Local;
        if local && value == Value::Undefined {
            return Ok(None);
        }
        if placement.may_be_slim_lto && bytes == b"__gnu_lto_slim" {
            let what = "the object holds GCC's intermediate code only, no machine code".to_string();
            let advice = "compile without -flto (-fno-lto), or with -ffat-lto-objects";
            return Err(crate::header::unsupported(file.name, "", 0, what, advice));
        }
        let name = if local { Name::local(bytes) } else { Name::new(bytes) };
        let size = entry.st_size(file.endian).into();
        // The visibility is the scope; the rest belongs to the machine.
        let other = entry.st_other().0 & !3;
        Ok(Some(Symbol { name, value, size, object: builder.id(), linkage, scope, kind, other }))
    }

    fn kind(&self, file: &File<'_, 'a, Elf>, number: usize, entry: &Elf::Sym) -> Result<SymbolKind, LinkError> {
        Ok(match entry.st_type() {
            elf::STT_NOTYPE => SymbolKind::Other,
            elf::STT_OBJECT | elf::STT_COMMON => SymbolKind::Object,
            elf::STT_FUNC => SymbolKind::Function,
            elf::STT_SECTION => SymbolKind::Section,
            elf::STT_FILE => SymbolKind::File,
            elf::STT_TLS => SymbolKind::ThreadLocal,
            elf::STT_GNU_IFUNC => SymbolKind::Indirect,
            other => return Err(self.unsupported(file, number, format!("its type is {:#x}", other.0))),
        })
    }

    fn binding(
        &self,
        file: &File<'_, 'a, Elf>,
        number: usize,
        entry: &Elf::Sym,
    ) -> Result<(Linkage, Scope), LinkError> {
        let linkage = match entry.st_bind() {
            elf::STB_LOCAL => return Ok((Linkage::Strong, Scope::Local)),
            elf::STB_GLOBAL => Linkage::Strong,
            elf::STB_WEAK => Linkage::Weak,
            elf::STB_GNU_UNIQUE => Linkage::Unique,
            other => return Err(self.unsupported(file, number, format!("its binding is {:#x}", other.0))),
        };
        if number < self.first_global {
            let what =
                format!("symbol {number} is not local, but stands before the first global one, {}", self.first_global);
            return Err(self.malformed(file, number, what));
        }
        let scope = match entry.st_visibility() {
            elf::STV_DEFAULT => Scope::Global,
            elf::STV_PROTECTED => Scope::Protected,
            _ => Scope::Hidden,
        };
        Ok((linkage, scope))
    }

    fn value(
        &self,
        file: &File<'_, 'a, Elf>,
        placement: &Placement,
        builder: &ObjectBuilder<'_, 'a>,
        number: usize,
        entry: &Elf::Sym,
    ) -> Result<Option<Value>, LinkError> {
        let value: u64 = entry.st_value(file.endian).into();
        if let Some(section) = self.section_number(file, number)? {
            let Some(placed) = placement.get(section) else { return Ok(None) };
            if value > placed.size {
                let (name, size) = (self.display(file, number), placed.size);
                let section = file.display_section(section);
                let what = format!("symbol {name} is at {value:#x} of section {section}, which has {size:#x} bytes");
                return Err(self.malformed(file, number, what));
            }
            let (block, offset) = place(builder, &placed, value);
            return Ok(Some(Value::Block { block, offset }));
        }
        let residence = match entry.st_shndx(file.endian) {
            elf::SHN_UNDEF => return Ok(Some(Value::Undefined)),
            elf::SHN_ABS => return Ok(Some(Value::Absolute(value))),
            elf::SHN_COMMON => Residence::Near,
            other if other.0 == SHN_X86_64_LCOMMON && file.machine == elf::EM_X86_64.0 => Residence::Far,
            other => {
                return Err(self.unsupported(
                    file,
                    number,
                    format!("its section number is the reserved {:#x}", other.0),
                ));
            }
        };
        if entry.is_local() {
            return Err(self.malformed(file, number, format!("symbol {number} is common, but local")));
        }
        match value {
            0 => Ok(Some(Value::Common { align_log2: 0, residence })),
            _ if value.is_power_of_two() => {
                Ok(Some(Value::Common { align_log2: value.trailing_zeros() as u8, residence }))
            }
            _ => Err(self.malformed(file, number, format!("the alignment of common symbol {number} is {value:#x}"))),
        }
    }
}

/// The block of a section that holds an offset. The end of the section belongs to its last block.
fn place(builder: &ObjectBuilder<'_, '_>, placed: &Placed, offset: u64) -> (BlockId, u64) {
    if placed.blocks == 1 {
        return (BlockId::new(placed.first_block), offset);
    }
    let block = |index: usize| BlockId::new(placed.first_block + index);
    let start = |index: usize| builder.graph().block(block(index)).section_offset;
    let (mut low, mut high) = (0, placed.blocks);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if start(middle) <= offset { low = middle } else { high = middle }
    }
    (block(low), offset - start(low))
}

/// Which symbols of the graph the table's entries became.
pub(crate) struct Symbols {
    first: usize,
    count: usize,
    /// A bit for each entry that nothing may refer to; only as long as needed.
    unusable: Vec<u64>,
}

impl Symbols {
    fn mark_unusable(&mut self, number: usize) {
        if self.unusable.is_empty() {
            self.unusable.resize(self.count.div_ceil(64), 0);
        }
        self.unusable[number / 64] |= 1 << (number % 64);
    }

    /// The graph's symbol for an entry, if there is one that can be referred to.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<SymbolId> {
        let number = number as usize;
        if number >= self.count {
            return None;
        }
        let unusable = self.unusable.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 != 0);
        (!unusable).then(|| SymbolId::new(self.first + number))
    }
}
