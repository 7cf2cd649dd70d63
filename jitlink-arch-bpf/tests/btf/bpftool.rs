//! What bpftool sees in the same bytes, and what it makes of several objects.

use crate::kit::*;
use crate::read::EVERY_KIND;
use jitlink_arch_bpf::btf::merge::{Layout, merge};
use jitlink_arch_bpf::btf::*;

/// The lines `[1] INT 'int' …` that bpftool prints about types, as number, kind and name.
fn dump(bytes: &[u8]) -> Option<Vec<(u32, String, String)>> {
    let folder = scratch();
    let file = folder.path().join("types.btf");
    std::fs::write(&file, bytes).unwrap();
    let output = tool(&["bpftool"], |command| command.args(["btf", "dump", "file"]).arg(&file))?;
    assert!(output.status.success(), "bpftool: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let types = text.lines().filter_map(|line| {
        let (number, rest) = line.strip_prefix('[')?.split_once("] ")?;
        let (kind, rest) = rest.split_once(' ')?;
        let name = match rest.strip_prefix('\'') {
            Some(quoted) => quoted.split('\'').next()?,
            None => "(anon)",
        };
        Some((number.parse().ok()?, kind.to_owned(), name.to_owned()))
    });
    Some(types.collect())
}

fn ours(btf: &Btf) -> Vec<(u32, String, String)> {
    let name = |ty: &Type<'_>| if ty.name().is_empty() { "(anon)".to_owned() } else { ty.name().to_owned() };
    btf.types().map(|ty| (ty.id().0, ty.kind().to_string(), name(&ty))).collect()
}

#[test]
fn bpftool_sees_the_same_types() {
    let Some(object) = compile("bpfel", EVERY_KIND) else { return };
    let bytes = section(&object, ".BTF");
    let Some(expected) = dump(&bytes) else { return };
    assert_eq!(ours(&Btf::read(&bytes).unwrap()), expected);
    let Some(bytes) = kernel_bytes() else { return };
    let Some(expected) = dump(&bytes) else { return };
    assert_eq!(ours(&Btf::read(&bytes).unwrap()), expected);
}

struct Nowhere;

impl Layout for Nowhere {
    fn place(&self, _object: usize, _section: &str, _name: &str) -> Option<(u32, u32)> {
        None
    }
}

const SHARED: &str = "
    #define SEC(name) __attribute__((section(name), used))
    struct leaf; struct other;
    struct node { struct node *next; struct leaf *leaf; struct other *other; int (*call)(struct node *, long); };
    typedef struct node node_t; enum color { RED, GREEN }; union either { int i; node_t *n; };
    struct pair { node_t first; enum color color; union either either; char name[16]; };
";
const FIRST: &str = "
    struct leaf { struct node *owner; struct { int a; long b; } inner; };
    int read_leaf(struct leaf *leaf) { return leaf->inner.a; }
    SEC(\"xdp\") int one(struct pair *pair) { return pair->first.leaf->inner.a + read_leaf(pair->first.leaf); }
";
const SECOND: &str = "
    struct other { struct pair *pairs[4]; const volatile node_t *nodes; };
    extern int read_leaf(struct leaf *leaf);
    SEC(\"tc\") int two(struct pair *pair) { return pair->first.other->pairs[1]->color + read_leaf(pair->first.leaf); }
";

/// Kinds, names, sizes and numbers of parts of the types that are no functions, variables or sections, in order.
fn outline(btf: &Btf) -> Vec<(Kind, String, Option<u32>, usize)> {
    let plain = |ty: &Type<'_>| !matches!(ty.kind(), Kind::Func | Kind::Var | Kind::Datasec);
    let mut outline: Vec<_> =
        btf.types().filter(plain).map(|ty| (ty.kind(), ty.name().to_owned(), ty.size(), ty.len())).collect();
    outline.sort();
    outline
}

#[test]
fn merged_types_are_those_that_bpftool_leaves() {
    let compiled = [FIRST, SECOND].map(|own| compile("bpfel", &format!("{SHARED}{own}")));
    let objects: Option<Vec<Vec<u8>>> = compiled.into_iter().collect();
    let Some(objects) = objects else { return };
    let folder = scratch();
    let files = [folder.path().join("a.o"), folder.path().join("b.o")];
    for (file, object) in files.iter().zip(&objects) {
        std::fs::write(file, object).unwrap();
    }
    let linked = folder.path().join("linked.o");
    let Some(output) = tool(&["bpftool"], |command| command.args(["gen", "object"]).arg(&linked).args(&files)) else {
        return;
    };
    assert!(output.status.success(), "bpftool: {}", String::from_utf8_lossy(&output.stderr));
    let theirs = btf_of(&std::fs::read(&linked).unwrap());
    let types: Vec<Btf> = objects.iter().map(|object| btf_of(object)).collect();
    let merged = merge(&types.iter().collect::<Vec<_>>(), &Nowhere).unwrap();
    assert!(merged.conflicts.is_empty());
    let ours = merged.builder.finish().unwrap();
    assert_eq!(outline(&ours), outline(&theirs));
    let functions =
        |btf: &Btf| btf.types().filter(|ty| ty.kind() == Kind::Func).map(|ty| ty.name().to_owned()).collect::<Vec<_>>();
    let (mut own, mut other) = (functions(&ours), functions(&theirs));
    own.sort();
    other.sort();
    assert_eq!(own, other);
}

#[test]
fn ten_thousand_functions_are_merged() {
    let object = |from: usize| {
        let mut builder = BtfBuilder::new();
        let int = builder.int("int", Int { size: 4, bits: 32, offset: 0, encoding: 1 }).unwrap();
        for number in from..from + 10_000 {
            let member = Member { name: "a", ty: int, bit_offset: 0, bits: None };
            let own = builder.composite(Kind::Struct, &format!("s{number}"), 4, &[member]).unwrap();
            let pointer = builder.reference(Kind::Ptr, "", own).unwrap();
            let proto = builder.prototype(int, &[Param { name: "p", ty: pointer }]).unwrap();
            builder.function(&format!("f{number}"), proto, Linkage::Global).unwrap();
        }
        builder.finish().unwrap()
    };
    let objects = [object(0), object(5_000)];
    let start = std::time::Instant::now();
    let merged = merge(&[&objects[0], &objects[1]], &Nowhere).unwrap();
    println!("merged in {:?}", start.elapsed());
    assert_eq!(merged.builder.finish().unwrap().len(), 1 + 15_000 * 4);
}
