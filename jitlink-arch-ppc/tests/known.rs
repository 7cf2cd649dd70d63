//! What other linkers make of each relocation: bytes that GNU ld wrote for values on both sides of every limit, in both byte
//! orders, over fields that were filled with ones; and the same asked again where it is installed.
//!
//! `known/answers.txt` (64 bits) and `known/answers32.txt` hold the answers, a line a value: the relocation, the value, the bytes in little-endian and in big-endian
//! order, or what the value is instead. `JITLINK_BLESS=1` writes what GNU ld says now.

#[path = "known/cases.rs"]
mod cases;
#[path = "known/linker.rs"]
mod linker;
#[path = "support/mod.rs"]
mod support;

use cases::{Case, MACHINE32, MACHINE64, Machine, all};
use jitlink_arch_ppc::{ELF_PPC32, ELF_PPC32LE, ELF_PPC64LE};
use jitlink_core::Endian;
use jitlink_core::reloc::{FieldError, Reloc, apply};
use jitlink_core::testing::check_row;
use std::fmt::Write;
use support::tool;

/// Each machine with its answers.
static MACHINES: [(Machine, &str, &str); 2] = [
    (MACHINE64, "answers.txt", include_str!("known/answers.txt")),
    (MACHINE32, "answers32.txt", include_str!("known/answers32.txt")),
];
const ORDERS: [Endian; 2] = [Endian::Little, Endian::Big];

/// An answer as the file has it.
fn text(answer: &Result<Vec<u8>, &'static str>) -> String {
    match answer {
        Ok(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        Err(why) => (*why).to_string(),
    }
}

/// What this crate makes of a case.
fn ours(case: &Case, endian: Endian) -> Result<Vec<u8>, &'static str> {
    let mut bytes = case.filler(endian);
    let start = case.field_offset(endian);
    match apply(case.row, &mut bytes[start..], case.value, endian) {
        Ok(()) => Ok(bytes),
        Err(FieldError::Range { .. }) => Err("overflow"),
        Err(FieldError::Align { .. }) => Err("misaligned"),
    }
}

fn document(answers: impl Iterator<Item = (Case, [Result<Vec<u8>, &'static str>; 2])>) -> String {
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

#[test]
fn fields_get_the_known_bytes() {
    for (machine, _, answers) in &MACHINES {
        let found = document(all(machine).map(|case| (case, ORDERS.map(|endian| ours(&case, endian)))));
        for (found, known) in found.lines().zip(answers.lines()) {
            assert_eq!(found, known, "left: ours, right: GNU ld");
        }
        assert_eq!(found.lines().count(), answers.lines().count());
    }
}

#[test]
fn gnu_ld_still_gives_the_known_bytes() {
    for (machine, file, known) in &MACHINES {
        if tool(&format!("{}ld", machine.tools.0), machine.tools.1).is_none() {
            continue;
        }
        let cases: Vec<Case> = all(machine).collect();
        let [little, big] = ORDERS.map(|endian| linker::answers(machine, &cases, endian));
        let answers = cases.iter().zip(little.into_iter().zip(big)).map(|(case, (little, big))| (*case, [little, big]));
        let found = document(answers);
        if std::env::var("JITLINK_BLESS").is_ok() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/known/");
            std::fs::write(format!("{path}{file}"), &found).unwrap();
            continue;
        }
        for (found, known) in found.lines().zip(known.lines()) {
            assert_eq!(found, known, "left: GNU ld now, right: as it was");
        }
    }
}
