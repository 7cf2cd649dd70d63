//! The toy format's text, parsed: what the format reads into a graph, and what tests compare the outcome with.
//!
//! ```text
//! toy le64
//! group g any leader=.text.f
//! section .text.f rx align=4 group=g
//! label f global weak func size=8
//! tag 7
//! call printf
//! rel ABS64 other +8
//! ret
//! fallback printf puts
//! import printf c.dll#7
//! import puts @place _puts
//! ```

use super::arch::{self, CALL, CALL_LOADED, CALL32, JMP32, LEA, LEA64, LOAD, RET, TAG};
use jitlink_core::Endian;
use jitlink_core::graph::{
    InitStage, Initialisers, Linkage, Merge, Protection, Residence, Role, Scope, Selection, SymbolKind,
};
use jitlink_core::reloc::Reloc;

/// An object.
pub struct Text<'a> {
    pub endian: Endian,
    pub pointer_bytes: u8,
    pub groups: Vec<TextGroup<'a>>,
    pub sections: Vec<TextSection<'a>>,
    pub symbols: Vec<TextSymbol<'a>>,
    /// Keeper and kept.
    pub keeps: Vec<(&'a str, &'a str)>,
    /// What a name means if nothing defines it, and what is looked for in archives then.
    pub fallbacks: Vec<(&'a str, &'a str, Option<&'a str>)>,
    /// A name, its library or the place of that one's name (`@place`) with the number there (`#7`), and what the library calls it.
    pub imports: Vec<(&'a str, &'a str, &'a str)>,
    /// What all objects must say the same of.
    pub agreements: Vec<(&'a str, &'a str)>,
    pub warnings: Vec<&'a str>,
}

pub struct TextGroup<'a> {
    pub name: &'a str,
    pub selection: Selection,
    pub parent: Option<&'a str>,
    pub leader: Option<&'a str>,
}

pub struct TextSection<'a> {
    pub name: &'a str,
    pub protection: Protection,
    pub residence: Residence,
    pub role: Role,
    pub merge: Option<Merge>,
    pub group: Option<&'a str>,
    pub order: Option<&'a str>,
    pub gathered: bool,
    pub key: u32,
    /// How many bytes at the end of the name order it in its run.
    pub suffix: u32,
    pub retain: bool,
    pub align: u64,
    pub blocks: Vec<TextBlock<'a>>,
}

#[derive(Default)]
pub struct TextBlock<'a> {
    pub align: u64,
    pub bytes: Vec<u8>,
    /// More than zero for a block of zeros.
    pub zeros: u64,
    pub relocations: Vec<TextReloc<'a>>,
}

pub struct TextReloc<'a> {
    pub offset: usize,
    pub row: &'static Reloc,
    /// A symbol's name, or a section's after `@`.
    pub target: &'a str,
    pub addend: i64,
}

#[derive(Clone)]
pub struct TextSymbol<'a> {
    pub name: &'a str,
    pub place: Place,
    pub linkage: Linkage,
    pub scope: Scope,
    pub kind: SymbolKind,
    pub size: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Undefined,
    /// Section, block, offset in the block.
    Label(usize, usize, u64),
    Absolute(u64),
    Common(u8),
}

/// Parses the text; the reason with the line's number where it is wrong.
pub fn parse(text: &str) -> Result<Text<'_>, (usize, String)> {
    let mut lines = text.lines().enumerate();
    let header = lines.next().map_or("", |line| line.1).trim();
    let (endian, pointer_bytes) = match header.strip_prefix("toy ") {
        Some("le64") => (Endian::Little, 8),
        Some("le32") => (Endian::Little, 4),
        Some("be64") => (Endian::Big, 8),
        Some("be32") => (Endian::Big, 4),
        _ => return Err((0, format!("unknown header {header:?}"))),
    };
    let (groups, sections, symbols, keeps) = Default::default();
    let (fallbacks, imports, agreements, warnings) = Default::default();
    let mut parsed =
        Text { endian, pointer_bytes, groups, sections, symbols, keeps, fallbacks, imports, agreements, warnings };
    for (number, line) in lines {
        parsed.line(line.trim()).map_err(|what| (number, format!("{what} in {line:?}")))?;
    }
    Ok(parsed)
}

fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("{text:?} is no number"))
}

fn signed(text: &str) -> Result<i64, String> {
    match text.strip_prefix('-') {
        Some(rest) => Ok((number(rest)? as i64).wrapping_neg()),
        None => Ok(number(text.trim_start_matches('+'))? as i64),
    }
}

