//! A linker for x86-64 that is too simple to be wrong: passes that note what every relocation asks for once it is known what is
//! live, and compute each field anew, in 128 bits and by the psABI's letters, when the linker has written it.
//!
//! The linker may choose *how* a reference reaches its target: directly, through a slot or a stub, by a shorter instruction.
//! What is checked is that it arrives: that following the field leads to `S + A`. Where equal strings became one, arriving means
//! that the same bytes are found. Fields that share bytes with others say nothing, and are passed over; so are instructions
//! that were moved out of line, which the architecture's own tests run.

use jitlink_core::graph::{BlockId, LinkGraph, Merge, Protection, Residence, Role, SymbolId, SymbolKind, Value};
use jitlink_core::link::{PassContext, Pipeline, Stage};
use std::sync::{Arc, Mutex};

/// What a relocation asks for.
#[derive(Clone, Copy, Debug)]
struct Wish {
    raw: u32,
    offset: u64,
    addend: i64,
    target: SymbolId,
    /// The block and offset that the symbol stood for.
    body: Option<(BlockId, u64)>,
    /// The symbol was a section's.
    is_section: bool,
    /// What defines it says that it is an indirect function, of the batch.
    is_indirect: bool,
}

impl Wish {
    /// The block and offset that a section's symbol stood for.
    fn section(&self) -> Option<(BlockId, u64)> {
        self.body.filter(|_| self.is_section)
    }
}

/// A live block before it was lowered.
#[derive(Clone, Debug)]
struct Before {
    bytes: Vec<u8>,
    wishes: Vec<Wish>,
    is_code: bool,
    residence: Residence,
    role: Role,
    merge: Option<Merge>,
}

/// Blocks by their numbers; `None` for dead ones.
type Snapshot = Vec<Option<Before>>;

/// Passes that check a link and change nothing. They panic where a byte is wrong.
pub fn pipeline() -> Pipeline {
    let noted: Arc<Mutex<Snapshot>> = Arc::default();
    let notes = noted.clone();
    let mut pipeline = Pipeline::new();
    pipeline.add(Stage::AfterPrune, "note", move |graph, _| {
        *notes.lock().map_err(|error| error.to_string())? = note(graph);
        Ok(())
    });
    pipeline.add(Stage::AfterFixup, "check", move |graph, context| {
        let snapshot = std::mem::take(&mut *noted.lock().map_err(|error| error.to_string())?);
        check(graph, context, &snapshot);
        Ok(())
    });
    pipeline
}

fn note(graph: &LinkGraph<'_>) -> Snapshot {
    let before = |(id, block): (BlockId, &jitlink_core::graph::Block<'_>)| {
        let section = graph.section(block.section);
        let wish = |edge: &jitlink_core::graph::Edge| {
            let symbol = graph.symbol(edge.target);
            let body = match symbol.value {
                Value::Block { block, offset } => Some((block, offset)),
                _ => None,
            };
            let is_section = symbol.kind == SymbolKind::Section;
            let definition = graph.symbol(graph.canonical(edge.target));
            let is_indirect =
                definition.kind == SymbolKind::Indirect && matches!(definition.value, Value::Block { .. });
            let (raw, offset) = (graph.rows().row(edge.row).raw(), u64::from(edge.offset));
            Wish {
                raw,
                offset,
                addend: edge.addend,
                target: graph.canonical(edge.target),
                body,
                is_section,
                is_indirect,
            }
        };
        graph.is_live(id).then(|| Before {
            bytes: block.content.bytes().to_vec(),
            wishes: graph.edges(id).iter().map(wish).collect(),
            is_code: section.protection == Protection::ReadExecute,
            residence: section.residence,
            role: section.role,
            merge: section.merge,
        })
    };
    graph.blocks().map(before).collect()
}

/// The batch's memory, by address.
struct Memory<'m, 'g, 'a> {
    graph: &'m LinkGraph<'a>,
    context: &'m mut PassContext<'g>,
    /// Loaded blocks by address: address, size, block.
    spans: Vec<(u64, u64, BlockId)>,
    /// The base of the GOT, once a relocation has told it.
    got: Option<i128>,
}

