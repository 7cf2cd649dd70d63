//! Symbols: names for places.

use super::{BlockId, ObjectId, Residence};
use rustc_hash::FxHasher;
use std::fmt;
use std::hash::Hasher;

/// A symbol's name with its hash, computed once.
#[derive(Clone, Copy)]
pub struct Name<'a> {
    bytes: &'a [u8],
    hash: u64,
}

impl<'a> Name<'a> {
    /// A name that takes part in resolution.
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut hasher = FxHasher::default();
        hasher.write(bytes);
        Name { bytes, hash: hasher.finish() }
    }

    /// A local name, which is never looked up: its hash is not computed.
    pub fn local(bytes: &'a [u8]) -> Self {
        Name { bytes, hash: 0 }
    }

    /// No name.
    pub fn anonymous() -> Self {
        Name { bytes: &[], hash: 0 }
    }

    /// The name's bytes, as the object spells them.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The hash, equal for equal names on every host.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl PartialEq for Name<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Name<'_> {}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(self.bytes).fmt(f)
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A definition of a name, or a reference to one.
#[derive(Clone, Debug)]
pub struct Symbol<'a> {
    /// Its name.
    pub name: Name<'a>,
    /// Where it is. A reference takes the value of its definition when names are resolved.
    pub value: Value,
    /// Its size in bytes; zero where unknown.
    pub size: u64,
    /// The object that holds it.
    pub object: ObjectId,
    /// How it competes with others of its name.
    pub linkage: Linkage,
    /// Who sees it.
    pub scope: Scope,
    /// What it names.
    pub kind: SymbolKind,
    /// What the format says of it that only its machine understands, in a form of the format's own; zero where that is nothing.
    pub other: u8,
}

impl<'a> Symbol<'a> {
    /// A local symbol at an offset in a block.
    pub fn local(name: &'a [u8], object: ObjectId, block: BlockId, offset: u64) -> Self {
        Symbol {
            name: Name::local(name),
            value: Value::Block { block, offset },
            size: 0,
            object,
            linkage: Linkage::Strong,
            scope: Scope::Local,
            kind: SymbolKind::Other,
            other: 0,
        }
    }

    /// A reference to a name that something else defines.
    pub fn undefined(name: &'a [u8], object: ObjectId) -> Self {
        Symbol {
            name: Name::new(name),
            value: Value::Undefined,
            size: 0,
            object,
            linkage: Linkage::Strong,
            scope: Scope::Global,
            kind: SymbolKind::Other,
            other: 0,
        }
    }

    /// Whether this is a definition.
    pub fn is_defined(&self) -> bool {
        !matches!(self.value, Value::Undefined)
    }
}

/// Where a symbol is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// Somewhere else: a reference.
    Undefined,
    /// At an offset in a block; one past the block's last byte is allowed.
    Block {
        /// The block.
        block: BlockId,
        /// Bytes from the block's start.
        offset: u64,
    },
    /// At a fixed address.
    Absolute(u64),
    /// An end of a run of gathered sections.
    Boundary {
        /// The run.
        run: u32,
        /// One past its last byte rather than its first.
        stop: bool,
    },
    /// The base of the image, wherever that will be.
    ImageBase,
    /// In memory that the linker provides, zero-filled, if nothing else defines the name.
    Common {
        /// The alignment as a power of two.
        align_log2: u8,
        /// Where that memory may lie.
        residence: Residence,
    },
}

/// How definitions of one name compete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linkage {
    /// Wins over weak and common ones; a second is an error. As a reference: must be defined.
    Strong,
    /// Gives way; the first of several stays. As a reference: zero if nothing defines it.
    Weak,
    /// Weak, and one in the whole process (`STB_GNU_UNIQUE`).
    Unique,
}

/// Who sees a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Its object.
    Local,
    /// Its batch.
    Hidden,
    /// Everyone, and references inside the batch always mean it.
    Protected,
    /// Everyone.
    Global,
}

/// What a symbol names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolKind {
    /// Nothing that the object says.
    Other,
    /// Code.
    Function,
    /// Data.
    Object,
    /// The section itself: the addend of an edge to it says which byte is meant.
    Section,
    /// A source file's name.
    File,
    /// A thread-local variable.
    ThreadLocal,
    /// A function that returns the address to use.
    Indirect,
}
