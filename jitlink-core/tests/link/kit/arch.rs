//! The toy machine: an architecture and its relocations that no other crate knows.
//!
//! An instruction is a word of four bytes in the target's byte order, whose highest byte is the operation. Some are followed by
//! an operand: a distance of four bytes from the operand itself, or an address of eight. Calls come with a short distance in
//! the word (13 bits: 4 KiB either way), so that a batch of a few pages already needs thunks.

use jitlink_core::Endian;
use jitlink_core::arch::{ArchInfo, CodeSite, Outlined, Relaxed, StubFixup, StubKind, StubTemplate};
use jitlink_core::reloc::{Base, Field, Overflow, Reloc, RelocTable, Subject, bits, reloc};
use jitlink_core::{Registry, TargetArch, registry::Plugin};

/// Calls a distance held in the low 13 bits.
pub const CALL: u8 = 0x10;
/// Returns.
pub const RET: u8 = 0x11;
/// Jumps to the address in the pointer at a distance.
pub const JMP_SLOT: u8 = 0x12;
/// Calls a distance of 32 bits.
pub const CALL32: u8 = 0x14;
/// Loads the pointer at a distance.
pub const LOAD: u8 = 0x15;
/// Loads the address at a distance.
pub const LEA: u8 = 0x16;
/// Calls what was loaded.
pub const CALL_LOADED: u8 = 0x17;
/// Jumps a distance of 32 bits.
pub const JMP32: u8 = 0x18;
/// Says that it was reached, with the number in the low 16 bits.
pub const TAG: u8 = 0x19;
/// Loads an address of eight bytes.
pub const LEA64: u8 = 0x1a;

static NONE: Field = Field::none();
static WORD16: Field = Field::plain(2);
static WORD32: Field = Field::plain(4);
static WORD64: Field = Field::plain(8);
static SHORT: Field = Field::word(4, &[bits(0, 13, 0, 0)]);
static ALIGNED: Field = Field::plain(4).align(4);
// The high part of a value, rounded for a low part that is sign-extended.
static HIGH: Field = Field::word(4, &[bits(16, 16, 0, 4)]).round(0x8000);
static SPLIT: Field = Field::word(2, &[bits(0, 12, 1, 0), bits(12, 8, 0, 4)]);
// What stands in the word takes part: several relocations of one word sum up.
static SUM32: Field = Field::plain(4).adding();
static SUM6: Field = Field::word(1, &[bits(0, 6, 0, 0)]).adding();
static LEA_FIELD: Field = Field::coded(8, 32, insert_lea, extract_lea);

fn insert_lea(bytes: &mut [u8], value: u64, endian: Endian) {
    endian.write(&mut bytes[..4], u64::from(LEA) << 24);
    endian.write(&mut bytes[4..8], value);
}

fn extract_lea(bytes: &[u8], endian: Endian) -> i64 {
    i64::from(endian.read(&bytes[4..8]) as u32 as i32)
}

use Overflow::{Bitfield, Ignore, Signed, Unsigned};
use Subject::{Callee, GotBase, GotSlot, SectionIndex, Size, Symbol, TpOffset};

