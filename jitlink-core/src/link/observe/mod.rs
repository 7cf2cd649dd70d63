//! Watching a link: what the graph is at each step, and why the link decided as it did.
//!
//! A pass changes the graph, an [`Observer`] only looks. It is told what passes cannot see: the archive members that did not
//! join, the cause of each mark that pruning made, and what lowering did to each edge and why. It is called where a step is
//! done, also where the step found errors, so that it can show how far a link came.
//!
//! Nothing is recorded for a link without an observer. Ids stay what they are through all of a link: later steps append, and
//! what is not needed any more is marked, not removed. So what is seen at one step can be compared with what is seen at another.

mod liveness;
mod placement;

pub(super) use liveness::Causes;
pub use liveness::{Cause, Liveness};
pub(super) use placement::unexplained;
pub use placement::{Change, Placement, Reason, Rewrite, Slot, Stub};

use crate::graph::LinkGraph;
use std::fmt;

/// Looks on while a link is made. Every method does nothing unless it is overridden.
pub trait Observer: fmt::Debug + Send + Sync {
    /// All objects are read that belong to the batch, and symbols are still what their objects say. Where reading failed, these
    /// are the objects up to the ones with errors, which may lack some of their parts. `members` are the members of all archives.
    fn read(&self, _graph: &LinkGraph<'_>, _members: &[ArchiveMember<'_>]) {}

    /// Names are resolved within the batch and the passes before pruning have run. Not called where one of them failed.
    fn resolved(&self, _graph: &LinkGraph<'_>) {}

    /// Liveness is known.
    fn pruned(&self, _graph: &LinkGraph<'_>, _liveness: &Liveness) {}

    /// Everything has its address and the passes before fix-up have run. Not called where an earlier step failed.
    fn placed(&self, _graph: &LinkGraph<'_>, _placement: &Placement<'_>) {}
}

/// A member of an archive that was given to a link.
#[derive(Clone, Debug)]
pub struct ArchiveMember<'v> {
    /// The archive's name.
    pub archive: &'v str,
    /// The member's name.
    pub name: &'v str,
    /// Whether it joined the batch.
    pub joined: bool,
    /// The name that made it join; `None` for members that all join, or that did not.
    pub wanted: Option<&'v [u8]>,
    /// The names that it would define, unless an earlier member does.
    pub defines: Vec<&'v [u8]>,
}
