//! Writes ELF objects byte by byte, in all four shapes, right or wrong as a test wants them.

/// Width and byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) wide: bool,
    pub(crate) big: bool,
}

pub(crate) const LITTLE64: Shape = Shape { wide: true, big: false };
pub(crate) const SHAPES: [Shape; 4] =
    [LITTLE64, Shape { wide: false, big: false }, Shape { wide: true, big: true }, Shape { wide: false, big: true }];

pub(crate) const PROGBITS: u32 = 1;
pub(crate) const SYMTAB: u32 = 2;
pub(crate) const STRTAB: u32 = 3;
pub(crate) const RELA: u32 = 4;
pub(crate) const NOTE: u32 = 7;
pub(crate) const NOBITS: u32 = 8;
pub(crate) const REL: u32 = 9;
pub(crate) const INIT_ARRAY: u32 = 14;
pub(crate) const GROUP: u32 = 17;
pub(crate) const SYMTAB_SHNDX: u32 = 18;
pub(crate) const CREL: u32 = 0x4000_0014;

pub(crate) const W: u64 = 1;
pub(crate) const A: u64 = 2;
pub(crate) const X: u64 = 4;
pub(crate) const MERGE: u64 = 0x10;
pub(crate) const STRINGS: u64 = 0x20;
pub(crate) const LINK_ORDER: u64 = 0x80;
pub(crate) const IN_GROUP: u64 = 0x200;
pub(crate) const TLS: u64 = 0x400;
pub(crate) const COMPRESSED: u64 = 0x800;
pub(crate) const RETAIN: u64 = 0x20_0000;
pub(crate) const EXCLUDE: u64 = 0x8000_0000;

pub(crate) const ABS: u32 = 0xfff1;
pub(crate) const COMMON: u32 = 0xfff2;
/// Sec numbers from here on mean themselves in [`Sym::section`] only if they are real; these are the reserved ones.
pub(crate) const RESERVED: std::ops::RangeInclusive<u32> = 0xff00..=0xffff;

/// A section to be written.
#[derive(Clone, Debug)]
pub(crate) struct Sec {
    pub(crate) name: &'static str,
    pub(crate) kind: u32,
    pub(crate) flags: u64,
    pub(crate) content: Vec<u8>,
    pub(crate) size: Option<u64>,
    pub(crate) link: u32,
    pub(crate) info: u32,
    pub(crate) align: u64,
    pub(crate) entry: u64,
}

impl Sec {
    pub(crate) fn new(name: &'static str, kind: u32, flags: u64, content: impl Into<Vec<u8>>) -> Sec {
        Sec { name, kind, flags, content: content.into(), size: None, link: 0, info: 0, align: 1, entry: 0 }
    }

    pub(crate) fn entry(self, entry: u64) -> Sec {
        Sec { entry, ..self }
    }

    pub(crate) fn align(self, align: u64) -> Sec {
        Sec { align, ..self }
    }

    pub(crate) fn link(self, link: u32) -> Sec {
        Sec { link, ..self }
    }

    pub(crate) fn info(self, info: u32) -> Sec {
        Sec { info, ..self }
    }

    pub(crate) fn size(self, size: u64) -> Sec {
        Sec { size: Some(size), ..self }
    }
}

/// A symbol to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sym {
    pub(crate) name: &'static str,
    pub(crate) bind: u8,
    pub(crate) kind: u8,
    pub(crate) other: u8,
    pub(crate) section: u32,
    pub(crate) value: u64,
    pub(crate) size: u64,
    /// The section number is reserved, not the number of a section.
    pub(crate) special: bool,
}

impl Sym {
    pub(crate) fn new(name: &'static str, bind: u8, kind: u8, section: u32, value: u64) -> Sym {
        let special = RESERVED.contains(&section);
        Sym { name, bind, kind, other: 0, section, value, size: 0, special }
    }

    pub(crate) fn local(name: &'static str, section: u32, value: u64) -> Sym {
        Sym::new(name, 0, 0, section, value)
    }

    pub(crate) fn global(name: &'static str, section: u32, value: u64) -> Sym {
        Sym::new(name, 1, 0, section, value)
    }

    pub(crate) fn undefined(name: &'static str) -> Sym {
        Sym::new(name, 1, 0, 0, 0)
    }

    pub(crate) fn section(section: u32) -> Sym {
        Sym { special: false, ..Sym::new("", 0, 3, section, 0) }
    }
}

