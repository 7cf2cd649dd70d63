//! The inspected link as data: what the JSON document is made of, and what every other view reads.
//!
//! Lists refer to each other by position. One list holds what was there before the link and what the linker made; `state` tells
//! them apart, and an edge has both of its forms.

use jitlink::core::graph::{Protection, Residence};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::cell::OnceCell;
use std::collections::HashMap;

/// The version of the document's shape.
pub(crate) const VERSION: u32 = 1;

/// A link, before and after.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Model {
    pub(crate) version: u32,
    pub(crate) target: Option<Target>,
    pub(crate) reached: Reached,
    pub(crate) errors: Vec<Value>,
    pub(crate) totals: Totals,
    pub(crate) segments: Vec<Segment>,
    pub(crate) objects: Vec<Object>,
    pub(crate) members: Vec<Member>,
    pub(crate) groups: Vec<Group>,
    pub(crate) sections: Vec<Section>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) symbols: Vec<Symbol>,
    pub(crate) edges: Vec<Edge>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) stubs: Vec<Stub>,
    /// How many bytes each relocation writes.
    #[serde(skip)]
    pub(crate) widths: HashMap<&'static str, usize>,
    #[serde(skip)]
    pub(super) index: OnceCell<Index>,
}

/// What is looked up often, made once when the model is complete.
#[derive(Debug)]
pub(crate) struct Index {
    /// The named symbols of each block, in order of offset.
    pub(crate) named: Vec<Vec<u32>>,
    /// The edges that refer to each canonical symbol, as objects have them.
    pub(crate) referrers: Vec<Vec<u32>>,
    /// What the symbols of stubs and slots are, and what for.
    pub(crate) made: HashMap<u32, (&'static str, u32)>,
}

impl Model {
    /// The index. Nothing may be added to the model afterwards.
    pub(crate) fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::of(self))
    }
}

impl Index {
    fn of(model: &Model) -> Index {
        let mut named = vec![Vec::new(); model.blocks.len()];
        for (index, symbol) in model.symbols.iter().enumerate() {
            if let Place::Block { block, offset } = symbol.own
                && !symbol.name.is_empty()
                && !matches!(symbol.kind, "section" | "file")
            {
                named[block as usize].push((offset, index as u32));
            }
        }
        let in_order = |mut symbols: Vec<(u64, u32)>| {
            symbols.sort_unstable();
            symbols.into_iter().map(|(_, symbol)| symbol).collect()
        };
        let slots = model.slots.iter().map(|slot| (slot.symbol, ("GOT slot", slot.target)));
        let stubs = model.stubs.iter().map(|stub| (stub.symbol, ("stub", stub.target)));
        let named = named.into_iter().map(in_order).collect();
        let mut index = Index { named, referrers: Vec::new(), made: slots.chain(stubs).collect() };
        let mut referrers = vec![Vec::new(); model.symbols.len()];
        for (number, edge) in model.edges.iter().enumerate() {
            if let Some(before) = &edge.before {
                let meant = index.meant(model, before) as usize;
                referrers[model.symbols[meant].canonical as usize].push(number as u32);
            }
        }
        index.referrers = referrers;
        index
    }

    /// The symbol that an edge means: a named one also where the edge gives a section and an offset in it.
    pub(crate) fn meant(&self, model: &Model, side: &Side) -> u32 {
        let symbol = &model.symbols[side.target as usize];
        let ("section", Place::Block { block, offset }) = (symbol.kind, symbol.own) else { return side.target };
        // The addends of relative references are a few bytes less than the offset that is meant.
        let at = [0, 4].map(|bias| offset.wrapping_add_signed(side.addend).wrapping_add(bias));
        let is_meant = |known: u32| matches!(model.symbols[known as usize].own, Place::Block { offset, .. } if at.contains(&offset));
        let named = match self.named.get(block as usize).map_or(&[][..], Vec::as_slice) {
            [only] => Some(*only),
            all => all.iter().copied().find(|&known| is_meant(known)),
        };
        named.unwrap_or(side.target)
    }
}

/// The last step that a link did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reached {
    #[default]
    Nothing,
    Read,
    Resolved,
    Pruned,
    Placed,
    Linked,
}

/// An address: `"0x…"` in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hex(pub(crate) u64);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl std::fmt::Display for Hex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Target {
    pub(crate) format: String,
    pub(crate) arch: String,
    pub(crate) endian: String,
    pub(crate) pointer_bytes: u8,
}

/// How much there is of everything.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Totals {
    pub(crate) before: Counts,
    pub(crate) after: Counts,
    pub(crate) pruned: Counts,
    pub(crate) slots: usize,
    pub(crate) stubs: usize,
    pub(crate) thunks: usize,
    pub(crate) relaxed: usize,
    pub(crate) outlined: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) objects: usize,
    pub(crate) sections: usize,
    pub(crate) blocks: usize,
    pub(crate) symbols: usize,
    pub(crate) edges: usize,
    pub(crate) bytes: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Segment {
    pub(crate) address: Hex,
    pub(crate) size: u64,
    pub(crate) protection: &'static str,
    pub(crate) residence: &'static str,
}

