//! From a laid-out graph to what the module remembers: the first baseline, and the changes of an update.

use super::diff::{Fate, Origin, Tracker, is_pointer};
use super::identity::Class;
use super::{Baseline, BlockRecord, NameRecord, ObjectRecord, groups, identity, runs};
use crate::addr::Addr;
use crate::graph::{BlockId, LinkGraph, ObjectId, Scope, SymbolId, Value};
use crate::link::entries::Entry;
use crate::link::layout::Addresses;
use hashbrown::hash_map::Entry as MapEntry;
use hashbrown::{HashMap, HashSet};
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

/// What an update changes in its module.
#[derive(Debug, Default)]
pub struct Changes {
    /// The slots of replaced functions: the allocation that holds each, its address, the address of the new code.
    pub slots: Vec<(usize, Addr, Addr)>,
    /// Pointers in variables, to be replaced where they still are what the linker stored there.
    pub pointers: Vec<PointerChange>,
    /// Functions that have new code, by name.
    pub replaced: Vec<String>,
    /// Names that are new in the module.
    pub added: Vec<String>,
    /// Names that are gone.
    pub removed: Vec<String>,
    /// Names of the new objects that only the module itself sees, though others may have seen them before.
    pub hidden: Vec<String>,
    /// Whether arrays of initialisers or finalisers changed; those of the first link stay.
    pub skips_initialisers: bool,
    /// Allocations with code that variables may still point to: it is kept.
    held: Vec<usize>,
    objects: Vec<(String, ObjectRecord)>,
    names: Vec<(Box<[u8]>, NewName)>,
    removed_names: Vec<Box<[u8]>>,
    boundaries: Vec<(Box<[u8]>, Addr)>,
    walked: Vec<Box<[u8]>>,
    /// How many parts live in the update's allocation.
    live: usize,
    /// How many parts of each older allocation are not in use any more.
    retired: HashMap<usize, usize>,
}

/// A pointer in a variable that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PointerChange {
    /// The allocation that holds the variable.
    pub allocation: usize,
    /// Where the pointer is.
    pub address: Addr,
    /// What the linker stored there last.
    pub old: u64,
    /// What it would store now.
    pub new: u64,
}

#[derive(Debug)]
struct NewName {
    /// The object by its place in the batch's list.
    owner: Option<usize>,
    address: Addr,
    size: u64,
    slot: Option<(Addr, usize)>,
}

/// What the phases before know.
pub(in crate::link) struct Placed<'p, 'a> {
    pub(in crate::link) graph: &'p LinkGraph<'a>,
    pub(in crate::link) addresses: &'p Addresses,
    pub(in crate::link) entries: &'p [Entry],
    pub(in crate::link) handle: Addr,
}

impl Tracker<'_> {
    /// The first baseline of a module.
    pub(in crate::link) fn baseline(&self, placed: &Placed<'_, '_>) -> Baseline {
        let mut baseline = Baseline {
            target: placed.graph.target,
            handle: placed.handle,
            objects: IndexMap::default(),
            ambiguous: HashSet::new(),
            names: HashMap::default(),
            groups: HashMap::default(),
            uses: HashMap::default(),
            boundaries: HashMap::default(),
            walked: HashSet::new(),
            gathered: HashMap::default(),
            live: Vec::new(),
        };
        for (_, object) in placed.graph.objects().filter(|(_, object)| !object.path.is_empty()) {
            if baseline.objects.insert(object.name.clone(), ObjectRecord::default()).is_some() {
                baseline.ambiguous.insert(object.name.clone());
            }
        }
        baseline.apply(self.changes(placed, 0), false);
        baseline
    }

    /// What the batch changes, when it lives in the allocation of this number.
    pub(in crate::link) fn changes(&self, placed: &Placed<'_, '_>, allocation: usize) -> Changes {
        let recorder = Recorder { tracker: self, placed, allocation };
        let mut changes = Changes { skips_initialisers: self.skips_initialisers, ..Changes::default() };
        recorder.objects(&mut changes);
        recorder.names(&mut changes);
        recorder.entries(&mut changes);
        recorder.runs(&mut changes);
        changes
    }
}

