//! What integers, arrays and the variables of sections say besides their record.

use super::TypeId;

/// How an integer is represented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Int {
    /// Its size in bytes.
    pub size: u32,
    /// Its bits: fewer than `size` has in bit-fields as old compilers describe them.
    pub bits: u8,
    /// The offset of its first bit in such a bit-field.
    pub offset: u8,
    /// `BTF_INT_SIGNED` is 1, `BTF_INT_CHAR` 2, `BTF_INT_BOOL` 4.
    pub encoding: u8,
}

impl Int {
    /// Takes the fields apart as `BTF_INT_ENCODING`, `BTF_INT_OFFSET` and `BTF_INT_BITS` do.
    pub(crate) fn new(size: u32, word: u32) -> Int {
        Int { size, bits: (word & 0xff) as u8, offset: (word >> 16 & 0xff) as u8, encoding: (word >> 24 & 0xf) as u8 }
    }

    /// Whether values have a sign.
    pub fn is_signed(&self) -> bool {
        self.encoding & 1 != 0
    }

    /// Whether values are characters.
    pub fn is_char(&self) -> bool {
        self.encoding & 2 != 0
    }

    /// Whether values are `true` or `false`.
    pub fn is_bool(&self) -> bool {
        self.encoding & 4 != 0
    }
}

/// An array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Array {
    /// The type of its elements.
    pub element: TypeId,
    /// The type of its index, which is of no use but must be kept.
    pub index: TypeId,
    /// How many elements there are; 0 for an array of unknown length at the end of a struct.
    pub count: u32,
}

/// A variable or function in a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionVar {
    /// The variable, or the function where a section lists functions (`.ksyms`).
    pub ty: TypeId,
    /// Its offset in the section in bytes. Compilers write 0: only the symbol table knows it.
    pub offset: u32,
    /// Its size in bytes.
    pub size: u32,
}