fn check(graph: &LinkGraph<'_>, context: &mut PassContext<'_>, snapshot: &Snapshot) {
    let mut spans = Vec::new();
    for (id, block) in graph.blocks() {
        let section = graph.section(block.section);
        // Thread-local variables have no address of their own.
        if graph.is_live(id) && section.is_loaded() && section.role != Role::ThreadLocal {
            let address = context.address(id).expect("live blocks have addresses").0;
            assert!(address.is_multiple_of(block.align()), "{id:?} is misaligned");
            if block.size() > 0 {
                spans.push((address, block.size(), id));
            }
        }
    }
    spans.sort_unstable();
    for pair in spans.windows(2) {
        assert!(pair[0].0.checked_add(pair[0].1).is_some_and(|end| end <= pair[1].0), "blocks overlap: {pair:?}");
    }
    let mut memory = Memory { graph, context, spans, got: None };
    for (number, before) in snapshot.iter().enumerate() {
        let (id, Some(before)) = (BlockId::new(number), before) else { continue };
        if graph.is_live(id) {
            let address = memory.context.address(id).expect("live blocks have addresses").0;
            match before.residence {
                _ if before.role == Role::ThreadLocal => {}
                Residence::Unloaded => memory.debug(before, id, snapshot),
                _ => memory.block(before, address, snapshot),
            }
        } else {
            assert!(before.role == Role::EhFrame || before.merge.is_some(), "{id:?} was live, and is gone");
        }
    }
    memory.unwind(snapshot);
}

/// How many bytes a relocation's field has; zero for those that write nothing.
fn field_size(raw: u32) -> usize {
    match raw {
        0 | 35 | 250 | 251 => 0,
        14 | 15 => 1,
        12 | 13 => 2,
        1 | 17 | 18 | 24 | 25 | 27..=31 | 33 => 8,
        _ => 4,
    }
}

fn is_relaxable(raw: u32) -> bool {
    matches!(raw, 41..=43)
}

