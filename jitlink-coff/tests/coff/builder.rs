//! Objects written by hand, ordinary and big ones.

/// A section to be written.
#[derive(Clone, Default)]
pub(crate) struct Section {
    pub(crate) name: Vec<u8>,
    pub(crate) flags: u32,
    pub(crate) content: Vec<u8>,
    /// Zeros in the place of content.
    pub(crate) zeros: u32,
    /// Offset, symbol, type.
    pub(crate) relocations: Vec<(u32, u32, u16)>,
    /// The count is written as overflowed even if it is not.
    pub(crate) overflowed: bool,
}

/// A symbol to be written: name, value, section, type, class, and the records behind it.
#[derive(Clone)]
pub(crate) struct Symbol {
    pub(crate) name: Vec<u8>,
    pub(crate) value: u32,
    pub(crate) section: i32,
    pub(crate) kind: u16,
    pub(crate) class: u8,
    pub(crate) aux: Vec<[u8; 18]>,
}

/// An object to be written.
#[derive(Clone, Default)]
pub(crate) struct Object {
    pub(crate) machine: u16,
    pub(crate) is_big: bool,
    pub(crate) sections: Vec<Section>,
    pub(crate) symbols: Vec<Symbol>,
}

pub(crate) const CODE: u32 = 0x6000_0020;
pub(crate) const DATA: u32 = 0xc000_0040;
pub(crate) const CONSTANTS: u32 = 0x4000_0040;
pub(crate) const ZEROS: u32 = 0xc000_0080;

const CLASS: [u8; 16] =
    [0xc7, 0xa1, 0xba, 0xd1, 0xee, 0xba, 0xa9, 0x4b, 0xaf, 0x20, 0xfa, 0xf6, 0x6a, 0xa4, 0xdc, 0xb8];

impl Object {
    pub(crate) fn new() -> Object {
        Object { machine: 0x8664, ..Object::default() }
    }

    /// Adds a section; its number.
    pub(crate) fn section(&mut self, name: &str, flags: u32, content: &[u8]) -> i32 {
        let section = Section { name: name.into(), flags, content: content.into(), ..Section::default() };
        self.sections.push(section);
        self.sections.len() as i32
    }

    /// Adds a symbol; its number in the table.
    pub(crate) fn symbol(&mut self, name: &str, value: u32, section: i32, class: u8) -> u32 {
        self.symbol_with(name, value, section, class, Vec::new())
    }

    /// Adds a symbol with records behind it; its number in the table.
    pub(crate) fn symbol_with(&mut self, name: &str, value: u32, section: i32, class: u8, aux: Vec<[u8; 18]>) -> u32 {
        let number = self.symbols.iter().map(|symbol| 1 + symbol.aux.len() as u32).sum();
        self.symbols.push(Symbol { name: name.into(), value, section, kind: 0, class, aux });
        number
    }

    /// The file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut strings = vec![0; 4];
        let mut string = |name: &[u8]| {
            let at = strings.len() as u32;
            strings.extend_from_slice(name);
            strings.push(0);
            at
        };
        let header = if self.is_big { 56 } else { 20 };
        let mut file = vec![0; header + 40 * self.sections.len()];
        for (index, section) in self.sections.iter().enumerate() {
            let mut raw = [0u8; 40];
            if section.name.len() <= 8 {
                raw[..section.name.len()].copy_from_slice(&section.name);
            } else {
                let text = format!("/{}", string(&section.name));
                raw[..text.len()].copy_from_slice(text.as_bytes());
            }
            let size = if section.zeros > 0 { section.zeros } else { section.content.len() as u32 };
            raw[16..20].copy_from_slice(&size.to_le_bytes());
            if section.zeros == 0 && !section.content.is_empty() {
                raw[20..24].copy_from_slice(&(file.len() as u32).to_le_bytes());
                file.extend_from_slice(&section.content);
            }
            let mut flags = section.flags;
            let count = section.relocations.len();
            if count > 0 {
                raw[24..28].copy_from_slice(&(file.len() as u32).to_le_bytes());
            }
            if count > 0xffff || section.overflowed {
                flags |= 0x0100_0000;
                raw[32..34].copy_from_slice(&[0xff, 0xff]);
                file.extend_from_slice(&(count as u32 + 1).to_le_bytes());
                file.extend_from_slice(&[0; 6]);
            } else {
                raw[32..34].copy_from_slice(&(count as u16).to_le_bytes());
            }
            for (offset, symbol, kind) in &section.relocations {
                file.extend_from_slice(&offset.to_le_bytes());
                file.extend_from_slice(&symbol.to_le_bytes());
                file.extend_from_slice(&kind.to_le_bytes());
            }
            raw[36..40].copy_from_slice(&flags.to_le_bytes());
            file[header + 40 * index..][..40].copy_from_slice(&raw);
        }
        let (at, size) = (file.len() as u32, if self.is_big { 20 } else { 18 });
        let mut count = 0u32;
        for symbol in &self.symbols {
            let mut raw = vec![0u8; size];
            if symbol.name.len() <= 8 {
                raw[..symbol.name.len()].copy_from_slice(&symbol.name);
            } else {
                raw[4..8].copy_from_slice(&string(&symbol.name).to_le_bytes());
            }
            raw[8..12].copy_from_slice(&symbol.value.to_le_bytes());
            raw[12..size - 4].copy_from_slice(&symbol.section.to_le_bytes()[..size - 16]);
            raw[size - 4..size - 2].copy_from_slice(&symbol.kind.to_le_bytes());
            (raw[size - 2], raw[size - 1]) = (symbol.class, symbol.aux.len() as u8);
            file.extend_from_slice(&raw);
            for aux in &symbol.aux {
                file.extend_from_slice(aux);
                file.resize(file.len() + size - 18, 0);
            }
            count += 1 + symbol.aux.len() as u32;
        }
        let length = strings.len() as u32;
        strings[..4].copy_from_slice(&length.to_le_bytes());
        file.extend_from_slice(&strings);
        self.write_header(&mut file, at, count);
        file
    }

    fn write_header(&self, file: &mut [u8], symbols_at: u32, symbol_count: u32) {
        let sections = self.sections.len() as u32;
        if self.is_big {
            file[2..4].copy_from_slice(&[0xff, 0xff]);
            file[4..6].copy_from_slice(&2u16.to_le_bytes());
            file[6..8].copy_from_slice(&self.machine.to_le_bytes());
            file[12..28].copy_from_slice(&CLASS);
            for (at, value) in [(44, sections), (48, symbols_at), (52, symbol_count)] {
                file[at..at + 4].copy_from_slice(&value.to_le_bytes());
            }
        } else {
            file[..2].copy_from_slice(&self.machine.to_le_bytes());
            file[2..4].copy_from_slice(&(sections as u16).to_le_bytes());
            file[8..12].copy_from_slice(&symbols_at.to_le_bytes());
            file[12..16].copy_from_slice(&symbol_count.to_le_bytes());
        }
    }
}

/// The record behind a section's symbol.
pub(crate) fn section_record(number: u16, selection: u8) -> Vec<[u8; 18]> {
    let mut aux = [0; 18];
    aux[12..14].copy_from_slice(&number.to_le_bytes());
    aux[14] = selection;
    vec![aux]
}

/// The record behind a weak external.
pub(crate) fn weak_record(symbol: u32, rule: u32) -> Vec<[u8; 18]> {
    let mut aux = [0; 18];
    aux[..4].copy_from_slice(&symbol.to_le_bytes());
    aux[4..8].copy_from_slice(&rule.to_le_bytes());
    vec![aux]
}
