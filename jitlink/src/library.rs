//! Libraries: namespaces with a search order.

use crate::error::RemoveError;
use crate::module::{Module, ModuleShared, Needs};
use crate::parting::{part, that_go, that_may_go};
use crate::resolver::{Resolver, SessionResolver};
use crate::session::{Session, SessionShared};
use crate::symbol::SymbolHandle;
use crate::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use hashbrown::HashTable;
use jitlink_core::graph::Name;
use jitlink_core::link::{Export, Exports, LinkOptions, link};
use jitlink_core::{Input, LinkError, LinkErrors};

/// A namespace: the modules that were linked to it, and the libraries that are searched after it.
///
/// Cheap to clone; clones are the same library.
#[derive(Clone)]
pub struct Library {
    session: Weak<SessionShared>,
    shared: Arc<LibraryShared>,
}

struct LibraryShared {
    name: String,
    state: RwLock<LibraryState>,
}

impl Drop for LibraryShared {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let modules: Vec<_> = state.modules.iter().flatten().cloned().collect();
        part(&modules);
    }
}

/// A library that does not stay for this.
pub(crate) struct WeakLibrary {
    session: Weak<SessionShared>,
    shared: Weak<LibraryShared>,
}

impl WeakLibrary {
    pub(crate) fn upgrade(&self) -> Option<Library> {
        Some(Library { session: self.session.clone(), shared: self.shared.upgrade()? })
    }
}

pub(crate) struct LibraryState {
    name: String,
    modules: Vec<Option<Arc<ModuleShared>>>,
    free: Vec<u32>,
    /// The module whose names are not in `names`, because it is the library's only one: its own table says all.
    alone: Option<u32>,
    /// Module and position in its exports, by name.
    names: HashTable<Published>,
    /// Definitions that gave way to others of their name, and are seen again when those are gone.
    hidden: HashTable<Published>,
    search: Vec<Library>,
    resolvers: Vec<Arc<dyn Resolver>>,
}

#[derive(Clone, Copy)]
struct Published {
    module: u32,
    export: u32,
    hash: u64,
}

impl LibraryState {
    pub(crate) fn new(name: &str) -> LibraryState {
        LibraryState {
            name: name.to_string(),
            modules: Vec::new(),
            free: Vec::new(),
            alone: None,
            names: HashTable::new(),
            hidden: HashTable::new(),
            search: Vec::new(),
            resolvers: Vec::new(),
        }
    }

    fn find(&self, name: &Name<'_>) -> Option<(&Arc<ModuleShared>, Export)> {
        if let Some(slot) = self.alone {
            let module = self.modules[slot as usize].as_ref()?;
            let export = *module.exports().find(name)?;
            return Some((module, export));
        }
        let found = self.names.find(name.hash(), is_named(&self.modules, name.bytes()))?;
        let module = module_of(&self.modules, found)?;
        let export = *module.exports().at(found.export as usize)?.1;
        Some((module, export))
    }

    /// Whether there are no names.
    fn is_empty(&self) -> bool {
        match self.alone.and_then(|slot| self.modules[slot as usize].as_ref()) {
            Some(module) => module.exports().is_empty(),
            None => self.names.is_empty(),
        }
    }

    /// Makes all names of a module visible. They must have been checked.
    fn enter_all(&mut self, slot: u32, exports: &Exports) {
        if self.free.len() + 1 == self.modules.len() {
            self.alone = Some(slot);
            return;
        }
        self.share();
        // Once for all names: a table that grows step by step is hashed anew at each.
        self.names.reserve(exports.len(), |entry| entry.hash);
        for (position, (name, export)) in exports.iter().enumerate() {
            self.enter(slot, position, &Name::new(name.as_bytes()), export.weak);
        }
    }

    /// Enters the names of a module that was alone until now.
    fn share(&mut self) {
        let Some(slot) = self.alone.take() else { return };
        let Some(module) = self.modules[slot as usize].clone() else { return };
        let exports = module.exports();
        self.names.reserve(exports.len(), |entry| entry.hash);
        // Names of one module are different, so that nothing need be looked up.
        let positions = (0..).filter_map(|position| Some((position, exports.at(position as usize)?.1)));
        for (position, export) in positions.take(exports.len()) {
            let entry = Published { module: slot, export: position, hash: export.hash() };
            self.names.insert_unique(entry.hash, entry, |entry| entry.hash);
        }
    }

    /// Makes a definition of a module visible, or lets it wait behind the one that is.
    fn enter(&mut self, slot: u32, position: usize, name: &Name<'_>, weak: bool) {
        let taken = self.find(name).map(|(_, known)| known.weak);
        let entry = Published { module: slot, export: position as u32, hash: name.hash() };
        let hash = |entry: &Published| entry.hash;
        match taken {
            None => drop(self.names.insert_unique(entry.hash, entry, hash)),
            Some(true) if !weak => self.replace(name, entry),
            Some(_) => drop(self.hidden.insert_unique(entry.hash, entry, hash)),
        }
    }

