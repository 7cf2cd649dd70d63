//! The relocations of COFF objects: known answers on both sides of each limit over fields with something in them, and the same of LLD.

#[path = "../../jitlink-arch-x86/tests/coff_linkers/mod.rs"]
mod coff_linkers;

use coff_linkers::Target::{At, Inside};
use coff_linkers::{Place, Target, installed, link, object};
use jitlink_arch_aarch64::{AARCH64, COFF_AARCH64};
use jitlink_core::registry::{Plugin, Registry};
use jitlink_core::reloc::{FieldError, Inputs, Reloc, RowTable, apply, evaluate};
use jitlink_core::testing::check_row;
use jitlink_core::{Endian, TargetArch};

const MACHINE: u16 = 0xaa64;

fn row(name: &str) -> &'static Reloc {
    let rows = COFF_AARCH64.rows().iter();
    rows.clone().find(|row| row.name() == format!("IMAGE_REL_ARM64_{name}")).unwrap_or_else(|| panic!("no {name}"))
}

/// What a row makes of bytes, whose field holds the addend.
fn written(name: &str, inputs: Inputs, bytes: &[u8]) -> Result<Vec<u8>, FieldError> {
    let row = row(name);
    let addend = row.implicit_addend(bytes, Endian::Little);
    let mut bytes = bytes.to_vec();
    apply(row, &mut bytes, evaluate(row, &Inputs { addend, ..inputs }), Endian::Little)?;
    Ok(bytes)
}

#[test]
fn rows_are_sound() {
    // The immediates of loads and stores have more bits than offsets in a page, so not all that may stand there is written
    // back: the known answers are the test of these.
    let is_scaled = |row: &&Reloc| row.name().ends_with("12L");
    assert_eq!(COFF_AARCH64.rows().iter().filter(is_scaled).count(), 2);
    COFF_AARCH64.rows().iter().filter(|row| !is_scaled(row)).for_each(check_row);
    AARCH64.info().rows().iter().for_each(check_row);
    assert!(RowTable::new(AARCH64.info().rows(), COFF_AARCH64.rows()).is_ok());
    assert_eq!(COFF_AARCH64.rows().iter().map(|row| row.raw()).collect::<Vec<_>>(), (0..18).collect::<Vec<_>>());
    let refused = COFF_AARCH64.rows().iter().filter(|row| row.refusal().is_some());
    assert_eq!(refused.map(|row| row.raw()).collect::<Vec<_>>(), [12]);
}

