//! Relocations that count from a slot or from the base of slots: GNU ld is told where its tables, the base and the place are to be, so
//! that the value is the one that is meant.

use super::cases::{Case, Machine, SIZE, values_of};
use super::linker::{Answer, refusal, tool};
use super::support::finish;
use jitlink_core::Endian;
use jitlink_core::reloc::{Base, Reloc, Subject};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// What counts to a link's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// The base of slots.
    Base,
    /// The place.
    Place,
    /// Nothing; or the base is what is meant.
    Zero,
}

/// One link's cases: all have one value and mean one slot.
pub(crate) struct Slots {
    subject: Subject,
    from: From,
    /// Whether the slot is one of calls.
    is_plt: bool,
    value: i64,
    pub(crate) cases: Vec<Case>,
}

/// Where the table is put where its place does not count.
const TABLE64: i64 = 0x4_0000_0000;
const TABLE32: i64 = 0x4000_0000;
/// Added to the base by what asks for it.
const ADDEND: i64 = 0x10;

/// The links to be asked for, in the order of their answers.
pub(crate) fn all(machine: &'static Machine) -> Vec<Slots> {
    let mut links: Vec<Slots> = Vec::new();
    for row in machine.table.rows().iter().filter(|row| row.refusal().is_none() && is_asked(row)) {
        let (subject, is_plt) = (row.subject(), row.name().contains("_PLT"));
        let from = match row.base() {
            _ if subject == Subject::GotBase => From::Zero,
            Base::Place => From::Place,
            Base::Zero => From::Zero,
            _ => From::Base,
        };
        let cases = values(machine, row, from).into_iter().map(|value| Case { row, value });
        for case in cases.filter(|case| !case.is_let_pass()) {
            let value = case.value;
            let key = (subject, from, is_plt, value);
            // Places are one after the other, so only one of them can be where it counts.
            let same =
                |link: &&mut Slots| from != From::Place && (link.subject, link.from, link.is_plt, link.value) == key;
            match links.iter_mut().find(same) {
                Some(link) => link.cases.push(case),
                None => links.push(Slots { subject, from, is_plt, value, cases: vec![case] }),
            }
        }
    }
    links
}

fn is_asked(row: &Reloc) -> bool {
    use Subject::{GotBase, GotSlot, TlsGdSlot, TlsIeSlot, TlsLdSlot};
    matches!(row.subject(), GotSlot | GotBase | TlsGdSlot | TlsLdSlot | TlsIeSlot)
}

/// The values that GNU ld can be made to arrive at.
fn values(machine: &'static Machine, row: &'static Reloc, from: From) -> Vec<i64> {
    let is_short = machine.table.pointer_bytes() == 4;
    let mut values = values_of(machine, row);
    if is_short && from == From::Base {
        // The base lies in the table, at most 0x8000 bytes after its start, or GNU ld gives up, after it has said what does not fit.
        values = fillers(row.subject()).map(|(value, ..)| value).collect();
        values.extend(row.limits().map(|_| BELOW));
    } else if from == From::Zero && row.subject() == Subject::GotSlot {
        // Tables start at even places, and leave room for headers and for the end of the address space.
        values.iter_mut().for_each(|value| *value &= -8);
        values.retain(|value| !is_short || (0x1000..0xffff_0000).contains(value));
    }
    values.sort_unstable();
    values.dedup();
    values
}

/// The first value that is too small for a base that 16 bits count from.
const BELOW: i64 = -0x8004;

/// What makes a distance from the base of 32 bits, which is the table's header of three words: that comes last, but not after more than
/// 0x8000 bytes. The value, how many slots there are besides, and whether they come after the one that is meant.
fn fillers(subject: Subject) -> impl Iterator<Item = (i64, u32, bool)> {
    let size = if matches!(subject, Subject::TlsGdSlot | Subject::TlsLdSlot) { 8 } else { 4 };
    let all = [(-0x8000, 0x2010, true), (-size, 0, false), (0x7ffc, 0x3ffc, false), (0x8000, 0x3ffd, false)];
    // The slot of a module comes after all others.
    all.into_iter().filter(move |(value, ..)| subject != Subject::TlsLdSlot || *value != -0x8000)
}

