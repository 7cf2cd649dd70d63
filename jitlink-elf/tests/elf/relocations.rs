//! Relocations in their three encodings.

use crate::builder::*;
use crate::toy::{self, error, ok};
use jitlink_core::Input;
use jitlink_core::graph::{BlockId, Edge};
use jitlink_core::image::{ImageConfig, ImageExecutor};
use jitlink_core::link::{LinkOptions, NoSymbols, link};
use jitlink_core::reloc::Subject;

/// Data with relocations of one encoding.
fn relocated(shape: Shape, kind: u32, content: &[u8], entries: &[(u64, u32, u32, i64)]) -> Elf {
    let mut object = Elf::new(shape);
    let data = object.add(Sec::new(".data", PROGBITS, A | W, content));
    for name in ["a", "b", "c"] {
        object.symbol(Sym::undefined(name));
    }
    object.relocations(kind, data, entries);
    object
}

fn edges(object: &Elf) -> Vec<(u64, u32, u32, i64)> {
    let graph = ok(object);
    let simple = |edge: &Edge| {
        let row = graph.rows().row(edge.row);
        (u64::from(edge.offset), row.raw(), edge.target.index() as u32, edge.addend)
    };
    graph.edges(BlockId::new(0)).iter().map(simple).collect()
}

#[test]
fn explicit_addends_are_read_alike_from_both_encodings() {
    let entries = [
        (0, toy::ABS32, 1, 0),
        (8, toy::PC32, 2, -4),
        (8, toy::NONE, 3, 0),
        (16, toy::PC32, 2, 0x7fff_ffff),
        (0x1_0000, toy::CALL, 1, -0x8000_0000),
        (4, toy::CALL, 0, 5),
    ];
    for (shape, kind) in SHAPES.into_iter().flat_map(|shape| [(shape, RELA), (shape, CREL)]) {
        assert_eq!(edges(&relocated(shape, kind, &[0; 0x1_0004], &entries)), entries, "{shape:?} {kind:#x}");
    }
    let wide = [(0, toy::ABS64, 1, i64::MIN), (8, toy::ABS64, 1, i64::MAX)];
    for (shape, kind) in [(SHAPES[0], RELA), (SHAPES[0], CREL), (SHAPES[2], RELA), (SHAPES[2], CREL)] {
        assert_eq!(edges(&relocated(shape, kind, &[0; 16], &wide)), wide, "{shape:?} {kind:#x}");
    }
}

#[test]
fn implicit_addends_are_read_from_their_fields() {
    for shape in SHAPES {
        let mut content = Writer::new(shape);
        content.u32(-4i32 as u32);
        content.u32(0x6000_1234);
        content.u16(0xfffe);
        content.u16(0xffff);
        let entries = [(0, toy::CALL, 1, 0), (4, toy::HA16, 2, 0), (8, toy::ABS16, 3, 0), (12, toy::NONE, 1, 0)];
        let found = edges(&relocated(shape, REL, &content.bytes, &entries));
        let expected = [
            (0, toy::CALL, 1, -4),
            (4, toy::HA16, 2, 0x1234_0000 - 0x8000),
            (8, toy::ABS16, 3, -2),
            (12, toy::NONE, 1, 0),
        ];
        assert_eq!(found, expected, "{shape:?}");
        let outside = relocated(shape, REL, &content.bytes, &[(9, toy::ABS32, 1, 0)]);
        let message =
            ".data+0x9: R_TOY_ABS32 against a: malformed: the field of 0x4 bytes lies outside the section's 0xc";
        assert!(error(&outside).ends_with(message), "{}", error(&outside));
    }
}

#[test]
fn compact_relocations_without_addends_take_them_from_the_fields() {
    // Two entries, no addends, offsets shifted by two: symbol and type change, then the offset alone.
    let mut object = Elf::new(LITTLE64);
    let data = object.add(Sec::new(".data", PROGBITS, A | W, [1, 0, 0, 0, 2, 0, 0, 0]));
    object.symbol(Sym::undefined("a"));
    let content = [2 << 3 | 2, 3, 1, toy::ABS32 as u8, 1 << 2];
    object.add(Sec::new(".crel", CREL, 0, content).info(data).link(u32::MAX).entry(1));
    assert_eq!(edges(&object), [(0, toy::ABS32, 1, 1), (4, toy::ABS32, 1, 2)]);
}

#[test]
fn rows_decide_the_subject() {
    let graph = ok(&relocated(LITTLE64, RELA, &[0; 8], &[(0, toy::CALL, 1, 0), (0, toy::NONE, 2, 0)]));
    let subjects: Vec<_> = graph.edges(BlockId::new(0)).iter().map(|edge| edge.subject).collect();
    assert_eq!(subjects, [Subject::Callee, Subject::Nothing]);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (shape, kind) in SHAPES.into_iter().flat_map(|shape| [(shape, RELA), (shape, REL), (shape, CREL)]) {
        let check = |entry: (u64, u32, u32, i64), code: &str, message: &str| {
            let error = error(&relocated(shape, kind, &[0; 8], &[entry]));
            assert!(error.starts_with(code) && error.contains(message), "{shape:?} {kind:#x}: {error}");
        };
        check((2, 99, 1, 0), "unknown-relocation", "test.o: .data+0x2 against a: unknown relocation type 99 for toy");
        check((5, toy::ABS32, 1, 0), "malformed", ".data+0x5: R_TOY_ABS32 against a: malformed: ");
        check((u64::from(u32::MAX), toy::ABS32, 1, 0), "malformed", ".data+0xffffffff");
        check((0, toy::ABS32, 9, 0), "malformed", "there is no symbol 9, only 4");
        if shape.wide {
            check((1 << 40, toy::ABS32, 1, 0), "malformed", ".data+0x10000000000");
            check((u64::MAX, toy::ABS32, 1, 0), "malformed", "R_TOY_ABS32 against a");
        }
    }
}