impl Memory<'_, '_, '_> {
    fn read(&mut self, address: i128, size: usize) -> Option<Vec<u8>> {
        let address = address as u64;
        let after = self.spans.partition_point(|span| span.0 <= address);
        let (start, length, block) = *self.spans.get(after.checked_sub(1)?)?;
        let at = (address - start) as usize;
        if address - start >= length {
            return None;
        }
        Some(self.context.bytes(block)?.get(at..at + size)?.to_vec())
    }

    fn pointer(&mut self, address: i128) -> Option<i128> {
        Some(i128::from(number(&self.read(address, 8)?)))
    }

    /// Where the symbol is; `None` for ends of runs, which say nothing by themselves.
    fn symbol(&self, id: SymbolId) -> Option<i128> {
        self.context.symbol_address(self.graph, id).map(|address| i128::from(address.0))
    }

    /// Where the linker chose how to reach a target: outside the batch, or apart from what refers to it.
    fn is_flexible(&self, before: &Before, wish: &Wish) -> bool {
        match self.graph.symbol(wish.target).value {
            Value::Block { block, .. } => {
                self.graph.section(self.graph.block(block).section).residence != before.residence
            }
            _ => true,
        }
    }

    /// The bytes that the linker may touch for a relocation, or whose content depends on others that it touches.
    fn touched(&self, before: &Before, wish: &Wish) -> std::ops::Range<u64> {
        let size = field_size(wish.raw) as u64;
        let (before_field, after_field) = match wish.raw {
            _ if size == 0 => (0, 0),
            41..=43 => (2, 0),
            2 | 4 | 10 | 11 | 13 | 15 | 24 | 26 | 39 | 40 if before.is_code && self.is_flexible(before, wish) => {
                (15, 15)
            }
            _ => (0, 0),
        };
        wish.offset.saturating_sub(before_field)..wish.offset + size + after_field
    }

    fn block(&mut self, before: &Before, address: u64, snapshot: &Snapshot) {
        let touched: Vec<_> = before.wishes.iter().map(|wish| self.touched(before, wish)).collect();
        let mut order: Vec<usize> = (0..touched.len()).filter(|&index| !touched[index].is_empty()).collect();
        order.sort_by_key(|&index| touched[index].start);
        // Those that meet another say nothing. Whatever meets an earlier one also meets the one that reaches furthest.
        let mut shared = vec![false; touched.len()];
        let mut widest: Option<usize> = None;
        for &index in &order {
            if let Some(other) = widest
                && touched[other].end > touched[index].start
            {
                (shared[index], shared[other]) = (true, true);
            }
            if widest.is_none_or(|other| touched[other].end <= touched[index].end) {
                widest = Some(index);
            }
        }
        for (wish, _) in before.wishes.iter().zip(&shared).filter(|(_, shared)| !**shared) {
            self.wish(before, wish, i128::from(address), snapshot);
        }
        // An unwind table of which one entry is far has its encoding changed.
        let changed = before.wishes.iter().any(|wish| !before.is_code && self.is_flexible(before, wish));
        if before.bytes.is_empty() || changed {
            return;
        }
        let mut bytes = self.read(i128::from(address), before.bytes.len()).expect("a block can be read");
        let mut expected = before.bytes.clone();
        for range in touched {
            let range = range.start as usize..(range.end as usize).min(bytes.len());
            bytes[range.clone()].fill(0);
            expected[range].fill(0);
        }
        assert_eq!(bytes, expected, "bytes at {address:#x} that no relocation touches");
    }

    fn wish(&mut self, before: &Before, wish: &Wish, block: i128, snapshot: &Snapshot) {
        let place = block + i128::from(wish.offset);
        let size = field_size(wish.raw);
        // The numbers of thread-local variables are the C library's.
        let is_thread_local = matches!(wish.raw, 17..=23 | 34 | 44 | 45 | 47 | 48 | 50 | 51);
        if size == 0 || is_thread_local {
            return;
        }
        let field = self.read(place, size).expect("a field can be read");
        let (plain, signed) = (i128::from(number(&field)), signed(&field));
        let a = i128::from(wish.addend);
        if self.merged(wish, snapshot, place, plain, signed) {
            return;
        }
        let s = match wish.raw {
            26 | 29 => Some(0),
            32 | 33 => Some(i128::from(self.graph.symbol(wish.target).size)),
            // Unwind records are of a function's body, not of what stands for it.
            _ if before.role == Role::EhFrame => self.described(wish, snapshot),
            _ => self.symbol(wish.target),
        };
        let Some(s) = s else { return };
        if wish.is_indirect && before.role != Role::EhFrame && !matches!(wish.raw, 26 | 29 | 32 | 33) {
            self.trampoline(s);
        }
        // One far entry of an unwind table makes all of them indirect.
        let mut in_table = before.wishes.iter().filter(|_| !before.is_code);
        let flexible = self.is_flexible(before, wish) || in_table.any(|other| self.is_flexible(before, other));
        let right = match wish.raw {
            // S + A
            1 => wrap(plain) == wrap(s + a),
            10 => plain == unsigned(s + a) || flexible && self.reached_otherwise(before, wish, block, plain - a, s),
            11 => signed == wrap(s + a) || flexible && self.reached_otherwise(before, wish, block, signed - a, s),
            12 | 14 => {
                let bits = size * 8;
                plain == (s + a) & ((1 << bits) - 1) && wrap(s + a) >= -(1 << (bits - 1)) && wrap(s + a) < 1 << bits
            }
            // S + A - P
            2 | 39 => {
                let reached = signed + place;
                wrap(reached) == wrap(s + a)
                    || self.follow(reached - a) == unsigned(s)
                    || flexible && self.reached_otherwise(before, wish, block, reached - a, s)
            }
            13 => plain == (s + a - place) & 0xffff,
            15 | 24 => wrap(signed) == wrap(s + a - place),
            // L + A - P
            4 | 40 => {
                let reached = signed + place - a;
                wrap(reached) == wrap(s) || self.follow(reached) == unsigned(s)
            }
            // G + GOT + A - P
            9 | 28 | 41..=43 | 46 | 49 => self.loads(before, wish, place, signed, unsigned(s)),
            // S + A - GOT, GOT + A - P, G + A, L + A - GOT
            25 => self.got_is(s + a - signed),
            26 | 29 => self.got_is(signed + place - a),
            3 | 27 | 30 => match self.got {
                Some(got) => self.pointer(unsigned(got + signed - a)) == Some(unsigned(s)),
                None => true,
            },
            31 => match self.got {
                Some(got) => {
                    let reached = got + signed - a;
                    wrap(reached) == wrap(s) || self.follow(reached) == unsigned(s)
                }
                None => true,
            },
            // Z + A
            32 => plain == s + a,
            33 => wrap(plain) == wrap(s + a),
            other => panic!("relocation {other} was linked, and there is no rule for it"),
        };
        let (name, raw, offset) = (self.graph.display_symbol(wish.target), wish.raw, wish.offset);
        assert!(right, "{block:#x}+{offset:#x}: {raw} {name}{a:+}, S = {s:#x}, is {plain:#x}");
    }

    /// A target out of reach: an instruction that became a jump to where it is done, or an entry of an unwind table that points
    /// to a slot.
    fn reached_otherwise(&mut self, before: &Before, wish: &Wish, block: i128, reached: i128, s: i128) -> bool {
        if !before.is_code {
            return self.pointer(unsigned(reached)) == Some(unsigned(s));
        }
        let touched = self.touched(before, wish);
        let range = touched.start as usize..(touched.end as usize).min(before.bytes.len());
        let now = self.read(block + range.start as i128, range.len()).expect("a block can be read");
        let own = wish.offset as usize - range.start..wish.offset as usize + field_size(wish.raw) - range.start;
        now.iter().zip(&before.bytes[range]).enumerate().any(|(at, (now, old))| now != old && !own.contains(&at))
    }

    /// A load from the GOT, or what it became.
    fn loads(&mut self, before: &Before, wish: &Wish, place: i128, signed: i128, s: i128) -> bool {
        let at = wish.offset as usize;
        let opcode = at.checked_sub(2).and_then(|at| before.bytes.get(at..at + 2)).filter(|_| is_relaxable(wish.raw));
        let Some(opcode) = opcode else {
            return self.pointer(unsigned(signed + place - i128::from(wish.addend))) == Some(s);
        };
        let now = self.read(place - 2, 7.min(before.bytes.len() - at + 2)).expect("an instruction can be read");
        match (&now[..2], opcode) {
            (now, old) if now == old => self.pointer(unsigned(signed + place - i128::from(wish.addend))) == Some(s),
            ([0x67, 0xe8], [0xff, 0x15]) | ([0x8d, _], [0x8b, _]) => wrap(place + 4 + signed) == wrap(s),
            ([0xe9, ..], [0xff, 0x25]) => {
                let distance = i128::from(i32::from_le_bytes([now[1], now[2], now[3], now[4]]));
                wrap(place + 3 + distance) == wrap(s)
            }
            _ => false,
        }
    }

    /// The base of the GOT is one for all.
    fn got_is(&mut self, got: i128) -> bool {
        wrap(*self.got.get_or_insert(got)) == wrap(got)
    }

    /// Where a jump to an address arrives: at the end of stubs.
    fn follow(&mut self, address: i128) -> i128 {
        let address = unsigned(address);
        let stub = self.read(address, 8).and_then(|code| match code[..] {
            [0xff, 0x25, a, b, c, d, 0xcc, 0xcc] => {
                let slot = address + 6 + i128::from(i32::from_le_bytes([a, b, c, d]));
                self.pointer(unsigned(slot))
            }
            [0x49, 0xbb, ..] => self.pointer(address + 2),
            _ => None,
        });
        stub.unwrap_or(address)
    }

    /// What stands for an indirect function: a jump through a slot that hands itself to the linker of first calls, and before it
    /// the entry of a function that can be replaced.
    fn trampoline(&mut self, symbol: i128) {
        let mut at = unsigned(symbol);
        for _ in 0..2 {
            // In an update it may stand in memory of a batch before.
            let Some(code) = self.read(at, 8) else { return };
            let [0xff, 0x25, a, b, c, d, ..] = code[..] else { break };
            let slot = unsigned(at + 6 + i128::from(i32::from_le_bytes([a, b, c, d])));
            at = self.pointer(slot).expect("a slot can be read");
            let lazy = self.read(at, 7).expect("a stub can be read");
            if let [0x4c, 0x8d, 0x1d, a, b, c, d] = lazy[..] {
                assert_eq!(unsigned(at + 7 + i128::from(i32::from_le_bytes([a, b, c, d]))), slot, "another slot");
                return;
            }
        }
        panic!("no trampoline stands at {symbol:#x} for an indirect function");
    }

    /// A reference into a section whose entries became one with others: the same bytes must be found. Whether it was one.
    fn merged(&mut self, wish: &Wish, snapshot: &Snapshot, place: i128, plain: i128, signed: i128) -> bool {
        let Some((block, offset)) = wish.section() else { return false };
        if self.graph.is_live(block) {
            return false;
        }
        let Some(Some(before)) = snapshot.get(block.index()) else { panic!("a reference to what was pruned") };
        let reached = match wish.raw {
            1 | 10 | 12 | 14 => plain,
            11 => signed,
            0 | 35 | 250 | 251 => return true,
            _ => panic!("a distance to section {block:?}, whose entries were moved apart: {} at {place:#x}", wish.raw),
        };
        let start = offset.wrapping_add_signed(wish.addend) as usize;
        let expected = entry_from(before, start);
        assert_eq!(
            self.read(reached, expected.len()).as_deref(),
            Some(expected),
            "another entry than that at {start:#x}"
        );
        true
    }

    /// Debug information: plain addresses.
    fn debug(&mut self, before: &Before, id: BlockId, snapshot: &Snapshot) {
        let mut ends: Vec<(u64, u64)> =
            before.wishes.iter().map(|wish| (wish.offset, wish.offset + field_size(wish.raw) as u64)).collect();
        ends.sort_unstable();
        if ends.windows(2).any(|pair| pair[0].1 > pair[1].0) {
            return;
        }
        let bytes = self.context.bytes(id).map(|bytes| bytes.to_vec()).unwrap_or_default();
        for wish in before.wishes.iter().filter(|wish| matches!(wish.raw, 1 | 10)) {
            // Addresses of what was pruned are the linker's choice, and so are those of merged entries here.
            let dead = wish
                .section()
                .is_some_and(|(block, _)| !self.graph.is_live(block) || snapshot[block.index()].is_none());
            let (Some(s), false) = (self.described(wish, snapshot), dead) else { continue };
            let at = wish.offset as usize;
            let field = number(&bytes[at..at + field_size(wish.raw)]);
            assert_eq!(i128::from(field), unsigned(s + i128::from(wish.addend)), "debug information at {at:#x}");
        }
    }

    /// Where that is which debug information speaks of: of a function that can be replaced, its body and not its entry.
    fn described(&self, wish: &Wish, snapshot: &Snapshot) -> Option<i128> {
        let is_made = |block: BlockId| block.index() >= snapshot.len();
        match (wish.body, self.graph.symbol(wish.target).value) {
            (Some((body, offset)), Value::Block { block, .. }) if is_made(block) && self.graph.is_live(body) => {
                self.context.address(body).map(|address| i128::from(address.0) + i128::from(offset))
            }
            _ => self.symbol(wish.target),
        }
    }

    /// The combined unwind records: every live function has its record, in order, with a CIE like its own.
    fn unwind(&mut self, snapshot: &Snapshot) {
        let live = snapshot.iter().flatten().filter(|before| before.role == Role::EhFrame);
        let records: Vec<&Before> = live.filter(|before| is_fde(&before.bytes)).collect();
        let combined = self.graph.blocks().find(|(id, block)| {
            self.graph.is_live(*id) && self.graph.section(block.section).role == Role::EhFrame && block.size() > 0
        });
        let Some((id, _)) = combined else {
            return assert!(records.is_empty(), "unwind records are gone");
        };
        let address = i128::from(self.context.address(id).expect("live blocks have addresses").0);
        let bytes = self.context.bytes(id).expect("live blocks have bytes").to_vec();
        let (mut at, mut found, mut starts) = (0, 0, Vec::new());
        loop {
            let length = number(&bytes[at..at + 4]);
            if length == 0 {
                assert_eq!(at + 4, bytes.len(), "records after the end");
                break;
            }
            let head = if length == 0xffff_ffff { 12 } else { 4 };
            let length = if head == 12 { number(&bytes[at + 4..at + 12]) } else { length };
            let size = head + length as usize;
            let distance = number(&bytes[at + head..at + head + 4]) as usize;
            if distance == 0 {
                starts.push(at);
            } else {
                assert!(starts.contains(&(at + head - distance)), "a record without a CIE at {at:#x}");
                let before = records.get(found).expect("no more records than there were");
                assert_eq!(before.bytes.len(), size, "a record of another size");
                // A function's address is never made indirect.
                for wish in before.wishes.iter().filter(|wish| wish.offset as usize == head + 4) {
                    self.wish(before, wish, address + at as i128, snapshot);
                }
                found += 1;
            }
            at += size;
        }
        assert_eq!(found, records.len(), "unwind records are gone");
    }
}

fn is_fde(bytes: &[u8]) -> bool {
    let head = if number(&bytes[..4]) == 0xffff_ffff { 12 } else { 4 };
    number(&bytes[..4]) != 0 && number(&bytes[head..head + 4]) != 0
}

/// The rest of the entry at an offset.
fn entry_from(before: &Before, start: usize) -> &[u8] {
    let bytes = &before.bytes;
    match before.merge.expect("only such sections are merged") {
        Merge::Constants(size) => {
            let size = size as usize;
            &bytes[start..(start / size + 1) * size]
        }
        Merge::Strings(size) => {
            let size = size as usize;
            let mut end = start / size * size;
            while bytes[end..end + size].iter().any(|byte| *byte != 0) {
                end += size;
            }
            &bytes[start..end + size]
        }
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn signed(bytes: &[u8]) -> i128 {
    let unused = 64 - 8 * bytes.len() as u32;
    i128::from(((number(bytes) << unused) as i64) >> unused)
}

/// As the machine computes: modulo 2^64, signed.
fn wrap(value: i128) -> i128 {
    i128::from(value as u64 as i64)
}

/// As an address.
fn unsigned(value: i128) -> i128 {
    i128::from(value as u64)
}
