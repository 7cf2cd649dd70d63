//! Reading, checking and writing.

use crate::kit::*;
use jitlink_arch_bpf::btf::*;
use jitlink_core::Endian;

/// A source with every kind that clang writes.
pub(crate) const EVERY_KIND: &str = r#"
#define SEC(name) __attribute__((section(name), used))
#define tag(text) __attribute__((btf_type_tag(text)))
typedef unsigned long long u64;
struct later;
union either;
enum small { ZERO, ONE, MINUS = -1 };
enum wide { BIG = 0x123456789abcULL };
struct inner { char text[8]; _Bool yes; };
struct outer {
    int number; unsigned low : 3; signed high : 29; u64 wide;
    struct inner inner; union { int a; float b; double c; };
    struct later *later; union either *either; const volatile int *restrict pointer;
    int tag("user") *tagged; enum small small; enum wide big; struct outer *next; int flexible[];
};
extern int elsewhere(struct outer *, ...) SEC(".ksyms");
extern int config SEC(".kconfig");
int global_number = 7;
static volatile int hidden_number;
const char constant[] = "text";
struct outer tagged_struct __attribute__((btf_decl_tag("a tag"))) ;
__attribute__((noinline)) int helper(struct outer *o, u64 (*call)(int, const char *)) { return o->number + (int)call(1, "x"); }
static u64 callback(int a, const char *b) { return a + *b; }
SEC("xdp") int program(void *context) {
    return helper(&tagged_struct, callback) + elsewhere(&tagged_struct) + config + hidden_number + global_number + constant[1];
}
"#;

fn header(types: u32, strings: u32) -> Vec<u8> {
    let mut bytes = vec![0x9f, 0xeb, 1, 0];
    for word in [24, 0, types, types, strings] {
        bytes.extend_from_slice(&u32::to_le_bytes(word));
    }
    bytes
}

/// BTF of raw words and the strings `\0a\0b\0`.
fn raw(words: &[u32]) -> Result<Btf, BtfError> {
    let strings = b"\0a\0b\0";
    let mut bytes = header(words.len() as u32 * 4, strings.len() as u32);
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    bytes.extend_from_slice(strings);
    Btf::read(&bytes)
}

const fn info(kind: Kind, count: u32) -> u32 {
    (kind as u32) << 24 | count
}

const INT: [u32; 4] = [1, info(Kind::Int, 0), 4, 0x0100_0020];

fn with_int(words: &[u32]) -> Result<Btf, BtfError> {
    raw(&[&INT, words].concat())
}

#[test]
fn every_kind_of_a_compiler_is_read_and_written_in_both_orders() {
    for (target, endian) in [("bpfel", Endian::Little), ("bpfeb", Endian::Big)] {
        let Some(object) = compile(target, EVERY_KIND) else { return };
        let bytes = section(&object, ".BTF");
        let btf = Btf::read(&bytes).unwrap();
        assert_eq!(Btf::endian(&bytes), Ok(endian));
        assert_eq!(btf.to_bytes(endian), bytes);
        let other = if endian == Endian::Little { Endian::Big } else { Endian::Little };
        let again = Btf::read(&btf.to_bytes(other)).unwrap();
        assert_eq!(again.to_bytes(endian), bytes);
        for kind in Kind::ALL {
            assert!(btf.types().any(|ty| ty.kind() == kind), "{target}: no {kind}");
        }
        let outer = btf.find_by_name_kind("outer", Kind::Struct).unwrap();
        let high = outer.members().find(|member| member.name == "high").unwrap();
        assert_eq!(high.bits, Some(29));
        assert_eq!(outer.size(), Some(96));
        assert_eq!(btf.align_of(outer.id()), Ok(8));
        let inner = outer.members().find(|member| member.name == "inner").unwrap();
        assert_eq!((btf.size_of(inner.ty), btf.align_of(inner.ty)), (Ok(9), Ok(1)));
        let wide = btf.find_by_name_kind("wide", Kind::Enum64).unwrap();
        assert_eq!(wide.enumerators().next().unwrap(), Enumerator { name: "BIG", value: 0x1234_5678_9abc });
        let small = btf.find_by_name_kind("small", Kind::Enum).unwrap();
        assert_eq!(small.enumerators().last().unwrap().value, u64::MAX);
        let helper = btf.find_by_name_kind("helper", Kind::Func).unwrap();
        assert_eq!(helper.linkage(), Some(Linkage::Global));
        let proto = btf.ty(helper.target().unwrap()).unwrap();
        assert_eq!(proto.params().map(|param| param.name).collect::<Vec<_>>(), ["o", "call"]);
    }
}

