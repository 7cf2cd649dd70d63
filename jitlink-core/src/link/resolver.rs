//! Who defines what the batch does not.

use super::thread_locals::ThreadLocalPlace;
use crate::addr::Addr;
use crate::arch::Target;
use crate::error::LinkError;
use crate::executor::LazyFunction;
use crate::graph::{ExportName, Linkage, Name};
use crate::input::Input;
use std::fmt;
use std::sync::Arc;

/// Finds definitions outside the batch.
pub trait Resolver: Sync {
    /// Is told what the batch is for, before anything is asked.
    fn begin(&self, _target: &Target) {}

    /// What defines each of these names; `None` where nothing does. Called with every name that live code needs and the batch
    /// does not define; again, with the names that are new, when objects that it gave have joined. No name is asked for twice.
    fn resolve(&self, names: &[&[u8]]) -> Result<Vec<Option<Definition>>, LinkError>;

    /// What defines names that objects import from shared libraries, under the same conditions. A resolver that does not know libraries
    /// by their files looks for what they call the names.
    fn resolve_imports(&self, imports: &[ImportedName<'_>]) -> Result<Vec<Option<Definition>>, LinkError> {
        self.resolve(&imports.iter().map(ImportedName::outside).collect::<Vec<_>>())
    }

    /// Where these thread-local variables are that earlier batches define. What is not known here is left to the executor.
    fn resolve_thread_locals(&self, names: &[&[u8]]) -> Result<Vec<Option<ThreadLocalPlace>>, LinkError> {
        Ok(vec![None; names.len()])
    }

    /// Whether [`Resolver::resolve`] may answer with objects. A link that expects none does nothing for them.
    fn supplies_objects(&self) -> bool {
        false
    }

    /// A definition that stands already where the batch's definition, of the given linkage, will be published. It wins over one
    /// that is not strong, and clashes with a strong one if it is strong.
    fn existing(&self, _name: &Name<'_>, _linkage: Linkage) -> Option<Existing> {
        None
    }

    /// The definition that the whole process uses of a name that may have only one (`STB_GNU_UNIQUE`).
    fn unique(&self, _names: &[&[u8]]) -> Result<Vec<Option<Addr>>, LinkError> {
        Ok(vec![None; _names.len()])
    }
}

/// A name that objects of the batch import from a shared library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportedName<'a> {
    /// The name in the batch.
    pub name: &'a [u8],
    /// The name of the library's file, if an object says it.
    pub library: Option<&'a [u8]>,
    /// What the library calls it.
    pub export: ExportName<'a>,
}

impl<'a> ImportedName<'a> {
    /// The name to look for where libraries are not known by their files: what is exported by a number alone is called as in the batch.
    pub fn outside(&self) -> &'a [u8] {
        match self.export {
            ExportName::Name(name) => name,
            ExportName::Ordinal(_) => self.name,
        }
    }
}

impl fmt::Display for ImportedName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.export {
            ExportName::Name(name) => f.write_str(&String::from_utf8_lossy(name)),
            ExportName::Ordinal(number) => write!(f, "number {number}"),
        }
    }
}

/// What defines a name that the batch does not define.
#[derive(Clone)]
#[non_exhaustive]
pub enum Definition {
    /// It is there already.
    Address(Addr),
    /// An object that defines it, or an archive with a member that does. It joins the batch as an archive member would: not if
    /// something that joined before defines the name, and with its own needs; what nothing needs of it is pruned.
    Object {
        /// The object or archive.
        input: Input,
        /// Who gave it, for errors.
        supplier: String,
    },
    /// It is a thread-local variable of a batch that was linked before.
    ThreadLocal(ThreadLocalPlace),
    /// A function that is linked when it is first called. References get the address of a trampoline.
    Lazy(Arc<dyn LazyFunction>),
}

impl From<Addr> for Definition {
    fn from(address: Addr) -> Definition {
        Definition::Address(address)
    }
}

impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Definition::Address(address) => f.debug_tuple("Address").field(address).finish(),
            Definition::Object { input, supplier } => {
                f.debug_struct("Object").field("input", input).field("supplier", supplier).finish()
            }
            Definition::ThreadLocal(place) => f.debug_tuple("ThreadLocal").field(place).finish(),
            Definition::Lazy(function) => f.debug_tuple("Lazy").field(&function.name()).finish(),
        }
    }
}

/// A definition that stands already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Existing {
    /// Where it is.
    pub address: Addr,
    /// Whether the batch may define the name again.
    pub weak: bool,
}

/// A resolver that knows nothing: only the batch's own definitions count.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSymbols;

impl Resolver for NoSymbols {
    fn resolve(&self, names: &[&[u8]]) -> Result<Vec<Option<Definition>>, LinkError> {
        Ok(vec![None; names.len()])
    }
}
