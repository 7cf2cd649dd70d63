//! Which words of a record are ids of types, and which are names.

use super::Kind;

/// The positions of ids in a record of `length` words, in order.
pub(crate) fn ids(kind: Kind, length: usize) -> impl Iterator<Item = usize> {
    let (head, first, step): (&[usize], usize, usize) = match kind {
        Kind::Array => (&[3, 4], length, 1),
        Kind::Struct | Kind::Union => (&[], 4, 3),
        Kind::Datasec => (&[], 3, 3),
        Kind::FuncProto => (&[2], 4, 2),
        kind if kind.refers() => (&[2], length, 1),
        _ => (&[], length, 1),
    };
    head.iter().copied().chain((first..length).step_by(step))
}

/// The positions of offsets of names in a record of `length` words, in order.
pub(crate) fn names(kind: Kind, length: usize) -> impl Iterator<Item = usize> {
    let (first, step) = match kind {
        Kind::Struct | Kind::Union | Kind::Enum64 => (3, 3),
        Kind::Enum | Kind::FuncProto => (3, 2),
        _ => (length, 1),
    };
    std::iter::once(0).chain((first..length).step_by(step))
}
