//! The relocations of COFF objects: known answers on both sides of each limit, and the same of LLD and GNU ld.

mod coff_linkers;

use coff_linkers::Target::{At, Inside};
use coff_linkers::{Place, Target, installed, link, object};
use jitlink_arch_x86::{COFF_X86_64, X86_64};
use jitlink_core::reloc::{FieldError, Inputs, Reloc, RowTable, apply, evaluate};
use jitlink_core::testing::check_table;
use jitlink_core::{Endian, TargetArch};
use std::path::Path;
use std::process::Command;

fn row(name: &str) -> &'static Reloc {
    let rows = COFF_X86_64.rows().iter();
    rows.clone()
        .find(|row| row.name() == name || row.name() == format!("IMAGE_REL_AMD64_{name}"))
        .unwrap_or_else(|| panic!("no {name}"))
}

/// What is written over ones.
fn written(name: &str, inputs: Inputs, stored: i64) -> Result<Vec<u8>, FieldError> {
    let row = row(name);
    let size = row.field().bytes();
    let addend = row.implicit_addend(&stored.to_le_bytes(), Endian::Little);
    let mut bytes = [0xff; 16];
    let value = evaluate(row, &Inputs { addend, ..inputs });
    apply(row, &mut bytes[4..], value, Endian::Little)?;
    assert!(bytes[..4].iter().chain(&bytes[4 + size..]).all(|byte| *byte == 0xff), "{name}: bytes around the field");
    Ok(bytes[4..4 + size].to_vec())
}

#[test]
fn rows_are_sound() {
    check_table(&COFF_X86_64);
    assert!(RowTable::new(X86_64.info().rows(), COFF_X86_64.rows()).is_ok());
    let refused = COFF_X86_64.rows().iter().filter(|row| row.refusal().is_some());
    assert_eq!(refused.map(|row| row.raw()).collect::<Vec<_>>(), [13, 15, 16]);
    assert_eq!(COFF_X86_64.rows().iter().map(|row| row.raw()).collect::<Vec<_>>(), (0..17).collect::<Vec<_>>());
}

/// An image at 0x140000000, the field at 0x140001010, the target at 0x140003020 of a section that starts at 0x140003000.
fn usual() -> Inputs {
    Inputs {
        subject: 0x1_4000_3020,
        place: 0x1_4000_1010,
        image: 0x1_4000_0000,
        section: 0x1_4000_3000,
        ..Inputs::default()
    }
}

#[test]
fn formulas_give_the_known_bytes() {
    // PE Format, "Type Indicators", "x64 Processors"; what stood in the field is its addend, here 3.
    #[rustfmt::skip]
    let answers: [(&str, &[u8]); 12] = [
        ("ABSOLUTE", &[]),
        ("ADDR64",   &[0x23, 0x30, 0x00, 0x40, 1, 0, 0, 0]), // S + A
        ("ADDR32NB", &[0x23, 0x30, 0x00, 0x00]),             // S + A - image
        ("REL32",    &[0x0f, 0x20, 0x00, 0x00]),             // S + A - (P + 4)
        ("REL32_1",  &[0x0e, 0x20, 0x00, 0x00]),
        ("REL32_2",  &[0x0d, 0x20, 0x00, 0x00]),
        ("REL32_3",  &[0x0c, 0x20, 0x00, 0x00]),
        ("REL32_4",  &[0x0b, 0x20, 0x00, 0x00]),
        ("REL32_5",  &[0x0a, 0x20, 0x00, 0x00]),
        ("SECREL",   &[0x23, 0x00, 0x00, 0x00]),             // S + A - section
        // GNU's: S + A - (P + 8).
        ("R_AMD64_PCRQUAD", &[0x0b, 0x20, 0, 0, 0, 0, 0, 0]),
        // The eighth bit is not the field's.
        ("SECREL7",  &[0xa3]),
    ];
    for (name, bytes) in answers {
        assert_eq!(written(name, usual(), 3), Ok(bytes.to_vec()), "{name}");
    }
    let low = Inputs { subject: 0x0040_3020, ..usual() };
    assert_eq!(written("ADDR32", low, 3), Ok(vec![0x23, 0x30, 0x40, 0x00]));
    assert_eq!(written("SECTION", Inputs { subject: 2, ..usual() }, 0), Ok(vec![2, 0]));
}

