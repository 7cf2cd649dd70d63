//! Relocations (gABI, "Relocation"): with addends in the entries (RELA), in the fields (REL), or compact (CREL).
//!
//! Each becomes an edge. What a number means is a row of the batch's table, looked up by index, so that nothing here is hashed
//! or allocated for a single relocation; the four shapes of ELF and the three encodings are each compiled on their own.
//!
//! CREL (generic-ABI proposal "A compact relocation format for ELF", as LLVM writes it): a ULEB128 header holds the count, a
//! bit that says whether addends are there, and how far offsets are shifted. Each entry then holds differences to the one
//! before it: offset and flags in one number, and symbol, type and addend where the flags say that they change.

use crate::header::File;
use crate::sections::{Placed, Placement};
use crate::symbols::{SymbolTable, Symbols};
use jitlink_core::graph::{Edge, ObjectBuilder};
use jitlink_core::reloc::{Holds, Reloc, RowTable};
use jitlink_core::{Endian, LinkError, Site};
use object::elf;
use object::read::elf::{FileHeader, Rel, Rela, SectionHeader};

/// The section of relocations of each section.
pub(crate) struct RelocationSections {
    /// By section number; zero where there are none.
    of: Vec<u32>,
    /// How many relocations there may be at most.
    total: usize,
}

impl RelocationSections {
    /// Finds them all, and checks what they point to.
    pub(crate) fn find<Elf: FileHeader>(
        file: &File<'_, '_, Elf>,
        symbols: &SymbolTable<'_, Elf>,
    ) -> Result<RelocationSections, LinkError> {
        let mut found = RelocationSections { of: vec![0; file.sections.len()], total: 0 };
        for (index, header) in file.sections.iter().enumerate() {
            let kind = header.sh_type(file.endian);
            let entry = match kind {
                elf::SHT_REL => size_of::<Elf::Rel>(),
                elf::SHT_RELA => size_of::<Elf::Rela>(),
                // An entry takes a byte at least.
                elf::SHT_CREL => 1,
                _ => continue,
            };
            let (target, link) = (header.sh_info(file.endian) as usize, header.sh_link(file.endian) as usize);
            let target_kind = file.sections.get(target).map(|target| target.sh_type(file.endian));
            let relocatable = !matches!(
                target_kind,
                None | Some(
                    elf::SHT_NULL | elf::SHT_REL | elf::SHT_RELA | elf::SHT_CREL | elf::SHT_SYMTAB | elf::SHT_STRTAB
                )
            );
            if !relocatable || target == 0 {
                return Err(file.malformed(
                    index,
                    0,
                    format!("its relocations are for section {target}, which has no content"),
                ));
            }
            if link != symbols.section {
                return Err(file.malformed(
                    index,
                    0,
                    format!("its symbols are those of section {link}, not the symbol table"),
                ));
            }
            let slot = &mut found.of[target];
            if *slot != 0 {
                let what = format!("a second section of relocations for {}", file.display_section(target));
                return Err(file.unsupported(index, what, "build the object with one kind of relocations only"));
            }
            *slot = index as u32;
            found.total += file.content(index).len() / entry;
        }
        Ok(found)
    }

    /// The section of relocations of a section.
    pub(crate) fn of(&self, section: usize) -> Option<usize> {
        self.of.get(section).map(|found| *found as usize).filter(|found| *found != 0)
    }

    /// How many relocations there may be at most.
    pub(crate) fn total(&self) -> usize {
        self.total
    }
}

/// One relocation as the file holds it; `addend` is `None` where it stands in the field.
struct Raw {
    offset: u64,
    symbol: u32,
    kind: u32,
    addend: Option<i64>,
}

/// Reads the relocations of all sections that were read.
pub(crate) fn read<'a, Elf: FileHeader<Rel: Sync, Rela: Sync, Endian: Sync>>(
    file: &File<'_, 'a, Elf>,
    sections: &RelocationSections,
    placement: &Placement,
    table: &SymbolTable<'a, Elf>,
    symbols: &Symbols,
    builder: &mut ObjectBuilder<'_, 'a>,
) -> Result<(), LinkError> {
    let rows = builder.graph().rows().clone();
    let (endian, arch) = (builder.target().endian, builder.target().arch.info().name());
    for (target, placed) in placement.iter() {
        let Some(index) = sections.of(target) else { continue };
        let section = builder.graph().section(placed.id);
        if !section.is_loaded() && builder.keeps_beside(section.name) {
            continue;
        }
        let holds = match file.sections[target].sh_flags(file.endian).contains(elf::SHF_EXECINSTR) {
            true => Holds::Code,
            false => Holds::Data,
        };
        let meaning = Meaning { rows: &rows, symbols, endian, holds };
        let site = Relocated { file, table, meaning, arch, index, target, placed };
        match file.sections[index].sh_type(file.endian) {
            elf::SHT_RELA => site.read_rela(builder)?,
            elf::SHT_REL => site.read_rel(builder)?,
            _ => site.read_crel(builder)?,
        }
    }
    Ok(())
}

