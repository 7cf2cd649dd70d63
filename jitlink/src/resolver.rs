//! How a link finds what its batch does not define.

use crate::library::Library;
use crate::module::{ModuleShared, SymbolHandle};
use crate::session::Session;
use jitlink_core::graph::{Linkage, Name};
use jitlink_core::link::{Existing, Resolver};
use jitlink_core::{Addr, LinkError};
use std::sync::{Arc, Mutex, PoisonError};

/// Looks in the library, in those that it searches, in the session's own names, then in the executor, and remembers the modules
/// that were found, which must stay linked as long as the new one.
pub(crate) struct SessionResolver<'s> {
    session: &'s Session,
    library: &'s Library,
    /// Nothing was published yet when the link began, so nothing need be compared with it.
    is_empty: bool,
    /// The module that is being updated: its own names are not looked up outside.
    own: Option<&'s Arc<ModuleShared>>,
    /// One handle a module, so that none of them is removed before the new module is published.
    dependencies: Mutex<Vec<SymbolHandle>>,
}

impl<'s> SessionResolver<'s> {
    pub(crate) fn new(session: &'s Session, library: &'s Library) -> SessionResolver<'s> {
        SessionResolver { session, library, is_empty: library.is_empty(), own: None, dependencies: Mutex::default() }
    }

    /// This resolver for an update of a module.
    pub(crate) fn for_update(self, own: &'s Arc<ModuleShared>) -> SessionResolver<'s> {
        SessionResolver { own: Some(own), ..self }
    }

    fn is_other(&self, handle: &SymbolHandle) -> bool {
        self.own.is_none_or(|own| !Arc::ptr_eq(own, handle.module()))
    }

    pub(crate) fn into_dependencies(self) -> Vec<SymbolHandle> {
        self.dependencies.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn depend(&self, handle: SymbolHandle) {
        handle.linked_to();
        let mut dependencies = self.dependencies.lock().unwrap_or_else(PoisonError::into_inner);
        if !dependencies.iter().any(|known| Arc::ptr_eq(known.module(), handle.module())) {
            dependencies.push(handle);
        }
    }

    fn ask_executor(&self, names: &[&[u8]], found: &mut [Option<Addr>]) -> Result<(), LinkError> {
        let missing: Vec<usize> = (0..names.len()).filter(|&index| found[index].is_none()).collect();
        let asked: Vec<&[u8]> = missing.iter().map(|&index| names[index]).collect();
        if asked.is_empty() {
            return Ok(());
        }
        let answers = self.session.executor().lookup(&asked).map_err(LinkError::from)?;
        missing.into_iter().zip(answers).for_each(|(index, answer)| found[index] = answer);
        Ok(())
    }
}

impl Resolver for SessionResolver<'_> {
    fn resolve(&self, names: &[&[u8]]) -> Result<Vec<Option<Addr>>, LinkError> {
        let mut found: Vec<Option<Addr>> = names
            .iter()
            .map(|name| {
                if let Some(handle) = self.library.find(&Name::new(name)).filter(|found| self.is_other(found)) {
                    let address = handle.address();
                    self.depend(handle);
                    return Some(address);
                }
                self.session.defined(name)
            })
            .collect();
        self.ask_executor(names, &mut found)?;
        Ok(found)
    }

    fn existing(&self, name: &Name<'_>, linkage: Linkage) -> Option<Existing> {
        if self.is_empty {
            return None;
        }
        let handle = self.library.find_own(name).filter(|found| self.is_other(found))?;
        let existing = Existing { address: handle.address(), weak: handle.is_weak() };
        if linkage != Linkage::Strong {
            self.depend(handle);
        }
        Some(existing)
    }

    fn unique(&self, names: &[&[u8]]) -> Result<Vec<Option<Addr>>, LinkError> {
        let libraries = self.session.libraries();
        let in_session = |name: &&[u8]| {
            let name = Name::new(name);
            let found = |library: &Library| library.find_own(&name).filter(|found| self.is_other(found));
            let handle = libraries.iter().find_map(found)?;
            let address = handle.address();
            self.depend(handle);
            Some(address)
        };
        let mut found: Vec<Option<Addr>> = names.iter().map(in_session).collect();
        self.ask_executor(names, &mut found)?;
        Ok(found)
    }
}
