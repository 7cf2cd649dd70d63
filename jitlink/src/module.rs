//! Modules: what one link added.

use crate::error::RemoveError;
use crate::host::Kept;
use crate::library::Library;
use crate::symbol::SymbolHandle;
use crate::sync::{
    Arc, AtomicBool, AtomicU32, AtomicUsize, Mutex, MutexGuard, Ordering, PoisonError, RwLock, RwLockReadGuard, Weak,
    lock,
};
use crate::update::Updates;
use jitlink_core::arch::Target;
use jitlink_core::executor::Allocation;
use jitlink_core::graph::{Name, Protection};
use jitlink_core::link::{Export, Exports, LinkMap, LinkOptions, Linked, Segment, Statistics, ThreadLocals};
use jitlink_core::{Addr, Executor, LinkError};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::ffi::CString;

/// What one link added to a library. Cheap to clone; clones are the same module.
///
/// A module stays linked until it is removed, or until its session and all handles to it are gone.
#[derive(Clone, Debug)]
pub struct Module {
    pub(crate) library: Library,
    pub(crate) shared: Arc<ModuleShared>,
}

pub(crate) struct ModuleShared {
    pub(crate) name: String,
    exports: RwLock<Arc<Exports>>,
    executor: Arc<dyn Executor>,
    memory: Mutex<Memory>,
    /// Which names others hold, where updates may remove them.
    holders: Option<Mutex<Holders>>,
    /// What updates build on; held during an update, so that there is one at a time.
    pub(crate) updates: Mutex<Option<Updates>>,
    /// Its place in its library; `u32::MAX` when it was removed.
    slot: AtomicU32,
    /// Handles to symbols of this module that callers hold.
    handles: AtomicUsize,
    initialised: AtomicBool,
    /// Its library has ended, so that nobody can look it up any more.
    is_without_library: AtomicBool,
    /// A first call has linked it.
    on_call: bool,
    /// Modules that refer to this one.
    dependents: Mutex<Vec<Weak<ModuleShared>>>,
    details: Details,
}

/// What a module's memory needs to stay valid. The allocations are dropped before what they refer to.
pub(crate) struct Memory {
    /// That of the link, then those of updates; empty when the module was removed.
    pub(crate) allocations: Vec<Option<Placed>>,
    /// The variables that each thread has of its own.
    pub(crate) thread_locals: Option<ThreadLocals>,
    dependencies: Vec<Arc<ModuleShared>>,
    /// What the host gave, where it must be kept.
    kept: Vec<Kept>,
    /// Some of them may need this module in turn: it came to need them when it was linked already.
    came_to_need: bool,
}

/// Memory of one link or update, and where it is.
pub(crate) struct Placed {
    pub(crate) allocation: Box<dyn Allocation>,
    pub(crate) segments: Vec<Segment>,
}

impl Memory {
    fn new(placed: Placed, thread_locals: Option<ThreadLocals>, needs: Needs) -> Memory {
        let Needs { modules: dependencies, kept } = needs;
        Memory { allocations: vec![Some(placed)], thread_locals, dependencies, kept, came_to_need: false }
    }

    /// Keeps what the host gave as long as the module.
    pub(crate) fn keep(&mut self, items: Vec<Kept>) {
        for item in items {
            if !self.kept.iter().any(|known| Arc::ptr_eq(known, &item)) {
                self.kept.push(item);
            }
        }
    }
}

/// What a module is linked against, and so must outlive it.
pub(crate) struct Needs {
    pub(crate) modules: Vec<Arc<ModuleShared>>,
    pub(crate) kept: Vec<Kept>,
}

/// Who may hold addresses of names, which are known by their hashes.
#[derive(Default)]
struct Holders {
    /// How many handles there are to a symbol.
    handles: HashMap<u64, usize>,
    /// What other modules were linked to.
    linked: HashSet<u64>,
}

struct Details {
    target: Target,
    segments: Vec<Segment>,
    roots: Vec<Option<Addr>>,
    indirect: Vec<Addr>,
    initialisers: Vec<jitlink_core::executor::PointerArray>,
    finalisers: Vec<jitlink_core::executor::PointerArray>,
    handle: Addr,
    map: Option<LinkMap>,
    statistics: Statistics,
    debug: Vec<(String, Vec<u8>)>,
}

const REMOVED: u32 = u32::MAX;