#[test]
fn limits_are_exact() {
    let at = |name: &str, value: i128| {
        // The subject with which the row's value is this.
        let without = i128::from(evaluate(row(name), &Inputs { subject: 0, ..usual() }));
        let bias = i128::from(row(name).implicit_addend(&[0; 8], Endian::Little));
        written(name, Inputs { subject: (value - without - bias) as u64, ..usual() }, 0)
    };
    let (min, max) = (i128::from(i32::MIN), i128::from(i32::MAX));
    let mut limits = vec![
        ("ADDR32", min, 0xffff_ffff),
        ("ADDR32NB", 0, 0xffff_ffff),
        ("SECTION", 0, 0xffff),
        ("SECREL", 0, 0xffff_ffff),
        ("SECREL7", 0, 0x7f),
    ];
    limits.extend(["REL32", "REL32_1", "REL32_2", "REL32_3", "REL32_4", "REL32_5"].map(|name| (name, min, max)));
    for (name, low, high) in limits {
        for (value, beyond) in [(low, low - 1), (high, high + 1)] {
            let bytes = at(name, value).unwrap_or_else(|error| panic!("{name} {value:#x}: {error:?}"));
            let mut expected = value.to_le_bytes()[..bytes.len()].to_vec();
            if name == "SECREL7" {
                expected[0] |= 0x80;
            }
            assert_eq!(bytes, expected, "{name} {value:#x}");
            assert_eq!(at(name, beyond), Err(FieldError::Range { value: beyond as i64 }), "{name} {beyond:#x}");
        }
    }
}

/// Assembles `text`, which defines `fields` and `target` as exports, and links it by LLD; the file.
fn linked_by_lld(folder: &Path, text: &str) -> Option<Vec<u8>> {
    let (assembler, lld) = (installed(&["llvm-mc-22", "llvm-mc"])?, installed(&["lld-link-22", "lld-link"])?);
    std::fs::write(folder.join("a.s"), text).expect("a source");
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).current_dir(folder).args(arguments).output().expect("a program that starts");
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run(assembler, &["-filetype=obj", "-triple=x86_64-pc-windows-msvc", "a.s", "-o", "a.obj"]);
    let options = ["/dll", "/noentry", "/nodefaultlib", "/opt:noref", "/base:0x140000000", "/out:a.dll", "a.obj"];
    run(lld, &[&options[..], &["/export:fields,data", "/export:target,data"]].concat());
    Some(std::fs::read(folder.join("a.dll")).expect("a file"))
}

/// The headers of an image's sections: name, address in the image, place in the file.
fn sections(file: &[u8]) -> Vec<(String, u64, usize)> {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("four bytes")) as usize;
    let half = |at: usize| usize::from(u16::from_le_bytes([file[at], file[at + 1]]));
    let header = word(0x3c) + 4;
    let first = header + 20 + half(header + 16);
    let section = |index: usize| {
        let at = first + 40 * index;
        let name = String::from_utf8_lossy(&file[at..at + 8]).trim_end_matches('\0').to_string();
        (name, word(at + 12) as u64, word(at + 20))
    };
    (0..half(header + 2)).map(section).collect()
}

