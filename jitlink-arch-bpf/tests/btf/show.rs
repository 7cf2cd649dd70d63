//! Types as C, bytes as values.

use crate::kit::*;
use crate::read::EVERY_KIND;
use jitlink_arch_bpf::btf::value::{Value, ValueError};
use jitlink_arch_bpf::btf::*;
use jitlink_core::Endian;

#[test]
fn declarations_are_written_as_in_the_source() {
    let source = "
        struct s; typedef int (*handler)(struct s *, const char *, ...);
        int plain; int *pointer; int *const constant = 0; const int *to_constant; int array[2][3]; int *array_of[4]; int (*to_array)[5];
        int (*function)(void); handler table[6]; int *(*(*deep)(int (*)[7]))(long); const volatile unsigned long both;
        union u { int x; struct { char c; unsigned b : 3; }; } value; enum e { A = -1, B } e; struct { int x; } anonymous; _Bool flags[2];
    ";
    let Some(object) = compile("bpfel", source) else { return };
    let btf = btf_of(&object);
    let declared = |name| {
        let var = btf.find_by_name_kind(name, Kind::Var).unwrap();
        btf.c_definition(var.id())
    };
    for expected in [
        "int plain;",
        "int *pointer;",
        "int *const constant;",
        "const int *to_constant;",
        "int array[2][3];",
        "int *array_of[4];",
        "int (*to_array)[5];",
        "int (*function)(void);",
        "handler table[6];",
        "int *(*(*deep)(int (*)[7]))(long);",
        "const volatile unsigned long both;",
        "union u value;",
        "enum e e;",
        "struct { int x; } anonymous;",
        "_Bool flags[2];",
    ] {
        let name = expected
            .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .rfind(|word| btf.find_by_name_kind(word, Kind::Var).is_some());
        assert_eq!(declared(name.unwrap()), expected);
    }
    let definition = |name, kind| btf.c_definition(btf.find_by_name_kind(name, kind).unwrap().id());
    assert_eq!(definition("handler", Kind::Typedef), "typedef int (*handler)(struct s *, const char *, ...);");
    assert_eq!(definition("e", Kind::Enum), "enum e { A = -1, B = 0 };");
    let union = "union u {\n    int x; /* 0 */\n    struct { char c; unsigned int b : 3; }; /* 0 */\n} /* 4 bytes */;";
    assert_eq!(definition("u", Kind::Union), union);
    assert_eq!(definition("s", Kind::Fwd), "struct s;");
}

#[test]
fn types_that_lead_back_to_themselves_are_written_in_part() {
    // Prototypes whose parameters are pointers to themselves.
    let mut builder = BtfBuilder::new();
    let params = [Param { name: "p", ty: TypeId(2) }; 50];
    let proto = builder.prototype(TypeId(2), &params).unwrap();
    builder.reference(Kind::Ptr, "", proto).unwrap();
    let name = "x\u{1b}[2J".repeat(100_000);
    builder.composite(Kind::Struct, &name, 0, &[]).unwrap();
    let btf = builder.finish().unwrap();
    let text = btf.c_type(TypeId(2));
    assert!(text.contains('…') && text.len() < 10_000_000, "{} bytes", text.len());
    let text = btf.c_definition(TypeId(3));
    assert!(!text.contains('\u{1b}') && text.len() < 1000);
}

#[test]
fn every_type_of_the_kernel_has_a_text() {
    let Some(bytes) = kernel_bytes() else { return };
    let btf = Btf::read(&bytes).unwrap();
    let total: usize = btf.types().map(|ty| btf.c_definition(ty.id()).len()).sum();
    assert!(total > 1_000_000);
    let list = btf.find_by_name_kind("list_head", Kind::Struct).unwrap();
    let expected = "struct list_head {\n    struct list_head *next; /* 0 */\n    struct list_head *prev; /* 8 */\n} /* 16 bytes */;";
    assert_eq!(btf.c_definition(list.id()), expected);
}

/// `struct outer` of [`EVERY_KIND`], filled by hand.
fn outer(endian: Endian) -> Vec<u8> {
    let mut bytes = vec![0; 96];
    let mut put = |offset: usize, size: usize, word: u64| endian.write(&mut bytes[offset..offset + size], word);
    put(0, 4, -5_i32 as u64);
    // low = 5 of 3 bits, high = -2 of 29 bits.
    let high = (-2_i32 as u32) & 0x1fff_ffff;
    put(4, 4, u64::from(if endian == Endian::Little { 5 | high << 3 } else { 5 << 29 | high }));
    put(8, 8, u64::MAX);
    put(24, 1, 1);
    put(32, 8, 2.5_f64.to_bits());
    put(40, 8, 0xffff_8880_1234_5678);
    put(72, 4, 1);
    put(80, 8, 0x1234_5678_9abc);
    bytes[16..20].copy_from_slice(b"text");
    bytes
}

