//! Blocks that are cut say what they said before, piece by piece.

use crate::kit::arch::{LITTLE, ROWS, row};
use jitlink_core::arch::Target;
use jitlink_core::graph::{
    BlockId, Content, Edge, LinkGraph, LocalReference, ObjectBuilder, Protection, Section, Split, Symbol, SymbolId,
    SymbolKind, Value,
};
use jitlink_core::reloc::RowTable;
use jitlink_core::{Endian, LinkError, TargetArch};
use proptest::prelude::*;

fn graph() -> LinkGraph<'static> {
    let (endian, pointer_bytes, convention, thread_locals) = (Endian::Little, 8, "", None);
    let target = Target { arch: &LITTLE, endian, pointer_bytes, format: "toy", convention, thread_locals };
    LinkGraph::new(target, RowTable::new(LITTLE.info().rows(), &ROWS).unwrap())
}

fn index_of(name: &str) -> u16 {
    let at = ROWS.iter().position(|known| known.name() == row(name).unwrap().name()).unwrap();
    (LITTLE.info().rows().len() + at) as u16
}

/// An object: sections of one block each with a section symbol, symbols at places, edges.
#[derive(Clone, Debug)]
struct Draw {
    /// Sizes in units of eight bytes.
    sections: Vec<u8>,
    symbols: Vec<(prop::sample::Index, prop::sample::Index)>,
    /// Section, place, symbol of a section or a place, addend.
    edges: Vec<(prop::sample::Index, prop::sample::Index, prop::sample::Index, prop::sample::Index)>,
    cuts: Vec<(prop::sample::Index, prop::sample::Index)>,
    references: Vec<(prop::sample::Index, prop::sample::Index, prop::sample::Index, prop::sample::Index)>,
}

fn draw() -> impl Strategy<Value = Draw> {
    let index = any::<prop::sample::Index>;
    let four = move || (index(), index(), index(), index());
    (
        prop::collection::vec(0u8..20, 1..5),
        prop::collection::vec((index(), index()), 0..12),
        prop::collection::vec(four(), 0..20),
        prop::collection::vec((index(), index()), 0..20),
        prop::collection::vec(four(), 0..8),
    )
        .prop_map(|(sections, symbols, edges, cuts, references)| Draw {
            sections,
            symbols,
            edges,
            cuts,
            references,
        })
}

/// A place that an index means among those at multiples of eight up to the end.
fn place(sections: &[u8], section: usize, index: prop::sample::Index) -> u64 {
    index.index(usize::from(sections[section]) + 1) as u64 * 8
}

/// Adds the object of a drawing, with the symbols that edges can name: one a section, then the others.
fn build<'g>(graph: &'g mut LinkGraph<'static>, name: &str, draw: &Draw) -> (ObjectBuilder<'g, 'static>, Vec<BlockId>) {
    let mut object = ObjectBuilder::new(graph, name.into(), name.into());
    let id = object.id();
    let (mut blocks, mut symbols) = (Vec::new(), Vec::new());
    for &size in &draw.sections {
        let mut section = Section::new(b"s", id);
        section.protection = Protection::ReadExecute;
        object.add_section(section);
        blocks.push(object.add_block(Content::Owned(vec![0; usize::from(size) * 8].into()), 0, 4));
    }
    for &block in &blocks {
        symbols.push(object.add_symbol(Symbol { kind: SymbolKind::Section, ..Symbol::local(b"", id, block, 0) }));
    }
    for (section, at) in &draw.symbols {
        let section = section.index(blocks.len());
        let at = place(&draw.sections, section, *at);
        symbols.push(object.add_symbol(Symbol::local(b"name", id, blocks[section], at)));
    }
    for (number, &block) in blocks.iter().enumerate() {
        object.begin_edges(block);
        for (section, at, target, addend) in &draw.edges {
            if section.index(blocks.len()) == number && draw.sections[number] > 0 {
                let offset = at.index(usize::from(draw.sections[number])) as u32 * 8;
                let target = symbols[target.index(symbols.len())];
                let addend = addend.index(30) as i64 * 8 - 16;
                let edge =
                    Edge { addend, offset, target, row: index_of("ABS64"), subject: row("ABS64").unwrap().subject() };
                object.add_edge(block, edge).unwrap();
            }
        }
    }
    (object, blocks)
}

/// Where things are, by the sections that they were in: symbols with names, then edges from and to.
type Meaning = (Vec<(usize, u64)>, Vec<((usize, u64), (usize, i64))>);

fn meaning(graph: &LinkGraph<'_>) -> Meaning {
    let spot = |value: Value| match value {
        Value::Block { block, offset } => {
            let data = graph.block(block);
            assert!(offset <= data.size(), "{block:?}+{offset:#x} is past its {:#x} bytes", data.size());
            (data.section.index(), data.section_offset + offset)
        }
        other => panic!("{other:?}"),
    };
    let named = graph.symbols().filter(|(_, symbol)| !symbol.name.is_empty());
    let symbols = named.map(|(_, symbol)| spot(symbol.value)).collect();
    let mut edges = Vec::new();
    for (id, block) in graph.blocks() {
        for edge in graph.edges(id) {
            assert!(u64::from(edge.offset) + 8 <= block.size(), "an edge lies outside its block");
            let (section, start) = spot(graph.symbol(edge.target).value);
            let from = (block.section.index(), block.section_offset + u64::from(edge.offset));
            edges.push((from, (section, start as i64 + edge.addend)));
        }
    }
    edges.sort_unstable();
    (symbols, edges)
}