#[test]
fn lld_still_gives_the_known_bytes() {
    // One section of fields, one with the target at 0x20 of it. A field's addend stands in it.
    let text = r#"
.section fdata,"dw"
.globl fields
fields:
.quad target + 3
.long target@IMGREL + 3
.byte 0xcc
.secrel32 target + 3
.secidx target
.section ccode,"xr"
movl target + 3(%rip), %eax
cmpb $1, target + 3(%rip)
cmpw $0x1234, target + 3(%rip)
cmpl $0x12345678, target + 3(%rip)
.section tdata,"dw"
.zero 0x20
.globl target
target: .byte 1
"#;
    let folder = tempfile::tempdir().expect("a folder");
    let Some(file) = linked_by_lld(folder.path(), text) else { return };
    let sections = sections(&file);
    let of = |name: &str| sections.iter().position(|section| section.0 == name).unwrap_or_else(|| panic!("no {name}"));
    let (number, image) = (of("tdata") as u64 + 1, 0x1_4000_0000);
    let (_, fields, fields_at) = sections[of("fdata")];
    let (_, code, code_at) = sections[of("ccode")];
    let section = image + sections[of("tdata")].1;
    let check = |name: &str, subject: u64, place: u64, at: usize, stored: i64| {
        let inputs = Inputs { subject, place, image, section, ..Inputs::default() };
        let ours = written(name, inputs, stored).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(ours, file[at..at + ours.len()], "{name}");
    };
    for (name, offset, subject, stored) in [
        ("ADDR64", 0, section + 0x20, 3),
        ("ADDR32NB", 8, section + 0x20, 3),
        ("SECREL", 13, section + 0x20, 3),
        ("SECTION", 17, number, 0),
    ] {
        check(name, subject, image + fields + offset, fields_at + offset as usize, stored);
    }
    // The field of each instruction, and how many bytes of it follow: none, 1, 2 and 4.
    for (name, offset) in [("REL32", 2), ("REL32_1", 8), ("REL32_2", 16), ("REL32_4", 24)] {
        check(name, section + 0x20, image + code + offset, code_at + offset as usize, 3);
    }
}

#[test]
fn gnu_ld_still_gives_the_known_distances() {
    let tools = ["x86_64-w64-mingw32-as", "x86_64-w64-mingw32-ld"].map(|name| installed(&[name]));
    let [Some(assembler), Some(linker)] = tools else { return };
    // Distances to the target, forwards and back, at both ends of a field of ones.
    let text = r#"
.text
.globl target
target: .skip 0x20
.section .rdata,"dr"
.quad -1
.quad target - . + 3
.quad target - . - 0x1234567812345678
.quad -1
"#;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.s"), text).expect("a source");
    for (program, arguments) in [(assembler, "a.s -o a.o"), (linker, "-e target --image-base 0x140000000 a.o -o a.exe")]
    {
        let output =
            Command::new(program).current_dir(folder.path()).args(arguments.split(' ')).output().expect(program);
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let (object, file) = ["a.o", "a.exe"].map(|name| std::fs::read(folder.path().join(name)).expect("a file")).into();
    let linked = sections(&file);
    let of = |name: &str| linked.iter().find(|section| section.0 == name).unwrap_or_else(|| panic!("no {name}"));
    let (image, text, data) = (0x1_4000_0000, of(".text").1, of(".rdata"));
    // An object's header is where a linked file has its own.
    let stored_at = object.windows(8).position(|bytes| *bytes == [0xff; 8]).expect("the first field");
    let long = |bytes: &[u8], at: usize| i64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    for offset in [8, 16] {
        let place = image + data.1 + offset as u64;
        let inputs = Inputs { subject: image + text, place, image, ..Inputs::default() };
        let ours = written("R_AMD64_PCRQUAD", inputs, long(&object, stored_at + offset)).expect("no limit");
        assert_eq!(ours, file[data.2 + offset..][..8], "{offset}");
    }
    assert_eq!((long(&file, data.2), long(&file, data.2 + 24)), (-1, -1));
}

/// The machine's number in an object.
const MACHINE: u16 = 0x8664;

