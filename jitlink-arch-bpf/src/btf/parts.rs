//! The parts of types that have parts of one kind: members, values, parameters.

use super::TypeId;

/// A member of a struct or union.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its name; empty for a struct or union without a name of its own.
    pub name: &'a str,
    /// Its type.
    pub ty: TypeId,
    /// Its offset in bits from the start of the struct; for a bit-field in big-endian objects, of its highest bit.
    pub bit_offset: u32,
    /// The bits of a bit-field; `None` for other members.
    pub bits: Option<u8>,
}

/// A value of an enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enumerator<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value, extended by the sign of the enumeration to 64 bits.
    pub value: u64,
}

/// A parameter of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// Its name; empty where the prototype has none.
    pub name: &'a str,
    /// Its type; `void` without a name at the end means variable arguments.
    pub ty: TypeId,
}
