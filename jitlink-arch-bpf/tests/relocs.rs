//! The relocation table: its rules, and known answers.
//!
//! The answers follow from the formulas of the kernel's `Documentation/bpf/llvm_reloc.rst` and the layout of instructions in RFC
//! 9669, section 3: an immediate is the last four bytes of a word, in the byte order of the machine. What clang 22 and GNU as
//! 2.40 write into fields is in the comments.

use jitlink_arch_bpf::{Bpf, ELF_BPF, ELF_UNNAMED};
use jitlink_core::reloc::{FieldError, Holds, Inputs, Reloc, RowTable, apply, evaluate};
use jitlink_core::testing::{check_row, check_table};
use jitlink_core::{Endian, TargetArch};

#[test]
fn rows_are_sound() {
    check_table(&ELF_BPF);
    check_table(&ELF_UNNAMED);
    Bpf.info().rows().iter().for_each(check_row);
}

fn row(name: &str) -> &'static Reloc {
    ELF_BPF.rows().iter().find(|row| row.name() == name).unwrap()
}

/// The inputs of the answers: what is meant is at 0x1_0000_2000, the field's instruction at 0x1_0000_1000.
const INPUTS: Inputs =
    Inputs { subject: 0x1_0000_2000, addend: 0x18, place: 0x1_0000_1000, got: 0, image: 0, section: 0, anchor: 0 };

/// A field that holds something, and what it holds after.
struct Answer {
    name: &'static str,
    endian: Endian,
    before: &'static [u8],
    after: &'static [u8],
}

