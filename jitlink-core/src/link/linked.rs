//! What a link gives: memory, names, and what has to be run.

use super::thread_locals::ThreadLocals;
use super::update::Baseline;
use crate::addr::Addr;
use crate::arch::{StubKind, Target};
use crate::executor::{Allocation, PointerArray};
use crate::graph::{Linkage, Name, Protection, Residence, Scope, SymbolKind, Warning};
use crate::pages;
use hashbrown::HashTable;
use std::borrow::Cow;
use std::sync::OnceLock;
use std::time::Duration;

/// A batch that is linked and in the executor's memory. Dropping it frees the memory.
pub struct Linked {
    /// The memory.
    pub allocation: Box<dyn Allocation>,
    /// Its thread-local variables, if it has or uses any.
    pub thread_locals: Option<ThreadLocals>,
    /// The machine.
    pub target: Target,
    /// Its segments, in ascending order of kind.
    pub segments: Vec<Segment>,
    /// The names that others see.
    pub exports: Exports,
    /// The definitions of the entry names that were asked for, in order.
    pub roots: Vec<Option<Addr>>,
    /// The slots of indirect functions that the batch refers to, in order, for [`Executor::run_resolvers`] before anything else
    /// runs. Others, which only exports name, are resolved when they are called.
    ///
    /// [`Executor::run_resolvers`]: crate::Executor::run_resolvers
    pub indirect: Vec<Addr>,
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
    /// What updates build on, if the link can be updated.
    pub baseline: Option<Baseline>,
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
    /// What objects asked for that has no effect here, in input order.
    pub warnings: Vec<Warning>,
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

    fn text<'n>(&self, names: &'n str) -> &'n str {
        let (start, length) = (self.name.0 as usize, self.name.1 as usize);
        &names[start..start + length]
    }
}

/// The name of an export that was removed: no name starts there.
const REMOVED: (u32, u32) = (u32::MAX, 0);

/// The names that a batch defines for others, in input order.
#[derive(Clone, Debug, Default)]
pub struct Exports {
    names: String,
    entries: Vec<Export>,
    /// Positions by name, once somebody looks one up: most links of a program's objects never do.
    table: OnceLock<HashTable<u32>>,
    /// Positions of definitions that were removed.
    free: Vec<u32>,
    /// How many bytes of `names` are theirs.
    unused: usize,
}

impl Exports {
    pub(super) fn push(&mut self, name: Name<'_>, address: Addr, size: u64, kind: SymbolKind, linkage: Linkage) {
        let text = match str::from_utf8(name.bytes()) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(name.bytes()),
        };
        // A name that is not UTF-8 is looked up as it is shown.
        let hash = if text.len() == name.bytes().len() { name.hash() } else { Name::new(text.as_bytes()).hash() };
        let weak = linkage != Linkage::Strong;
        self.insert(&text, Export { address, size, kind, weak, name: (0, 0), hash });
    }

    /// Adds a definition under the name that it has elsewhere; its position. There must be none of that name.
    pub fn insert(&mut self, name: &str, export: Export) -> usize {
        let start = self.names.len() as u32;
        self.names.push_str(name);
        let export = Export { name: (start, name.len() as u32), ..export };
        let index = match self.free.pop() {
            Some(index) => {
                self.entries[index as usize] = export;
                index
            }
            None => {
                self.entries.push(export);
                self.entries.len() as u32 - 1
            }
        };
        if let Some(table) = self.table.get_mut() {
            let entries = &self.entries;
            table.insert_unique(export.hash, index, |&index| entries[index as usize].hash);
        }
        index as usize
    }

    /// Removes a definition; positions of the others stay. Whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        self.table();
        let hash = Name::new(name.as_bytes()).hash();
        let (names, entries) = (&self.names, &self.entries);
        let same = |&index: &u32| entries[index as usize].text(names) == name;
        let Some(Ok(found)) = self.table.get_mut().map(|table| table.find_entry(hash, same)) else { return false };
        let (index, _) = found.remove();
        self.free.push(index);
        self.unused += name.len();
        self.entries[index as usize].name = REMOVED;
        if self.unused > self.names.len() / 2 {
            self.compact();
        }
        true
    }

    fn compact(&mut self) {
        let mut names = String::with_capacity(self.names.len() - self.unused);
        for export in self.entries.iter_mut().filter(|export| export.name != REMOVED) {
            let start = names.len() as u32;
            names.push_str(export.text(&self.names));
            export.name.0 = start;
        }
        (self.names, self.unused) = (names, 0);
    }

    /// No names, and room for so many of so many bytes together.
    pub(super) fn with_capacity(count: usize, bytes: usize) -> Exports {
        let names = String::from_utf8(pages::vector(bytes)).unwrap_or_default();
        Exports { names, entries: pages::vector(count), ..Exports::default() }
    }

    /// The table that names are looked up in, which is made if it is not there.
    pub(super) fn table(&self) -> &HashTable<u32> {
        self.table.get_or_init(|| {
            let mut table = HashTable::with_capacity(self.entries.len());
            for (index, export) in self.positions() {
                table.insert_unique(export.hash, index as u32, |&index| self.entries[index as usize].hash);
            }
            table
        })
    }

    /// The definition of a name.
    pub fn get(&self, name: &str) -> Option<&Export> {
        self.find(&Name::new(name.as_bytes()))
    }

    /// The definition of a name whose hash is known.
    pub fn find(&self, name: &Name<'_>) -> Option<&Export> {
        let same = |&index: &u32| self.entries[index as usize].text(&self.names).as_bytes() == name.bytes();
        self.table().find(name.hash(), same).map(|&index| &self.entries[index as usize])
    }

    /// All definitions with their names, in input order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Export)> {
        self.positions().map(|(_, export)| (export.text(&self.names), export))
    }

    /// All definitions with their positions in the input order.
    fn positions(&self) -> impl Iterator<Item = (usize, &Export)> {
        self.entries.iter().enumerate().filter(|(_, export)| export.name != REMOVED)
    }

    /// The definition at a position of the input order, with its name.
    pub fn at(&self, position: usize) -> Option<(&str, &Export)> {
        let export = self.entries.get(position).filter(|export| export.name != REMOVED)?;
        Some((export.text(&self.names), export))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
