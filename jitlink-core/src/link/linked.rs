//! What a link gives: memory, names, and what has to be run.

use crate::addr::Addr;
use crate::arch::{StubKind, Target};
use crate::executor::{Allocation, PointerArray};
use crate::graph::{Linkage, Name, Protection, Residence, Scope, SymbolKind};
use hashbrown::HashTable;
use std::time::Duration;

/// A batch that is linked and in the executor's memory. Dropping it frees the memory.
pub struct Linked {
    /// The memory.
    pub allocation: Box<dyn Allocation>,
    /// The machine.
    pub target: Target,
    /// Its segments, in ascending order of kind.
    pub segments: Vec<Segment>,
    /// The names that others see.
    pub exports: Exports,
    /// The definitions of the entry names that were asked for, in order.
    pub roots: Vec<Option<Addr>>,
    /// What runs before the program, in order.
    pub initialisers: Vec<PointerArray>,
    /// What runs after it, in order.
    pub finalisers: Vec<PointerArray>,
    /// An address in the batch that identifies it to the C library (`__dso_handle`).
    pub handle: Addr,
    /// Sections without memory, if they were kept: name and relocated bytes.
    pub debug: Vec<(String, Vec<u8>)>,
    /// What is where, if it was asked for.
    pub map: Option<LinkMap>,
    /// What the link did and how long it took.
    pub statistics: Statistics,
}

/// A run of memory with one protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it starts.
    pub address: Addr,
    /// Its size in bytes.
    pub size: u64,
    /// What the program may do with it.
    pub protection: Protection,
    /// Whether short references reach it.
    pub residence: Residence,
}

/// The phases' times and the batch's numbers.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// The phases in order, each with its time.
    pub phases: Vec<(&'static str, Duration)>,
    /// How many objects were linked.
    pub objects: usize,
    /// How many blocks there were, and how many of them are live.
    pub blocks: (usize, usize),
    /// How many symbols there were.
    pub symbols: usize,
    /// How many relocations there were.
    pub relocations: usize,
    /// How many GOT slots and stubs were made.
    pub slots: usize,
    /// How many stubs were made.
    pub stubs: usize,
}

/// An exported definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Export {
    /// Its address.
    pub address: Addr,
    /// Its size in bytes; zero where unknown.
    pub size: u64,
    /// What it names.
    pub kind: SymbolKind,
    /// Whether another definition may take its place.
    pub weak: bool,
    name: (u32, u32),
    hash: u64,
}

impl Export {
    /// The hash of its name, as [`Name::hash`] computes it.
    pub fn hash(&self) -> u64 {
        self.hash
    }
}

/// The names that a batch defines for others, in input order.
#[derive(Clone, Debug, Default)]
pub struct Exports {
    names: String,
    entries: Vec<Export>,
    table: HashTable<u32>,
}

impl Exports {
    pub(super) fn push(&mut self, name: Name<'_>, address: Addr, size: u64, kind: SymbolKind, linkage: Linkage) {
        let text = String::from_utf8_lossy(name.bytes());
        let start = self.names.len() as u32;
        self.names.push_str(&text);
        // A name that is not UTF-8 is looked up as it is shown.
        let hash = if text.len() == name.bytes().len() { name.hash() } else { Name::new(text.as_bytes()).hash() };
        let weak = linkage != Linkage::Strong;
        let index = self.entries.len() as u32;
        self.entries.push(Export { address, size, kind, weak, name: (start, text.len() as u32), hash });
        let entries = &self.entries;
        self.table.insert_unique(hash, index, |&index| entries[index as usize].hash);
    }

    pub(super) fn reserve(&mut self, count: usize) {
        self.entries.reserve(count);
        let entries = &self.entries;
        self.table.reserve(count, |&index| entries[index as usize].hash);
    }

    /// The definition of a name.
    pub fn get(&self, name: &str) -> Option<&Export> {
        self.find(&Name::new(name.as_bytes()))
    }

    /// The definition of a name whose hash is known.
    pub fn find(&self, name: &Name<'_>) -> Option<&Export> {
        let same = |&index: &u32| self.name(&self.entries[index as usize]).as_bytes() == name.bytes();
        self.table.find(name.hash(), same).map(|&index| &self.entries[index as usize])
    }

    /// All definitions with their names, in input order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Export)> {
        self.entries.iter().map(|export| (self.name(export), export))
    }

    /// The definition at a position of the input order, with its name.
    pub fn at(&self, position: usize) -> Option<(&str, &Export)> {
        self.entries.get(position).map(|export| (self.name(export), export))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn name(&self, export: &Export) -> &str {
        let (start, length) = (export.name.0 as usize, export.name.1 as usize);
        &self.names[start..start + length]
    }
}

/// What a link placed where; the content of the JSON link map.
#[derive(Clone, Debug, Default)]
pub struct LinkMap {
    /// The objects in input order.
    pub objects: Vec<MapObject>,
    /// Names that stand for addresses outside the batch.
    pub absolute: Vec<(String, Addr)>,
}

/// What of an object is where.
#[derive(Clone, Debug, Default)]
pub struct MapObject {
    /// The file's name, with the member in parentheses.
    pub name: String,
    /// The file's path.
    pub path: String,
    /// Its live sections.
    pub sections: Vec<MapSection>,
    /// Its live symbols.
    pub symbols: Vec<MapSymbol>,
    /// The GOT slots that it uses: what they are for, and where they are.
    pub got: Vec<(String, Addr)>,
    /// The stubs that it uses: what they are for, where they are, and their kind.
    pub stubs: Vec<(String, Addr, StubKind)>,
}

/// A section in the map.
#[derive(Clone, Debug)]
pub struct MapSection {
    /// Its name.
    pub name: String,
    /// Where it starts.
    pub address: Addr,
    /// Its size in bytes.
    pub size: u64,
    /// What the program may do with it.
    pub protection: Protection,
}

/// A symbol in the map.
#[derive(Clone, Debug)]
pub struct MapSymbol {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub address: Addr,
    /// Its size in bytes; zero where unknown.
    pub size: u64,
    /// Who sees it.
    pub scope: Scope,
    /// How it competes; common symbols are told apart.
    pub linkage: &'static str,
}
