//! The rows of the architecture itself, which slots, stubs and passes use by index. Their raw numbers stand in no object file.

use crate::fields::{HA_OF, LI24, LO_OF, WORD32};
use jitlink_core::Endian;
use jitlink_core::reloc::{Base, Field, Overflow, Reloc, Subject, reloc};

/// Raw numbers of own rows start here, past all that objects can use.
const FIRST: u32 = 0x1000;

/// A pointer: a GOT slot.
pub const POINTER: u16 = 0;
/// The upper half of the address of the target's slot, in `lis`.
pub const SLOT_HA: u16 = 1;
/// The lower half of it, in `lwz` or `addi`.
pub const SLOT_LO: u16 = 2;
/// The upper half of the target's address, in `lis`.
pub const ADDRESS_HA: u16 = 3;
/// The lower half of it, in `addi`.
pub const ADDRESS_LO: u16 = 4;
/// The distance to the target, in a branch.
pub const BRANCH: u16 = 5;
/// `addis` of a register and the upper half of a distance to the target's slot, which becomes `lis` of its address.
pub const PLT_HA: u16 = 6;
/// The upper half of the base of the GOT, in `lis`.
pub const GOT_HA: u16 = 7;
/// The lower half of it, in `addi`.
pub const GOT_LO: u16 = 8;
/// `addis` of a register and the upper half, not rounded, of a distance to the target's slot, which becomes `lis` of its address.
pub const PLT_HI: u16 = 9;

static LIS_HA: Field = Field::coded(4, 32, insert_lis, extract_upper).round(0x8000);
static LIS_HI: Field = Field::coded(4, 32, insert_lis, extract_upper);

/// The rows.
#[rustfmt::skip]
pub static ROWS: [Reloc; 10] = [
    //    raw        name                          subject           base        field     overflow
    reloc(FIRST,     "ppc32 pointer",              Subject::Symbol,  Base::Zero,  &WORD32, Overflow::Bitfield),
    reloc(FIRST + 1, "ppc32 slot, upper",          Subject::GotSlot, Base::Zero,  &HA_OF,  Overflow::Ignore),
    reloc(FIRST + 2, "ppc32 slot, lower",          Subject::GotSlot, Base::Zero,  &LO_OF,  Overflow::Ignore),
    reloc(FIRST + 3, "ppc32 address, upper",       Subject::Symbol,  Base::Zero,  &HA_OF,  Overflow::Ignore),
    reloc(FIRST + 4, "ppc32 address, lower",       Subject::Symbol,  Base::Zero,  &LO_OF,  Overflow::Ignore),
    reloc(FIRST + 5, "ppc32 branch",               Subject::Callee,  Base::Place, &LI24,   Overflow::Signed),
    reloc(FIRST + 6, "ppc32 slot of a call, upper", Subject::GotSlot, Base::Zero, &LIS_HA, Overflow::Ignore),
    reloc(FIRST + 7, "ppc32 GOT, upper",           Subject::GotBase, Base::Zero,  &HA_OF,  Overflow::Ignore),
    reloc(FIRST + 8, "ppc32 GOT, lower",           Subject::GotBase, Base::Zero,  &LO_OF,  Overflow::Ignore),
    reloc(FIRST + 9, "ppc32 slot of a call, upper, not rounded", Subject::GotSlot, Base::Zero, &LIS_HI, Overflow::Ignore),
];

/// `addis rt, ra, …` becomes `lis rt, value`.
fn insert_lis(bytes: &mut [u8], value: u64, endian: Endian) {
    let kept = endian.read(bytes) & 0xffe0_0000;
    endian.write(bytes, kept | value >> 16 & 0xffff);
}

fn extract_upper(bytes: &[u8], endian: Endian) -> i64 {
    i64::from(((endian.read(bytes) as u32) << 16) as i32)
}
