//! CO-RE against types built by hand: each kind, each way to differ, each instruction, both byte orders.

use crate::kit::*;
use jitlink_arch_bpf::btf::ext::{BtfExt, CoreRelo};
use jitlink_arch_bpf::btf::*;
use jitlink_arch_bpf::core_relo::*;
use jitlink_core::Endian;

const I32: Int = Int { size: 4, bits: 32, offset: 0, encoding: 1 };
const U8: Int = Int { size: 1, bits: 8, offset: 0, encoding: 0 };
const U32: Int = Int { size: 4, bits: 32, offset: 0, encoding: 0 };
const U64: Int = Int { size: 8, bits: 64, offset: 0, encoding: 0 };

/// Types in the making, with a few that every test needs.
struct Types {
    builder: BtfBuilder,
    int: TypeId,
    u32: TypeId,
    u64: TypeId,
    pointer: TypeId,
}

impl Types {
    fn new() -> Types {
        let mut builder = BtfBuilder::new();
        let int = builder.int("int", I32).unwrap();
        let u32 = builder.int("unsigned int", U32).unwrap();
        let u64 = builder.int("unsigned long", U64).unwrap();
        let pointer = builder.reference(Kind::Ptr, "", TypeId::VOID).unwrap();
        Types { builder, int, u32, u64, pointer }
    }

    /// A struct of members at byte offsets.
    fn composite(&mut self, name: &str, size: u32, members: &[(&str, TypeId, u32)]) -> TypeId {
        let members: Vec<_> = members
            .iter()
            .map(|(name, ty, offset)| Member { name, ty: *ty, bit_offset: offset * 8, bits: None })
            .collect();
        self.builder.composite(Kind::Struct, name, size, &members).unwrap()
    }

    fn array(&mut self, element: TypeId, count: u32) -> TypeId {
        self.builder.array(Array { element, index: self.int, count }).unwrap()
    }

    fn enumeration(&mut self, name: &str, values: &[(&str, u64)]) -> TypeId {
        let values: Vec<_> = values.iter().map(|(name, value)| Enumerator { name, value: *value }).collect();
        self.builder.enumeration(Kind::Enum, name, U32, &values).unwrap()
    }
}

fn types(build: impl FnOnce(&mut Types) -> TypeId) -> (Btf, TypeId) {
    let mut types = Types::new();
    let root = build(&mut types);
    (types.builder.finish().unwrap(), root)
}

/// `mov64 r1, imm`.
fn mov(imm: i32) -> Vec<u8> {
    let mut code = vec![0xb7, 1, 0, 0];
    code.extend_from_slice(&imm.to_le_bytes());
    code
}

/// A load, store or whatever else has an offset.
fn access(opcode: u8, off: i16) -> Vec<u8> {
    let mut code = vec![opcode, 0x21];
    code.extend_from_slice(&off.to_le_bytes());
    code.extend_from_slice(&[0; 4]);
    code
}

fn imm(code: &[u8]) -> i32 {
    i32::from_le_bytes(code[4..8].try_into().unwrap())
}

/// Applies one relocation to the types of a program, whose access string is added to them.
fn apply(
    (local, root): (&Btf, TypeId),
    target: &Btf,
    (kind, access): (CoreKind, &str),
    code: &mut [u8],
) -> Result<Outcome, CoreProblem> {
    apply_in(Endian::Little, (local, root), target, (kind, access), code)
}

fn apply_in(
    endian: Endian,
    (local, root): (&Btf, TypeId),
    target: &Btf,
    (kind, access): (CoreKind, &str),
    code: &mut [u8],
) -> Result<Outcome, CoreProblem> {
    let mut builder = BtfBuilder::from(local.clone());
    let access = builder.string(access).unwrap();
    let local = builder.finish().unwrap();
    let target = Target::new(target);
    let relo = CoreRelo { insn_off: 0, ty: root, access, kind };
    Relocator::new(&local, &target).apply(code, endian, &relo).map_err(|error| error.problem)
}

/// The number that an instruction with `from` gets.
fn patched(local: (&Btf, TypeId), target: &Btf, relo: (CoreKind, &str), from: i32) -> Result<i32, CoreProblem> {
    let mut code = mov(from);
    match apply(local, target, relo, &mut code)? {
        Outcome::Patched { from: was, to } => {
            assert_eq!((was, to as i32), (i64::from(from), imm(&code)));
            Ok(imm(&code))
        }
        Outcome::Poisoned { .. } => {
            assert_eq!(code, [0x85, 0, 0, 0, 0x10, 0x23, 0xad, 0x0b]);
            Ok(POISON_HELPER)
        }
    }
}

