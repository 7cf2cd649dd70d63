//! Functions, variables, sections and tags, and the merged records.

use super::flat::Flat;
use super::{Conflict, Layout, Merged, compare};
use crate::btf::{Btf, BtfBuilder, BtfError, Kind, Linkage, SectionVar, TypeId, TypeMap, fields, strings::Strings};
use hashbrown::{HashMap, HashSet};
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

/// Writes one record for each class, function, variable, section and tag.
pub(super) fn emit(
    objects: &[&Btf],
    flat: &Flat,
    representatives: &[u32],
    strings: Strings,
    layout: &dyn Layout,
) -> Result<Merged, BtfError> {
    let mut joined =
        Joined { objects, flat, same: representatives.to_vec(), by_name: HashMap::default(), conflicts: Vec::new() };
    joined.join_names();
    joined.join_tags();
    let mut sections = Sections::collect(&joined, layout);
    let mut builder = BtfBuilder::with_strings(strings);
    let mut numbers = joined.number(&mut sections);
    for id in 1..flat.len() as u32 {
        if joined.same[id as usize] == id && flat.kind(id) != Kind::Datasec {
            joined.write(id, &numbers, &mut builder)?;
        } else if let Some(section) = sections.by_first.get(&id) {
            section.write(flat.words(id)[0], &numbers, layout, &mut builder)?;
        }
    }
    for id in 1..flat.len() {
        numbers[id] = numbers[joined.same[id] as usize];
    }
    let maps = flat.bases.windows(2).map(|range| {
        let types = numbers[range[0] as usize..range[1] as usize].iter().copied();
        TypeMap(std::iter::once(TypeId::VOID).chain(types).collect())
    });
    Ok(Merged { maps: maps.collect(), builder, conflicts: joined.conflicts })
}

struct Joined<'a> {
    objects: &'a [&'a Btf],
    flat: &'a Flat,
    /// For each type the one that stands for it in the result.
    same: Vec<u32>,
    /// The first function or variable of each name, and the one that defines it.
    by_name: HashMap<(Kind, u32), Named, FxBuildHasher>,
    conflicts: Vec<Conflict>,
}

#[derive(Clone, Copy)]
struct Named {
    first: u32,
    definition: Option<u32>,
}

impl Joined<'_> {
    /// Makes all declarations and the definition of a name the same.
    fn join_names(&mut self) {
        for id in 1..self.flat.len() as u32 {
            let (words, kind) = (self.flat.words(id), self.flat.kind(id));
            let linkage = match kind {
                Kind::Func => words[1] & 0xffff,
                Kind::Var => words[3],
                _ => continue,
            };
            // What has no name cannot be meant by others.
            if linkage == Linkage::Static as u32 || words[0] == 0 {
                continue;
            }
            let defines = (linkage == Linkage::Global as u32).then_some(id);
            let named = *self.by_name.entry((kind, words[0])).or_insert(Named { first: id, definition: defines });
            self.same[id as usize] = named.first;
            if named.first == id {
                continue;
            }
            self.compare(named.definition.unwrap_or(named.first), id);
            if named.definition.is_none() && defines.is_some() {
                self.by_name.insert((kind, words[0]), Named { definition: defines, ..named });
            }
        }
    }

    /// Notes how a later declaration differs from the one that counts, if types are not the same anyway.
    fn compare(&mut self, counts: u32, later: u32) {
        let ty = |id: u32| self.same[self.flat.meaning[self.flat.words(id)[2] as usize] as usize];
        if ty(counts) == ty(later) {
            return;
        }
        let ((first, first_id), (second, second_id)) = (self.flat.origin(counts), self.flat.origin(later));
        let (one, other) = ((self.objects[first], first_id), (self.objects[second], second_id));
        if let Err(mismatch) = compare::compatible(one, other) {
            let name = one.0.ty(first_id).map_or("", |ty| ty.name()).to_owned();
            self.conflicts.push(Conflict { name, objects: (first, second), mismatch });
        }
    }

    /// Equal tags of the same declaration become one.
    fn join_tags(&mut self) {
        let mut seen: HashMap<[u32; 4], u32, FxBuildHasher> = HashMap::default();
        // Tags may be on tags that come later, so each is joined by what its target is as far as that is known.
        for id in 1..self.flat.len() as u32 {
            if self.flat.kind(id) == Kind::DeclTag {
                let words = self.flat.words(id);
                let target = self.same[self.flat.meaning[words[2] as usize] as usize];
                self.same[id as usize] = *seen.entry([words[0], words[1], target, words[3]]).or_insert(id);
            }
        }
    }

    /// The number of each type that stands for itself, and of the first of the sections of a name.
    fn number(&self, sections: &mut Sections) -> Vec<TypeId> {
        let mut numbers = vec![TypeId::VOID; self.flat.len()];
        let mut next = 1;
        for id in 1..self.flat.len() as u32 {
            let stands = match self.flat.kind(id) {
                Kind::Datasec => sections.by_first.contains_key(&id),
                _ => self.same[id as usize] == id,
            };
            if stands {
                numbers[id as usize] = TypeId(next);
                next += 1;
            }
        }
        for (id, first) in &sections.first_of {
            numbers[*id as usize] = numbers[*first as usize];
        }
        numbers
    }

    /// Writes a record with its ids replaced. A function or variable is written as its definition says.
    fn write(&self, id: u32, numbers: &[TypeId], builder: &mut BtfBuilder) -> Result<(), BtfError> {
        let kind = self.flat.kind(id);
        let named = self.by_name.get(&(kind, self.flat.words(id)[0])).filter(|named| named.first == id);
        let source = named.and_then(|named| named.definition).unwrap_or(id);
        let mut words = self.flat.words(source).to_vec();
        for position in fields::ids(kind, words.len()) {
            let meaning = self.flat.meaning[words[position] as usize];
            words[position] = numbers[self.same[meaning as usize] as usize].0;
        }
        let (head, parts) = words.split_at(3);
        builder.raw(&[head[0], head[1], head[2]], parts)?;
        Ok(())
    }
}