#[test]
fn registers_itself_and_by_hand() {
    let by_hand = Registry::empty().with(Plugin::Arch(&AARCH64)).unwrap().with(Plugin::Relocs(COFF_AARCH64)).unwrap();
    for registry in [Registry::global().unwrap(), by_hand] {
        let shown = format!("{registry:?}");
        assert_eq!(shown, r#"Registry { formats: [], archs: ["aarch64"], tables: [("coff", "aarch64")] }"#);
    }
}

/// An image at 0x140000000, the field at 0x140001010, the target at 0x140003028 of a section that starts at 0x140003000.
fn usual() -> Inputs {
    Inputs {
        subject: 0x1_4000_3028,
        place: 0x1_4000_1010,
        image: 0x1_4000_0000,
        section: 0x1_4000_3000,
        ..Inputs::default()
    }
}

#[test]
fn formulas_give_the_known_bytes() {
    // Words as llvm-mc makes them of the instructions at the right; the addend that stood there is at the left.
    #[rustfmt::skip]
    let answers: [(&str, u32, u32); 15] = [
        ("ADDR32NB",       3,           0x0000_302b), // S + A - image
        ("REL32",          3,           0x0000_2017), // S + A - (P + 4)
        ("SECREL",         3,           0x0000_002b), // S + A - section
        ("BRANCH26",       0x9400_0002, 0x9400_0808), // bl +8              bl .+0x2020
        ("BRANCH19",       0x54ff_ffe0, 0x5401_00a0), // b.eq -4            b.eq .+0x2014
        ("BRANCH14",       0x3718_0020, 0x3719_00e0), // tbnz w0, #3, +4    tbnz w0, #3, .+0x201c
        ("PAGEBASE_REL21", 0x9000_8005, 0xf000_0005), // adrp x5, +0x1000      adrp x5, 3 pages on
        ("REL21",          0x1000_0045, 0x1001_0105), // adr x5, +8         adr x5, .+0x2020
        ("PAGEOFFSET_12A", 0x9100_0c41, 0x9100_ac41), // add x1, x2, #3     add x1, x2, #0x2b
        ("PAGEOFFSET_12L", 0xf940_0441, 0xf940_1841), // ldr x1, [x2, #8]   ldr x1, [x2, #0x30]
        ("PAGEOFFSET_12L", 0xb940_0441, 0xb940_2c41), // ldr w1, [x2, #4]   ldr w1, [x2, #0x2c]
        ("PAGEOFFSET_12L", 0x3940_0441, 0x3940_a441), // ldrb w1, [x2, #1]  ldrb w1, [x2, #0x29]
        ("SECREL_LOW12A",  0x9100_0c41, 0x9100_ac41), // add x1, x2, #3     add x1, x2, #0x2b
        ("SECREL_HIGH12A", 0x917f_fc41, 0x9140_0441), // add x1, x2, #0xfff of bytes: #1, lsl #12
        ("SECREL_LOW12L",  0x7940_0441, 0x7940_5441), // ldrh w1, [x2, #2]  ldrh w1, [x2, #0x2a]
    ];
    for (name, stored, expected) in answers {
        let found =
            written(name, usual(), &stored.to_le_bytes()).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap()));
        assert_eq!(found.map(|word| format!("{word:#010x}")), Ok(format!("{expected:#010x}")), "{name} {stored:#x}");
    }
    assert_eq!(written("ADDR64", usual(), &3u64.to_le_bytes()), Ok(0x1_4000_302b_u64.to_le_bytes().to_vec()));
    assert_eq!(written("SECTION", Inputs { subject: 2, ..usual() }, &[0, 0]), Ok(vec![2, 0]));
    assert_eq!(written("ABSOLUTE", usual(), &[]), Ok(vec![]));
    let low = Inputs { subject: 0x0040_3020, ..usual() };
    assert_eq!(written("ADDR32", low, &[3, 0, 0, 0]), Ok(vec![0x23, 0x30, 0x40, 0]));
}

#[test]
fn limits_are_exact() {
    let at = |name: &str, value: i128| {
        let without = i128::from(evaluate(row(name), &Inputs { subject: 0, ..usual() }));
        let bias = i128::from(row(name).implicit_addend(&[0; 8], Endian::Little));
        let subject = (value - without - bias) as u64;
        let subject = if name == "PAGEBASE_REL21" { subject & !0xfff } else { subject };
        written(name, Inputs { subject, ..usual() }, &[0; 8][..row(name).field().bytes()])
    };
    for (name, low, high, step) in [
        ("ADDR32", i128::from(i32::MIN), 0xffff_ffff, 1),
        ("ADDR32NB", 0, 0xffff_ffff, 1),
        ("REL32", i128::from(i32::MIN), i128::from(i32::MAX), 1),
        ("SECTION", 0, 0xffff, 1),
        ("SECREL", 0, 0xffff_ffff, 1),
        ("SECREL_HIGH12A", 0, 0xff_ffff, 1),
        ("BRANCH26", -0x800_0000, 0x7ff_fffc, 4),
        ("BRANCH19", -0x10_0000, 0xf_fffc, 4),
        ("BRANCH14", -0x8000, 0x7ffc, 4),
        ("REL21", -0x10_0000, 0xf_ffff, 1),
        ("PAGEBASE_REL21", -0x1_0000_0000, 0xffff_f000, 0x1000),
    ] {
        for (value, beyond) in [(low, low - step), (high, high + step)] {
            assert!(at(name, value).is_ok(), "{name} {value:#x}");
            assert_eq!(at(name, beyond), Err(FieldError::Range { value: beyond as i64 }), "{name} {beyond:#x}");
        }
    }
}

