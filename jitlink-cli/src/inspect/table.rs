//! The inspected link as a table for a terminal.

use super::model::{Counts, Model, Place, Reached, State, protection_words};
use super::words::{count, printable};
use std::io::Write;

/// Rows of a list that are shown without `--all`.
const SHOWN: usize = 40;

/// A list with a title, its columns aligned.
struct Table {
    title: String,
    head: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

pub(crate) fn write(out: &mut impl Write, model: &Model, all: bool) -> std::io::Result<()> {
    totals(out, model)?;
    let is_placed = model.reached >= Reached::Placed;
    let mut tables = vec![objects(model), sections(model), symbols(model), edges(model)];
    if is_placed {
        tables.insert(0, segments(model));
        tables.extend([slots(model), stubs(model)]);
    }
    tables.extend([gone(model), members(model)]);
    tables.iter().filter(|table| !table.rows.is_empty()).try_for_each(|table| table.write(out, all))
}

impl Table {
    fn write(&self, out: &mut impl Write, all: bool) -> std::io::Result<()> {
        let shown = if all { self.rows.len() } else { self.rows.len().min(SHOWN) };
        let rows = &self.rows[..shown];
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([self.head[column].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        writeln!(out, "\n{}", self.title)?;
        let head: Vec<String> = self.head.iter().map(|head| head.to_string()).collect();
        for row in std::iter::once(&head).chain(rows) {
            let mut line = String::from(" ");
            for (column, cell) in row.iter().enumerate() {
                let is_number = is_number(self.head[column]);
                let padded = match (is_number, column + 1 == row.len()) {
                    (true, _) => format!(" {cell:>width$}", width = widths[column]),
                    (false, true) => format!(" {cell}"),
                    (false, false) => format!(" {cell:<width$}", width = widths[column]),
                };
                line.push_str(&padded);
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        if shown < self.rows.len() {
            writeln!(out, "  … and {} more (--all shows them)", self.rows.len() - shown)?;
        }
        Ok(())
    }
}

fn is_number(head: &str) -> bool {
    matches!(head, "size" | "align" | "blocks" | "bytes" | "live" | "address")
}

fn totals(out: &mut impl Write, model: &Model) -> std::io::Result<()> {
    if let Some(target) = &model.target {
        let (format, arch, endian) = (&target.format, &target.arch, &target.endian);
        writeln!(out, "{format} {arch}, {endian}-endian, {}-bit pointers", u32::from(target.pointer_bytes) * 8)?;
    }
    let line = |counts: &Counts| {
        format!(
            "{}, {}, {}, {}, {}, {} bytes",
            count(counts.objects, "object"),
            count(counts.sections, "section"),
            count(counts.blocks, "block"),
            count(counts.symbols, "symbol"),
            count(counts.edges, "edge"),
            counts.bytes
        )
    };
    let totals = &model.totals;
    writeln!(out, "before  {}", line(&totals.before))?;
    if model.reached >= Reached::Pruned {
        writeln!(out, "pruned  {}", line(&totals.pruned))?;
    }
    if model.reached < Reached::Placed {
        let step = match model.reached {
            Reached::Nothing | Reached::Read => "while names were resolved",
            Reached::Resolved => "while it was pruned",
            _ => "before anything had an address",
        };
        return writeln!(out, "after   nothing: the link failed {step}");
    }
    writeln!(out, "after   {}", line(&totals.after))?;
    writeln!(
        out,
        "made    {}, {}, {}; {} relaxed, {} moved out of line",
        count(totals.slots, "GOT slot"),
        count(totals.stubs, "stub"),
        count(totals.thunks, "thunk"),
        count(totals.relaxed, "load"),
        count(totals.outlined, "instruction")
    )?;
    if model.reached < Reached::Linked {
        writeln!(out, "the link failed while bytes were written")?;
    }
    Ok(())
}

fn segments(model: &Model) -> Table {
    let row = |segment: &super::model::Segment| {
        let words = protection_words(segment.protection);
        let far = if segment.residence == "far" { ", large code model" } else { "" };
        vec![segment.address.to_string(), segment.size.to_string(), segment.protection.into(), format!("{words}{far}")]
    };
    let rows = model.segments.iter().map(row).collect();
    Table { title: "Segments".into(), head: &["address", "bytes", "protection", "what"], rows }
}

fn objects(model: &Model) -> Table {
    let mut sums = vec![(0usize, 0usize, 0u64, 0u64); model.objects.len()];
    for block in &model.blocks {
        let sum = &mut sums[model.sections[block.section as usize].object as usize];
        let lives = !matches!(block.state, State::Pruned | State::Discarded);
        *sum = (sum.0 + 1, sum.1 + usize::from(lives), sum.2 + block.size, sum.3 + if lives { block.size } else { 0 });
    }
    let all = model.objects.iter().zip(sums).filter(|(object, sum)| !object.made || sum.0 > 0);
    let row = |(object, (blocks, live, bytes, kept)): (&super::model::Object, (usize, usize, u64, u64))| {
        vec![printable(&object.name), blocks.to_string(), live.to_string(), bytes.to_string(), kept.to_string()]
    };
    Table { title: "Objects".into(), head: &["name", "blocks", "live", "bytes", "live"], rows: all.map(row).collect() }
}

fn sections(model: &Model) -> Table {
    let mut rows = Vec::new();
    for block in &model.blocks {
        let section = &model.sections[block.section as usize];
        let address = block.address.map_or_else(|| "-".into(), |address| address.to_string());
        let name = match block.offset {
            0 => printable(&section.name),
            offset => format!("{}+{offset:#x}", printable(&section.name)),
        };
        rows.push(vec![
            address,
            block.size.to_string(),
            block.align.to_string(),
            section.protection.into(),
            state(block.state).into(),
            printable(&model.objects[section.object as usize].name),
            name,
        ]);
    }
    let head = &["address", "size", "align", "protection", "state", "object", "section"];
    Table { title: "Blocks".into(), head, rows }
}

fn state(state: State) -> &'static str {
    match state {
        State::Undecided => "read",
        State::Live => "live",
        State::Pruned => "pruned",
        State::Discarded => "discarded",
        State::Absorbed => "merged",
        State::Made => "made",
    }
}

fn symbols(model: &Model) -> Table {
    let mut rows = Vec::new();
    for (index, symbol) in model.symbols.iter().enumerate() {
        let is_own = symbol.canonical as usize == index;
        if symbol.name.is_empty() || !is_own || matches!(symbol.kind, "section" | "file") {
            continue;
        }
        let place = match (symbol.own, symbol.place) {
            (Place::Block { block, .. }, _) | (_, Place::Block { block, .. }) => model.home(block),
            (Place::Undefined, Place::Undefined) if symbol.address.is_none() => "not defined".into(),
            (Place::Undefined, _) => "outside the batch".into(),
            (_, Place::Absolute { .. }) => "absolute".into(),
            (_, Place::Boundary { .. }) => "end of a run of sections".into(),
            (_, Place::ImageBase) => "base of the image".into(),
            (_, Place::Common) => "common".into(),
            (_, Place::Undefined) => "discarded".into(),
        };
        let is_outside = symbol.own == Place::Undefined && symbol.address.is_some_and(|address| address.0 == 0);
        rows.push(vec![
            symbol.address.map_or_else(|| "-".into(), |address| address.to_string()),
            symbol.size.to_string(),
            symbol.scope.into(),
            symbol.linkage.into(),
            symbol.kind.into(),
            printable(&symbol.name),
            if is_outside { "null: nothing defines it".into() } else { place },
        ]);
    }
    let head = &["address", "size", "scope", "linkage", "kind", "name", "where"];
    Table { title: "Symbols".into(), head, rows }
}

fn edges(model: &Model) -> Table {
    let mut rows = Vec::new();
    for (index, edge) in model.edges.iter().enumerate() {
        let Some(side) = model.asked(index as u32) else { continue };
        let after = match (&edge.change, edge.after) {
            (Some(change), _) => change.kind.to_string(),
            (None, Some(_)) => "direct".into(),
            (None, None) if model.reached < Reached::Placed => "-".into(),
            (None, None) => state(model.blocks[edge.block as usize].state).into(),
        };
        let addend = if side.addend == 0 { String::new() } else { format!("{:+#x}", Signed(side.addend)) };
        rows.push(vec![
            model.site(index as u32),
            side.relocation.into(),
            after,
            format!("{}{addend}", model.target_name(side)),
        ]);
    }
    Table { title: "Edges".into(), head: &["place", "relocation", "became", "target"], rows }
}

/// A signed number in hex: `-0x4`, not two's complement.
struct Signed(i64);

impl std::fmt::LowerHex for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad_integral(self.0 >= 0, "0x", &format!("{:x}", self.0.unsigned_abs()))
    }
}

fn slots(model: &Model) -> Table {
    let row = |slot: &super::model::Slot| {
        let address = slot.address.map_or_else(|| "-".into(), |address| address.to_string());
        let for_stub = if slot.for_stub { "its stub" } else { "loads" };
        vec![address, model.symbol_name(slot.target), for_stub.into(), model.address_of(slot.target)]
    };
    let rows = model.slots.iter().map(row).collect();
    Table { title: "GOT slots".into(), head: &["address", "holds", "used by", "value"], rows }
}

fn stubs(model: &Model) -> Table {
    let row = |stub: &super::model::Stub| {
        let address = stub.address.map_or_else(|| "-".into(), |address| address.to_string());
        vec![address, stub.kind.into(), model.symbol_name(stub.target), model.address_of(stub.target)]
    };
    let rows = model.stubs.iter().map(row).collect();
    Table { title: "Stubs".into(), head: &["address", "kind", "calls", "target"], rows }
}

/// Named things that are not in the link.
fn gone(model: &Model) -> Table {
    let mut rows = Vec::new();
    for (index, block) in model.blocks.iter().enumerate() {
        if matches!(block.state, State::Pruned | State::Discarded) && block.size > 0 {
            let names: Vec<String> =
                model.symbols_in(index as u32).iter().map(|&symbol| model.symbol_name(symbol)).collect();
            let shown = if names.is_empty() { "-".into() } else { names.join(", ") };
            rows.push(vec![block.size.to_string(), state(block.state).into(), model.home(index as u32), shown]);
        }
    }
    Table { title: "Not in the link".into(), head: &["size", "why", "section", "symbols"], rows }
}

fn members(model: &Model) -> Table {
    let row = |member: &super::model::Member| {
        let wanted =
            member.wanted.as_deref().map_or_else(|| "all of it".into(), |name| format!("for {}", printable(name)));
        let joined = if member.joined { wanted } else { "not needed".into() };
        vec![format!("{}({})", printable(&member.archive), printable(&member.name)), joined]
    };
    let rows = model.members.iter().map(row).collect();
    Table { title: "Archive members".into(), head: &["name", "joined"], rows }
}
