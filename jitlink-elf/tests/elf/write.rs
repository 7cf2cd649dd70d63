//! What is written is read back as what it was.

use crate::builder::*;
use crate::toy;
use jitlink_core::graph::*;
use jitlink_core::link::{LinkOptions, Roots, relocatable};
use jitlink_core::{Addr, Input, LinkErrors};

/// One object made of several.
fn combine(objects: &[&[u8]], options: &LinkOptions) -> Result<Vec<u8>, LinkErrors> {
    let input = |(index, bytes): (usize, &&[u8])| Input::from_bytes(format!("{index}.o"), *bytes);
    let inputs: Vec<Input> = objects.iter().enumerate().map(input).collect();
    relocatable(&toy::registry(), &inputs, options)
}

/// One object made of several, which comes out the same when it is written again.
fn stable(objects: &[&[u8]], options: &LinkOptions) -> Vec<u8> {
    let once = combine(objects, options).unwrap_or_else(|error| panic!("{error}"));
    let again = combine(&[&once], options).unwrap_or_else(|error| panic!("again: {error}"));
    assert!(once == again, "writing the result again gives other bytes");
    once
}

fn with_debug() -> LinkOptions {
    LinkOptions { keep_debug: true, ..LinkOptions::default() }
}

/// A place as a section's name and an offset in it, whatever its blocks are.
fn place(graph: &LinkGraph<'_>, value: Value, addend: i64) -> String {
    match value {
        Value::Block { block, offset } => {
            let block = graph.block(block);
            let at = (block.section_offset + offset).wrapping_add_signed(addend);
            format!("{}+{at:#x}", graph.section(block.section).name_lossy())
        }
        other => format!("{other:?}{addend:+#x}"),
    }
}

/// All that a graph says, in words that do not depend on the order of sections and symbols.
fn describe(graph: &LinkGraph<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let groups: Vec<String> =
        graph.groups().map(|(_, group)| format!("{} {:?}", group.name, group.selection)).collect();
    for (id, section) in graph.sections() {
        let name = section.name_lossy();
        let size: u64 = graph.blocks_of(id).map(|(_, block)| block.size()).sum();
        if size == 0 {
            continue;
        }
        let group = section.group.map(|group| groups[group.index()].as_str());
        let ordered = section.ordered_by.map(|other| graph.section(other).name_lossy());
        let (protection, residence, role) = (section.protection, section.residence, section.role);
        let rules = (section.merge, group, ordered, section.gathered, section.retain);
        lines.push(format!("section {name}: {size} {protection:?} {residence:?} {role:?} {rules:?}"));
        for (block, data) in graph.blocks_of(id) {
            let start = data.section_offset;
            // Addends that stand in fields are those of the edges below.
            let mut bytes = data.content.bytes().to_vec();
            for edge in graph.edges(block) {
                let field = graph.rows().row(edge.row).field();
                field.insert(&mut bytes[edge.offset as usize..], 0, graph.target().endian);
            }
            lines.push(format!("block {name}+{start:#x}: align {} {bytes:02x?}", data.align_log2));
            for edge in graph.edges(block) {
                let symbol = graph.symbol(edge.target);
                let target = match (symbol.name.is_empty(), symbol.value) {
                    (true, value) => place(graph, value, edge.addend),
                    (false, _) => format!("{}{:+#x}", symbol.name, edge.addend),
                };
                let (at, row) = (start + u64::from(edge.offset), graph.rows().row(edge.row).name());
                lines.push(format!("edge {name}+{at:#x}: {row} {target}"));
            }
        }
    }
    for (_, symbol) in graph.symbols().filter(|(_, symbol)| !symbol.name.is_empty()) {
        let (name, at) = (symbol.name, place(graph, symbol.value, 0));
        lines.push(format!(
            "symbol {name}: {at} {} {:?} {:?} {:?}",
            symbol.size, symbol.linkage, symbol.scope, symbol.kind
        ));
    }
    lines.sort();
    lines
}

fn assert_same(what: &str, before: &LinkGraph<'_>, after: &LinkGraph<'_>) {
    let (before, after) = (describe(before), describe(after));
    let lost: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
    let new: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(lost.is_empty() && new.is_empty(), "{what}: lost {lost:#?}, new {new:#?}");
}

#[test]
fn objects_of_compilers_are_written_as_they_were() {
    for name in ["x86_64", "x86_64-crel", "i386", "i386-crel", "debug-zlib", "debug-zstd", "groups"] {
        let bytes = crate::fixtures::fixture(name);
        let written = stable(&[bytes], &with_debug());
        assert_same(name, &toy::read_debug(bytes).unwrap(), &toy::read_debug(&written).unwrap());
        let without = stable(&[bytes], &LinkOptions::default());
        assert_same(name, &toy::read(bytes).unwrap(), &toy::read(&without).unwrap());
    }
}