struct Recorder<'r, 'b, 'a> {
    tracker: &'r Tracker<'b>,
    placed: &'r Placed<'r, 'a>,
    allocation: usize,
}

/// A part of an old object, and whether it stays.
type Part<'b> = (&'b BlockRecord, bool);

impl<'b> Recorder<'_, 'b, '_> {
    fn graph(&self) -> &LinkGraph<'_> {
        self.placed.graph
    }

    fn objects(&self, changes: &mut Changes) {
        let (mut place, mut parts) = (HashMap::new(), Vec::new());
        for (id, object) in self.graph().objects().filter(|(_, object)| !object.path.is_empty()) {
            let record = self.object(id, &mut parts, changes);
            place.insert(id, changes.objects.len());
            changes.objects.push((object.name.clone(), record));
        }
        for (object, group) in groups::kept(self.graph()) {
            if let Some(&place) = place.get(&object) {
                changes.objects[place].1.groups.push(group.into());
            }
        }
        retire(&parts, changes);
    }

    /// The runs that the program walks over, and where their ends are.
    fn runs(&self, changes: &mut Changes) {
        let graph = self.graph();
        for (index, symbol) in graph.symbols.iter().enumerate() {
            let Value::Boundary { run, .. } = symbol.value else { continue };
            if graph.walked[run as usize] {
                changes.boundaries.push((symbol.name.bytes().into(), Addr(self.placed.addresses.symbols[index])));
                let section = graph.runs[run as usize].first();
                changes.walked.extend(section.map(|&section| graph.section(section).name.into()));
            }
        }
    }

    /// The record of an object; the parts of its old one, and whether each stays, are added to `parts`.
    fn object(&self, id: ObjectId, parts: &mut Vec<Part<'b>>, changes: &mut Changes) -> ObjectRecord {
        let graph = self.graph();
        let object = graph.object(id);
        let old = self.tracker.old(graph, id).map_or(&[][..], |old| &old.blocks);
        let mut record = ObjectRecord { gathered: runs::of(graph, id), ..ObjectRecord::default() };
        let mut kept = vec![false; old.len()];
        for section in object.sections.clone() {
            for block in graph.sections[section as usize].blocks.clone().map(BlockId) {
                match self.tracker.fates[block.index()] {
                    Fate::Kept(index) => {
                        kept[index] = true;
                        record.blocks.push(self.kept(block, &old[index], changes));
                    }
                    Fate::Fresh => record.blocks.extend(self.fresh(block, changes)),
                    Fate::Dropped => {}
                }
            }
        }
        parts.extend(old.iter().zip(kept));
        for index in object.symbols.clone() {
            let (symbol, canonical) = (&graph.symbols[index as usize], graph.canonical[index as usize]);
            if symbol.scope == Scope::Local || symbol.name.is_empty() {
                continue;
            }
            let name = || Box::from(graph.symbol(canonical).name.bytes());
            match self.tracker.origins[canonical.index()] {
                Origin::Own if canonical.index() == index as usize => record.defines.push(name()),
                _ => record.uses.push(name()),
            }
        }
        record.uses.sort_unstable();
        record.uses.dedup();
        record
    }

    fn fresh(&self, id: BlockId, changes: &mut Changes) -> Option<BlockRecord> {
        let graph = self.graph();
        let identity = self.tracker.identities.get(id.index())?.as_ref().filter(|_| graph.is_live(id))?;
        let (block, section) = (graph.block(id), graph.section(graph.block(id).section));
        let (name, group) = identity::place(graph, id);
        changes.live += 1;
        Some(BlockRecord {
            section: name.into(),
            group: group.into(),
            role: section.role,
            ordinal: identity.ordinal,
            class: identity.class,
            fingerprint: identity.fingerprint,
            variables: identity.variables.clone(),
            address: self.placed.addresses.blocks[id.index()],
            size: block.size(),
            allocation: self.allocation as u32,
            gathered: section.gathered,
            pointers: if identity.class == Class::Text { Vec::new() } else { self.pointers(id) },
        })
    }

    /// The record of a block that stays, with the pointers that it is to hold.
    fn kept(&self, id: BlockId, old: &BlockRecord, changes: &mut Changes) -> BlockRecord {
        let mut record = old.clone();
        if record.class == Class::Text {
            return record;
        }
        if let (Class::Data, Some(identity)) = (record.class, &self.tracker.identities[id.index()]) {
            // It may be in another place of the object, where the next update will look for it.
            let (section, group) = identity::place(self.graph(), id);
            (record.section, record.group, record.ordinal) = (section.into(), group.into(), identity.ordinal);
            (record.fingerprint, record.variables) = (identity.fingerprint, identity.variables.clone());
        }
        let now: HashMap<u32, u64> = self.pointers(id).into_iter().collect();
        for (offset, value) in &mut record.pointers {
            let Some(&new) = now.get(offset).filter(|new| **new != *value) else { continue };
            let address = record.address + u64::from(*offset);
            changes.pointers.push(PointerChange { allocation: record.allocation as usize, address, old: *value, new });
            *value = new;
        }
        record
    }

    /// The pointers that the linker stores in a block.
    fn pointers(&self, id: BlockId) -> Vec<(u32, u64)> {
        let graph = self.graph();
        let pointers = graph.edges(id).iter().filter(|edge| is_pointer(graph, edge));
        let value = |target: SymbolId| self.placed.addresses.symbols[target.index()];
        pointers.map(|edge| (edge.offset, value(edge.target).wrapping_add(edge.addend as u64))).collect()
    }

    /// What the batch's names mean.
    fn names(&self, changes: &mut Changes) {
        let graph = self.graph();
        let position: HashMap<&str, usize> =
            changes.objects.iter().enumerate().map(|(index, (name, _))| (name.as_str(), index)).collect();
        let mut names = Vec::new();
        for (index, origin) in self.tracker.origins.iter().enumerate() {
            let symbol = graph.symbol(SymbolId::new(index));
            let owner = match origin {
                Origin::Elsewhere => continue,
                Origin::Own => position.get(graph.object(symbol.object).name.as_str()).copied(),
                Origin::Common => None,
            };
            let address = Addr(self.placed.addresses.symbols[index]);
            if symbol.scope < Scope::Protected {
                changes.hidden.push(symbol.name.to_string());
            }
            names.push((symbol.name.bytes().into(), NewName { owner, address, size: symbol.size, slot: None }));
            changes.live += usize::from(*origin == Origin::Common);
        }
        changes.names = names;
        changes.removed_names = self.tracker.removed.iter().map(|name| Box::from(*name)).collect();
        changes.removed = self.tracker.removed.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        if let Some(base) = self.tracker.base {
            let new = changes.names.iter().filter(|(name, _)| base.name(name).is_none());
            changes.added = new.map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect();
        }
    }

    /// The slots of functions.
    fn entries(&self, changes: &mut Changes) {
        let graph = self.graph();
        let place: HashMap<Box<[u8]>, usize> =
            changes.names.iter().enumerate().map(|(index, (name, _))| (name.clone(), index)).collect();
        let at = |symbol: SymbolId| Addr(self.placed.addresses.symbols[symbol.index()]);
        for entry in self.placed.entries {
            let name = graph.symbol(entry.function).name.bytes();
            let Some(&index) = place.get(name) else { continue };
            let known = self.tracker.base.and_then(|base| base.name(name)).and_then(|record| record.entry);
            match (entry.slot, known) {
                (Some(slot), _) => {
                    changes.names[index].1.slot = Some((at(slot), self.allocation));
                    changes.live += 1;
                }
                (None, Some((slot, allocation))) => {
                    changes.slots.push((allocation as usize, slot, at(entry.code)));
                    changes.replaced.push(String::from_utf8_lossy(name).into_owned());
                }
                (None, None) => {}
            }
        }
        // Functions that stand where they stood keep their entries.
        if let Some(base) = self.tracker.base {
            for (name, record) in &mut changes.names {
                if record.slot.is_none() {
                    record.slot = base.name(name).and_then(|known| known.entry).map(|(at, index)| (at, index as usize));
                }
            }
        }
    }
}

