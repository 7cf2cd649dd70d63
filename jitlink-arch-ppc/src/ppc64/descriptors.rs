//! Function descriptors of the ELFv1 ABI ("64-bit PowerPC ELF Application Binary Interface Supplement 1.9", "Function
//! Descriptors").
//!
//! Under that ABI a function's symbol stands for three words in the section `.opd`: where its code is, its TOC base, and an
//! environment. Pointers to functions point there. A direct call means the code, so calls inside the batch are turned to what the
//! descriptor says; calls that leave the batch go through a stub that reads the descriptor.
//!
//! An object's `.opd` is cut into its descriptors first, so that each keeps no more than its own function alive. The code gets a local
//! symbol of the function's name, for whoever wants to know what is at an address: reports of crashes, profilers.

use super::calls::{LOCAL_ENTRY, REL24};
use super::groups::{self, Groups};
use super::{ELFV2, rows};
use jitlink_core::graph::{BlockId, Edge, LinkGraph, ObjectBuilder, Split, Symbol, SymbolId, SymbolKind, Value};
use jitlink_core::{Endian, LinkError};
use std::collections::HashMap;

/// The sections.
pub(super) const NAME: &[u8] = b".opd";
const ADDR64: u32 = 38;
/// `ADDR24`, `ADDR14` and its hints, `REL24`, `REL14` and its hints.
const BRANCHES: [u32; 8] = [2, 7, 8, 9, 10, 11, 12, 13];

/// Cuts an object's `.opd` at its descriptors, and names the code that they stand for.
pub(super) fn cut(object: &mut ObjectBuilder<'_, '_>) -> Result<(), LinkError> {
    let graph = object.graph();
    let mut cuts = Vec::new();
    let mut entries = HashMap::new();
    for (id, _) in object.own_sections().filter(|(_, section)| section.name == NAME) {
        for (block, _) in graph.blocks_of(id) {
            for edge in graph.edges(block).iter().filter(|edge| graph.rows().row(edge.row).raw() == ADDR64) {
                cuts.push((block, edge.offset));
                entries.insert((block, u64::from(edge.offset)), *edge);
            }
        }
    }
    let of_code = |symbol: &Symbol<'_>| {
        let Value::Block { block, offset } = symbol.value else { return None };
        let entry = entries.get(&(block, offset))?;
        let Value::Block { block, offset } = graph.symbol(entry.target).value else { return None };
        Some((block, offset.checked_add_signed(entry.addend)?))
    };
    let own = object.own_symbols().map(|(_, symbol)| symbol);
    let named = own.filter(|symbol| symbol.kind == SymbolKind::Function && !symbol.name.is_empty());
    if cuts.is_empty() {
        return Ok(());
    }
    let code = named.filter_map(|symbol| {
        let (block, offset) = of_code(symbol).filter(|(block, offset)| *offset <= graph.block(*block).size())?;
        let local = Symbol::local(symbol.name.bytes(), symbol.object, block, offset);
        Some(Symbol { size: symbol.size, kind: SymbolKind::Function, ..local })
    });
    for symbol in code.collect::<Vec<_>>() {
        object.add_symbol(symbol);
    }
    object.split(Split { cuts, references: Vec::new() })
}

/// The descriptors of a batch, each with which of its edges says where the code is.
fn entries(graph: &LinkGraph<'_>) -> HashMap<BlockId, usize> {
    let sections = graph.sections().filter(|(_, section)| section.name == NAME);
    let blocks = sections.flat_map(|(id, _)| graph.blocks_of(id)).map(|(id, _)| id);
    let entry = |edge: &Edge| edge.offset == 0 && graph.rows().row(edge.row).raw() == ADDR64;
    blocks.filter_map(|id| Some((id, graph.edges(id).iter().position(entry)?))).collect()
}

/// The descriptor that a branch is to.
fn described(graph: &LinkGraph<'_>, entries: &HashMap<BlockId, usize>, branch: &Edge) -> Option<BlockId> {
    match graph.symbol(branch.target).value {
        // An indirect function's descriptor is its resolver's, which calls do not mean.
        Value::Block { block, offset: 0 } => {
            let is_direct = graph.symbol(branch.target).kind != SymbolKind::Indirect;
            (is_direct && entries.contains_key(&block)).then_some(block)
        }
        _ => None,
    }
}