impl<'a> Text<'a> {
    fn line(&mut self, line: &'a str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        let Some(word) = words.next() else { return Ok(()) };
        let rest: Vec<&'a str> = words.collect();
        let first = || rest.first().copied().ok_or_else(|| "a word is missing".to_string());
        match word {
            "group" => self.group(&rest)?,
            "section" => self.section(&rest)?,
            "keep" => self.keeps.push((first()?, rest.get(1).ok_or("a word is missing")?)),
            "fallback" => {
                let needs = rest.get(2).copied();
                self.fallbacks.push((first()?, rest.get(1).ok_or("a word is missing")?, needs));
            }
            "import" => {
                let name = first()?;
                let export = rest.get(2).copied().unwrap_or(name);
                self.imports.push((name, rest.get(1).ok_or("a word is missing")?, export));
            }
            "agree" => self.agreements.push((first()?, rest.get(1).ok_or("a word is missing")?)),
            "warn" => self.warnings.push(line.split_once(' ').map_or("", |(_, what)| what)),
            "label" => {
                let section = self.sections.len() - 1;
                let block = self.sections[section].blocks.len() - 1;
                let at = &self.sections[section].blocks[block];
                let offset = at.bytes.len() as u64 + at.zeros;
                self.symbol(first()?, Place::Label(section, block, offset), &rest[1..])?;
            }
            "undef" => self.symbol(first()?, Place::Undefined, &rest[1..])?,
            "abs" => self.symbol(first()?, Place::Absolute(number(rest[1])?), &rest[2..])?,
            "common" => {
                let (size, align) = (number(rest[1])?, number(rest[2])?);
                self.symbol(first()?, Place::Common(align.trailing_zeros() as u8), &rest[3..])?;
                self.symbols.last_mut().ok_or("no symbol")?.size = size;
            }
            _ => self.content(word, line, &rest)?,
        }
        Ok(())
    }

