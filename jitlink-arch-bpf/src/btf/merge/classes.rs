//! Which types are the same.
//!
//! A partition is refined until it is stable. At first a class holds the types whose records are equal except for ids.
//! In each round the types that refer to something whose class has just changed are grouped by the classes that they
//! refer to; the largest group keeps the number of its class, the others get new ones. Classes of one type cost nothing
//! more, and a type is looked at again only when something that it refers to has moved to a new class, so the rounds
//! touch fewer and fewer types.
//!
//! Functions, variables, sections and tags are no part of this: [`symbols`](super::symbols) decides about them by name.

use super::flat::Flat;
use crate::btf::{Kind, fields};
use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHasher};
use std::hash::{BuildHasher, Hasher};

/// For each type the first type that is the same. Declarations are what they mean.
pub(super) fn representatives(flat: &Flat) -> Vec<u32> {
    let mut partition = Partition::by_looks(flat);
    let users = Users::new(flat);
    let mut changed: Vec<u32> = (0..flat.len() as u32).filter(|id| takes_part(flat, *id)).collect();
    while !changed.is_empty() {
        changed = partition.split(flat, &changed);
        changed = users.of(flat, &changed);
    }
    let mut first = vec![u32::MAX; partition.sizes.len()];
    let mut representatives: Vec<u32> = (0..flat.len() as u32).collect();
    for id in 1..flat.len() as u32 {
        if takes_part(flat, id) {
            let slot = &mut first[partition.class[id as usize] as usize];
            *slot = (*slot).min(id);
            representatives[id as usize] = *slot;
        }
    }
    for id in 1..flat.len() {
        let meaning = flat.meaning[id] as usize;
        if meaning != id {
            representatives[id] = representatives[meaning];
        }
    }
    representatives
}

/// Whether a type is one that others may be the same as, and is not only a declaration of another.
fn takes_part(flat: &Flat, id: u32) -> bool {
    is_plain(flat.kind(id)) && flat.meaning[id as usize] == id && id != 0
}

/// Whether this kind is a type in the sense of C.
pub(super) fn is_plain(kind: Kind) -> bool {
    !matches!(kind, Kind::Void | Kind::Func | Kind::Var | Kind::Datasec | Kind::DeclTag)
}

struct Partition {
    /// The class of each type; that of `void` is 0.
    class: Vec<u32>,
    /// How many types each class has.
    sizes: Vec<u32>,
}

impl Partition {
    fn by_looks(flat: &Flat) -> Partition {
        let mut partition = Partition { class: vec![0; flat.len()], sizes: vec![1] };
        let mut looks: HashTable<u32> = HashTable::new();
        for id in 1..flat.len() as u32 {
            if !takes_part(flat, id) {
                continue;
            }
            let hash = |id: &u32| look_hash(flat, *id);
            let known = looks.find(hash(&id), |other| look_alike(flat, *other, id)).copied();
            let class = match known {
                Some(other) => partition.class[other as usize],
                None => {
                    looks.insert_unique(hash(&id), id, hash);
                    partition.sizes.push(0);
                    partition.sizes.len() as u32 - 1
                }
            };
            partition.class[id as usize] = class;
            partition.sizes[class as usize] += 1;
        }
        partition
    }

    /// Splits the classes of `types`, which are all types whose references have changed class, and returns the ones
    /// that moved.
    fn split(&mut self, flat: &Flat, types: &[u32]) -> Vec<u32> {
        let alone = |partition: &Partition, id: u32| partition.sizes[partition.class[id as usize] as usize] == 1;
        let mut groups: Vec<Group> = Vec::new();
        let mut table: HashTable<u32> = HashTable::new();
        let mut member_of = Vec::with_capacity(types.len());
        for id in types.iter().copied().filter(|id| !alone(self, *id)) {
            let hash = self.signature_hash(flat, id);
            let known = table.find(hash, |group| self.same_signature(flat, groups[*group as usize].first, id)).copied();
            let group = known.unwrap_or_else(|| {
                let group = groups.len() as u32;
                groups.push(Group { first: id, hash, count: 0 });
                table.insert_unique(hash, group, |group| groups[*group as usize].hash);
                group
            });
            groups[group as usize].count += 1;
            member_of.push((id, group));
        }
        let new_class = self.number(&groups);
        let mut moved = Vec::new();
        for (id, group) in member_of {
            let (old, new) = (self.class[id as usize], new_class[group as usize]);
            if old != new {
                self.sizes[old as usize] -= 1;
                self.sizes[new as usize] += 1;
                self.class[id as usize] = new;
                moved.push(id);
            }
        }
        moved
    }

