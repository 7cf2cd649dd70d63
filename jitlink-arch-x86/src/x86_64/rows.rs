//! The rows of the architecture itself, which slots, stubs, relaxed edges and moved instructions use by index. Their raw
//! numbers are their indices and stand in no object file.

use jitlink_core::Endian;
use jitlink_core::reloc::{Base, Field, Overflow, Reloc, Subject, reloc};

/// A pointer: a GOT slot, or the immediate of a `movabs`.
pub const POINTER: u16 = 0;
/// The pc-relative distance to the target's GOT slot, in a PLT stub.
pub const SLOT: u16 = 1;
/// The pc-relative distance to the target: a jump, call or address in code that this crate wrote.
pub const NEAR: u16 = 2;
/// Six bytes, `mov slot(%rip), %reg` without its prefix, that become `lea target(%rip), %reg`.
pub const LEA: u16 = 3;
/// Six bytes, `call *slot(%rip)`, that become `addr32 call target`.
pub const CALL: u16 = 4;
/// Six bytes, `jmp *slot(%rip)`, that become `jmp target; nop`.
pub const JMP: u16 = 5;

static WORD32: Field = Field::plain(4);
static WORD64: Field = Field::plain(8);
// Fields over whole instructions: they start at the opcode, and the value is the displacement that the instruction gets.
static LEA_FIELD: Field = Field::coded(6, 32, insert_lea, extract_at_2);
static CALL_FIELD: Field = Field::coded(6, 32, insert_call, extract_at_2);
static JMP_FIELD: Field = Field::coded(6, 32, insert_jmp, extract_at_1);

/// The rows.
#[rustfmt::skip]
pub static ROWS: [Reloc; 6] = [
    //    raw  name                         subject           base         field        overflow
    reloc(0,   "x86-64 pointer",            Subject::Symbol,  Base::Zero,  &WORD64,     Overflow::Ignore),
    reloc(1,   "x86-64 slot distance",      Subject::GotSlot, Base::Place, &WORD32,     Overflow::Signed),
    reloc(2,   "x86-64 distance",           Subject::Symbol,  Base::Place, &WORD32,     Overflow::Signed),
    reloc(3,   "x86-64 mov as lea",         Subject::Symbol,  Base::Place, &LEA_FIELD,  Overflow::Signed),
    reloc(4,   "x86-64 direct call",        Subject::Symbol,  Base::Place, &CALL_FIELD, Overflow::Signed),
    reloc(5,   "x86-64 direct jmp",         Subject::Symbol,  Base::Place, &JMP_FIELD,  Overflow::Signed),
];

/// Leaves the ModRM byte, which names the register, as it is.
fn insert_lea(bytes: &mut [u8], value: u64, endian: Endian) {
    bytes[0] = 0x8d;
    endian.write(&mut bytes[2..6], value);
}

/// The prefix keeps the length, and the return address where it was; it has no effect.
fn insert_call(bytes: &mut [u8], value: u64, endian: Endian) {
    bytes[..2].copy_from_slice(&[0x67, 0xe8]);
    endian.write(&mut bytes[2..6], value);
}

fn insert_jmp(bytes: &mut [u8], value: u64, endian: Endian) {
    bytes[0] = 0xe9;
    endian.write(&mut bytes[1..5], value);
    bytes[5] = 0x90;
}

fn extract_at_2(bytes: &[u8], endian: Endian) -> i64 {
    i64::from(endian.read(&bytes[2..6]) as u32 as i32)
}

fn extract_at_1(bytes: &[u8], endian: Endian) -> i64 {
    i64::from(endian.read(&bytes[1..5]) as u32 as i32)
}
