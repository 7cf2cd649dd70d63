//! One object of several: what BPF objects hold once, put together before the format writes the rest.
//!
//! Loaders read offsets in `.BTF` and `.BTF.ext` as they stand, not through relocations, so they are those of the sections in the
//! file: a section holds the live blocks of its name in input order, each at a multiple of its alignment. The license and the
//! kernel's version are kept of the first object that says them. What named the compiler is dropped, because addends follow
//! one convention now, whatever the assembler's was.

use super::merged::{self, ObjectPlaces};
use super::types::Types;
use crate::btf::ext::BtfExt;
use crate::btf::merge::Merged;
use crate::complete::{is_code, tables};
use hashbrown::{HashMap, HashSet};
use indexmap::IndexMap;
use jitlink_core::graph::{BlockId, Content, LinkGraph, Residence, SectionId, SymbolId, Value};

/// Unites types and texts in the graph.
pub(crate) fn unite(graph: &mut LinkGraph<'_>) -> Result<(), String> {
    texts(graph)?;
    unload_tables(graph);
    let comments = named(graph, b".comment");
    comments.into_iter().for_each(|block| graph.discard(block));
    let types = Types::read(graph)?;
    if types.all().is_empty() {
        return Ok(());
    }
    let (offsets, sizes) = sections(graph);
    let places = ObjectPlaces::of_sections(graph, &types, |block, offset| Some(offsets.get(&block)? + offset));
    let merged = merged::merge(graph, &types, &places.with_sizes(sizes))?;
    let Merged { mut builder, maps, .. } = merged;
    let mut ext = BtfExt::default();
    for (section, blocks) in code(graph) {
        let all = ext.sections.entry(section).or_default();
        for id in blocks {
            let owner = graph.section(graph.block(id).section);
            let (Some(position), Some(&start)) = (types.position(owner.object), offsets.get(&id)) else { continue };
            let start = u32::try_from(start).map_err(|_| format!("section {} is too large", owner.name_lossy()))?;
            let info = merged::info_of(graph, id, start, (&types.all()[position], &maps[position]), &mut builder)?;
            all.funcs.extend(info.funcs);
            all.lines.extend(info.lines);
            all.relos.extend(info.relos);
        }
    }
    ext.sections.retain(|_, info| !info.is_empty());
    ext.sections.values_mut().for_each(|info| info.sort());
    let endian = graph.target().endian;
    let ext = ext.to_bytes(endian, &mut builder).map_err(|error| error.to_string())?;
    let btf = builder.finish().map_err(|error| format!("BTF of all objects together: {error}"))?;
    replace(graph, b".BTF", btf.to_bytes(endian));
    replace(graph, b".BTF.ext", ext);
    Ok(())
}

/// The live blocks of code as they will lie in the file: by the name of their section.
fn code(graph: &LinkGraph<'_>) -> IndexMap<String, Vec<BlockId>> {
    let mut sections: IndexMap<String, Vec<BlockId>> = IndexMap::new();
    for (id, block) in graph.blocks() {
        let section = graph.section(block.section);
        if graph.is_live(id) && is_code(section) {
            sections.entry(section.name_lossy()).or_default().push(id);
        }
    }
    sections
}

/// Keeps the first of the sections that all objects say alike.
fn texts(graph: &mut LinkGraph<'_>) -> Result<(), String> {
    for name in [b"license".as_slice(), b"version"] {
        let blocks = named(graph, name);
        let Some((&first, others)) = blocks.split_first() else { continue };
        for &other in others {
            let (one, two) = (graph.block(first).content.bytes(), graph.block(other).content.bytes());
            if one != two {
                let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_string();
                return Err(format!(
                    "section {} is {:?} in {} and {:?} in {}; one object has one",
                    String::from_utf8_lossy(name),
                    show(one),
                    graph.object_of(first).name,
                    show(two),
                    graph.object_of(other).name
                ));
            }
        }
        others.iter().for_each(|&other| graph.discard(other));
        let others: HashSet<BlockId> = others.iter().copied().collect();
        let count = graph.symbols().len();
        for id in (0..count).map(SymbolId::new) {
            match &mut graph.symbol_mut(id).value {
                Value::Block { block, .. } if others.contains(block) => *block = first,
                _ => {}
            }
        }
    }
    Ok(())
}

/// In a file, tables of jumps take up no memory: they hold offsets, of which a loader makes maps.
fn unload_tables(graph: &mut LinkGraph<'_>) {
    let sections = graph.sections().filter(|(_, section)| section.name == tables::SECTION);
    let sections: Vec<SectionId> = sections.map(|(id, _)| id).collect();
    sections.into_iter().for_each(|id| graph.section_mut(id).residence = Residence::Unloaded);
}

/// The live blocks of the sections of a name.
fn named(graph: &LinkGraph<'_>, name: &[u8]) -> Vec<BlockId> {
    let live = graph.blocks().filter(|(id, block)| graph.is_live(*id) && graph.section(block.section).name == name);
    live.map(|(id, _)| id).collect()
}

/// Where each live block will be in its section of the file, and how large sections will be.
fn sections(graph: &LinkGraph<'_>) -> (HashMap<BlockId, u64>, HashMap<String, u32>) {
    let mut ends: HashMap<&[u8], u64> = HashMap::new();
    let mut offsets = HashMap::new();
    for (id, block) in graph.blocks() {
        let section = graph.section(block.section);
        if graph.is_live(id) && section.is_loaded() {
            let end = ends.entry(section.name).or_default();
            let start = end.saturating_add(block.align() - 1) & !(block.align() - 1);
            offsets.insert(id, start);
            *end = start.saturating_add(block.size());
        }
    }
    let size = |(name, end): (&[u8], u64)| Some((String::from_utf8_lossy(name).into_owned(), u32::try_from(end).ok()?));
    (offsets, ends.into_iter().filter_map(size).collect())
}

/// Gives the first section of a name the bytes, and leaves out the others.
fn replace(graph: &mut LinkGraph<'_>, name: &[u8], bytes: Vec<u8>) {
    let blocks = named(graph, name);
    if let Some((&first, others)) = blocks.split_first() {
        graph.replace_content(first, Content::Owned(bytes.into()));
        others.iter().for_each(|&other| graph.discard(other));
    }
}
