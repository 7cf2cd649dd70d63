//! The rows of the architecture itself, which slots, stubs and calls use by index. Their raw numbers stand in no object file.

use super::toc::TOC;
use crate::fields::{D34, HA, HA_OF, LI24, LO_DS_OF, LO_OF, WORD16, WORD64};
use jitlink_core::Endian;
use jitlink_core::reloc::{Base, Field, Inputs, Overflow, Reloc, Subject, reloc};

/// Raw numbers of own rows start here, past all that objects can use.
pub(super) const FIRST: u32 = 0x1000;

/// A pointer: a GOT slot.
pub const POINTER: u16 = 0;
/// The upper half of the distance from the TOC base to the target's slot, in `addis`.
pub const TOC_SLOT_HA: u16 = 1;
/// The lower half of it, in `ld`.
pub const TOC_SLOT_LO: u16 = 2;
/// The upper half of the distance to the target's slot, in `addis`.
pub const SLOT_HA: u16 = 3;
/// The lower half of it, in `ld`.
pub const SLOT_LO: u16 = 4;
/// The upper half of the distance to the target, in `addis`.
pub const NEAR_HA: u16 = 5;
/// The lower half of it, in `addi`.
pub const NEAR_LO: u16 = 6;
/// The distance to the target's slot, in `pld`.
pub const SLOT34: u16 = 7;
/// The distance to the target, in `pla`.
pub const NEAR34: u16 = 8;
/// The distance to the target, in a branch.
pub const BRANCH: u16 = 9;
/// Eight bytes, `bl` and the `nop` behind it, that become `bl target; ld r2, 24(r1)`.
pub const CALL_AND_RESTORE: u16 = 10;
/// Eight bytes, `pld` of a slot's content, that become `pla target`.
pub const PLD_AS_PLA: u16 = 11;

/// As [`CALL_AND_RESTORE`], under the ELFv1 ABI, where the place in the caller's frame is another one.
pub const CALL_AND_RESTORE_V1: u16 = 12;
/// A call under the ELFv1 ABI to what is no function of the batch with a descriptor.
pub const CALL_V1: u16 = 13;

/// A call from code whose TOC base is not the callee's, or not that of the linker's slots.
pub const CALL_ACROSS: u16 = 14;
/// The distance to the TOC base of the code's own group, whole.
pub const OWN_TOC64: u16 = 15;
/// The upper half of it.
pub const OWN_TOC_HA: u16 = 16;
/// The lower half of it.
pub const OWN_TOC_LO: u16 = 17;

/// The lower half of the distance to the target's slot, in `addi`.
pub const SLOT_LO_WHOLE: u16 = 18;

/// The address of the target's slot.
pub const SLOT_ADDRESS: u16 = 19;
/// The address of the place itself, plus the addend.
pub const OWN_ADDRESS: u16 = 20;

/// A call under the ELFv1 ABI to the descriptor of a function with another TOC base.
pub const CALL_V1_ACROSS: u16 = 21;
/// As [`CALL_V1`], from code whose TOC base is not that of the linker's slots.
pub const CALL_V1_APART: u16 = 22;

/// `ld r2, 24(r1)`: what a caller's TOC base is got back with (ELFv2 ABI, "The Stack Frame").
pub(super) const RESTORE_TOC: u32 = 0xe841_0018;
/// `ld r2, 40(r1)`: the same under the ELFv1 ABI.
pub(super) const RESTORE_TOC_V1: u32 = 0xe841_0028;

static CALL_FIELD: Field = Field::coded(8, 26, insert_call, extract_call).align(4);
static CALL_V1_FIELD: Field = Field::coded(8, 26, insert_call_v1, extract_call).align(4);
static PLA_FIELD: Field = Field::coded(8, 34, insert_pla, extract_pla);

