//! Selecting COMDAT groups: one copy of each stays, and the others are checked against their rule.

use super::name_table::NameTable;
use crate::error::LinkError;
use crate::graph::{Content, GroupId, LinkGraph, ObjectId, SectionId, Selection};
use hashbrown::HashMap;

/// How many groups are entered together.
const AT_ONCE: usize = 64;

/// Whether a section of this group is of a copy that was not kept.
pub(super) fn is_discarded(graph: &LinkGraph<'_>, group: Option<GroupId>) -> bool {
    group.is_some_and(|group| graph.groups[group.index()].discarded_for.is_some())
}

/// Whether two sections hold the same bytes, written out or not.
fn same_content(graph: &LinkGraph<'_>, first: Option<SectionId>, second: Option<SectionId>) -> bool {
    let blocks = |section: Option<SectionId>| section.into_iter().flat_map(|section| graph.blocks_of(section));
    let is_zero = |section| blocks(section).all(|(_, block)| matches!(block.content, Content::Zero(_)));
    let size = |section| blocks(section).map(|(_, block)| block.size()).sum::<u64>();
    let bytes = |section| {
        blocks(section).flat_map(|(_, block)| {
            let zeros = if let Content::Zero(size) = block.content { size } else { 0 };
            block.content.bytes().iter().copied().chain(std::iter::repeat_n(0, zeros as usize))
        })
    };
    size(first) == size(second) && (is_zero(first) && is_zero(second) || bytes(first).eq(bytes(second)))
}

/// Keeps one copy of each COMDAT group, and checks the others against its selection rule.
pub(super) fn select_groups(graph: &mut LinkGraph<'_>) -> Vec<LinkError> {
    let mut errors = Vec::new();
    // The first group of each name, and which copy is kept where that is another.
    let mut firsts = NameTable::default();
    let mut kept: HashMap<GroupId, GroupId> = HashMap::new();
    for index in 0..graph.groups.len() {
        if index.is_multiple_of(AT_ONCE) {
            firsts.approach(graph.groups[index..].iter().take(AT_ONCE).map(|group| group.name.hash()));
        }
        let group = &graph.groups[index];
        let (id, name, selection) = (GroupId::new(index), group.name, group.selection);
        // An update's copies are discarded already if the module has another.
        if selection == Selection::All || group.parent.is_some() || group.discarded_for.is_some() {
            continue;
        }
        let is_same = |other: u32| graph.groups[other as usize].name == name;
        let Some(first) = firsts.enter(name.hash(), index as u32, is_same) else { continue };
        let named = GroupId::new(first as usize);
        let first = kept.get(&named).copied().unwrap_or(named);
        let leader = |group: GroupId| graph.groups[group.index()].leader;
        let size = |group: GroupId| {
            let blocks = leader(group).into_iter().flat_map(|leader| graph.blocks_of(leader));
            graph.groups[group.index()].leader_size.unwrap_or_else(|| blocks.map(|(_, block)| block.size()).sum())
        };
        let rules = [graph.groups[first.index()].selection, selection];
        // One of any copies may as well be the largest (compilers differ in that for virtual tables), or have the size of all.
        let other = rules.into_iter().find(|rule| *rule != Selection::Any).unwrap_or(Selection::Any);
        let fits_any = matches!(other, Selection::Largest | Selection::SameSize);
        let mixed = rules[0] != rules[1] && !(rules.contains(&Selection::Any) && fits_any);
        let selection = if mixed { selection } else { other };
        let differs = match selection {
            _ if mixed => Some(format!("copies must have one selection rule, but have {} and {}", rules[0], rules[1])),
            Selection::NoDuplicates => Some("may have only one copy".to_string()),
            Selection::SameSize if size(first) != size(id) => {
                Some(format!("copies must have one size, but have {:#x} and {:#x}", size(first), size(id)))
            }
            Selection::ExactMatch if !same_content(graph, leader(first), leader(id)) => {
                Some("copies must be equal, but their bytes differ".to_string())
            }
            _ => None,
        };
        let object = |group: GroupId| graph.groups[group.index()].object;
        if let Some(what) = differs {
            let name_of = |group| graph.object(object(group)).name.clone();
            let group = name.to_string();
            errors.push(LinkError::ComdatMismatch { group, what, first: name_of(first), second: name_of(id) });
        }
        let (winner, loser) =
            if selection == Selection::Largest && size(id) > size(first) { (id, first) } else { (first, id) };
        let winner_object = object(winner);
        if winner == id {
            kept.insert(named, winner);
        }
        graph.groups[loser.index()].discarded_for = Some(winner_object);
    }
    // Associative groups share the fate of their parents. Each is looked at once, however long the chains are.
    let (mut seen, mut chain) = (vec![false; graph.groups.len()], Vec::new());
    for index in 0..graph.groups.len() {
        let mut group = index;
        while !std::mem::replace(&mut seen[group], true) {
            chain.push(group);
            group = graph.groups[group].parent.map_or(group, GroupId::index);
        }
        let fate: Option<ObjectId> = graph.groups[group].discarded_for;
        chain.drain(..).for_each(|group| graph.groups[group].discarded_for = fate);
    }
    errors
}
