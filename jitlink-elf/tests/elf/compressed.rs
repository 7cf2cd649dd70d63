//! Compressed debug sections: made here in stored form, and by tools in the fixtures.

use crate::builder::*;
use crate::toy;
use jitlink_core::graph::{BlockId, Role};

/// A compression header and bytes.
fn compressed(shape: Shape, method: u32, size: u64, bytes: &[u8]) -> Vec<u8> {
    let mut out = Writer::new(shape);
    out.u32(method);
    if shape.wide {
        out.u32(0);
    }
    out.word(size);
    out.word(4);
    out.bytes.extend_from_slice(bytes);
    out.bytes
}

/// A zlib stream with one stored block.
fn zlib(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u16;
    let (mut low, mut high) = (1u32, 0u32);
    for byte in bytes {
        low = (low + u32::from(*byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    let start = [&[0x78, 0x01, 1][..], &length.to_le_bytes(), &(!length).to_le_bytes()].concat();
    [&start[..], bytes, &(high << 16 | low).to_be_bytes()].concat()
}

/// A zstd frame of one segment: a raw block, or one byte repeated.
fn zstd(bytes: &[u8], repeat: Option<u32>) -> Vec<u8> {
    let size = repeat.unwrap_or(bytes.len() as u32);
    let kind = if repeat.is_some() { 2 } else { 0 };
    let block = (size << 3 | kind | 1).to_le_bytes();
    [&[0x28, 0xb5, 0x2f, 0xfd, 0xa0][..], &size.to_le_bytes(), &block[..3], bytes].concat()
}

fn object(shape: Shape, content: Vec<u8>) -> Elf {
    let mut object = Elf::new(shape);
    object.add(Sec::new(".debug_str", PROGBITS, COMPRESSED | MERGE | STRINGS, content).entry(1));
    object
}

#[test]
fn both_methods_are_read_when_debug_information_is_wanted() {
    let text = b"debug\0text\0";
    for shape in SHAPES {
        for (method, bytes) in
            [(1, zlib(text)), (2, zstd(text, None)), (2, [zstd(b"debug", None), zstd(b"\0text\0", None)].concat())]
        {
            let mut object = object(shape, compressed(shape, method, text.len() as u64, &bytes));
            object.relocations(REL, 1, &[(7, toy::ABS32, 0, 0)]);
            assert_eq!(toy::ok(&object).blocks().len(), 0);
            let graph = toy::read_debug(&object.write()).unwrap_or_else(|error| panic!("{shape:?} {method}: {error}"));
            let block = graph.block(BlockId::new(0));
            assert_eq!((block.content.bytes(), block.align()), (&text[..], 4));
            assert_eq!(graph.section(block.section).role, Role::Debug);
            let word: [u8; 4] = text[7..].try_into().unwrap();
            let expected = if shape.big { i32::from_be_bytes(word) } else { i32::from_le_bytes(word) };
            assert_eq!(graph.edges(BlockId::new(0))[0].addend, i64::from(expected));
        }
    }
}

#[test]
fn what_does_not_hold_what_it_says_is_refused() {
    let text = b"debug\0text\0";
    let check = |content: Vec<u8>, message: &str| {
        let error = toy::read_debug(&object(LITTLE64, content).write()).unwrap_err().to_string();
        assert!(error.starts_with("test.o: .debug_str+0x0: ") && error.contains(message), "{error}");
    };
    let size = text.len() as u64;
    for (method, bytes) in [(1, zlib(text)), (2, zstd(text, None))] {
        check(compressed(LITTLE64, method, size - 1, &bytes), "more than the declared 0xa");
        check(compressed(LITTLE64, method, size + 1, &bytes), "0xb bytes, less than the declared 0xc");
        check(compressed(LITTLE64, method, u64::MAX, &bytes), "at most");
        check(compressed(LITTLE64, method, size, &bytes[..bytes.len() - 5]), "damaged");
    }
    check(compressed(LITTLE64, 1, 0x10_0000, &zlib(text)), "0x16 compressed bytes are declared to hold 0x100000");
    check(compressed(LITTLE64, 3, size, text), "compressed by method 0x3");
    check(vec![1; 23], "within its compression header");
    let mut damaged = zlib(text);
    damaged[0] = 0;
    check(compressed(LITTLE64, 1, size, &damaged), "damaged");
}

#[test]
fn what_expands_is_stopped_at_the_declared_size() {
    // 8 MiB in 64 blocks of four bytes, of which only the declared bytes may come out.
    let bomb = zstd(b"x", Some(128 << 10)).repeat(64);
    let object = |size| object(LITTLE64, compressed(LITTLE64, 2, size, &bomb)).write();
    assert_eq!(toy::read_debug(&object(8 << 20)).unwrap().block(BlockId::new(0)).size(), 8 << 20);
    let error = toy::read_debug(&object(4 << 20)).unwrap_err().to_string();
    assert!(error.contains("more than the declared 0x400000"), "{error}");
}

#[test]
fn what_is_loaded_or_empty_is_not_compressed() {
    let mut object = Elf::new(LITTLE64);
    object.add(Sec::new(".data", PROGBITS, A | W | COMPRESSED, compressed(LITTLE64, 1, 3, &zlib(b"abc"))));
    assert!(toy::error(&object).contains("a loaded section cannot be compressed"));
    let mut object = Elf::new(LITTLE64);
    object.add(Sec::new(".debug_x", NOBITS, COMPRESSED, []).size(64));
    assert!(toy::read_debug(&object.write()).unwrap_err().to_string().contains("without content"));
    let mut object = Elf::new(LITTLE64);
    object.add(Sec::new(".zdebug_str", PROGBITS, 0, *b"ZLIB\0\0\0\0\0\0\0\x01x"));
    toy::ok(&object);
    assert!(toy::read_debug(&object.write()).unwrap_err().to_string().contains("GNU's old compressed form"));
}