#[derive(Debug, Serialize)]
pub(crate) struct Object {
    pub(crate) name: String,
    pub(crate) path: String,
    /// The linker made it: it holds slots, stubs and merged entries, or the names of the command line.
    pub(crate) made: bool,
}

/// A member of an archive.
#[derive(Debug, Serialize)]
pub(crate) struct Member {
    pub(crate) archive: String,
    pub(crate) name: String,
    pub(crate) joined: bool,
    pub(crate) wanted: Option<String>,
    pub(crate) defines: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) object: u32,
    /// The object whose copy is kept instead.
    pub(crate) kept: Option<u32>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) object: u32,
    pub(crate) protection: &'static str,
    pub(crate) residence: &'static str,
    pub(crate) group: Option<u32>,
}

/// What became of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// Nobody has decided yet.
    #[default]
    Undecided,
    /// It is needed, and in memory if the link came that far.
    Live,
    /// Nothing live needs it.
    Pruned,
    /// Its COMDAT group is a copy of one that is kept.
    Discarded,
    /// It is needed, and its bytes went into a block that the linker made: equal strings, unwind records.
    Absorbed,
    /// The linker made it.
    Made,
}

#[derive(Debug, Serialize)]
pub(crate) struct Block {
    pub(crate) section: u32,
    pub(crate) offset: u64,
    pub(crate) size: u64,
    pub(crate) align: u64,
    pub(crate) state: State,
    pub(crate) address: Option<Hex>,
    pub(crate) cause: Option<Cause>,
    /// The positions of its edges: the first, and one past the last.
    pub(crate) edges: (u32, u32),
    /// Its bytes in the input; the linker's own in a block that it made. Empty for zeros.
    #[serde(skip)]
    pub(crate) content: Box<[u8]>,
    /// Its bytes in memory.
    #[serde(skip)]
    pub(crate) fixed: Option<Box<[u8]>>,
}

/// What made a block live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Cause {
    Entry { symbol: u32 },
    Retained { symbol: u32 },
    Exported { symbol: u32 },
    RetainedSection,
    Initialisers,
    Unloaded,
    Edge { block: u32, edge: u32 },
    Dependency { block: u32 },
    Group { block: u32 },
}

#[derive(Debug, Serialize)]
pub(crate) struct Symbol {
    pub(crate) name: String,
    pub(crate) object: u32,
    pub(crate) scope: &'static str,
    pub(crate) linkage: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) size: u64,
    /// Where its own object says that it is.
    pub(crate) own: Place,
    /// Where it is once names are resolved.
    pub(crate) place: Place,
    /// The symbol that it stands for.
    pub(crate) canonical: u32,
    pub(crate) address: Option<Hex>,
}

/// Where a symbol is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Place {
    Undefined,
    Block { block: u32, offset: u64 },
    Absolute { address: Hex },
    Boundary { stop: bool },
    ImageBase,
    Common,
}

#[derive(Debug, Serialize)]
pub(crate) struct Edge {
    pub(crate) block: u32,
    /// Where the relocation was in its block before the link; where it is, for what the linker made.
    pub(crate) offset: u32,
    pub(crate) before: Option<Side>,
    pub(crate) after: Option<Side>,
    pub(crate) change: Option<Change>,
}

/// One form of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Side {
    pub(crate) relocation: &'static str,
    pub(crate) subject: &'static str,
    pub(crate) target: u32,
    pub(crate) addend: i64,
}

/// What lowering did to an edge, and why.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Change {
    /// `stub`, `thunk`, `slot`, `relaxed` or `outlined`.
    pub(crate) kind: &'static str,
    /// `out-of-reach`, `apart`, `too-far`, `external`, `needs-slot` or `in-reach`.
    pub(crate) reason: &'static str,
    /// The reason in words, with its numbers.
    pub(crate) text: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Slot {
    pub(crate) symbol: u32,
    pub(crate) target: u32,
    pub(crate) address: Option<Hex>,
    pub(crate) for_stub: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Stub {
    pub(crate) symbol: u32,
    pub(crate) target: u32,
    pub(crate) address: Option<Hex>,
    pub(crate) kind: &'static str,
}

/// The name of a residence in documents.
pub(crate) fn residence_name(residence: Residence) -> &'static str {
    match residence {
        Residence::Near => "near",
        Residence::Far => "far",
        Residence::Unloaded => "unloaded",
    }
}

/// What people call memory with a protection.
pub(crate) fn protection_words(protection: &str) -> &'static str {
    match protection {
        _ if protection == Protection::ReadExecute.name() => "code",
        _ if protection == Protection::Read.name() => "constants",
        _ => "data",
    }
}
