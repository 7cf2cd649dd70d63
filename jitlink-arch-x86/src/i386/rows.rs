//! The rows of the architecture itself, which slots and stubs use by index. Their raw numbers are their indices and stand in no
//! object file.

use jitlink_core::reloc::{Base, Field, Overflow, Reloc, Subject, reloc};

/// A pointer: a GOT slot.
pub const POINTER: u16 = 0;
/// The address of the target's GOT slot, in a PLT stub.
pub const SLOT: u16 = 1;

static WORD32: Field = Field::plain(4);

/// The rows.
#[rustfmt::skip]
pub static ROWS: [Reloc; 2] = [
    //    raw  name             subject           base        field    overflow
    reloc(0,   "i386 pointer",  Subject::Symbol,  Base::Zero, &WORD32, Overflow::Bitfield),
    reloc(1,   "i386 slot",     Subject::GotSlot, Base::Zero, &WORD32, Overflow::Unsigned),
];
