//! How a link finds what its batch does not define.

use crate::host::{HostItem, Kept};
use crate::lazy::{Lazy, LazyBinding};
use crate::library::Library;
use crate::module::ModuleShared;
use crate::session::Session;
use crate::symbol::SymbolHandle;
use crate::sync::{Arc, Mutex, PoisonError, lock};
use jitlink_core::arch::Target;
use jitlink_core::executor::LibraryImport;
use jitlink_core::graph::{Linkage, Name};
use jitlink_core::link::{self, Existing, ImportedName};
use jitlink_core::{Addr, Input, LinkError};
use std::error::Error;
use std::sync::OnceLock;

/// What a resolver's failure may be.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Supplies definitions of names that nobody else defines: addresses, objects that join the link, functions that are linked when
/// they are first called.
///
/// It is asked by links of the sessions and libraries that it was added to, for names that live code of the batch needs, and
/// that neither the batch, nor its library or those that it searches, nor [`Session::define`] defines; before the executor is,
/// so that it can stand for functions of the process. Several links may ask at once. The same answers to the same questions
/// make the same link.
///
/// ```
/// use jitlink::{Definition, HostItem, resolver};
///
/// extern "C" fn host_time() -> u64 {
///     42
/// }
///
/// let host = resolver("the host", |names| {
///     let answer = |name: &&[u8]| match *name {
///         b"host_time" => Some(Definition::Host(HostItem::from(host_time as extern "C" fn() -> u64))),
///         _ => None,
///     };
///     Ok(names.iter().map(answer).collect())
/// });
/// # let _: &dyn jitlink::Resolver = &host;
/// ```
pub trait Resolver: Send + Sync {
    /// What errors call it: `the plug-in folder`.
    fn name(&self) -> &str;

    /// What defines each of these names; `None` for those that it does not know, which are left to others. Called with all names at
    /// once, and again, with the names that are new, when objects that were supplied need more. An error fails the link.
    fn resolve(&self, names: &[&[u8]]) -> Result<Vec<Option<Definition>>, BoxError>;
}

/// What defines a name.
#[derive(Debug)]
#[non_exhaustive]
pub enum Definition {
    /// It is at this address, which must stay valid as long as the module that needs it.
    Address(Addr),
    /// A function or a variable of this program, as [`Session::define`] takes it.
    Host(HostItem),
    /// An object that defines it, or an archive with a member that does. It joins the link as an archive member would: not if
    /// an object that joined before defines the name, and with names that it needs in turn; what nothing needs of it is pruned.
    /// An object that does not define the name is an error.
    Object(Input),
    /// A function that is linked when it is first called.
    Lazy(Lazy),
}

impl From<Addr> for Definition {
    fn from(address: Addr) -> Definition {
        Definition::Address(address)
    }
}

impl From<HostItem> for Definition {
    fn from(item: HostItem) -> Definition {
        Definition::Host(item)
    }
}

impl From<Input> for Definition {
    fn from(object: Input) -> Definition {
        Definition::Object(object)
    }
}

impl From<Lazy> for Definition {
    fn from(lazy: Lazy) -> Definition {
        Definition::Lazy(lazy)
    }
}

/// A resolver that is a name and a function. See [`Resolver::resolve`].
pub fn resolver<F>(name: &str, resolve: F) -> impl Resolver + use<F>
where
    F: Fn(&[&[u8]]) -> Result<Vec<Option<Definition>>, BoxError> + Send + Sync,
{
    FnResolver { name: name.into(), resolve }
}

struct FnResolver<F> {
    name: String,
    resolve: F,
}

impl<F> Resolver for FnResolver<F>
where
    F: Fn(&[&[u8]]) -> Result<Vec<Option<Definition>>, BoxError> + Send + Sync,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn resolve(&self, names: &[&[u8]]) -> Result<Vec<Option<Definition>>, BoxError> {
        (self.resolve)(names)
    }
}

/// Looks in the library, in those that it searches, in the session's own names, asks the resolvers, then the executor, and remembers
/// the modules that were found, which must stay linked as long as the new one.
pub(crate) struct SessionResolver<'s> {
    session: &'s Session,
    library: &'s Library,
    /// Nothing was published yet when the link began, so nothing need be compared with it.
    is_empty: bool,
    /// The module that is being updated: its own names are not looked up outside.
    own: Option<&'s Arc<ModuleShared>>,
    /// The library's, then the session's, each in the order in which they were added.
    resolvers: Vec<Arc<dyn Resolver>>,
    /// What the batch is for, once that is known.
    target: OnceLock<Target>,
    found: Mutex<Found>,
}

