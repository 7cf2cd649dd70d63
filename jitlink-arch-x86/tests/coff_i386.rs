//! The relocations of COFF objects for i386: known answers on both sides of each limit, and the same of LLD and GNU ld.

#[path = "coff_linkers/mod.rs"]
mod coff_linkers;

use coff_linkers::Target::{At, Inside};
use coff_linkers::{Place, Target, installed, link, object};
use jitlink_arch_x86::{COFF_I386, I386};
use jitlink_core::arch::StubKind;
use jitlink_core::reloc::{FieldError, Inputs, Reloc, RowTable, apply, evaluate};
use jitlink_core::testing::{check_row, check_table};
use jitlink_core::{Endian, TargetArch};

const MACHINE: u16 = 0x14c;

fn row(name: &str) -> &'static Reloc {
    let full = [format!("IMAGE_REL_I386_{name}"), format!("R_{name}")];
    let found = COFF_I386.rows().iter().find(|row| full.iter().any(|full| full == row.name()));
    found.unwrap_or_else(|| panic!("no {name}"))
}

/// What is written over ones, or over `stored` as the field's addend.
fn written(name: &str, inputs: Inputs, stored: i64) -> Result<Vec<u8>, FieldError> {
    let row = row(name);
    let size = row.field().bytes();
    let addend = row.implicit_addend(&stored.to_le_bytes(), Endian::Little);
    let mut bytes = [0xff; 16];
    apply(row, &mut bytes[4..], evaluate(row, &Inputs { addend, ..inputs }), Endian::Little)?;
    assert!(bytes[..4].iter().chain(&bytes[4 + size..]).all(|byte| *byte == 0xff), "{name}: bytes around the field");
    Ok(bytes[4..4 + size].to_vec())
}

#[test]
fn rows_are_sound() {
    check_table(&COFF_I386);
    I386.info().rows().iter().for_each(check_row);
    assert!(RowTable::new(I386.info().rows(), COFF_I386.rows()).is_ok());
    let raws = |refused: bool| {
        let rows = COFF_I386.rows().iter().filter(move |row| row.refusal().is_some() == refused);
        rows.map(|row| row.raw()).collect::<Vec<_>>()
    };
    assert_eq!(raws(false), [0, 6, 7, 10, 11, 13, 15, 16, 17, 20]);
    assert_eq!(raws(true), [1, 2, 9, 12, 18, 19]);
}

/// An image at 0x400000, the field at 0x401010, the target at 0x403020 of a section that starts at 0x403000.
fn usual() -> Inputs {
    Inputs { subject: 0x40_3020, place: 0x40_1010, image: 0x40_0000, section: 0x40_3000, ..Inputs::default() }
}

#[test]
fn formulas_give_the_known_bytes() {
    // PE Format, "Type Indicators", "Intel 386 Processors"; what stood in the field is its addend, here 3.
    #[rustfmt::skip]
    let answers: [(&str, &[u8]); 7] = [
        ("ABSOLUTE", &[]),
        ("DIR32",    &[0x23, 0x30, 0x40, 0x00]), // S + A
        ("DIR32NB",  &[0x23, 0x30, 0x00, 0x00]), // S + A - image
        ("SECREL",   &[0x23, 0x00, 0x00, 0x00]), // S + A - section
        ("SECREL7",  &[0xa3]),                   // the eighth bit is not the field's
        ("RELLONG",  &[0x23, 0x30, 0x40, 0x00]), // S + A
        ("REL32",    &[0x0f, 0x20, 0x00, 0x00]), // S + A - (P + 4)
    ];
    for (name, bytes) in answers {
        assert_eq!(written(name, usual(), 3), Ok(bytes.to_vec()), "{name}");
    }
    let low = Inputs { subject: 0x70, ..usual() };
    assert_eq!(written("RELBYTE", low, 3), Ok(vec![0x73]));
    assert_eq!(written("RELWORD", low, 3), Ok(vec![0x73, 0]));
    assert_eq!(written("SECTION", Inputs { subject: 2, ..usual() }, 0), Ok(vec![2, 0]));
}

