//! Updates: new code for a module that stays linked.

use crate::module::{Memory, Module, Placed};
use crate::resolver::SessionResolver;
use crate::sync::lock;
use jitlink_core::executor::PointerPlace;
use jitlink_core::link::{self, Baseline, Changes, Export, LinkOptions, Statistics};
use jitlink_core::{Input, LinkError, LinkErrors};

/// What a module keeps for its updates.
pub(crate) struct Updates {
    baseline: Baseline,
    options: LinkOptions,
}

impl Updates {
    pub(crate) fn new(baseline: Baseline, options: &LinkOptions) -> Updates {
        Updates { baseline, options: options.clone() }
    }
}

/// What an update did.
#[derive(Clone, Debug, Default)]
pub struct Updated {
    /// The functions that have new code.
    pub replaced: Vec<String>,
    /// The names that are new.
    pub added: Vec<String>,
    /// The names that are gone.
    pub removed: Vec<String>,
    /// Initialisers or finalisers changed; those of the first link stay, and none was run.
    pub skips_initialisers: bool,
    /// The update's times and numbers.
    pub statistics: Statistics,
}

impl Module {
    /// Replaces objects of the module while it runs: those that have the names of `inputs`, and others are added.
    ///
    /// The module must have been linked with [`LinkOptions::updatable`]. What is the same in the new objects stays where it
    /// is. Functions that changed are replaced one by one, each at once: a thread that calls one gets the old code or the
    /// new. Addresses of functions that other objects see stay valid and mean the new code from then on. Variables keep their
    /// places and values; new ones get their first values. Nothing of the new objects runs, new initialisers included. A name that a
    /// new object declares hidden is hidden from other modules until the object that defines it is updated without such a declaration.
    ///
    /// What the new objects need of other modules keeps those linked as long as this one. Modules that come to need each other so
    /// cannot be removed; they go with their session.
    ///
    /// The cost is that of the objects given, not that of the module. Replaced code stays in memory until
    /// [`Module::reclaim`].
    ///
    /// # Errors
    /// All that a link can fail of, and [`LinkError::NotUpdatable`] where a variable could not keep its value or something
    /// else could not be changed while the program runs. After an error the module is as it was.
    ///
    /// # Safety
    /// Whoever calls a function of the module calls it rightly after the update too: functions that keep their names keep
    /// their types, and data that they share with others keeps its layout.
    pub unsafe fn update(&self, inputs: &[Input]) -> Result<Updated, LinkErrors> {
        let mut updates = lock(&self.shared.updates);
        let Some(updates) = updates.as_mut() else {
            let name = self.name();
            let what = format!("{name} was not linked to be updated; set LinkOptions::updatable when you link it");
            return Err(LinkError::Request(what).into());
        };
        let session = self.library.session()?;
        let resolver = SessionResolver::new(&session, &self.library).for_update(&self.shared);
        let (registry, executor) = (session.registry(), &**session.executor());
        let update = link::update(registry, executor, inputs, &resolver, &updates.options, &updates.baseline)?;
        let (linked, mut changes) = (update.linked, update.changes);
        // Held until the module depends on them itself.
        let found = resolver.into_found();
        found.lazy.iter().for_each(|lazy| lazy.hold_by(&self.shared));
        // Names that are new, and those that mean another place (constants that changed), have another size or are hidden now.
        let mut withdrawn = changes.removed.clone();
        let mut moved = Vec::new();
        let published: Vec<(&str, Export)> = {
            let known = self.shared.exports();
            let stays = |name: &str, new: &Export| {
                known.get(name).is_some_and(|old| (old.address, old.size) == (new.address, new.size))
            };
            let hidden = changes.hidden.iter().filter(|name| known.get(name).is_some());
            moved.extend(hidden.cloned());
            withdrawn.extend(moved.iter().cloned());
            let differ: Vec<_> = linked.exports.iter().filter(|(name, export)| !stays(name, export)).collect();
            for (name, new) in &differ {
                if let Some(old) = known.get(name) {
                    withdrawn.push(name.to_string());
                    moved.extend((old.address != new.address).then(|| name.to_string()));
                }
            }
            differ.into_iter().map(|(name, export)| (name, *export)).collect()
        };
        let allocation = updates.baseline.next_allocation();
        let mut memory = self.shared.memory();
        self.library
            .republish(&self.shared, &published, &withdrawn, || swap(&memory, &updates.baseline, &mut changes))?;
        if memory.allocations.len() <= allocation {
            memory.allocations.resize_with(allocation + 1, || None);
        }
        memory.allocations[allocation] = Some(Placed { allocation: linked.allocation, segments: linked.segments });
        memory.keep(found.kept);
        drop(memory);
        self.shared.depend_on(found.dependencies.iter().map(|handle| handle.module().clone()));
        let updated = Updated {
            replaced: changes.replaced.clone(),
            added: changes.added.clone(),
            removed: changes.removed.clone(),
            skips_initialisers: changes.skips_initialisers,
            statistics: linked.statistics,
        };
        // Nobody can look up the old addresses any more.
        let held = updated.removed.iter().chain(&moved).any(|name| self.shared.is_held(name));
        updates.baseline.apply(changes, held);
        Ok(updated)
    }