/// What the numbers in relocations mean.
#[derive(Clone, Copy)]
struct Meaning<'f> {
    rows: &'f RowTable,
    symbols: &'f Symbols,
    endian: Endian,
    /// What the section at hand holds.
    holds: Holds,
}

impl<'f> Meaning<'f> {
    #[inline(always)]
    fn row(&self, raw: &Raw) -> Option<(u16, &'f Reloc)> {
        self.rows.by_raw_in(raw.kind, self.holds)
    }

    /// The edge for a relocation, with its place in the section; `None` where it is wrong.
    #[inline(always)]
    fn edge(&self, raw: &Raw, content: &[u8]) -> Option<(u64, Edge)> {
        let (row, reloc) = self.row(raw)?;
        let target = self.symbols.get(raw.symbol)?;
        let addend = match raw.addend {
            Some(addend) => addend,
            None => {
                let start = usize::try_from(raw.offset).ok().filter(|start| *start <= content.len())?;
                reloc.implicit_addend(content[start..].get(..reloc.field().bytes())?, self.endian)
            }
        };
        Some((raw.offset, Edge { addend, offset: 0, target, row, subject: reloc.subject() }))
    }
}

/// A section being relocated.
struct Relocated<'f, 'n, 'a, Elf: FileHeader> {
    file: &'f File<'n, 'a, Elf>,
    table: &'f SymbolTable<'a, Elf>,
    meaning: Meaning<'f>,
    arch: &'static str,
    /// The section of relocations.
    index: usize,
    /// The section that they are for.
    target: usize,
    placed: Placed,
}

impl<'a, Elf: FileHeader<Rel: Sync, Rela: Sync, Endian: Sync>> Relocated<'_, '_, 'a, Elf> {
    fn read_rela(&self, builder: &mut ObjectBuilder<'_, 'a>) -> Result<(), LinkError> {
        let entries: &'a [Elf::Rela] = self.file.table(self.index)?;
        let endian = self.file.endian;
        let raw = move |number: usize| {
            let entry = &entries[number];
            let addend = Some(entry.r_addend(endian).into());
            let (symbol, kind) = (entry.r_sym(endian, false), entry.r_type(endian, false).0);
            Raw { offset: entry.r_offset(endian).into(), symbol, kind, addend }
        };
        self.read_table(builder, entries.len(), &[], raw)
    }

    fn read_rel(&self, builder: &mut ObjectBuilder<'_, 'a>) -> Result<(), LinkError> {
        let entries: &'a [Elf::Rel] = self.file.table(self.index)?;
        let endian = self.file.endian;
        let content = self.content(builder);
        let raw = move |number: usize| {
            let entry = &entries[number];
            let (symbol, kind) = (entry.r_sym(endian), entry.r_type(endian).0);
            Raw { offset: entry.r_offset(endian).into(), symbol, kind, addend: None }
        };
        self.read_table(builder, entries.len(), &content, raw)
    }

    /// Relocations that are all of one size, so that each can be read by itself.
    fn read_table(
        &self,
        builder: &mut ObjectBuilder<'_, 'a>,
        count: usize,
        content: &[u8],
        raw: impl Fn(usize) -> Raw + Sync,
    ) -> Result<(), LinkError> {
        let meaning = self.meaning;
        let table = self.file.content(self.index);
        let read = |number: usize| meaning.edge(&raw(number), content);
        builder.add_table_edges(self.placed.id, table, count, read, |number| self.explain(&raw(number), content))
    }

    fn read_crel(&self, builder: &mut ObjectBuilder<'_, 'a>) -> Result<(), LinkError> {
        let bytes = self.file.content(self.index);
        let Some(entries) = Crel::new(bytes, size_of::<Elf::Word>() == 4) else {
            return Err(self.file.malformed(
                self.index,
                0,
                "the header of the compact relocations is cut short or too large",
            ));
        };
        let content = if entries.has_addends { Default::default() } else { self.content(builder) };
        let edges = entries.map(|entry| match entry {
            Ok(raw) => self.meaning.edge(&raw, &content).ok_or_else(|| self.explain(&raw, &content)),
            Err(at) => {
                Err(self.file.malformed(self.index, at as u64, "a compact relocation is cut short or too large"))
            }
        });
        builder.add_edges(self.placed.id, edges)
    }

