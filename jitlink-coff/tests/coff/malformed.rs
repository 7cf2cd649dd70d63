//! Bad input is an error that says where, and never more.

use super::builder::{CODE, DATA, Object, section_record, weak_record};
use super::kit::read;
use jitlink_coff::CoffFormat;
use jitlink_core::{LinkError, ObjectFormat};

const EXTERNAL: u8 = 2;

/// An object with a bit of everything.
fn everything(is_big: bool) -> Object {
    let mut object = Object::new();
    object.is_big = is_big;
    let code = object.section(".text$long_enough", CODE | 0x1000, &[0xe8, 0, 0, 0, 0, 0xc3]);
    let data = object.section(".data", DATA, &[0; 24]);
    object.section(".drectve", 0x0010_0a00, b"/alternatename:a=b -aligncomm:c,3 /include:start /failifmismatch:k=v");
    let table = object.section(".pdata", 0x4000_0040, &[0; 24]);
    object.section(".debug$S", 0x4210_0040, &[0; 8]);
    object.symbol_with(".text", 0, code, 3, section_record(0, 2));
    let start = object.symbol("start", 0, code, EXTERNAL);
    let slot = object.symbol("__imp_outside", 0, 0, EXTERNAL);
    let weak = object.symbol_with("a_weak_external", 0, 0, 105, weak_record(start, 2));
    object.symbol("c", 12, 0, EXTERNAL);
    object.symbol("data", 4, data, 3);
    object.sections[0].relocations = vec![(1, weak, 4)];
    object.sections[1].relocations = vec![(0, slot, 1), (8, start, 3), (16, start, 11)];
    object.sections[table as usize - 1].relocations = vec![(0, start, 3), (12, start, 3)];
    object.sections[4].relocations = vec![(0, start, 11), (4, start, 10)];
    object
}

/// Reads an input in every way; the graph must be whole, and an error must name the object.
fn read_all(bytes: &[u8]) -> Result<(), LinkError> {
    let mut names = Vec::new();
    let defined = CoffFormat.definitions("a.obj", bytes, &mut |name| names.push(name.to_vec()));
    let mut last = Ok(());
    for debug in [false, true] {
        last = read(bytes, debug).map(|graph| {
            for (id, block) in graph.blocks() {
                let fits = |end: usize| end <= block.content.bytes().len();
                assert!(graph.edges(id).iter().all(|edge| {
                    fits(edge.offset as usize + graph.rows().row(edge.row).field().bytes())
                        && edge.target.index() < graph.symbols().len()
                }));
            }
        });
        if let Err(error) = &last {
            let is_placed = error.site().is_none_or(|site| site.object == "a.obj");
            assert!(is_placed && !error.to_string().is_empty(), "{error}");
        }
    }
    assert!(last.is_err() || defined.is_ok());
    last
}

#[test]
fn every_truncation_is_an_error_or_an_object() {
    for is_big in [false, true] {
        let bytes = everything(is_big).bytes();
        read_all(&bytes).unwrap_or_else(|error| panic!("{error}"));
        for end in 0..bytes.len() {
            let result = read_all(&bytes[..end]);
            // Without its last string the file is not whole.
            assert!(result.is_err(), "{end:#x} of {:#x} bytes", bytes.len());
        }
    }
}

#[test]
fn every_byte_may_be_wrong() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for is_big in [false, true] {
        let bytes = everything(is_big).bytes();
        let (mut read, mut refused) = (0, 0);
        for at in 0..bytes.len() {
            for _ in 0..8 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let mut bytes = bytes.clone();
                bytes[at] = (state >> 33) as u8;
                match read_all(&bytes) {
                    Ok(()) => read += 1,
                    Err(_) => refused += 1,
                }
            }
        }
        assert!(read > 100 && refused > 100, "{read} read, {refused} refused");
    }
}

#[test]
fn errors_say_what_and_where() {
    let refused = |change: fn(&mut Object), section: &str, offset: u64, what: &str| {
        let mut object = everything(false);
        change(&mut object);
        let bytes = object.bytes();
        let error = read(&bytes, false).expect_err(what);
        let site = error.site().unwrap_or_else(|| panic!("{error} has no place"));
        assert_eq!((site.object.as_str(), site.section.as_str(), site.offset), ("a.obj", section, offset), "{error}");
        assert!(error.to_string().contains(what), "{error}");
        assert!(!error.advice().is_empty(), "{error}");
    };
    refused(|o| o.sections[1].relocations[1] = (21, 2, 1), ".data", 21, "the field of 0x8 bytes lies outside");
    refused(|o| o.sections[1].relocations[1] = (8, 2, 99), ".data", 8, "unknown relocation type 99");
    refused(|o| o.sections[1].relocations[1] = (8, 500, 1), ".data", 8, "there is no symbol 500");
    // The record behind the first symbol.
    refused(|o| o.sections[1].relocations[1] = (8, 1, 1), ".data", 8, "it refers to symbol 1, which names nothing");
    refused(|o| o.sections[1].flags |= 0x2000_0000, ".data", 0, "writable and executable");
    refused(|o| o.sections[1].flags |= 0x00f0_0000, ".data", 0, "its alignment has the number 15");
    refused(|o| o.symbols[1].value = 7, "(symbols)", 36, "it is at 0x7 of section .text$long_enough");
    refused(|o| o.symbols[1].section = 9, "(symbols)", 36, "symbol 2 is in section 9, of which there are 5");
    refused(|o| o.symbols[1].class = 77, "(symbols)", 36, "its storage class is 77");
    refused(|o| o.symbols[3].aux.clear(), "(symbols)", 72, "no record says what it falls back to");
    refused(|o| o.symbols[3].aux = weak_record(77, 2), "(symbols)", 72, "it falls back to symbol 77");
}

#[test]
fn files_of_other_kinds_are_refused_by_name() {
    let header = |bytes: &[u8]| CoffFormat.header("a.obj", bytes).expect_err("another kind").to_string();
    assert!(CoffFormat.recognize(b"MZ\x90\0") && header(b"MZ\x90\0").contains("linked program"));
    let mut anonymous = vec![0, 0, 0xff, 0xff, 1, 0, 0x64, 0x86];
    anonymous.resize(64, 0);
    assert!(CoffFormat.recognize(&anonymous) && header(&anonymous).contains("intermediate code"));
    assert!(!CoffFormat.recognize(b"\x7fELF\x02\x01\x01\0") && header(b"\x7fELF\x02\x01\x01\0").contains("machine"));
    let mut slim = everything(false);
    slim.symbol("__gnu_lto_slim", 1, 0, EXTERNAL);
    let error = read(&slim.bytes(), false).expect_err("no code");
    assert!(error.to_string().contains("GCC's intermediate code"), "{error}");
    // Known by its number, and without a backend here.
    let mut other = everything(false);
    other.machine = 0x1c4;
    let error = read(&other.bytes(), false).expect_err("no backend");
    assert_eq!(error.code(), "no-backend", "{error}");
}

#[test]
fn tables_that_overlap_are_refused() {
    let mut object = everything(false);
    for _ in 0..8 {
        object.sections.push(object.sections[1].clone());
    }
    let mut bytes = object.bytes();
    // All of them claim the whole file.
    for index in 0..object.sections.len() {
        let header = 20 + 40 * index;
        let size = bytes.len() as u32 - 20;
        bytes[header + 16..header + 20].copy_from_slice(&size.to_le_bytes());
        bytes[header + 20..header + 24].copy_from_slice(&20u32.to_le_bytes());
    }
    let error = read(&bytes, false).expect_err("overlapping sections");
    assert!(error.to_string().contains("overlap"), "{error}");
}