    /// Declares that nothing uses what updates replaced, and frees it; how many bytes that was.
    ///
    /// Memory of updates is freed as a whole: that of an update when all that it brought was replaced in turn.
    ///
    /// # Safety
    /// No thread is in replaced code of the module or will return to it, and no address of replaced functions that only their
    /// object saw, or of replaced constants, is used any more. Addresses of functions that other objects see are not concerned,
    /// unless an update removed the function.
    pub unsafe fn reclaim(&self) -> u64 {
        let mut updates = lock(&self.shared.updates);
        let Some(updates) = updates.as_mut() else { return 0 };
        let mut memory = self.shared.memory();
        let mut freed = Vec::new();
        for index in updates.baseline.reclaim() {
            freed.extend(memory.allocations.get_mut(index).and_then(Option::take));
        }
        let bytes = freed.iter().flat_map(|placed| &placed.segments).map(|segment| segment.size).sum();
        // Freeing may take locks of the C library.
        drop(memory);
        drop(freed);
        bytes
    }

    /// The names of the module's objects, as updates know them; empty if it cannot be updated.
    pub fn objects(&self) -> Vec<String> {
        lock(&self.shared.updates)
            .as_ref()
            .map_or_else(Vec::new, |updates| updates.baseline.objects().map(str::to_owned).collect())
    }
}

/// Lets functions be entered at their new code, and variables point to what took the place of what they pointed to.
fn swap(memory: &Memory, baseline: &Baseline, changes: &mut Changes) -> Result<(), LinkError> {
    let target = baseline.target();
    let place = |address| PointerPlace { address, bytes: target.pointer_bytes, endian: target.endian };
    let allocation = |index: usize| {
        let found = memory.allocations.get(index).and_then(Option::as_ref);
        let found = found.map(|placed| &placed.allocation);
        found.ok_or_else(|| LinkError::Request("the module was removed".into()))
    };
    // Nothing is stored before it is known that everything can be: a thread may be in new code a moment later.
    for &(index, slot, _) in &changes.slots {
        let owner = allocation(index)?;
        let mut bytes = [0; 8];
        let bytes = &mut bytes[..usize::from(target.pointer_bytes)];
        owner.read(slot, bytes)?;
        let now = target.endian.read(bytes);
        owner.replace_pointer(place(slot), now, now)?;
    }
    for &(index, slot, code) in &changes.slots {
        allocation(index)?.store_pointer(place(slot), code.0)?;
    }
    let mut all = true;
    for change in &changes.pointers {
        // The program may have stored something else there by now, which stays.
        let owner = allocation(change.allocation);
        let replaced = owner.map(|owner| owner.replace_pointer(place(change.address), change.old, change.new));
        all &= matches!(replaced, Ok(Ok(_)));
    }
    if !all {
        changes.hold_replaced();
    }
    Ok(())
}