use CoreKind::*;

#[test]
fn members_are_found_by_name_through_structs_without_a_name() {
    let (local, root) = types(|types| {
        let element = types.composite("element", 8, &[("x", types.int, 0), ("y", types.int, 4)]);
        let array = types.array(element, 4);
        types.composite("outer___mine", 36, &[("list", array, 0), ("number", types.int, 32)])
    });
    let (target, _) = types(|types| {
        let element =
            types.composite("element", 12, &[("new", types.int, 0), ("y", types.int, 4), ("x", types.int, 8)]);
        let array = types.array(element, 5);
        let inner = types.composite("", 64, &[("list", array, 4)]);
        let middle = types.composite("", 68, &[("before", types.int, 0), ("", inner, 4)]);
        types.composite("outer", 100, &[("first", types.u64, 0), ("", middle, 8), ("number", types.int, 80)])
    });
    let get = |relo, from| patched((&local, root), &target, relo, from);
    assert_eq!(get((FieldByteOffset, "0:1"), 32), Ok(80));
    assert_eq!(get((FieldByteOffset, "0:0:2:1"), 20), Ok(16 + 2 * 12 + 4));
    assert_eq!(get((FieldByteOffset, "0:0:2:0"), 16), Ok(16 + 2 * 12 + 8));
    // Elements of an array of the outer struct are as far apart as it is large there.
    assert_eq!(get((FieldByteOffset, "2:1"), 2 * 36 + 32), Ok(2 * 100 + 80));
    assert_eq!(get((FieldByteSize, "0:0"), 32), Ok(60));
    assert_eq!(get((FieldByteSize, "0"), 36), Ok(100));
    assert_eq!(get((FieldSigned, "0:1"), 1), Ok(1));
    assert_eq!(get((FieldExists, "0:0:3:0"), 1), Ok(1));
    assert_eq!((get((FieldLshiftU64, "0:1"), 32), get((FieldRshiftU64, "0:1"), 32)), (Ok(32), Ok(32)));
    assert_eq!(get((FieldSigned, "0:0:2"), 0), Err(CoreProblem::Unsupported("an element of an array")));
}

#[test]
fn elements_have_to_exist_unless_the_array_is_the_last_member_and_has_no_length() {
    let (local, root) = types(|types| {
        let (some, flexible) = (types.array(types.int, 8), types.array(types.int, 0));
        types.composite("s", 32, &[("some", some, 0), ("flexible", flexible, 32)])
    });
    let target = |some, flexible, last: bool| {
        types(|types| {
            let (some, flexible) = (types.array(types.u64, some), types.array(types.u64, flexible));
            let members = [("some", some, 0), ("flexible", flexible, 64), ("after", types.int, 128)];
            types.composite("s", 144, if last { &members[..2] } else { &members })
        })
        .0
    };
    let get = |target: &Btf, access, from| patched((&local, root), target, (FieldByteOffset, access), from);
    assert_eq!(get(&target(8, 0, true), "0:0:7", 28), Ok(56));
    assert_eq!(get(&target(7, 0, true), "0:0:7", 28), Ok(POISON_HELPER));
    assert_eq!(get(&target(8, 0, true), "0:1:1000", 4032), Ok(8064));
    assert_eq!(get(&target(8, 0, false), "0:1:1000", 4032), Ok(POISON_HELPER));
    assert_eq!(get(&target(8, 4, false), "0:1:3", 44), Ok(88));
    let (no_array, _) = types(|types| types.composite("s", 8, &[("some", types.int, 0)]));
    assert_eq!(get(&no_array, "0:0:7", 28), Ok(POISON_HELPER));
    let past = CoreProblem::Access { access: "0:0:8".into(), what: "an element past the end of an array" };
    assert_eq!(get(&no_array, "0:0:8", 32), Err(past));
}

