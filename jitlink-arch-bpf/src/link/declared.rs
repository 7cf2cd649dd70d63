//! The maps that the objects of a batch declare.

use super::legacy;
use super::look::Look;
use super::maps::{self, Defined};
use super::types::Types;
use crate::btf::TypeId;
use crate::complete::is_maps;
use crate::image::MapDefinition;
use hashbrown::HashMap;
use jitlink_core::Addr;
use jitlink_core::graph::{BlockId, SymbolId, Value};

/// A map, and the position of the object's types whose numbers its definition has.
pub(super) struct Declared {
    pub(super) definition: MapDefinition,
    types: Option<usize>,
}

impl Declared {
    /// Replaces the numbers of the object's types.
    pub(super) fn renumber(&mut self, number: &impl Fn(usize, u32) -> u32) {
        let Some(types) = self.types else { return };
        let mut definition = Some(&mut self.definition);
        while let Some(map) = definition {
            map.types = (number(types, map.types.0), number(types, map.types.1));
            definition = map.inner.as_deref_mut();
        }
    }
}

/// All maps, in the order of the input. Objects that declare one map must agree on it.
pub(super) fn maps(look: &Look<'_, '_, '_>, types: &Types) -> Result<Vec<Declared>, String> {
    let variables = variables(types);
    let mut all = Vec::new();
    for (address, block, offset, id) in look.symbols(|section| is_maps(section.name)) {
        let declared = match look.section(block).name {
            b".maps" => by_types(look, (types, &variables), (address, block, offset, id))?,
            _ => by_value(look, (address, block, offset, id))?,
        };
        all.push(declared);
    }
    agree(look, (types, &variables), &all)?;
    Ok(all)
}

type Place = (Addr, BlockId, u64, SymbolId);

/// A map of a section `maps`, whose value is its definition.
fn by_value(look: &Look<'_, '_, '_>, (address, block, offset, id): Place) -> Result<Declared, String> {
    let (graph, symbol) = (look.graph, look.graph.symbol(id));
    let bytes = graph.block(block).content.bytes();
    let end = match symbol.size {
        0 => bytes.len() as u64,
        size => offset.saturating_add(size).min(bytes.len() as u64),
    };
    let own = bytes.get(offset as usize..end as usize).unwrap_or_default();
    let definition = legacy::definition(&symbol.name.to_string(), own, graph.target().endian)
        .map_err(|reason| format!("{}: {reason}", graph.object_of(block).name))?;
    Ok(Declared { definition: MapDefinition { address, ..definition }, types: None })
}

/// A map of section `.maps`, whose type is its definition.
fn by_types(
    look: &Look<'_, '_, '_>,
    (types, variables): (&Types, &Variables<'_>),
    place: Place,
) -> Result<Declared, String> {
    let (address, block, offset, id) = place;
    let (graph, symbol) = (look.graph, look.graph.symbol(id));
    let name = symbol.name.to_string();
    let object = &graph.object_of(block).name;
    let owner = graph.section(graph.block(block).section).object;
    let position = types.position(owner).ok_or_else(|| {
        format!("{object}: map {name} is defined by its type, and the object has no BTF; compile with -g")
    })?;
    let ty = variables.get(&(position, name.as_str()));
    let ty = *ty.ok_or_else(|| format!("{object}: BTF says nothing of map {name}"))?;
    let Defined { map, values } =
        maps::definition(&types.all()[position].btf, &name, ty).map_err(|reason| format!("{object}: {reason}"))?;
    let elements = match values {
        Some(values) => elements(look, block, (offset.saturating_add(values), offset.saturating_add(symbol.size))),
        None => Vec::new(),
    };
    Ok(Declared { definition: MapDefinition { address, elements, ..map }, types: Some(position) })
}

/// The pointers that stand in a map's variable.
fn elements(look: &Look<'_, '_, '_>, block: BlockId, (start, end): (u64, u64)) -> Vec<(u32, Addr)> {
    let mut elements = Vec::new();
    for edge in look.graph.edges(block) {
        let at = u64::from(edge.offset);
        let Value::Block { block: target, offset } = look.graph.symbol(edge.target).value else { continue };
        if (start..end).contains(&at) && (at - start).is_multiple_of(8) {
            let address = Addr((look.address(target) + offset).0.wrapping_add_signed(edge.addend));
            elements.push((((at - start) / 8) as u32, address));
        }
    }
    elements.sort_unstable();
    elements
}

/// The types of variables in `.maps`, by the position of the object's types and name.
type Variables<'t> = HashMap<(usize, &'t str), TypeId>;

fn variables(types: &Types) -> Variables<'_> {
    let mut variables = HashMap::new();
    for (position, object) in types.all().iter().enumerate() {
        for var in object.listed(".maps") {
            variables.entry((position, var.name())).or_insert(var.target().unwrap_or_default());
        }
    }
    variables
}

/// Compares each declaration of a map with the definition that counts.
fn agree(
    look: &Look<'_, '_, '_>,
    (types, variables): (&Types, &Variables<'_>),
    all: &[Declared],
) -> Result<(), String> {
    let graph = look.graph;
    let at: HashMap<Addr, &Declared> = all.iter().map(|declared| (declared.definition.address, declared)).collect();
    for (_, symbol) in graph.symbols() {
        let Value::Block { block, offset } = symbol.value else { continue };
        if symbol.name.is_empty() || !graph.is_live(block) || look.section(block).name != b".maps" {
            continue;
        }
        let (Some(counts), Some(position)) = (at.get(&(look.address(block) + offset)), types.position(symbol.object))
        else {
            continue;
        };
        let name = symbol.name.to_string();
        let Some(&ty) = variables.get(&(position, name.as_str())).filter(|_| counts.types != Some(position)) else {
            continue;
        };
        let other = maps::definition(&types.all()[position].btf, &name, ty)
            .map_err(|reason| format!("{}: {reason}", graph.object(symbol.object).name))?;
        let (first, second) = (describe(&counts.definition), describe(&other.map));
        if first != second {
            let (one, two) = (&graph.object_of(block).name, &graph.object(symbol.object).name);
            return Err(format!("map {name} is {first} in {one}, and {second} in {two}"));
        }
    }
    Ok(())
}

/// What objects must agree on.
fn describe(map: &MapDefinition) -> String {
    let mut text = format!(
        "of type {} with keys of {} bytes, values of {} bytes, {} entries, flags {:#x}",
        map.kind, map.key_size, map.value_size, map.max_entries, map.flags
    );
    if map.extra != 0 || map.numa_node != 0 || map.pin_by_name {
        let pinned = if map.pin_by_name { ", pinned by name" } else { "" };
        text.push_str(&format!(", extra {:#x}, NUMA node {}{pinned}", map.extra, map.numa_node));
    }
    if let Some(inner) = &map.inner {
        text.push_str(&format!(", of maps {}", describe(inner)));
    }
    text
}