#[test]
fn limits_are_exact() {
    let at = |name: &str, value: i128| {
        // The subject with which the row's value is this.
        let without = i128::from(evaluate(row(name), &Inputs { subject: 0, ..usual() }));
        let bias = i128::from(row(name).implicit_addend(&[0; 8], Endian::Little));
        written(name, Inputs { subject: (value - without - bias) as u64, ..usual() }, 0)
    };
    for (name, low, high) in [
        ("DIR32", i128::from(i32::MIN), 0xffff_ffff),
        ("DIR32NB", 0, 0xffff_ffff),
        ("SECTION", 0, 0xffff),
        ("SECREL", 0, 0xffff_ffff),
        ("SECREL7", 0, 0x7f),
        ("RELBYTE", -0x80, 0xff),
        ("RELWORD", -0x8000, 0xffff),
        ("RELLONG", i128::from(i32::MIN), 0xffff_ffff),
        // From the last address to the first, and from the first to the last.
        ("REL32", -0x1_0000_0000, 0xffff_ffff),
    ] {
        for (value, beyond) in [(low, low - 1), (high, high + 1)] {
            let bytes = at(name, value).unwrap_or_else(|error| panic!("{name} {value:#x}: {error:?}"));
            let mut expected = value.to_le_bytes()[..bytes.len()].to_vec();
            if name == "SECREL7" {
                expected[0] |= 0x80;
            }
            assert_eq!(bytes, expected, "{name} {value:#x}");
            assert_eq!(at(name, beyond), Err(FieldError::Range { value: beyond as i64 }), "{name} {beyond:#x}");
        }
    }
}

#[test]
fn a_stub_jumps_through_its_slot() {
    let stub = I386.stub(StubKind::Plt).expect("a stub");
    let [fixup] = stub.fixups() else { panic!("{:?}", stub.fixups()) };
    let mut code = stub.code().to_vec();
    let row = &I386.info().rows()[usize::from(fixup.row)];
    let value = evaluate(row, &Inputs { subject: 0x8765_4320, addend: fixup.addend, ..usual() });
    apply(row, &mut code[fixup.offset as usize..], value, Endian::Little).expect("a slot in reach");
    // ff 25 20 43 65 87   jmp *0x87654320 (objdump -m i386)
    assert_eq!(code, [0xff, 0x25, 0x20, 0x43, 0x65, 0x87, 0xcc, 0xcc]);
    assert!([StubKind::Thunk, StubKind::Lazy, StubKind::Binder].iter().all(|kind| I386.stub(*kind).is_none()));
}