#[test]
fn what_the_target_lacks_is_zero_or_poison() {
    let (local, root) = types(|types| types.composite("s", 8, &[("a", types.int, 0), ("b", types.int, 4)]));
    let (other, _) = types(|types| types.composite("s", 8, &[("a", types.pointer, 0)]));
    let (nothing, _) = types(|types| types.composite("t", 4, &[]));
    for target in [&other, &nothing] {
        let get = |relo, from| patched((&local, root), target, relo, from).unwrap();
        // A pointer cannot stand for an integer.
        for access in ["0:0", "0:1"] {
            assert_eq!(get((FieldExists, access), 1), 0);
            assert_eq!(get((FieldByteSize, access), 4), POISON_HELPER);
            assert_eq!(get((FieldSigned, access), 1), POISON_HELPER);
            assert_eq!(get((FieldRshiftU64, access), 32), POISON_HELPER);
            assert_eq!(get((FieldLshiftU64, access), 32), POISON_HELPER);
        }
    }
    let get = |relo, from| patched((&local, root), &nothing, relo, from).unwrap();
    for (kind, own) in [(TypeExists, 1), (TypeMatches, 1), (TypeSize, 8), (TypeIdTarget, 99)] {
        assert_eq!(get((kind, "0"), own), 0);
    }
    let mut wide = [0x18, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let outcome = apply((&local, root), &nothing, (FieldByteOffset, "0:0"), &mut wide).unwrap();
    assert_eq!(outcome, Outcome::Poisoned { why: "the target has no struct s.a".into() });
    assert_eq!(wide[..8], [0x85, 0, 0, 0, 0x10, 0x23, 0xad, 0x0b]);
    assert_eq!(wide[8..], wide[..8]);
}

#[test]
fn types_have_numbers_and_sizes_there_and_here() {
    let (local, root) = types(|types| types.composite("s", 4, &[("a", types.int, 0)]));
    let (target, there) = types(|types| types.composite("s", 12, &[("b", types.u64, 0), ("a", types.int, 8)]));
    let get = |relo, from| patched((&local, root), &target, relo, from);
    assert_eq!(get((TypeIdLocal, "0"), 12345), Ok(root.0 as i32));
    assert_eq!(get((TypeIdTarget, "0"), 12345), Ok(there.0 as i32));
    assert_eq!(get((TypeSize, "0"), 4), Ok(12));
    assert_eq!(get((TypeExists, "0"), 1), Ok(1));
    let whole = CoreProblem::Access { access: "1".into(), what: "a type as a whole is '0'" };
    assert_eq!(get((TypeSize, "1"), 4), Err(whole));
}

#[test]
fn values_are_found_by_name_in_enumerations_of_either_width() {
    let (local, root) = types(|types| types.enumeration("e___old", &[("ONE___x", 1), ("GONE", 2)]));
    let (narrow, _) = types(|types| types.enumeration("e", &[("ZERO", 0), ("ONE", 7)]));
    let (wide, _) = types(|types| {
        let values = [Enumerator { name: "ONE", value: 0x1_0000_0007 }];
        types.builder.enumeration(Kind::Enum64, "e", U64, &values).unwrap()
    });
    assert_eq!(patched((&local, root), &narrow, (EnumvalValue, "0"), 1), Ok(7));
    assert_eq!(patched((&local, root), &narrow, (EnumvalExists, "0"), 1), Ok(1));
    assert_eq!(patched((&local, root), &narrow, (EnumvalExists, "1"), 1), Ok(0));
    assert_eq!(patched((&local, root), &narrow, (EnumvalValue, "1"), 2), Ok(POISON_HELPER));
    let mut code = [0x18, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    apply((&local, root), &wide, (EnumvalValue, "0"), &mut code).unwrap();
    assert_eq!(code, [0x18, 1, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    let range = CoreProblem::Range { value: 0x1_0000_0007, bits: 32 };
    assert_eq!(patched((&local, root), &wide, (EnumvalValue, "0"), 1), Err(range));
    for access in ["2", "0:0", ""] {
        let problem = patched((&local, root), &narrow, (EnumvalValue, access), 1).unwrap_err();
        assert!(matches!(problem, CoreProblem::Access { .. }), "{access}: {problem}");
    }
}

#[test]
fn candidates_that_disagree_are_named() {
    let (local, root) = types(|types| types.composite("s", 4, &[("a", types.int, 0)]));
    let (target, _) = types(|types| {
        types.composite("s___one", 8, &[("b", types.int, 0), ("a", types.int, 4)]);
        types.composite("s", 8, &[("a", types.int, 0)]);
        types.composite("s___two", 8, &[("a", types.int, 0), ("c", types.int, 4)])
    });
    let error = patched((&local, root), &target, (FieldByteOffset, "0:0"), 0).unwrap_err();
    let CoreProblem::Ambiguous { first, second, .. } = &error else { panic!("{error}") };
    assert_eq!(
        (first.as_str(), second.as_str()),
        ("struct s___one.a [5] gives 4 (at bit 32)", "struct s.a [6] gives 0")
    );
    // They agree about the size, but not about which bytes it is the size of.
    assert!(patched((&local, root), &target, (FieldByteSize, "0:0"), 4).is_err());
    assert_eq!(patched((&local, root), &target, (TypeSize, "0"), 4), Ok(8));
    assert!(matches!(patched((&local, root), &target, (TypeIdTarget, "0"), 1), Err(CoreProblem::Ambiguous { .. })));
    let (same, _) = types(|types| {
        types.composite("s___one", 8, &[("a", types.int, 4)]);
        types.composite("s", 16, &[("a", types.int, 4)])
    });
    assert_eq!(patched((&local, root), &same, (FieldByteOffset, "0:0"), 0), Ok(4));
    let (local, anonymous) = types(|types| types.composite("", 4, &[("a", types.int, 0)]));
    assert_eq!(patched((&local, anonymous), &same, (FieldByteOffset, "0:0"), 0), Err(CoreProblem::Anonymous));
}

#[test]
fn a_candidate_without_the_member_does_not_count_any_more() {
    let mut types = Types::new();
    let root = types.composite("s", 8, &[("a", types.int, 0), ("b", types.int, 4)]);
    let accesses = ["0:0", "0:1"].map(|access| types.builder.string(access).unwrap());
    let local = types.builder.finish().unwrap();
    let (target, _) = self::types(|types| {
        types.composite("s", 8, &[("a", types.int, 0)]);
        types.composite("s___other", 8, &[("b", types.int, 4)])
    });
    let target = Target::new(&target);
    let mut relocator = Relocator::new(&local, &target);
    let mut exists = |access| {
        let relo = CoreRelo { insn_off: 0, ty: root, access, kind: FieldExists };
        let mut code = mov(1);
        relocator.apply(&mut code, Endian::Little, &relo).unwrap();
        imm(&code)
    };
    assert_eq!((exists(accesses[0]), exists(accesses[1]), exists(accesses[0])), (1, 0, 1));
}

#[test]
fn loads_and_stores_take_the_size_that_the_member_has() {
    let object = |ty: fn(&Types) -> TypeId, offset| {
        types(|types| {
            let ty = ty(types);
            types.composite("s", 16, &[("a", ty, offset)])
        })
    };
    let (word, root) = object(|types| types.u32, 0);
    let (long, _) = object(|types| types.u64, 8);
    let (signed, _) = object(|types| types.int, 8);
    let run = |local: &Btf, target: &Btf, opcode: u8, off: i16| {
        let mut code = access(opcode, off);
        apply((local, root), target, (FieldByteOffset, "0:0"), &mut code).map(|_| code)
    };
    // ldxw, stxw, stw and a load that extends the sign become accesses of eight bytes.
    for (from, to) in [(0x61, 0x79), (0x63, 0x7b), (0x62, 0x7a), (0x81, 0x79)] {
        assert_eq!(run(&word, &long, from, 0), Ok(access(to, 8)));
    }
    // Of the same size, nothing but the offset changes; the sign does not matter.
    assert_eq!(run(&word, &signed, 0x61, 0), Ok(access(0x61, 8)));
    // A wider integer with a sign cannot be read by a load that fills up with zeros, but its offset can be computed.
    let poison = [0x85, 0, 0, 0, 0x10, 0x23, 0xad, 0x0b].to_vec();
    assert_eq!(run(&signed, &long, 0x61, 8), Ok(poison.clone()));
    assert_eq!(patched((&signed, root), &long, (FieldByteOffset, "0:0"), 8), Ok(8));
    assert_eq!(run(&word, &long, 0x69, 0), Err(CoreProblem::AccessSize { access: 2, size: 4 }));
    let (pointer, _) = object(|types| types.pointer, 0);
    assert_eq!(run(&pointer, &pointer, 0x79, 0), Ok(access(0x79, 0)));
    let (odd, _) = types(|types| {
        let odd = types.builder.int("odd", Int { size: 3, bits: 24, offset: 0, encoding: 0 }).unwrap();
        types.composite("s", 16, &[("a", odd, 0)])
    });
    assert_eq!(run(&word, &odd, 0x61, 0), Err(CoreProblem::AccessSize { access: 4, size: 3 }));
}

#[test]
fn instructions_have_to_hold_what_the_program_s_types_say() {
    let (local, root) = types(|types| types.composite("s", 8, &[("a", types.int, 4)]));
    let (target, _) = types(|types| types.composite("s", 100_000, &[("a", types.int, 40_000)]));
    let run = |code: &mut [u8]| apply((&local, root), &target, (FieldByteOffset, "0:0"), code);
    assert_eq!(run(&mut mov(5)), Err(CoreProblem::Mismatch { found: 5, expected: 4 }));
    assert_eq!(run(&mut access(0x61, 0)), Err(CoreProblem::Mismatch { found: 0, expected: 4 }));
    assert_eq!(run(&mut access(0x61, 4)), Err(CoreProblem::Range { value: 40_000, bits: 16 }));
    let mut wide = [0x18, 1, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
    assert_eq!(run(&mut wide), Err(CoreProblem::Mismatch { found: 0x1_0000_0004, expected: 4 }));
    wide[1] = 0x11;
    assert_eq!(run(&mut wide), Err(CoreProblem::Instruction { code: 0x18 }));
    // A register as operand, a jump, an exit.
    for opcode in [0xbf, 0x15, 0x95] {
        assert_eq!(run(&mut access(opcode, 4)), Err(CoreProblem::Instruction { code: opcode }));
    }
    assert_eq!(run(&mut [0xb7, 0, 0, 0]), Err(CoreProblem::Outside { length: 4 }));
    assert_eq!(run(&mut wide[..8]), Err(CoreProblem::Outside { length: 8 }));
    let mut narrow = mov(4);
    narrow[0] = 0xb4;
    assert!(run(&mut narrow).is_ok());
    assert_eq!(imm(&narrow), 40_000);
}

#[test]
fn access_strings_that_make_no_sense_are_refused() {
    let (local, root) = types(|types| types.composite("s", 8, &[("a", types.int, 4)]));
    let long = vec!["0"; 65].join(":");
    for access in [
        "",
        ":",
        "0:",
        ":0",
        "0::0",
        "-1",
        "0:-1",
        " 0",
        "0x1",
        "+1",
        "0:1",
        "0:0:0",
        "4294967296",
        "2147483648",
        &long,
    ] {
        let problem = patched((&local, root), &local, (FieldByteOffset, access), 4).unwrap_err();
        assert!(matches!(problem, CoreProblem::Access { .. }), "{access}: {problem}");
    }
    let error = {
        let mut builder = BtfBuilder::from(local.clone());
        let access = builder.string("0:7").unwrap();
        let (local, target) = (builder.finish().unwrap(), Target::new(&local));
        let relo = CoreRelo { insn_off: 8, ty: root, access, kind: FieldByteOffset };
        let mut code = [mov(0), mov(0)].concat();
        Relocator::new(&local, &target).apply(&mut code, Endian::Little, &relo).unwrap_err().to_string()
    };
    let expected = "CO-RE relocation byte_off of struct s (type 5, access 0:7) at byte 0x8: \
                    access string '0:7' does not fit the program's own type: no such member";
    assert_eq!(error, expected);
}

#[test]
fn types_match_as_the_table_says() {
    let leaf = |types: &mut Types, what: &str| match what {
        "int" => types.int,
        "u32" => types.u32,
        "u64" => types.u64,
        "ptr to s" => {
            let inner = types.composite("inner", 4, &[("x", types.int, 0)]);
            types.builder.reference(Kind::Ptr, "", inner).unwrap()
        }
        "ptr to other s" => {
            let inner = types.composite("inner", 8, &[("y", types.u64, 0)]);
            types.builder.reference(Kind::Ptr, "", inner).unwrap()
        }
        "ptr to fwd" => {
            let inner = types.builder.forward(Kind::Struct, "inner").unwrap();
            types.builder.reference(Kind::Ptr, "", inner).unwrap()
        }
        "ptr to union" => {
            let inner = types.builder.forward(Kind::Union, "inner").unwrap();
            types.builder.reference(Kind::Ptr, "", inner).unwrap()
        }
        "s" => types.composite("inner", 4, &[("x", types.int, 0)]),
        "larger s" => types.composite("inner", 8, &[("y", types.u32, 0), ("x", types.int, 4)]),
        "array of 2" => types.array(types.int, 2),
        "array of 3" => types.array(types.int, 3),
        "enum" => types.enumeration("e", &[("A", 0)]),
        "larger enum" => types.enumeration("e", &[("B", 0), ("A", 5)]),
        _ => unreachable!("{what}"),
    };
    let object = |what: &str| {
        types(|types| {
            let ty = leaf(types, what);
            let constant = types.builder.reference(Kind::Const, "", ty).unwrap();
            types.composite("s", 32, &[("a", constant, 0)])
        })
    };
    let rows = [
        ("int", "int", 1),
        ("int", "u32", 0),
        ("u32", "u64", 0),
        ("ptr to s", "ptr to other s", 1),
        ("ptr to s", "ptr to fwd", 1),
        ("ptr to fwd", "ptr to s", 1),
        ("ptr to s", "ptr to union", 0),
        ("ptr to fwd", "ptr to union", 0),
        ("ptr to s", "u64", 0),
        ("s", "larger s", 1),
        ("larger s", "s", 0),
        ("array of 2", "array of 2", 1),
        ("array of 2", "array of 3", 0),
        ("enum", "larger enum", 1),
        ("larger enum", "enum", 0),
        ("enum", "u32", 0),
    ];
    for (local, target, expected) in rows {
        let ((own, root), (theirs, _)) = (object(local), object(target));
        assert_eq!(patched((&own, root), &theirs, (TypeMatches, "0"), 1), Ok(expected), "{local} against {target}");
        assert_eq!(patched((&own, root), &theirs, (TypeExists, "0"), 1), Ok(1));
    }
}

#[test]
fn prototypes_exist_and_match_by_their_parameters() {
    let object = |build: fn(&mut Types) -> Vec<TypeId>| {
        types(|types| {
            let params = build(types);
            let params: Vec<_> = params.into_iter().map(|ty| Param { name: "", ty }).collect();
            let proto = types.builder.prototype(types.int, &params).unwrap();
            types.builder.reference(Kind::Typedef, "f", proto).unwrap()
        })
    };
    let (one, root) = object(|types| vec![types.int]);
    let (same, _) = object(|types| vec![types.u64]);
    let (more, _) = object(|types| vec![types.int, types.int]);
    let (pointer, _) = object(|types| vec![types.pointer]);
    let get = |target: &Btf, kind| patched((&one, root), target, (kind, "0"), 1).unwrap();
    assert_eq!((get(&one, TypeExists), get(&one, TypeMatches)), (1, 1));
    assert_eq!((get(&same, TypeExists), get(&same, TypeMatches)), (1, 0));
    assert_eq!((get(&more, TypeExists), get(&more, TypeMatches)), (0, 0));
    assert_eq!((get(&pointer, TypeExists), get(&pointer, TypeMatches)), (0, 0));
}

/// Reads a bit-field as programs do: a word of the size and from the offset that CO-RE gives, shifted left and right.
fn read_by_relocations(get: impl Fn(CoreKind) -> i32, bytes: &[u8], endian: Endian) -> i128 {
    let (offset, size) = (get(FieldByteOffset) as usize, get(FieldByteSize) as usize);
    let word = endian.read(&bytes[offset..][..size]) << (get(FieldLshiftU64) as u32);
    let right = get(FieldRshiftU64) as u32;
    if get(FieldSigned) == 1 { i128::from(word as i64 >> right) } else { i128::from(word >> right) }
}

#[test]
fn bit_fields_are_read_by_the_numbers_that_relocations_give() {
    let mut random = Random(0xb175);
    let bytes: Vec<u8> = (0..24).map(|_| random.next() as u8).collect();
    let (mut read, mut impossible) = (0, 0);
    for _ in 0..1500 {
        let int = [U8, I32, U32, U64][random.below(4)];
        let bits = 1 + random.below(int.bits as usize) as u8;
        let offset = random.below(192 - int.bits as usize) as u32;
        let object = |bit_offset| {
            types(|types| {
                let ty = types.builder.int("t", int).unwrap();
                let member = Member { name: "a", ty, bit_offset, bits: Some(bits) };
                types.builder.composite(Kind::Struct, "s", 24, &[member]).unwrap()
            })
        };
        let ((local, root), (target, there)) = (object(0), object(offset));
        for endian in [Endian::Little, Endian::Big] {
            let fits = std::cell::Cell::new(true);
            let get = |kind| {
                let mut code = vec![0xb7, 1, 0, 0, 0, 0, 0, 0];
                // The sign and the right shift of the program's own type are checked, the rest may be anything.
                let own = if kind == FieldSigned { u64::from(int.encoding) } else { 64 - u64::from(bits) };
                endian.write(&mut code[4..], own);
                match apply_in(endian, (&local, root), &target, (kind, "0:0"), &mut code) {
                    Ok(_) => endian.read(&code[4..]) as i32,
                    Err(CoreProblem::BitField { .. }) => {
                        fits.set(false);
                        if kind == FieldByteSize { 8 } else { 0 }
                    }
                    Err(problem) => panic!("{problem}"),
                }
            };
            let number = read_by_relocations(get, &bytes, endian);
            if !fits.get() {
                impossible += 1;
                continue;
            }
            read += 1;
            let value = target.value(there, &bytes, endian).unwrap();
            let expected = match value.field("a").unwrap() {
                value::Value::Signed(number) => *number,
                value::Value::Unsigned(number) => *number as i128,
                other => panic!("{other}"),
            };
            assert_eq!(number, expected, "{bits} bits at {offset} of {int:?}, {endian:?}");
        }
    }
    assert!(read > 2000 && impossible > 20, "{read} and {impossible}");
}

#[test]
fn types_that_stand_for_very_many_members_are_refused_in_time() {
    let (local, root) = types(|types| types.composite("s", 4, &[("a", types.int, 0)]));
    let (target, _) = types(|types| {
        let mut inner = types.composite("", 0, &[]);
        for _ in 0..40 {
            inner = types.composite("", 0, &[("", inner, 0), ("", inner, 0)]);
        }
        types.composite("s", 4, &[("", inner, 0)])
    });
    assert_eq!(patched((&local, root), &target, (FieldExists, "0:0"), 1), Err(CoreProblem::TooDeep));
    let object = || {
        types(|types| {
            let mut inner = types.composite("inner", 0, &[]);
            for number in 0..60 {
                inner = types.composite(&format!("level{number}"), 0, &[("l", inner, 0), ("r", inner, 0)]);
            }
            types.composite("s", 4, &[("a", inner, 0)])
        })
    };
    let (deep, root) = object();
    assert_eq!(patched((&deep, root), &deep, (TypeMatches, "0"), 1), Err(CoreProblem::TooDeep));
}

#[test]
fn mutated_types_and_relocations_never_panic() {
    let source = include_str!("core/kinds.c");
    let Some(object) = compile("bpfel", source) else { return };
    let (types, records) = (section(&object, ".BTF"), section(&object, ".BTF.ext"));
    let good = Btf::read(&types).unwrap();
    let code = section(&object, "raw_tp/sys_enter");
    let mut random = Random(0xc07e);
    let (mut applied, mut refused) = (0, 0);
    for _ in 0..4_000 {
        let (types, target) = (mutate(&types, &mut random), mutate(&types, &mut random));
        let records = if random.below(2) == 0 { mutate(&records, &mut random) } else { records.clone() };
        let local = Btf::read(&types).unwrap_or_else(|_| good.clone());
        let target = Btf::read(&target).unwrap_or_else(|_| good.clone());
        let Ok(ext) = BtfExt::read(&records, &local) else { continue };
        let target = Target::new(&target);
        let mut relocator = Relocator::new(&local, &target);
        for info in ext.sections.values() {
            let mut code = if random.below(2) == 0 { mutate(&code, &mut random) } else { code.clone() };
            for relo in &info.relos {
                match relocator.apply(&mut code, [Endian::Little, Endian::Big][random.below(2)], relo) {
                    Ok(_) => applied += 1,
                    Err(error) => refused += usize::from(!error.to_string().is_empty()),
                }
            }
        }
    }
    assert!(applied > 1000 && refused > 1000, "{applied} applied, {refused} refused");
}
