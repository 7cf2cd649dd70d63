//! Names that objects import from shared libraries.

use super::SymbolId;

/// A name that a shared library of the target defines, as an import library says.
///
/// It is weaker than a definition in the batch, and stronger than what else the name may mean ([`Fallback`](super::Fallback)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Import<'a> {
    /// A reference to the name.
    pub name: SymbolId,
    /// Which library; `None` where the object does not say it, so that it may be any.
    pub library: Option<ImportLibrary<'a>>,
    /// What the library calls it.
    pub export: ExportName<'a>,
    /// A definition, under the name by which programs know it, of the slot with the address. What would point to that is this slot then.
    pub slot: Option<SymbolId>,
}

/// What says which library an import is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportLibrary<'a> {
    /// The name of the library's file.
    Named(&'a [u8]),
    /// The place of that name, which ends with a zero byte: perhaps in another object.
    At(SymbolId),
}

/// How a shared library calls what it exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExportName<'a> {
    /// By a name.
    Name(&'a [u8]),
    /// By a number.
    Ordinal(u16),
}