/// An object to be written. Sections are numbered from 1 in the order in which they are added; symbols too.
#[derive(Clone, Debug)]
pub(crate) struct Elf {
    pub(crate) shape: Shape,
    pub(crate) machine: u16,
    pub(crate) kind: u16,
    pub(crate) sections: Vec<Sec>,
    pub(crate) symbols: Vec<Sym>,
    /// The number of the first global symbol, where the tests wants it wrong.
    pub(crate) first_global: Option<u32>,
    pub(crate) with_symbols: bool,
}

impl Elf {
    pub(crate) fn new(shape: Shape) -> Elf {
        Elf {
            shape,
            machine: crate::toy::MACHINE,
            kind: 1,
            sections: Vec::new(),
            symbols: Vec::new(),
            first_global: None,
            with_symbols: true,
        }
    }

    pub(crate) fn add(&mut self, section: Sec) -> u32 {
        self.sections.push(section);
        self.sections.len() as u32
    }

    pub(crate) fn symbol(&mut self, symbol: Sym) -> u32 {
        self.symbols.push(symbol);
        self.symbols.len() as u32
    }

    /// Relocations of a section: offset, type, symbol, addend. Their link is set when the object is written.
    pub(crate) fn relocations(&mut self, kind: u32, target: u32, entries: &[(u64, u32, u32, i64)]) -> u32 {
        let shape = self.shape;
        let content = match kind {
            CREL => crel(entries),
            _ => {
                let mut out = Writer::new(shape);
                for (offset, raw, symbol, addend) in entries {
                    out.word(*offset);
                    match shape.wide {
                        true => out.u64(u64::from(*symbol) << 32 | u64::from(*raw)),
                        false => out.u32(symbol << 8 | raw),
                    }
                    if kind == RELA {
                        out.word(*addend as u64);
                    }
                }
                out.bytes
            }
        };
        let words = if kind == RELA { 3 } else { 2 };
        let entry = if kind == CREL { 1 } else { words * if shape.wide { 8 } else { 4 } };
        self.add(Sec::new(".rel", kind, 0, content).info(target).entry(entry).link(u32::MAX))
    }

    /// A group: flags, signature, members. Its link is set when the object is written.
    pub(crate) fn group(&mut self, flags: u32, signature: u32, members: &[u32]) -> u32 {
        let mut out = Writer::new(self.shape);
        out.u32(flags);
        members.iter().for_each(|member| out.u32(*member));
        self.add(Sec::new(".group", GROUP, 0, out.bytes).info(signature).entry(4).link(u32::MAX))
    }

