//! Random graphs against the naive linker.

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
}

fn object_draw() -> impl Strategy<Value = ObjectDraw> {
    let draw = (0usize..32, 0usize..6, any::<prop::sample::Index>(), -0x7fff..0x7fff);
    let section = (0usize..3, 0u32..7, 0usize..9, prop::collection::vec(draw, 0..12));
    let sections = prop::collection::vec(section, 1..5);
    (sections, prop::collection::vec(any::<bool>(), 4), 0u32..200).prop_map(|(sections, weak, common)| ObjectDraw {
        sections,
        weak,
        common,
    })
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
        objects.push((format!("o{number}.o"), text));
    }
    objects
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
        let options = LinkOptions { updatable, ..options(&defines) };
        let linked = || link_with(&executor_at(BASE, 64 << 20), &inputs(&texts), &NoSymbols, &options);
        let image = linked().unwrap_or_else(|errors| panic!("{errors}\n{objects:#?}"));
        Program::new(&objects, &defines).check(&image);
        // The same again gives the same bytes.
        prop_assert_eq!(image.all_bytes(), linked().map_err(|errors| TestCaseError::fail(errors.to_string()))?.all_bytes());
    }
}
