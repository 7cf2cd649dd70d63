//! One BTF of several objects'.
//!
//! # The problem
//!
//! Each object describes all types that it uses, so linking ten of them gives ten descriptions of `struct sk_buff`. The
//! kernel wants one BTF, and a variable's type must be the same type wherever it is declared. Types refer to each other
//! in circles, so "the same" cannot be decided one after the other.
//!
//! # The idea
//!
//! 1. `flat` puts all records into one vector, with ids that count through and names in one heap of strings, so equal
//!    names are equal numbers.
//! 2. `forward` lets declarations without a definition mean the definition that another object has.
//! 3. `classes` puts types that look alike (kind, name, size, names and offsets of members) into a class, and splits a
//!    class as long as its types refer to types of different classes. What is left is the coarsest partition in which
//!    types of a class cannot be told apart: recursive types need no special case, and the time is that of reading the
//!    records in practice.
//! 4. `symbols` joins functions and variables by name, as a linker does: a definition and its declarations become one,
//!    static ones stay apart. Sections of one name become one, and the caller says where in it each variable lies:
//!    compilers do not know.
//!
//! # What holds
//!
//! The result depends only on the objects and their order. The first of each class stands for it, and types keep the
//! order in which they were first seen. Every type of every object has a number in the result, but for sections that
//! hold nothing any more (the kernel refuses those). A variable without a place has a type but is in no section.

mod classes;
mod compare;
mod flat;
mod forward;
mod symbols;

pub use compare::{Mismatch, compatible};

pub use super::TypeMap;

use super::{Btf, BtfBuilder, BtfError, strings::Strings};
use flat::Flat;

/// Where the variables of the objects are in the linked sections.
pub trait Layout {
    /// Offset and size in bytes of a variable or function that an object (by its number) lists in a section; `None` if
    /// linking left it out.
    fn place(&self, object: usize, section: &str, name: &str) -> Option<(u32, u32)>;

    /// The size of a linked section in bytes; `None` takes the end of its last variable.
    fn section_size(&self, section: &str) -> Option<u32> {
        let _ = section;
        None
    }
}

/// A function, variable or map that objects declare with types that do not go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Its name.
    pub name: String,
    /// The numbers of the two objects, the one whose type counts first.
    pub objects: (usize, usize),
    /// How they differ, with both declarations as C writes them.
    pub mismatch: Mismatch,
}

/// What merging gives.
#[derive(Clone, Debug)]
pub struct Merged {
    /// The types. More strings and types may be added, such as the source lines of `.BTF.ext`, before
    /// [`BtfBuilder::finish`].
    pub builder: BtfBuilder,
    /// For each object the new numbers of its types.
    pub maps: Vec<TypeMap>,
    /// What the objects disagree about, by order of the second object. The first declaration counts in the result.
    pub conflicts: Vec<Conflict>,
}

/// Merges the types of objects, in the order in which they are linked.
///
/// # Errors
///
/// If there are more types or strings than BTF can number.
pub fn merge(objects: &[&Btf], layout: &dyn Layout) -> Result<Merged, BtfError> {
    let mut strings = Strings::default();
    let mut flat = Flat::new(objects, &mut strings)?;
    forward::resolve(&mut flat);
    let representatives = classes::representatives(&flat);
    symbols::emit(objects, &flat, &representatives, strings, layout)
}