/// A small generator of numbers that look random: the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len() as u64) as usize]
    }
}

const NAMES: [&str; 12] = ["a", "b", "c", ".text.d", ".e", "f.g", ".h", "i", ".j", ".k.1", ".l", "m"];
const SYMBOLS: [&str; 8] = ["one", "two", "three", "four", "five", "six", "seven", "eight"];

/// An object with sections of all kinds, symbols of all kinds in them, and relocations to all of these.
fn random_object(dice: &mut Dice, shape: Shape, kind: u32) -> Elf {
    let mut object = Elf::new(shape);
    let count = 2 + dice.roll(8) as u32;
    let is_grouped: Vec<bool> = (0..count).map(|_| dice.roll(5) == 0).collect();
    for number in 0..count as usize {
        let size = 32 + dice.roll(64) / 4 * 4;
        let content: Vec<u8> = (0..size).map(|_| dice.roll(256) as u8).collect();
        let flags = dice.pick(&[A, A | W, A | X, A | W | TLS, A | RETAIN, A | MERGE]);
        let flags = flags | if is_grouped[number] { IN_GROUP } else { 0 };
        let section = match dice.roll(6) {
            0 if flags & (MERGE | X) == 0 => Sec::new(NAMES[number], NOBITS, flags, []).size(size),
            1 => Sec::new(NAMES[number], NOTE, flags & !MERGE, content),
            _ => Sec::new(NAMES[number], PROGBITS, flags, content),
        };
        let entry = if section.flags & MERGE != 0 { 4 } else { 0 };
        object.add(section.align(1 << dice.roll(5)).entry(entry));
    }
    for section in 1..=count {
        object.symbol(Sym::section(section));
    }
    let locals = ["here", "there", "file.c"];
    for (index, name) in locals.iter().enumerate() {
        let mut symbol = Sym::local(name, 1 + dice.roll(u64::from(count)) as u32, dice.roll(32));
        if index == 2 {
            symbol = Sym::new(name, 0, 4, ABS, 0);
        }
        object.symbol(symbol);
    }
    for name in SYMBOLS {
        let (bind, kind) = (dice.pick(&[1, 1, 2, 10]), dice.pick(&[0, 1, 2, 10]));
        let mut symbol = match dice.roll(5) {
            0 => Sym::new(name, dice.pick(&[1, 2]), 0, 0, 0),
            1 => Sym::new(name, 1, 1, COMMON, 1 << dice.roll(5)),
            2 => Sym::new(name, bind, kind, ABS, dice.roll(1 << 20)),
            _ => Sym::new(name, bind, kind, 1 + dice.roll(u64::from(count)) as u32, dice.roll(32)),
        };
        (symbol.other, symbol.size) = (dice.pick(&[0, 0, 2, 3]), dice.roll(64));
        object.symbol(symbol);
    }
    let symbols = object.symbols.len() as u64;
    for target in 1..=count {
        if object.sections[target as usize - 1].kind == NOBITS || dice.roll(3) == 0 {
            continue;
        }
        let places = 1 + dice.roll(4);
        // A field of eight bytes each, so that none lies in another.
        let entry = |place: u64, dice: &mut Dice| {
            let raw = dice.pick(&[toy::ABS32, toy::PC32, toy::CALL, toy::NONE]);
            let addend = if raw == toy::NONE { 0 } else { dice.roll(1 << 16) as i64 - (1 << 15) };
            (place * 8, raw, dice.roll(symbols + 1) as u32, addend)
        };
        let entries: Vec<_> = (0..places).map(|place| entry(place, dice)).collect();
        if kind == REL {
            let content = &mut object.sections[target as usize - 1].content;
            for (offset, _, _, addend) in entries.iter().filter(|entry| entry.1 != toy::NONE) {
                let word = *addend as i32;
                let bytes = if shape.big { word.to_be_bytes() } else { word.to_le_bytes() };
                content[*offset as usize..*offset as usize + 4].copy_from_slice(&bytes);
            }
        }
        object.relocations(kind, target, &entries);
    }
    let members: Vec<u32> = (1..=count).filter(|&number| is_grouped[number as usize - 1]).collect();
    if !members.is_empty() {
        let relocated: Vec<u32> = (count + 1..=object.sections.len() as u32)
            .filter(|&number| members.contains(&object.sections[number as usize - 1].info))
            .collect();
        relocated.iter().for_each(|&number| object.sections[number as usize - 1].flags |= IN_GROUP);
        let signature = 1 + dice.roll(symbols) as u32;
        let named = !object.symbols[signature as usize - 1].name.is_empty();
        let signature = if named { signature } else { symbols as u32 };
        object.group(dice.roll(2) as u32, signature, &[members, relocated].concat());
    }
    object
}