/// Counts what of the old objects is not in use any more; what the data that stays still points to is held. Arrays of finalisers
/// stay in use whatever the new objects say.
fn retire(parts: &[Part<'_>], changes: &mut Changes) {
    let is_gone = |(record, kept): &Part<'_>| !kept && record.class != Class::Initialisers;
    let mut retired: Vec<&BlockRecord> = parts.iter().filter(|part| is_gone(part)).map(|(record, _)| *record).collect();
    retired.sort_unstable_by_key(|record| (record.address, record.size));
    for record in &retired {
        *changes.retired.entry(record.allocation as usize).or_default() += 1;
    }
    if retired.is_empty() {
        return;
    }
    let replaced: HashSet<Addr> = changes.pointers.iter().map(|change| change.address).collect();
    let data = parts.iter().filter(|part| part.0.class != Class::Text && !is_gone(part));
    let pointers = data.flat_map(|(record, _)| record.pointers.iter().map(move |pointer| (record, *pointer)));
    for (record, (offset, value)) in pointers {
        if !replaced.contains(&(record.address + u64::from(offset))) {
            // No two overlap, but a pointer to the end of one may point to the start of the next.
            let before = retired.partition_point(|record| record.address.0 <= value);
            let ends_after = |record: &&&BlockRecord| value - record.address.0 <= record.size;
            let targets = retired[..before].iter().rev().take_while(ends_after);
            changes.held.extend(targets.map(|target| target.allocation as usize));
        }
    }
}

impl Changes {
    /// Keeps all code that the update replaces: something that cannot be changed still points to it.
    pub fn hold_replaced(&mut self) {
        self.retired.clear();
    }
}

impl Baseline {
    /// Takes over what an update changed. The update's memory is the module's allocation of the number that
    /// [`Baseline::next_allocation`] gave.
    ///
    /// With `held`, others may hold addresses of names that the update removed or moved: all that it replaced is kept for them.
    pub fn apply(&mut self, changes: Changes, held: bool) {
        let allocation = self.next_allocation();
        match self.live.get_mut(allocation) {
            Some(free) => *free = Some(changes.live),
            None => self.live.push(Some(changes.live)),
        }
        let mut less = |index: usize, count: usize| {
            if let Some(Some(live)) = self.live.get_mut(index).filter(|_| !held) {
                *live = live.saturating_sub(count);
            }
        };
        changes.retired.into_iter().for_each(|(index, count)| less(index, count));
        for name in &changes.removed_names {
            if let Some((_, index)) = self.names.remove(name).and_then(|record| record.entry) {
                less(index as usize, 1);
            }
        }
        for index in changes.held {
            self.live[index].iter_mut().for_each(|live| *live += 1);
        }
        let places: Vec<usize> = changes.objects.iter().map(|(name, _)| place_of(&mut self.objects, name)).collect();
        for &place in &places {
            let old = std::mem::take(&mut self.objects[place]);
            self.give_up_groups(place as u32, &old);
            old.uses.into_iter().for_each(|name| count_down(&mut self.uses, name));
            old.gathered.into_iter().for_each(|name| count_down(&mut self.gathered, name));
        }
        for (name, new) in changes.names {
            let owner = new.owner.map(|position| places[position] as u32);
            let entry = new.slot.map(|(slot, index)| (slot, index as u32));
            self.names.insert(name, NameRecord { owner, address: new.address, size: new.size, entry });
        }
        for (place, (_, mut record)) in places.into_iter().zip(changes.objects) {
            let outside = record.uses.iter().filter(|name| !self.names.contains_key(*name));
            record.outside = outside.cloned().collect();
            for name in &record.uses {
                *self.uses.entry_ref(name).or_insert(0) += 1;
            }
            for name in &record.gathered {
                *self.gathered.entry_ref(name).or_insert(0) += 1;
            }
            self.take_groups(place as u32, &record);
            self.objects[place] = record;
        }
        self.boundaries.extend(changes.boundaries);
        self.walked.extend(changes.walked);
    }
}

fn count_down(counts: &mut HashMap<Box<[u8]>, usize, FxBuildHasher>, name: Box<[u8]>) {
    if let MapEntry::Occupied(mut count) = counts.entry(name) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

fn place_of(objects: &mut IndexMap<String, ObjectRecord, FxBuildHasher>, name: &str) -> usize {
    match objects.get_index_of(name) {
        Some(index) => index,
        None => objects.insert_full(name.to_string(), ObjectRecord::default()).0,
    }
}