impl ModuleShared {
    pub(crate) fn new(
        name: String,
        linked: Linked,
        needs: Needs,
        executor: Arc<dyn Executor>,
        options: &LinkOptions,
    ) -> ModuleShared {
        let placed = Placed { allocation: linked.allocation, segments: linked.segments.clone() };
        ModuleShared {
            name,
            exports: RwLock::new(Arc::new(linked.exports)),
            executor,
            memory: Mutex::new(Memory::new(placed, linked.thread_locals, needs)),
            holders: linked.baseline.is_some().then(Mutex::default),
            updates: Mutex::new(linked.baseline.map(|baseline| Updates::new(baseline, options))),
            slot: AtomicU32::new(REMOVED),
            handles: AtomicUsize::new(0),
            initialised: AtomicBool::new(false),
            is_without_library: AtomicBool::new(false),
            on_call: false,
            dependents: Mutex::default(),
            details: Details {
                target: linked.target,
                segments: linked.segments,
                roots: linked.roots,
                indirect: linked.indirect,
                initialisers: linked.initialisers,
                finalisers: linked.finalisers,
                handle: linked.handle,
                map: linked.map,
                statistics: linked.statistics,
                debug: linked.debug,
            },
        }
    }

    /// The names that it defines for others, as they are now.
    pub(crate) fn exports(&self) -> RwLockReadGuard<'_, Arc<Exports>> {
        self.exports.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the names that it defines for others.
    pub(crate) fn change_exports<T>(&self, change: impl FnOnce(&mut Exports) -> T) -> T {
        let mut exports = self.exports.write().unwrap_or_else(PoisonError::into_inner);
        // Copied only if somebody holds them as they were.
        change(Arc::make_mut(&mut exports))
    }