#[rustfmt::skip]
const ANSWERS: &[Answer] = &[
    // S + A = 0x1_0000_2018: the low half in the first word, the high half in the second. Opcode, registers and the reserved
    // fields stay.
    Answer { name: "R_BPF_64_64", endian: Endian::Little,
        before: &[0x18, 0x01, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
        after:  &[0x18, 0x01, 0, 0, 0x18, 0x20, 0, 0,       0, 0, 0, 0, 1, 0, 0, 0] },
    Answer { name: "R_BPF_64_64", endian: Endian::Big,
        before: &[0x18, 0x10, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
        after:  &[0x18, 0x10, 0, 0, 0, 0, 0x20, 0x18,       0, 0, 0, 0, 0, 0, 0, 1] },
    // (S + A - P) / 8 - 1 = 0x202. Before, as clang writes a call of a section's fourth instruction: 2.
    Answer { name: "R_BPF_64_32", endian: Endian::Little,
        before: &[0x85, 0x10, 0, 0, 2, 0, 0, 0], after: &[0x85, 0x10, 0, 0, 0x02, 0x02, 0, 0] },
    Answer { name: "R_BPF_64_32", endian: Endian::Big,
        before: &[0x85, 0x01, 0, 0, 0, 0, 0, 2], after: &[0x85, 0x01, 0, 0, 0, 0, 0x02, 0x02] },
    Answer { name: "R_BPF_64_ABS64", endian: Endian::Little,
        before: &[0xff; 8], after: &[0x18, 0x20, 0, 0, 1, 0, 0, 0] },
    Answer { name: "R_BPF_64_ABS64", endian: Endian::Big,
        before: &[0xff; 8], after: &[0, 0, 0, 1, 0, 0, 0x20, 0x18] },
    Answer { name: "R_BPF_DATA_64", endian: Endian::Little,
        before: &[0xff; 8], after: &[0x18, 0x20, 0, 0, 1, 0, 0, 0] },
    Answer { name: "R_BPF_DATA_64", endian: Endian::Big,
        before: &[0xff; 8], after: &[0, 0, 0, 1, 0, 0, 0x20, 0x18] },
];

#[test]
fn fields_hold_what_the_formulas_say() {
    for Answer { name, endian, before, after } in ANSWERS {
        let row = row(name);
        let mut bytes = before.to_vec();
        apply(row, &mut bytes, evaluate(row, &INPUTS), *endian).unwrap();
        assert_eq!(bytes, *after, "{name} {endian:?}");
    }
    for name in ["R_BPF_64_ABS32", "R_BPF_64_NODYLD32", "R_BPF_DATA_32"] {
        let low = Inputs { subject: 0x2000, ..INPUTS };
        for (endian, after) in [(Endian::Little, [0x18, 0x20, 0, 0]), (Endian::Big, [0, 0, 0x20, 0x18])] {
            let mut bytes = [0xff; 4];
            apply(row(name), &mut bytes, evaluate(row(name), &low), endian).unwrap();
            assert_eq!(bytes, after, "{name} {endian:?}");
        }
        let mut bytes = [0; 4];
        for (value, fits) in [(0xffff_ffff, true), (0x1_0000_0000, false), (-0x8000_0000, true), (-0x8000_0001, false)]
        {
            let written = apply(row(name), &mut bytes, value, Endian::Little);
            assert_eq!(written.is_ok(), fits, "{name} {value:#x}");
        }
    }
}

#[test]
fn addends_stand_in_fields() {
    // As clang writes them: -1 for a function's own symbol, the number of the instruction less one for a section's.
    let call = row("R_BPF_64_32").field();
    assert_eq!(call.extract(&[0x85, 0x10, 0, 0, 0xff, 0xff, 0xff, 0xff], Endian::Little), 0);
    assert_eq!(call.extract(&[0x85, 0x10, 0, 0, 6, 0, 0, 0], Endian::Little), 7 * 8);
    assert_eq!(call.extract(&[0x85, 0x01, 0, 0, 0, 0, 0, 7], Endian::Big), 8 * 8);
    let wide = row("R_BPF_64_64").field();
    let load = [0x18, 2, 0, 0, 0x98, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(wide.extract(&load, Endian::Little), 0x98);
    let back = [0x18, 2, 0, 0, 0xf8, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(wide.extract(&back, Endian::Little), -8);
}

#[test]
fn calls_reach_sixteen_gibibytes() {
    let row = row("R_BPF_64_32");
    let mut bytes = [0x85, 0x10, 0, 0, 0, 0, 0, 0];
    let (last, first) = (1i64 << 34, -(1i64 << 34) + 8);
    assert_eq!(apply(row, &mut bytes, last, Endian::Little), Ok(()));
    assert_eq!(bytes, [0x85, 0x10, 0, 0, 0xff, 0xff, 0xff, 0x7f]);
    assert_eq!(apply(row, &mut bytes, last + 8, Endian::Little), Err(FieldError::Range { value: last + 8 }));
    assert_eq!(apply(row, &mut bytes, first, Endian::Little), Ok(()));
    assert_eq!(bytes, [0x85, 0x10, 0, 0, 0, 0, 0, 0x80]);
    assert_eq!(apply(row, &mut bytes, first - 8, Endian::Little), Err(FieldError::Range { value: first - 8 }));
    // Between two instructions there is nothing to call.
    assert_eq!(apply(row, &mut bytes, 12, Endian::Little), Err(FieldError::Align { value: 12, align: 8 }));
}

#[test]
fn old_numbers_of_data_are_told_by_the_section() {
    let rows = RowTable::new(Bpf.info().rows(), ELF_BPF.rows()).unwrap();
    let name = |raw: u32, holds: Holds| rows.by_raw_in(raw, holds).map(|(_, row)| row.name());
    assert_eq!(name(1, Holds::Code), Some("R_BPF_64_64"));
    assert_eq!(name(1, Holds::Data), Some("R_BPF_64_ABS64"));
    assert_eq!(name(10, Holds::Code), Some("R_BPF_64_32"));
    assert_eq!(name(10, Holds::Data), Some("R_BPF_64_ABS32"));
    assert_eq!(name(4, Holds::Data), Some("R_BPF_64_NODYLD32"));
    assert_eq!(name(14, Holds::Data), None);
}
