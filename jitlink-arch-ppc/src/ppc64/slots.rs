//! Slots of a group of objects with a TOC base of its own ([`super::groups`]).
//!
//! What code of the small model loads from the linker's GOT it expects within 32 KiB of its base. The first group has the GOT
//! there; for each of the others, the slots that its code asks for lie behind the TOC of its objects.

use super::{rows, toc};
use jitlink_core::graph::{
    BlockId, Content, Edge, LinkGraph, ObjectBuilder, Protection, Section, Symbol, SymbolId, Value,
};
use jitlink_core::reloc::Subject;
use std::collections::HashMap;

/// The bytes of the largest slots: of a variable of each thread that is looked up.
pub(super) const LARGEST: u64 = 16;
/// `GOT16`, `GOT16_DS`, `GOT_TLSGD16`, `GOT_TLSLD16` and `GOT_TPREL16_DS`: the whole distance to a slot in 16 bits.
const SHORT: [u32; 5] = [14, 58, 79, 83, 87];

/// A slot for a symbol: its address, or what code asks for of a thread-local variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Wanted {
    target: SymbolId,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    Address,
    Look,
    LookAll,
    Offset,
}

impl Wanted {
    fn of(graph: &LinkGraph<'_>, edge: &Edge) -> Option<Wanted> {
        let kind = match edge.subject {
            Subject::GotSlot => Kind::Address,
            Subject::TlsGdSlot => Kind::Look,
            Subject::TlsLdSlot => Kind::LookAll,
            Subject::TlsIeSlot => Kind::Offset,
            _ => return None,
        };
        Some(Wanted { target: graph.canonical(edge.target), kind })
    }

    /// What the words of the slot hold.
    fn content(self) -> &'static [Subject] {
        match self.kind {
            Kind::Address => &[Subject::Symbol],
            Kind::Look => &[Subject::TlsModule, Subject::TlsOffset],
            Kind::LookAll => &[Subject::TlsModule, Subject::TlsStart],
            Kind::Offset => &[Subject::TpOffset],
        }
    }

    /// Its size in bytes.
    pub(super) fn size(self) -> u64 {
        8 * self.content().len() as u64
    }
}

/// The rows of code of the small model that ask for slots, by row.
pub(super) struct Short(Vec<bool>);

impl Short {
    pub(super) fn of(graph: &LinkGraph<'_>) -> Short {
        Short(graph.rows().rows().iter().map(|row| SHORT.contains(&row.raw())).collect())
    }

    /// The slot that an edge asks for, if that has to be near the base.
    pub(super) fn slot(&self, graph: &LinkGraph<'_>, edge: &Edge) -> Option<Wanted> {
        if self.0[usize::from(edge.row)] { Wanted::of(graph, edge) } else { None }
    }

    /// Whether any code of the batch asks for one.
    pub(super) fn is_used(&self, graph: &LinkGraph<'_>) -> bool {
        let live = graph.blocks().filter(|(id, _)| graph.is_live(*id));
        live.flat_map(|(id, _)| graph.edges(id)).any(|edge| self.slot(graph, edge).is_some())
    }
}

/// At most how many bytes the linker's slots of the batch take, if there is one group.
pub(super) fn all(graph: &LinkGraph<'_>) -> u64 {
    let live = graph.blocks().filter(|(id, _)| graph.is_live(*id));
    let wanted = |edge: &Edge| match edge.subject {
        Subject::Callee if !matches!(graph.symbol(edge.target).value, Value::Block { .. }) => {
            Some(Wanted { target: graph.canonical(edge.target), kind: Kind::Address })
        }
        _ => Wanted::of(graph, edge),
    };
    let mut slots: Vec<Wanted> = live.flat_map(|(id, _)| graph.edges(id)).filter_map(wanted).collect();
    slots.sort_unstable();
    slots.dedup();
    slots.into_iter().map(Wanted::size).sum()
}

/// The slots of groups.
pub(super) struct Own(HashMap<(usize, Wanted), SymbolId>);

impl Own {
    /// The symbol of a slot of a group.
    pub(super) fn find(&self, group: usize, wanted: Wanted) -> Result<SymbolId, String> {
        self.0.get(&(group, wanted)).copied().ok_or_else(|| format!("group {group} of the TOC lacks a slot"))
    }
}

/// Makes the slots of each group, which are then objects of their own in it.
pub(super) fn provide(
    graph: &mut LinkGraph<'_>,
    of_object: &mut Vec<u32>,
    starts: &mut [Option<BlockId>],
    slots: Vec<Vec<Wanted>>,
) -> Result<Own, String> {
    let mut own = Own(HashMap::new());
    for (group, slots) in slots.into_iter().enumerate().filter(|(group, slots)| *group > 0 && !slots.is_empty()) {
        let mut object = ObjectBuilder::new(graph, "(slots of a group of the TOC)".into(), String::new());
        let id = object.id();
        let mut section = Section::new(toc::NAME, id);
        (section.gathered, section.protection) = (true, Protection::Read);
        section.sort_key = toc::SHORT_KEY + group as u32;
        object.add_section(section);
        let size = slots.iter().map(|slot| slot.size() as usize).sum();
        let block = object.add_block(Content::Owned(vec![0; size].into()), 0, 3);
        let mut words = Vec::new();
        for slot in slots {
            let at = 8 * words.len() as u64;
            own.0.insert((group, slot), object.add_symbol(Symbol::local(b"", id, block, at)));
            words.extend(slot.content().iter().map(|&content| (slot.target, content)));
        }
        object.begin_edges(block);
        for (index, (target, subject)) in words.into_iter().enumerate() {
            let edge = Edge { offset: 8 * index as u32, target, addend: 0, row: rows::POINTER, subject };
            object.add_edge(block, edge).map_err(|error| error.to_string())?;
        }
        of_object.resize(id.index(), 0);
        of_object.push(group as u32);
        starts[group - 1].get_or_insert(block);
    }
    Ok(own)
}
