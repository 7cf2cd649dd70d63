//! The rows of the architecture itself, which slots, stubs and moved instructions use by index. Their raw numbers are their indices and
//! stand in no object file.

use crate::fields::{ADD, ADRP, IMM26, LOAD64, WORD64};
use jitlink_core::reloc::{Base, Inputs, Overflow, Reloc, Subject, reloc};

/// A pointer: a GOT slot, or a constant that code loads.
pub const POINTER: u16 = 0;
/// The page of the target's GOT slot, in an `adrp`.
pub const SLOT_PAGE: u16 = 1;
/// Where in its page the target's GOT slot is, in a load.
pub const SLOT_LOW: u16 = 2;
/// The page of the target, in an `adrp`.
pub const PAGE: u16 = 3;
/// Where in its page the target is, in an `add`.
pub const LOW: u16 = 4;
/// A branch to the target.
pub const BRANCH: u16 = 5;
/// The address of the target's page, as a constant.
pub const PAGE_POINTER: u16 = 6;

/// The rows.
#[rustfmt::skip]
pub static ROWS: [Reloc; 7] = [
    //    raw  name                     subject           base             field    overflow
    reloc(0,   "aarch64 pointer",       Subject::Symbol,  Base::Zero,      &WORD64, Overflow::Ignore),
    reloc(1,   "aarch64 slot's page",   Subject::GotSlot, Base::PlacePage, &ADRP,   Overflow::Signed),
    reloc(2,   "aarch64 slot in page",  Subject::GotSlot, Base::Zero,      &LOAD64, Overflow::Ignore),
    reloc(3,   "aarch64 page",          Subject::Symbol,  Base::PlacePage, &ADRP,   Overflow::Signed),
    reloc(4,   "aarch64 in page",       Subject::Symbol,  Base::Zero,      &ADD,    Overflow::Ignore),
    reloc(5,   "aarch64 branch",        Subject::Symbol,  Base::Place,     &IMM26,  Overflow::Signed),
    reloc(6,   "aarch64 page pointer",  Subject::Symbol,  Base::Zero,      &WORD64, Overflow::Ignore).with_formula(page),
];

fn page(inputs: &Inputs) -> i64 {
    (inputs.subject as i64).wrapping_add(inputs.addend) & !0xfff
}
