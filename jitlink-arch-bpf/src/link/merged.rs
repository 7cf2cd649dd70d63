//! The types of all objects as one BTF, and what it says of instructions by their addresses.

use super::look::{Look, live};
use super::types::{ObjectTypes, Types};
use crate::btf::ext::SectionInfo;
use crate::btf::merge::{self, Conflict, Layout, Merged};
use crate::btf::{BtfBuilder, TypeId, TypeMap};
use crate::complete::is_code;
use crate::image::ImageTypes;
use hashbrown::HashMap;
use jitlink_core::Addr;
use jitlink_core::graph::{BlockId, LinkGraph, Scope, Symbol, SymbolId, SymbolKind, Value};

/// Where variables are in the sections of a program, for lists of sections.
#[derive(Debug, Default)]
pub(super) struct ObjectPlaces {
    /// By position of an object's types and name of section and variable: offset and size.
    places: HashMap<(usize, String, String), (u32, u32)>,
    sizes: HashMap<String, u32>,
}

impl ObjectPlaces {
    /// The places in linked memory: a section starts where the first of its blocks does.
    pub(super) fn of(look: &Look<'_, '_, '_>, types: &Types) -> ObjectPlaces {
        let mut extents: HashMap<&[u8], (Addr, Addr)> = HashMap::new();
        for (id, block) in live(look.graph) {
            let (start, name) = (look.address(id), look.graph.section(block.section).name);
            let extent = extents.entry(name).or_insert((start, start));
            extent.0 = extent.0.min(start);
            extent.1 = extent.1.max(start + block.size());
        }
        let mut places = ObjectPlaces::of_sections(look.graph, types, |block, offset| {
            let section = look.section(block);
            let start = extents.get(section.name)?.0;
            Some((look.address(block) + offset).0 - start.0)
        });
        places.sizes = extents
            .into_iter()
            .filter_map(|(name, (start, end))| {
                Some((String::from_utf8_lossy(name).into_owned(), u32::try_from(end.0 - start.0).ok()?))
            })
            .collect();
        places
    }

    /// The places that a function gives for live blocks and offsets in them.
    pub(super) fn of_sections(
        graph: &LinkGraph<'_>,
        types: &Types,
        place: impl Fn(BlockId, u64) -> Option<u64>,
    ) -> ObjectPlaces {
        let symbols = named(graph, types);
        let mut places = ObjectPlaces::default();
        for (position, object) in types.all().iter().enumerate() {
            let lists = object.btf.types().filter(|ty| ty.kind() == crate::btf::Kind::Datasec);
            for (list, var) in lists.flat_map(|list| list.section_vars().map(move |var| (list.name(), var))) {
                let Some(ty) = object.btf.ty(var.ty) else { continue };
                let Some(&symbol) = symbols.get(&(position, ty.name().as_bytes())) else { continue };
                let symbol = graph.symbol(symbol);
                let (block, offset) = match symbol.value {
                    Value::Block { block, offset } => (block, offset),
                    // Of names that stay open, only the size is known, and loaders ask for no more.
                    Value::Undefined => {
                        let key = (position, list.to_owned(), ty.name().to_owned());
                        places.places.insert(key, (var.offset, var.size));
                        continue;
                    }
                    _ => continue,
                };
                let section = graph.section(graph.block(block).section);
                // Who defines a variable lists it too.
                let own = types.position(section.object).is_none_or(|owner| owner == position);
                if !own || !graph.is_live(block) || section.name != list.as_bytes() {
                    continue;
                }
                let size = match symbol.size {
                    0 => object.btf.size_of(var.ty).map_or(var.size, |size| size),
                    size => u32::try_from(size).unwrap_or(u32::MAX),
                };
                if let Some(offset) = place(block, offset).and_then(|offset| u32::try_from(offset).ok()) {
                    places.places.insert((position, list.to_owned(), ty.name().to_owned()), (offset, size));
                }
            }
        }
        places
    }

    /// Says how large the sections are.
    pub(super) fn with_sizes(mut self, sizes: HashMap<String, u32>) -> ObjectPlaces {
        self.sizes = sizes;
        self
    }
}

impl Layout for ObjectPlaces {
    fn place(&self, object: usize, section: &str, name: &str) -> Option<(u32, u32)> {
        self.places.get(&(object, section.to_owned(), name.to_owned())).copied()
    }

