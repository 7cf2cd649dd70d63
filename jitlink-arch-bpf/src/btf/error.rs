//! What can be wrong with BTF.

use super::{Kind, TypeId};
use thiserror::Error;

/// Why bytes are no BTF, or why a question about a type has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BtfError {
    /// The bytes end before the header does.
    #[error("BTF header is truncated: {length} bytes of {needed}")]
    TruncatedHeader {
        /// The bytes there are.
        length: usize,
        /// The bytes that the header needs.
        needed: usize,
    },
    /// The first two bytes are not 0xeb9f in either byte order.
    #[error("not BTF: magic is {0:#06x}, not 0xeb9f in either byte order")]
    Magic(u16),
    /// The version or the flags are not the known ones.
    #[error("BTF has version {version} and flags {flags:#x}; only version 1 without flags is known")]
    Version {
        /// The version found.
        version: u8,
        /// The flags found.
        flags: u8,
    },
    /// A length in the header is too small or does not fit the bytes.
    #[error("BTF header's {what} [{offset:#x}, +{length:#x}) lies outside of the {available:#x} bytes there are")]
    Range {
        /// Which part.
        what: &'static str,
        /// Its start, in bytes from the end of the header.
        offset: u32,
        /// Its length in bytes.
        length: u32,
        /// The bytes there are.
        available: usize,
    },
    /// The types do not start at a multiple of four, or do not end with a whole word.
    #[error("BTF types [{offset:#x}, +{length:#x}) are no multiple of four bytes")]
    Misaligned {
        /// Their start, in bytes from the end of the header.
        offset: u32,
        /// Their length in bytes.
        length: u32,
    },
    /// The strings are empty, or do not start and end with a zero byte.
    #[error(
        "BTF strings ({length:#x} bytes) do not start and end with a zero byte; those of split BTF (of a kernel module) need not, \
         but it needs its base"
    )]
    Strings {
        /// Their length.
        length: usize,
    },
    /// A kind is not in use, or bits that must be zero are set.
    #[error("BTF type {id} has unknown kind or bits: info {info:#010x}")]
    Info {
        /// The type.
        id: TypeId,
        /// Its second word.
        info: u32,
    },
    /// The types end inside a record.
    #[error("BTF type {id} ({kind}) needs {needed} more words, {available} are left")]
    TruncatedType {
        /// The type.
        id: TypeId,
        /// Its kind.
        kind: Kind,
        /// The words that its parts need.
        needed: usize,
        /// The words that are left.
        available: usize,
    },
    /// A name lies outside of the strings.
    #[error("BTF type {id} ({kind}) has its name at {offset:#x}, outside of {length:#x} bytes of strings")]
    Name {
        /// The type.
        id: TypeId,
        /// Its kind.
        kind: Kind,
        /// The offset of the name.
        offset: u32,
        /// The length of all strings.
        length: usize,
    },
    /// A name is no UTF-8.
    #[error("BTF type {id} ({kind}) has a name at {offset:#x} that is no UTF-8")]
    Text {
        /// The type.
        id: TypeId,
        /// Its kind.
        kind: Kind,
        /// The offset of the name.
        offset: u32,
    },
    /// A type refers to one that does not exist, or that is of a wrong kind.
    #[error("BTF type {id} ({kind}) cannot refer to type {to} ({what} of {count} types)", what = .found.map_or("outside", Kind::name))]
    Reference {
        /// The type.
        id: TypeId,
        /// Its kind.
        kind: Kind,
        /// What it refers to.
        to: TypeId,
        /// The kind of that type, if there is one.
        found: Option<Kind>,
        /// How many types there are.
        count: usize,
    },
    /// A number in a record is out of range.
    #[error("BTF type {id} ({kind}) has {what} {value:#x}")]
    Value {
        /// The type.
        id: TypeId,
        /// Its kind.
        kind: Kind,
        /// What the number means, with its limit.
        what: &'static str,
        /// The number.
        value: u64,
    },
    /// A member lies outside of its struct or union.
    #[error("BTF type {id}: member {member} at bit {offset} with {bits} bits lies outside of {size} bytes")]
    Member {
        /// The struct or union.
        id: TypeId,
        /// Which member, from 0.
        member: usize,
        /// Its offset in bits.
        offset: u32,
        /// Its size in bits.
        bits: u64,
        /// The size of the struct or union in bytes.
        size: u32,
    },
    /// A type contains itself.
    #[error("BTF type {id} ({kind}) contains or names itself")]
    Cycle {
        /// The type.
        id: TypeId,
        /// Its kind.
        kind: Kind,
    },
    /// The id is not in this BTF.
    #[error("there is no BTF type {id}; the last one is {last}")]
    NoType {
        /// The id asked for.
        id: TypeId,
        /// The last id.
        last: TypeId,
    },
    /// The type has no size: a function, `void`, a declared struct.
    #[error("BTF type {id} ({kind}) has no size")]
    NoSize {
        /// The type.
        id: TypeId,
        /// Its kind.
        kind: Kind,
    },
    /// There are more types, parts or strings than BTF can number.
    #[error("BTF holds too much: {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
    },
}
