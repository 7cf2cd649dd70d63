//! What expressions give, against memory and a map made by hand.

use jitlink_check::{Outcome, PartRole, Rules, Verdict, View};
use jitlink_core::arch::StubKind;
use jitlink_core::graph::{Protection, Scope};
use jitlink_core::link::{LinkMap, MapObject, MapSection, MapSymbol};
use jitlink_core::{Addr, Endian};

const BYTES: [u8; 8] = [0x01, 0x02, 0x83, 0x04, 0x05, 0x06, 0x07, 0xf8];

fn symbol(name: &str, address: u64, size: u64) -> MapSymbol {
    MapSymbol { name: name.into(), address: Addr(address), size, scope: Scope::Global, linkage: "strong" }
}

fn section(name: &str, address: u64, size: u64) -> MapSection {
    MapSection { name: name.into(), address: Addr(address), size, protection: Protection::Read }
}

/// Two objects: `data` at 8000, `twice` in both, slots and stubs.
fn map() -> LinkMap {
    let object = |name: &str, at: u64| MapObject {
        name: name.into(),
        path: name.into(),
        sections: vec![section(".text", at, 0x20)],
        symbols: vec![symbol("twice", at + 4, 0)],
        got: vec![("shared".into(), Addr(0x9000))],
        stubs: vec![("far".into(), Addr(0xa000), StubKind::Plt), ("far".into(), Addr(0xa010), StubKind::Thunk)],
    };
    let mut first = object("lib/a.o", 0x1000);
    first.symbols.push(symbol("data", 0x8000, 8));
    first.symbols.push(symbol("operator new(unsigned long)", 0x8008, 1));
    let second = object("lib/b.a(m.o)", 0x2000);
    LinkMap { objects: vec![first, second], absolute: vec![("external".into(), Addr(0xffff_ffff_8000_0000))] }
}

fn outcome(rule: &str, endian: Endian) -> Outcome {
    let rules = Rules::parse("r", &format!("data:\n# jitlink-check: {rule}\n"));
    let rules = rules.unwrap_or_else(|errors| panic!("{errors}"));
    let memory = vec![(Addr(0x7000), Vec::new()), (Addr(0x8000), BYTES.to_vec())];
    rules.evaluate(&View { map: &map(), endian, memory: &memory }).remove(0)
}

#[track_caller]
fn holds(rule: &str) {
    let outcome = outcome(rule, Endian::Little);
    assert!(matches!(outcome.verdict, Verdict::Passed), "{rule}\n{outcome}");
}

/// The message and the help of a rule that has no value, and the column it points at.
#[track_caller]
fn invalid(rule: &str) -> (usize, String, String) {
    match outcome(rule, Endian::Little).verdict {
        Verdict::Invalid(diagnostic) => (diagnostic.column - 17, diagnostic.message.clone(), diagnostic.help.clone()),
        other => panic!("{rule}: {other:?}"),
    }
}

#[test]
fn loads_have_the_order_and_the_sign_that_they_are_given() {
    for rule in [
        "u8(data) == 1 && u16(data) == 0x201 && u32(data) == 0x4830201 && u64(data) == 0xf807060504830201",
        "u16be(data) == 0x102 && u32be(data) == 0x1028304 && u64be(data) == 0x01028304050607f8",
        "i8(data + 2) == -0x7d && i8(data + 7) == -8 && i16(data + 6) == -0x7f9 && i64(data) == u64(data) - (1 << 64)",
        "i16be(data + 2) == -0x7cfc && i32le(data) == u32(data) && u8le(data) == u8be(data)",
    ] {
        holds(rule);
    }
    let big = outcome("u16(data) == 0x102 && u16le(data) == 0x201 && i32(data + 4) == 0x050607f8", Endian::Big);
    assert!(matches!(big.verdict, Verdict::Passed), "{big}");
}

#[test]
fn numbers_are_exact() {
    for rule in [
        "data - external < 0 && external - data > 0",
        "1 - 2 == -1 && ~0 == -1 && -1 >> 3 == -1 && -8 >> 1 == -4",
        "1 << 100 > 0xffffffffffffffff && (1 << 64) - 1 == 0xffff_ffff_ffff_ffff",
        "-7 / 2 == -3 && -7 % 2 == -1 && 7 % 4 == 3",
        "(0 - 1)[63:0] == 0xffffffffffffffff && (-1)[3] == 1 && 0x1234[15:8] == 0x12 && 0x1234[7:4][1:0] == 3",
        "6 & 3 | 8 ^ 1 == 11 && 2 + 3 * 4 << 1 == 28",
        "0xff & 0b1010 == 10 && 1 != 2 && 1 <= 1 && 2 >= 1 && !(1 > 1)",
    ] {
        holds(rule);
    }
    for rule in ["1 << 127 == 0", "1 << 128 == 0", "1 >> -1 == 0", "1 / 0 == 0", "1 % (data - .) == 0"] {
        assert_eq!(invalid(rule).0, 1, "{rule}");
    }
    assert_eq!(invalid("0 == (1 << 126) * 4").1, "the result does not fit 128 bits");
}