#[rustfmt::skip]
pub static ROWS: [Reloc; 29] = [
    Reloc::none(0, "NONE"),
    reloc(1,  "ABS64",    Symbol,       Base::Zero,      &WORD64,  Ignore),
    reloc(2,  "ABS32",    Symbol,       Base::Zero,      &WORD32,  Unsigned),
    reloc(3,  "ABS16",    Symbol,       Base::Zero,      &WORD16,  Bitfield),
    reloc(4,  "REL32",    Symbol,       Base::Place,     &WORD32,  Signed),
    reloc(5,  "REL64",    Symbol,       Base::Place,     &WORD64,  Ignore),
    reloc(6,  "CALL",     Callee,       Base::Place,     &SHORT,   Signed),
    reloc(7,  "SLOT",     GotSlot,      Base::Place,     &WORD32,  Signed),
    reloc(8,  "SLOTX",    GotSlot,      Base::Place,     &WORD32,  Signed).relax(),
    reloc(9,  "GOTOFF",   Symbol,       Base::Got,       &WORD32,  Signed),
    reloc(10, "SLOTOFF",  GotSlot,      Base::Got,       &WORD32,  Signed),
    reloc(11, "GOTREL",   GotBase,      Base::Place,     &WORD32,  Signed),
    reloc(12, "SIZE",     Size,         Base::Zero,      &WORD32,  Unsigned),
    reloc(13, "IMAGE",    Symbol,       Base::Image,     &WORD32,  Unsigned),
    reloc(14, "SECREL",   Symbol,       Base::Section,   &WORD32,  Unsigned),
    reloc(15, "ANCHOR",   Symbol,       Base::Anchor(7), &WORD16,  Signed),
    reloc(16, "PAGE",     Symbol,       Base::PlacePage, &WORD32,  Signed),
    reloc(17, "HIGH",     Symbol,       Base::Zero,      &HIGH,    Ignore),
    reloc(18, "SPLIT",    Symbol,       Base::Zero,      &SPLIT,   Ignore),
    reloc(19, "FORMULA",  Symbol,       Base::Zero,      &WORD64,  Ignore).with_formula(|inputs| {
        (inputs.subject as i64).wrapping_add(inputs.addend) ^ inputs.place as i64
    }),
    reloc(20, "REFUSED",  Symbol,       Base::Zero,      &WORD32,  Ignore).refuse("only a dynamic linker applies it"),
    reloc(21, "SECTION",  SectionIndex, Base::Zero,      &WORD16,  Unsigned),
    reloc(22, "ALIGNED",  Symbol,       Base::Place,     &ALIGNED, Signed),
    reloc(23, "CALL32",   Callee,       Base::Place,     &WORD32,  Signed),
    reloc(24, "TPOFF",    TpOffset,     Base::Zero,      &WORD32,  Signed),
    reloc(25, "ABS32S",   Symbol,       Base::Zero,      &WORD32,  Signed),
    reloc(26, "ADD32",    Symbol,       Base::Zero,      &SUM32,   Ignore),
    reloc(27, "SUB32",    Symbol,       Base::Zero,      &SUM32,   Ignore).with_formula(|inputs| {
        (inputs.subject as i64).wrapping_add(inputs.addend).wrapping_neg()
    }),
    reloc(28, "ADD6",     Symbol,       Base::Zero,      &SUM6,    Ignore),
];

const POINTER4: u16 = 0;
const POINTER8: u16 = 1;
const SLOT_DISTANCE: u16 = 2;
const DISTANCE: u16 = 3;
const RELAXED: u16 = 4;

#[rustfmt::skip]
static OWN_ROWS: [Reloc; 5] = [
    reloc(0, "toy pointer4",      Symbol,  Base::Zero,  &WORD32,    Unsigned),
    reloc(1, "toy pointer8",      Symbol,  Base::Zero,  &WORD64,    Ignore),
    reloc(2, "toy slot distance", GotSlot, Base::Place, &WORD32,    Signed),
    reloc(3, "toy distance",      Symbol,  Base::Place, &WORD32,    Signed),
    reloc(4, "toy load as lea",   Symbol,  Base::Place, &LEA_FIELD, Signed),
];

/// The machine in one byte order.
pub struct Toy {
    info: ArchInfo,
    plt: StubTemplate,
    thunk: StubTemplate,
    lazy: StubTemplate,
    binder: StubTemplate,
    endian: Endian,
}

static LAZY_FIXUPS: [StubFixup; 2] =
    [StubFixup { offset: 4, row: SLOT_DISTANCE, addend: 0 }, StubFixup { offset: 12, row: DISTANCE, addend: 0 }];
static BINDER_FIXUPS: [StubFixup; 1] = [StubFixup { offset: 4, row: POINTER8, addend: 0 }];

const fn info(name: &'static str) -> ArchInfo {
    ArchInfo::new(name, "a machine of the tests", &OWN_ROWS)
        .pointer_rows(Some(POINTER4), Some(POINTER8))
        .trap(&[0xee])
        .got_bias(0x20)
        .call_reach(0x1000)
}

// Neither size is a multiple of its alignment, so that the space between stubs counts.
pub static LITTLE: Toy = Toy {
    info: info("toy-little"),
    plt: StubTemplate::new(
        &[0, 0, 0, JMP_SLOT, 0, 0, 0, 0, 0xee],
        8,
        &[StubFixup { offset: 4, row: SLOT_DISTANCE, addend: 0 }],
    ),
    thunk: StubTemplate::new(
        &[0, 0, 0, JMP32, 0, 0, 0, 0, 0xee],
        4,
        &[StubFixup { offset: 4, row: DISTANCE, addend: 0 }],
    ),
    lazy: StubTemplate::new(&[0, 0, 0, LEA, 0, 0, 0, 0, 0, 0, 0, JMP32, 0, 0, 0, 0], 4, &LAZY_FIXUPS),
    binder: StubTemplate::new(
        &[0, 0, 0, LEA64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, CALL_LOADED, 0, 0, 0, RET],
        4,
        &BINDER_FIXUPS,
    ),
    endian: Endian::Little,
};

