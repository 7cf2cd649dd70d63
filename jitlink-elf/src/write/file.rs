//! Where everything lies in the file: groups, sections each with its relocations, the note about the stack, and the tables.

use super::content::{self, Made};
use super::origin::STACK_NOTE_NAME;
use super::sections::{Output, Plan};
use super::symbols::{Entry, Home, Table};
use super::{Head, too_large};
use jitlink_core::format::Relocatable;
use jitlink_core::{Endian, LinkError, LinkErrors};
use object::Endianness;
use object::elf::{self, SectionFlags, SymbolInfo, SymbolOther};
use object::write::StringId;
use object::write::elf::{FileHeader, SectionHeader, SectionIndex, Sym, SymbolIndex, Writer};

/// Writes the file.
pub(crate) fn write(
    object: &Relocatable<'_, '_>,
    head: &Head,
    plan: Plan<'_>,
    symbols: Table<'_>,
) -> Result<Vec<u8>, LinkErrors> {
    let made = make_all(object, head, &plan, &symbols)?;
    let relocation_names = relocation_names(head, &plan, &made);
    let endian = match object.header.endian {
        Endian::Little => Endianness::Little,
        Endian::Big => Endianness::Big,
    };
    let mut bytes = Vec::new();
    let writer = Writer::new(endian, head.is_64, &mut bytes);
    let members = members(&plan, &made);
    let mut file = File { writer, head, plan: &plan, symbols: &symbols, made: &made, members };
    file.write(&relocation_names, os_abi(head, &symbols))
        .map_err(|error| LinkError::Request(format!("the object cannot be written: {error}")))?;
    Ok(bytes)
}

/// The content of all sections; `None` for those that are not written, as nothing is in them and nothing refers to them.
fn make_all(
    object: &Relocatable<'_, '_>,
    head: &Head,
    plan: &Plan<'_>,
    symbols: &Table<'_>,
) -> Result<Vec<Option<Made>>, LinkErrors> {
    let mut is_wanted = symbols.mentions();
    for (index, output) in plan.outputs.iter().enumerate() {
        is_wanted[index] |= output.size > 0 || output.keeps_empty;
        if let Some(other) = output.ordered_by {
            is_wanted[other] = true;
        }
    }
    let (mut made, mut errors) = (Vec::with_capacity(plan.outputs.len()), Vec::new());
    for (output, is_wanted) in plan.outputs.iter().zip(is_wanted) {
        match is_wanted.then(|| content::make(object, head, plan, symbols, output)).transpose() {
            Ok(section) => made.push(section),
            Err(more) => errors.extend(more.iter().cloned()),
        }
    }
    LinkErrors::check(errors)?;
    let (size, limit) = (made.iter().flatten().map(|made| made.bytes.len() as u64).sum::<u64>(), u64::from(u32::MAX));
    if !head.is_64 && size > limit {
        return Err(too_large("size of a 32-bit object", size, limit).into());
    }
    Ok(made)
}

/// The names of the sections of relocations; empty where there are none.
fn relocation_names(head: &Head, plan: &Plan<'_>, made: &[Option<Made>]) -> Vec<Vec<u8>> {
    let prefix: &[u8] = if head.rela { b".rela" } else { b".rel" };
    let name = |(output, made): (&Output<'_>, &Option<Made>)| match made {
        Some(made) if !made.relocations.is_empty() => [prefix, output.name].concat(),
        _ => Vec::new(),
    };
    plan.outputs.iter().zip(made).map(name).collect()
}

/// GNU's extensions are announced, as GNU tools do.
fn os_abi(head: &Head, symbols: &Table<'_>) -> u8 {
    let extension = |entry: &Entry<'_>| entry.bind == elf::STB_GNU_UNIQUE || entry.kind == elf::STT_GNU_IFUNC;
    match head.os_abi {
        0 if symbols.entries.iter().any(extension) => elf::ELFOSABI_GNU.0,
        known => known,
    }
}

struct File<'f, 'w> {
    writer: Writer<'w>,
    head: &'f Head,
    plan: &'f Plan<'w>,
    symbols: &'f Table<'w>,
    made: &'f [Option<Made>],
    /// By the group's position in the plan.
    members: Vec<Vec<Member>>,
}

/// A section of the file: its name, its number, and where its content is.
#[derive(Clone, Copy)]
struct Spot {
    name: StringId,
    number: SectionIndex,
    offset: u64,
}

/// Where everything is. What a section lacks is `None`.
struct Layout {
    groups: Vec<Spot>,
    sections: Vec<Option<Spot>>,
    relocations: Vec<Option<Spot>>,
    stack_note: Option<Spot>,
    /// By entry of the symbol table.
    symbol_names: Vec<Option<StringId>>,
}

