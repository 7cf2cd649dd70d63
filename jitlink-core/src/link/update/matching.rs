//! Finds the parts of an object among those of the object that it replaces.

use super::diff::{Fate, RESTART};
use super::identity::{self, Class, Identity, Variable};
use super::{Baseline, ObjectRecord};
use crate::error::LinkError;
use crate::graph::{BlockId, LinkGraph, ObjectId};
use crate::link::groups::is_discarded;
use hashbrown::{HashMap, HashSet};

/// What tells the blocks of an object apart: section, group, number.
type Key<'a> = (&'a [u8], &'a [u8], u32);

/// The variables of a block, and its size.
type Shape<'a> = (Vec<(u64, u64, &'a [u8])>, u64);

/// The matching of one object.
pub(super) struct Matching<'m, 'a> {
    graph: &'m LinkGraph<'a>,
    identities: &'m [Option<Identity>],
    fates: &'m mut [Fate],
    object: ObjectId,
    old: &'m ObjectRecord,
    /// Which of the old blocks have found theirs.
    taken: Vec<bool>,
    /// Whether arrays of initialisers are not what they were.
    pub(super) skips_initialisers: bool,
}

impl<'m, 'a> Matching<'m, 'a> {
    pub(super) fn new(
        graph: &'m LinkGraph<'a>,
        identities: &'m [Option<Identity>],
        fates: &'m mut [Fate],
        object: ObjectId,
        old: &'m ObjectRecord,
    ) -> Matching<'m, 'a> {
        let taken = vec![false; old.blocks.len()];
        Matching { graph, identities, fates, object, old, taken, skips_initialisers: false }
    }

    pub(super) fn run(&mut self, base: &Baseline, errors: &mut Vec<LinkError>) {
        self.match_same(Class::Text);
        self.match_same(Class::Data);
        self.match_initialisers();
        self.match_variables(|variable| &variable.name);
        self.match_variables(Variable::plain);
        self.check_nameless(errors);
        self.check_lost_variables(errors);
        self.check_gathered(base, errors);
    }

    /// The object's blocks of a class, without those of discarded groups.
    fn blocks(&self, class: Class) -> impl Iterator<Item = (BlockId, &'m Identity)> + use<'m, 'a> {
        let (graph, identities) = (self.graph, self.identities);
        let range = graph.object(self.object).sections.clone();
        let sections = graph.sections[range.start as usize..range.end as usize].iter();
        let kept = sections.filter(|section| !is_discarded(graph, section.group));
        let blocks = kept.flat_map(|section| section.blocks.clone().map(BlockId));
        blocks.filter_map(move |block| {
            let identity = identities[block.index()].as_ref()?;
            (identity.class == class).then_some((block, identity))
        })
    }

    fn is_kept(&self, block: BlockId) -> bool {
        matches!(self.fates[block.index()], Fate::Kept(_))
    }

    fn take(&mut self, block: BlockId, record: usize) {
        self.taken[record] = true;
        self.fates[block.index()] = Fate::Kept(record);
    }