#[test]
fn random_objects_of_every_shape_come_back() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for round in 0..100 {
        for shape in SHAPES {
            for kind in [RELA, REL, CREL] {
                let bytes = random_object(&mut dice, shape, kind).write();
                let written = stable(&[&bytes], &LinkOptions::default());
                let what = format!("round {round}, {shape:?}, {kind:#x}");
                assert_same(&what, &toy::read(&bytes).unwrap(), &toy::read(&written).unwrap());
            }
        }
    }
}

/// Two objects of one shape: each has a `.text` that calls across, strings, and a common symbol.
fn pair(shape: Shape, kind: u32) -> [Vec<u8>; 2] {
    let object = |own: &'static str, other: &'static str, size: u64| {
        let mut object = Elf::new(shape);
        let mut code = vec![0x90; 13];
        if kind == REL {
            // The second string of the section is meant.
            code[4..12].fill(0);
            code[8] = if shape.big { 0 } else { 4 };
            code[11] = if shape.big { 4 } else { 0 };
        }
        let text = object.add(Sec::new(".text", PROGBITS, A | X, code).align(16));
        let strings = object.add(Sec::new(".str", PROGBITS, A | MERGE | STRINGS, *b"one\0two\0").entry(1));
        object.symbol(Sym::section(strings));
        object.symbol(Sym::new(own, 1, 2, text, 0));
        object.symbol(Sym::undefined(other));
        object.symbol(Sym { size, ..Sym::new("shared", 1, 1, COMMON, size) });
        object.relocations(kind, text, &[(4, toy::CALL, 3, 0), (8, toy::ABS32, 1, 4)]);
        object.write()
    };
    [object("f", "g", 4), object("g", "f", 16)]
}

#[test]
fn sections_of_one_name_become_one_and_addends_follow() {
    for shape in SHAPES {
        for kind in [RELA, REL, CREL] {
            let [a, b] = pair(shape, kind);
            let written = stable(&[&a, &b], &LinkOptions::default());
            let graph = toy::read(&written).unwrap();
            let lines = describe(&graph);
            let has = |line: &str| assert!(lines.iter().any(|known| known.starts_with(line)), "{line}: {lines:#?}");
            // The second object's code starts at the next multiple of 16, its strings right after those of the first.
            has("section .text: 29 ");
            has("section .str: 16 ");
            has("edge .text+0x8: R_TOY_ABS32 .str+0x4");
            has("edge .text+0x18: R_TOY_ABS32 .str+0xc");
            has("symbol g: .text+0x10 ");
            has("symbol shared: Common { align_log2: 4, residence: Near }+0x0 16 ");
            let names =
                |name: &str| graph.symbols().filter(|(_, symbol)| symbol.name.bytes() == name.as_bytes()).count();
            assert_eq!((names("f"), names("g"), names("shared")), (1, 1, 1));
        }
    }
}

#[test]
fn only_what_an_entry_needs_is_written_if_one_is_given() {
    let mut object = Elf::new(LITTLE64);
    let start = object.add(Sec::new(".text.start", PROGBITS, A | X, [0; 4]));
    let used = object.add(Sec::new(".text.used", PROGBITS, A | X, [0; 4]));
    object.add(Sec::new(".text.unused", PROGBITS, A | X, [0; 4]));
    object.symbol(Sym::global("start", start, 0));
    object.symbol(Sym::global("used", used, 0));
    object.symbol(Sym::global("unused", 3, 0));
    object.symbol(Sym::undefined("outside"));
    object.symbol(Sym::undefined("nobody"));
    object.relocations(RELA, start, &[(0, toy::CALL, 2, 0)]);
    object.relocations(RELA, used, &[(0, toy::CALL, 4, 0)]);
    let bytes = object.write();
    let names = |roots: Roots| {
        let written = stable(&[&bytes], &LinkOptions { roots, ..LinkOptions::default() });
        let graph = toy::read(&written).unwrap();
        graph.symbols().map(|(_, symbol)| symbol.name.to_string()).filter(|name| !name.is_empty()).collect::<Vec<_>>()
    };
    assert_eq!(names(Roots::Exported), ["start", "used", "unused", "outside", "nobody"]);
    assert_eq!(names(Roots::Named(vec!["start".into()])), ["start", "used", "outside"]);
    assert_eq!(names(Roots::IfDefined(vec!["absent".into()])), ["start", "used", "unused", "outside", "nobody"]);
    let options = LinkOptions { roots: Roots::Named(vec!["absent".into()]), ..LinkOptions::default() };
    assert_eq!(combine(&[&bytes], &options).unwrap_err().to_string(), "absent is not defined");
}

