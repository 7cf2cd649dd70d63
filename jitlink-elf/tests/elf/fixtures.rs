//! Objects that compilers wrote, committed beside their sources; and what damage to them does.

use crate::toy;
use jitlink_core::LinkError;
use jitlink_core::graph::{
    InitStage, LinkGraph, Linkage, Merge, Protection, Residence, Role, Scope, Section, Selection, SymbolKind, Value,
};
use std::time::{Duration, Instant};

const FIXTURES: [(&str, &[u8]); 8] = [
    ("x86_64", include_bytes!("../fixtures/x86_64.o")),
    ("x86_64-crel", include_bytes!("../fixtures/x86_64-crel.o")),
    ("i386", include_bytes!("../fixtures/i386.o")),
    ("i386-crel", include_bytes!("../fixtures/i386-crel.o")),
    ("powerpc64", include_bytes!("../fixtures/powerpc64.o")),
    ("debug-zlib", include_bytes!("../fixtures/debug-zlib.o")),
    ("debug-zstd", include_bytes!("../fixtures/debug-zstd.o")),
    ("groups", include_bytes!("../fixtures/groups.o")),
];

pub(crate) fn fixture(name: &str) -> &'static [u8] {
    FIXTURES.iter().find(|fixture| fixture.0 == name).unwrap_or_else(|| panic!("no fixture {name}")).1
}

/// The edges of every block, with what does not depend on how the symbol table is laid out.
fn edges(graph: &LinkGraph<'_>) -> Vec<(String, u64, &'static str, String, i64)> {
    let mut all = Vec::new();
    for (id, block) in graph.blocks() {
        for edge in graph.edges(id) {
            let section = graph.section(block.section).name_lossy();
            let row = graph.rows().row(edge.row).name();
            let place = block.section_offset + u64::from(edge.offset);
            all.push((section, place, row, graph.display_symbol(edge.target), edge.addend));
        }
    }
    all
}

fn section_of<'g>(graph: &'g LinkGraph<'static>, name: &str) -> &'g Section<'static> {
    let id = graph.find_symbol(name).unwrap_or_else(|| panic!("no {name}"));
    match graph.symbol(id).value {
        Value::Block { block, .. } => graph.section(graph.block(block).section),
        other => panic!("{name}: {other:?}"),
    }
}

fn section<'g>(graph: &'g LinkGraph<'static>, name: &str) -> &'g Section<'static> {
    let found = graph.sections().find(|(_, section)| section.name == name.as_bytes());
    found.unwrap_or_else(|| panic!("no {name}")).1
}