    fn key(&self, block: BlockId, identity: &Identity) -> Key<'m> {
        let (section, group) = identity::place(self.graph, block);
        (section, group, identity.ordinal)
    }

    fn by_key(&self, class: Class) -> HashMap<Key<'m>, usize> {
        let of_class = self.old.blocks.iter().enumerate().filter(|(_, record)| record.class == class);
        of_class.map(|(index, record)| ((&*record.section, &*record.group, record.ordinal), index)).collect()
    }

    /// What looks the same in the same place of the object is the same.
    fn match_same(&mut self, class: Class) {
        let old = self.by_key(class);
        for (block, identity) in self.blocks(class) {
            if let Some(&record) = old.get(&self.key(block, identity))
                && self.old.blocks[record].fingerprint == identity.fingerprint
            {
                self.take(block, record);
            }
        }
    }

    fn match_initialisers(&mut self) {
        let old = self.by_key(Class::Initialisers);
        for (block, identity) in self.blocks(Class::Initialisers) {
            let size = self.graph.block(block).size();
            let known = old.get(&self.key(block, identity)).copied();
            let known = known.filter(|&record| self.old.blocks[record].size == size);
            let same = known.is_some_and(|record| self.old.blocks[record].fingerprint == identity.fingerprint);
            self.skips_initialisers |= !same && size > 0;
            match known {
                Some(record) => self.take(block, record),
                None => self.fates[block.index()] = Fate::Dropped,
            }
        }
    }

    /// Variables keep their places if all of their block do. Of several blocks that look alike, nobody can say which is which.
    fn match_variables(&mut self, name: impl Fn(&Variable) -> &[u8]) {
        let shape = |variables: &'m [Variable], size: u64| -> Shape<'m> {
            let each = |variable: &'m Variable| (variable.offset, variable.size, name(variable));
            (variables.iter().map(each).collect(), size)
        };
        let mut candidates: HashMap<Shape<'m>, (Vec<usize>, Vec<BlockId>)> = HashMap::new();
        for (index, record) in self.old.blocks.iter().enumerate() {
            if record.class == Class::Data && !self.taken[index] && !record.variables.is_empty() {
                candidates.entry(shape(&record.variables, record.size)).or_default().0.push(index);
            }
        }
        for (block, identity) in self.blocks(Class::Data).filter(|(block, _)| !self.is_kept(*block)) {
            if let Some(found) = candidates.get_mut(&shape(&identity.variables, self.graph.block(block).size())) {
                found.1.push(block);
            }
        }
        for (records, blocks) in candidates.into_values() {
            if let ([record], [block]) = (records.as_slice(), blocks.as_slice())
                && self.fits(*block, *record)
            {
                self.take(*block, *record);
            }
        }
    }

    /// Whether variables can stay where they were: with their alignment, in each thread or not, in a run that is walked over or not.
    fn fits(&self, block: BlockId, record: usize) -> bool {
        let (section, record) = (self.graph.section(self.graph.block(block).section), &self.old.blocks[record]);
        let same_run = section.gathered == record.gathered && (!record.gathered || *section.name == *record.section);
        same_run && section.role == record.role && record.address.0.is_multiple_of(self.graph.block(block).align())
    }

    /// Data without a name is what it was if nothing of it changed; it is not known what else it could be.
    fn check_nameless(&self, errors: &mut Vec<LinkError>) {
        let old = self.by_key(Class::Data);
        let nameless = self.blocks(Class::Data).filter(|(_, identity)| identity.variables.is_empty());
        for (block, identity) in nameless.filter(|(block, _)| !self.is_kept(*block)) {
            let size = self.graph.block(block).size();
            let Some(&record) = old.get(&self.key(block, identity)).filter(|_| size > 0) else { continue };
            if self.old.blocks[record].variables.is_empty() {
                let what = "data without names changed, so that its values cannot be kept".to_string();
                errors.push(self.refused(block, what));
            }
        }
    }

    /// A variable that is in the object still, but elsewhere, would lose its value.
    fn check_lost_variables(&self, errors: &mut Vec<LinkError>) {
        let lost: HashMap<&[u8], (&Variable, u64)> = self
            .old
            .blocks
            .iter()
            .enumerate()
            .filter(|(index, record)| record.class == Class::Data && !self.taken[*index])
            .flat_map(|(_, record)| record.variables.iter().map(|variable| (variable.plain(), (variable, record.size))))
            .collect();
        if lost.is_empty() {
            return;
        }
        for (block, identity) in self.blocks(Class::Data).filter(|(block, _)| !self.is_kept(*block)) {
            let size = self.graph.block(block).size();
            let known = |variable: &&Variable| lost.contains_key(variable.plain());
            let Some(variable) = identity.variables.iter().find(known) else { continue };
            let (before, size_before) = lost[variable.plain()];
            let name = String::from_utf8_lossy(variable.plain());
            let what = match () {
                () if before.size != variable.size => {
                    format!("{name} has {:#x} bytes now instead of {:#x}", variable.size, before.size)
                }
                () if before.offset != variable.offset || size != size_before => {
                    format!("{name} shares its section with variables that came, went or changed their size")
                }
                () => {
                    format!("{name} cannot be told from another variable of its name, or must be placed differently")
                }
            };
            errors.push(self.refused(block, format!("{what}, so that its value cannot be kept")));
        }
    }

    /// What a program walks over from end to end must stay what it is.
    fn check_gathered(&self, base: &Baseline, errors: &mut Vec<LinkError>) {
        let mut changed: HashSet<&[u8]> = HashSet::new();
        for (block, _) in self.blocks(Class::Text).chain(self.blocks(Class::Data)) {
            let section = self.graph.section(self.graph.block(block).section);
            if section.gathered && !self.is_kept(block) && base.walked.contains(section.name) {
                changed.insert(section.name);
            }
        }
        let gone = self.old.blocks.iter().zip(&self.taken).filter(|(record, taken)| record.gathered && !**taken);
        changed.extend(gone.map(|(record, _)| &*record.section).filter(|name| base.walked.contains(*name)));
        let mut changed: Vec<&[u8]> = changed.into_iter().collect();
        changed.sort_unstable();
        for section in changed {
            errors.push(LinkError::NotUpdatable {
                object: self.graph.object(self.object).name.clone(),
                what: format!(
                    "section {} changed, which the program walks over from its start to its end",
                    String::from_utf8_lossy(section)
                ),
                advice: RESTART.into(),
            });
        }
    }

    fn refused(&self, block: BlockId, what: String) -> LinkError {
        let section = self.graph.section(self.graph.block(block).section).name_lossy();
        let object = self.graph.object(self.object).name.clone();
        LinkError::NotUpdatable { object, what: format!("{section}: {what}"), advice: RESTART.into() }
    }
}
