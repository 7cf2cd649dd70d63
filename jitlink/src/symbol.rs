//! Handles to symbols, which keep their module linked, and what their symbols may be used as.

use crate::error::SymbolError;
use crate::library::Library;
use crate::module::{Module, ModuleShared};
use crate::parting::let_go;
use crate::sync::Arc;
use jitlink_core::Addr;
use jitlink_core::graph::{Protection, SymbolKind};
use jitlink_core::link::{Definition, Export};

/// A symbol of a module. The module stays linked while the handle is held.
pub struct SymbolHandle {
    module: Arc<ModuleShared>,
    export: Export,
}

impl SymbolHandle {
    pub(crate) fn new(module: Arc<ModuleShared>, export: Export) -> SymbolHandle {
        module.take_handle(&export);
        SymbolHandle { module, export }
    }

    /// Its address in the target; of a thread-local variable, that of the calling thread's copy.
    pub fn address(&self) -> Addr {
        match self.export.kind {
            SymbolKind::ThreadLocal => {
                let memory = self.module.memory();
                let block = memory.thread_locals.as_ref();
                // Every thread has a copy as long as the module is linked, which the handle sees to.
                block.and_then(|block| block.address(self.export.address.0).ok()).unwrap_or_default()
            }
            _ => self.export.address,
        }
    }

    /// What a link is told that needs it.
    pub(crate) fn definition(&self) -> Definition {
        match self.export.kind {
            SymbolKind::ThreadLocal => {
                let memory = self.module.memory();
                let place = memory.thread_locals.as_ref().map(|block| block.place(self.export.address.0));
                place.map_or(Definition::Address(self.export.address), Definition::ThreadLocal)
            }
            _ => Definition::Address(self.export.address),
        }
    }

    /// Its size in bytes; zero where unknown.
    pub fn size(&self) -> u64 {
        self.export.size
    }

    /// Remembers that another module is linked to the symbol.
    pub(crate) fn linked_to(&self) {
        self.module.linked_to(&self.export);
    }

    pub(crate) fn is_weak(&self) -> bool {
        self.export.weak
    }

    pub(crate) fn module(&self) -> &Arc<ModuleShared> {
        &self.module
    }
}

impl Clone for SymbolHandle {
    fn clone(&self) -> Self {
        SymbolHandle::new(self.module.clone(), self.export)
    }
}

impl Drop for SymbolHandle {
    fn drop(&mut self) {
        self.module.give_handle(&self.export);
        if self.module.is_without_library() {
            let_go(std::slice::from_ref(&self.module));
        }
    }
}

impl std::fmt::Debug for SymbolHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SymbolHandle").field("address", &self.address()).field("module", &self.module.name).finish()
    }
}

impl Module {
    /// A symbol, or why there is none.
    pub(crate) fn symbol(&self, name: &str) -> Result<SymbolHandle, SymbolError> {
        self.lookup(name).ok_or_else(|| match self.shared.is_linked() {
            true => SymbolError::Undefined { symbol: name.into(), place: self.name().into() },
            false => SymbolError::Removed { symbol: name.into(), module: self.name().into() },
        })
    }
}

impl Library {
    /// A symbol, or why there is none.
    pub(crate) fn symbol(&self, name: &str) -> Result<SymbolHandle, SymbolError> {
        let place = || format!("the library \"{}\"", self.name());
        self.lookup(name).ok_or_else(|| SymbolError::Undefined { symbol: name.into(), place: place() })
    }
}

impl SymbolHandle {
    /// Where this process calls the function that has the symbol's name.
    pub(crate) fn code(&self, name: &str) -> Result<*const (), SymbolError> {
        self.check_reachable(name)?;
        let wrong = |found: String| self.not_a(name, "a function", found);
        match self.export.kind {
            SymbolKind::Object => return Err(wrong("data".into())),
            SymbolKind::ThreadLocal => return Err(wrong("a thread-local variable".into())),
            SymbolKind::Function
            | SymbolKind::Indirect
            | SymbolKind::Other
            | SymbolKind::Section
            | SymbolKind::File => {}
        }
        match self.module.protection(self.address(), 1) {
            Some(Protection::ReadExecute) => Ok(self.address().0 as *const ()),
            Some(_) if self.is_descriptor() => Ok(self.address().0 as *const ()),
            Some(Protection::Read | Protection::ReadWrite) => Err(wrong("in memory for data".into())),
            None => Err(wrong(format!("{}, which is not in the module's memory", self.address()))),
        }
    }

    /// Whether the symbol is a function's descriptor: data that starts with the address of its code.
    fn is_descriptor(&self) -> bool {
        let module = &self.module;
        let mut entry = [0; size_of::<usize>()];
        module.target().arch.info().descriptor_section().is_some()
            && module.read(self.address(), &mut entry).is_ok()
            && module.protection(Addr(usize::from_ne_bytes(entry) as u64), 1) == Some(Protection::ReadExecute)
    }

    /// Where this process finds the variable that has the symbol's name.
    pub(crate) fn data(&self, name: &str, size: u64, align: u64) -> Result<*mut (), SymbolError> {
        self.check_reachable(name)?;
        let wrong = |found: String| self.not_a(name, "a variable", found);
        match self.export.kind {
            SymbolKind::Function | SymbolKind::Indirect => return Err(wrong("a function".into())),
            SymbolKind::ThreadLocal => return Err(wrong("thread-local: each thread has its own".into())),
            SymbolKind::Object | SymbolKind::Other | SymbolKind::Section | SymbolKind::File => {}
        }
        let symbol = || name.to_string();
        if self.size() != 0 && self.size() != size {
            return Err(SymbolError::Size { symbol: symbol(), size: self.size(), expected: size });
        }
        if !self.address().0.is_multiple_of(align) {
            return Err(SymbolError::Misaligned { symbol: symbol(), address: self.address(), align });
        }
        match self.module.protection(self.address(), size) {
            Some(Protection::Read | Protection::ReadWrite) => Ok(self.address().0 as *mut ()),
            Some(Protection::ReadExecute) => Err(wrong("in memory for code".into())),
            None => Err(wrong(format!("{}, where the module has no {size} bytes", self.address()))),
        }
    }

    fn check_reachable(&self, name: &str) -> Result<(), SymbolError> {
        let executor = self.module.executor();
        if !executor.is_this_process() {
            return Err(SymbolError::Elsewhere { symbol: name.into(), executor: executor.name() });
        }
        if self.address() == Addr(0) {
            return Err(SymbolError::Null { symbol: name.into(), module: self.module.name.clone() });
        }
        Ok(())
    }

    fn not_a(&self, name: &str, wanted: &'static str, found: String) -> SymbolError {
        SymbolError::Kind { symbol: name.into(), module: self.module.name.clone(), wanted, found }
    }
}
