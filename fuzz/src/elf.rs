//! The ELF reader: any bytes, read as an object for whatever machine they claim, with and without debug information.
//!
//! Promises that are checked: bytes without the format's magic are refused and not read; errors name the object; what was read
//! keeps the graph's invariants, twice the same; and the names that an archive without an index would list are the names that
//! the graph defines.

use crate::machines;
use jitlink_core::graph::{LinkGraph, ObjectBuilder, Scope, Value};
use jitlink_core::{LinkError, ObjectFormat};
use jitlink_elf::ElfFormat;
use std::collections::BTreeSet;

/// What objects are called.
pub const NAME: &str = "input.o";

/// Reads the bytes as an object.
pub fn run(bytes: &[u8]) {
    if !ElfFormat.recognize(bytes) {
        assert!(ElfFormat.header(NAME, bytes).is_err(), "a header without magic");
        return;
    }
    let listed = definitions(bytes);
    let plain = read(bytes, false);
    if let (Ok(graph), Ok(listed)) = (&plain, listed) {
        check_definitions(graph, &listed);
    }
    if let (Ok(first), Ok(second)) = (&plain, read(bytes, false)) {
        assert_eq!(shape(first), shape(&second), "read twice, with two results");
    }
    // Debug information adds sections, and may add errors; it takes nothing away.
    if let (Ok(with), Ok(without)) = (read(bytes, true), &plain) {
        assert!(with.sections().len() >= without.sections().len());
        assert_eq!(with.symbols().len(), without.symbols().len());
    }
}

/// Reads an object into a graph of its own, and checks the graph or the error.
pub fn read(bytes: &[u8], debug: bool) -> Result<LinkGraph<'_>, LinkError> {
    let result = try_read(bytes, debug);
    match &result {
        Ok(graph) => check_graph(graph),
        Err(error) => check_error(error),
    }
    result
}

fn try_read(bytes: &[u8], debug: bool) -> Result<LinkGraph<'_>, LinkError> {
    let header = ElfFormat.header(NAME, bytes)?;
    let (target, rows) = machines::all().target(&ElfFormat, &header, NAME)?;
    let mut graph = LinkGraph::new(target, rows);
    if debug {
        graph = graph.with_debug();
    }
    let mut builder = ObjectBuilder::new(&mut graph, NAME.into(), NAME.into());
    ElfFormat.read(bytes, &mut builder)?;
    Ok(graph)
}

fn definitions(bytes: &[u8]) -> Result<Vec<&[u8]>, LinkError> {
    let mut names = Vec::new();
    ElfFormat.definitions(NAME, bytes, &mut |name| names.push(name))?;
    Ok(names)
}

/// An error says which object is at fault, or which number is too large, and always has a text and a code.
pub fn check_error(error: &LinkError) {
    assert!(!error.to_string().is_empty() && !error.code().is_empty());
    match error.site() {
        Some(site) => assert_eq!(site.object, NAME, "{error}"),
        None => assert!(matches!(error, LinkError::TooLarge { .. } | LinkError::NoBackend { .. }), "{error}"),
    }
}

/// What every later phase relies on.
pub fn check_graph(graph: &LinkGraph<'_>) {
    let mut next_block = 0;
    for (id, section) in graph.sections() {
        let mut end = 0;
        for (block_id, block) in graph.blocks_of(id) {
            assert_eq!((block_id.index(), block.section), (next_block, id), "blocks stand in order");
            assert!(block.section_offset >= end, "blocks do not overlap");
            end = block.section_offset.checked_add(block.size()).expect("a section that ends");
            assert!(block.align_log2 < 64);
            next_block += 1;
        }
        assert!(section.group.is_none_or(|group| group.index() < graph.groups().len()));
        assert!(section.ordered_by.is_none_or(|other| other.index() < graph.sections().len()));
    }
    assert_eq!(next_block, graph.blocks().len());
    for (id, block) in graph.blocks() {
        for edge in graph.edges(id) {
            let end = u64::from(edge.offset) + graph.rows().row(edge.row).field().bytes() as u64;
            assert!(end <= block.content.bytes().len() as u64 || end == u64::from(edge.offset), "a field outside");
            assert!(edge.target.index() < graph.symbols().len());
        }
    }
    for (_, symbol) in graph.symbols() {
        if let Value::Block { block, offset } = symbol.value {
            assert!(offset <= graph.block(block).size(), "a symbol outside its block");
        }
    }
    for (_, group) in graph.groups() {
        assert!(group.leader.is_none_or(|leader| leader.index() < graph.sections().len()));
    }
    for (keeper, kept) in graph.dependencies() {
        assert!(keeper.index().max(kept.index()) < graph.blocks().len());
    }
}

/// Names by which an archive's member would be found are those under which the graph defines something; sections that were
/// left out take their symbols with them.
pub fn check_definitions(graph: &LinkGraph<'_>, listed: &[&[u8]]) {
    let listed: BTreeSet<&[u8]> = listed.iter().copied().collect();
    for (_, symbol) in graph.symbols() {
        if symbol.scope != Scope::Local && symbol.is_defined() {
            assert!(listed.contains(symbol.name.bytes()), "{} is defined, but not listed", symbol.name);
        }
    }
}

/// Numbers that tell two graphs apart.
pub fn shape(graph: &LinkGraph<'_>) -> (usize, usize, usize, usize, usize) {
    let edges = graph.blocks().map(|(id, _)| graph.edges(id).len()).sum();
    (graph.sections().len(), graph.blocks().len(), graph.symbols().len(), edges, graph.groups().len())
}
