//! Random graphs against the naive linker: through prune, merge, lower, lay out and fix up, wherever they are placed, and on
//! however many threads.

use crate::kit::{executor_at, exported, inputs, link_with};
use crate::naive::Program;
use jitlink_core::Addr;
use jitlink_core::link::{LinkOptions, NoSymbols};
use proptest::prelude::*;

const BASE: u64 = 0x4000_0000;

/// A relocation: which row, which kind of target, which of them, and an addend.
type Draw = (usize, usize, prop::sample::Index, i32);

/// Rows for data, and whether their addend is free, not negative, or zero.
const ROWS: [(&str, i32); 16] = [
    ("ABS64", -1),
    ("ABS32", -1),
    ("REL32", -1),
    ("REL64", -1),
    ("GOTOFF", -1),
    ("GOTREL", -1),
    ("SIZE", 1),
    ("IMAGE", 1),
    ("SECREL", 1),
    ("PAGE", -1),
    ("HIGH", -1),
    ("SPLIT", -1),
    ("FORMULA", -1),
    ("SLOT", 0),
    ("SLOTOFF", 0),
    ("NONE", 0),
];
/// Instructions.
const CODE: [&str; 4] = ["call", "call32", "load", "loadx"];

/// What a random object is made of.
#[derive(Clone, Debug)]
struct ObjectDraw {
    sections: Vec<(usize, u32, usize, Vec<Draw>)>,
    weak: Vec<bool>,
    common: u32,
    merged: MergedDraw,
    /// Which CIE the object's functions have; none for the last.
    cie: usize,
}

/// Entries of sections that merge, and references to them.
#[derive(Clone, Debug)]
struct MergedDraw {
    words: Vec<usize>,
    constants: Vec<u8>,
    align: u32,
    references: Vec<(usize, prop::sample::Index, usize)>,
}

/// Strings, some of them ends of others.
const WORDS: [&str; 6] = ["", "a", "ab", "abc", "bc", "hello"];

fn merged_draw() -> impl Strategy<Value = MergedDraw> {
    let words = prop::collection::vec(0..WORDS.len(), 1..6);
    let constants = prop::collection::vec(0u8..3, 1..4);
    let references = prop::collection::vec((0usize..24, any::<prop::sample::Index>(), 0usize..8), 0..8);
    (words, constants, 0u32..3, references).prop_map(|(words, constants, align, references)| MergedDraw {
        words,
        constants,
        align,
        references,
    })
}

fn object_draw() -> impl Strategy<Value = ObjectDraw> {
    let draw = (0usize..32, 0usize..6, any::<prop::sample::Index>(), -0x7fff..0x7fff);
    let section = (0usize..3, 0u32..7, 0usize..9, prop::collection::vec(draw, 0..12));
    let sections = prop::collection::vec(section, 1..5);
    (sections, prop::collection::vec(any::<bool>(), 4), 0u32..200, merged_draw(), 0usize..5)
        .prop_map(|(sections, weak, common, merged, cie)| ObjectDraw { sections, weak, common, merged, cie })
}

/// Writes the objects down.
fn write(header: &str, draws: &[ObjectDraw]) -> Vec<(String, String)> {
    let mut objects = Vec::new();
    for (number, draw) in draws.iter().enumerate() {
        let mut text = format!("toy {header}\nundef missing weak\n");
        if number == 0 {
            text.push_str("section got_base r\nlabel got_base global\n");
            text.push_str(if header.ends_with("64") { "rel ABS64 _GOT_\n" } else { "rel ABS32 _GOT_\n" });
        }
        text.push_str(&format!("common shared {} {}\n", draw.common + 1, 1 << (draw.common % 7)));
        text.push_str(&format!("abs local_abs {:#x} local size=3\n", BASE + 0x1000 * number as u64));
        for (index, (protection, align, padding, relocations)) in draw.sections.iter().enumerate() {
            let kind = ["r", "rw", "rx"][*protection];
            text.push_str(&format!(
                "section s{index} {kind} align={} retain\nlabel start{index}\nfill {padding}\n",
                1 << align
            ));
            text.push_str(&format!("label local{index} size={padding}\n"));
            let weak = draw.weak[index % draw.weak.len()];
            // One strong definition a name: its object's number is in it.
            let names = match weak {
                true => format!("label weak{index} global weak size={number}\n"),
                false => {
                    format!("label strong{number}x{index} global size={}\nlabel weak{index} global weak\n", index + 7)
                }
            };
            text.push_str(&names);
            for relocation in relocations {
                text.push_str(&line(kind == "rx", draws, number, relocation));
            }
            text.push_str("fill 3\n");
        }
        text.push_str(&merged(&draw.merged));
        text.push_str(&unwind(header.starts_with("le"), number, draw));
        objects.push((format!("o{number}.o"), text));
    }
    objects
}

