//! BTF: the types of BPF objects and of the kernel, as data.
//!
//! # The format
//!
//! BTF is a header, a list of records and a heap of strings that end with zero (`Documentation/bpf/btf.rst` and
//! `include/uapi/linux/btf.h` of Linux). A record is three words (name, kind with a count, size or type) and a few
//! words more for each part. Types are numbered from 1 in the order of their records; 0 is `void`.
//!
//! # How it is held
//!
//! Every field of every record is a word of 32 bits, so a [`Btf`] is one vector of words in the order of this machine,
//! the place of each record in it, and the strings as they are. The kernel's 130,000 types take two allocations, not
//! 130,000, and writing is the same vector in either byte order.
//!
//! # What always holds
//!
//! A [`Btf`] is checked when it is made, whether it was read or built:
//!
//! - every record is whole, of a known kind, and its numbers are in range;
//! - every id in a record exists, and every name is text;
//! - no type contains itself, and no chain of names, qualifiers, pointers and arrays leads back to its start;
//! - members lie in their struct, and sizes do not overflow.
//!
//! So questions about a type cannot fail, and walks over types end. Only a walk through pointers to structs may come
//! back to where it was.
//!
//! | module | what it does |
//! | --- | --- |
//! | `read`, `check`, `write` | bytes in either byte order, both ways |
//! | `view`, `parts`, `scalars` | what a record says |
//! | `layout` | sizes, alignments, types behind names and qualifiers |
//! | `build` | new BTF, a record at a time |
//! | `print` | types as C writes them |
//! | [`merge`] | one BTF of several |
//! | [`value`] | bytes as the fields of a type |
//! | `retain` | only what is needed |
//! | `special` | locks and timers in values of maps |
//! | `loadable` | what the kernel accepts |
//! | [`ext`] | what `.BTF.ext` says about instructions |

mod build;
mod check;
mod error;
pub mod ext;
mod fields;
mod kind;
mod layout;
mod loadable;
pub mod merge;
mod parts;
mod print;
mod read;
mod retain;
mod scalars;
mod special;
mod strings;
pub mod value;
mod view;
mod write;

pub use build::BtfBuilder;
pub use error::BtfError;
pub use kind::{Kind, Linkage};
pub use parts::{Enumerator, Member, Param};
pub use retain::TypeMap;
pub use scalars::{Array, Int, SectionVar};
pub use special::ValueFields;
pub use view::Type;

use std::fmt;

/// The number of a type; 0 is `void`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct TypeId(pub u32);

impl TypeId {
    /// `void`.
    pub const VOID: TypeId = TypeId(0);
}

impl fmt::Display for TypeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The words of `void`, which has no record but a number.
const VOID_WORDS: [u32; 3] = [0; 3];

/// The types of an object or of the kernel, checked. See the [module](self) for what always holds.
#[derive(Clone, Default)]
pub struct Btf {
    /// The records, one after the other, after three words for `void`.
    words: Vec<u32>,
    /// Where each record starts, and after the last one the end.
    starts: Vec<u32>,
    /// Names, each ended by a zero; the first is empty.
    strings: Vec<u8>,
}

impl Btf {
    /// The number of types, `void` not counted.
    pub fn len(&self) -> usize {
        self.starts.len().saturating_sub(2)
    }

    /// Whether there are no types but `void`.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of this number; `void` for 0.
    pub fn ty(&self, id: TypeId) -> Option<Type<'_>> {
        let index = id.0 as usize;
        if index == 0 {
            return Some(Type::new(self, id, &VOID_WORDS));
        }
        let (start, end) = (*self.starts.get(index)?, *self.starts.get(index + 1)?);
        Some(Type::new(self, id, &self.words[start as usize..end as usize]))
    }

    /// All types in order, without `void`.
    pub fn types(&self) -> impl ExactSizeIterator<Item = Type<'_>> {
        self.starts
            .windows(2)
            .enumerate()
            .skip(1)
            .map(|(index, ends)| Type::new(self, TypeId(index as u32), &self.words[ends[0] as usize..ends[1] as usize]))
    }

    /// The text at an offset of the strings; empty where the offset is outside or the text is no UTF-8.
    pub fn name(&self, offset: u32) -> &str {
        self.string(offset).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// The bytes at an offset of the strings up to the next zero: source lines need not be UTF-8.
    pub fn string(&self, offset: u32) -> Option<&[u8]> {
        strings::at(&self.strings, offset)
    }

    /// The first type of this name and kind.
    pub fn find_by_name_kind(&self, name: &str, kind: Kind) -> Option<Type<'_>> {
        self.types().find(|ty| ty.kind() == kind && self.string(ty.name_offset()) == Some(name.as_bytes()))
    }

    /// The type of this number, or an error that says which numbers there are.
    pub(crate) fn expect(&self, id: TypeId) -> Result<Type<'_>, BtfError> {
        self.ty(id).ok_or(BtfError::NoType { id, last: TypeId(self.len() as u32) })
    }
}

impl fmt::Debug for Btf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Btf({} types, {} bytes of strings)", self.len(), self.strings.len())
    }
}