/// The rows.
#[rustfmt::skip]
pub static ROWS: [Reloc; 23] = [
    //    raw         name                              subject           base               field        overflow
    reloc(FIRST,      "ppc64 pointer",                  Subject::Symbol,  Base::Zero,        &WORD64,     Overflow::Ignore),
    reloc(FIRST + 1,  "ppc64 TOC slot, upper",          Subject::GotSlot, Base::Anchor(TOC), &HA_OF,      Overflow::Signed),
    reloc(FIRST + 2,  "ppc64 TOC slot, lower",          Subject::GotSlot, Base::Anchor(TOC), &LO_DS_OF,   Overflow::Ignore),
    reloc(FIRST + 3,  "ppc64 slot distance, upper",     Subject::GotSlot, Base::Place,       &HA_OF,      Overflow::Signed),
    reloc(FIRST + 4,  "ppc64 slot distance, lower",     Subject::GotSlot, Base::Place,       &LO_DS_OF,   Overflow::Ignore),
    reloc(FIRST + 5,  "ppc64 distance, upper",          Subject::Symbol,  Base::Place,       &HA_OF,      Overflow::Signed),
    reloc(FIRST + 6,  "ppc64 distance, lower",          Subject::Symbol,  Base::Place,       &LO_OF,      Overflow::Ignore),
    reloc(FIRST + 7,  "ppc64 slot distance, prefixed",  Subject::GotSlot, Base::Place,       &D34,        Overflow::Signed),
    reloc(FIRST + 8,  "ppc64 distance, prefixed",       Subject::Symbol,  Base::Place,       &D34,        Overflow::Signed),
    reloc(FIRST + 9,  "ppc64 branch",                   Subject::Callee,  Base::Place,       &LI24,       Overflow::Signed),
    reloc(FIRST + 10, "ppc64 call that restores the TOC", Subject::Callee, Base::Place,      &CALL_FIELD, Overflow::Signed),
    reloc(FIRST + 11, "ppc64 pld as pla",               Subject::Symbol,  Base::Place,       &PLA_FIELD,  Overflow::Signed),
    reloc(FIRST + 12, "ppc64 call that restores the TOC (ELFv1)", Subject::Callee, Base::Place, &CALL_V1_FIELD, Overflow::Signed),
    reloc(FIRST + 13, "R_PPC64_REL24",                  Subject::Callee,  Base::Place,       &LI24,       Overflow::Signed),
    reloc(FIRST + 14, "R_PPC64_REL24 across TOC groups", Subject::Callee, Base::Place,       &LI24,       Overflow::Signed),
    reloc(FIRST + 15, "ppc64 TOC base",                 Subject::GotBase, Base::Anchor(TOC), &WORD64,     Overflow::Ignore).with_formula(own_toc),
    reloc(FIRST + 16, "ppc64 TOC base, upper",          Subject::GotBase, Base::Anchor(TOC), &HA,         Overflow::Signed).with_formula(own_toc),
    reloc(FIRST + 17, "ppc64 TOC base, lower",          Subject::GotBase, Base::Anchor(TOC), &WORD16,     Overflow::Ignore).with_formula(own_toc),
    reloc(FIRST + 18, "ppc64 slot distance, lower, whole", Subject::GotSlot, Base::Place,    &LO_OF,      Overflow::Ignore),
    reloc(FIRST + 19, "ppc64 slot address",             Subject::GotSlot, Base::Zero,        &WORD64,     Overflow::Ignore),
    reloc(FIRST + 20, "ppc64 own address",              Subject::Symbol,  Base::Zero,        &WORD64,     Overflow::Ignore).with_formula(own_address),
    reloc(FIRST + 21, "R_PPC64_REL24 across TOC groups (ELFv1)", Subject::Callee, Base::Place, &LI24,    Overflow::Signed),
    reloc(FIRST + 22, "R_PPC64_REL24",                  Subject::Callee,  Base::Place,       &LI24,       Overflow::Signed),
];

/// P + A.
fn own_address(inputs: &Inputs) -> i64 {
    (inputs.place as i64).wrapping_add(inputs.addend)
}

/// `.TOC.` + A - P, where `.TOC.` is that of the block's group.
fn own_toc(inputs: &Inputs) -> i64 {
    (inputs.anchor as i64).wrapping_add(inputs.addend).wrapping_sub(inputs.place as i64)
}

fn insert_call(bytes: &mut [u8], value: u64, endian: Endian) {
    LI24.insert(&mut bytes[..4], value, endian);
    endian.write(&mut bytes[4..8], u64::from(RESTORE_TOC));
}

fn insert_call_v1(bytes: &mut [u8], value: u64, endian: Endian) {
    LI24.insert(&mut bytes[..4], value, endian);
    endian.write(&mut bytes[4..8], u64::from(RESTORE_TOC_V1));
}

fn extract_call(bytes: &[u8], endian: Endian) -> i64 {
    LI24.extract(&bytes[..4], endian)
}

/// `pld rt, value` (a load, prefix type 0) becomes `pla rt, value` (`paddi`, prefix type 2); the register stays.
fn insert_pla(bytes: &mut [u8], value: u64, endian: Endian) {
    let register = endian.read(&bytes[4..8]) & 0x03e0_0000;
    endian.write(&mut bytes[..4], 0x0610_0000);
    endian.write(&mut bytes[4..8], 0x3800_0000 | register);
    D34.insert(bytes, value, endian);
}

fn extract_pla(bytes: &[u8], endian: Endian) -> i64 {
    D34.extract(bytes, endian)
}
