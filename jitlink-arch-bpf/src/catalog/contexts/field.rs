//! Fields of contexts.

use std::borrow::Cow;

use super::Access;
use crate::catalog::programs::ProgramSet;

/// What a field holds, which decides how it may be accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meaning {
    /// A number. Aligned parts of it may be read; it is written as a whole.
    Number,
    /// A number that is only accessed as a whole.
    WholeNumber,
    /// Bytes for the program's own use: any aligned access inside is good.
    Bytes,
    /// Four-byte numbers, each accessed as a whole.
    Words,
    /// Where the packet starts: 32 bits wide here, a pointer to the program.
    PacketStart,
    /// The end of the packet's linear part.
    PacketEnd,
    /// Where metadata before the packet starts; it ends at the packet's start.
    PacketMeta,
    /// A `struct bpf_sock`, or null.
    Socket,
    /// A `struct bpf_flow_keys`.
    FlowKeys,
}

/// A field of a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Where it starts, in bytes.
    pub offset: u32,
    /// Its size in bytes.
    pub size: u32,
    /// What it holds.
    pub meaning: Meaning,
    /// The programs that may read it.
    pub readers: ProgramSet,
    /// The programs that may write it.
    pub writers: ProgramSet,
}

impl Field {
    /// A field of a context of one's own: all programs may read it.
    pub fn new(name: impl Into<String>, offset: u32, size: u32, meaning: Meaning) -> Field {
        let name = Cow::Owned(name.into());
        Field { name, offset, size, meaning, readers: ProgramSet::ALL, writers: ProgramSet::default() }
    }

    /// This field, which all programs may write.
    pub fn writable(self) -> Field {
        Field { writers: ProgramSet::ALL, ..self }
    }

    /// One past its last byte.
    pub(super) fn end(&self) -> u64 {
        u64::from(self.offset) + u64::from(self.size)
    }

    /// Whether an access of that many bytes, inside of the field, is one that its meaning allows.
    pub(super) fn shape_is_good(&self, offset: u32, size: u32, access: Access) -> bool {
        let (start, aligned) = (offset - self.offset, offset.is_multiple_of(size));
        match self.meaning {
            Meaning::Bytes => aligned,
            Meaning::Number if access == Access::Read => aligned,
            Meaning::Words => size == 4 && start.is_multiple_of(4),
            _ => start == 0 && size == self.size,
        }
    }
}
