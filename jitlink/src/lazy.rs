//! Functions that are linked when they are first called.

use crate::library::{Library, WeakLibrary};
use crate::module::ModuleShared;
use crate::once::{NeedsItself, Once, Turn};
use crate::resolver::BoxError;
use crate::symbol::SymbolHandle;
use crate::sync::{Arc, Mutex, Weak, lock};
use jitlink_core::executor::LazyFunction;
use jitlink_core::graph::Name;
use jitlink_core::link::LinkOptions;
use jitlink_core::{Addr, Input, LinkError, LinkErrors};
use std::fmt;

/// A function whose objects are linked when it is first called: what a [`Resolver`](crate::Resolver) may answer.
///
/// Callers get a trampoline. The first call, on whatever thread, asks for the objects, links them to the library whose link needed the
/// function, as a module of their own, runs that module's initialisers, and goes on to the function with its arguments as they
/// were; later calls are one jump through a pointer longer than others. Calls by several threads at once link once. If the
/// library defines the name by then, its definition is taken and nothing is linked.
///
/// Only functions can be lazy: a name that code reads or writes must be supplied as an object or an address. Function pointers that
/// the module takes point to its trampoline, and so differ from those that modules take that find the function linked.
///
/// The first call needs stack for a link, about as much as a thread has by default, and must not be made in a signal handler. The
/// code that links must not call the function. Whoever runs code that calls a lazy function vouches for what is linked then as
/// well, initialisers included.
///
/// The module that was linked stays as long as the one that called it, and goes with it. That the function then throws an exception
/// is as with any other.
///
/// # When the link fails
/// A caller in native code expects no error. [`Lazy::on_failure`] is told, and may give another function to call, then and
/// later. Without that the process ends: the errors are written to its standard error, and it aborts.
pub struct Lazy {
    provide: Box<Provide>,
    on_failure: Option<Box<OnFailure>>,
    options: LinkOptions,
}

type Provide = dyn Fn() -> Result<Vec<Input>, BoxError> + Send + Sync;
type OnFailure = dyn Fn(&LinkErrors) -> Option<Addr> + Send + Sync;

impl Lazy {
    /// A function that the objects and archives define that `provide` gives when it is first called.
    pub fn new(provide: impl Fn() -> Result<Vec<Input>, BoxError> + Send + Sync + 'static) -> Lazy {
        Lazy { provide: Box::new(provide), on_failure: None, options: LinkOptions::default() }
    }

    /// Links them with these options.
    #[must_use]
    pub fn options(mut self, options: LinkOptions) -> Lazy {
        self.options = options;
        self
    }

    /// Tells `handler` what failed. The address that it gives is called in the function's place, with the same arguments; where it
    /// gives none, the process aborts.
    #[must_use]
    pub fn on_failure(mut self, handler: impl Fn(&LinkErrors) -> Option<Addr> + Send + Sync + 'static) -> Lazy {
        self.on_failure = Some(Box::new(handler));
        self
    }
}

impl fmt::Debug for Lazy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lazy").field("on_failure", &self.on_failure.is_some()).finish_non_exhaustive()
    }
}

/// A lazy function of one module.
pub(crate) struct LazyBinding {
    name: String,
    /// Who supplied it.
    supplier: String,
    lazy: Lazy,
    library: WeakLibrary,
    turn: Arc<Turn>,
    /// The module that calls it. Set before any of its code can run.
    holder: Mutex<Weak<ModuleShared>>,
    once: Once<Result<Bound, LinkErrors>>,
}

/// A function that is linked.
#[derive(Clone)]
struct Bound {
    address: Addr,
    /// Its module, if its initialisers are to be run by whoever calls.
    module: Option<Weak<ModuleShared>>,
}

impl LazyBinding {
    pub(crate) fn new(lazy: Lazy, name: &[u8], supplier: &str, library: &Library, turn: Arc<Turn>) -> LazyBinding {
        LazyBinding {
            name: String::from_utf8_lossy(name).into_owned(),
            supplier: supplier.into(),
            lazy,
            library: library.downgrade(),
            turn,
            holder: Mutex::new(Weak::new()),
            once: Once::new(),
        }
    }

    /// Says which module calls it.
    pub(crate) fn hold_by(&self, holder: &Arc<ModuleShared>) {
        *lock(&self.holder) = Arc::downgrade(holder);
    }

    fn bind(&self) -> Result<Bound, LinkErrors> {
        let library = self.library.upgrade();
        let library = library.ok_or_else(|| LinkError::Request("the session has ended".into()))?;
        let name = Name::new(self.name.as_bytes());
        let handle = match library.find(&name) {
            Some(handle) => handle,
            None => self.link_to(&library, &name)?,
        };
        // The handle keeps the module until the holder does; updates of it keep what the slot will point to.
        let holder = lock(&self.holder).upgrade();
        if let Some(holder) = holder.filter(|holder| !Arc::ptr_eq(holder, handle.module())) {
            holder.depend_on(std::iter::once(handle.module().clone()));
        }
        handle.linked_to();
        let module = handle.module().is_on_call().then(|| Arc::downgrade(handle.module()));
        Ok(Bound { address: handle.address(), module })
    }

    fn link_to(&self, library: &Library, name: &Name<'_>) -> Result<SymbolHandle, LinkErrors> {
        let failed = |reason: String| LinkError::Resolver { resolver: self.supplier.clone(), reason };
        let inputs = (self.lazy.provide)().map_err(|error| failed(error.to_string()))?;
        let module = match library.link_on_call(&inputs, &self.lazy.options) {
            Ok(module) => module,
            // Another function of the same objects may have been called at the same time.
            Err(errors) => return library.find(name).ok_or(errors),
        };
        let handle = module.lookup(&self.name);
        Ok(handle.ok_or_else(|| {
            let _ = module.remove();
            failed(format!("what was supplied for {} does not define it", self.name))
        })?)
    }

    /// What is called in the function's place.
    fn instead(&self, errors: LinkErrors) -> Result<Bound, LinkErrors> {
        match self.lazy.on_failure.as_ref().and_then(|handler| handler(&errors)) {
            Some(address) => Ok(Bound { address, module: None }),
            None => Err(errors),
        }
    }

    fn run_initialisers(&self, bound: &Bound) -> Result<(), LinkErrors> {
        let Some(module) = bound.module.as_ref().and_then(Weak::upgrade) else { return Ok(()) };
        let _turn = self.turn.take();
        // SAFETY: the thread is about to run the module's code, for which whoever made it run has vouched. The module goes only
        // with the one whose code runs now.
        unsafe { module.initialise() }.map_err(LinkErrors::from)
    }
}

impl LazyFunction for LazyBinding {
    fn name(&self) -> &str {
        &self.name
    }

    fn link(&self) -> Result<Addr, LinkErrors> {
        let bound = match self.once.get_or_make(|| self.bind().or_else(|errors| self.instead(errors))) {
            Ok(result) => result?,
            Err(NeedsItself) => {
                let itself = LinkError::Request(format!("the code that links {} calls it", self.name));
                self.instead(itself.into())?
            }
        };
        self.run_initialisers(&bound)?;
        Ok(bound.address)
    }
}