/// What GNU ld makes of the cases of a link.
pub(crate) fn answers(machine: &Machine, slots: &Slots, endian: Endian) -> Vec<Answer> {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assemble(machine, endian, folder, "a", &source(machine, slots, endian));
    let (_, emulation) = machine.order(endian);
    let ld = |arguments: &[&str]| {
        let mut ld = tool(machine, "ld", folder);
        ld.args(["-m", emulation]).args(arguments);
        ld
    };
    if slots.is_plt {
        let far = ".globl target\n.type target,@function\n.text\ntarget: nop\n";
        assemble(machine, endian, folder, "far", &format!("{}{far}", abi(machine)));
        finish(&mut ld(&["-shared", "-o", "libfar.so", "far.o"]));
    }
    let mut ld = ld(&["-noinhibit-exec", "--no-tls-optimize", "-Ttext-segment=0x10000000", "-o", "out", "a.o"]);
    ld.args(machine.options.1).args(machine.slots).args(slots.is_plt.then_some("libfar.so"));
    place(machine, slots, &mut ld);
    let output = ld.output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    let at = |position: usize, case: &Case| SIZE * position + case.field_offset(endian);
    let refused = slots.cases.iter().enumerate().map(|(position, case)| refusal(&complaints, at(position, case)));
    let refused: Vec<Option<&str>> = refused.collect();
    if refused.iter().all(Option::is_some) {
        return refused.into_iter().flatten().map(Err).collect();
    }
    assert!(folder.join("out").exists(), "{complaints}");
    finish(tool(machine, "objcopy", folder).args(["-O", "binary", "-j", ".place", "out", "bytes"]));
    let bytes = std::fs::read(folder.join("bytes")).unwrap();
    let fields = bytes.chunks(SIZE).map(<[u8]>::to_vec);
    refused.into_iter().zip(fields).map(|(why, bytes)| why.map_or(Ok(bytes), Err)).collect()
}

/// What says which ABI an object is for.
fn abi(machine: &Machine) -> &'static str {
    if machine.table.pointer_bytes() == 4 { "" } else { ".abiversion 2\n" }
}

/// The places, and what they mean.
fn source(machine: &Machine, slots: &Slots, endian: Endian) -> String {
    let is_short = machine.table.pointer_bytes() == 4;
    let word = if is_short { ".long" } else { ".quad" };
    let section = if matches!(slots.subject, Subject::GotSlot) { ".data" } else { ".tdata,\"awT\"" };
    let target = format!(".section {section}\ntarget: {word} 0\n");
    let filler = fillers(slots.subject).find(|(value, ..)| is_short && *value == slots.value);
    let (_, others, is_first) = filler.unwrap_or_default();
    let mut source = format!("{}.globl _start\n.text\n_start: nop\n", abi(machine));
    if is_first {
        source += &target;
    }
    source += ".section .others,\"aw\"\n";
    for other in 0..others {
        writeln!(source, "o{other}: {word} 0\n.reloc o{other}, R_PPC_GOT16_LO, o{other}").unwrap();
    }
    if !is_first && !slots.is_plt {
        source += &target;
    }
    source += ".section .place,\"aw\"\n";
    for (position, case) in slots.cases.iter().enumerate() {
        let bytes: Vec<String> = case.filler(endian).iter().map(u8::to_string).collect();
        let (offset, name) = (case.field_offset(endian), case.row.name());
        let meant = match slots.subject {
            Subject::GotBase => ADDEND.to_string(),
            _ => "target".to_string(),
        };
        writeln!(source, "p{position}: .byte {}\n.reloc p{position} + {offset}, {name}, {meant}", bytes.join(","))
            .unwrap();
    }
    source
}

/// Says where everything is to be.
fn place(machine: &Machine, slots: &Slots, ld: &mut Command) {
    let is_short = machine.table.pointer_bytes() == 4;
    let start = if is_short { TABLE32 } else { TABLE64 };
    // What comes before the first slot: a pointer in the GOT, two where calls have theirs (ELFv2 ABI, "Procedure Linkage Table"), and
    // nothing for 32 bits (the header comes last).
    let (table, header) = match (slots.is_plt, is_short) {
        (true, false) => (".plt", 16),
        (true, true) => (".plt", 0),
        (false, false) => (".got", 8),
        (false, true) => (".got", 0),
    };
    let mut put = |section: &str, address: i64| _ = ld.arg(format!("--section-start={section}={address:#x}"));
    match slots.from {
        From::Zero if slots.subject == Subject::GotBase => {}
        From::Zero => put(table, slots.value - header),
        From::Place => {
            put(table, start);
            put(".place", start + header - slots.value);
        }
        From::Base => put(table, start),
    }
    let base = match (slots.from, slots.subject) {
        (_, Subject::GotBase) => slots.value - ADDEND,
        (From::Base, _) => start + header - slots.value,
        _ => return,
    };
    if !is_short {
        ld.arg(format!("--defsym=.TOC.={base:#x}"));
    } else if slots.value == BELOW {
        ld.arg(format!("--defsym=_GLOBAL_OFFSET_TABLE_={base:#x}"));
    }
}

fn assemble(machine: &Machine, endian: Endian, folder: &Path, name: &str, source: &str) {
    let input = folder.join(format!("{name}.s"));
    std::fs::write(&input, source).unwrap();
    let (order, _) = machine.order(endian);
    finish(tool(machine, "as", folder).args(machine.options.0).args([order, "-o", &format!("{name}.o")]).arg(input));
}
