//! Objects for x86-64 that are well formed by construction, out of drawn numbers: sections of every kind, symbols that compete,
//! instructions with the relocations that compilers give them, unwind records, groups. Where real objects with a few bytes
//! changed mostly test the reader, these test what comes after it.

use arbitrary::{Result, Unstructured};

/// Section types and flags (gABI, "Sections").
const PROGBITS: u32 = 1;
const NOBITS: u32 = 8;
const WRITE: u64 = 1;
const ALLOC: u64 = 2;
const EXEC: u64 = 4;
const MERGE: u64 = 0x10;
const STRINGS: u64 = 0x20;
const INFO_LINK: u64 = 0x40;
const GROUP: u64 = 0x200;
const TLS: u64 = 0x400;
const LARGE: u64 = 0x1000_0000;

/// A kind of section: name, type, flags, size of an entry.
type Kind = (&'static str, u32, u64, u64);

const KINDS: [Kind; 20] = [
    (".text", PROGBITS, ALLOC | EXEC, 0),
    (".text.f", PROGBITS, ALLOC | EXEC, 0),
    (".data", PROGBITS, ALLOC | WRITE, 0),
    (".rodata", PROGBITS, ALLOC, 0),
    (".bss", NOBITS, ALLOC | WRITE, 0),
    (".rodata.str1.1", PROGBITS, ALLOC | MERGE | STRINGS, 1),
    (".rodata.str2.2", PROGBITS, ALLOC | MERGE | STRINGS, 2),
    (".rodata.cst4", PROGBITS, ALLOC | MERGE, 4),
    (".rodata.cst8", PROGBITS, ALLOC | MERGE, 8),
    (".rodata.cst16", PROGBITS, ALLOC | MERGE, 16),
    (".init_array", 14, ALLOC | WRITE, 8),
    (".fini_array.7", 15, ALLOC | WRITE, 8),
    (".ctors", PROGBITS, ALLOC | WRITE, 8),
    ("items", PROGBITS, ALLOC | WRITE, 0),
    (".ltext", PROGBITS, ALLOC | EXEC | LARGE, 0),
    (".ldata", PROGBITS, ALLOC | WRITE | LARGE, 0),
    (".lbss", NOBITS, ALLOC | WRITE | LARGE, 0),
    (".tdata", PROGBITS, ALLOC | WRITE | TLS, 0),
    (".debug_info", PROGBITS, 0, 0),
    (".gcc_except_table", PROGBITS, ALLOC, 0),
];

/// The names that objects share.
pub const NAMES: [&str; 16] = [
    "n0",
    "n1",
    "n2",
    "n3",
    "n4",
    "n5",
    "_n6",
    "N7",
    "main",
    "external",
    "external_data",
    "__start_items",
    "__stop_items",
    "_GLOBAL_OFFSET_TABLE_",
    "__dso_handle",
    "n5@V1",
];

/// An instruction as compilers write it: its bytes, where its field is, the relocation's types and addend.
type Instruction = (&'static [u8], u64, &'static [u32], i64);

const INSTRUCTIONS: [Instruction; 20] = [
    (b"\xe8\0\0\0\0", 1, &[4, 2, 40], -4),                         // call
    (b"\xe9\0\0\0\0", 1, &[4, 2], -4),                             // jmp
    (b"\x0f\x84\0\0\0\0", 2, &[4, 2], -4),                         // je
    (b"\x48\x8b\x05\0\0\0\0", 3, &[42, 9, 2, 28], -4),             // mov x(%rip), %rax
    (b"\x8b\x0d\0\0\0\0", 2, &[41, 2], -4),                        // mov x(%rip), %ecx
    (b"\x4c\x8d\x1d\0\0\0\0", 3, &[2, 26], -4),                    // lea x(%rip), %r11
    (b"\xff\x15\0\0\0\0", 2, &[41, 9], -4),                        // call *x(%rip)
    (b"\xff\x25\0\0\0\0", 2, &[41, 9], -4),                        // jmp *x(%rip)
    (b"\xc7\x05\0\0\0\0\x2a\0\0\0", 2, &[2], -8),                  // movl $42, x(%rip)
    (b"\x80\x3d\0\0\0\0\x07", 2, &[2], -5),                        // cmpb $7, x(%rip)
    (b"\x48\xb8\0\0\0\0\0\0\0\0", 2, &[1, 24, 25, 27, 29, 31], 0), // movabs $x, %rax
    (b"\xb8\0\0\0\0", 1, &[10, 11, 32], 0),                        // mov $x, %eax
    (b"\x48\xc7\xc0\0\0\0\0", 3, &[11, 10], 0),                    // mov $x, %rax
    (b"\x48\x03\x05\0\0\0\0", 3, &[42, 2], -4),                    // add x(%rip), %rax
    (b"\xf2\x0f\x10\x05\0\0\0\0", 4, &[2], -4),                    // movsd x(%rip), %xmm0
    (b"\x62\xf1\xfd\x48\x28\x05\0\0\0\0", 6, &[2], -4),            // vmovapd x(%rip), %zmm0
    (b"\xff\x34\x25\0\0\0\0", 3, &[11], 0),                        // push x
    (b"\xd5\x18\x8b\x05\0\0\0\0", 4, &[43], -4),                   // mov x(%rip), %r16
    (b"\x0f\xbe\x05\0\0\0\0", 3, &[2], -4),                        // movsbl x(%rip), %eax
    (b"\xc3\x90\x90\x90\x90", 1, &[0, 35, 250], 0),                // ret
];

/// Relocations of data: type and size.
const DATA: [(u32, usize); 18] = [
    (1, 8),
    (2, 4),
    (3, 4),
    (4, 4),
    (9, 4),
    (10, 4),
    (11, 4),
    (12, 2),
    (14, 1),
    (24, 8),
    (25, 8),
    (26, 4),
    (27, 8),
    (29, 8),
    (31, 8),
    (32, 4),
    (33, 8),
    (5, 8),
];

/// A section with what refers from it.
#[derive(Clone, Debug, Default)]
struct Section {
    name: String,
    kind: u32,
    flags: u64,
    entry: u64,
    align: u64,
    bytes: Vec<u8>,
    /// Of sections without bytes in the file.
    zeros: u64,
    link: u32,
    info: u32,
    relocations: Vec<Relocation>,
}

#[derive(Clone, Copy, Debug)]
struct Relocation {
    offset: u64,
    kind: u32,
    symbol: u32,
    addend: i64,
}

#[derive(Clone, Debug)]
struct Symbol {
    name: String,
    info: u8,
    visibility: u8,
    section: u16,
    value: u64,
    size: u64,
}

/// Draws an object and writes it.
pub fn object(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let count = u.int_in_range(1..=6)?;
    let mut sections = vec![Section::default()];
    for _ in 0..count {
        sections.push(section(u)?);
    }
    let symbols = symbols(u, &sections)?;
    for section in &mut sections[1..] {
        fill(u, section, symbols.len() as u32)?;
    }
    // Symbols were drawn before sizes were known.
    let size = |section: &Section| section.bytes.len() as u64 + section.zeros;
    let mut symbols = symbols;
    for symbol in &mut symbols {
        if let Some(section) = sections.get(usize::from(symbol.section)).filter(|_| symbol.section > 0) {
            symbol.value %= size(section) + 1;
        }
    }
    if u.ratio(1, 2)? {
        sections.push(unwind(u, &sections)?);
    }
    if u.ratio(1, 3)? {
        group(u, &mut sections, symbols.len() as u32)?;
    }
    Ok(write(sections, &symbols))
}

fn section(u: &mut Unstructured<'_>) -> Result<Section> {
    let (name, kind, flags, entry) = *u.choose(&KINDS)?;
    let align = 1 << u.int_in_range(0..=5u32)?;
    let align = if u.ratio(1, 50)? { align << 8 } else { align };
    Ok(Section { name: name.into(), kind, flags, entry, align, ..Section::default() })
}

/// Locals first: the null symbol, one for each section, then drawn ones.
fn symbols(u: &mut Unstructured<'_>, sections: &[Section]) -> Result<Vec<Symbol>> {
    let none = Symbol { name: String::new(), info: 0, visibility: 0, section: 0, value: 0, size: 0 };
    let mut symbols = vec![none.clone()];
    symbols.extend((1..sections.len()).map(|section| Symbol { info: 3, section: section as u16, ..none.clone() }));
    for number in 0..u.int_in_range(0..=3)? {
        let section = u.int_in_range(1..=sections.len() - 1)? as u16;
        let name = format!("local{number}");
        symbols.push(Symbol { name, section, value: u64::from(u.arbitrary::<u8>()?), ..none.clone() });
    }
    for _ in 0..u.int_in_range(0..=6)? {
        let binding = *u.choose(&[1u8, 1, 1, 2, 2, 10])?;
        let kind = *u.choose(&[0u8, 1, 2, 2, 10])?;
        // Hidden and protected names are rarer than plain ones.
        let visibility = *u.choose(&[0u8, 0, 0, 2, 3, 1])?;
        let (section, value) = match u.int_in_range(0..=11)? {
            0..=2 => (0, 0),
            3 => (0xfff1, u64::from(u.arbitrary::<u32>()?)),
            4 => (0xfff2, 1 << u.int_in_range(0..=5)?),
            5 => (0xff02, 16),
            _ => (u.int_in_range(1..=sections.len() - 1)? as u16, u64::from(u.arbitrary::<u8>()?)),
        };
        let (name, size) = ((*u.choose(&NAMES)?).to_string(), u64::from(u.arbitrary::<u8>()?));
        let kind = if section == 0xfff2 || section == 0xff02 { 1 } else { kind };
        symbols.push(Symbol { name, info: binding << 4 | kind, visibility, section, value, size });
    }
    Ok(symbols)
}

/// Gives a section its content.
fn fill(u: &mut Unstructured<'_>, section: &mut Section, symbols: u32) -> Result<()> {
    let items = u.int_in_range(0..=6)?;
    if section.kind == NOBITS {
        section.zeros = u64::from(u.arbitrary::<u16>()?) >> u.int_in_range(0..=15)?;
        return Ok(());
    }
    for _ in 0..items {
        if section.flags & MERGE != 0 {
            // Few different entries, so that some are equal.
            let entry = section.entry as usize;
            let letters = if section.flags & STRINGS != 0 { u.int_in_range(0..=3)? } else { 1 };
            for _ in 0..letters {
                let letter = u.int_in_range(b'a'..=b'c')?;
                section.bytes.extend((0..entry).map(|index| if index == 0 { letter } else { 0 }));
            }
            if section.flags & STRINGS != 0 {
                section.bytes.extend(vec![0; entry]);
            }
            continue;
        }
        let start = section.bytes.len() as u64;
        let symbol = u.int_in_range(0..=symbols - 1)?;
        let is_array = section.entry == 8;
        if section.flags & EXEC != 0 {
            let (bytes, at, kinds, addend) = *u.choose(&INSTRUCTIONS)?;
            let kind = *u.choose(kinds)?;
            let addend = if u.ratio(1, 8)? { i64::from(u.arbitrary::<i16>()?) } else { addend };
            section.bytes.extend(bytes);
            section.bytes.extend(vec![0x90; usize::from(kind == 28) * 4]);
            section.relocations.push(Relocation { offset: start + at, kind, symbol, addend });
        } else {
            let (kind, size) = if is_array { (1, 8) } else { *u.choose(&DATA)? };
            let addend = if u.ratio(1, 2)? { 0 } else { i64::from(u.arbitrary::<i16>()?) };
            section.bytes.extend(vec![0xaa; size]);
            section.relocations.push(Relocation { offset: start, kind, symbol, addend });
        }
        if !is_array {
            section.bytes.extend(vec![0x90; u.int_in_range(0..=9)?]);
        }
    }
    if section.flags & MERGE == 0 && section.entry != 8 && u.ratio(1, 8)? {
        // Something to move others about.
        section.bytes.extend(vec![0x90; usize::from(u.arbitrary::<u16>()?)]);
    }
    Ok(())
}

/// Unwind records for the sections of code: a CIE, and an FDE each.
fn unwind(u: &mut Unstructured<'_>, sections: &[Section]) -> Result<Section> {
    let flags = ALLOC;
    let mut section = Section { name: ".eh_frame".into(), kind: PROGBITS, flags, align: 8, ..Section::default() };
    let (body, personality): (&[u8], Option<(usize, u32)>) = *u.choose(&[
        // Augmentation, code and data alignment, return register, augmentation data, instructions.
        (&b"zR\0\x01\x78\x10\x01\x1b\x0c\x07\x08\x90\x01\0\0"[..], None),
        (&b"zPLR\0\x01\x78\x10\x07\x03\0\0\0\0\x03\x1b\x0c\x07\x08\x90\x01\0\0"[..], Some((19, 10))),
        (&b"zPLR\0\x01\x78\x10\x07\x1b\0\0\0\0\x1b\x1b\x0c\x07\x08\x90\x01\0\0"[..], Some((19, 2))),
        (&b"\0\x01\x78\x10\x0c\x07\x08\x90\x01\0\0"[..], None),
        (&b"zRS\0\x01\x78\x10\x01\x10\x0c\x07\x08\x90\x01\0"[..], None),
    ])?;
    let bytes = &mut section.bytes;
    let head = |bytes: &mut Vec<u8>, size: usize| {
        bytes.extend((size as u32).to_le_bytes());
    };
    head(bytes, 5 + body.len());
    bytes.extend([0, 0, 0, 0, 1]);
    bytes.extend(body);
    if let Some((offset, kind)) = personality {
        let symbol = u.int_in_range(0..=sections.len() as u32 + 2)?;
        section.relocations.push(Relocation { offset: offset as u64, kind, symbol, addend: 0 });
    }
    // The encodings of functions' addresses: absolute pointer, pc-relative pointer, pc-relative word.
    let (kind, pointer) = match body {
        [first, ..] if *first != b'z' => (1, 8),
        [.., 0x10, 0x0c, 7, 8, 0x90, 1, 0] => (24, 8),
        _ => (2, 4),
    };
    let lsda = personality.is_some();
    for (number, code) in sections.iter().enumerate().filter(|(_, section)| section.flags & EXEC != 0) {
        let start = bytes.len();
        let augmentation = usize::from(body[0] == b'z') * (1 + usize::from(lsda) * 4);
        head(bytes, 4 + 2 * pointer + augmentation + 3);
        bytes.extend((start as u32 + 4).to_le_bytes());
        section.relocations.push(Relocation { offset: start as u64 + 8, kind, symbol: number as u32, addend: 0 });
        bytes.extend(vec![0; pointer]);
        bytes.extend(&(code.bytes.len() as u64).to_le_bytes()[..pointer]);
        if body[0] == b'z' {
            bytes.push(augmentation as u8 - 1);
            bytes.extend(vec![0; augmentation - 1]);
        }
        bytes.extend([0, 0, 0]);
    }
    if u.ratio(1, 4)? {
        bytes.extend([0; 4]);
    }
    Ok(section)
}

/// Puts some sections into a group that other objects may have too.
fn group(u: &mut Unstructured<'_>, sections: &mut Vec<Section>, symbols: u32) -> Result<()> {
    let mut bytes = 1u32.to_le_bytes().to_vec();
    for (number, section) in sections.iter_mut().enumerate().skip(1) {
        if u.ratio(1, 2)? && section.name != ".eh_frame" {
            section.flags |= GROUP;
            bytes.extend((number as u32).to_le_bytes());
        }
    }
    // The signature is a symbol's name; one with a name of its own makes the better group.
    let info = u.int_in_range(1..=symbols)? % symbols;
    sections.push(Section { name: ".group".into(), kind: 17, entry: 4, align: 4, bytes, info, ..Section::default() });
    Ok(())
}

/// Writes the file: header, contents, section headers.
fn write(mut sections: Vec<Section>, symbols: &[Symbol]) -> Vec<u8> {
    let (mut strings, mut table) = (vec![0u8], Vec::new());
    let name = |strings: &mut Vec<u8>, name: &str| {
        let at = if name.is_empty() { 0 } else { strings.len() as u32 };
        if at > 0 {
            strings.extend(name.as_bytes());
            strings.push(0);
        }
        at
    };
    for symbol in symbols {
        table.extend(name(&mut strings, &symbol.name).to_le_bytes());
        table.extend([symbol.info, symbol.visibility]);
        table.extend(symbol.section.to_le_bytes());
        table.extend(symbol.value.to_le_bytes());
        table.extend(symbol.size.to_le_bytes());
    }
    let made = sections.len() as u32;
    let with_relocations: Vec<u32> =
        (0..made).filter(|&index| !sections[index as usize].relocations.is_empty()).collect();
    let table_section = made + with_relocations.len() as u32;
    for &target in &with_relocations {
        let of = &sections[target as usize];
        let (name, in_group) = (format!(".rela{}", of.name), of.flags & GROUP);
        let mut bytes = Vec::new();
        for relocation in &of.relocations {
            bytes.extend(relocation.offset.to_le_bytes());
            bytes.extend((u64::from(relocation.symbol) << 32 | u64::from(relocation.kind)).to_le_bytes());
            bytes.extend(relocation.addend.to_le_bytes());
        }
        let (link, info, flags) = (table_section, target, INFO_LINK | in_group);
        let head = Section { name, kind: 4, flags, entry: 24, align: 8, ..Section::default() };
        sections.push(Section { link, info, bytes, ..head });
    }
    // Sections of relocations are in the group of what they are for.
    let members: Vec<u32> =
        (made..table_section).filter(|&index| sections[index as usize].flags & GROUP != 0).collect();
    for group in sections.iter_mut().filter(|section| section.kind == 17) {
        group.link = table_section;
        group.bytes.extend(members.iter().flat_map(|member| member.to_le_bytes()));
    }
    let first_global = symbols.iter().position(|symbol| symbol.info >> 4 != 0).unwrap_or(symbols.len()) as u32;
    let head = Section { name: ".symtab".into(), kind: 2, entry: 24, align: 8, ..Section::default() };
    sections.push(Section { link: table_section + 1, info: first_global, bytes: table, ..head });
    let names: Vec<u32> = sections.iter().map(|section| name(&mut strings, &section.name)).collect();
    let strtab = name(&mut strings, ".strtab");
    sections.push(Section { name: ".strtab".into(), kind: 3, align: 1, bytes: strings, ..Section::default() });

    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(64, 0);
    let mut headers = Vec::new();
    for (index, section) in sections.iter().enumerate() {
        file.resize(file.len().next_multiple_of(8), 0);
        headers.extend(names.get(index).copied().unwrap_or(strtab).to_le_bytes());
        headers.extend(section.kind.to_le_bytes());
        let (at, size) = (file.len() as u64, section.bytes.len() as u64 + section.zeros);
        for number in [section.flags, 0, if index == 0 { 0 } else { at }, size] {
            headers.extend(number.to_le_bytes());
        }
        headers.extend(section.link.to_le_bytes());
        headers.extend(section.info.to_le_bytes());
        headers.extend(section.align.to_le_bytes());
        headers.extend(section.entry.to_le_bytes());
        file.extend(&section.bytes);
    }
    file.resize(file.len().next_multiple_of(8), 0);
    let (start, count) = (file.len() as u64, sections.len() as u16);
    file.extend(headers);
    // e_type, e_machine, e_version; e_shoff; e_ehsize, program headers, e_shentsize, e_shnum, e_shstrndx.
    file[16..24].copy_from_slice(&[1, 0, 62, 0, 1, 0, 0, 0]);
    file[40..48].copy_from_slice(&start.to_le_bytes());
    file[52] = 64;
    file[58] = 64;
    file[60..62].copy_from_slice(&count.to_le_bytes());
    file[62..64].copy_from_slice(&(count - 1).to_le_bytes());
    file
}