/// The sections of all objects by name.
struct Sections {
    by_first: IndexMap<u32, Section, FxBuildHasher>,
    /// For each section the first one of its name.
    first_of: Vec<(u32, u32)>,
}

struct Section {
    name: String,
    /// The variables with a place, by the types that stand for them.
    vars: Vec<(u32, u32, u32)>,
    seen: HashSet<u32, FxBuildHasher>,
}

impl Sections {
    fn collect(joined: &Joined<'_>, layout: &dyn Layout) -> Sections {
        let flat = joined.flat;
        let mut first_by_name: HashMap<u32, u32, FxBuildHasher> = HashMap::default();
        let mut sections = Sections { by_first: IndexMap::default(), first_of: Vec::new() };
        for id in 1..flat.len() as u32 {
            if flat.kind(id) != Kind::Datasec {
                continue;
            }
            let (object, own) = flat.origin(id);
            let Some(ty) = joined.objects[object].ty(own) else { continue };
            let first = *first_by_name.entry(flat.words(id)[0]).or_insert(id);
            sections.first_of.push((id, first));
            let empty = || Section { name: ty.name().to_owned(), vars: Vec::new(), seen: HashSet::default() };
            let section = sections.by_first.entry(first).or_insert_with(empty);
            for (var, part) in ty.section_vars().zip(flat.words(id)[3..].chunks_exact(3)) {
                let name = joined.objects[object].ty(var.ty).map_or("", |var| var.name());
                let Some((offset, size)) = layout.place(object, &section.name, name) else { continue };
                let stands = joined.same[part[0] as usize];
                if section.seen.insert(stands) {
                    section.vars.push((stands, offset, size));
                }
            }
        }
        sections.by_first.retain(|_, section| !section.vars.is_empty());
        sections
    }
}

impl Section {
    fn write(
        &self,
        name: u32,
        numbers: &[TypeId],
        layout: &dyn Layout,
        builder: &mut BtfBuilder,
    ) -> Result<(), BtfError> {
        let vars = self.vars.iter().map(|(var, offset, size)| SectionVar {
            ty: numbers[*var as usize],
            offset: *offset,
            size: *size,
        });
        let vars: Vec<_> = vars.collect();
        let end = vars.iter().map(|var| var.offset.saturating_add(var.size)).max().unwrap_or_default();
        builder.section_at(name, layout.section_size(&self.name).unwrap_or(end), &vars)?;
        Ok(())
    }
}