#[test]
fn the_link_is_asked_by_name() {
    for rule in [
        ". == data && size(data) == 8 && size(.) == 8",
        "\"operator new(unsigned long)\" == data + 8 && external == 0xffffffff80000000",
        "section(.text in a.o) == 0x1000 && section_end(.text in a.o) == 0x1020 && section_size(.text in \"b.a(m.o)\") == 32",
        "symbol(twice in \"lib/a.o\") == 0x1004 && symbol(twice in a.o) == 0x1004",
        "got(shared) == 0x9000 && got(shared in a.o) == 0x9000",
        "stub(far, plt) == 0xa000 && stub(far in a.o, thunk) == 0xa010",
        "exists(data) && !exists(nothing) && exists(twice) && exists(stub(far)) && !exists(got(data)) && !exists(stub(far, other))",
    ] {
        holds(rule);
    }
    let several = "there is more than one symbol twice: 0x1004 in lib/a.o, 0x2004 in lib/b.a(m.o)";
    assert_eq!(invalid("twice == 1").1, several);
    assert!(invalid("stub(far) == 1").1.starts_with("there is more than one stub for far: 0xa000 in lib/a.o (plt), "));
    assert_eq!(invalid("1 == dat").2, "did you mean data?");
    assert_eq!(invalid("got(shard) == 1").2, "did you mean shared?");
    assert_eq!(
        invalid("1 == symbol(data in c.o)"),
        (6, "no object of this link is called c.o".into(), "there are lib/a.o, lib/b.a(m.o)".into())
    );
    assert!(invalid("exists(data in c.o)").1.contains("c.o"));
    assert!(invalid(".Lx == 1").2.contains(".L"));
    assert!(invalid("size(external) == 1").1.contains("no symbol external"));
}

#[test]
fn loads_stay_in_linked_memory() {
    let (column, message, help) = invalid("1 == u32(data + 5)");
    assert_eq!((column, message.as_str()), (6, "the 4 bytes at 0x8005 are not in linked memory"));
    assert_eq!(help, "there is memory from 0x7000 to 0x7000, from 0x8000 to 0x8008");
    assert_eq!(invalid("u8(0x7000) == 0").1, "the byte at 0x7000 is not in linked memory");
    assert_eq!(invalid("u8(0 - 1) == 0").1, "-0x1 is no address to load from");
    assert!(invalid("u64(0xffffffffffffffff) == 0").1.contains("not in linked memory"));
}

#[test]
fn logic_asks_no_more_than_it_needs() {
    holds("!(exists(nothing) && nothing == 1)");
    holds("exists(data) || nothing == 1");
    assert!(invalid("exists(data) && nothing == 1").1.contains("nothing"));
}

/// Role, expression and value of what a failing rule shows.
fn shown(rule: &str) -> Vec<(PartRole, String, String)> {
    match outcome(rule, Endian::Little).verdict {
        Verdict::Failed(explanation) => {
            explanation.values.into_iter().map(|part| (part.role, part.expression, part.value)).collect()
        }
        other => panic!("{rule}: {other:?}"),
    }
}

#[test]
fn what_is_to_blame_is_shown_first() {
    let part = |role, expression: &str, value: &str| (role, expression.to_string(), value.to_string());
    assert_eq!(
        shown("u8(data)  ==  2 - (data - 0x7ff0)"),
        [
            part(PartRole::Left, "u8(data)", "0x1"),
            part(PartRole::Right, "2 - (data - 0x7ff0)", "-0xe"),
            part(PartRole::Part, "data", "0x8000"),
            part(PartRole::Part, "data - 0x7ff0", "0x10"),
        ]
    );
    assert_eq!(
        shown("1 == 1 && !exists(got(shared)) && 1 == 2"),
        [part(PartRole::Condition, "exists(got(shared))", "true (0x9000)")]
    );
    let either = shown("1 == 2 || data < 1");
    assert_eq!(either.iter().map(|shown| shown.1.as_str()).collect::<Vec<_>>(), ["1", "2", "data", "1"]);
    assert_eq!(shown("exists(nothing)"), [part(PartRole::Condition, "exists(nothing)", "false")]);
    let skipped = shown("1 == 2 && nothing == 3");
    assert_eq!(skipped[2].2, "(there is no symbol nothing in this link)");
}

#[test]
fn sides_that_are_equal_in_fewer_bits_get_a_hint() {
    let hint = |rule: &str| match outcome(rule, Endian::Little).verdict {
        Verdict::Failed(explanation) => explanation.hint,
        other => panic!("{other:?}"),
    };
    assert!(hint("u8(data + 7) == 0 - 8").is_some_and(|hint| hint.contains("[7:0]")));
    assert!(hint("u64(data) == i64(data)").is_some_and(|hint| hint.contains("64 bits")));
    assert_eq!(hint("u8(data) == 2"), None);
}
