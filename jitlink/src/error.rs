//! Errors of sessions.

/// Why a module could not be removed. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoveError {
    /// Other modules were linked against it.
    #[error("{module} is still needed by {}", .dependents.join(", "))]
    Needed {
        /// The module.
        module: String,
        /// The modules that refer to it.
        dependents: Vec<String>,
    },
    /// Handles to its symbols are still held.
    #[error("{handles} handles to symbols of {module} are still held")]
    Held {
        /// The module.
        module: String,
        /// How many.
        handles: usize,
    },
    /// It was removed before.
    #[error("{module} was removed before")]
    Removed {
        /// The module.
        module: String,
    },
    /// What the module had registered to run at its end could not be run.
    #[error("{module}: {reason}")]
    Finalisers {
        /// The module.
        module: String,
        /// What the executor said.
        reason: String,
    },
}