    /// The bytes that hold the addends. Decompressed ones are copied, as the graph that owns them is being changed.
    fn content(&self, builder: &ObjectBuilder<'_, 'a>) -> std::borrow::Cow<'a, [u8]> {
        if self.file.sections[self.target].sh_flags(self.file.endian).contains(elf::SHF_COMPRESSED) {
            let (_, block) =
                builder.graph().blocks_of(self.placed.id).next().expect("a compressed section is one block");
            return block.content.bytes().to_vec().into();
        }
        self.file.content(self.target).into()
    }

    /// What is wrong with a relocation that is no edge.
    #[cold]
    fn explain(&self, raw: &Raw, content: &[u8]) -> LinkError {
        let Some((_, reloc)) = self.meaning.row(raw) else { return self.unknown(raw) };
        if self.meaning.symbols.get(raw.symbol).is_none() {
            return self.no_symbol(raw, reloc);
        }
        let site = Box::new(self.site(raw, reloc.name()));
        let size = reloc.field().bytes();
        let what = format!("the field of {size:#x} bytes lies outside the section's {:#x}", content.len());
        LinkError::Malformed { site, what }
    }

    fn site(&self, raw: &Raw, reloc: &str) -> Site {
        Site {
            object: self.file.name.to_string(),
            section: self.file.display_section(self.target),
            offset: raw.offset,
            reloc: reloc.to_string(),
            symbol: self.table.display(self.file, raw.symbol as usize),
        }
    }

    fn unknown(&self, raw: &Raw) -> LinkError {
        let site = Box::new(self.site(raw, ""));
        LinkError::UnknownRelocation { site, raw: raw.kind, arch: self.arch.to_string() }
    }

    fn no_symbol(&self, raw: &Raw, reloc: &Reloc) -> LinkError {
        let site = Box::new(self.site(raw, reloc.name()));
        let number = raw.symbol as usize;
        let what = match self.table.entries.get(number).map(|_| self.table.section_number(self.file, number)) {
            None => format!("there is no symbol {number}, only {}", self.table.count()),
            Some(Ok(Some(section))) => {
                format!("it refers to section {}, which is not loaded", self.file.display_section(section))
            }
            Some(_) => format!("it refers to symbol {number}, which is local and defined nowhere"),
        };
        LinkError::Malformed { site, what }
    }
}

/// The entries of a section of compact relocations. An error is the place where reading stopped.
struct Crel<'a> {
    bytes: &'a [u8],
    at: usize,
    left: u64,
    has_addends: bool,
    shift: u32,
    narrow: bool,
    offset: u64,
    symbol: u32,
    kind: u32,
    addend: i64,
}

impl<'a> Crel<'a> {
    fn new(bytes: &'a [u8], narrow: bool) -> Option<Crel<'a>> {
        let start = Crel {
            bytes,
            at: 0,
            left: 0,
            has_addends: false,
            shift: 0,
            narrow,
            offset: 0,
            symbol: 0,
            kind: 0,
            addend: 0,
        };
        let mut crel = start;
        let header = crel.uleb()?;
        crel.left = header >> 3;
        crel.has_addends = header & 4 != 0;
        crel.shift = (header & 3) as u32;
        Some(crel)
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn uleb(&mut self) -> Option<u64> {
        let (mut value, mut shift) = (0u64, 0);
        loop {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift >= 64 || bits << shift >> shift != bits {
                return None;
            }
            value |= bits << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
    }

    fn sleb(&mut self) -> Option<i64> {
        let (mut value, mut shift) = (0i64, 0);
        loop {
            let byte = self.byte()?;
            if shift >= 70 {
                return None;
            }
            if shift < 64 {
                value |= i64::from(byte & 0x7f) << shift;
            }
            shift += 7;
            if byte & 0x80 == 0 {
                let sign = shift < 64 && byte & 0x40 != 0;
                return Some(if sign { value | -1 << shift } else { value });
            }
        }
    }

    fn entry(&mut self) -> Option<Raw> {
        // Offset and flags are one number of up to 67 bits, so its first byte is taken apart by hand.
        let first = self.byte()?;
        let flag_bits = if self.has_addends { 3 } else { 2 };
        let mut delta = u64::from(first & 0x7f) >> flag_bits;
        if first & 0x80 != 0 {
            let rest = self.uleb()?;
            let shift = 7 - flag_bits;
            if rest << shift >> shift != rest {
                return None;
            }
            delta |= rest << shift;
        }
        self.offset = self.offset.wrapping_add(delta << self.shift);
        if first & 1 != 0 {
            self.symbol = self.symbol.wrapping_add(self.sleb()? as u32);
        }
        if first & 2 != 0 {
            self.kind = self.kind.wrapping_add(self.sleb()? as u32);
        }
        if self.has_addends && first & 4 != 0 {
            self.addend = self.addend.wrapping_add(self.sleb()?);
        }
        if self.narrow {
            self.offset &= 0xffff_ffff;
            self.addend = i64::from(self.addend as i32);
        }
        let addend = self.has_addends.then_some(self.addend);
        Some(Raw { offset: self.offset, symbol: self.symbol, kind: self.kind, addend })
    }
}

impl Iterator for Crel<'_> {
    type Item = Result<Raw, usize>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let entry = self.entry();
        if entry.is_none() {
            self.left = 0;
        }
        Some(entry.ok_or(self.at))
    }
}
