//! Ids of the things in a graph: `u32` newtypes that print as `sym3`.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(pub(crate) u32);

        impl $name {
            /// The id of the thing at `index`.
            pub fn new(index: usize) -> Self {
                debug_assert!(index < u32::MAX as usize);
                $name(index as u32)
            }

            /// The position in the graph's vector.
            #[inline]
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

id!(/// An object of the batch.
    ObjectId, "obj");
id!(/// A section of an object.
    SectionId, "sec");
id!(/// A block of a section.
    BlockId, "block");
id!(/// A symbol.
    SymbolId, "sym");
id!(/// A COMDAT group.
    GroupId, "group");
