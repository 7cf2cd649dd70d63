//! Sessions: an executor, a registry, and the libraries that were linked.

use crate::library::{Library, LibraryState};
use crate::module::Module;
use crate::once::Turn;
use crate::resolver::Resolver;
use crate::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use jitlink_core::link::LinkOptions;
use jitlink_core::{Addr, Executor, Input, LinkErrors, Registry};
use std::collections::HashMap;

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
    defines: HashMap<Vec<u8>, Addr>,
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

    /// Gives a name an address for all links that follow, unless a batch or a library defines it.
    pub fn define(&self, name: impl Into<Vec<u8>>, address: Addr) {
        self.write().defines.insert(name.into(), address);
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

    pub(crate) fn defined(&self, name: &[u8]) -> Option<Addr> {
        self.read().defines.get(name).copied()
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