proptest! {
    #[test]
    fn what_is_cut_means_the_same(first in draw(), second in draw()) {
        let mut graph = graph();
        build(&mut graph, "a", &first);
        let before_second = graph.blocks().len();
        let (mut object, blocks) = build(&mut graph, "b", &second);
        let expected = meaning(object.graph());
        let cuts: Vec<(BlockId, u32)> = second.cuts.iter().map(|(section, at)| {
            let section = section.index(blocks.len());
            (blocks[section], place(&second.sections, section, *at) as u32)
        }).collect();
        let references: Vec<LocalReference> = second.references.iter().filter_map(|(from, at, to, addend)| {
            let (from, to) = (from.index(blocks.len()), to.index(blocks.len()));
            let last = usize::from(second.sections[from]);
            (last > 0).then(|| LocalReference {
                from: blocks[from],
                offset: at.index(last) as u32 * 8,
                row: index_of("ABS64"),
                to: blocks[to],
                addend: place(&second.sections, to, *addend),
            })
        }).collect();
        let section_of = |graph: &LinkGraph<'_>, block: BlockId| graph.block(block).section.index();
        let mut wanted = expected.1.clone();
        wanted.extend(references.iter().map(|reference| {
            let from = (section_of(object.graph(), reference.from), u64::from(reference.offset));
            (from, (section_of(object.graph(), reference.to), reference.addend as i64))
        }));
        wanted.sort_unstable();
        let sections: Vec<usize> = blocks.iter().map(|&block| section_of(object.graph(), block)).collect();
        object.split(Split { cuts: cuts.clone(), references }).unwrap();
        let found = meaning(&graph);
        prop_assert_eq!(&found.0, &expected.0);
        prop_assert_eq!(&found.1, &wanted);
        // Every cut inside a block is a start now, and a name there belongs to what begins.
        for (block, at) in cuts {
            let section = sections[blocks.iter().position(|known| *known == block).unwrap()];
            let size = u64::from(second.sections[blocks.iter().position(|known| *known == block).unwrap()]) * 8;
            let starts = |id: &(BlockId, u64)| id.1 == u64::from(at);
            let pieces: Vec<(BlockId, u64)> = graph.blocks().filter(|(_, data)| data.section.index() == section)
                .map(|(id, data)| (id, data.section_offset)).collect();
            prop_assert!(at == 0 || u64::from(at) == size || pieces.iter().any(starts));
        }
        for (_, symbol) in graph.symbols() {
            let Value::Block { block, offset } = symbol.value else { continue };
            let data = graph.block(block);
            let next = graph.blocks().any(|(other, follows)| {
                other.index() == block.index() + 1 && follows.section == data.section && follows.size() > 0
            });
            prop_assert!(offset < data.size() || !next, "a symbol stands at the end of a piece");
        }
        // Pieces of a section follow each other without gaps.
        for (section, _) in graph.sections() {
            let mut end = 0;
            for (_, block) in graph.blocks_of(section) {
                prop_assert_eq!(block.section_offset, end);
                end += block.size();
            }
        }
        prop_assert!(graph.blocks().len() >= before_second + blocks.len());
    }
}

fn two_blocks() -> (LinkGraph<'static>, Draw) {
    let draw = Draw { sections: vec![4, 2], symbols: vec![], edges: vec![], cuts: vec![], references: vec![] };
    (graph(), draw)
}

#[test]
fn a_field_across_a_cut_is_refused() {
    let (mut graph, draw) = two_blocks();
    let (mut object, blocks) = build(&mut graph, "a", &draw);
    object.begin_edges(blocks[0]);
    let target = SymbolId::new(0);
    let edge = Edge { addend: 0, offset: 4, target, row: index_of("ABS64"), subject: row("ABS64").unwrap().subject() };
    object.add_edge(blocks[0], edge).unwrap();
    let error = object.split(Split { cuts: vec![(blocks[0], 8)], references: vec![] }).unwrap_err();
    assert!(matches!(error, LinkError::Malformed { .. }), "{error}");
    assert!(error.to_string().contains("across 0x8"), "{error}");
}

#[test]
fn references_lie_inside() {
    let (mut graph, draw) = two_blocks();
    let (mut object, blocks) = build(&mut graph, "a", &draw);
    let reference = |offset, addend| {
        let row = index_of("ABS64");
        let references = vec![LocalReference { from: blocks[0], offset, row, to: blocks[1], addend }];
        Split { cuts: vec![(blocks[0], 8)], references }
    };
    assert!(object.split(reference(25, 0)).is_err());
    assert!(object.split(reference(24, 17)).is_err());
    object.split(reference(24, 16)).unwrap();
}

#[test]
fn dependencies_hold_for_all_pieces() {
    let (mut graph, draw) = two_blocks();
    let (mut object, blocks) = build(&mut graph, "a", &draw);
    object.add_dependency(blocks[0], blocks[1]);
    object.split(Split { cuts: vec![(blocks[0], 8), (blocks[0], 16), (blocks[1], 8)], references: vec![] }).unwrap();
    let mut pairs: Vec<(usize, usize)> =
        graph.dependencies().iter().map(|(keeper, kept)| (keeper.index(), kept.index())).collect();
    pairs.sort_unstable();
    // Each piece of the first keeps the first of the other, which keeps the next.
    assert_eq!(pairs, [(0, 3), (1, 3), (2, 3), (3, 4)]);
}