/// A relocation, what it refers to, and what stands in its field.
type Case = (&'static str, Target, i64);

/// What a linker says to a value beyond a limit.
#[derive(Clone, Copy, Debug)]
enum Says {
    /// That it does not fit.
    Truncated,
    /// Nothing: it cuts it off.
    Nothing,
}
use Says::{Nothing, Truncated};

fn place(&(name, target, stored): &Case) -> Place {
    Place::new(row(name), target, stored)
}

/// Checks, for each limit, what `linker` makes of the value at it and one beyond: of the first what we make of it, of the second what is
/// said, and we refuse it.
fn compare(linker: &str, limits: &[(u64, Case, Case, Says)]) {
    for (base, inside, beyond, says) in limits {
        let made = |case: &Case| link(linker, &object(MACHINE, &[place(case)]), *base);
        let image = made(inside).unwrap_or_else(|error| panic!("{linker}: {inside:x?}: {error}"));
        let bytes = image.ours(0, &place(inside));
        assert_eq!(bytes.as_deref(), Ok(image.place(0, place(inside).bytes.len()).1), "{linker}: {inside:x?}");
        assert!(matches!(image.ours(0, &place(beyond)), Err(FieldError::Range { .. })), "{beyond:x?}");
        match (made(beyond), says) {
            (Err(said), Truncated) => assert!(said.contains("truncated to fit"), "{linker}: {beyond:x?}: {said}"),
            (Ok(_), Nothing) => {}
            (made, _) => panic!("{linker}: {beyond:x?}: {:?}", made.err()),
        }
    }
}

/// Both ends of what the relocations that count from their field reach, in images whose first place is at `first`.
fn ends(first: u64, says: Says) -> Vec<(u64, Case, Case, Says)> {
    let mut limits = Vec::new();
    for (behind, name) in (4..).zip(["REL32", "REL32_1", "REL32_2", "REL32_3", "REL32_4", "REL32_5"]) {
        let at = |base: u64, distance: i64| At((base as i64 + first as i64 + behind + distance) as u32);
        let (low, high) = (0x1000_0000, 0x9000_0000);
        limits.push((low, (name, at(low, 0x7fff_ffff), 0), (name, at(low, 0x8000_0000), 0), says));
        limits.push((high, (name, at(high, -0x8000_0000), 0), (name, at(high, -0x8000_0001), 0), says));
    }
    limits
}

/// The limits that neither linker checks.
const UNCHECKED: [(u64, Case, Case, Says); 2] = [
    (0x1000_0000, ("ADDR32NB", At(0x1000_0000), 0), ("ADDR32NB", At(0xfff_ffff), 0), Nothing),
    (0x1000_0000, ("SECREL", Inside(0), 0), ("SECREL", Inside(0), -1), Nothing),
];

/// The upper ends of what is absolute and of what counts from the image.
fn upper_ends(says: Says) -> [(u64, Case, Case, Says); 2] {
    let (base, top) = (0x1000_0000, At(0xffff_ffff));
    [
        (base, ("ADDR32", top, 0), ("ADDR32", top, 1), says),
        (base, ("ADDR32NB", top, 0x1000_0000), ("ADDR32NB", top, 0x1000_0001), says),
    ]
}

#[test]
fn lld_has_no_limits() {
    let Some(lld) = installed(&["lld-link-22", "lld-link"]) else { return };
    compare(lld, &ends(0x1008, Nothing));
    compare(lld, &upper_ends(Nothing));
    compare(lld, &UNCHECKED);
    // It has no such relocations.
    for case in [("SECREL7", Inside(0), 0), ("R_AMD64_PCRQUAD", Inside(0), 0)] {
        let said = link(lld, &object(MACHINE, &[place(&case)]), 0x1000_0000).err().unwrap_or_default();
        assert!(said.contains("unsupported relocation type"), "{case:x?}: {said}");
    }
}

#[test]
fn gnu_ld_has_the_same_limits_or_none() {
    let Some(ld) = installed(&["x86_64-w64-mingw32-ld"]) else { return };
    compare(ld, &ends(0x2008, Truncated));
    compare(ld, &upper_ends(Truncated));
    compare(ld, &UNCHECKED);
}
