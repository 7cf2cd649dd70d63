//! The types of the objects of a batch.

use crate::btf::ext::BtfExt;
use crate::btf::{Btf, Kind, Type};
use jitlink_core::graph::{LinkGraph, ObjectId, SectionId};
use std::sync::Arc;

/// What `.BTF` and `.BTF.ext` of one object say.
#[derive(Debug)]
pub(super) struct ObjectTypes {
    pub(super) object: ObjectId,
    pub(super) btf: Btf,
    pub(super) ext: BtfExt,
}

/// The types of all objects that have any, by object.
#[derive(Clone, Debug, Default)]
pub(super) struct Types {
    objects: Arc<Vec<ObjectTypes>>,
}

impl Types {
    /// Reads and checks them.
    pub(super) fn read(graph: &LinkGraph<'_>) -> Result<Types, String> {
        let mut objects: Vec<ObjectTypes> = Vec::new();
        let mut extensions: Vec<(ObjectId, SectionId)> = Vec::new();
        for (id, section) in graph.sections() {
            let name = &graph.object(section.object).name;
            match section.name {
                b".BTF" | b".BTF.ext" if section.is_loaded() => {
                    let what = section.name_lossy();
                    return Err(format!(
                        "{name}: section {what} is memory of the program, in which no types can stand"
                    ));
                }
                b".BTF" if objects.last().is_some_and(|last| last.object == section.object) => {
                    return Err(format!("{name}: a second section .BTF"));
                }
                b".BTF" => {
                    let btf = Btf::read(bytes(graph, id)).map_err(|error| format!("{name}: .BTF: {error}"))?;
                    objects.push(ObjectTypes { object: section.object, btf, ext: BtfExt::default() });
                }
                b".BTF.ext" => extensions.push((section.object, id)),
                _ => {}
            }
        }
        for (object, section) in extensions {
            let Ok(index) = objects.binary_search_by_key(&object, |types| types.object) else { continue };
            let of = &mut objects[index];
            of.ext = BtfExt::read(bytes(graph, section), &of.btf)
                .map_err(|error| format!("{}: {error}", graph.object(object).name))?;
        }
        Ok(Types { objects: Arc::new(objects) })
    }

    pub(super) fn all(&self) -> &[ObjectTypes] {
        &self.objects
    }

    /// The position of an object's types.
    pub(super) fn position(&self, object: ObjectId) -> Option<usize> {
        self.objects.binary_search_by_key(&object, |types| types.object).ok()
    }
}

fn bytes<'g>(graph: &'g LinkGraph<'_>, section: SectionId) -> &'g [u8] {
    graph.blocks_of(section).next().map_or(&[], |(_, block)| block.content.bytes())
}

impl ObjectTypes {
    /// The variables, and functions, that the object lists in a section.
    pub(super) fn listed<'t>(&'t self, section: &'t str) -> impl Iterator<Item = Type<'t>> {
        let lists = self.btf.types().filter(move |ty| ty.kind() == Kind::Datasec && ty.name() == section);
        lists.flat_map(|list| list.section_vars()).filter_map(|var| self.btf.ty(var.ty))
    }
}