/// What a module will hold.
#[derive(Default)]
pub(crate) struct Found {
    /// One handle a module, so that none of them is removed before the new module is published.
    pub(crate) dependencies: Vec<SymbolHandle>,
    /// Functions that are linked on their first call.
    pub(crate) lazy: Vec<Arc<LazyBinding>>,
    /// What the host gave, where it must be kept.
    pub(crate) kept: Vec<Kept>,
}

impl<'s> SessionResolver<'s> {
    pub(crate) fn new(session: &'s Session, library: &'s Library) -> SessionResolver<'s> {
        let mut resolvers = library.resolvers();
        resolvers.extend(session.resolvers());
        let found = Mutex::new(Found::default());
        SessionResolver {
            session,
            library,
            is_empty: library.is_empty(),
            own: None,
            resolvers,
            target: OnceLock::new(),
            found,
        }
    }

    /// This resolver for an update of a module.
    pub(crate) fn for_update(self, own: &'s Arc<ModuleShared>) -> SessionResolver<'s> {
        SessionResolver { own: Some(own), ..self }
    }

    fn is_other(&self, handle: &SymbolHandle) -> bool {
        self.own.is_none_or(|own| !Arc::ptr_eq(own, handle.module()))
    }

    pub(crate) fn into_found(self) -> Found {
        self.found.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn depend(&self, handle: SymbolHandle) {
        handle.linked_to();
        let dependencies = &mut lock(&self.found).dependencies;
        if !dependencies.iter().any(|known| Arc::ptr_eq(known.module(), handle.module())) {
            dependencies.push(handle);
        }
    }

    /// The address of what the host gave, which stays as long as the new module.
    fn keep(&self, item: HostItem) -> link::Definition {
        let address = item.address();
        if let Some(kept) = item.into_kept() {
            lock(&self.found).kept.push(kept);
        }
        link::Definition::Address(address)
    }

    /// Asks one resolver for the names that have no answer yet.
    fn ask(&self, resolver: &dyn Resolver, names: &[&[u8]], found: &mut [Answer]) -> Result<(), LinkError> {
        let failed = |reason| LinkError::Resolver { resolver: resolver.name().into(), reason };
        let (missing, asked) = missing(names, found);
        if asked.is_empty() {
            return Ok(());
        }
        let answers = resolver.resolve(&asked).map_err(|error| failed(error.to_string()))?;
        if answers.len() != asked.len() {
            return Err(failed(format!("it gave {} answers for {} names", answers.len(), asked.len())));
        }
        for (index, answer) in missing.into_iter().zip(answers) {
            found[index] = answer.map(|answer| match answer {
                Definition::Address(address) => link::Definition::Address(address),
                Definition::Host(item) => self.keep(item),
                Definition::Object(input) => link::Definition::Object { input, supplier: resolver.name().into() },
                Definition::Lazy(lazy) => {
                    let (name, turn) = (names[index], self.session.turn());
                    let binding = Arc::new(LazyBinding::new(lazy, name, resolver.name(), self.library, turn));
                    lock(&self.found).lazy.push(binding.clone());
                    link::Definition::Lazy(binding)
                }
            });
        }
        Ok(())
    }

    /// Whether code of this target and code of the batch call each other in one way.
    fn calls_as(&self, target: &Target) -> bool {
        self.target.get().is_none_or(|batch| batch.convention == target.convention)
    }

    /// What defines each of these names, if not the executor.
    fn known(&self, names: &[&[u8]]) -> Result<Vec<Answer>, LinkError> {
        let known = |name: &&[u8]| {
            let fits = |found: &SymbolHandle| self.is_other(found) && self.calls_as(found.module().target());
            if let Some(handle) = self.library.find(&Name::new(name)).filter(fits) {
                let definition = handle.definition();
                self.depend(handle);
                return Some(definition);
            }
            self.session.defined(name).map(|item| self.keep(item))
        };
        let mut found: Vec<Answer> = names.iter().map(known).collect();
        for resolver in &self.resolvers {
            self.ask(&**resolver, names, &mut found)?;
        }
        Ok(found)
    }

    /// Whether the executor's own functions are called otherwise than those of the batch.
    fn is_strange(&self) -> bool {
        self.target.get().is_some_and(|target| !self.session.executor().calls_as(target))
    }

    fn ask_executor(&self, names: &[&[u8]], found: &mut [Answer]) -> Result<(), LinkError> {
        let (missing, asked) = missing(names, found);
        if asked.is_empty() || self.is_strange() {
            return Ok(());
        }
        let answers = self.session.executor().lookup(&asked).map_err(LinkError::from)?;
        missing.into_iter().zip(answers).for_each(|(index, answer)| found[index] = answer.map(Into::into));
        Ok(())
    }

    /// Looks for what has no answer yet in the executor's shared libraries; by name alone where the library is not known.
    fn ask_libraries(&self, imports: &[ImportedName<'_>], found: &mut [Answer]) -> Result<(), LinkError> {
        if self.is_strange() {
            return Ok(());
        }
        let missing: Vec<usize> = (0..imports.len()).filter(|&index| found[index].is_none()).collect();
        let (mut named, mut unnamed): (Vec<usize>, Vec<usize>) =
            missing.into_iter().partition(|&index| imports[index].library.is_some());
        let asked =
            |&index: &usize| Some(LibraryImport { library: imports[index].library?, export: imports[index].export });
        let asked: Vec<LibraryImport<'_>> = named.iter().filter_map(asked).collect();
        let answers = match asked.is_empty() {
            true => None,
            false => self.session.executor().import(&asked).map_err(LinkError::from)?,
        };
        match answers {
            Some(answers) => {
                named.iter().zip(answers).for_each(|(&index, answer)| found[index] = answer.map(Into::into))
            }
            None => unnamed.append(&mut named),
        }
        let names: Vec<&[u8]> = unnamed.iter().map(|&index| imports[index].outside()).collect();
        let mut answers = vec![None; names.len()];
        self.ask_executor(&names, &mut answers)?;
        unnamed.into_iter().zip(answers).for_each(|(index, answer)| found[index] = answer);
        Ok(())
    }
}

type Answer = Option<link::Definition>;

/// The names without an answer, and where they stand.
fn missing<'n>(names: &[&'n [u8]], found: &[Answer]) -> (Vec<usize>, Vec<&'n [u8]>) {
    (0..names.len()).filter(|&index| found[index].is_none()).map(|index| (index, names[index])).unzip()
}

