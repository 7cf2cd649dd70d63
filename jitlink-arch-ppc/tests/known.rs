//! What other linkers make of each relocation: bytes that GNU ld wrote for values on both sides of every limit, in both byte
//! orders, over fields that were filled with ones; and the same asked again where it is installed.
//!
//! `known/answers.txt` (64 bits) and `known/answers32.txt` hold the answers, `known/slots.txt` and `known/slots32.txt` those of what asks for
//! a slot, `known/lld.txt` and `known/lld32.txt` those of LLD, a line a value: the relocation, the value, the bytes in little-endian and in big-endian order, or what the value is instead.
//! `JITLINK_BLESS=1` writes what the linkers say now.

#[path = "known/cases.rs"]
mod cases;
#[path = "known/linker.rs"]
mod linker;
#[path = "known/slots.rs"]
mod slots;
#[path = "support/mod.rs"]
mod support;

use cases::{Case, MACHINE32, MACHINE64, Machine, all};
use jitlink_arch_ppc::{ELF_PPC32, ELF_PPC32LE, ELF_PPC64LE};
use jitlink_core::Endian;
use jitlink_core::reloc::{FieldError, Reloc, apply};
use jitlink_core::testing::check_row;
use linker::{Answer, By, UNKNOWN};
use std::fmt::Write;
use support::tool;

/// Each machine with its answers.
static MACHINES: [(Machine, &str, &str); 2] = [
    (MACHINE64, "answers.txt", include_str!("known/answers.txt")),
    (MACHINE32, "answers32.txt", include_str!("known/answers32.txt")),
];
/// What GNU ld says where slots are asked for.
const SLOTS: [(&str, &str); 2] =
    [("slots.txt", include_str!("known/slots.txt")), ("slots32.txt", include_str!("known/slots32.txt"))];
const ORDERS: [Endian; 2] = [Endian::Little, Endian::Big];

/// What LLD says of the rows that it knows.
const LLD: [(&str, &str); 2] =
    [("lld.txt", include_str!("known/lld.txt")), ("lld32.txt", include_str!("known/lld32.txt"))];

/// An answer as the file has it.
fn text(answer: &Answer) -> String {
    match answer {
        Ok(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        Err(why) => (*why).to_string(),
    }
}

/// What this crate makes of a case.
fn ours(case: &Case, endian: Endian) -> Answer {
    let mut bytes = case.filler(endian);
    let start = case.field_offset(endian);
    match apply(case.row, &mut bytes[start..], case.value, endian) {
        Ok(()) => Ok(bytes),
        Err(FieldError::Range { .. }) => Err("overflow"),
        Err(FieldError::Align { .. }) => Err("misaligned"),
    }
}

fn document(answers: impl Iterator<Item = (Case, [Answer; 2])>) -> String {
    let mut document = String::new();
    for (case, [little, big]) in answers {
        writeln!(document, "{} {:#x} {} {}", case.row.name(), case.value, text(&little), text(&big)).unwrap();
    }
    document
}

#[test]
fn rows_are_sound() {
    // Those that say whether a branch is taken change what stands beside their field, and the uppermost parts of a value in 34-bit
    // pieces do not fill theirs: the known answers are the test of these.
    let ends = ["TAKEN", "HI30", "HA30", "HIGHEST34", "HIGHESTA34"];
    let special = |row: &&Reloc| ends.iter().any(|end| row.name().ends_with(end));
    for (table, count) in [(ELF_PPC64LE, 10), (ELF_PPC32, 4), (ELF_PPC32LE, 4)] {
        assert_eq!(table.rows().iter().filter(special).count(), count);
        table.rows().iter().filter(|row| !special(row)).for_each(check_row);
        assert!(table.rows().windows(2).all(|pair| pair[0].raw() < pair[1].raw()));
    }
}

/// Whether what was found is what is known, line by line.
fn compare(found: &str, known: &str, what: &str) {
    for (found, known) in found.lines().zip(known.lines()) {
        assert_eq!(found, known, "{what}");
    }
    assert_eq!(found.lines().count(), known.lines().count());
}

#[test]
fn fields_get_the_known_bytes() {
    let ours = |case| (case, ORDERS.map(|endian| ours(&case, endian)));
    for ((machine, _, answers), (_, slots)) in MACHINES.iter().zip(SLOTS) {
        compare(&document(all(machine).map(ours)), answers, "left: ours, right: GNU ld");
        let cases = slots::all(machine).into_iter().flat_map(|slots| slots.cases);
        compare(&document(cases.map(ours)), slots, "left: ours, right: GNU ld");
    }
    for ((machine, ..), (_, answers)) in MACHINES.iter().zip(LLD) {
        let is_known = |case: &Case| answers.contains(&format!("{} {:#x} ", case.row.name(), case.value));
        compare(&document(cases::of_lld(machine).filter(is_known).map(ours)), answers, "left: ours, right: LLD");
    }
}

/// The answers to a row in little-endian order, each with its value.
fn known_answers<'f>(files: &[&'f str], row: &str) -> Vec<(i64, &'f str)> {
    let line = |line: &'f str| {
        let mut words = line.split(' ');
        let (name, value) = (words.next()?, words.next()?);
        let value = u64::from_str_radix(value.strip_prefix("0x")?, 16).ok()?;
        let little = words.next()?;
        // What is wrong is so in both byte orders, and what is right too.
        assert_eq!(little == "overflow", line.ends_with(" overflow"), "{line}");
        (name == row).then_some((value as i64, little))
    };
    files.iter().flat_map(|file| file.lines().filter_map(line)).collect()
}