/// Relocations with what they refer to and what stands in their fields, at an address of the image: those that fit by our limits, up to
/// both ends of them, and those beyond.
type Case = (&'static str, Target, i32);

fn place(&(name, target, stored): &Case) -> Place {
    Place::new(row(name), target, stored.into())
}

/// Compares what `linker` makes of the cases with what we make of them. Of those that we refuse, it refuses the ones and cuts the others
/// off.
fn compare(linker: &str, base: u64, cases: &[Case], (refused, cut_off): (&[Case], &[Case])) {
    let places: Vec<Place> = cases.iter().map(place).collect();
    let image = link(linker, &object(MACHINE, &places), base).unwrap_or_else(|error| panic!("{linker}: {error}"));
    for (index, (place, case)) in places.iter().zip(cases).enumerate() {
        let (at, theirs) = image.place(index, place.bytes.len());
        let bytes = image.ours(index, place);
        assert_eq!(bytes.as_deref(), Ok(theirs), "{linker}: {case:x?} at {at:#x}");
    }
    let limits = refused.iter().map(|case| (case, true)).chain(cut_off.iter().map(|case| (case, false)));
    for (case, is_refused) in limits {
        let place = place(case);
        match link(linker, &object(MACHINE, std::slice::from_ref(&place)), base) {
            Err(said) if is_refused => assert!(said.contains("truncated to fit"), "{linker}: {case:x?}: {said}"),
            Ok(image) if !is_refused => assert!(image.ours(0, &place).is_err(), "{case:x?}"),
            made => panic!("{linker}: {case:x?}: {:?}", made.err()),
        }
    }
}

#[test]
fn lld_still_gives_the_known_bytes() {
    let Some(lld) = installed(&["lld-link-22", "lld-link"]) else { return };
    let cases = [
        ("DIR32", At(0), 0),
        ("DIR32", At(0xffff_ffff), 0),
        ("DIR32", At(0x1234_5678), -0x1234_5679),
        ("DIR32", At(0), i32::MIN),
        ("DIR32", Inside(0x20), 3),
        ("DIR32NB", Inside(0x20), 3),
        ("DIR32NB", At(0x40_0000), 0),
        ("DIR32NB", At(0xffff_ffff), 0x3f_0000),
        ("REL32", Inside(0x20), 3),
        ("REL32", At(0), 0),
        ("REL32", At(0xffff_ffff), -1),
        ("REL32", At(0xf000_0000), 0x0fff_ffff),
        ("SECREL", Inside(0), 0),
        ("SECREL", Inside(0x1_fff0), 0x7fff_0000),
        ("SECTION", Inside(0x20), 0),
    ];
    let cut_off = [("DIR32", At(0xffff_ffff), 1), ("DIR32NB", At(0x3f_ffff), 0), ("SECREL", Inside(0), -1)];
    compare(lld, 0x40_0000, &cases, (&[], &cut_off));
    // Distances over half of all memory and more, either way.
    let cases = [("REL32", At(0x10), 0), ("REL32", At(0x8000_0000), 0x1000), ("DIR32NB", At(0xf000_0000), 0)];
    compare(lld, 0xf000_0000, &cases, (&[], &[("DIR32NB", At(0xefff_ffff), 0)]));
    compare(lld, 0x1_0000, &[("REL32", At(0xffff_ffff), 0), ("REL32", At(0xffff_fff0), 15)], (&[], &[]));
    // GNU's, and the one that nobody applies.
    for case in [("SECREL7", Inside(0), 0), ("RELBYTE", At(0), 0), ("RELWORD", At(0), 0), ("RELLONG", At(0), 0)] {
        let said = link(lld, &object(MACHINE, &[place(&case)]), 0x40_0000).err().unwrap_or_default();
        assert!(said.contains("unsupported relocation type"), "{case:x?}: {said}");
    }
}

#[test]
fn gnu_ld_still_gives_the_known_bytes() {
    let Some(ld) = installed(&["i686-w64-mingw32-ld"]) else { return };
    let cases = [
        ("DIR32", Inside(0x20), 3),
        ("DIR32", At(0xffff_ffff), 0),
        ("DIR32NB", Inside(0x20), 3),
        ("REL32", Inside(0x20), 3),
        ("REL32", At(0xffff_ffff), 0),
        ("REL32", At(0), -1),
        // Not SECTION: GNU ld counts sections too that it leaves out afterwards.
        ("SECREL", Inside(0x20), 3),
        ("RELBYTE", At(0x70), 3),
        ("RELBYTE", At(0xff), 0),
        ("RELBYTE", At(0), -0x80),
        ("RELWORD", At(0xfff0), 15),
        ("RELWORD", At(0), -0x8000),
        ("RELLONG", At(0xffff_ffff), 0),
        ("RELLONG", Inside(0x20), 3),
    ];
    let refused = [("RELBYTE", At(0x100), 0), ("RELWORD", At(0x1_0000), 0), ("RELWORD", At(0xffff), 1)];
    let cut_off = [
        ("DIR32", At(0xffff_ffff), 1),
        ("DIR32NB", At(0x3f_ffff), 0),
        ("SECREL", Inside(0), -1),
        // The last address is -1 to it, and two numbers that fit may have a sum that does not.
        ("RELBYTE", At(0xffff_ffff), -0x80),
        ("RELWORD", At(0xffff_ffff), -0x8000),
        ("RELLONG", At(0xffff_ffff), 1),
    ];
    compare(ld, 0x40_0000, &cases, (&refused, &cut_off));
    // It takes the relocation and leaves the field as it is.
    let seven = place(&("SECREL7", Inside(0x7f), 0));
    let image =
        link(ld, &object(MACHINE, std::slice::from_ref(&seven)), 0x40_0000).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((image.place(0, 1).1, image.ours(0, &seven)), (&[0][..], Ok(vec![0x7f])));
}
