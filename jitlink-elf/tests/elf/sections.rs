//! Which sections are read, as what, and what ties them together.

use crate::builder::*;
use crate::toy::{self, error, ok, pointer};
use jitlink_core::LinkError;
use jitlink_core::graph::{
    BlockId, Content, InitStage, Initialisers, LinkGraph, Merge, Protection, Residence, Role, Section, SymbolId, Value,
};

fn one(shape: Shape, section: Sec) -> Elf {
    let mut object = Elf::new(shape);
    object.add(section);
    object
}

/// The sections of an object, found by name.
fn section<'g>(graph: &'g LinkGraph<'static>, name: &str) -> &'g Section<'static> {
    let found = graph.sections().find(|(_, section)| section.name == name.as_bytes());
    found.unwrap_or_else(|| panic!("no {name}")).1
}

fn names(graph: &LinkGraph<'_>) -> Vec<String> {
    graph.sections().map(|(_, section)| section.name_lossy()).collect()
}

#[test]
fn flags_decide_protection_role_and_place() {
    for shape in SHAPES {
        let mut object = Elf::new(shape);
        object.add(Sec::new(".text", PROGBITS, A | X, [0xc3]));
        object.add(Sec::new(".rodata", PROGBITS, A, [1]));
        object.add(Sec::new(".data", PROGBITS, A | W, [1]));
        object.add(Sec::new(".tdata", PROGBITS, A | W | TLS, [1]));
        object.add(Sec::new(".tbss", NOBITS, A | W | TLS, []).size(64));
        object.add(Sec::new("my_set", PROGBITS, A | W | RETAIN, [1]));
        object.add(Sec::new(".note.mine", NOTE, A, [0; 12]));
        object.add(Sec::new(".empty", PROGBITS, A | W | X, []));
        let graph = ok(&object);
        let protections: Vec<_> = graph.sections().map(|(_, section)| section.protection).collect();
        let (x, r, w) = (Protection::ReadExecute, Protection::Read, Protection::ReadWrite);
        assert_eq!(protections, [x, r, w, w, w, w, r, x]);
        let roles: Vec<_> = graph.sections().map(|(_, section)| section.role == Role::ThreadLocal).collect();
        assert_eq!(roles, [false, false, false, true, true, false, false, false]);
        assert!(graph.sections().all(|(_, section)| section.residence == Residence::Near));
        assert!(section(&graph, "my_set").gathered && section(&graph, "my_set").retain);
        assert!(!section(&graph, ".data").gathered && !section(&graph, ".data").retain);
        assert!(matches!(graph.block(BlockId::new(4)).content, Content::Zero(64)));
        assert_eq!(graph.block(BlockId::new(7)).size(), 0);
    }
}

#[test]
fn large_sections_are_far_on_x86_64_only() {
    let mut object = one(LITTLE64, Sec::new(".lbss", NOBITS, A | W | 0x1000_0000, []).size(1 << 33));
    object.machine = toy::X86_64;
    assert_eq!(section(&ok(&object), ".lbss").residence, Residence::Far);
    object.machine = toy::MACHINE;
    assert!(error(&object).contains(".lbss+0x0: a loaded section with unknown flags 0x10000000"), "{}", error(&object));
}

