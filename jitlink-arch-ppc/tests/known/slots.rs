//! Relocations that ask for a slot: GNU ld is given as many other slots as put the one that is meant at a known distance from the base,
//! or a place at a known distance from the slot.

use super::cases::{Case, Machine, SIZE};
use super::linker::{Answer, refusal, tool};
use super::support::finish;
use jitlink_core::Endian;
use jitlink_core::reloc::{Base, Reloc, Subject};
use std::fmt::Write;

/// Where the GOT is put where its place counts, and the header that it starts with.
const GOT: i64 = 0x4_0000_0000;
const HEADER: i64 = 8;

/// One link's cases, which all mean the same slot.
pub(crate) struct Slots {
    /// How many slots there are besides.
    others: u32,
    /// Whether they come after it.
    is_first: bool,
    /// Where the place is, if that counts.
    place: Option<i64>,
    pub(crate) cases: Vec<Case>,
}

/// The links to be asked for, in the order of their answers.
pub(crate) fn all(machine: &'static Machine) -> Vec<Slots> {
    let asked = |row: &&'static Reloc| row.refusal().is_none() && row.name().contains("_GOT");
    let mut links = Vec::new();
    for subject in [Subject::GotSlot, Subject::TlsGdSlot, Subject::TlsLdSlot, Subject::TlsIeSlot] {
        let rows = machine.table.rows().iter().filter(asked).filter(|row| row.subject() == subject);
        let (far, near): (Vec<&'static Reloc>, Vec<&'static Reloc>) = rows.partition(|row| row.base() == Base::Place);
        let size = if matches!(subject, Subject::TlsGdSlot | Subject::TlsLdSlot) { 8 } else { 4 };
        // Others, whether they come after it, and the distance from the base. That of 64 bits lies 0x8000 bytes behind the start of the
        // GOT, which has a header of one slot. That of 32 bits lies where the header of three words is, which comes last, but not after
        // more than 0x8000 bytes.
        let places = match machine.table.pointer_bytes() {
            8 => vec![(0, false, HEADER - 0x8000), (0x1ffe, false, 0x7ff8), (0x1fff, false, 0x8000)],
            _ => vec![(0x2010, true, -0x8000), (0, false, -size), (0x3ffc, false, 0x7ffc), (0x3ffd, false, 0x8000)],
        };
        links.extend(places.into_iter().filter(|(.., value)| subject != Subject::TlsLdSlot || *value != -0x8000).map(
            |(others, is_first, value)| {
                let cases = near.iter().map(|&row| Case { row, value }).collect();
                Slots { others, is_first, place: None, cases }
            },
        ));
        // Both limits of 34 bits.
        let distances = [0x1234, -0x1_2345_6780, -1 << 33, (1 << 33) - 1, (-1 << 33) - 1, 1 << 33];
        links.extend(far.into_iter().flat_map(|row| {
            distances.map(|value| {
                let place = Some(GOT + HEADER - value);
                Slots { others: 0, is_first: false, place, cases: vec![Case { row, value }] }
            })
        }));
    }
    links
}

/// What GNU ld makes of the cases of a link.
pub(crate) fn answers(machine: &Machine, slots: &Slots, endian: Endian) -> Vec<Answer> {
    let folder = tempfile::tempdir().unwrap();
    let word = if machine.table.pointer_bytes() == 8 { ".quad" } else { ".long" };
    let got = machine.table.rows().iter().find(|row| row.name().ends_with("_GOT16_LO")).unwrap().name();
    let is_thread_local = slots.cases[0].row.subject() != Subject::GotSlot;
    let section = if is_thread_local { ".tdata,\"awT\"" } else { ".data" };
    let target = format!(".section {section}\ntarget: {word} 0\n");
    let mut source = ".globl _start\n.text\n_start: nop\n".to_string();
    if slots.is_first {
        source += &target;
    }
    source += ".section .others,\"aw\"\n";
    for other in 0..slots.others {
        writeln!(source, "o{other}: {word} 0\n.reloc o{other}, {got}, o{other}").unwrap();
    }
    if !slots.is_first {
        source += &target;
    }
    source += ".section .place,\"aw\"\n";
    for (position, case) in slots.cases.iter().enumerate() {
        let filler: Vec<String> = case.filler(endian).iter().map(u8::to_string).collect();
        let (offset, name) = (case.field_offset(endian), case.row.name());
        writeln!(source, "p{position}: .byte {}\n.reloc p{position} + {offset}, {name}, target", filler.join(","))
            .unwrap();
    }
    std::fs::write(folder.path().join("a.s"), source).unwrap();
    let (order, emulation) = machine.order(endian);
    finish(tool(machine, "as", folder.path()).args(machine.options.0).args([order, "-o", "a.o", "a.s"]));
    let mut ld = tool(machine, "ld", folder.path());
    ld.args(["-m", emulation, "-noinhibit-exec", "--no-tls-optimize", "-Ttext-segment=0x10000000", "-o", "out", "a.o"]);
    ld.args(machine.options.1).args(machine.slots);
    if let Some(place) = slots.place {
        ld.args([format!("--section-start=.got={GOT:#x}"), format!("--section-start=.place={place:#x}")]);
    }
    let output = ld.output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(folder.path().join("out").exists(), "{complaints}");
    finish(tool(machine, "objcopy", folder.path()).args(["-O", "binary", "-j", ".place", "out", "bytes"]));
    let bytes = std::fs::read(folder.path().join("bytes")).unwrap();
    let answer = |(position, case): (usize, &Case)| {
        let at = SIZE * position;
        refusal(&complaints, at + case.field_offset(endian)).map_or_else(|| Ok(bytes[at..at + SIZE].to_vec()), Err)
    };
    slots.cases.iter().enumerate().map(answer).collect()
}