#[test]
fn what_is_not_at_a_multiple_of_its_size_is_refused() {
    let off = |offset: u64| Inputs { subject: 0x1_4000_3000 + offset, ..usual() };
    for (word, size) in [
        (0x3940_0000u32, 1), // ldrb w0, [x0]
        (0x7940_0000, 2),    // ldrh w0, [x0]
        (0xb940_0000, 4),    // ldr w0, [x0]
        (0xf940_0000, 8),    // ldr x0, [x0]
        (0x3dc0_0000, 16),   // ldr q0, [x0]
        (0x3d80_0000, 16),   // str q0, [x0]
        (0x3d40_0000, 1),    // ldr b0, [x0]
        (0xfd40_0000, 8),    // ldr d0, [x0]
        (0xb980_0000, 4),    // ldrsw x0, [x0]
    ] {
        for name in ["PAGEOFFSET_12L", "SECREL_LOW12L"] {
            let inside = written(name, off(0xff0 + 16 - size), &word.to_le_bytes()).expect("a multiple");
            let immediate = (0x1000 - size as u32) / size as u32;
            assert_eq!(inside, (word | immediate << 10).to_le_bytes(), "{name} {word:#x}");
            if size > 1 {
                let refused = written(name, off(size / 2), &word.to_le_bytes());
                let value = if name == "SECREL_LOW12L" { size as i64 / 2 } else { 0x1_4000_3000 + size as i64 / 2 };
                assert_eq!(refused, Err(FieldError::Align { value, align: size as u32 }), "{name} {word:#x}");
            }
        }
    }
    for name in ["BRANCH26", "BRANCH19", "BRANCH14"] {
        let refused = written(name, off(2), &[0; 4]);
        assert_eq!(refused, Err(FieldError::Align { value: 0x1ff2, align: 4 }), "{name}");
    }
}

