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

/// Code of the small model that has `__tls_get_addr` find a thread-local variable.
pub const TLS_GD: u16 = 6;
/// As [`TLS_GD`], of the large model.
pub const TLS_GD_LARGE: u16 = 7;
/// Code of the small model that has `__tls_get_addr` find the block of thread-local variables, by a direct call.
pub const TLS_LD: u16 = 8;
/// As [`TLS_LD`], by a call through the GOT.
pub const TLS_LD_GOT: u16 = 9;
/// As [`TLS_LD`], of the large model.
pub const TLS_LD_LARGE: u16 = 10;

/// Seven bytes, `lea descriptor(%rip), %reg`, that become `mov $offset, %reg`.
pub const TLS_DESCRIPTOR: u16 = 11;
/// Two bytes, `call *(%reg)`, that become nothing.
pub const TLS_DESCRIPTOR_CALL: u16 = 12;

static WORD32: Field = Field::plain(4);
static WORD64: Field = Field::plain(8);
// Fields over whole instructions: they start at the opcode, and the value is the displacement that the instruction gets.
static LEA_FIELD: Field = Field::coded(6, 32, insert_lea, extract_at_2);
static CALL_FIELD: Field = Field::coded(6, 32, insert_call, extract_at_2);
static JMP_FIELD: Field = Field::coded(6, 32, insert_jmp, extract_at_1);
static GD_FIELD: Field = Field::coded(16, 32, insert_gd, extract_at_12);
static GD_LARGE_FIELD: Field = Field::coded(22, 32, insert_gd, extract_at_12);
static LD_FIELD: Field = Field::coded(12, 32, insert_ld, extract_at_8);
static LD_GOT_FIELD: Field = Field::coded(13, 32, insert_ld, extract_at_8);
static LD_LARGE_FIELD: Field = Field::coded(22, 32, insert_ld, extract_at_8);
static DESCRIPTOR_FIELD: Field = Field::coded(7, 32, insert_immediate, extract_at_3);
static CALL_LESS_FIELD: Field = Field::coded(2, 16, insert_nothing, extract_nothing);

/// The rows.
#[rustfmt::skip]
pub static ROWS: [Reloc; 13] = [
    //    raw  name                         subject           base         field        overflow
    reloc(0,   "x86-64 pointer",            Subject::Symbol,  Base::Zero,  &WORD64,     Overflow::Ignore),
    reloc(1,   "x86-64 slot distance",      Subject::GotSlot, Base::Place, &WORD32,     Overflow::Signed),
    reloc(2,   "x86-64 distance",           Subject::Symbol,  Base::Place, &WORD32,     Overflow::Signed),
    reloc(3,   "x86-64 mov as lea",         Subject::Symbol,  Base::Place, &LEA_FIELD,  Overflow::Signed),
    reloc(4,   "x86-64 direct call",        Subject::Symbol,  Base::Place, &CALL_FIELD, Overflow::Signed),
    reloc(5,   "x86-64 direct jmp",         Subject::Symbol,  Base::Place, &JMP_FIELD,  Overflow::Signed),
    reloc(6,   "x86-64 variable",           Subject::TpOffset, Base::Zero, &GD_FIELD,       Overflow::Signed),
    reloc(7,   "x86-64 variable, large",    Subject::TpOffset, Base::Zero, &GD_LARGE_FIELD, Overflow::Signed),
    reloc(8,   "x86-64 variables",          Subject::TlsBase,  Base::Zero, &LD_FIELD,       Overflow::Signed),
    reloc(9,   "x86-64 variables, GOT",     Subject::TlsBase,  Base::Zero, &LD_GOT_FIELD,   Overflow::Signed),
    reloc(10,  "x86-64 variables, large",   Subject::TlsBase,  Base::Zero, &LD_LARGE_FIELD, Overflow::Signed),
    reloc(11,  "x86-64 descriptor",         Subject::TpOffset, Base::Zero, &DESCRIPTOR_FIELD, Overflow::Signed),
    reloc(12,  "x86-64 descriptor call",    Subject::TlsBase,  Base::Zero, &CALL_LESS_FIELD, Overflow::Ignore),
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

/// `mov %fs:0, %rax; lea value(%rax), %rax`, and what does nothing.
fn insert_gd(bytes: &mut [u8], value: u64, endian: Endian) {
    let (code, rest) = bytes.split_at_mut(16);
    code.copy_from_slice(&[0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, 0x48, 0x8d, 0x80, 0, 0, 0, 0]);
    endian.write(&mut code[12..], value);
    do_nothing(rest);
}

/// `xor %eax, %eax; mov %fs:(%rax), %rax; add $value, %rax`, and what does nothing.
fn insert_ld(bytes: &mut [u8], value: u64, endian: Endian) {
    let (code, rest) = bytes.split_at_mut(12);
    code.copy_from_slice(&[0x31, 0xc0, 0x64, 0x48, 0x8b, 0x00, 0x48, 0x05, 0, 0, 0, 0]);
    endian.write(&mut code[8..], value);
    do_nothing(rest);
}

/// The register, which the ModRM byte and the prefix name as the one that is written, becomes the one operand.
fn insert_immediate(bytes: &mut [u8], value: u64, endian: Endian) {
    let (rex, register) = (bytes[0], bytes[2] >> 3 & 7);
    bytes[..3].copy_from_slice(&[0x48 | (rex >> 2 & 1), 0xc7, 0xc0 | register]);
    endian.write(&mut bytes[3..7], value);
}

/// `xchg %ax, %ax`.
fn insert_nothing(bytes: &mut [u8], _value: u64, _endian: Endian) {
    bytes.copy_from_slice(&[0x66, 0x90]);
}

fn extract_nothing(_bytes: &[u8], _endian: Endian) -> i64 {
    0
}

fn extract_at_3(bytes: &[u8], endian: Endian) -> i64 {
    i64::from(endian.read(&bytes[3..7]) as u32 as i32)
}

/// Fills with what does nothing: the one `nop` of that length, or short ones.
fn do_nothing(bytes: &mut [u8]) {
    let nop: &[u8] = match bytes.len() {
        6 => &[0x66, 0x0f, 0x1f, 0x44, 0, 0],
        10 => &[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0],
        _ => &[],
    };
    bytes.fill(0x90);
    bytes[..nop.len()].copy_from_slice(nop);
}

fn extract_at_8(bytes: &[u8], endian: Endian) -> i64 {
    i64::from(endian.read(&bytes[8..12]) as u32 as i32)
}

fn extract_at_12(bytes: &[u8], endian: Endian) -> i64 {
    i64::from(endian.read(&bytes[12..16]) as u32 as i32)
}

fn extract_at_2(bytes: &[u8], endian: Endian) -> i64 {
    i64::from(endian.read(&bytes[2..6]) as u32 as i32)
}

fn extract_at_1(bytes: &[u8], endian: Endian) -> i64 {
    i64::from(endian.read(&bytes[1..5]) as u32 as i32)
}
