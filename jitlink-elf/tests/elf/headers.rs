//! The file header and the table of sections.

use crate::builder::*;
use crate::toy::{self, error};
use jitlink_core::format::ObjectHeader;
use jitlink_core::registry::Plugin;
use jitlink_core::{Endian, LinkError, ObjectFormat, Registry};
use jitlink_elf::ElfFormat;

#[test]
fn the_header_says_the_machine() {
    for shape in SHAPES {
        let bytes = Elf::new(shape).write();
        let header = ElfFormat.header("test.o", &bytes).unwrap();
        let endian = if shape.big { Endian::Big } else { Endian::Little };
        let pointer_bytes = toy::pointer(shape) as u8;
        assert_eq!(header, ObjectHeader { machine: u32::from(toy::MACHINE), pointer_bytes, endian, flags: 0 });
    }
}

#[test]
fn recognition_is_by_magic() {
    assert!(ElfFormat.recognize(b"\x7fELF"));
    assert!(ElfFormat.recognize(b"BC\xc0\xde\x35\x14"));
    for other in [&b"\x7fEL"[..], b"", b"!<arch>\n", b"\xcf\xfa\xed\xfe", b"ELF\x7f"] {
        assert!(!ElfFormat.recognize(other), "{other:02x?}");
    }
}

#[test]
fn what_is_no_object_is_refused_with_advice() {
    let check = |kind: u16, what: &str, wanted: &str| {
        let mut object = Elf::new(LITTLE64);
        object.kind = kind;
        match ElfFormat.header("lib.so", &object.write()) {
            Err(LinkError::Unsupported { what: found, advice, .. }) => {
                assert!(found.contains(what) && advice.contains(wanted), "{found}; {advice}");
            }
            other => panic!("{other:?}"),
        }
    };
    check(2, "an executable", "object files");
    check(3, "a shared library", "-l");
    check(4, "a core dump", "object files");
    let Err(LinkError::Unsupported { what, advice, .. }) = ElfFormat.header("a.o", b"BC\xc0\xde rest") else {
        panic!()
    };
    assert!(what.contains("bitcode") && advice.contains("-fno-lto"), "{what}; {advice}");
    let mut odd = Elf::new(LITTLE64);
    odd.kind = 0xfe00;
    let message = ElfFormat.header("a.o", &odd.write()).unwrap_err().to_string();
    assert!(message.contains("offset 0x10: malformed: the file type is 0xfe00"), "{message}");
}

#[test]
fn damaged_headers_are_errors_with_their_place() {
    for shape in SHAPES {
        let mut object = Elf::new(shape);
        object.add(Sec::new(".text", PROGBITS, A | X, [0xc3; 8]));
        let good = object.write();
        let check = |at: usize, value: u8, message: &str| {
            let mut bytes = good.clone();
            bytes[at] = value;
            let error = toy::read(&bytes).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        };
        check(4, 9, "offset 0x4: malformed: the class is 9");
        check(5, 9, "offset 0x5: malformed: the data encoding is 9");
        check(6, 9, "offset 0x6: malformed: the version of the identification is 9");
        check(0x14, 9, "offset 0x14: malformed: the version is");
        let (shoff, shentsize, entry) = if shape.wide { (0x28, 0x3a, 64) } else { (0x20, 0x2e, 40) };
        check(shoff + 1, 0xff, "section header");
        check(shentsize, 9, "section header");
        check(shentsize + 1, 9, "section header");
        let headers = good.len() - object.sections.len() * entry - 4 * entry;
        check(headers + 4 + if shape.big { 3 } else { 0 }, SYMTAB as u8, "section header 0 is that of a section");
        for end in 0..16 {
            assert!(ElfFormat.header("a.o", &good[..end]).is_err());
        }
    }
}

#[test]
fn contents_lie_in_the_file_and_do_not_overlap() {
    let mut object = Elf::new(LITTLE64);
    object.add(Sec::new(".text", PROGBITS, A | X, [0xc3; 8]).size(1 << 20));
    assert!(
        error(&object).contains(".text+0x0: malformed: the content, 0x100000 bytes at 0x40, runs past the file's end")
    );
    object.sections[0].size = Some(u64::MAX);
    assert!(error(&object).contains("runs past the file's end"), "{}", error(&object));
    // Each section of relocations claims all of the file: together they would make edges without bound.
    let mut object = Elf::new(LITTLE64);
    for _ in 0..3 {
        object.add(Sec::new(".debug_x", PROGBITS, 0, []).size(300));
    }
    assert!(error(&object).contains("sections overlap"), "{}", error(&object));
}

#[test]
fn wide_mips_is_refused_by_name() {
    let mut object = Elf::new(LITTLE64);
    object.machine = 8;
    let bytes = object.write();
    let graph = toy::graph_for(&Elf::new(LITTLE64).write()).unwrap();
    let error = toy::read_into(graph, &bytes).unwrap_err().to_string();
    assert!(error.contains("64-bit MIPS"), "{error}");
}

#[test]
fn the_format_registers_itself() {
    let formats: Vec<_> = Registry::global().unwrap().formats().iter().map(|format| format.name()).collect();
    assert_eq!(formats, ["elf"]);
    assert!(Registry::empty().with(Plugin::Format(&ElfFormat)).is_ok());
}