    /// Fails if a module other than `own` has a strong definition of the name.
    fn check_free(&self, name: &str, own: &Arc<ModuleShared>) -> Result<(), LinkError> {
        match self.find(&Name::new(name.as_bytes())) {
            Some((other, known)) if !known.weak && !Arc::ptr_eq(other, own) => {
                let (symbol, first, second) = (name.to_string(), other.name.clone(), own.name.clone());
                Err(LinkError::Duplicate { symbol, first, second })
            }
            _ => Ok(()),
        }
    }

    /// Makes an entry the one that its name means; the one that was there before steps back.
    fn replace(&mut self, name: &Name<'_>, entry: Published) {
        let same = is_named(&self.modules, name.bytes());
        if let Ok(before) = self.names.find_entry(name.hash(), same) {
            let (before, _) = before.remove();
            self.hidden.insert_unique(before.hash, before, |entry| entry.hash);
        }
        self.names.insert_unique(entry.hash, entry, |entry| entry.hash);
    }

    /// Takes an entry of a module out, and shows the one that it stood before, the module of the lowest number first.
    fn take_out(&mut self, slot: u32, name: &Name<'_>) {
        let same = is_named(&self.modules, name.bytes());
        let own = |entry: &Published| entry.module == slot && same(entry);
        if let Ok(entry) = self.hidden.find_entry(name.hash(), own) {
            entry.remove();
        }
        let Ok(entry) = self.names.find_entry(name.hash(), own) else { return };
        entry.remove();
        let waiting = self.hidden.iter_hash(name.hash()).filter(|entry| same(entry)).map(|entry| entry.module).min();
        let Some(next) = waiting else { return };
        if let Ok(entry) = self.hidden.find_entry(name.hash(), |entry| entry.module == next && same(entry)) {
            let (entry, _) = entry.remove();
            self.names.insert_unique(entry.hash, entry, |entry| entry.hash);
        }
    }
}

fn module_of<'m>(modules: &'m [Option<Arc<ModuleShared>>], entry: &Published) -> Option<&'m Arc<ModuleShared>> {
    modules.get(entry.module as usize)?.as_ref()
}

/// Whether an entry has this name: equal hashes alone say nothing.
fn is_named<'m>(modules: &'m [Option<Arc<ModuleShared>>], name: &'m [u8]) -> impl Fn(&Published) -> bool + Copy + 'm {
    move |entry| {
        let Some(module) = module_of(modules, entry) else { return false };
        module.exports().at(entry.export as usize).is_some_and(|(text, _)| text.as_bytes() == name)
    }
}