#[test]
fn what_speaks_to_linkers_only_is_left_out() {
    let mut object = Elf::new(LITTLE64);
    for (name, kind, flags) in [
        (".comment", PROGBITS, MERGE | STRINGS),
        (".debug_info", PROGBITS, 0),
        (".note.GNU-stack", PROGBITS, 0),
        (".note.gnu.property", NOTE, A),
        (".llvm_addrsig", 0x6fff_4c03, EXCLUDE),
        (".llvm.call-graph-profile", 0x6fff_4c09, EXCLUDE),
        (".deplibs", 0x6fff_4c04, MERGE | STRINGS),
        (".gnu.lto_.decls", PROGBITS, EXCLUDE | A),
        (".attributes", 0x7000_0003, 0),
    ] {
        object.add(Sec::new(name, kind, flags, [0]).entry(1));
    }
    // Zeroes that nobody sees are not made, however many.
    object.add(Sec::new(".debug_line", NOBITS, 0, []).size(1 << 40));
    assert!(names(&ok(&object)).is_empty());
    let graph = toy::read_debug(&object.write()).unwrap();
    assert_eq!(names(&graph), [".comment", ".debug_info", ".attributes"]);
    assert!(graph.sections().all(|(_, section)| section.residence == Residence::Unloaded));
    assert_eq!(section(&graph, ".debug_info").role, Role::Debug);
    assert_eq!(section(&graph, ".comment").merge, Some(Merge::Strings(1)));
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    let check = |section: Sec, message: &str| {
        let error = error(&one(LITTLE64, section));
        assert!(error.starts_with("unsupported: test.o: ") && error.contains(message), "{error}");
    };
    check(Sec::new(".odd", 0x6000_0042, A, [1]), ".odd+0x0: a loaded section of unknown type 0x60000042");
    check(Sec::new(".dynamic", 6, A, [1]), "unknown type 0x6");
    check(Sec::new(".exidx", 0x7000_0001, A, [1]), "unknown type 0x70000001");
    check(Sec::new(".app", 0x8000_0001, A, [1]), "unknown type 0x80000001");
    check(Sec::new(".os", PROGBITS, A | 0x100, [1]), "unknown flags 0x100");
    check(Sec::new(".wx", PROGBITS, A | W | X, [1]), "writable and executable");
    check(Sec::new(".init", PROGBITS, A | X, [0xc3]), ".init+0x0: code that runs as part of a function");
    check(Sec::new(".fini", PROGBITS, A | X, [0xc3]), ".fini");
    check(Sec::new(".relr.dyn", 19, A, [1]), "relocations of section type 0x13");
    let LinkError::Unsupported { advice, .. } =
        toy::read(&one(LITTLE64, Sec::new(".init", PROGBITS, A | X, [0xc3])).write()).unwrap_err()
    else {
        panic!()
    };
    assert!(advice.contains("crti.o") && advice.contains("constructor"), "{advice}");
    ok(&one(LITTLE64, Sec::new(".init", PROGBITS, A | X, [])));
    ok(&one(LITTLE64, Sec::new(".sframe", 0x6fff_fff4, A, [1])));
}

#[test]
fn initialisers_of_every_age_are_known() {
    for shape in SHAPES {
        let size = pointer(shape) as usize;
        let order = |name: &'static str, kind: u32| {
            let graph = ok(&one(shape, Sec::new(name, kind, A | W, vec![0; 2 * size])));
            let section = section(&graph, name);
            assert!(section.retain);
            match section.role {
                Role::Initialisers(Initialisers { stage, priority, backwards }) => (stage, priority, backwards),
                other => panic!("{name}: {other:?}"),
            }
        };
        assert_eq!(order(".init_array", INIT_ARRAY), (InitStage::Init, 65_535, false));
        assert_eq!(order(".init_array.00101", PROGBITS), (InitStage::Init, 101, false));
        assert_eq!(order(".fini_array.200", 15), (InitStage::Fini, 200, true));
        assert_eq!(order(".preinit_array", 16), (InitStage::Preinit, 65_535, false));
        assert_eq!(order(".ctors.65434", PROGBITS), (InitStage::Init, 101, true));
        assert_eq!(order(".dtors", PROGBITS), (InitStage::Fini, 65_535, false));
        let odd = one(shape, Sec::new(".init_array", INIT_ARRAY, A | W, vec![0; size + 1]));
        assert!(error(&odd).contains("no array of pointers"), "{}", error(&odd));
        let zeros = one(shape, Sec::new(".init_array", NOBITS, A | W, []).size(8));
        assert!(error(&zeros).contains("no array of pointers"), "{}", error(&zeros));
        let unloaded = one(shape, Sec::new(".init_array", INIT_ARRAY, 0, vec![0; size]));
        assert!(error(&unloaded).contains("not loaded"), "{}", error(&unloaded));
    }
}