    /// Its place in its library, while it is linked.
    pub(crate) fn slot(&self) -> Option<u32> {
        Some(self.slot.load(Ordering::Acquire)).filter(|slot| *slot != REMOVED)
    }

    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }

    /// Makes sure that modules stay linked as long as this one, which is linked already.
    pub(crate) fn depend_on(self: &Arc<Self>, modules: impl Iterator<Item = Arc<ModuleShared>>) {
        let mut memory = lock(&self.memory);
        for module in modules {
            if !memory.dependencies.iter().any(|known| Arc::ptr_eq(known, &module)) {
                lock(&module.dependents).push(Arc::downgrade(self));
                memory.dependencies.push(module);
                memory.came_to_need = true;
            }
        }
    }

    /// Whether other modules or handles may hold the address of a name.
    pub(crate) fn is_held(&self, name: &str) -> bool {
        let hash = Name::new(name.as_bytes()).hash();
        self.holders.as_ref().is_some_and(|holders| {
            let holders = lock(holders);
            holders.handles.contains_key(&hash) || holders.linked.contains(&hash)
        })
    }

    /// Remembers that another module is linked to a symbol.
    pub(crate) fn linked_to(&self, export: &Export) {
        if let Some(holders) = &self.holders {
            lock(holders).linked.insert(export.hash());
        }
    }

    pub(crate) fn take_handle(&self, export: &Export) {
        self.handles.fetch_add(1, Ordering::AcqRel);
        if let Some(holders) = &self.holders {
            *lock(holders).handles.entry(export.hash()).or_default() += 1;
        }
    }

    pub(crate) fn give_handle(&self, export: &Export) {
        if let Some(holders) = &self.holders
            && let Entry::Occupied(mut count) = lock(holders).handles.entry(export.hash())
        {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        // Of two threads that each give up a handle and then look at the other's module, one sees that both are given up.
        self.handles.fetch_sub(1, Ordering::SeqCst);
    }

    /// Called once, when the module is published under its library's lock.
    pub(crate) fn set_slot(self: &Arc<Self>, slot: u32) {
        self.slot.store(slot, Ordering::Release);
        for dependency in &lock(&self.memory).dependencies {
            let mut dependents = lock(&dependency.dependents);
            // Those that are gone would pile up in what is used again and again, and each keeps some memory.
            if dependents.len() == dependents.capacity() {
                dependents.retain(|dependent| dependent.strong_count() > 0);
            }
            dependents.push(Arc::downgrade(self));
        }
    }

    /// This module, which a first call has linked.
    pub(crate) fn on_call(mut self) -> ModuleShared {
        self.on_call = true;
        self
    }

    pub(crate) fn is_on_call(&self) -> bool {
        self.on_call
    }

    /// The modules that it refers to.
    pub(crate) fn dependencies(&self) -> Vec<Arc<ModuleShared>> {
        lock(&self.memory).dependencies.clone()
    }

    /// Whether modules may need it that it needs itself.
    pub(crate) fn came_to_need(&self) -> bool {
        lock(&self.memory).came_to_need
    }

    /// What the program may do with these bytes, if all of them are in one segment of the module.
    pub(crate) fn protection(&self, address: Addr, size: u64) -> Option<Protection> {
        let memory = lock(&self.memory);
        let segments = memory.allocations.iter().flatten().flat_map(|placed| &placed.segments);
        let holds = |segment: &&Segment| {
            let offset = address.0.checked_sub(segment.address.0);
            offset.is_some_and(|offset| offset < segment.size && size <= segment.size - offset)
        };
        segments.copied().find(|segment| holds(&segment)).map(|segment| segment.protection)
    }

    /// Copies bytes out of the module's memory.
    pub(crate) fn read(&self, address: Addr, bytes: &mut [u8]) -> Result<(), LinkError> {
        let memory = lock(&self.memory);
        let mut result = Err(LinkError::Request("the module was removed".into()));
        for placed in memory.allocations.iter().flatten() {
            match placed.allocation.read(address, bytes) {
                Ok(()) => return Ok(()),
                // What the allocation of the link says is what counts if none has the bytes.
                Err(error) => result = result.or(Err(error.into())),
            }
        }
        result
    }

    pub(crate) fn executor(&self) -> &dyn Executor {
        &*self.executor
    }

    /// Called when its library ends, and somebody may hold it still.
    pub(crate) fn outlive_library(&self) {
        self.is_without_library.store(true, Ordering::Release);
    }

    pub(crate) fn is_without_library(&self) -> bool {
        self.is_without_library.load(Ordering::Acquire)
    }

    /// Lets the modules go that it refers to. None of its code runs any more.
    pub(crate) fn forget_dependencies(&self) {
        let forgotten = std::mem::take(&mut lock(&self.memory).dependencies);
        drop::<Vec<_>>(forgotten);
    }

    /// Whether anyone needs the module but those that are `going`. Called under the library's lock, so that no new handle can be made meanwhile.
    pub(crate) fn needed_beside(&self, is_going: impl Fn(&Arc<ModuleShared>) -> bool) -> Result<(), RemoveError> {
        let module = self.name.clone();
        if !self.is_linked() {
            return Err(RemoveError::Removed { module });
        }
        let mut dependents = lock(&self.dependents);
        dependents.retain(|dependent| dependent.upgrade().is_some_and(|dependent| dependent.is_linked()));
        let needing = dependents.iter().filter_map(Weak::upgrade).filter(|dependent| !is_going(dependent));
        let needing: Vec<String> = needing.map(|dependent| dependent.name.clone()).collect();
        if !needing.is_empty() {
            return Err(RemoveError::Needed { module, dependents: needing });
        }
        match self.handles.load(Ordering::SeqCst) {
            0 => Ok(()),
            handles => Err(RemoveError::Held { module, handles }),
        }
    }

    /// Marks the module as removed; its place in its library.
    pub(crate) fn set_removed(&self) -> u32 {
        self.slot.swap(REMOVED, Ordering::AcqRel)
    }

    pub(crate) fn is_linked(&self) -> bool {
        self.slot().is_some()
    }

    /// Runs the module's initialisers. See [`Module::initialise`].
    ///
    /// # Safety
    /// As for [`Module::initialise`].
    pub(crate) unsafe fn initialise(&self) -> Result<(), LinkError> {
        if self.initialised.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let details = &self.details;
        if !details.initialisers.is_empty() || !details.finalisers.is_empty() {
            self.check_convention("its initialisers and finalisers")?;
        }
        // SAFETY: as this function's caller promises; the slots are the module's own.
        unsafe { self.executor.run_resolvers(&details.indirect) }.map_err(LinkError::from)?;
        if !details.finalisers.is_empty() {
            // SAFETY: as this function's caller promises.
            unsafe { self.executor.run_at_exit(details.handle, &details.finalisers) }.map_err(LinkError::from)?;
        }
        // SAFETY: as this function's caller promises; the arrays are the module's own.
        unsafe { self.executor.run_arrays(&details.initialisers) }.map_err(LinkError::from)
    }

    /// Refuses calls by the executor of functions that are called in another way.
    fn check_convention(&self, what: &str) -> Result<(), LinkError> {
        let target = self.target();
        if self.executor.calls_as(target) {
            return Ok(());
        }
        let (name, convention) = (&self.name, target.convention);
        let reason = format!("{name} is code for the calling convention {convention}, so {what} cannot be run here");
        let advice = format!("call its functions by their own type, extern \"{convention}\" fn, if Rust has that");
        Err(LinkError::Executor { reason, advice })
    }

    /// What it is for.
    pub(crate) fn target(&self) -> &Target {
        &self.details.target
    }

    /// Frees the memory, and lets go what it referred to.
    fn free(&self) {
        let memory = {
            let mut memory = lock(&self.memory);
            let kept = std::mem::take(&mut memory.kept);
            let allocations = std::mem::take(&mut memory.allocations);
            (allocations, memory.thread_locals.take(), std::mem::take(&mut memory.dependencies), kept)
        };
        // In this order, without the lock: what the host gave may be dropped here.
        drop(memory);
    }

    /// Runs what the module has registered for its end, if its code ever ran.
    pub(crate) fn finish(&self) -> Result<(), String> {
        // A module without memory has no handle: null would stand for the whole program.
        if !self.initialised.swap(false, Ordering::AcqRel) || self.details.handle == Addr(0) {
            return Ok(());
        }
        // SAFETY: whoever initialised the module vouched for its code, finalisers included, and that none of it runs any more
        // when the module is removed.
        unsafe { self.executor.run_exit_handlers(self.details.handle) }.map_err(|error| error.to_string())
    }
}

