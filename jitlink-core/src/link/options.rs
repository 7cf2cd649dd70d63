//! What the caller of a link decides.

use super::{Observer, Pipeline};
use crate::addr::Addr;
use std::sync::Arc;

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
    /// Looks on, if anyone does.
    pub observer: Option<Arc<dyn Observer>>,
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
