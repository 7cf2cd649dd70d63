//! What the caller of a link decides.

use super::Pipeline;
use crate::addr::Addr;
use crate::error::LinkError;
use crate::graph::{Linkage, Name};

/// How a batch is linked.
#[derive(Clone, Debug, Default)]
pub struct LinkOptions {
    /// What is kept besides initialisers and what is marked to be retained.
    pub roots: Roots,
    /// What happens to names that nothing defines.
    pub unresolved: Unresolved,
    /// Names with given addresses; they win over the executor's symbols and lose against the batch's.
    pub defines: Vec<(String, Addr)>,
    /// New names for existing ones: `(new, old)`.
    pub aliases: Vec<(String, String)>,
    /// Objects can be replaced later ([`super::update`]): functions that other objects see are entered through slots, and
    /// everything that other objects see is kept, needed or not.
    pub updatable: bool,
    /// Debug sections are linked too, into memory that the program does not see.
    pub keep_debug: bool,
    /// How many threads work on the link; all processors where it is `None`. The result does not depend on it.
    pub threads: Option<usize>,
    /// Describe what was placed where in [`super::Linked::map`].
    pub map: bool,
    /// Passes of the caller.
    pub pipeline: Pipeline,
}

/// What keeps code alive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// Every definition that others can see.
    #[default]
    Exported,
    /// These names.
    Named(Vec<String>),
    /// Those of these names that something defines; every definition that others can see if that is none of them.
    IfDefined(Vec<String>),
}

/// What happens to names that nothing defines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unresolved {
    /// All of them are reported together.
    #[default]
    Error,
    /// They are null, as weak references are.
    Null,
}

/// Finds definitions outside the batch.
pub trait Resolver: Sync {
    /// The addresses of names that the batch does not define, one for each; `None` where there is none. Called once a link,
    /// with every name that live code needs.
    fn resolve(&self, names: &[&[u8]]) -> Result<Vec<Option<Addr>>, LinkError>;

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
    fn resolve(&self, names: &[&[u8]]) -> Result<Vec<Option<Addr>>, LinkError> {
        Ok(vec![None; names.len()])
    }
}