#[test]
fn sections_of_relocations_must_belong_to_something() {
    let check = |build: &dyn Fn(&mut Elf), message: &str| {
        let mut object = Elf::new(LITTLE64);
        object.add(Sec::new(".data", PROGBITS, A | W, [0; 8]));
        build(&mut object);
        assert!(error(&object).contains(message), "{}", error(&object));
    };
    let entries = [(0, toy::ABS32, 0, 0)];
    check(
        &|object| _ = object.relocations(RELA, 0, &entries),
        ".rel+0x0: malformed: its relocations are for section 0",
    );
    check(
        &|object| _ = object.relocations(RELA, 99, &entries),
        "its relocations are for section 99, which has no content",
    );
    check(
        &|object| _ = object.relocations(RELA, 2, &entries),
        "its relocations are for section 2, which has no content",
    );
    let twice = |object: &mut Elf| {
        object.relocations(RELA, 1, &entries);
        object.relocations(REL, 1, &entries);
    };
    check(&twice, "a second section of relocations for .data");
    let odd = |object: &mut Elf| {
        object.add(Sec::new(".rela", RELA, 0, [0; 25]).info(1).link(u32::MAX).entry(24));
    };
    check(&odd, ".rela+0x0: malformed: its size of 0x19 bytes is no multiple of its entries' 0x18");
    let narrow = |object: &mut Elf| {
        object.add(Sec::new(".rela", RELA, 0, [0; 24]).info(1).link(u32::MAX).entry(12));
    };
    check(&narrow, "its entries are of 0xc bytes, not 0x18");
    let unlinked = |object: &mut Elf| {
        object.add(Sec::new(".rela", RELA, 0, [0; 24]).info(1).link(1).entry(24));
    };
    check(&unlinked, "its symbols are those of section 1, not the symbol table");
}

#[test]
fn relocations_of_zeros_have_no_field() {
    let mut object = Elf::new(LITTLE64);
    let bss = object.add(Sec::new(".bss", NOBITS, A | W, []).size(64));
    object.relocations(RELA, bss, &[(0, toy::ABS32, 0, 0)]);
    assert!(error(&object).contains(".bss+0x0: R_TOY_ABS32"), "{}", error(&object));
}

#[test]
fn relocations_of_what_is_left_out_are_left_out_too() {
    let mut object = Elf::new(LITTLE64);
    let debug = object.add(Sec::new(".debug_info", PROGBITS, 0, [0; 8]));
    object.relocations(RELA, debug, &[(0, 4242, 77, 0)]);
    assert_eq!(ok(&object).blocks().len(), 0);
    let error = toy::read_debug(&object.write()).unwrap_err().to_string();
    assert!(error.contains("unknown relocation type 4242"), "{error}");
}

#[test]
fn damaged_compact_relocations_are_errors() {
    let check = |content: &[u8]| {
        let mut object = Elf::new(LITTLE64);
        let data = object.add(Sec::new(".data", PROGBITS, A | W, [0; 64]));
        object.add(Sec::new(".crel", CREL, 0, content).info(data).link(u32::MAX).entry(1));
        error(&object)
    };
    for cut in
        [&[][..], &[0x80], &[1 << 3], &[1 << 3, 0x80], &[1 << 3, 1], &[1 << 3, 1, 0x80], &[2 << 3, 0], &[0xff; 11]]
    {
        assert!(
            check(cut).contains(".crel+0x") && check(cut).contains("cut short or too large"),
            "{cut:02x?}: {}",
            check(cut)
        );
    }
    let mut endless = Vec::new();
    uleb(&mut endless, u128::from(u64::MAX));
    assert!(check(&endless).contains(".crel+0xa: malformed: a compact relocation is cut short"), "{}", check(&endless));
}

/// What is wrong with an object, read with this many threads.
fn error_with(object: &Elf, threads: usize) -> String {
    let executor = ImageExecutor::new(ImageConfig::default()).unwrap();
    let options = LinkOptions { threads: Some(threads), ..LinkOptions::default() };
    let input = Input::from_bytes("object.o", object.write());
    link(&toy::registry(), &executor, &[input], &NoSymbols, &options).err().expect("an error").to_string()
}

#[test]
fn the_first_of_many_that_is_wrong_is_the_error_whatever_the_threads() {
    const COUNT: u64 = 300_000;
    let good: Vec<(u64, u32, u32, i64)> = (0..COUNT).map(|number| (4 * number, toy::ABS32, 1, 0)).collect();
    let wrong = [
        ((8, 99, 1, 0), "99"),
        ((8, toy::ABS32, 77, 0), "there is no symbol 77, only 4"),
        ((4 * COUNT - 2, toy::ABS32, 1, 0), "a field of 4 bytes there ends outside the section's"),
    ];
    for (entry, what) in wrong {
        for kind in [RELA, REL] {
            let mut entries = good.clone();
            for place in [170_000, 170_001, 299_000] {
                entries[place] = entry;
            }
            // A second mistake of another kind, further on.
            entries[250_000] = (0, 98, 1, 0);
            let object = relocated(LITTLE64, kind, &vec![0; 4 * COUNT as usize], &entries);
            let errors = [1, 2, 7].map(|threads| error_with(&object, threads));
            assert!(errors.iter().all(|error| *error == errors[0]), "{errors:?}");
            assert!(errors[0].contains(&format!(".data+{:#x}", entry.0)), "{}", errors[0]);
            // Fields of REL are looked for to find their addend.
            let expected = if kind == REL && entry.0 > 8 { "lies outside the section's" } else { what };
            assert!(errors[0].contains(expected), "{}", errors[0]);
        }
    }
}