#[test]
fn the_types_of_the_kernel_are_read_and_written_as_they_are() {
    let Some(bytes) = kernel_bytes() else { return };
    let start = std::time::Instant::now();
    let btf = Btf::read(&bytes).unwrap();
    println!("{} types in {:?}", btf.len(), start.elapsed());
    assert_eq!(btf.to_bytes(Btf::endian(&bytes).unwrap()), bytes);
    let task = btf.find_by_name_kind("task_struct", Kind::Struct).unwrap();
    assert!(task.members().any(|member| member.name == "pid"));
}

#[test]
fn headers_that_do_not_fit_are_refused() {
    let good = raw(&INT).unwrap().to_bytes(Endian::Little);
    for length in 0..good.len() {
        Btf::read(&good[..length]).expect_err("truncated");
    }
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        Btf::read(&bytes).unwrap_err()
    };
    assert_eq!(with(0, 0), BtfError::Magic(0xeb00));
    assert_eq!(with(2, 2), BtfError::Version { version: 2, flags: 0 });
    assert_eq!(with(3, 1), BtfError::Version { version: 1, flags: 1 });
    assert!(matches!(with(4, 23), BtfError::Range { length: 23, .. }));
    assert_eq!(with(8, 1), BtfError::Misaligned { offset: 1, length: 16 });
    assert!(matches!(with(12, 0xff), BtfError::Range { what: "types", length: 0xff, .. }));
    assert!(matches!(with(20, 0xff), BtfError::Range { what: "strings", length: 0xff, .. }));
    assert_eq!(with(20, 0), BtfError::Strings { length: 0 });
    assert_eq!(with(24 + 16, b'x'), BtfError::Strings { length: 5 });
}

#[test]
fn records_that_lie_are_refused() {
    let id = TypeId(2);
    let refused = |words: &[u32]| with_int(words).unwrap_err();
    assert_eq!(refused(&[0, 0, 0]), BtfError::Info { id, info: 0 });
    assert_eq!(refused(&[0, 20 << 24, 0]), BtfError::Info { id, info: 20 << 24 });
    let bits = info(Kind::Ptr, 0) | 1 << 16;
    assert_eq!(refused(&[0, bits, 0]), BtfError::Info { id, info: bits });
    let flag = info(Kind::Ptr, 0) | 1 << 31;
    assert_eq!(refused(&[0, flag, 0]), BtfError::Info { id, info: flag });
    let parts = info(Kind::Ptr, 1);
    assert_eq!(refused(&[0, parts, 0]), BtfError::Info { id, info: parts });
    let short = BtfError::TruncatedType { id, kind: Kind::Struct, needed: 6, available: 5 };
    assert_eq!(refused(&[0, info(Kind::Struct, 1), 4, 1, 1]), short);
    let name = BtfError::Name { id, kind: Kind::Ptr, offset: 5, length: 5 };
    assert_eq!(refused(&[5, info(Kind::Ptr, 0), 1]), name);
    let missing = |kind, to| BtfError::Reference { id, kind, to: TypeId(to), found: None, count: 2 };
    assert_eq!(refused(&[0, info(Kind::Ptr, 0), 3]), missing(Kind::Ptr, 3));
    assert_eq!(refused(&[0, info(Kind::Array, 0), 0, 9, 1, 1]), missing(Kind::Array, 9));
    assert_eq!(refused(&[0, info(Kind::Array, 0), 0, 1, 9, 1]), missing(Kind::Array, 9));
    assert_eq!(refused(&[0, info(Kind::Struct, 1), 4, 1, 9, 0]), missing(Kind::Struct, 9));
    assert_eq!(refused(&[0, info(Kind::FuncProto, 1), 0, 1, 9]), missing(Kind::FuncProto, 9));
    let kind = |kind, to| BtfError::Reference { id, kind, to: TypeId(to), found: Some(Kind::Int), count: 2 };
    assert_eq!(refused(&[1, info(Kind::Func, 0), 1]), kind(Kind::Func, 1));
    assert_eq!(refused(&[1, info(Kind::Datasec, 1), 4, 1, 0, 4]), kind(Kind::Datasec, 1));
    for words in [
        &[1, info(Kind::Int, 0), 0, 0][..],
        &[1, info(Kind::Int, 0), 17, 0],
        &[1, info(Kind::Int, 0), 4, 33],
        &[1, info(Kind::Int, 0), 4, 0x0001_0020],
        &[1, info(Kind::Int, 0), 4, 0x1000_0020],
        &[1, info(Kind::Float, 0), 3],
        &[1, info(Kind::Enum, 0), 3],
        &[1, info(Kind::Var, 0), 1, 3],
        &[1, info(Kind::DeclTag, 0), 1, 0],
    ] {
        assert!(matches!(refused(words), BtfError::Value { id: TypeId(2), .. }), "{words:?}");
    }
}

