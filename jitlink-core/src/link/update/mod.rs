//! Updates: objects of a module are replaced while it runs, at the cost of what changed.
//!
//! An update is a link of the new objects alone. What did not change in them is *pinned* before pruning: its symbols take the
//! addresses that they have, and its blocks are left out. What changed is placed anew, refers to the rest where it is, and is
//! entered through the slots that the module has (`link/entries`).
//!
//! - Code and constants stay where they are if their bytes are the same, what their edges refer to is the same, and all of that
//!   stays where it is. Otherwise they are linked again.
//! - Variables stay where they are with the values that they have, whatever the new object says of their first values. A
//!   variable whose size or place among its neighbours changes cannot be kept, so such an update is refused.
//! - Initialisers and finalisers are not run again.
//!
//! [`Baseline`] is what a module remembers for its next update. Nothing in an update takes time in proportion to the module.

mod changes;
mod diff;
mod groups;
mod identity;
mod matching;
mod names;
mod runs;
mod spread;

pub(super) use changes::Placed;
pub use changes::{Changes, PointerChange};
pub(super) use diff::Tracker;
pub(super) use runs::check_image;

use super::{Batch, LinkOptions, Linked, Resolver};
use crate::addr::Addr;
use crate::arch::Target;
use crate::error::LinkErrors;
use crate::executor::Executor;
use crate::graph::{Name, Role};
use crate::input::Input;
use crate::registry::Registry;
use hashbrown::{HashMap, HashSet};
use identity::{Class, Variable};
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

/// A link of objects that replace those of the same name in a module.
pub struct Update {
    /// The memory of what changed. Nothing refers to it yet.
    pub linked: Linked,
    /// What makes it part of the module.
    pub changes: Changes,
}

/// Links objects that replace those of the same name in the module that `baseline` describes. The module is not touched: the
/// caller stores [`Changes::slots`] and [`Changes::pointers`], then calls [`Baseline::apply`].
pub fn update(
    registry: &Registry,
    executor: &dyn Executor,
    inputs: &[Input],
    resolver: &dyn Resolver,
    options: &LinkOptions,
    baseline: &Baseline,
) -> Result<Update, LinkErrors> {
    let resolver = names::ModuleResolver { baseline, outside: resolver };
    // Names that the command line gave are the module's by now.
    let options =
        LinkOptions { aliases: Vec::new(), updatable: true, roots: super::Roots::Exported, ..options.clone() };
    // In the order of the first link, so that of several weak definitions the same one counts.
    let mut inputs = inputs.to_vec();
    inputs.sort_by_key(|input| baseline.object_index(input.name()).unwrap_or(usize::MAX));
    super::in_pool(&options, |threads| {
        let batch = Batch { registry, executor, resolver: &resolver, options: &options, threads };
        let (linked, changes) = batch.link(&inputs, Some(baseline))?;
        let changes = changes.ok_or_else(|| crate::LinkError::Request("the update recorded nothing".into()))?;
        Ok(Update { linked, changes })
    })
}

/// What a module that can be updated remembers: where each part of its objects is, and who refers to what.
#[derive(Debug)]
pub struct Baseline {
    target: Target,
    /// What identifies the module to the C library.
    handle: Addr,
    /// The objects in the order in which they were linked first, by name.
    objects: IndexMap<String, ObjectRecord, FxBuildHasher>,
    /// Objects that share a name, so that nobody can say which of them is replaced.
    ambiguous: HashSet<String>,
    /// What is not local to an object.
    names: HashMap<Box<[u8]>, NameRecord, FxBuildHasher>,
    /// The object that has the copy of a COMDAT group that counts, by the group's name.
    groups: HashMap<Box<[u8]>, u32, FxBuildHasher>,
    /// How many objects refer to a name without defining it, whoever defines it.
    uses: HashMap<Box<[u8]>, usize, FxBuildHasher>,
    /// The ends of runs of gathered sections that the program walks over.
    boundaries: HashMap<Box<[u8]>, Addr, FxBuildHasher>,
    /// The names of those sections.
    walked: HashSet<Box<[u8]>>,
    /// How many objects have gathered sections of a name, whether or not the program walks over them.
    gathered: HashMap<Box<[u8]>, usize, FxBuildHasher>,
    /// How many parts of the module live in each allocation: that of the first link, then those of updates. `None` where the
    /// number is free.
    live: Vec<Option<usize>>,
}

/// An object as it is linked now.
#[derive(Clone, Debug, Default)]
struct ObjectRecord {
    blocks: Vec<BlockRecord>,
    /// The names that it defines for other objects.
    defines: Vec<Box<[u8]>>,
    /// The names that it needs from other objects.
    uses: Vec<Box<[u8]>>,
    /// Those of them that nothing of the module defined when it was linked.
    outside: Vec<Box<[u8]>>,
    /// The COMDAT groups of which its copy counts.
    groups: Vec<Box<[u8]>>,
    /// The names of its gathered sections.
    gathered: Vec<Box<[u8]>>,
}

/// Where a block is.
#[derive(Clone, Debug)]
struct BlockRecord {
    section: Box<[u8]>,
    group: Box<[u8]>,
    role: Role,
    ordinal: u32,
    class: Class,
    fingerprint: u128,
    variables: Vec<Variable>,
    address: Addr,
    size: u64,
    allocation: u32,
    /// The program may walk over it.
    gathered: bool,
    /// For data: the pointers that the linker stored there, by offset.
    pointers: Vec<(u32, u64)>,
}

/// What a name means.
#[derive(Clone, Debug)]
struct NameRecord {
    /// The object that defines it; `None` for memory that the linker made (common symbols).
    owner: Option<u32>,
    address: Addr,
    size: u64,
    /// The slot of a function's entry, and the allocations of the entry and of the slot, which are one.
    entry: Option<(Addr, u32)>,
}

impl Baseline {
    /// The machine that the module is for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The names of the module's objects, in the order in which they were linked first.
    pub fn objects(&self) -> impl Iterator<Item = &str> {
        self.objects.keys().map(String::as_str)
    }

    /// The number of the next update's allocation. That of the first link is zero; numbers are used again.
    pub fn next_allocation(&self) -> usize {
        self.live.iter().position(Option::is_none).unwrap_or(self.live.len())
    }

    /// Forgets the allocations of which nothing is in use any more, except by threads that are still in it; their numbers. That
    /// of the first link is never among them.
    pub fn reclaim(&mut self) -> Vec<usize> {
        let unused = |(index, live): (usize, &mut Option<usize>)| live.take_if(|live| *live == 0).map(|_| index);
        self.live.iter_mut().enumerate().skip(1).filter_map(unused).collect()
    }

    /// What identifies the module to the C library.
    pub(super) fn handle(&self) -> Addr {
        self.handle
    }

    /// The stub of a function.
    pub(super) fn entry(&self, name: &Name<'_>) -> Option<Addr> {
        self.name(name.bytes()).filter(|record| record.entry.is_some()).map(|record| record.address)
    }

    fn uses(&self, name: &[u8]) -> usize {
        self.uses.get(name).copied().unwrap_or(0)
    }

    fn name(&self, name: &[u8]) -> Option<&NameRecord> {
        self.names.get(name)
    }

    fn object_index(&self, name: &str) -> Option<usize> {
        self.objects.get_index_of(name)
    }
}