#[test]
fn merging_is_offered_where_the_rules_are_kept() {
    let merge = |section: Sec| ok(&one(LITTLE64, section)).sections().next().unwrap().1.merge;
    let flags = A | MERGE;
    assert_eq!(merge(Sec::new("s", PROGBITS, flags | STRINGS, *b"a\0b\0").entry(1)), Some(Merge::Strings(1)));
    assert_eq!(merge(Sec::new("s", PROGBITS, flags | STRINGS, *b"a\0\0\0").entry(2)), Some(Merge::Strings(2)));
    assert_eq!(merge(Sec::new("s", PROGBITS, flags, [0; 16]).entry(8)), Some(Merge::Constants(8)));
    assert_eq!(merge(Sec::new("s", PROGBITS, flags | STRINGS, []).entry(1)), Some(Merge::Strings(1)));
    for broken in [
        Sec::new("s", PROGBITS, flags | STRINGS, *b"ab").entry(1),
        Sec::new("s", PROGBITS, flags | STRINGS, *b"a\0\x01\0").entry(4),
        Sec::new("s", PROGBITS, flags, [0; 15]).entry(8),
        Sec::new("s", PROGBITS, flags, [0; 16]).entry(0),
        Sec::new("s", PROGBITS, flags | W, [0; 16]).entry(8),
        Sec::new("s", PROGBITS, A, [0; 16]).entry(8),
        Sec::new("s", NOBITS, flags, []).size(16).entry(8),
    ] {
        assert_eq!(merge(broken.clone()), None, "{broken:?}");
    }
    let mut relocated = Elf::new(LITTLE64);
    let target = relocated.add(Sec::new("s", PROGBITS, flags, [0; 16]).entry(8));
    relocated.relocations(RELA, target, &[(0, toy::ABS64, 0, 0)]);
    assert_eq!(ok(&relocated).sections().next().unwrap().1.merge, None);
}

#[test]
fn ordered_sections_live_with_what_they_are_linked_to() {
    for shape in SHAPES {
        let mut object = Elf::new(shape);
        object.add(Sec::new("meta", PROGBITS, A | LINK_ORDER, [1]).link(2));
        object.add(Sec::new(".text.f", PROGBITS, A | X, [0xc3]));
        object.add(Sec::new("loose", PROGBITS, A | LINK_ORDER, [1]));
        let graph = ok(&object);
        let text = graph.sections().nth(1).unwrap().0;
        assert_eq!(section(&graph, "meta").ordered_by, Some(text));
        assert_eq!(section(&graph, "loose").ordered_by, None);
        assert_eq!(graph.dependencies(), [(BlockId::new(1), BlockId::new(0))]);
    }
    let dangling = one(LITTLE64, Sec::new("meta", PROGBITS, A | LINK_ORDER, [1]).link(9));
    assert!(error(&dangling).contains("meta+0x0: malformed: it is ordered by section 9, which is not loaded"));
}

/// A CIE and FDEs for functions at the start of a section, in a shape's byte order: the sizes of the records.
fn unwind(shape: Shape, sizes: &[u32]) -> Vec<u8> {
    let mut out = Writer::new(shape);
    for (index, size) in sizes.iter().enumerate() {
        out.u32(size - 4);
        out.u32(if index == 0 { 0 } else { out.bytes.len() as u32 });
        (8..*size).for_each(|_| out.bytes.push(0));
    }
    out.bytes
}