#[test]
fn members_and_arrays_have_to_fit() {
    let id = TypeId(2);
    let member = |offset, bits, size| BtfError::Member { id, member: 0, offset, bits, size };
    assert_eq!(with_int(&[0, info(Kind::Struct, 1), 4, 1, 1, 1]).unwrap_err(), member(1, 32, 4));
    assert_eq!(with_int(&[0, info(Kind::Union, 1), 3, 1, 1, 0]).unwrap_err(), member(0, 32, 3));
    let flag = 1 << 31;
    assert_eq!(with_int(&[0, info(Kind::Struct, 1) | flag, 4, 1, 1, 30 | 3 << 24]).unwrap_err(), member(30, 3, 4));
    let bits = with_int(&[0, info(Kind::Struct, 1) | flag, 4, 1, 1, 29 | 3 << 24]).unwrap();
    assert_eq!(
        bits.ty(id).unwrap().member(0).unwrap(),
        Member { name: "a", ty: TypeId(1), bit_offset: 29, bits: Some(3) }
    );
    let huge = with_int(&[0, info(Kind::Array, 0), 0, 1, 1, 0x4000_0000]).unwrap_err();
    assert!(matches!(huge, BtfError::Value { kind: Kind::Array, .. }), "{huge}");
    let largest = with_int(&[0, info(Kind::Array, 0), 0, 1, 1, 0x3fff_ffff]).unwrap();
    assert_eq!(largest.size_of(id), Ok(0xffff_fffc));
}

#[test]
fn types_that_contain_themselves_are_refused() {
    let cycle = |words: &[u32]| assert!(matches!(raw(words).unwrap_err(), BtfError::Cycle { .. }), "{words:?}");
    cycle(&[1, info(Kind::Typedef, 0), 1]);
    cycle(&[0, info(Kind::Const, 0), 2, 0, info(Kind::Volatile, 0), 1]);
    cycle(&[1, info(Kind::Typedef, 0), 2, 0, info(Kind::Ptr, 0), 1]);
    cycle(&[0, info(Kind::Array, 0), 0, 1, 1, 0]);
    cycle(&[1, info(Kind::Struct, 1), 0, 1, 1, 0]);
    cycle(&[1, info(Kind::Struct, 1), 0, 1, 2, 0, 1, info(Kind::Typedef, 0), 1]);
    cycle(&[1, info(Kind::Struct, 1), 0, 1, 2, 0, 1, info(Kind::Union, 1), 0, 1, 1, 0]);
    // A section that lists a variable of its own type.
    cycle(&[1, info(Kind::Datasec, 1), 8, 2, 0, 8, 1, info(Kind::Var, 0), 1, 1]);
    // A list is no cycle: a pointer comes between.
    raw(&[1, info(Kind::Struct, 1), 8, 1, 2, 0, 0, info(Kind::Ptr, 0), 1]).unwrap();
    let long = |length: u32| {
        raw(&(1..=length).flat_map(|id| [1, info(Kind::Typedef, 0), (id + 1) % (length + 1)]).collect::<Vec<_>>())
    };
    long(255).unwrap();
    assert!(matches!(long(300).unwrap_err(), BtfError::TooLarge { .. }));
    let nest = |length: u32| {
        let level = |id: u32| [1, info(Kind::Struct, 1), 0, 1, (id + 1) % (length + 1), 0];
        raw(&(1..=length).flat_map(level).collect::<Vec<_>>())
    };
    nest(255).unwrap();
    assert!(matches!(nest(300).unwrap_err(), BtfError::TooLarge { .. }));
}

/// Asks everything that can be asked of every type.
pub(crate) fn ask(btf: &Btf) {
    for ty in btf.types() {
        let parts = ty.members().len() + ty.enumerators().len() + ty.params().len() + ty.section_vars().len();
        assert!(parts == ty.len() || ty.kind() == Kind::Func);
        let _ = (ty.int(), ty.array(), ty.linkage(), ty.component(), ty.size(), ty.name());
        let _ = (btf.size_of(ty.id()), btf.align_of(ty.id()));
        let resolved = btf.resolve(ty.id()).unwrap();
        assert!(!resolved.kind().is_modifier() && resolved.kind() != Kind::Typedef);
    }
}