impl Drop for ModuleShared {
    fn drop(&mut self) {
        // The session has ended while the module was linked.
        if !lock(&self.memory).allocations.is_empty() {
            let _ = self.finish();
        }
    }
}

impl Module {
    pub(crate) fn new(library: Library, shared: Arc<ModuleShared>) -> Module {
        Module { library, shared }
    }

    /// The name of its first input.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The library that it was linked to.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// A symbol that this module defines for others. The module cannot be removed while the handle is held.
    pub fn lookup(&self, name: &str) -> Option<SymbolHandle> {
        self.library.symbol_of(&self.shared, name)
    }

    /// The names that it defines for others, as they are now.
    pub fn exports(&self) -> Arc<Exports> {
        self.shared.exports().clone()
    }

    /// The addresses of the roots that the link was asked for by name, in order.
    pub fn roots(&self) -> &[Option<Addr>] {
        &self.shared.details.roots
    }

    /// The machine that it is for.
    pub fn target(&self) -> &Target {
        &self.shared.details.target
    }

    /// The memory of the link. Updates add segments of their own.
    pub fn segments(&self) -> &[Segment] {
        &self.shared.details.segments
    }

    /// What is where, if the link was asked for it.
    pub fn map(&self) -> Option<&LinkMap> {
        self.shared.details.map.as_ref()
    }

    /// Relocated sections without memory, if the link was asked for them: name and bytes.
    pub fn debug_sections(&self) -> &[(String, Vec<u8>)] {
        &self.shared.details.debug
    }

    /// The link's times and numbers.
    pub fn statistics(&self) -> &Statistics {
        &self.shared.details.statistics
    }

    /// Copies bytes out of the module's memory, for tests and tools.
    pub fn read(&self, address: Addr, bytes: &mut [u8]) -> Result<(), LinkError> {
        self.shared.read(address, bytes)
    }

    /// Runs the resolvers of its indirect functions that no call has run yet, then its initialisers, once, and arranges for its
    /// finalisers to run when it is removed or the process ends.
    ///
    /// # Safety
    /// The module's code is sound to run. When the module is removed, or its session and all handles to it are gone, no thread
    /// runs its code any more, and its finalisers are sound to run.
    pub unsafe fn initialise(&self) -> Result<(), LinkError> {
        // SAFETY: as this function's caller promises.
        unsafe { self.shared.initialise() }
    }

    /// Initialises the module, calls `entry` as a C `main`, and returns what it returns.
    ///
    /// # Safety
    /// As for [`Module::initialise`]; `entry` is a function of the module of type `int (int, char **, char **)`.
    pub unsafe fn run_main(&self, entry: Addr, arguments: &[CString]) -> Result<i32, LinkError> {
        self.shared.check_convention("a program's main function")?;
        // SAFETY: as this function's caller promises.
        unsafe { self.initialise() }?;
        // SAFETY: as this function's caller promises; `self` keeps the module linked.
        let status = unsafe { self.shared.executor.run_main(entry, arguments) };
        status.map_err(LinkError::from)
    }

    /// Takes the module out of its library, runs its finalisers if it was initialised, and frees its memory.
    ///
    /// Refused while other modules refer to it, or while handles to its symbols are held. What was linked when it first called
    /// [`Lazy`](crate::Lazy) functions goes with it, unless others refer to that.
    pub fn remove(&self) -> Result<(), RemoveError> {
        let gone = self.library.withdraw(&self.shared)?;
        let mut finished = Ok(());
        for module in &gone {
            let failed = |reason| RemoveError::Finalisers { module: module.name.clone(), reason };
            finished = finished.and(module.finish().map_err(failed));
        }
        // All have run what they run at their end before the memory of any goes.
        gone.iter().for_each(|module| module.free());
        finished
    }
}

impl std::fmt::Debug for ModuleShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module")
            .field("name", &self.name)
            .field("exports", &self.exports().len())
            .finish_non_exhaustive()
    }
}