#[test]
fn bytes_are_shown_as_the_fields_of_their_type() {
    for (target, endian) in [("bpfel", Endian::Little), ("bpfeb", Endian::Big)] {
        let Some(object) = compile(target, EVERY_KIND) else { return };
        let btf = btf_of(&object);
        let ty = btf.find_by_name_kind("outer", Kind::Struct).unwrap();
        let bytes = outer(endian);
        let value = btf.value(ty.id(), &bytes, endian).unwrap();
        let text = value.to_string();
        let start =
            r#"{number: -5, low: 5, high: -2, wide: 18446744073709551615, inner: {text: "text", yes: true}, a: "#;
        assert!(text.starts_with(start), "{text}");
        let end = "c: 2.5, later: 0xffff888012345678, either: 0x0, pointer: 0x0, tagged: 0x0, small: ONE, big: BIG, next: 0x0, flexible: []}";
        assert!(text.ends_with(end), "{text}");
        assert_eq!(value.field("high"), Some(&Value::Signed(-2)));
        let short = btf.value(ty.id(), &bytes[..95], endian).unwrap_err();
        assert_eq!(short, ValueError::Short { needed: 96, available: 95 });
        let constant = btf.find_by_name_kind("constant", Kind::Var).unwrap();
        assert_eq!(btf.value(constant.id(), b"te\0t\0", endian), Ok(Value::Text("te".into())));
        assert_eq!(
            btf.value(constant.id(), b"\xff\0\0\0\0", endian),
            Ok(Value::List([-1, 0, 0, 0, 0].map(Value::Signed).to_vec()))
        );
        let func = btf.find_by_name_kind("helper", Kind::Func).unwrap();
        assert!(matches!(btf.value(func.id(), &bytes, endian), Err(ValueError::Btf(BtfError::NoSize { .. }))));
    }
}

#[test]
fn sections_are_shown_by_the_places_of_their_variables() {
    let mut builder = BtfBuilder::new();
    let int = builder.int("int", Int { size: 4, bits: 32, offset: 0, encoding: 1 }).unwrap();
    let vars = ["a", "b"].map(|name| builder.variable(name, int, Linkage::Global).unwrap());
    let place = |ty, offset| SectionVar { ty, offset, size: 4 };
    let section = builder.section(".data", 8, &[place(vars[0], 4), place(vars[1], 0)]).unwrap();
    let outside = builder.section(".bss", 8, &[place(vars[0], 6)]).unwrap();
    let btf = builder.finish().unwrap();
    let value = btf.value(section, &[1, 0, 0, 0, 2, 0, 0, 0], Endian::Little).unwrap();
    assert_eq!(value.to_string(), "{b: 1, a: 2}");
    let short = btf.value(outside, &[0; 8], Endian::Little).unwrap_err();
    assert_eq!(short, ValueError::Short { needed: 4, available: 2 });
}

#[test]
fn values_of_very_many_parts_are_refused() {
    let mut builder = BtfBuilder::new();
    let mut inner = builder.composite(Kind::Struct, "", 0, &[]).unwrap();
    for _ in 0..60 {
        let member = |name| Member { name, ty: inner, bit_offset: 0, bits: None };
        inner = builder.composite(Kind::Struct, "s", 0, &[member("a"), member("b")]).unwrap();
    }
    let many = builder.array(Array { element: TypeId(1), index: TypeId(1), count: u32::MAX }).unwrap();
    let btf = builder.finish().unwrap();
    for ty in [inner, many] {
        assert_eq!(btf.value(ty, &[], Endian::Little), Err(ValueError::TooMany { limit: 1 << 20 }));
    }
}

#[test]
fn mutated_types_show_any_bytes_without_a_panic() {
    let Some(object) = compile("bpfel", EVERY_KIND) else { return };
    let bytes = section(&object, ".BTF");
    let memory = outer(Endian::Little);
    let mut random = Random(0x5e7);
    let mut shown = 0;
    for _ in 0..2_000 {
        let Ok(btf) = Btf::read(&mutate(&bytes, &mut random)) else { continue };
        for ty in btf.types() {
            let _ = btf.c_definition(ty.id());
            for endian in [Endian::Little, Endian::Big] {
                shown +=
                    btf.value(ty.id(), &memory, endian).map_or(0, |value| usize::from(!value.to_string().is_empty()));
            }
        }
    }
    assert!(shown > 10_000, "only {shown} values");
}