    fn group(&mut self, words: &[&'a str]) -> Result<(), String> {
        let (name, selection) = (words[0], words[1]);
        let selection = match selection {
            "any" => Selection::Any,
            "nodup" => Selection::NoDuplicates,
            "samesize" => Selection::SameSize,
            "exact" => Selection::ExactMatch,
            "largest" => Selection::Largest,
            "all" => Selection::All,
            other => return Err(format!("no selection {other}")),
        };
        let option = |key: &str| words[2..].iter().find_map(|word| word.strip_prefix(key));
        self.groups.push(TextGroup { name, selection, parent: option("parent="), leader: option("leader=") });
        Ok(())
    }

    fn section(&mut self, words: &[&'a str]) -> Result<(), String> {
        let mut section = TextSection {
            name: words[0],
            protection: Protection::Read,
            residence: Residence::Near,
            role: Role::Ordinary,
            merge: None,
            group: None,
            order: None,
            gathered: false,
            key: 0,
            suffix: 0,
            retain: false,
            align: 1,
            blocks: Vec::new(),
        };
        for word in &words[1..] {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            match key {
                "r" => section.protection = Protection::Read,
                "rw" => section.protection = Protection::ReadWrite,
                "rx" => section.protection = Protection::ReadExecute,
                "far" => section.residence = Residence::Far,
                "unloaded" => section.residence = Residence::Unloaded,
                "gathered" => section.gathered = true,
                "retain" => section.retain = true,
                "eh" => section.role = Role::EhFrame,
                "tls" => section.role = Role::ThreadLocal,
                "align" => section.align = number(value)?,
                "key" => section.key = number(value)? as u32,
                "suffix" => section.suffix = number(value)? as u32,
                "group" => section.group = Some(value),
                "order" => section.order = Some(value),
                "strings" => section.merge = Some(Merge::Strings(number(value)? as u32)),
                "constants" => section.merge = Some(Merge::Constants(number(value)? as u32)),
                "init" => section.role = Role::Initialisers(initialisers(value)?),
                other => return Err(format!("no attribute {other}")),
            }
        }
        section.blocks.push(TextBlock { align: section.align, ..TextBlock::default() });
        self.sections.push(section);
        Ok(())
    }

    fn symbol(&mut self, name: &'a str, place: Place, words: &[&'a str]) -> Result<(), String> {
        let scope = if matches!(place, Place::Label(..)) { Scope::Local } else { Scope::Global };
        let mut symbol = TextSymbol { name, place, linkage: Linkage::Strong, scope, kind: SymbolKind::Other, size: 0 };
        for word in words {
            match *word {
                "local" => symbol.scope = Scope::Local,
                "global" => symbol.scope = Scope::Global,
                "hidden" => symbol.scope = Scope::Hidden,
                "protected" => symbol.scope = Scope::Protected,
                "weak" => symbol.linkage = Linkage::Weak,
                "unique" => symbol.linkage = Linkage::Unique,
                "func" => symbol.kind = SymbolKind::Function,
                "object" => symbol.kind = SymbolKind::Object,
                "tls" => symbol.kind = SymbolKind::ThreadLocal,
                "ifunc" => symbol.kind = SymbolKind::Indirect,
                word => symbol.size = number(word.strip_prefix("size=").ok_or(format!("no attribute {word}"))?)?,
            }
        }
        self.symbols.push(symbol);
        Ok(())
    }

    fn content(&mut self, word: &'a str, line: &'a str, rest: &[&'a str]) -> Result<(), String> {
        let endian = self.endian;
        let section = self.sections.last_mut().ok_or("content before a section")?;
        if word == "block" {
            let align = rest.first().map_or(Ok(section.align), |word| number(word))?;
            section.blocks.push(TextBlock { align, ..TextBlock::default() });
            return Ok(());
        }
        let block = section.blocks.last_mut().ok_or("content before a block")?;
        let mut operation = |code: u8, low: u64| {
            let at = block.bytes.len();
            block.bytes.resize(at + 4, 0);
            endian.write(&mut block.bytes[at..], u64::from(code) << 24 | low);
        };
        let operand = match word {
            "tag" => {
                operation(TAG, number(rest[0])?);
                return Ok(());
            }
            "ret" => {
                operation(RET, 0);
                return Ok(());
            }
            "calloaded" => {
                operation(CALL_LOADED, 0);
                return Ok(());
            }
            "zero" => {
                block.zeros += number(rest[0])?;
                return Ok(());
            }
            "fill" => {
                let count = number(rest[0])? as usize;
                block.bytes.extend(std::iter::repeat_n(0x55, count));
                return Ok(());
            }
            "ascii" => {
                let text = line.split_once(' ').map_or("", |(_, text)| text);
                block.bytes.extend(text.replace("\\0", "\0").bytes());
                return Ok(());
            }
            "hex" => {
                for byte in rest {
                    block.bytes.push(u8::from_str_radix(byte, 16).map_err(|_| format!("{byte} is no byte"))?);
                }
                return Ok(());
            }
            "call32" => (operation(CALL32, 0), "CALL32"),
            "call" => (operation(CALL, 0), "CALL"),
            "branch" => (operation(CALL32, 0), "REL32"),
            "jump" => (operation(JMP32, 0), "REL32"),
            "load" => (operation(LOAD, 0), "SLOT"),
            "loadx" => (operation(LOAD, 0), "SLOTX"),
            "lea" => (operation(LEA, 0), "REL32"),
            "lea64" => (operation(LEA64, 0), "ABS64"),
            // A new field, and one that the bytes just written are.
            "rel" | "over" => ((), rest[0]),
            other => return Err(format!("no directive {other}")),
        };
        let row = arch::row(operand.1).ok_or_else(|| format!("no row {}", operand.1))?;
        let words = if matches!(word, "rel" | "over") { &rest[1..] } else { rest };
        let addend = words.get(1).map_or(Ok(0), |word| signed(word))?;
        let mut offset = block.bytes.len();
        if matches!(word, "call" | "over") {
            let field = arch::field_bytes(row);
            offset = offset.checked_sub(field).ok_or_else(|| format!("no {field} bytes before {line}"))?;
        } else {
            block.bytes.resize(offset + arch::field_bytes(row), 0);
        }
        block.relocations.push(TextReloc { offset, row, target: words[0], addend });
        Ok(())
    }
}

fn initialisers(text: &str) -> Result<Initialisers, String> {
    let mut words = text.split(':');
    let stage = match words.next() {
        Some("pre") => InitStage::Preinit,
        Some("init") => InitStage::Init,
        Some("fini") => InitStage::Fini,
        other => return Err(format!("no stage {other:?}")),
    };
    let priority = words.next().map_or(Ok(65536), number)? as u32;
    Ok(Initialisers { stage, priority, backwards: words.next().is_some() })
}