/// Turns branches from functions' descriptors to their code, where objects have descriptors. If there may be several groups of objects
/// with a TOC base each, branches between objects are left to [`settle`], which is said then.
pub(super) fn enter(graph: &mut LinkGraph<'_>) -> Result<bool, String> {
    let entries = entries(graph);
    if entries.is_empty() {
        return refuse_indirect(graph).map(|()| false);
    }
    let grouped = Groups::may_be_several(graph);
    // Only the ELFv2 ABI has local entries.
    if let Some((id, symbol)) = graph.symbols().find(|(_, symbol)| symbol.other & LOCAL_ENTRY != 0) {
        let (name, object) = (graph.display_symbol(id), &graph.object(symbol.object).name);
        let other = entries.keys().min().map_or("", |&block| graph.object_of(block).name.as_str());
        return Err(format!(
            "{object} is for the ELFv2 ABI ({name} has a local entry), {other} for ELFv1 (it has descriptors); compile both alike"
        ));
    }
    if graph.target().convention == ELFV2 {
        let first = entries.keys().min().map_or("", |&block| graph.object_of(block).name.as_str());
        return Err(format!(
            "{first} is for the ELFv1 ABI (it has descriptors), but other objects say that they are for ELFv2 (e_flags); compile all alike"
        ));
    }
    let descriptor_of = if grouped { descriptors_by_code(graph, &entries) } else { HashMap::new() };
    let branches = BRANCHES.map(|raw| graph.rows().by_raw(raw).map(|(row, _)| row));
    let rel24 = graph.rows().by_raw(REL24).map(|(row, _)| row);
    let object = |graph: &LinkGraph<'_>, block: BlockId| graph.section(graph.block(block).section).object;
    let blocks: Vec<BlockId> = graph.blocks().map(|(id, _)| id).collect();
    for block in blocks {
        for index in 0..graph.edges(block).len() {
            let mut edge = graph.edges(block)[index];
            if !branches.contains(&Some(edge.row)) {
                continue;
            }
            match described(graph, &entries, &edge) {
                Some(described) if grouped && object(graph, described) != object(graph, block) => {}
                Some(described) => edge = entered(graph, &edge, described, entries[&described]),
                None => match graph.symbol(edge.target).value {
                    Value::Block { block: code, offset } if grouped && object(graph, code) != object(graph, block) => {
                        let place = (code, offset.wrapping_add_signed(edge.addend));
                        match descriptor_of.get(&place) {
                            Some(&Some(descriptor)) => (edge.target, edge.addend) = (descriptor, 0),
                            Some(None) => return Err(groups::cannot_restore(graph, block, &edge)),
                            None if Some(edge.row) == rel24 => edge.row = rows::CALL_V1,
                            None => {}
                        }
                    }
                    _ if Some(edge.row) == rel24 => edge.row = rows::CALL_V1,
                    _ => {}
                },
            }
            graph.edges_mut(block)[index] = edge;
        }
    }
    Ok(grouped)
}

/// The symbols of functions' descriptors by where their code is; those that have no symbol too.
fn descriptors_by_code(
    graph: &LinkGraph<'_>,
    entries: &HashMap<BlockId, usize>,
) -> HashMap<(BlockId, u64), Option<SymbolId>> {
    let code = |descriptor: BlockId| {
        let entry = graph.edges(descriptor)[entries[&descriptor]];
        match graph.symbol(entry.target).value {
            Value::Block { block, offset } => Some((block, offset.wrapping_add_signed(entry.addend))),
            _ => None,
        }
    };
    let mut found: HashMap<_, _> = entries.keys().filter_map(|&id| Some((code(id)?, None))).collect();
    for (id, symbol) in graph.symbols() {
        if let Value::Block { block, offset: 0 } = symbol.value
            && entries.contains_key(&block)
            && symbol.kind != SymbolKind::Indirect
            && let Some(place) = code(block)
        {
            found.entry(place).or_insert(None).get_or_insert(id);
        }
    }
    found
}

/// A branch to the code of a descriptor, instead of to that.
fn entered(graph: &LinkGraph<'_>, branch: &Edge, descriptor: BlockId, entry: usize) -> Edge {
    let entry = graph.edges(descriptor)[entry];
    Edge { target: entry.target, addend: branch.addend.wrapping_add(entry.addend), ..*branch }
}

/// Turns the branches that [`enter`] left to the code of their descriptors, where that has the caller's TOC base. Others go through
/// stubs, and so do calls that leave the batch, which from groups without the linker's slots need other stubs.
pub(super) fn settle(graph: &mut LinkGraph<'_>, groups: &Groups) -> Result<(), String> {
    let entries = entries(graph);
    let branches = BRANCHES.map(|raw| graph.rows().by_raw(raw).map(|(row, _)| row));
    let rel24 = graph.rows().by_raw(REL24).map(|(row, _)| row);
    let blocks: Vec<BlockId> = graph.blocks().map(|(id, _)| id).filter(|&id| graph.is_live(id)).collect();
    for block in blocks {
        let own = groups.of_block(graph, block);
        for index in 0..graph.edges(block).len() {
            let mut edge = graph.edges(block)[index];
            if edge.row == rows::CALL_V1 && own != 0 {
                edge.row = rows::CALL_V1_APART;
            } else if branches.contains(&Some(edge.row))
                && let Some(described) = described(graph, &entries, &edge)
            {
                if groups.of_block(graph, described) == own {
                    edge = entered(graph, &edge, described, entries[&described]);
                } else if Some(edge.row) == rel24 {
                    edge.row = rows::CALL_V1_ACROSS;
                } else {
                    return Err(groups::cannot_restore(graph, block, &edge));
                }
            }
            graph.edges_mut(block)[index] = edge;
        }
    }
    Ok(())
}

/// Big-endian objects without descriptors are for the ELFv2 ABI. Where none says so, indirect functions would be called by the other.
fn refuse_indirect(graph: &LinkGraph<'_>) -> Result<(), String> {
    let is_indirect =
        |symbol: &Symbol<'_>| symbol.kind == SymbolKind::Indirect && matches!(symbol.value, Value::Block { .. });
    let target = graph.target();
    let is_unknown = target.endian == Endian::Big && target.convention != ELFV2;
    match graph.symbols().find(|(_, symbol)| is_unknown && is_indirect(symbol)) {
        Some((id, symbol)) => Err(format!(
            "{}: {} is an indirect function (STT_GNU_IFUNC) in code without function descriptors, but no object outside of \
             archives says that it is for the ELFv2 ABI (e_flags 2); compile with -mabi=elfv2, or assemble with .abiversion 2",
            graph.object(symbol.object).name,
            graph.display_symbol(id)
        )),
        None => Ok(()),
    }
}
