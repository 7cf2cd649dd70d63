//! Names and reasons in words.

use super::model::{Block, Hex, Model, Place, Side};
use jitlink::core::graph::Residence;
use jitlink::core::link::Reason;

/// Why lowering changed an edge with this relocation.
pub(crate) fn reason(reason: &Reason, relocation: &str) -> String {
    match reason {
        Reason::OutOfReach { target, values, limits } => format!(
            "it is outside the batch at {target}, and {relocation} holds values from {} to {}, but from where the batch may lie \
             it would need {} to {}",
            limits.0,
            limits.1,
            values.0.min(values.1),
            values.0.max(values.1)
        ),
        Reason::Apart { from: Residence::Far, to: None } => {
            "the code is in a section of the large code model, from which no distance is assumed".into()
        }
        Reason::Apart { from, to } => format!(
            "the reference is in a {} section and the target {}, and of the large code models' sections no distance is assumed",
            place(*from),
            to.map_or_else(|| "outside the batch".into(), |to| format!("in a {} one", place(to)))
        ),
        Reason::TooFar { value, limits } => format!(
            "it is in the batch, but {value} away, and {relocation} holds values from {} to {}",
            limits.0, limits.1
        ),
        Reason::External { target } if target.0 == 0 => {
            "nothing defines it, so its address is null, which no distance from the code expresses".into()
        }
        Reason::External { target } => {
            format!("it is outside the batch at {target}, and what loads its address keeps its slot")
        }
        Reason::NeedsSlot => {
            "the place asks for the slot itself, or its instruction has no form that does without one".into()
        }
        Reason::InReach => "it is in the batch, so the instruction computes the address without loading it".into(),
        _ => reason.name().into(),
    }
}

fn place(residence: Residence) -> &'static str {
    match residence {
        Residence::Near => "near",
        Residence::Far => "far",
        Residence::Unloaded => "not loaded",
    }
}

/// `1 block`, `2 blocks`.
pub(crate) fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// A name that cannot disturb a terminal: control characters are shown as Rust escapes them.
pub(crate) fn printable(name: &str) -> String {
    let escape = |letter: char| match letter.is_control() {
        true => letter.escape_default().to_string(),
        false => letter.to_string(),
    };
    name.chars().map(escape).collect()
}

impl Model {
    /// The section and object of a block: `main.o .text`.
    pub(crate) fn home(&self, block: u32) -> String {
        let section = &self.sections[self.blocks[block as usize].section as usize];
        format!("{} {}", printable(&self.objects[section.object as usize].name), printable(&section.name))
    }

    /// A symbol's name, or what it stands for.
    pub(crate) fn symbol_name(&self, symbol: u32) -> String {
        let data = &self.symbols[symbol as usize];
        if !data.name.is_empty() {
            return printable(&data.name);
        }
        if let Some(&(what, target)) = self.index().made.get(&symbol) {
            return format!("{what} of {}", self.symbol_name(target));
        }
        match data.place {
            Place::Block { block, offset: 0 } => self.home(block),
            Place::Block { block, offset } => format!("{}+{offset:#x}", self.home(block)),
            _ => format!("symbol {symbol}"),
        }
    }

    /// What an edge refers to: a function even where the object names its section and an offset.
    pub(crate) fn target_name(&self, side: &Side) -> String {
        self.symbol_name(self.index().meant(self, side))
    }

    /// The named symbols of a block, each name's own definition, in order of offset.
    pub(crate) fn symbols_in(&self, block: u32) -> &[u32] {
        self.index().named.get(block as usize).map_or(&[], Vec::as_slice)
    }

    /// The symbol that covers a place in a block.
    pub(crate) fn enclosing(&self, block: u32, offset: u64) -> Option<u32> {
        self.symbols_in(block).iter().copied().rev().find(|&symbol| {
            let data = &self.symbols[symbol as usize];
            matches!(data.own, Place::Block { offset: start, .. }
                if start <= offset && (data.size == 0 || offset < start + data.size))
        })
    }

    /// Where an edge is: `main.o .text+0x4f, in main`.
    pub(crate) fn site(&self, edge: u32) -> String {
        let data = &self.edges[edge as usize];
        let block = &self.blocks[data.block as usize];
        let at = format!("{}+{:#x}", self.home(data.block), block.offset + u64::from(data.offset));
        match self.enclosing(data.block, u64::from(data.offset)) {
            Some(symbol) => format!("{at}, in {}", self.symbol_name(symbol)),
            None => at,
        }
    }

    /// What people call a block: its first symbol, or its place.
    pub(crate) fn block_name(&self, block: u32) -> String {
        let symbols = self.symbols_in(block);
        let visible = symbols.iter().find(|&&symbol| self.symbols[symbol as usize].scope != "local");
        match visible.or(symbols.first()) {
            Some(&symbol) => self.symbol_name(symbol),
            None => {
                let Block { section, offset, .. } = self.blocks[block as usize];
                let only = self.sections[section as usize].name.clone();
                if offset == 0 { printable(&only) } else { format!("{}+{offset:#x}", printable(&only)) }
            }
        }
    }

    /// The form of an edge that says what its object asks for.
    pub(crate) fn asked(&self, edge: u32) -> Option<&Side> {
        let edge = &self.edges[edge as usize];
        edge.before.as_ref().or(edge.after.as_ref())
    }

    /// The address of a symbol, in words.
    pub(crate) fn address_of(&self, symbol: u32) -> String {
        let address: Option<Hex> = self.symbols[symbol as usize].address;
        address.map_or_else(|| "no address yet".into(), |address| address.to_string())
    }
}