impl Library {
    pub(crate) fn new(session: &Session, state: LibraryState) -> Library {
        let name = state.name.clone();
        let shared = Arc::new(LibraryShared { name, state: RwLock::new(state) });
        Library { session: Arc::downgrade(&session.shared), shared }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Links objects and archives as one batch, and publishes its names in this library.
    ///
    /// Names that the batch does not define are looked up in this library, in those that it searches, among the names that the
    /// session defines, and then in the executor. A weak definition gives way to one that is in the library already; a second
    /// strong one is an error. Nothing of the batch runs: see [`Module::initialise`].
    pub fn link(&self, inputs: &[Input], options: &LinkOptions) -> Result<Module, LinkErrors> {
        self.link_as(inputs, options, |module| module)
    }

    /// Links what a first call needs.
    pub(crate) fn link_on_call(&self, inputs: &[Input], options: &LinkOptions) -> Result<Module, LinkErrors> {
        self.link_as(inputs, options, ModuleShared::on_call)
    }

    fn link_as(
        &self,
        inputs: &[Input],
        options: &LinkOptions,
        kind: impl FnOnce(ModuleShared) -> ModuleShared,
    ) -> Result<Module, LinkErrors> {
        let session = self.session()?;
        let resolver = SessionResolver::new(&session, self);
        let linked = link(session.registry(), &**session.executor(), inputs, &resolver, options)?;
        let name = inputs.first().map_or("(nothing)", Input::name).to_string();
        // Held until the module is published: from then on it is what keeps them linked.
        let found = resolver.into_found();
        let modules = found.dependencies.iter().map(|handle| handle.module().clone()).collect();
        let needs = Needs { modules, kept: found.kept };
        let module = ModuleShared::new(name, linked, needs, session.executor().clone(), options);
        let module = Arc::new(kind(module));
        found.lazy.iter().for_each(|lazy| lazy.hold_by(&module));
        self.publish(&module)?;
        Ok(Module::new(self.clone(), module))
    }

    /// Asks `resolver` in all links to this library that follow for what neither their batch nor a library nor [`Session::define`]
    /// defines, after those that were added before and before the session's.
    pub fn add_resolver(&self, resolver: impl Resolver + 'static) {
        self.write().resolvers.push(Arc::new(resolver));
    }

    pub(crate) fn resolvers(&self) -> Vec<Arc<dyn Resolver>> {
        self.read().resolvers.clone()
    }

    pub(crate) fn downgrade(&self) -> WeakLibrary {
        WeakLibrary { session: self.session.clone(), shared: Arc::downgrade(&self.shared) }
    }

    pub(crate) fn session(&self) -> Result<Session, LinkError> {
        let shared = self.session.upgrade().ok_or_else(|| LinkError::Request("the session has ended".into()))?;
        Ok(Session { shared })
    }

    /// The definition of a name in this library or in those that it searches.
    pub fn lookup(&self, name: &str) -> Option<SymbolHandle> {
        self.find(&Name::new(name.as_bytes()))
    }

    /// Searches another library after this one and those that were added before.
    pub fn search(&self, other: &Library) {
        self.write().search.push(other.clone());
    }

    pub(crate) fn find(&self, name: &Name<'_>) -> Option<SymbolHandle> {
        if let Some(found) = self.find_own(name) {
            return Some(found);
        }
        // Libraries may search each other: each is asked once.
        let mut asked: Vec<Library> = vec![self.clone()];
        let mut next = 0;
        while next < asked.len() {
            let search = asked[next].read().search.clone();
            for library in search {
                if !asked.iter().any(|known| Arc::ptr_eq(&known.shared, &library.shared)) {
                    if let Some(found) = library.find_own(name) {
                        return Some(found);
                    }
                    asked.push(library);
                }
            }
            next += 1;
        }
        None
    }

    pub(crate) fn find_own(&self, name: &Name<'_>) -> Option<SymbolHandle> {
        let state = self.read();
        let (module, export) = state.find(name)?;
        Some(SymbolHandle::new(module.clone(), export))
    }

    /// Forgets which libraries are searched, so that libraries that search each other do not keep each other.
    pub(crate) fn search_nothing(&self) {
        self.write().search.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    /// Makes all names of a module visible at once, or none.
    fn publish(&self, module: &Arc<ModuleShared>) -> Result<(), LinkError> {
        let mut state = self.write();
        let state = &mut *state;
        let exports = module.exports().clone();
        if !state.is_empty() {
            // Another thread may have published a name since the link looked.
            let strong = exports.iter().filter(|(_, export)| !export.weak);
            strong.map(|(name, _)| name).try_for_each(|name| state.check_free(name, module))?;
        }
        let slot = state.free.pop().unwrap_or_else(|| {
            state.modules.push(None);
            state.modules.len() as u32 - 1
        });
        state.modules[slot as usize] = Some(module.clone());
        module.set_slot(slot);
        state.enter_all(slot, &exports);
        Ok(())
    }

    /// Changes the names of a module together with its code: all of it, or nothing when `swap` fails.
    pub(crate) fn republish(
        &self,
        module: &Arc<ModuleShared>,
        added: &[(&str, Export)],
        removed: &[String],
        swap: impl FnOnce() -> Result<(), LinkError>,
    ) -> Result<(), LinkError> {
        let mut state = self.write();
        let slot = module.slot().ok_or_else(|| LinkError::Request("the module was removed".into()))?;
        let strong = added.iter().filter(|(_, export)| !export.weak);
        strong.map(|(name, _)| name).try_for_each(|name| state.check_free(name, module))?;
        swap()?;
        for name in removed {
            state.take_out(slot, &Name::new(name.as_bytes()));
            module.change_exports(|exports| exports.remove(name));
        }
        for (name, export) in added {
            let position = module.change_exports(|exports| exports.insert(name, *export));
            if state.alone.is_none() {
                state.enter(slot, position, &Name::new(name.as_bytes()), export.weak);
            }
        }
        Ok(())
    }

    /// Takes the names back of a module and of what goes with it, if nothing needs them. The modules that are gone.
    pub(crate) fn withdraw(&self, module: &Arc<ModuleShared>) -> Result<Vec<Arc<ModuleShared>>, RemoveError> {
        // Before the lock: an update holds what is asked here while it waits for the lock.
        let mut going = that_may_go(module);
        let mut state = self.write();
        if going.len() > 1 {
            let is_here = |known: &Arc<ModuleShared>| state.modules.iter().flatten().any(|own| Arc::ptr_eq(own, known));
            going.retain(|known| Arc::ptr_eq(known, module) || is_here(known));
            going = that_go(going);
        }
        let is_going = |other: &Arc<ModuleShared>| going.iter().any(|known| Arc::ptr_eq(known, other));
        module.needed_beside(is_going)?;
        for module in &going {
            let slot = module.set_removed();
            // Not locked while the names are taken out, for which it is locked again.
            let exports = module.exports().clone();
            if state.alone.take().is_none() {
                exports.iter().for_each(|(name, _)| state.take_out(slot, &Name::new(name.as_bytes())));
            }
            state.modules[slot as usize] = None;
            state.free.push(slot);
        }
        Ok(going)
    }

    /// A symbol of a module of this library, unless it was removed.
    pub(crate) fn symbol_of(&self, module: &Arc<ModuleShared>, name: &str) -> Option<SymbolHandle> {
        // Under the lock that removal takes: a handle that it has not seen must not come to be.
        let _state = self.read();
        let export = *module.exports().find(&Name::new(name.as_bytes()))?;
        module.is_linked().then(|| SymbolHandle::new(module.clone(), export))
    }

    fn read(&self) -> RwLockReadGuard<'_, LibraryState> {
        self.shared.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, LibraryState> {
        self.shared.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library").field("name", &self.shared.name).finish_non_exhaustive()
    }
}