/// A relocation, the word that it is applied to, and what it refers to.
type Case = (&'static str, u32, Target);

fn place(&(name, word, target): &Case) -> Place {
    Place::new(row(name), target, word.into())
}

/// What LLD makes of the cases is what we make of them.
fn compare(lld: &str, base: u64, cases: &[Case]) {
    let places: Vec<Place> = cases.iter().map(place).collect();
    let image = link(lld, &object(MACHINE, &places), base).unwrap_or_else(|error| panic!("{error}"));
    for (index, (place, case)) in places.iter().zip(cases).enumerate() {
        let (at, theirs) = image.place(index, place.bytes.len());
        assert_eq!(image.ours(index, place).as_deref(), Ok(theirs), "{case:x?} at {at:#x}");
    }
}

/// Where LLD puts the bytes of a single place.
const FIRST: u64 = 0x1008;

#[test]
fn lld_still_gives_the_known_bytes() {
    let Some(lld) = installed(&["lld-link-22", "lld-link"]) else { return };
    let words = [
        ("ADDR64", 3, Inside(0x28)),
        ("ADDR32", 3, At(0x1234_5678)),
        ("ADDR32", 0, At(0xffff_ffff)),
        ("ADDR32NB", 3, Inside(0x28)),
        ("REL32", 3, Inside(0x28)),
        ("SECREL", 3, Inside(0x28)),
        ("SECREL", 0x7000_0000, Inside(0x1ff_ffff)),
        ("SECTION", 0, Inside(0)),
        ("SECREL_LOW12A", 0x9100_0c41, Inside(0x1_2ffe)),
        ("SECREL_HIGH12A", 0x9140_0c41, Inside(0x1_2ffe)),
        ("SECREL_HIGH12A", 0x917f_fc41, Inside(0x1_2001)),
        ("SECREL_HIGH12A", 0x9140_0041, Inside(0xff_ffff)),
        ("SECREL_LOW12L", 0xf940_0441, Inside(0x1_2ff8)),
        ("PAGEBASE_REL21", 0x9000_8005, Inside(0x28)),
        ("PAGEBASE_REL21", 0xb0ff_ffe5, Inside(0x28)),
        ("REL21", 0x1000_0045, At(0x1008_0000)),
        ("PAGEOFFSET_12A", 0x9100_0c41, Inside(0x1fff)),
        ("PAGEOFFSET_12A", 0x913f_fc41, Inside(0x1001)),
        ("PAGEOFFSET_12L", 0xf940_0441, Inside(0x1ff8)),
        ("PAGEOFFSET_12L", 0x3dc0_0441, Inside(0x10)),
        ("PAGEOFFSET_12L", 0x3dff_fc41, Inside(0)),
        ("PAGEOFFSET_12L", 0x3940_0441, Inside(0xfff)),
        ("BRANCH26", 0x9400_0000, Inside(0x28)),
        ("BRANCH19", 0xb400_0003, At(0x1000_2000)),
        ("BRANCH14", 0x3718_0003, At(0x1000_2000)),
    ];
    compare(lld, 0x1000_0000, &words);
}

/// A relocation, the word that it is applied to and at which base; what fits, what does not, and what LLD says to that, unless it cuts it
/// off or makes a thunk.
type Limit = (&'static str, u32, u64, Target, Target, Option<&'static str>);

#[test]
fn lld_has_the_same_limits_or_none() {
    let Some(lld) = installed(&["lld-link-22", "lld-link"]) else { return };
    let base = 0x1000_0000;
    let at = |distance: i64| At((base as i64 + FIRST as i64 + distance) as u32);
    let limits: [Limit; 19] = [
        ("BRANCH26", 0x1400_0000, base, at(0x7ff_fffc), at(0x800_0000), None),
        ("BRANCH26", 0x9400_0000, base, at(-0x800_0000), at(-0x800_0004), None),
        ("BRANCH19", 0x5400_0000, base, at(0xf_fffc), at(0x10_0000), None),
        ("BRANCH19", 0xb400_0000, base, at(-0x10_0000), at(-0x10_0004), None),
        ("BRANCH14", 0x3600_0000, base, at(0x7ffc), at(0x8000), None),
        ("BRANCH14", 0x3700_0000, base, at(-0x8000), at(-0x8004), None),
        ("REL21", 0x1000_0000, base, at(0xf_ffff), at(0x10_0000), None),
        ("REL21", 0x1000_0000, base, at(-0x10_0000), at(-0x10_0001), None),
        // From the second page behind 4 GiB to the second of all; and, with 0x12000 bytes more, from one at the start to the last.
        ("PAGEBASE_REL21", 0x9000_0000, 0x1_0000_0000, At(0x1000), At(0xfff), None),
        ("PAGEBASE_REL21", 0x9009_0000, 0x1_0000, At(0xffff_efff), At(0xffff_ffff), None),
        ("ADDR32NB", 0, base, At(base as u32), At(base as u32 - 1), None),
        (
            "SECREL_HIGH12A",
            0x9140_0000,
            base,
            Inside(0xff_ffff),
            Inside(0x100_0000),
            Some("overflow in SECREL_HIGH12A"),
        ),
        ("PAGEOFFSET_12L", 0xf940_0000, base, Inside(8), Inside(4), Some("misaligned ldr/str offset")),
        ("SECREL_LOW12L", 0x3dc0_0000, base, Inside(16), Inside(8), Some("misaligned ldr/str offset")),
        ("REL32", 0, base, at(0x8000_0003), at(0x8000_0004), None),
        ("REL32", 0, 0x9000_0000, At(0x1000_100c), At(0x1000_100b), None),
        ("ADDR32", 1, base, At(0xffff_fffe), At(0xffff_ffff), None),
        ("ADDR32NB", 0x1000_0001, base, At(0xffff_fffe), At(0xffff_ffff), None),
        ("SECREL", 0xffff_ffff, base, Inside(1), Inside(0), None),
    ];
    for (name, word, base, inside, beyond, said) in limits {
        let inside = (name, word, inside);
        compare(lld, base, &[inside]);
        let image = link(lld, &object(MACHINE, &[place(&inside)]), base).expect("the same once more");
        let beyond = (name, word, beyond);
        assert!(image.ours(0, &place(&beyond)).is_err(), "{beyond:x?}");
        if let Some(said) = said {
            let error = link(lld, &object(MACHINE, &[place(&beyond)]), base).err().unwrap_or_default();
            assert!(error.contains(said), "{beyond:x?}: {error}");
        }
    }
}
