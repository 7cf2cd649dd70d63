//! The toy format: reads the text into the graph of an object, with what any format outside this repository can use.

use super::text::{Place, Text, parse};
use jitlink_core::format::{Boundary, BoundaryEnd, ObjectHeader, Provided};
use jitlink_core::graph::{
    BlockId, Content, Edge, ExportName, Fallback, Group, Import, ImportLibrary, InitStage, Linkage, Name,
    ObjectBuilder, Role, Section, SectionId, Symbol, SymbolId, SymbolKind, Value,
};
use jitlink_core::{Endian, LinkError, ObjectFormat};
use std::collections::HashMap;

/// Objects as text.
pub struct ToyFormat;

fn text<'a>(name: &str, bytes: &'a [u8]) -> Result<Text<'a>, LinkError> {
    let text = std::str::from_utf8(bytes).map_err(|error| LinkError::malformed(name, "", 0, error.to_string()))?;
    parse(text).map_err(|(line, what)| LinkError::malformed(name, "line", line as u64, what))
}

impl ObjectFormat for ToyFormat {
    fn name(&self) -> &'static str {
        "toy"
    }

    fn description(&self) -> &'static str {
        "objects written by hand"
    }

    fn recognize(&self, bytes: &[u8]) -> bool {
        bytes.starts_with(b"toy ")
    }

    fn header(&self, name: &str, bytes: &[u8]) -> Result<ObjectHeader, LinkError> {
        let first = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let Text { endian, pointer_bytes, .. } = text(name, first)?;
        let machine = if endian == Endian::Little { 1 } else { 2 };
        Ok(ObjectHeader { machine, pointer_bytes, endian, flags: 0 })
    }

    fn read<'a>(&self, bytes: &'a [u8], object: &mut ObjectBuilder<'_, 'a>) -> Result<(), LinkError> {
        let text = text(object.name(), bytes)?;
        let blocks = add_sections(object, &text)?;
        add_groups(object, &text, &blocks);
        let mut symbols = add_symbols(object, &text, &blocks);
        add_fallbacks(object, &text, &mut symbols);
        text.agreements.iter().for_each(|(key, value)| object.agree(key.as_bytes(), value.as_bytes()));
        text.warnings.iter().for_each(|what| object.warn(*what));
        add_relocations(object, &text, &blocks, &symbols)
    }

    fn definitions<'a>(&self, name: &str, bytes: &'a [u8], found: &mut dyn FnMut(&'a [u8])) -> Result<(), LinkError> {
        for symbol in text(name, bytes)?.symbols {
            if symbol.scope != jitlink_core::graph::Scope::Local && symbol.place != Place::Undefined {
                found(symbol.name.as_bytes());
            }
        }
        Ok(())
    }

    fn provided(&self, name: &[u8]) -> Option<Provided> {
        match name {
            b"_GOT_" => Some(Provided::GotBase),
            b"_image_" => Some(Provided::ImageBase),
            b"_handle_" => Some(Provided::ModuleHandle),
            _ => None,
        }
    }

    fn boundary<'n>(&self, name: &'n [u8]) -> Option<Boundary<'n>> {
        // `start_initialisers` and `stop_initialisers` are those of all arrays that run at start.
        let stage = |section: &[u8]| (section == b"initialisers").then_some(InitStage::Init);
        let boundary = |section, end| Boundary { section, stage: stage(section), end };
        let start = name.strip_prefix(b"start_").map(|section| boundary(section, BoundaryEnd::Start));
        start.or_else(|| name.strip_prefix(b"stop_").map(|section| boundary(section, BoundaryEnd::Stop)))
    }
}

/// A section with its blocks.
type Placed = (SectionId, Vec<BlockId>);

fn add_sections<'a>(object: &mut ObjectBuilder<'_, 'a>, text: &Text<'a>) -> Result<Vec<Placed>, LinkError> {
    let mut placed = Vec::new();
    for section in &text.sections {
        let mut added = Section::new(section.name.as_bytes(), object.id());
        (added.protection, added.residence, added.role) = (section.protection, section.residence, section.role);
        (added.merge, added.gathered, added.sort_key) = (section.merge, section.gathered, section.key);
        (added.suffix, added.retain) = (section.suffix, section.retain);
        let id = object.add_section(added);
        if section.role == Role::EhFrame {
            // Records outlive the text that they were parsed from; a test can spare them.
            let bytes: &'static [u8] = Box::leak(section.blocks[0].bytes.clone().into_boxed_slice());
            object.add_unwind_records(bytes, section.align.trailing_zeros() as u8)?;
            let blocks = object.graph().blocks_of(id).map(|(id, _)| id).collect();
            placed.push((id, blocks));
            continue;
        }
        let (mut blocks, mut offset) = (Vec::new(), 0u64);
        for block in &section.blocks {
            offset = offset.next_multiple_of(block.align);
            let content = match block.zeros {
                0 => Content::Owned(block.bytes.clone().into()),
                zeros => Content::Zero(zeros),
            };
            blocks.push(object.add_block(content, offset, block.align.trailing_zeros() as u8));
            offset += block.bytes.len() as u64 + block.zeros;
        }
        placed.push((id, blocks));
    }
    for (index, section) in text.sections.iter().enumerate() {
        if let Some(order) = section.order {
            let other = text.sections.iter().position(|other| other.name == order).expect("the section to order by");
            object.section_mut(placed[index].0).ordered_by = Some(placed[other].0);
            object.add_dependency(placed[other].1[0], placed[index].1[0]);
        }
    }
    for (keeper, kept) in &text.keeps {
        let find = |name: &str| text.sections.iter().position(|section| section.name == name).expect("a kept section");
        for &kept in &placed[find(kept)].1 {
            placed[find(keeper)].1.iter().for_each(|&keeper| object.add_dependency(keeper, kept));
        }
    }
    Ok(placed)
}