/// Sections of strings and of constants, and pointers to their entries.
fn merged(draw: &MergedDraw) -> String {
    let mut text = format!("section str r strings=1 align={}\n", 1 << draw.align);
    let mut starts = Vec::new();
    let mut size = 0;
    for (index, &word) in draw.words.iter().enumerate() {
        text.push_str(&format!("label text{index}\nascii {}\\0\n", WORDS[word]));
        starts.push(size);
        size += WORDS[word].len() + 1;
    }
    text.push_str("section cst r constants=8 align=8\n");
    for (index, constant) in draw.constants.iter().enumerate() {
        text.push_str(&format!("label const{index}\nhex 00 01 02 03 04 05 06 {constant:02x}\n"));
    }
    text.push_str("section pointers rw retain align=8\n");
    for (kind, which, inner) in &draw.references {
        let (word, constant) = (which.index(draw.words.len()), which.index(draw.constants.len()));
        let within = inner % (WORDS[draw.words[word]].len() + 1);
        text.push_str(&match kind {
            0..=6 => format!("rel ABS64 text{word} {within}\n"),
            7..=12 => format!("rel ABS64 @str {}\n", starts[word] + within),
            13..=15 => format!("rel ABS32 const{constant} {inner}\n"),
            16..=18 => format!("rel REL32 text{word} {within}\n"),
            19..=21 => format!("rel ABS64 @cst {}\n", constant * 8 + inner),
            // These do not say which entry they mean, so the section stays as it is.
            22 => "rel REL32 @str 1\n".into(),
            _ => "rel SIZE @str 3\n".into(),
        });
    }
    text
}

/// Unwind records for all functions, one of which nothing needs.
fn unwind(little: bool, number: usize, draw: &ObjectDraw) -> String {
    let word = |value: u32| {
        let bytes = if little { value.to_le_bytes() } else { value.to_be_bytes() };
        bytes.map(|byte| format!("{byte:02x}")).join(" ")
    };
    // Version, augmentation, code and data alignment, return register, augmentation data, instructions.
    let (size, rest) = match draw.cie {
        0 => (16, "01 7a 52 00 01 78 10 01 1b 0c 07 08".to_string()),
        1 => (16, "01 7a 52 00 01 78 11 01 1b 0c 07 08".to_string()),
        2 | 3 => (20, format!("01 7a 50 52 00 01 78 10 06 1b\nrel REL32 given{}\nhex 1b 00", number % draw.cie)),
        _ => return String::new(),
    };
    let mut text = String::from("section unneeded rx\nlabel unneeded\nfill 5\nsection .eh_frame r eh align=8\n");
    text.push_str(&format!("hex {} {} {rest}\n", word(size), word(0)));
    let mut at = size + 4;
    let code = draw.sections.iter().enumerate().filter(|(_, section)| section.0 == 2);
    for function in std::iter::once("unneeded".to_string()).chain(code.map(|(index, _)| format!("start{index}"))) {
        let (size, distance) = (word(16), word(at + 4));
        text.push_str(&format!("hex {size} {distance}\nrel REL32 {function}\nhex {} 00 00 00 00\n", word(at)));
        at += 20;
    }
    text
}

fn line(is_code: bool, draws: &[ObjectDraw], number: usize, (row, kind, which, addend): &Draw) -> String {
    let sections = draws[number].sections.len();
    let (object, section) = (which.index(draws.len()), which.index(sections));
    let target = match kind {
        0 => format!("local{section}"),
        1 => {
            let index = which.index(draws[object].sections.len());
            match draws[object].weak[index % draws[object].weak.len()] {
                true => format!("weak{index}"),
                false => format!("strong{object}x{index}"),
            }
        }
        2 => format!("weak{section}"),
        3 => "shared".into(),
        4 => format!("given{}", which.index(3)),
        _ => format!("@s{section}"),
    };
    if is_code && row % 2 == 0 {
        let operation = CODE[row / 2 % CODE.len()];
        // Calls go to code: the short ones reach nothing else.
        let is_code = |(object, section): (usize, usize)| {
            let draw = &draws[object];
            draw.sections[section].0 == 2 && !draw.weak[section % draw.weak.len()]
        };
        let all =
            (0..draws.len()).flat_map(|object| (0..draws[object].sections.len()).map(move |index| (object, index)));
        let functions: Vec<(usize, usize)> = all.filter(|&place| is_code(place)).collect();
        let target = match operation {
            "call" if functions.is_empty() || *kind == 4 => format!("given{}", which.index(3)),
            "call" => {
                let (object, section) = functions[which.index(functions.len())];
                format!("strong{object}x{section}")
            }
            _ => target,
        };
        return format!("{operation} {target}\n");
    }
    let (row, sign) = ROWS[row % ROWS.len()];
    let target = match (row, *kind) {
        ("SECREL", 3 | 4) | ("IMAGE" | "SIZE", 4) => format!("local{section}"),
        ("ABS64" | "ABS32", 4) if which.index(2) == 1 => "missing".into(),
        ("ABS64" | "REL32", 3) if which.index(2) == 1 => "local_abs".into(),
        _ => target,
    };
    let addend = match sign {
        0 => 0,
        1 => addend.abs(),
        _ if target == "missing" => addend.abs(),
        _ => *addend,
    };
    format!("rel {row} {target} {addend}\n")
}

