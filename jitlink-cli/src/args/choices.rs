//! What options are given by name.

use clap::ValueEnum;

/// How tables and errors are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For tools.
    Json,
}

/// What is done with names that nothing defines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unresolved {
    /// All of them are reported, and nothing is linked.
    #[default]
    Error,
    /// They become null.
    Null,
}

/// What Rust programs do when they panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Panic {
    /// The stack is unwound.
    Unwind,
    /// The process is aborted.
    Abort,
}

/// What a profiler is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProfileKind {
    /// Addresses and names.
    Map,
    /// Code, lines and unwind records too.
    Jitdump,
}

/// How an inspected link is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum View {
    /// A table, for people.
    #[default]
    Text,
    /// Everything, for tools.
    Json,
    /// The graph in the language of Graphviz.
    Dot,
    /// One page with the memory map and the graph, for a browser.
    Html,
}