    /// The class that each group gets: the largest of those that make up a whole class keeps it, and where types of the
    /// class are not in any group, those keep it.
    fn number(&mut self, groups: &[Group]) -> Vec<u32> {
        let classes: Vec<u32> = groups.iter().map(|group| self.class[group.first as usize]).collect();
        let mut by_class: Vec<usize> = (0..groups.len()).collect();
        by_class.sort_by_key(|group| classes[*group]);
        let mut numbers = vec![0; groups.len()];
        for of_class in by_class.chunk_by(|one, other| classes[*one] == classes[*other]) {
            let class = classes[of_class[0]];
            let total: u32 = of_class.iter().map(|group| groups[*group].count).sum();
            let whole = total == self.sizes[class as usize];
            let largest = of_class.iter().copied().max_by_key(|group| (groups[*group].count, usize::MAX - group));
            for group in of_class {
                let keeps = whole && Some(*group) == largest;
                numbers[*group] = if keeps { class } else { self.sizes.len() as u32 };
                if !keeps {
                    self.sizes.push(0);
                }
            }
        }
        numbers
    }

    fn signature_hash(&self, flat: &Flat, id: u32) -> u64 {
        let mut hasher = FxHasher::default();
        hasher.write_u32(self.class[id as usize]);
        flat.references(id).for_each(|to| hasher.write_u32(self.class[to as usize]));
        hasher.finish()
    }

    fn same_signature(&self, flat: &Flat, one: u32, other: u32) -> bool {
        let class = |id: u32| self.class[id as usize];
        class(one) == class(other) && flat.references(one).map(class).eq(flat.references(other).map(class))
    }
}

/// Types of one class that refer to the same classes.
struct Group {
    first: u32,
    hash: u64,
    count: u32,
}

/// For each type the types that refer to it.
struct Users {
    starts: Vec<u32>,
    users: Vec<u32>,
}

impl Users {
    fn new(flat: &Flat) -> Users {
        let mut starts = vec![0_u32; flat.len() + 1];
        let types = || (1..flat.len() as u32).filter(|id| takes_part(flat, *id));
        for to in types().flat_map(|id| flat.references(id)) {
            starts[to as usize + 1] += 1;
        }
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        let mut next = starts.clone();
        let mut users = vec![0; starts.last().map_or(0, |end| *end as usize)];
        for id in types() {
            for to in flat.references(id) {
                users[next[to as usize] as usize] = id;
                next[to as usize] += 1;
            }
        }
        Users { starts, users }
    }

    /// The types that refer to any of these, each once, in order.
    fn of(&self, flat: &Flat, types: &[u32]) -> Vec<u32> {
        let range = |id: u32| self.starts[id as usize] as usize..self.starts[id as usize + 1] as usize;
        let mut users: Vec<u32> = types.iter().flat_map(|id| &self.users[range(*id)]).copied().collect();
        debug_assert!(users.iter().all(|id| takes_part(flat, *id)));
        users.sort_unstable();
        users.dedup();
        users
    }
}

fn look_hash(flat: &Flat, id: u32) -> u64 {
    let words = flat.words(id);
    let mut hasher = FxBuildHasher.build_hasher();
    hasher.write_usize(words.len());
    each_look(flat.kind(id), words, |word| hasher.write_u32(word));
    hasher.finish()
}

/// Whether records are equal except for ids.
fn look_alike(flat: &Flat, one: u32, other: u32) -> bool {
    let (one_words, other_words) = (flat.words(one), flat.words(other));
    if one_words.len() != other_words.len() || one_words[1] != other_words[1] {
        return false;
    }
    let mut is_id = fields::ids(flat.kind(one), one_words.len()).peekable();
    (0..one_words.len())
        .all(|position| is_id.next_if_eq(&position).is_some() || one_words[position] == other_words[position])
}

fn each_look(kind: Kind, words: &[u32], mut each: impl FnMut(u32)) {
    let mut is_id = fields::ids(kind, words.len()).peekable();
    for (position, word) in words.iter().enumerate() {
        if is_id.next_if_eq(&position).is_none() {
            each(*word);
        }
    }
}