impl link::Resolver for SessionResolver<'_> {
    fn begin(&self, target: &Target) {
        // A link has one target.
        let _ = self.target.set(*target);
    }

    fn resolve(&self, names: &[&[u8]]) -> Result<Vec<Answer>, LinkError> {
        let mut found = self.known(names)?;
        self.ask_executor(names, &mut found)?;
        Ok(found)
    }

    fn resolve_imports(&self, imports: &[ImportedName<'_>]) -> Result<Vec<Answer>, LinkError> {
        let mut found = self.known(&imports.iter().map(|import| import.name).collect::<Vec<_>>())?;
        self.ask_libraries(imports, &mut found)?;
        Ok(found)
    }

    fn resolve_thread_locals(&self, names: &[&[u8]]) -> Result<Vec<Option<link::ThreadLocalPlace>>, LinkError> {
        let known = |name: &&[u8]| {
            let handle = self.library.find(&Name::new(name)).filter(|found| self.is_other(found))?;
            let link::Definition::ThreadLocal(place) = handle.definition() else { return None };
            self.depend(handle);
            Some(place)
        };
        Ok(names.iter().map(known).collect())
    }

    fn supplies_objects(&self) -> bool {
        !self.resolvers.is_empty()
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
        let missing: Vec<usize> = (0..names.len()).filter(|&index| found[index].is_none()).collect();
        let asked: Vec<&[u8]> = missing.iter().map(|&index| names[index]).collect();
        if !asked.is_empty() {
            let answers = self.session.executor().lookup(&asked).map_err(LinkError::from)?;
            missing.into_iter().zip(answers).for_each(|(index, answer)| found[index] = answer);
        }
        Ok(found)
    }
}