#[test]
fn every_row_has_answers_on_both_sides_of_its_limits() {
    // All that 32 bits can say fits.
    const WHOLE: [&str; 2] = ["R_PPC_ADDR32", "R_PPC_UADDR32"];
    // GNU ld puts this slot right before the base, or behind it.
    const NEVER_FIRST: &str = "R_PPC_GOT_TLSLD16";
    for ((machine, _, answers), ((_, slots), (_, lld))) in MACHINES.iter().zip(SLOTS.into_iter().zip(LLD)) {
        let applied = |row: &&Reloc| row.refusal().is_none() && row.field().bytes() > 0;
        for row in machine.table.rows().iter().filter(applied) {
            let name = row.name();
            let answers = known_answers(&[answers, slots, lld], name);
            let of = |kind: fn(&str) -> bool| {
                answers.iter().filter(move |(_, answer)| kind(answer)).map(|(value, _)| *value)
            };
            let is_bytes = |answer: &str| answer.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(of(is_bytes).next().is_some(), "{name} has no answer");
            let Some((min, max)) = row.limits().filter(|_| !WHOLE.contains(&name)) else { continue };
            let rounded = |value: i64| i128::from(value) + i128::from(row.field().rounding());
            let refused = || of(|answer| answer == "overflow").map(rounded);
            assert!(refused().any(|value| value < min) && refused().any(|value| value > max), "{name}: refused");
            // The last ones that the field's step and the linker's tables let it reach.
            let near = |limit: i128| of(is_bytes).map(rounded).any(|value| (limit - value).abs() < 8);
            assert!((near(min) || name == NEVER_FIRST) && near(max), "{name}: {answers:x?}");
        }
    }
}

/// What a linker says now has to be what is known, unless it is to be written down.
fn check(file: &str, found: &str, known: &str) {
    if std::env::var("JITLINK_BLESS").is_ok() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/known/");
        std::fs::write(format!("{path}{file}"), found).unwrap();
        return;
    }
    compare(found, known, "left: the linker now, right: as it was");
}

#[test]
fn gnu_ld_still_gives_the_known_bytes() {
    for (machine, file, known) in &MACHINES {
        if tool(&format!("{}ld", machine.tools.0), machine.tools.1).is_none() {
            continue;
        }
        let cases: Vec<Case> = all(machine).collect();
        let [little, big] = ORDERS.map(|endian| linker::answers(machine, &cases, endian, By::Gnu));
        let answers = cases.iter().zip(little.into_iter().zip(big)).map(|(case, (little, big))| (*case, [little, big]));
        check(file, &document(answers), known);
    }
}

#[test]
fn gnu_ld_still_gives_the_known_slots() {
    for ((machine, ..), (file, known)) in MACHINES.iter().zip(SLOTS) {
        if tool(&format!("{}ld", machine.tools.0), machine.tools.1).is_none() {
            continue;
        }
        let answers = slots::all(machine).into_iter().flat_map(|slots| {
            let [little, big] = ORDERS.map(|endian| slots::answers(machine, &slots, endian));
            slots.cases.into_iter().zip(little.into_iter().zip(big).map(|(little, big)| [little, big]))
        });
        check(file, &document(answers), known);
    }
}

#[test]
fn lld_still_gives_the_known_bytes() {
    let Some(lld) = tool("ld.lld-22", "lld-22") else { return };
    for ((machine, ..), (file, known)) in MACHINES.iter().zip(LLD) {
        if tool(&format!("{}as", machine.tools.0), machine.tools.1).is_none() {
            continue;
        }
        let cases: Vec<Case> = cases::of_lld(machine).collect();
        let [little, big] = ORDERS.map(|endian| linker::answers(machine, &cases, endian, By::Lld(&lld)));
        let answers = cases.into_iter().zip(little.into_iter().zip(big).map(|(little, big)| [little, big]));
        check(file, &document(answers.filter(|(_, answers)| *answers != [Err(UNKNOWN), Err(UNKNOWN)])), known);
    }
}