#[test]
fn one_copy_of_a_group_is_written_with_its_members() {
    let object = |content: u8| {
        let mut object = Elf::new(LITTLE64);
        object.group(1, 2, &[2]);
        let text = object.add(Sec::new(".text.f", PROGBITS, A | X | IN_GROUP, [content; 4]));
        object.symbol(Sym::section(text));
        object.symbol(Sym::new("f", 2, 2, text, 0));
        object.write()
    };
    let written = stable(&[&object(1), &object(2)], &LinkOptions::default());
    let graph = toy::read(&written).unwrap();
    let groups: Vec<_> = graph.groups().map(|(_, group)| (group.name.bytes(), group.selection)).collect();
    assert_eq!(groups, [(b"f".as_slice(), Selection::Any)]);
    let (id, section) = graph.sections().next().unwrap();
    assert_eq!((graph.sections().len(), section.group.is_some()), (1, true));
    assert_eq!(graph.blocks_of(id).next().unwrap().1.content.bytes(), [1; 4]);
    // The next link may bring another copy still.
    assert_eq!(stable(&[&written, &object(3)], &LinkOptions::default()), written);
}

#[test]
fn names_get_addresses_and_second_names() {
    let mut object = Elf::new(LITTLE64);
    let text = object.add(Sec::new(".text", PROGBITS, A | X, [0; 8]));
    object.symbol(Sym::new("f", 1, 2, text, 4));
    object.symbol(Sym::undefined("device"));
    object.relocations(RELA, text, &[(0, toy::ABS32, 2, 0)]);
    let options = LinkOptions {
        defines: vec![("device".into(), Addr(0x8000)), ("f".into(), Addr(1))],
        aliases: vec![("again".into(), "f".into())],
        ..LinkOptions::default()
    };
    let written = combine(&[&object.write()], &options).unwrap();
    let graph = toy::read(&written).unwrap();
    let value = |name: &str| place(&graph, graph.symbol(graph.find_symbol(name).unwrap()).value, 0);
    assert_eq!((value("f").as_str(), value("again").as_str()), (".text+0x4", ".text+0x4"));
    assert_eq!(value("device"), "Absolute(32768)+0x0");
    let options = LinkOptions { aliases: vec![("again".into(), "device".into())], ..LinkOptions::default() };
    let error = combine(&[&object.write()], &options).unwrap_err().to_string();
    assert_eq!(error, "--alias again=device: nothing here defines device");
}

#[test]
fn what_an_object_cannot_say_is_refused_by_name() {
    // Sixteen bits of an addend, where the second object's part lies further on.
    let far = |size: usize| {
        let mut object = Elf::new(LITTLE64);
        let data = object.add(Sec::new(".data", PROGBITS, A | W, vec![0; size]));
        object.symbol(Sym::section(data));
        object.relocations(REL, data, &[(0, toy::ABS16, 1, 0)]);
        object.write()
    };
    let error = combine(&[&far(0x9000), &far(2)], &LinkOptions::default()).unwrap_err().to_string();
    assert_eq!(
        error,
        "1.o: .data+0x0: R_TOY_ABS16 against .data: its addend would be 0x9000, which its field cannot hold"
    );
    // Bits of st_other that mean something to the processor.
    let mut object = Elf::new(LITTLE64);
    let text = object.add(Sec::new(".text", PROGBITS, A | X, [0]));
    object.symbol(Sym { other: 0x60, ..Sym::global("f", text, 0) });
    let error = combine(&[&object.write()], &LinkOptions::default()).unwrap_err().to_string();
    assert_eq!(error, "0.o: symbols with bits of the processor in st_other, which cannot be written back");
    // Flags of the header that differ.
    let mut other = pair(LITTLE64, RELA)[1].clone();
    other[48] = 2;
    let error = combine(&[&pair(LITTLE64, RELA)[0], &other], &LinkOptions::default()).unwrap_err().to_string();
    assert_eq!(error, "1.o: the processor's flags of the header: 0x2 here and 0x0 in 0.o; one object cannot say both");
}