#[test]
fn mutated_bytes_are_refused_or_consistent() {
    let Some(object) = compile("bpfel", EVERY_KIND) else { return };
    let bytes = section(&object, ".BTF");
    let mut random = Random(0x5eed);
    let mut accepted = 0;
    for _ in 0..20_000 {
        let mutated = mutate(&bytes, &mut random);
        if let Ok(btf) = Btf::read(&mutated) {
            accepted += 1;
            ask(&btf);
            let written = btf.to_bytes(Endian::Little);
            assert_eq!(Btf::read(&written).unwrap().to_bytes(Endian::Little), written);
        }
    }
    assert!(accepted > 1000, "only {accepted} of the mutations were accepted");
}

/// The types of [`EVERY_KIND`] that GCC 12 knows.
const FOR_GCC: &str = r#"
#define SEC(name) __attribute__((section(name), used))
typedef unsigned long long u64;
struct later;
enum small { ZERO, ONE, MINUS = -1 };
struct inner { char text[8]; _Bool yes; };
struct outer {
    int number; unsigned low : 3; signed high : 29; u64 wide;
    struct inner inner; union { int a; float b; double c; };
    struct later *later; const volatile int *restrict pointer; enum small small; struct outer *next; int flexible[];
};
int global_number = 7;
static volatile int hidden_number;
const char constant[] = "text";
SEC("xdp") int program(void *context) {
    struct outer *o = context;
    return hidden_number + global_number + constant[1] + __builtin_preserve_access_index(o->wide);
}
"#;

#[test]
fn objects_of_gcc_are_read_and_written() {
    let folder = scratch();
    let (input, output) = (folder.path().join("input.c"), folder.path().join("output.o"));
    std::fs::write(&input, FOR_GCC).unwrap();
    let flags = ["-gbtf", "-mco-re", "-O2", "-c"];
    let run = tool(&["bpf-gcc", "bpf-unknown-none-gcc"], |gcc| gcc.args(flags).arg(&input).arg("-o").arg(&output));
    let Some(result) = run else { return };
    assert!(result.status.success(), "gcc: {}", String::from_utf8_lossy(&result.stderr));
    let object = std::fs::read(&output).unwrap();
    let (bytes, records) = (section(&object, ".BTF"), section(&object, ".BTF.ext"));
    let btf = Btf::read(&bytes).unwrap();
    assert_eq!(btf.to_bytes(Endian::Little), bytes);
    let outer = btf.find_by_name_kind("outer", Kind::Struct).unwrap();
    assert_eq!(outer.size(), Some(72));
    let ext = ext::BtfExt::read(&records, &btf).unwrap();
    let [relo] = ext.section("xdp").unwrap().relos[..] else { panic!("{ext:?}") };
    assert_eq!((relo.ty, btf.name(relo.access)), (outer.id(), "0:3"));
}

#[test]
fn split_types_go_on_where_their_base_ends() {
    for endian in [Endian::Little, Endian::Big] {
        let mut builder = BtfBuilder::new();
        let int = builder.int("int", Int { size: 4, bits: 32, offset: 0, encoding: 1 }).unwrap();
        let base = builder.finish().unwrap();
        let bytes = base.to_bytes(endian);
        let strings = u32::from_le_bytes(base.to_bytes(Endian::Little)[20..24].try_into().unwrap());
        // struct own { int int; }, whose number is 2; its pointer, 3. The member's name is the base's.
        let words = [strings, info(Kind::Struct, 1), 4, 1, int.0, 0, 0, info(Kind::Ptr, 0), 2];
        let number = |word: u32| if endian == Endian::Little { word.to_le_bytes() } else { word.to_be_bytes() };
        let mut split = bytes[..4].to_vec();
        split.extend([24, 0, 36, 36, 4].into_iter().chain(words).flat_map(number));
        split.extend(b"own\0");
        let whole = Btf::read_split(&split, &base).unwrap();
        let own = whole.find_by_name_kind("own", Kind::Struct).unwrap();
        assert_eq!((whole.len(), own.id(), own.member(0).unwrap().name), (3, TypeId(2), "int"));
        assert_eq!(whole.ty(TypeId(3)).unwrap().target(), Some(own.id()));
        // Alone it is refused, and every mutation of it ends in an error or in types.
        assert_eq!(Btf::read(&split).unwrap_err(), BtfError::Strings { length: 4 });
        assert!(Btf::read_split(&split, &Btf::default()).is_err());
        for at in 0..split.len() {
            for bit in 0..8 {
                let mut changed = split.clone();
                changed[at] ^= 1 << bit;
                _ = Btf::read_split(&changed, &base);
            }
            assert!(Btf::read_split(&split[..at], &base).is_err(), "{at}");
        }
        // A module without types of its own has nothing at all.
        let empty: Vec<u8> = bytes[..4].iter().copied().chain([24, 0, 0, 0, 0].into_iter().flat_map(number)).collect();
        assert_eq!(Btf::read_split(&empty, &base).unwrap().len(), 1);
    }
}