    /// The bytes of the file.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut sections = self.sections.clone();
        let symtab = sections.len() as u32 + 1;
        let wide_numbers = self.symbols.iter().any(|symbol| !symbol.special && RESERVED.start() <= &symbol.section);
        if self.with_symbols {
            let (table, strings, extended) = self.symbol_table();
            let locals = self.symbols.iter().take_while(|symbol| symbol.bind == 0).count() as u32 + 1;
            let entry = if self.shape.wide { 24 } else { 16 };
            let table = Sec::new(".symtab", SYMTAB, 0, table).link(symtab + 1).entry(entry);
            sections.push(table.info(self.first_global.unwrap_or(locals)));
            sections.push(Sec::new(".strtab", STRTAB, 0, strings));
            if wide_numbers {
                sections.push(Sec::new(".symtab_shndx", SYMTAB_SHNDX, 0, extended).link(symtab).entry(4));
            }
        }
        for section in &mut sections {
            if section.link == u32::MAX {
                section.link = if self.with_symbols { symtab } else { 0 };
            }
        }
        self.write_sections(sections)
    }

    fn symbol_table(&self) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        let (mut table, mut extended) = (Writer::new(self.shape), Writer::new(self.shape));
        let mut strings = vec![0];
        let null = Sym::local("", 0, 0);
        for symbol in std::iter::once(&null).chain(&self.symbols) {
            let name = if symbol.name.is_empty() { 0 } else { strings.len() as u32 };
            if name != 0 {
                strings.extend_from_slice(symbol.name.as_bytes());
                strings.push(0);
            }
            let large = !symbol.special && symbol.section >= 0xff00;
            let section = if large { 0xffff } else { symbol.section as u16 };
            extended.u32(if large { symbol.section } else { 0 });
            table.u32(name);
            let info = symbol.bind << 4 | symbol.kind;
            if self.shape.wide {
                table.bytes.extend([info, symbol.other]);
                table.u16(section);
                table.u64(symbol.value);
                table.u64(symbol.size);
            } else {
                table.u32(symbol.value as u32);
                table.u32(symbol.size as u32);
                table.bytes.extend([info, symbol.other]);
                table.u16(section);
            }
        }
        (table.bytes, strings, extended.bytes)
    }

    fn write_sections(&self, mut sections: Vec<Sec>) -> Vec<u8> {
        let mut names = vec![0];
        let mut offsets = Vec::new();
        sections.push(Sec::new(".shstrtab", STRTAB, 0, []));
        for section in &sections {
            offsets.push(names.len() as u32);
            names.extend_from_slice(section.name.as_bytes());
            names.push(0);
        }
        let names_section = sections.len();
        sections[names_section - 1].content = names;
        let count = sections.len() + 1;
        let mut out = Writer::new(self.shape);
        let (class, data) = (1 + u8::from(self.shape.wide), 1 + u8::from(self.shape.big));
        out.bytes.extend([0x7f, b'E', b'L', b'F', class, data, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let (header, entry) = if self.shape.wide { (64, 64) } else { (52, 40) };
        let contents: usize = sections.iter().map(|section| section.content.len()).sum();
        out.u16(self.kind);
        out.u16(self.machine);
        out.u32(1);
        out.word(0);
        out.word(0);
        out.word((header + contents) as u64);
        out.u32(0);
        out.u16(header as u16);
        out.u16(0);
        out.u16(0);
        out.u16(entry);
        out.u16(if count >= 0xff00 { 0 } else { count as u16 });
        out.u16(if names_section >= 0xff00 { 0xffff } else { names_section as u16 });
        assert_eq!(out.bytes.len(), header);
        sections.iter().for_each(|section| out.bytes.extend_from_slice(&section.content));
        let mut null = Sec::new("", 0, 0, []).align(0);
        null.size = (count >= 0xff00).then_some(count as u64);
        null.link = if names_section >= 0xff00 { names_section as u32 } else { 0 };
        out.section(&null, 0, 0);
        let mut at = header;
        for (section, name) in sections.iter().zip(offsets) {
            out.section(section, name, at as u64);
            at += section.content.len();
        }
        out.bytes
    }
}

/// Compact relocations with addends.
pub(crate) fn crel(entries: &[(u64, u32, u32, i64)]) -> Vec<u8> {
    let shift = entries.iter().fold(3, |shift, entry| shift.min(entry.0.trailing_zeros()));
    let mut out = Vec::new();
    uleb(&mut out, u128::from((entries.len() as u64) << 3 | 4 | u64::from(shift)));
    let mut last = (0u64, 0u32, 0u32, 0i64);
    for entry in entries {
        let changed =
            u128::from(entry.2 != last.2) | u128::from(entry.1 != last.1) << 1 | u128::from(entry.3 != last.3) << 2;
        uleb(&mut out, u128::from(entry.0.wrapping_sub(last.0) >> shift) << 3 | changed);
        if entry.2 != last.2 {
            sleb(&mut out, i64::from(entry.2) - i64::from(last.2));
        }
        if entry.1 != last.1 {
            sleb(&mut out, i64::from(entry.1) - i64::from(last.1));
        }
        if entry.3 != last.3 {
            sleb(&mut out, entry.3.wrapping_sub(last.3));
        }
        last = *entry;
    }
    out
}

pub(crate) fn uleb(out: &mut Vec<u8>, mut value: u128) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn sleb(out: &mut Vec<u8>, mut value: i64) {
    while !(-0x40..0x40).contains(&value) {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8 & 0x7f);
}

/// Words in a shape's byte order.
pub(crate) struct Writer {
    shape: Shape,
    pub(crate) bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn new(shape: Shape) -> Writer {
        Writer { shape, bytes: Vec::new() }
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes.extend(if self.shape.big { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes.extend(if self.shape.big { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes.extend(if self.shape.big { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    pub(crate) fn word(&mut self, value: u64) {
        if self.shape.wide { self.u64(value) } else { self.u32(value as u32) }
    }

    fn section(&mut self, section: &Sec, name: u32, offset: u64) {
        self.u32(name);
        self.u32(section.kind);
        self.word(section.flags);
        self.word(0);
        self.word(offset);
        self.word(section.size.unwrap_or(section.content.len() as u64));
        self.u32(section.link);
        self.u32(section.info);
        self.word(section.align);
        self.word(section.entry);
    }
}