fn options(defines: &[(String, u64)]) -> LinkOptions {
    let defines = defines.iter().map(|(name, address)| (name.clone(), Addr(*address))).collect();
    LinkOptions { defines, ..exported() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_is_what_the_naive_linker_expects(
        header in prop::sample::select(vec!["le64", "be64", "le32", "be32"]),
        draws in prop::collection::vec(object_draw(), 1..6),
        given in prop::array::uniform3(0u64..0x800_0000),
        updatable in any::<bool>(),
    ) {
        let objects = write(header, &draws);
        let defines: Vec<(String, u64)> =
            given.iter().enumerate().map(|(index, offset)| (format!("given{index}"), BASE + offset)).collect();
        let texts: Vec<(&str, &str)> = objects.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let linked = |threads: usize| {
            let options = LinkOptions { updatable, threads: Some(threads), ..options(&defines) };
            link_with(&executor_at(BASE, 64 << 20), &inputs(&texts), &NoSymbols, &options)
        };
        let image = linked(1).unwrap_or_else(|errors| panic!("{errors}\n{objects:#?}"));
        Program::new(&objects, &defines).check(&image);
        // The same again gives the same bytes.
        for threads in [1, 2, 7] {
            let again = linked(threads).map_err(|errors| TestCaseError::fail(errors.to_string()))?;
            prop_assert_eq!(image.all_bytes(), again.all_bytes(), "{} threads", threads);
        }
    }
}

proptest! {
    // Each is a batch so large that it is read and fixed up in parts.
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn large_batches_are_the_same_on_any_number_of_threads(
        header in prop::sample::select(vec!["le64", "be32"]),
        draws in prop::collection::vec(object_draw(), 1..6),
        fill in 0usize..400_000,
    ) {
        let draws: Vec<ObjectDraw> = draws.iter().cycle().take(270).cloned().collect();
        let mut objects = write(header, &draws);
        for (_, text) in objects.iter_mut().step_by(90) {
            text.push_str(&format!("section large rw retain\nfill {fill}\nrel ABS64 shared\nfill {fill}\n"));
        }
        let defines: Vec<(String, u64)> = (0..3).map(|index| (format!("given{index}"), BASE + index)).collect();
        let texts: Vec<(&str, &str)> = objects.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let inputs = inputs(&texts);
        let linked = |threads: usize| {
            let options = LinkOptions { threads: Some(threads), ..options(&defines) };
            let image = link_with(&executor_at(BASE, 64 << 20), &inputs, &NoSymbols, &options);
            image.unwrap_or_else(|errors| panic!("{errors}")).all_bytes()
        };
        let first = linked(1);
        for threads in [2, 7] {
            prop_assert!(first == linked(threads), "{} threads", threads);
        }
    }
}

/// Code and data, near and far, that reaches what lies anywhere.
fn scattered(draws: &[(bool, Vec<(usize, prop::sample::Index)>)]) -> Vec<(String, String)> {
    let mut objects = vec![(
        "got.o".to_string(),
        "toy le64\nsection got_base r retain\nlabel got_base global\nrel ABS64 _GOT_\n".to_string(),
    )];
    for (number, (far, references)) in draws.iter().enumerate() {
        let residence = if *far { " far" } else { "" };
        let mut text = format!("toy le64\nsection code rx retain{residence}\nlabel f{number} global\n");
        let mut data = format!("section data rw retain align=8{residence}\nlabel d{number} global\nfill 8\n");
        for (kind, which) in references {
            // The machine's stubs in far code reach as far as its jumps.
            let is_short = *far && *kind < 2;
            let target = match which.index(2) {
                0 if !is_short => format!("given{}", which.index(3)),
                _ => format!("f{}", which.index(draws.len())),
            };
            match kind {
                0 => text.push_str(&format!("call32 {target}\n")),
                1 => text.push_str(&format!("jump {target}\n")),
                2 if !far => text.push_str(&format!("load {target}\n")),
                3 if !far => text.push_str(&format!("loadx {target}\n")),
                4 if !far => text.push_str(&format!("call {target}\n")),
                5 => data.push_str(&format!("rel REL64 {target} -7\n")),
                _ => data.push_str(&format!("rel ABS64 {target} 9\n")),
            }
        }
        text.push_str("ret\n");
        objects.push((format!("o{number}.o"), text + &data));
    }
    objects
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everything_is_reached_however_far_apart_it_lies(
        draws in prop::collection::vec(
            (any::<bool>(), prop::collection::vec((0usize..8, any::<prop::sample::Index>()), 0..12)),
            1..5,
        ),
        base in 1u64..1 << 34,
        given in prop::array::uniform3(any::<u64>()),
        updatable in any::<bool>(),
    ) {
        let objects = scattered(&draws);
        let defines: Vec<(String, u64)> =
            given.iter().enumerate().map(|(index, address)| (format!("given{index}"), *address)).collect();
        let texts: Vec<(&str, &str)> = objects.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let options = LinkOptions { updatable, ..options(&defines) };
        let image = link_with(&executor_at(base << 12, 1 << 20), &inputs(&texts), &NoSymbols, &options);
        let image = image.unwrap_or_else(|errors| panic!("{errors}\n{objects:#?}"));
        Program::new(&objects, &defines).check(&image);
    }
}