fn add_groups<'a>(object: &mut ObjectBuilder<'_, 'a>, text: &Text<'a>, placed: &[Placed]) {
    let mut ids = HashMap::new();
    for group in &text.groups {
        let leader = |name| placed[text.sections.iter().position(|section| section.name == name).expect("a leader")].0;
        let mut added = Group::any(group.name.as_bytes(), object.id());
        (added.selection, added.leader) = (group.selection, group.leader.map(leader));
        added.parent = group.parent.map(|parent| ids[parent]);
        ids.insert(group.name, object.add_group(added));
    }
    for (section, (id, _)) in text.sections.iter().zip(placed) {
        object.section_mut(*id).group = section.group.map(|group| ids[group]);
    }
}

fn add_symbols<'a>(
    object: &mut ObjectBuilder<'_, 'a>,
    text: &Text<'a>,
    placed: &[Placed],
) -> HashMap<&'a str, SymbolId> {
    let mut ids = HashMap::new();
    for symbol in &text.symbols {
        let mut added = Symbol::undefined(symbol.name.as_bytes(), object.id());
        (added.linkage, added.scope, added.kind) = (symbol.linkage, symbol.scope, symbol.kind);
        added.size = symbol.size;
        added.value = match symbol.place {
            Place::Undefined => Value::Undefined,
            Place::Absolute(address) => Value::Absolute(address),
            Place::Label(section, block, offset) => Value::Block { block: placed[section].1[block], offset },
            Place::Common(align_log2) => Value::Common { align_log2, residence: jitlink_core::graph::Residence::Near },
        };
        ids.insert(symbol.name, object.add_symbol(added));
    }
    let relocations = text.sections.iter().flat_map(|section| &section.blocks).flat_map(|block| &block.relocations);
    for name in relocations.map(|relocation| relocation.target) {
        if ids.contains_key(name) {
            continue;
        }
        let symbol = match name.strip_prefix('@') {
            Some(section) => {
                let index = text.sections.iter().position(|other| other.name == section).expect("a section's symbol");
                let mut symbol = Symbol::local(b"", object.id(), placed[index].1[0], 0);
                (symbol.kind, symbol.name) = (SymbolKind::Section, Name::anonymous());
                symbol
            }
            None => Symbol::undefined(name.as_bytes(), object.id()),
        };
        ids.insert(name, object.add_symbol(symbol));
    }
    ids
}

/// Names that are not the object's own symbols are looked for only where a fallback asks for it.
fn add_fallbacks<'a>(object: &mut ObjectBuilder<'_, 'a>, text: &Text<'a>, symbols: &mut HashMap<&'a str, SymbolId>) {
    let mut id = |name: &'a str, object: &mut ObjectBuilder<'_, 'a>| {
        *symbols.entry(name).or_insert_with(|| {
            let symbol = Symbol { linkage: Linkage::Weak, ..Symbol::undefined(name.as_bytes(), object.id()) };
            object.add_symbol(symbol)
        })
    };
    for (name, library, export) in &text.imports {
        let (library, number) =
            library.split_once('#').map_or((*library, None), |(library, number)| (library, Some(number)));
        let export = match number {
            Some(number) => ExportName::Ordinal(number.parse().expect("a number")),
            None => ExportName::Name(export.as_bytes()),
        };
        let library = match library.strip_prefix('@') {
            Some(place) => Some(ImportLibrary::At(id(place, object))),
            None => Some(ImportLibrary::Named(library.as_bytes())).filter(|_| library != "?"),
        };
        let name = id(name, object);
        object.add_import(Import { name, library, export, slot: None });
    }
    for (name, target, needs) in &text.fallbacks {
        let (name, target) = (id(name, object), id(target, object));
        let needs = needs.map(|needs| id(needs, object));
        object.add_fallback(Fallback { name, target, needs });
    }
}

fn add_relocations<'a>(
    object: &mut ObjectBuilder<'_, 'a>,
    text: &Text<'a>,
    placed: &[Placed],
    symbols: &HashMap<&'a str, SymbolId>,
) -> Result<(), LinkError> {
    for (section, (id, blocks)) in text.sections.iter().zip(placed) {
        for (index, block) in section.blocks.iter().enumerate() {
            let mut edges = Vec::new();
            for relocation in &block.relocations {
                let (row, _) = object.row(relocation.row.raw()).expect("a row of the table");
                let (target, subject) = (symbols[relocation.target], relocation.row.subject());
                let offset = relocation.offset as u32;
                edges.push(Edge { offset, target, addend: relocation.addend, row, subject });
            }
            if section.role == Role::EhFrame {
                object.add_edges(*id, edges.into_iter().map(|edge| Ok((u64::from(edge.offset), edge))))?;
                continue;
            }
            if blocks.len() == 1 {
                let read = |number: usize| edges.get(number).map(|edge: &Edge| (u64::from(edge.offset), *edge));
                let explain = |_| unreachable!("every relocation is there");
                object.add_table_edges(*id, &[], edges.len(), read, explain)?;
                continue;
            }
            object.begin_edges(blocks[index]);
            edges.into_iter().try_for_each(|edge| object.add_edge(blocks[index], edge))?;
        }
    }
    Ok(())
}
