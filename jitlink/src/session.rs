//! Sessions: an executor, a registry, and the libraries that were linked.

use crate::error::DefineError;
use crate::host::HostItem;
use crate::library::{Library, LibraryState};
use crate::module::Module;
use crate::once::Turn;
use crate::resolver::Resolver;
use crate::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use jitlink_core::link::LinkOptions;
use jitlink_core::{Executor, Input, LinkErrors, Registry};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Where code is linked to, and all that was linked so far. Cheap to clone; clones are the same session.
///
/// Links may run on several threads at once; each publishes its names at once when it succeeds, and changes nothing when it
/// fails.
#[derive(Clone)]
pub struct Session {
    pub(crate) shared: Arc<SessionShared>,
}

pub(crate) struct SessionShared {
    pub(crate) registry: Registry,
    pub(crate) executor: Arc<dyn Executor>,
    state: RwLock<SessionState>,
    /// Whose initialisers run that a first call has linked.
    turn: Arc<Turn>,
}

impl Drop for SessionShared {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.libraries.iter().for_each(Library::search_nothing);
    }
}

#[derive(Default)]
struct SessionState {
    libraries: Vec<Library>,
    defines: HashMap<Vec<u8>, HostItem>,
    resolvers: Vec<Arc<dyn Resolver>>,
}

impl Session {
    /// A session that links to this process, with every backend of the program.
    #[cfg(all(feature = "in-process", target_os = "linux"))]
    pub fn in_process() -> Result<Session, jitlink_core::LinkError> {
        let executor = jitlink_core::process::ProcessExecutor::new()?;
        Ok(Session::new(Registry::global()?, Arc::new(executor)))
    }

    /// A session that links to `executor` with the backends of `registry`.
    pub fn new(registry: Registry, executor: Arc<dyn Executor>) -> Session {
        let (state, turn) = (RwLock::default(), Arc::new(Turn::new()));
        Session { shared: Arc::new(SessionShared { registry, executor, state, turn }) }
    }

    /// The backends.
    pub fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    /// Where linked code lives.
    pub fn executor(&self) -> &Arc<dyn Executor> {
        &self.shared.executor
    }

    /// The library of a name, made if there is none yet.
    pub fn library(&self, name: &str) -> Library {
        if let Some(library) = self.read().libraries.iter().find(|library| library.name() == name) {
            return library.clone();
        }
        let mut state = self.write();
        if let Some(library) = state.libraries.iter().find(|library| library.name() == name) {
            return library.clone();
        }
        let library = Library::new(self, LibraryState::new(name));
        state.libraries.push(library.clone());
        library
    }

    /// Links objects and archives to the library `main`. See [`Library::link`].
    pub fn link(&self, inputs: &[Input], options: &LinkOptions) -> Result<Module, LinkErrors> {
        self.library("main").link(inputs, options)
    }

    /// Gives linked code something of this program under a name: a function, a static variable, data that linked code and the program share,
    /// or an address. See [`HostItem`].
    ///
    /// Links that follow find it where neither their batch nor a library that they search defines the name, and before resolvers and the
    /// executor's own symbols. Every module that is linked to it keeps it.
    ///
    /// # Errors
    /// The name was given before ([`Session::undefine`] takes it back), no object can refer to such a name, or the item is memory of
    /// this process and the session's executor links for somewhere else.
    pub fn define(&self, name: impl Into<Vec<u8>>, item: impl Into<HostItem>) -> Result<(), DefineError> {
        let (name, item) = (name.into(), item.into());
        let shown = || String::from_utf8_lossy(&name).into_owned();
        if name.is_empty() || name.contains(&0) {
            return Err(DefineError::Name { name: shown() });
        }
        if item.is_of_this_process() && !self.executor().is_this_process() {
            let (what, executor) = (item.type_name(), self.executor().name());
            return Err(DefineError::Elsewhere { name: shown(), what, executor });
        }
        match self.write().defines.entry(name.clone()) {
            Entry::Occupied(known) => {
                Err(DefineError::Defined { name: shown(), first: known.get().type_name(), second: item.type_name() })
            }
            Entry::Vacant(free) => {
                free.insert(item);
                Ok(())
            }
        }
    }

    /// Takes back what [`Session::define`] gave; whether there was such a name. Modules that are linked to it keep it.
    pub fn undefine(&self, name: impl AsRef<[u8]>) -> bool {
        // Dropped without the lock: the program's data may do anything at its end.
        let item = self.write().defines.remove(name.as_ref());
        item.is_some()
    }

    /// Asks `resolver` in all links that follow for what neither their batch nor a library nor [`Session::define`] defines, after
    /// the library's own resolvers and those that were added before.
    pub fn add_resolver(&self, resolver: impl Resolver + 'static) {
        self.write().resolvers.push(Arc::new(resolver));
    }

    pub(crate) fn resolvers(&self) -> Vec<Arc<dyn Resolver>> {
        self.read().resolvers.clone()
    }

    pub(crate) fn turn(&self) -> Arc<Turn> {
        self.shared.turn.clone()
    }

    pub(crate) fn defined(&self, name: &[u8]) -> Option<HostItem> {
        self.read().defines.get(name).cloned()
    }

    pub(crate) fn libraries(&self) -> Vec<Library> {
        self.read().libraries.clone()
    }

    // A panic of another thread cannot leave the maps half changed, so a poisoned lock is as good as any.
    fn read(&self) -> RwLockReadGuard<'_, SessionState> {
        self.shared.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, SessionState> {
        self.shared.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let libraries = self.libraries();
        let names: Vec<&str> = libraries.iter().map(Library::name).collect();
        f.debug_struct("Session").field("executor", &self.shared.executor.name()).field("libraries", &names).finish()
    }
}