#[test]
fn a_program_is_read_alike_for_every_machine() {
    for name in ["x86_64", "x86_64-crel", "i386", "i386-crel", "powerpc64"] {
        let graph = toy::read(fixture(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let symbol =
            |wanted: &str| graph.symbol(graph.find_symbol(wanted).unwrap_or_else(|| panic!("no {wanted}: {name}")));
        assert_eq!((symbol("main").scope, symbol("main").kind), (Scope::Global, SymbolKind::Function), "{name}");
        assert_eq!(symbol("helper").scope, Scope::Hidden);
        assert_eq!(symbol("shown").scope, Scope::Protected);
        assert_eq!(symbol("replaceable").linkage, Linkage::Weak);
        assert_eq!(symbol("elsewhere").value, Value::Undefined);
        assert_eq!(symbol("uninitialised").size, 400);
        assert!(section_of(&graph, "element").gathered, "{name}");
        assert_eq!(section_of(&graph, "counter").protection, Protection::ReadWrite);
        let arrays = graph.sections().filter_map(|(_, section)| match section.role {
            Role::Initialisers(order) => Some((order.stage, order.priority)),
            _ => None,
        });
        let mut arrays: Vec<_> = arrays.collect();
        arrays.sort();
        assert_eq!(arrays, [(InitStage::Init, 200), (InitStage::Fini, 65_535)], "{name}");
        // clang pools the strings of powerpc64 in an ordinary section.
        let merged = graph.sections().any(|(_, section)| section.merge == Some(Merge::Strings(1)));
        assert_eq!(merged, name != "powerpc64", "{name}");
        let (unwind, _) = graph.sections().find(|(_, section)| section.role == Role::EhFrame).unwrap();
        assert!(graph.blocks_of(unwind).len() > 5, "{name}");
        let calls = edges(&graph).iter().filter(|edge| edge.3 == "printf").count();
        assert_eq!(calls, 1, "{name}");
    }
}

#[test]
fn compact_relocations_say_what_plain_ones_say() {
    for (plain, compact) in [("x86_64", "x86_64-crel"), ("i386", "i386-crel")] {
        let [plain, compact] = [plain, compact].map(|name| edges(&toy::read(fixture(name)).unwrap()));
        assert!(plain.len() > 20);
        assert_eq!(plain, compact);
    }
}

#[test]
fn debug_information_is_read_only_when_it_is_wanted() {
    for name in ["debug-zlib", "debug-zstd"] {
        let without = toy::read(fixture(name)).unwrap();
        assert!(without.sections().all(|(_, section)| section.is_loaded()), "{name}");
        let with = toy::read_debug(fixture(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (info, _) = with.sections().find(|(_, section)| section.name == b".debug_info").unwrap();
        let (id, block) = with.blocks_of(info).next().unwrap();
        // DWARF 5, section 7.5.1.1: the unit's length, then its version.
        let endian = with.target().endian;
        assert_eq!(endian.read(&block.content.bytes()[4..6]), 5, "{name}");
        assert!(with.edges(id).len() > 3, "{name}");
        assert_eq!(section(&with, ".debug_str").role, Role::Debug);
    }
}

#[test]
fn what_assemblers_can_say_is_understood() {
    let graph = toy::read(fixture("groups")).unwrap();
    let groups: Vec<_> = graph.groups().map(|(_, group)| (group.name.bytes(), group.selection)).collect();
    assert_eq!(groups, [(b"f".as_slice(), Selection::Any), (b"tied".as_slice(), Selection::All)]);
    assert_eq!(section(&graph, ".text.f").group, section(&graph, ".data.f").group);
    let text = graph.sections().find(|(_, section)| section.name == b".text.f").unwrap().0;
    assert_eq!(section(&graph, "ordered").ordered_by, Some(text));
    assert!(section(&graph, "kept").retain);
    assert_eq!(section(&graph, ".rodata.cst8").merge, Some(Merge::Constants(8)));
    assert_eq!(section_of(&graph, "large").residence, Residence::Far);
    assert_eq!(section_of(&graph, "variable").role, Role::ThreadLocal);
    let symbol = |name: &str| graph.symbol(graph.find_symbol(name).unwrap());
    assert_eq!(symbol("resolver").kind, SymbolKind::Indirect);
    assert_eq!(symbol("unique").linkage, Linkage::Unique);
    assert_eq!(symbol("shared").value, Value::Common { align_log2: 4, residence: Residence::Near });
    assert_eq!(symbol("fixed").value, Value::Absolute(0x1234));
}

/// Reads in both ways; the error is one that has a place or a size.
fn survive(bytes: &[u8]) {
    let Ok(graph) = toy::graph_for(bytes) else { return };
    for graph in [graph.clone(), graph.with_debug()] {
        if !jitlink_core::ObjectFormat::recognize(&jitlink_elf::ElfFormat, bytes) {
            return;
        }
        match toy::read_into(graph, bytes) {
            Ok(graph) => check_invariants(&graph),
            Err(LinkError::TooLarge { .. }) => {}
            Err(error) => assert_eq!(error.site().expect("a place").object, "test.o", "{error}"),
        }
    }
    let _ = jitlink_core::ObjectFormat::definitions(&jitlink_elf::ElfFormat, "test.o", bytes, &mut |_| {});
}

/// What every phase after reading relies on.
fn check_invariants(graph: &LinkGraph<'_>) {
    for (id, block) in graph.blocks() {
        for edge in graph.edges(id) {
            let end = u64::from(edge.offset) + graph.rows().row(edge.row).field().bytes() as u64;
            assert!(end <= block.content.bytes().len() as u64 && edge.target.index() < graph.symbols().len());
        }
    }
    for (_, symbol) in graph.symbols() {
        if let Value::Block { block, offset } = symbol.value {
            assert!(offset <= graph.block(block).size());
        }
    }
    for (_, section) in graph.sections() {
        assert!(section.group.is_none_or(|group| group.index() < graph.groups().len()));
    }
}

#[test]
fn every_cut_is_survived() {
    for (_, bytes) in FIXTURES {
        let start = Instant::now();
        (0..bytes.len()).for_each(|end| survive(&bytes[..end]));
        assert!(start.elapsed() < Duration::from_secs(60));
    }
}

/// A small generator of numbers (xorshift), the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

#[test]
fn random_damage_is_survived() {
    for (number, (name, bytes)) in FIXTURES.into_iter().enumerate() {
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ number as u64);
        for round in 0..1_500 {
            let mut damaged = bytes.to_vec();
            for _ in 0..=random.below(4) {
                // Tables of structure stand at the end, and are most worth damaging.
                let from = if random.below(2) == 0 { damaged.len() * 2 / 3 } else { 16 };
                let at = from + random.below(damaged.len() - from);
                match random.below(6) {
                    0 => damaged[at] = 0,
                    1 => damaged[at] = 0xff,
                    2 => damaged[at] ^= 1 << random.below(8),
                    3 => damaged[at] = random.below(256) as u8,
                    4 => {
                        // What may be an offset or a number of something becomes another that is not absurd.
                        let value = random.below(damaged.len()) as u32;
                        let end = damaged.len().min(at + 4);
                        damaged[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
                    }
                    _ => {
                        let (source, most) = (random.below(damaged.len()), random.below(64));
                        let size = most.min(damaged.len() - at).min(damaged.len() - source);
                        damaged.copy_within(source..source + size, at);
                    }
                }
            }
            let start = Instant::now();
            survive(&damaged);
            assert!(start.elapsed() < Duration::from_secs(5), "{name}, round {round}");
        }
    }
}
