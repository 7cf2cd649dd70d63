//! The file in memory from which debuggers read what linked code is.
//!
//! It is an executable whose sections are where the linked memory is. They hold no bytes, which debuggers read from the process itself;
//! only unwind records and debug sections do. There are no relocations left, so that a debugger has nothing to do but read.

use jitlink_core::debug::{DebugImage, DebugSymbol};
use jitlink_core::graph::{Protection, Residence, Scope, SymbolKind};
use jitlink_core::{Addr, Endian, LinkError, LinkErrors};
use object::Endianness;
use object::elf::{self, SectionFlags, SymbolInfo, SymbolOther};
use object::write::StringId;
use object::write::elf::{FileHeader, SectionHeader, SectionIndex, Sym, Writer};
use std::borrow::Cow;

/// Writes the file.
pub(crate) fn write(image: &DebugImage<'_>) -> Result<Vec<u8>, LinkErrors> {
    let failed = |error: &dyn std::fmt::Display| -> LinkErrors {
        LinkError::Request(format!("the file for debuggers cannot be written: {error}")).into()
    };
    let machine = u16::try_from(image.header.machine).map_err(|_| failed(&"the machine's number is none of ELF"))?;
    let endian = match image.header.endian {
        Endian::Little => Endianness::Little,
        Endian::Big => Endianness::Big,
    };
    let is_64 = image.header.pointer_bytes == 8;
    let symbols = symbols(image);
    let mut bytes = Vec::new();
    let writer = Writer::new(endian, is_64, &mut bytes);
    let mut file = File { writer, sections: sections(image), spots: Vec::new(), names: Vec::new() };
    file.write(&symbols, elf::Machine(machine)).map_err(|error| failed(&error))?;
    Ok(bytes)
}

/// A section of the file.
struct Part<'d> {
    name: &'d str,
    kind: elf::SectionType,
    flags: u64,
    /// Where it is in memory; zero for those that are not.
    address: Addr,
    size: u64,
    /// Its bytes, if the file has them.
    bytes: &'d [u8],
}

impl<'d> Part<'d> {
    /// Memory, whose bytes the file does not hold.
    fn memory(name: &'d str, flags: u64, address: Addr, size: u64) -> Part<'d> {
        Part { name, kind: elf::SHT_NOBITS, flags: flags | elf::SHF_ALLOC.0, address, size, bytes: &[] }
    }

    fn holds(&self, address: Addr) -> bool {
        self.flags & elf::SHF_ALLOC.0 != 0 && address.offset_from(self.address) < self.size
    }
}

/// The sections: memory first, in ascending order of addresses.
fn sections<'d>(image: &DebugImage<'d>) -> Vec<Part<'d>> {
    let mut parts = Vec::new();
    for segment in image.segments {
        let (name, flags) = match (segment.protection, segment.residence) {
            (Protection::ReadExecute, Residence::Far) => (".ltext", elf::SHF_EXECINSTR.0),
            (Protection::ReadExecute, _) => (".text", elf::SHF_EXECINSTR.0),
            (Protection::Read, Residence::Far) => (".lrodata", 0),
            (Protection::Read, _) => (".rodata", 0),
            (Protection::ReadWrite, Residence::Far) => (".ldata", elf::SHF_WRITE.0),
            (Protection::ReadWrite, _) => (".data", elf::SHF_WRITE.0),
        };
        // Unwind records are a section of their own, and no other may lie over it.
        let (start, end) = (segment.address, segment.address + segment.size);
        match image.unwind.filter(|(address, _)| address.offset_from(start) < segment.size) {
            Some((address, bytes)) => {
                let after = address + bytes.len() as u64;
                parts.push(Part::memory(name, flags, start, address.offset_from(start)));
                let (kind, size) = (elf::SHT_PROGBITS, bytes.len() as u64);
                parts.push(Part { name: ".eh_frame", kind, flags: elf::SHF_ALLOC.0, address, size, bytes });
                parts.push(Part::memory(name, flags, after, end.offset_from(after)));
            }
            None => parts.push(Part::memory(name, flags, start, segment.size)),
        }
    }
    parts.retain(|part| part.size > 0);
    parts.sort_by_key(|part| part.address);
    for (name, bytes) in image.sections {
        let (kind, size) = (elf::SHT_PROGBITS, bytes.len() as u64);
        parts.push(Part { name, kind, flags: 0, address: Addr(0), size, bytes });
    }
    parts
}

/// A symbol, and what the file calls it.
type NamedSymbol<'d> = (Cow<'d, [u8]>, DebugSymbol<'d>);

/// The symbols in the order of the table: local ones first.
fn symbols<'d>(image: &DebugImage<'d>) -> Vec<NamedSymbol<'d>> {
    // A zero byte ends a name in the file.
    let can_be_said = |symbol: &&DebugSymbol<'_>| !symbol.name.contains(&0) && symbol.kind != SymbolKind::ThreadLocal;
    // GDB takes such names for code that leads to the function: it steps through, and sets no breakpoints there.
    let name = |symbol: &DebugSymbol<'d>| match symbol.is_entry {
        true => Cow::Owned([symbol.name, b"@plt"].concat()),
        false => Cow::Borrowed(symbol.name),
    };
    let mut symbols: Vec<_> = image.symbols.iter().filter(can_be_said).map(|symbol| (name(symbol), *symbol)).collect();
    symbols.sort_by_key(|(_, symbol)| symbol.scope != Scope::Local);
    symbols
}