#[test]
fn unwind_records_are_blocks_of_their_own() {
    for shape in SHAPES {
        for kind in [PROGBITS, 0x7000_0001] {
            let mut object = Elf::new(shape);
            let text = object.add(Sec::new(".text", PROGBITS, A | X, [0; 32]));
            let eh_frame = object.add(Sec::new(".eh_frame", kind, A, unwind(shape, &[24, 20, 28])).align(8));
            let function = object.symbol(Sym::section(text));
            let inside = object.symbol(Sym::local("second", eh_frame, 24));
            let end = object.symbol(Sym::local("end", eh_frame, 72));
            object.relocations(RELA, eh_frame, &[(52, toy::PC32, function, 16), (32, toy::PC32, function, 0)]);
            if kind != PROGBITS {
                if !shape.wide || shape.big {
                    continue;
                }
                object.machine = toy::X86_64;
                object.sections[2].content = {
                    let mut out = Writer::new(shape);
                    for word in [52, u64::from(function) << 32 | 2, 16, 32, u64::from(function) << 32 | 2, 0] {
                        out.u64(word);
                    }
                    out.bytes
                };
            }
            let graph = ok(&object);
            let (id, section) = graph.sections().nth(1).unwrap();
            assert_eq!(section.role, Role::EhFrame);
            let blocks: Vec<_> = graph.blocks_of(id).map(|(_, block)| (block.section_offset, block.size())).collect();
            assert_eq!(blocks, [(0, 24), (24, 20), (44, 28)], "{shape:?}");
            // Eight would leave a gap after the second record, which would read as the end of the section.
            assert!(graph.blocks_of(id).all(|(_, block)| block.align() == 4));
            let value = |symbol: u32| graph.symbol(SymbolId::new(symbol as usize)).value;
            assert_eq!(value(inside), Value::Block { block: BlockId::new(2), offset: 0 });
            assert_eq!(value(end), Value::Block { block: BlockId::new(3), offset: 28 });
            for (block, addend) in [(2, 0), (3, 16)] {
                let edges = graph.edges(BlockId::new(block));
                assert_eq!(edges.len(), 1);
                assert_eq!((edges[0].offset, edges[0].addend), (8, addend));
            }
        }
        let mut cut = unwind(shape, &[24, 20]);
        cut.pop();
        let object = one(shape, Sec::new(".eh_frame", PROGBITS, A, cut));
        assert!(error(&object).contains(".eh_frame+0x18: malformed: an unwind record runs past"), "{}", error(&object));
        assert_eq!(ok(&one(shape, Sec::new(".eh_frame", PROGBITS, A, []))).blocks().len(), 1);
    }
}

#[test]
fn sizes_and_alignments_are_bounded() {
    let zeros = |size, align| one(LITTLE64, Sec::new(".bss", NOBITS, A | W, []).size(size).align(align));
    assert!(error(&zeros(1 << 47, 1)).starts_with("too-large: size of section .bss of test.o"));
    assert!(error(&zeros(u64::MAX, 1)).starts_with("too-large"));
    assert!(error(&zeros(1, 1 << 33)).starts_with("too-large: alignment of section .bss"));
    assert!(error(&zeros(1, 3)).contains("its alignment, 0x3, is no power of two"));
    assert_eq!(ok(&zeros(1, 0)).block(BlockId::new(0)).align(), 1);
    assert_eq!(ok(&zeros(1, 1 << 21)).block(BlockId::new(0)).align(), 1 << 21);
}

#[test]
fn an_object_without_symbols_is_read() {
    for shape in SHAPES {
        let mut object = Elf::new(shape);
        object.with_symbols = false;
        let data = object.add(Sec::new(".data", PROGBITS, A | W, [0; 8]));
        object.relocations(RELA, data, &[(0, toy::ABS32, 0, 5)]);
        let graph = ok(&object);
        assert_eq!(graph.symbols().len(), 1);
        let edge = graph.edges(BlockId::new(0))[0];
        assert_eq!((edge.addend, graph.symbol(edge.target).value), (5, Value::Absolute(0)));
    }
}

#[test]
fn more_sections_than_sixteen_bits_count_are_read() {
    for shape in [LITTLE64, SHAPES[3]] {
        let mut object = Elf::new(shape);
        let count = 0xff00 + 300;
        for _ in 0..count {
            object.add(Sec::new(".text.f", PROGBITS, A | X, [0xc3]));
        }
        let low = object.symbol(Sym::local("low", 1, 0));
        let edge = object.symbol(Sym { special: false, ..Sym::local("edge", 0xff00, 0) });
        // Its number is that of SHN_ABS, but means itself.
        let absolute = object.symbol(Sym { special: false, ..Sym::local("not_absolute", 0xfff1, 1) });
        let high = object.symbol(Sym { special: false, ..Sym::global("high", count, 1) });
        let graph = ok(&object);
        assert_eq!(graph.sections().len(), count as usize);
        for (symbol, section) in [(low, 1), (edge, 0xff00), (absolute, 0xfff1), (high, count)] {
            let Value::Block { block, .. } = graph.symbol(SymbolId::new(symbol as usize)).value else { panic!() };
            assert_eq!(block, BlockId::new(section as usize - 1));
        }
    }
}
