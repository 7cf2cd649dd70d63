//! The smallest ELF object that has one relocation of any kind, written by hand: no assembler knows every type.

/// What the relocation is against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `target`, 0x30 bytes of data at offset 0x20 of `.target`.
    Data,
    /// `target`, a thread-local variable at offset 0x20 of `.tdata`.
    Thread,
    /// `_GLOBAL_OFFSET_TABLE_`.
    Got,
}

/// The offset of the field in `.place`.
pub(crate) const FIELD: usize = 0x10;
/// The offset of the target in its section, and the size of that section.
pub(crate) const TARGET: u64 = 0x20;
/// The size of the target.
pub(crate) const SIZE: u64 = 0x30;

/// Name, type, flags, link, info, size of an entry, content.
type Section<'a> = (&'a str, u32, u64, u32, u32, u64, &'a [u8]);

/// The object. `code` says whether `.place`, which holds `content`, is code.
pub(crate) fn object(kind: Kind, raw: u32, addend: i64, content: &[u8], code: bool) -> Vec<u8> {
    let names = b"\0.place\0.target\0.tdata\0.rela.place\0.symtab\0.strtab\0target\0_GLOBAL_OFFSET_TABLE_\0";
    let name = |text: &str| names.windows(text.len()).position(|window| window == text.as_bytes()).unwrap() as u32;
    let (section, symbol, symbol_type) = match kind {
        Kind::Data => (2u16, "target", 1u8),
        Kind::Thread => (3, "target", 6),
        Kind::Got => (0, "_GLOBAL_OFFSET_TABLE_", 0),
    };
    let mut symbols = vec![0; 24];
    symbols.extend(name(symbol).to_le_bytes());
    symbols.extend([1 << 4 | symbol_type, if kind == Kind::Got { 0 } else { 2 }]); // global, hidden
    symbols.extend(section.to_le_bytes());
    symbols.extend(if kind == Kind::Got { 0 } else { TARGET }.to_le_bytes());
    symbols.extend(if kind == Kind::Got { 0 } else { SIZE }.to_le_bytes());
    let mut relocation = (FIELD as u64).to_le_bytes().to_vec();
    relocation.extend((1u64 << 32 | u64::from(raw)).to_le_bytes());
    relocation.extend(addend.to_le_bytes());
    let filler = vec![0x77; (TARGET + SIZE) as usize];
    let place_flags = if code { 0x2 | 0x4 } else { 0x2 | 0x1 };
    let sections: [Section<'_>; 6] = [
        (".place", 1, place_flags, 0, 0, 0, content),
        (".target", 1, 0x3, 0, 0, 0, &filler),
        (".tdata", 1, 0x403, 0, 0, 0, if kind == Kind::Thread { &filler } else { &[] }),
        (".rela.place", 4, 0x40, 5, 1, 24, &relocation),
        (".symtab", 2, 0, 6, 1, 24, &symbols),
        (".strtab", 3, 0, 0, 0, 0, names),
    ];
    let mut file = vec![0; 64];
    let mut headers = vec![0; 64];
    for (section, kind, flags, link, info, entry, content) in sections {
        file.resize(file.len().next_multiple_of(16), 0);
        let align = if section == ".strtab" { 1u64 } else { 16 };
        headers.extend(name(section).to_le_bytes());
        headers.extend(kind.to_le_bytes());
        for word in [flags, 0, file.len() as u64, content.len() as u64] {
            headers.extend(word.to_le_bytes());
        }
        headers.extend(link.to_le_bytes());
        headers.extend(info.to_le_bytes());
        headers.extend(align.to_le_bytes());
        headers.extend(entry.to_le_bytes());
        file.extend(content);
    }
    file.resize(file.len().next_multiple_of(16), 0);
    let at = file.len() as u64;
    file.extend(headers);
    let mut header = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    for half in [1u16, 62] {
        header.extend(half.to_le_bytes()); // relocatable, x86-64
    }
    header.extend(1u32.to_le_bytes());
    header.extend([0; 16]); // entry, program headers
    header.extend(at.to_le_bytes());
    header.extend(0u32.to_le_bytes());
    for half in [64u16, 0, 0, 64, 7, 6] {
        header.extend(half.to_le_bytes());
    }
    file[..64].copy_from_slice(&header);
    file
}