struct File<'f, 'd> {
    writer: Writer<'f>,
    sections: Vec<Part<'d>>,
    /// Number and offset of each section.
    spots: Vec<(SectionIndex, u64)>,
    names: Vec<StringId>,
}

impl<'d: 'f, 'f> File<'f, 'd> {
    fn write(&mut self, symbols: &'f [NamedSymbol<'d>], machine: elf::Machine) -> Result<(), object::write::Error> {
        let symbol_names = self.reserve(symbols)?;
        self.writer.write_file_header(&FileHeader {
            os_abi: elf::ELFOSABI_NONE,
            abi_version: 0,
            e_type: elf::ET_EXEC,
            e_machine: machine,
            e_entry: 0,
            e_flags: elf::FileFlags(0),
        })?;
        for (part, (_, offset)) in self.sections.iter().zip(&self.spots) {
            if !part.bytes.is_empty() {
                self.writer.pad_until(*offset);
                self.writer.write(part.bytes);
            }
        }
        self.writer.write_null_symbol();
        for ((_, symbol), name) in symbols.iter().zip(symbol_names) {
            self.write_symbol(symbol, name);
        }
        self.writer.write_symtab_shndx();
        self.writer.write_strtab();
        self.writer.write_shstrtab();
        self.write_headers(symbols);
        Ok(())
    }

    /// Gives everything its number and its place.
    fn reserve(&mut self, symbols: &'f [NamedSymbol<'d>]) -> Result<Vec<StringId>, object::write::Error> {
        self.writer.reserve_file_header();
        for part in &self.sections {
            self.names.push(self.writer.add_section_name(part.name.as_bytes()));
            let number = self.writer.reserve_section_index();
            let offset = match part.bytes {
                [] => self.writer.reserved_len(),
                bytes => self.writer.reserve(bytes.len() as u64, 8),
            };
            self.spots.push((number, offset));
        }
        self.writer.reserve_null_symbol_index();
        let mut names = Vec::with_capacity(symbols.len());
        for (name, symbol) in symbols {
            names.push(self.writer.add_string(name));
            self.writer.reserve_symbol_index(self.section_of(symbol.address));
        }
        self.writer.reserve_symtab_section_index();
        if self.writer.symtab_shndx_needed() {
            self.writer.reserve_symtab_shndx_section_index();
        }
        self.writer.reserve_strtab_section_index();
        self.writer.reserve_shstrtab_section_index();
        self.writer.reserve_symtab();
        self.writer.reserve_symtab_shndx();
        self.writer.reserve_strtab()?;
        self.writer.reserve_shstrtab()?;
        self.writer.reserve_section_headers();
        Ok(names)
    }

    /// The section that holds an address.
    fn section_of(&self, address: Addr) -> Option<SectionIndex> {
        // There are a handful.
        let place = self.sections.iter().position(|part| part.holds(address))?;
        Some(self.spots[place].0)
    }

    fn write_symbol(&mut self, symbol: &DebugSymbol<'_>, name: StringId) {
        let section = self.section_of(symbol.address);
        let bind = if symbol.scope == Scope::Local { elf::STB_LOCAL } else { elf::STB_GLOBAL };
        let kind = match symbol.kind {
            // What an indirect function resolves to is a function at another address; this is its resolver.
            SymbolKind::Function | SymbolKind::Indirect => elf::STT_FUNC,
            SymbolKind::Object => elf::STT_OBJECT,
            _ => elf::STT_NOTYPE,
        };
        let other = if symbol.scope == Scope::Hidden { elf::STV_HIDDEN } else { elf::STV_DEFAULT };
        self.writer.write_symbol(&Sym {
            section: section.map(|section| section.0),
            st_name: self.writer.string_offset(Some(name)),
            st_info: SymbolInfo::new(bind, kind),
            st_other: SymbolOther(other.0),
            // One past the end of a segment is in no section.
            st_shndx: if section.is_some() { elf::SHN_UNDEF } else { elf::SHN_ABS },
            st_value: symbol.address.0,
            st_size: symbol.size,
        });
    }

    fn write_headers(&mut self, symbols: &[NamedSymbol<'_>]) {
        self.writer.write_null_section_header();
        for ((part, (_, offset)), name) in self.sections.iter().zip(&self.spots).zip(&self.names) {
            self.writer.write_section_header(&SectionHeader {
                sh_name: self.writer.section_name_offset(Some(*name)),
                sh_type: part.kind,
                sh_flags: SectionFlags(part.flags),
                sh_addr: part.address.0,
                sh_offset: *offset,
                sh_size: part.size,
                sh_addralign: 1,
                ..SectionHeader::default()
            });
        }
        let locals = symbols.iter().filter(|(_, symbol)| symbol.scope == Scope::Local).count();
        self.writer.write_symtab_section_header(locals as u32 + 1);
        self.writer.write_symtab_shndx_section_header();
        self.writer.write_strtab_section_header();
        self.writer.write_shstrtab_section_header();
    }
}
