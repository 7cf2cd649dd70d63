//! COMDAT groups over updates: the copy that a link kept stays the one that counts until its object gives it up.

use super::{Baseline, ObjectRecord};
use crate::error::LinkError;
use crate::graph::{Group, LinkGraph, ObjectBuilder, ObjectId, Selection};
use hashbrown::HashSet;

impl Baseline {
    /// Discards the copies of groups of which an object of the module that is not in the batch has the one that counts, as a link
    /// of all objects would. The first copy counts whatever the sizes are: the others' are not remembered.
    pub(in crate::link) fn discard_copies(&self, graph: &mut LinkGraph<'_>) -> Result<(), Vec<LinkError>> {
        let batch: HashSet<u32> =
            graph.objects().filter_map(|(_, object)| Some(self.object_index(&object.name)? as u32)).collect();
        let owner = |name: &[u8]| self.groups.get(name).copied().filter(|owner| !batch.contains(owner));
        let (mut copies, mut errors) = (Vec::new(), Vec::new());
        for (index, group) in graph.groups.iter().enumerate().filter(|(_, group)| is_selected(group)) {
            let Some(owner) = owner(group.name.bytes()) else { continue };
            copies.push(index);
            if group.selection == Selection::NoDuplicates {
                let first = self.objects.get_index(owner as usize).map_or_else(String::new, |(name, _)| name.clone());
                errors.push(LinkError::ComdatMismatch {
                    group: group.name.to_string(),
                    what: "may have only one copy".into(),
                    first,
                    second: graph.object(group.object).name.clone(),
                });
            }
        }
        if !copies.is_empty() {
            let module = ObjectBuilder::new(graph, "(the module)".into(), String::new()).id();
            copies.into_iter().for_each(|index| graph.groups[index].discarded_for = Some(module));
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Forgets the groups of an object that is replaced.
    pub(super) fn give_up_groups(&mut self, object: u32, record: &ObjectRecord) {
        for name in &record.groups {
            if self.groups.get(name) == Some(&object) {
                self.groups.remove(name);
            }
        }
    }

    /// Remembers the groups of which an object has the copy that counts.
    pub(super) fn take_groups(&mut self, object: u32, record: &ObjectRecord) {
        self.groups.extend(record.groups.iter().map(|name| (name.clone(), object)));
    }
}

/// The groups of which a link kept a copy, each with its object.
pub(super) fn kept<'g>(graph: &'g LinkGraph<'_>) -> impl Iterator<Item = (ObjectId, &'g [u8])> {
    let kept = graph.groups.iter().filter(|group| is_selected(group) && group.discarded_for().is_none());
    kept.map(|group| (group.object, group.name.bytes()))
}

/// Whether one copy of a group is kept; parts of others share their fate.
fn is_selected(group: &Group<'_>) -> bool {
    group.selection != Selection::All && group.parent.is_none()
}
