//! Errors of sessions.

use jitlink_core::Addr;

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

/// Why a symbol could not be had as a function or a variable of a type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SymbolError {
    /// Nothing of that name is defined for others.
    #[error("{place} defines no {symbol} that others see")]
    Undefined {
        /// The name.
        symbol: String,
        /// The module or the library that was asked.
        place: String,
    },
    /// The module that was asked was removed.
    #[error("{module}, which was asked for {symbol}, was removed")]
    Removed {
        /// The name.
        symbol: String,
        /// The module.
        module: String,
    },
    /// The symbol is something else.
    #[error("{symbol} of {module} is not {wanted}; it is {found}")]
    Kind {
        /// The name.
        symbol: String,
        /// The module that defines it.
        module: String,
        /// What was asked for: `a function`.
        wanted: &'static str,
        /// What it is instead, or where.
        found: String,
    },
    /// The symbol is defined as the address zero.
    #[error("{module} defines {symbol} as the address zero")]
    Null {
        /// The name.
        symbol: String,
        /// The module that defines it.
        module: String,
    },
    /// A variable has another size than the type.
    #[error("{symbol} has {size} bytes, and the type that was asked for has {expected}")]
    Size {
        /// The name.
        symbol: String,
        /// How many bytes the object says that it has.
        size: u64,
        /// How many bytes the type has.
        expected: u64,
    },
    /// A variable is not where the type may be.
    #[error(
        "{symbol} is at {address}, which is not a multiple of {align}, the alignment of the type that was asked for"
    )]
    Misaligned {
        /// The name.
        symbol: String,
        /// Where it is.
        address: Addr,
        /// The alignment in bytes.
        align: u64,
    },
    /// The module is not in this process, so nothing of it can be called or read here.
    #[error("{symbol} is not in this process: the executor \"{executor}\" links for somewhere else")]
    Elsewhere {
        /// The name.
        symbol: String,
        /// The executor.
        executor: &'static str,
    },
}

/// Why something of this program could not be given to linked code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DefineError {
    /// The name was given before. It means what it meant.
    #[error("{name} was given as {first} before, and is not given anew as {second}; take it back first")]
    Defined {
        /// The name.
        name: String,
        /// The type of what it means.
        first: &'static str,
        /// The type of what was to take its place.
        second: &'static str,
    },
    /// No object can refer to the name: it is empty, or has a zero byte in it.
    #[error("no object can refer to the name {name:?}")]
    Name {
        /// The name.
        name: String,
    },
    /// Memory of this process was given to code that does not live in it.
    #[error(
        "{name} is {what} of this process, and the executor \"{executor}\" links for somewhere else; give it an address there"
    )]
    Elsewhere {
        /// The name.
        name: String,
        /// The type of what was given.
        what: &'static str,
        /// The executor.
        executor: &'static str,
    },
}
