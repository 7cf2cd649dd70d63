//! The COFF reader, and links of what it read: any bytes, as an object for whatever machine they claim, with and without debug
//! information.
//!
//! Promises that are checked: what is not of the format is refused and not read; errors name the object; what was read keeps the
//! graph's invariants, twice the same; the names that an archive without an index would list are the names that the graph defines;
//! a link ends in memory or in errors, twice the same.

use crate::{elf, machines};
use jitlink_coff::CoffFormat;
use jitlink_core::graph::{LinkGraph, ObjectBuilder};
use jitlink_core::image::{ImageConfig, ImageExecutor};
use jitlink_core::link::{LinkOptions, NoSymbols, Unresolved, link};
use jitlink_core::{Addr, Input, LinkError, ObjectFormat};

/// Reads the bytes as an object, and links it.
pub fn run(bytes: &[u8]) {
    if !CoffFormat.recognize(bytes) {
        assert!(CoffFormat.header(elf::NAME, bytes).is_err(), "a header without a machine");
        return;
    }
    let listed = definitions(bytes);
    let plain = read(bytes, false);
    if let (Ok(graph), Ok(listed)) = (&plain, listed) {
        elf::check_definitions(graph, &listed);
    }
    if let (Ok(first), Ok(second)) = (&plain, read(bytes, false)) {
        assert_eq!(elf::shape(first), elf::shape(&second), "read twice, with two results");
    }
    // Debug information adds sections with their symbols, and may add errors; it takes nothing away.
    if let (Ok(with), Ok(without)) = (read(bytes, true), &plain) {
        assert!(with.sections().len() >= without.sections().len());
        assert!(with.symbols().len() >= without.symbols().len());
    }
    if plain.is_ok() {
        linked(&[Input::from_bytes(elf::NAME, bytes.to_vec())]);
    }
}

/// Links inputs in every way that could show something: what it makes of them is the same again. On one thread: others are still about
/// to end when the engine counts what is on the heap.
pub fn linked(inputs: &[Input]) {
    for (unresolved, keep_debug) in [(Unresolved::Error, false), (Unresolved::Null, true)] {
        let options = LinkOptions { threads: Some(1), unresolved, keep_debug, ..LinkOptions::default() };
        assert_eq!(segments(inputs, &options), segments(inputs, &options), "the same link again, with another result");
    }
}

/// Where memory would be, and what would be in it; or what is wrong.
type Outcome = Result<Vec<(Addr, Vec<u8>)>, Vec<String>>;

fn segments(inputs: &[Input], options: &LinkOptions) -> Outcome {
    // What needs more than this is refused before it is made.
    let config = ImageConfig { arena_size: 16 << 20, ..ImageConfig::default() };
    let executor = ImageExecutor::new(config).expect("a base and a size that go together");
    match link(machines::coff(), &executor, inputs, &NoSymbols, options) {
        Ok(_linked) => {
            let segments = executor.segments();
            Ok(segments.iter().map(|segment| (segment.address, segment.bytes().to_vec())).collect())
        }
        Err(errors) => {
            assert!(errors.iter().count() > 0);
            let said = errors.iter().map(|error| {
                assert!(!error.code().is_empty());
                error.to_string()
            });
            Err(said.inspect(|said| assert!(!said.is_empty())).collect())
        }
    }
}

fn read(bytes: &[u8], debug: bool) -> Result<LinkGraph<'_>, LinkError> {
    let result = try_read(bytes, debug);
    match &result {
        Ok(graph) => elf::check_graph(graph),
        Err(error) => elf::check_error(error),
    }
    result
}

fn try_read(bytes: &[u8], debug: bool) -> Result<LinkGraph<'_>, LinkError> {
    let header = CoffFormat.header(elf::NAME, bytes)?;
    let (target, rows) = machines::coff().target(&CoffFormat, &header, elf::NAME)?;
    let mut graph = LinkGraph::new(target, rows);
    if debug {
        graph = graph.with_debug();
    }
    let mut builder = ObjectBuilder::new(&mut graph, elf::NAME.into(), elf::NAME.into());
    CoffFormat.read(bytes, &mut builder)?;
    Ok(graph)
}

fn definitions(bytes: &[u8]) -> Result<Vec<&[u8]>, LinkError> {
    let mut names = Vec::new();
    CoffFormat.definitions(elf::NAME, bytes, &mut |name| names.push(name))?;
    Ok(names)
}

/// A section: its name, its flags, its bytes, and relocations: where, of which symbol, of which type.
pub type Section<'s> = ([u8; 8], u32, &'s [u8], &'s [(u32, u32, u16)]);

/// An object for x86-64 with symbols that others see: name, value, number of the section.
pub fn object(sections: &[Section<'_>], symbols: &[([u8; 8], u32, i16)]) -> Vec<u8> {
    let mut file = Vec::new();
    let header = 20 + 40 * sections.len();
    let size = |section: &Section<'_>| section.2.len() + 10 * section.3.len();
    let symbols_at = header + sections.iter().map(size).sum::<usize>();
    for half in [0x8664u16, sections.len() as u16, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    for word in [symbols_at as u32, symbols.len() as u32, 0] {
        file.extend(word.to_le_bytes());
    }
    let mut at = header;
    for section in sections {
        let (name, flags, content, relocations) = section;
        let relocations_at = at + content.len();
        file.extend(name);
        for word in [0, 0, content.len(), at, relocations_at, 0, relocations.len()] {
            file.extend((word as u32).to_le_bytes());
        }
        file.extend(flags.to_le_bytes());
        at += size(section);
    }
    for (_, _, content, relocations) in sections {
        file.extend(*content);
        for (offset, symbol, kind) in *relocations {
            file.extend(offset.to_le_bytes());
            file.extend(symbol.to_le_bytes());
            file.extend(kind.to_le_bytes());
        }
    }
    for (name, value, section) in symbols {
        file.extend(name);
        file.extend(value.to_le_bytes());
        file.extend(section.to_le_bytes());
        // No type, seen by others, no records.
        file.extend([0, 0, 2, 0]);
    }
    file.extend(4u32.to_le_bytes());
    file
}
