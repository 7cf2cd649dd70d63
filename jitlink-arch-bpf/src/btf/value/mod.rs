//! Bytes of memory as the fields of a type: what `bpf run` shows of maps.
//!
//! A [`Value`] is a tree without a format of its own: a caller makes JSON of it, or text by its `Display`. Arrays of
//! characters are text, enumerations are names, members of structs without a name belong to the struct around.
//! Bit-fields start from the lowest bit of the struct's bytes where the lowest byte comes first, and from the highest
//! where that comes first.
//!
//! A few types can stand for very many fields (arrays of structs without a size, structs that hold others twice), so
//! the number of parts of a tree is limited.

mod decode;
mod text;

use super::{Btf, BtfError, TypeId};
use jitlink_core::Endian;
use thiserror::Error;

/// What bytes mean.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// An integer with a sign, of up to 128 bits.
    Signed(i128),
    /// An integer without a sign, of up to 128 bits.
    Unsigned(u128),
    /// A truth value.
    Bool(bool),
    /// A number with a fraction.
    Float(f64),
    /// Characters up to the first zero.
    Text(String),
    /// An address.
    Pointer(u64),
    /// A value of an enumeration that has a name.
    Enumerator {
        /// The name.
        name: &'a str,
        /// The value.
        value: i128,
    },
    /// The members of a struct or union, or the variables of a section, in the order of the source.
    Struct(Vec<(&'a str, Value<'a>)>),
    /// The elements of an array.
    List(Vec<Value<'a>>),
    /// Something that has no better form, such as a number of 80 bits.
    Bytes(Vec<u8>),
}

/// Why bytes cannot be shown as a type.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ValueError {
    /// There are fewer bytes than the type has.
    #[error("a value of {needed} bytes was to be read from {available}")]
    Short {
        /// The bytes that the type has.
        needed: usize,
        /// The bytes that there are.
        available: usize,
    },
    /// The type stands for more than a million fields.
    #[error("the value has more than {limit} parts")]
    TooMany {
        /// How many are allowed.
        limit: usize,
    },
    /// The type has no values.
    #[error(transparent)]
    Btf(#[from] BtfError),
}

impl Btf {
    /// The value of a type in the first bytes of `bytes`, in the byte order of the machine that wrote them.
    pub fn value<'a>(&'a self, id: TypeId, bytes: &[u8], endian: Endian) -> Result<Value<'a>, ValueError> {
        decode::Decoder::new(self, endian).whole(id, bytes)
    }
}

impl<'a> Value<'a> {
    /// The member of this name, if this is a struct.
    pub fn field(&self, name: &str) -> Option<&Value<'a>> {
        match self {
            Value::Struct(fields) => fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value),
            _ => None,
        }
    }
}