static BIG: Toy = Toy {
    info: info("toy-big"),
    plt: StubTemplate::new(
        &[JMP_SLOT, 0, 0, 0, 0, 0, 0, 0, 0xee],
        8,
        &[StubFixup { offset: 4, row: SLOT_DISTANCE, addend: 0 }],
    ),
    thunk: StubTemplate::new(
        &[JMP32, 0, 0, 0, 0, 0, 0, 0, 0xee],
        4,
        &[StubFixup { offset: 4, row: DISTANCE, addend: 0 }],
    ),
    lazy: StubTemplate::new(&[LEA, 0, 0, 0, 0, 0, 0, 0, JMP32, 0, 0, 0, 0, 0, 0, 0], 4, &LAZY_FIXUPS),
    binder: StubTemplate::new(
        &[LEA64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, CALL_LOADED, 0, 0, 0, RET, 0, 0, 0],
        4,
        &BINDER_FIXUPS,
    ),
    endian: Endian::Big,
};

impl Toy {
    fn word(&self, operation: u8) -> Vec<u8> {
        let mut word = vec![0; 4];
        self.endian.write(&mut word, u64::from(operation) << 24);
        word
    }

    /// The operation whose operand is the field.
    fn operation(&self, site: &CodeSite<'_>) -> Option<u8> {
        let start = site.edge.offset.checked_sub(4)? as usize;
        Some((self.endian.read(&site.block[start..start + 4]) >> 24) as u8)
    }
}

impl TargetArch for Toy {
    fn info(&self) -> &'static ArchInfo {
        match self.endian {
            Endian::Little => &LITTLE.info,
            Endian::Big => &BIG.info,
        }
    }

    fn stub(&self, kind: StubKind) -> Option<&'static StubTemplate> {
        let toy = if self.endian == Endian::Little { &LITTLE } else { &BIG };
        match kind {
            StubKind::Plt => Some(&toy.plt),
            StubKind::Thunk => Some(&toy.thunk),
            StubKind::Lazy => Some(&toy.lazy),
            StubKind::Binder => Some(&toy.binder),
            _ => None,
        }
    }

    fn relax(&self, site: &CodeSite<'_>) -> Option<Relaxed> {
        (self.operation(site) == Some(LOAD)).then(|| Relaxed {
            row: RELAXED,
            offset: site.edge.offset - 4,
            addend: site.edge.addend - 4,
        })
    }

    fn is_branch(&self, site: &CodeSite<'_>) -> bool {
        site.edge.addend == 0 && matches!(self.operation(site), Some(CALL32 | JMP32))
    }

    fn outline(&self, site: &CodeSite<'_>) -> Result<Outlined, String> {
        if self.operation(site) != Some(LEA) {
            return Err("only LEA can be moved".into());
        }
        let patch = [self.word(JMP32), vec![0; 4]].concat();
        let code = [self.word(LEA64), vec![0; 8], self.word(JMP32), vec![0; 4]].concat();
        let after = i64::from(site.edge.offset) + 4;
        Ok(Outlined {
            offset: site.edge.offset - 4,
            patch,
            jump_row: DISTANCE,
            jump: (4, 0),
            code,
            target_fixups: vec![(4, POINTER8, site.edge.addend)],
            block_fixups: vec![(16, DISTANCE, after)],
        })
    }
}

/// The toy backends in a registry made by hand.
pub fn registry() -> Registry {
    let tables = [(1, 8, "toy-little"), (1, 4, "toy-little"), (2, 8, "toy-big"), (2, 4, "toy-big")];
    let tables =
        tables.map(|(machine, pointer, arch)| Plugin::Relocs(RelocTable::new("toy", machine, pointer, arch, &ROWS)));
    let rest = [Plugin::Format(&super::format::ToyFormat), Plugin::Arch(&LITTLE), Plugin::Arch(&BIG)];
    tables
        .into_iter()
        .chain(rest)
        .try_fold(Registry::empty(), |registry, plugin| registry.with(plugin))
        .expect("every entry is there once")
}

/// The table's row of a name.
pub fn row(name: &str) -> Option<&'static Reloc> {
    ROWS.iter().find(|row| row.name() == name)
}

/// A field that nothing is written to needs no space.
pub fn field_bytes(row: &Reloc) -> usize {
    if row.subject() == Subject::Nothing { NONE.bytes() } else { row.field().bytes() }
}
