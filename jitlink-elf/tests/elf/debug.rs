//! What is made of debug information: the file for debuggers, in all shapes of ELF, and the lines of compilers' code.

use crate::compilers::{CLANG, GCC, compile};
use jitlink_core::debug::{DebugImage, DebugSymbol, LineTable};
use jitlink_core::format::ObjectHeader;
use jitlink_core::graph::{Protection, Residence, Scope, SymbolKind};
use jitlink_core::link::Segment;
use jitlink_core::{Addr, Endian, ObjectFormat};
use jitlink_elf::ElfFormat;
use object::{Object, ObjectSection, ObjectSymbol};

fn segment(address: u64, size: u64, protection: Protection, residence: Residence) -> Segment {
    Segment { address: Addr(address), size, protection, residence }
}

fn symbol(name: &'static [u8], address: u64, kind: SymbolKind, scope: Scope) -> DebugSymbol<'static> {
    DebugSymbol { name, address: Addr(address), size: 4, kind, scope, is_entry: false }
}

#[test]
fn the_file_says_where_everything_is() {
    for (endian, pointer_bytes) in [(Endian::Little, 8), (Endian::Little, 4), (Endian::Big, 8), (Endian::Big, 4)] {
        let segments = [
            segment(0x1000, 0x40, Protection::ReadExecute, Residence::Near),
            segment(0x8000, 0x20, Protection::ReadExecute, Residence::Far),
            segment(0x3000, 0x60, Protection::Read, Residence::Near),
            segment(0x5000, 0x10, Protection::ReadWrite, Residence::Near),
        ];
        let sections = [(".debug_info".to_string(), b"information".to_vec()), (".debug_str".to_string(), Vec::new())];
        let image = DebugImage {
            header: ObjectHeader { machine: 62, endian, pointer_bytes, flags: 0 },
            segments: &segments,
            unwind: Some((Addr(0x3010), b"sixteen bytes...")),
            symbols: vec![
                symbol(b"main", 0x1008, SymbolKind::Function, Scope::Global),
                symbol(b"counter", 0x5004, SymbolKind::Object, Scope::Local),
                symbol(b"of_thread", 0x10, SymbolKind::ThreadLocal, Scope::Global),
                DebugSymbol { is_entry: true, ..symbol(b"main", 0x1020, SymbolKind::Function, Scope::Hidden) },
                symbol(b"end", 0x5010, SymbolKind::Other, Scope::Hidden),
            ],
            sections: &sections,
        };
        let bytes = ElfFormat.debug_file(&image).unwrap().unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        assert_eq!((file.is_64(), file.is_little_endian()), (pointer_bytes == 8, endian == Endian::Little));
        assert_eq!(file.kind(), object::ObjectKind::Executable);
        let named: Vec<_> = file
            .sections()
            .filter(|section| section.address() != 0)
            .map(|section| (section.name().unwrap().to_string(), section.address(), section.size()))
            .collect();
        let expected = [
            (".text", 0x1000, 0x40),
            (".rodata", 0x3000, 0x10),
            (".eh_frame", 0x3010, 0x10),
            (".rodata", 0x3020, 0x40),
            (".data", 0x5000, 0x10),
            (".ltext", 0x8000, 0x20),
        ];
        assert_eq!(named, expected.map(|(name, address, size)| (name.to_string(), address, size)));
        let content = |name: &str| file.section_by_name(name).unwrap().data().unwrap();
        assert_eq!((content(".eh_frame"), content(".debug_info")), (&b"sixteen bytes..."[..], &b"information"[..]));
        assert_eq!(content(".text"), b"", "debuggers read code from the process");
        let symbols: Vec<_> = file
            .symbols()
            .map(|symbol| (symbol.name().unwrap().to_string(), symbol.address(), symbol.size(), symbol.is_local()))
            .collect();
        let expected = [
            ("counter", 0x5004, 4, true),
            ("main", 0x1008, 4, false),
            ("main@plt", 0x1020, 4, false),
            ("end", 0x5010, 4, false),
        ];
        assert_eq!(symbols, expected.map(|(name, address, size, local)| (name.to_string(), address, size, local)));
        assert_eq!(file.symbols().nth(1).unwrap().kind(), object::SymbolKind::Text);
    }
}

const SOURCE: &str = "\
int seen;

int first(int value) {
    seen = value;
    return value + 1;
}

int second(int value) {
    return first(value) * 2;
}
";

/// The debug sections and the size of the code of an object, in which all that would be relocated is zero: so code begins at zero.
fn sections(object: &[u8]) -> (Vec<(String, Vec<u8>)>, u64) {
    let file = object::File::parse(object).unwrap();
    let debug = file.sections().filter(|section| section.name().unwrap().starts_with(".debug_"));
    let debug = debug.map(|section| (section.name().unwrap().to_string(), section.data().unwrap().to_vec()));
    (debug.collect(), file.section_by_name(".text").unwrap().size())
}

fn lines(sections: &[(String, Vec<u8>)], size: u64) -> Option<LineTable> {
    let segments = [segment(0, size, Protection::ReadExecute, Residence::Near)];
    let image = DebugImage {
        header: ObjectHeader { machine: 62, endian: Endian::Little, pointer_bytes: 8, flags: 0 },
        segments: &segments,
        unwind: None,
        symbols: Vec::new(),
        sections,
    };
    ElfFormat.lines(&image).ok()
}

#[test]
fn lines_are_those_of_the_source() {
    for tools in [GCC, CLANG] {
        for version in ["-gdwarf-2", "-gdwarf-3", "-gdwarf-4", "-gdwarf-5"] {
            let Some(object) = compile(tools, "c", SOURCE, &[version, "-O0"]) else { continue };
            let (sections, size) = sections(&object);
            let table = lines(&sections, size).unwrap();
            let mut numbers: Vec<u32> = table.within(Addr(0)..Addr(size)).map(|line| line.number).collect();
            numbers.dedup();
            // Whether a closing brace is a line of its own is the compiler's business.
            numbers.retain(|number| ![6, 10].contains(number));
            assert_eq!(numbers, [3, 4, 5, 8, 9], "{tools:?} {version}");
            // In DWARF 5 names are references to another section, which are zero here.
            let is_named = |file: &str| version == "-gdwarf-5" || file.ends_with("input.c");
            let named = table.within(Addr(0)..Addr(size)).all(|line| is_named(line.file));
            assert!(named, "{tools:?} {version}");
            assert_eq!(table.find(Addr(size)), None);
        }
    }
}

#[test]
fn damaged_line_programs_are_errors_or_other_lines() {
    for version in ["-gdwarf-4", "-gdwarf-5"] {
        let Some(object) = compile(GCC, "c", SOURCE, &[version, "-O0"]) else { continue };
        let (whole, size) = sections(&object);
        let index = whole.iter().position(|(name, _)| name == ".debug_line").unwrap();
        let length = whole[index].1.len();
        let mut refused = 0;
        for at in 0..length {
            let mut cut = whole.clone();
            cut[index].1.truncate(at);
            refused += usize::from(lines(&cut, size).is_none());
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = whole.clone();
                changed[index].1[at] = byte;
                lines(&changed, size);
            }
        }
        assert!(refused > length / 2, "{version}: {refused} of {length}");
        for (index, (name, bytes)) in whole.iter().enumerate().filter(|(_, (name, _))| name != ".debug_line") {
            for at in 0..bytes.len().min(200) {
                let mut changed = whole.clone();
                changed[index].1[at] ^= 0xff;
                assert!(
                    lines(&changed, size).is_none_or(|table| table.within(Addr(0)..Addr(size)).count() < 1000),
                    "{name}"
                );
            }
        }
    }
}
