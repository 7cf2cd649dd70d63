//! One page for a browser: the memory map, the graph, and a closer look at everything in them.
//!
//! The page is one file that asks nobody for anything: style, scripts and data stand in it, and its content security policy forbids
//! the browser to load more. The data is JSON in a script element that browsers do not run. Names in objects are what somebody
//! else wrote, so every `<` in the data is escaped, and the scripts put text on the page as text only.
//!
//! The shape of the data is that of the document, but for edges and bytes, of which large links have many: those are tuples and hex
//! digits, and what is too much to be looked at is left out with a note.

use super::model::{
    Block, Change, Edge, Group, Model, Object, Reached, Section, Segment, Side, Slot, Stub, Symbol, Target, Totals,
};
use super::words;
use serde::Serialize;
use serde_json::Value;
use std::collections::HashMap;
use std::io::Write;

const SKELETON: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPTS: [&str; 5] = [
    include_str!("page/data.js"),
    include_str!("page/details.js"),
    include_str!("page/map.js"),
    include_str!("page/graph.js"),
    include_str!("page/main.js"),
];

/// Edges that a page lists at most.
const MOST_EDGES: usize = 200_000;

/// Bytes of one block, and of all blocks together, that a page shows at most.
const MOST_BLOCK_BYTES: usize = 16 << 10;
const MOST_BYTES: usize = 4 << 20;

/// The data of a page.
#[derive(Serialize)]
struct Data<'m> {
    version: u32,
    title: String,
    target: &'m Option<Target>,
    reached: Reached,
    errors: &'m [Value],
    notes: Vec<String>,
    totals: &'m Totals,
    segments: &'m [Segment],
    objects: &'m [Object],
    groups: &'m [Group],
    sections: &'m [Section],
    blocks: &'m [Block],
    symbols: &'m [Symbol],
    slots: &'m [Slot],
    stubs: &'m [Stub],
    /// The names of relocations, which edges refer to by position.
    relocations: Vec<&'static str>,
    /// How many bytes each of them writes.
    widths: Vec<usize>,
    changes: Vec<&'m Change>,
    edges: Vec<PageEdge>,
    bytes: Vec<Bytes>,
}

/// Block, offset, how it was, how it is, position of its change.
type PageEdge = (u32, u32, Option<PageSide>, Option<PageSide>, Option<u32>);

/// Relocation, subject, target, addend (in decimal digits: scripts have no integers of 64 bits).
type PageSide = (u32, &'static str, u32, String);

/// Hex digits of a block in the input and in memory.
#[derive(Default, Serialize)]
struct Bytes {
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

pub(crate) fn write(out: &mut impl Write, model: &Model) -> std::io::Result<()> {
    let json = serde_json::to_string(&data(model))?;
    // In strings, which is where `<` can stand, this is the same character, and nothing that ends a script element.
    let json = json.replace('<', "\\u003c");
    let scripts = SCRIPTS.join("\n");
    let mut rest = SKELETON;
    for (mark, text) in [("/*STYLE*/", STYLE), ("/*DATA*/", &json), ("/*SCRIPT*/", &scripts)] {
        let (head, tail) = rest.split_once(mark).unwrap_or((rest, ""));
        out.write_all(head.as_bytes())?;
        out.write_all(text.as_bytes())?;
        rest = tail;
    }
    out.write_all(rest.as_bytes())
}

fn data(model: &Model) -> Data<'_> {
    let mut notes = Vec::new();
    let mut relocations: Vec<&'static str> = Vec::new();
    let mut numbers: HashMap<&'static str, u32> = HashMap::new();
    let mut side = |side: &Side| {
        let number = *numbers.entry(side.relocation).or_insert_with(|| {
            relocations.push(side.relocation);
            relocations.len() as u32 - 1
        });
        (number, side.subject, side.target, side.addend.to_string())
    };
    let mut changes: Vec<&Change> = Vec::new();
    let mut edge = |edge: &'_ Edge| {
        (edge.block, edge.offset, edge.before.as_ref().map(&mut side), edge.after.as_ref().map(&mut side))
    };
    let mut edges: Vec<PageEdge> = Vec::new();
    for known in model.edges.iter().take(MOST_EDGES) {
        let (block, offset, before, after) = edge(known);
        let change = known.change.as_ref().map(|change| {
            changes.push(change);
            changes.len() as u32 - 1
        });
        edges.push((block, offset, before, after, change));
    }
    if model.edges.len() > MOST_EDGES {
        notes.push(format!("The first {MOST_EDGES} of {} relocations are listed.", model.edges.len()));
    }
    let bytes = bytes(model, &mut notes);
    let widths = relocations.iter().map(|name| model.widths.get(name).copied().unwrap_or(0)).collect();
    Data {
        version: model.version,
        title: title(model),
        target: &model.target,
        reached: model.reached,
        errors: &model.errors,
        notes,
        totals: &model.totals,
        segments: &model.segments,
        objects: &model.objects,
        groups: &model.groups,
        sections: &model.sections,
        blocks: &model.blocks,
        symbols: &model.symbols,
        slots: &model.slots,
        stubs: &model.stubs,
        relocations,
        widths,
        changes,
        edges,
        bytes,
    }
}

/// What the page is about: the first few objects.
fn title(model: &Model) -> String {
    let names: Vec<&str> =
        model.objects.iter().filter(|object| !object.made).map(|object| object.name.as_str()).collect();
    match names.as_slice() {
        [] => "nothing".into(),
        [.., _] if names.len() <= 3 => names.join(", "),
        [first, second, ..] => format!("{first}, {second} and {}", words::count(names.len() - 2, "more object")),
        [only] => (*only).into(),
    }
}

fn bytes(model: &Model, notes: &mut Vec<String>) -> Vec<Bytes> {
    let mut left = MOST_BYTES;
    let mut cut = 0;
    let mut digits = |bytes: &[u8]| {
        let shown = bytes.len().min(MOST_BLOCK_BYTES).min(left);
        left -= shown;
        cut += usize::from(shown < bytes.len());
        (shown > 0).then(|| hex(&bytes[..shown]))
    };
    let both = |block: &Block| {
        let after = block.fixed.as_deref().and_then(&mut digits);
        let is_same = block.fixed.as_ref().is_some_and(|fixed| *fixed == block.content);
        let before = if is_same { None } else { digits(&block.content) };
        Bytes { before, after }
    };
    let all = model.blocks.iter().map(both).collect();
    if cut > 0 {
        notes.push(
            "Of large blocks the first bytes are shown; of very large links only some blocks have theirs.".into(),
        );
    }
    all
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|&byte| [digit(byte >> 4), digit(byte)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_hex_digits() {
        assert_eq!(hex(&[0x00, 0x1f, 0xa0, 0xff]), "001fa0ff");
    }

    #[test]
    fn nothing_in_the_data_or_the_scripts_ends_their_element() {
        let mut model = Model::default();
        let name = "</script><script>alert(1)</script><!--".to_string();
        model.objects.push(Object { name: name.clone(), path: name, made: false });
        let mut page = Vec::new();
        write(&mut page, &model).unwrap();
        let page = String::from_utf8(page).unwrap();
        assert_eq!(page.matches("</script").count(), 2, "the data's and the scripts' own ends");
        assert_eq!(page.matches("<!--").count(), 0);
        assert!(page.contains("\\u003c/script>"));
    }
}