impl<'w> File<'_, 'w> {
    fn write(&mut self, relocation_names: &'w [Vec<u8>], os_abi: u8) -> Result<(), object::write::Error> {
        let mut layout = self.number(relocation_names);
        self.reserve(&mut layout)?;
        self.writer.write_file_header(&FileHeader {
            os_abi: elf::OsAbi(os_abi),
            abi_version: 0,
            e_type: elf::ET_REL,
            e_machine: self.head.machine,
            e_entry: 0,
            e_flags: elf::FileFlags(self.head.flags),
        })?;
        self.write_contents(&layout);
        self.write_symbols(&layout);
        self.writer.write_symtab_shndx();
        self.writer.write_strtab();
        self.writer.write_shstrtab();
        self.write_headers(&layout);
        Ok(())
    }

    fn spot(&mut self, name: &'w [u8]) -> Spot {
        let name = self.writer.add_section_name(name);
        Spot { name, number: self.writer.reserve_section_index(), offset: 0 }
    }

    /// Gives sections and symbols their numbers. Groups stand before their members, as the gABI asks.
    fn number(&mut self, relocation_names: &'w [Vec<u8>]) -> Layout {
        let groups = self.plan.groups.iter().map(|_| self.spot(b".group")).collect();
        let (mut sections, mut relocations) = (Vec::new(), Vec::new());
        let plan = self.plan;
        for ((output, made), name) in plan.outputs.iter().zip(self.made).zip(relocation_names) {
            sections.push(made.as_ref().map(|_| self.spot(output.name)));
            relocations.push((!name.is_empty()).then(|| self.spot(name)));
        }
        let stack_note = self.head.stack_note.map(|_| self.spot(STACK_NOTE_NAME.as_bytes()));
        let mut layout = Layout { groups, sections, relocations, stack_note, symbol_names: Vec::new() };
        let symbols = self.symbols;
        self.writer.reserve_null_symbol_index();
        for entry in &symbols.entries {
            self.writer.reserve_symbol_index(layout.number_of(entry.home));
            layout.symbol_names.push((!entry.name.is_empty()).then(|| self.writer.add_string(entry.name)));
        }
        self.writer.reserve_symtab_section_index();
        if self.writer.symtab_shndx_needed() {
            self.writer.reserve_symtab_shndx_section_index();
        }
        self.writer.reserve_strtab_section_index();
        self.writer.reserve_shstrtab_section_index();
        layout
    }

    /// Gives everything its place.
    fn reserve(&mut self, layout: &mut Layout) -> Result<(), object::write::Error> {
        self.writer.reserve_file_header();
        for (index, spot) in layout.groups.iter_mut().enumerate() {
            spot.offset = self.writer.reserve((self.members[index].len() as u64 + 1) * 4, 4);
        }
        for (index, made) in self.made.iter().enumerate() {
            let (Some(made), Some(spot)) = (made, &mut layout.sections[index]) else { continue };
            let align = 1 << self.plan.outputs[index].align_log2;
            // The alignment of memory is not the file's: no more of it than any reader can profit from.
            spot.offset =
                self.writer.reserve(made.bytes.len() as u64, if made.bytes.is_empty() { 1 } else { align.min(64) });
            if let Some(spot) = &mut layout.relocations[index] {
                spot.offset = self.writer.reserve_relocations(made.relocations.len(), self.head.rela);
            }
        }
        if let Some(spot) = &mut layout.stack_note {
            spot.offset = self.writer.reserved_len();
        }
        self.writer.reserve_symtab();
        self.writer.reserve_symtab_shndx();
        self.writer.reserve_strtab()?;
        self.writer.reserve_shstrtab()?;
        self.writer.reserve_section_headers();
        Ok(())
    }

    fn write_contents(&mut self, layout: &Layout) {
        let word = |word: u32, big: bool| if big { word.to_be_bytes() } else { word.to_le_bytes() };
        let big = self.head.big_endian;
        for (index, (_, _, comdat)) in self.plan.groups.iter().enumerate() {
            let mut bytes = word(if *comdat { elf::GRP_COMDAT.0 } else { 0 }, big).to_vec();
            for member in &self.members[index] {
                let spot = match *member {
                    Member::Section(section) => layout.sections[section],
                    Member::Relocations(section) => layout.relocations[section],
                };
                bytes.extend(word(spot.map_or(0, |spot| spot.number.0), big));
            }
            self.writer.pad_until(layout.groups[index].offset);
            self.writer.write(&bytes);
        }
        for (index, made) in self.made.iter().enumerate() {
            let (Some(made), Some(spot)) = (made, layout.sections[index]) else { continue };
            if !made.bytes.is_empty() {
                self.writer.pad_until(spot.offset);
                self.writer.write(&made.bytes);
            }
            if layout.relocations[index].is_some() {
                self.writer.write_align_relocation();
                made.relocations.iter().for_each(|entry| self.writer.write_relocation(self.head.rela, entry));
            }
        }
    }

    fn write_symbols(&mut self, layout: &Layout) {
        self.writer.write_null_symbol();
        for (entry, name) in self.symbols.entries.iter().zip(&layout.symbol_names) {
            let special = match entry.home {
                Home::Special(special) => special,
                _ => elf::SHN_UNDEF,
            };
            let symbol = Sym {
                section: layout.number_of(entry.home).map(|number| number.0),
                st_name: self.writer.string_offset(*name),
                st_info: SymbolInfo::new(entry.bind, entry.kind),
                st_other: SymbolOther(entry.visibility.0),
                st_shndx: special,
                st_value: entry.value,
                st_size: entry.size,
            };
            self.writer.write_symbol(&symbol);
        }
    }

    fn write_headers(&mut self, layout: &Layout) {
        self.writer.write_null_section_header();
        let symtab = self.writer.symtab_index();
        for (index, spot) in layout.groups.iter().enumerate() {
            let signature = SymbolIndex(self.symbols.signatures[index]);
            let members = self.members[index].len();
            self.writer.write_comdat_section_header(spot.name, symtab, signature, spot.offset, members);
        }
        for (index, output) in self.plan.outputs.iter().enumerate() {
            let (Some(made), Some(spot)) = (&self.made[index], layout.sections[index]) else { continue };
            let link = output.ordered_by.and_then(|other| layout.sections[other]);
            let header = SectionHeader {
                sh_name: self.writer.section_name_offset(Some(spot.name)),
                sh_type: output.kind,
                sh_flags: SectionFlags(output.flags),
                sh_offset: spot.offset,
                sh_size: output.size,
                sh_link: link.map_or(0, |spot| spot.number.0),
                sh_addralign: 1 << output.align_log2,
                sh_entsize: output.entry,
                ..SectionHeader::default()
            };
            self.writer.write_section_header(&header);
            if let Some(relocations) = layout.relocations[index] {
                self.write_relocations_header(output, spot, relocations, made.relocations.len());
            }
        }
        if let (Some(flags), Some(spot)) = (self.head.stack_note, layout.stack_note) {
            self.writer.write_section_header(&SectionHeader {
                sh_name: self.writer.section_name_offset(Some(spot.name)),
                sh_type: elf::SHT_PROGBITS,
                sh_flags: SectionFlags(flags),
                sh_offset: spot.offset,
                sh_addralign: 1,
                ..SectionHeader::default()
            });
        }
        self.writer.write_symtab_section_header(self.symbols.locals as u32 + 1);
        self.writer.write_symtab_shndx_section_header();
        self.writer.write_strtab_section_header();
        self.writer.write_shstrtab_section_header();
    }

    fn write_relocations_header(&mut self, output: &Output<'_>, section: Spot, relocations: Spot, count: usize) {
        let word: u64 = if self.head.is_64 { 8 } else { 4 };
        let entry = word * if self.head.rela { 3 } else { 2 };
        let symtab = self.writer.symtab_index();
        let in_group = if output.group.is_some() { elf::SHF_GROUP.0 } else { 0 };
        self.writer.write_section_header(&SectionHeader {
            sh_name: self.writer.section_name_offset(Some(relocations.name)),
            sh_type: if self.head.rela { elf::SHT_RELA } else { elf::SHT_REL },
            sh_flags: SectionFlags(elf::SHF_INFO_LINK.0 | in_group),
            sh_offset: relocations.offset,
            sh_size: entry * count as u64,
            sh_link: symtab.0,
            sh_info: section.number.0,
            sh_addralign: word,
            sh_entsize: entry,
            ..SectionHeader::default()
        });
    }
}

/// A member of a group, by its position in the plan.
enum Member {
    Section(usize),
    Relocations(usize),
}

/// The members of each group.
fn members(plan: &Plan<'_>, made: &[Option<Made>]) -> Vec<Vec<Member>> {
    let mut members: Vec<Vec<Member>> = plan.groups.iter().map(|_| Vec::new()).collect();
    for (index, (output, made)) in plan.outputs.iter().zip(made).enumerate() {
        let (Some(id), Some(made)) = (output.group, made) else { continue };
        let Ok(group) = plan.groups.binary_search_by_key(&id, |group| group.0) else { continue };
        members[group].push(Member::Section(index));
        if !made.relocations.is_empty() {
            members[group].push(Member::Relocations(index));
        }
    }
    members
}

impl Layout {
    /// The number of the section that a symbol is in.
    fn number_of(&self, home: Home) -> Option<SectionIndex> {
        match home {
            Home::Section(section) => self.sections[section].map(|spot| spot.number),
            Home::Group(group) => Some(self.groups[group].number),
            Home::Special(_) => None,
        }
    }
}