    fn section_size(&self, section: &str) -> Option<u32> {
        self.sizes.get(section).copied()
    }
}

/// The symbols of objects with types, by the position of the types and name. Files and sections may have the name of a variable, and
/// of several symbols of one name the one that others see is meant.
fn named<'g>(graph: &'g LinkGraph<'_>, types: &Types) -> HashMap<(usize, &'g [u8]), SymbolId> {
    let mut symbols: HashMap<_, SymbolId> = HashMap::new();
    let is_named =
        |symbol: &Symbol<'_>| !symbol.name.is_empty() && !matches!(symbol.kind, SymbolKind::File | SymbolKind::Section);
    for (id, symbol) in graph.symbols().filter(|(_, symbol)| is_named(symbol)) {
        let Some(position) = types.position(symbol.object) else { continue };
        let named = symbols.entry((position, symbol.name.bytes())).or_insert(id);
        if graph.symbol(*named).scope == Scope::Local && symbol.scope != Scope::Local {
            *named = id;
        }
    }
    symbols
}

/// Merges the types of all objects; what they disagree about is an error that shows both sides.
pub(super) fn merge(graph: &LinkGraph<'_>, types: &Types, places: &ObjectPlaces) -> Result<Merged, String> {
    let all: Vec<_> = types.all().iter().map(|object| &object.btf).collect();
    let merged = merge::merge(&all, places).map_err(|error| format!("BTF of all objects together: {error}"))?;
    let show = |conflict: &Conflict| {
        let name = |position: usize| &graph.object(types.all()[position].object).name;
        let (first, second) = (name(conflict.objects.0), name(conflict.objects.1));
        let mismatch = &conflict.mismatch;
        format!(
            "{} is `{}` in {first} and `{}` in {second}: {}",
            conflict.name, mismatch.first, mismatch.second, mismatch.reason
        )
    };
    match merged.conflicts.as_slice() {
        [] => Ok(merged),
        conflicts => Err(conflicts.iter().map(show).collect::<Vec<_>>().join("; ")),
    }
}

/// What the objects say of a block's instructions, with numbers of merged types and strings; offsets count from `start`.
pub(super) fn info_of(
    graph: &LinkGraph<'_>,
    block: BlockId,
    start: u32,
    (object, numbers): (&ObjectTypes, &TypeMap),
    builder: &mut BtfBuilder,
) -> Result<SectionInfo, String> {
    let data = graph.block(block);
    let section = graph.section(data.section).name_lossy();
    let range = data.section_offset..data.section_offset.saturating_add(data.size());
    let (Ok(from), Ok(to), Some(all)) =
        (u32::try_from(range.start), u32::try_from(range.end), object.ext.section(&section))
    else {
        return Ok(SectionInfo::default());
    };
    all.moved(from..to, start, (&object.btf, &|ty: TypeId| numbers.get(ty)), builder)
        .map_err(|error| format!("{}: {error}", graph.object_of(block).name))
}

/// The merged types, and what they say by address.
pub(super) fn image_types(look: &Look<'_, '_, '_>, types: &Types, merged: Merged) -> Result<ImageTypes, String> {
    let Merged { mut builder, maps, .. } = merged;
    let mut image = ImageTypes::default();
    for (id, block) in live(look.graph).filter(|(_, block)| is_code(look.graph.section(block.section))) {
        let owner = look.graph.section(block.section).object;
        let Some(position) = types.position(owner) else { continue };
        let of = (&types.all()[position], &maps[position]);
        let info = info_of(look.graph, id, 0, of, &mut builder)?;
        let at = |offset: u32| look.address(id) + u64::from(offset);
        image.functions.extend(info.funcs.iter().map(|func| (at(func.insn_off), func.ty)));
        image.lines.extend(info.lines.iter().map(|line| (at(line.insn_off), *line)));
        image.relocations.extend(info.relos.iter().map(|relo| (at(relo.insn_off), *relo)));
    }
    image.functions.sort_by_key(|(address, _)| *address);
    image.lines.sort_by_key(|(address, _)| *address);
    image.relocations.sort_by_key(|(address, _)| *address);
    image.btf = builder.finish().map_err(|error| format!("BTF of all objects together: {error}"))?;
    Ok(image)
}
