//! The relocations in ELF objects: psABI, "Relocations", with its spelling and its letters.

use crate::fields::{
    AUIPC_AND_NEXT, BRANCH, HI20, JAL, LO12_I, LO12_S, RVC_BRANCH, RVC_JUMP, SET6, SET8, SET16, SUM6, SUM8, SUM16,
    SUM32, SUM64, WORD32, WORD64,
};
use jitlink_core::Endian;
use jitlink_core::reloc::{Base, Inputs, Overflow, Reloc, RelocTable, Subject, reloc};

/// RISC-V in 64-bit ELF (`EM_RISCV`).
pub const ELF_RISCV64: RelocTable = RelocTable::new("elf", 243, 8, "riscv64", &ROWS).endian(Endian::Little);

use Base::{Place, Zero};
use Overflow::{Bitfield, Ignore, Signed};
use Subject::{Callee, DtpOffset, GotSlot, Symbol, TlsGdSlot, TlsIeSlot, TpOffset};

const DYNAMIC: &str = "only a dynamic linker applies this relocation; link from the relocatable objects instead";
const ALIGN: &str = "alignment that needs code to be shortened; assemble with -mno-relax";
const ULEB: &str = "differences of variable length; assemble with -mno-relax";

/// The upper halves that pc-relative lower halves may belong to.
pub(crate) const UPPER_HALVES: [u32; 4] = [20, 21, 22, 23];
/// The pc-relative lower halves.
pub(crate) const LOWER_HALVES: [u32; 2] = [24, 25];

/// V - S - A: as the field adds what it gets, this is what a `SUB` gives it.
fn negative(inputs: &Inputs) -> i64 {
    (inputs.subject as i64).wrapping_add(inputs.addend).wrapping_neg()
}

/// The rows, by raw number. A `LO12` row that is pc-relative is written for what [`crate::pairs`] makes of its edges.
#[rustfmt::skip]
static ROWS: [Reloc; 52] = [
    //    raw  name                          subject    base   field            overflow     psABI
    Reloc::none(0, "R_RISCV_NONE"),
    reloc(  1, "R_RISCV_32",                 Symbol,    Zero,  &WORD32,         Bitfield),   // S + A
    reloc(  2, "R_RISCV_64",                 Symbol,    Zero,  &WORD64,         Ignore),     // S + A
    Reloc::refused(3, "R_RISCV_RELATIVE", DYNAMIC),
    Reloc::refused(4, "R_RISCV_COPY", DYNAMIC),
    Reloc::refused(5, "R_RISCV_JUMP_SLOT", DYNAMIC),
    Reloc::refused(6, "R_RISCV_TLS_DTPMOD32", DYNAMIC),
    Reloc::refused(7, "R_RISCV_TLS_DTPMOD64", DYNAMIC),
    reloc(  8, "R_RISCV_TLS_DTPREL32",       DtpOffset, Zero,  &WORD32,         Signed),
    reloc(  9, "R_RISCV_TLS_DTPREL64",       DtpOffset, Zero,  &WORD64,         Ignore),
    Reloc::refused(10, "R_RISCV_TLS_TPREL32", DYNAMIC),
    Reloc::refused(11, "R_RISCV_TLS_TPREL64", DYNAMIC),
    reloc( 16, "R_RISCV_BRANCH",             Symbol,    Place, &BRANCH,         Signed),     // S + A - P
    reloc( 17, "R_RISCV_JAL",                Callee,    Place, &JAL,            Signed),     // S + A - P
    reloc( 18, "R_RISCV_CALL",               Callee,    Place, &AUIPC_AND_NEXT, Signed),     // S + A - P
    reloc( 19, "R_RISCV_CALL_PLT",           Callee,    Place, &AUIPC_AND_NEXT, Signed),     // S + A - P
    reloc( 20, "R_RISCV_GOT_HI20",           GotSlot,   Place, &HI20,           Signed),     // G + GOT + A - P
    reloc( 21, "R_RISCV_TLS_GOT_HI20",       TlsIeSlot, Place, &HI20,           Signed),
    reloc( 22, "R_RISCV_TLS_GD_HI20",        TlsGdSlot, Place, &HI20,           Signed),
    reloc( 23, "R_RISCV_PCREL_HI20",         Symbol,    Place, &HI20,           Signed),     // S + A - P
    reloc( 24, "R_RISCV_PCREL_LO12_I",       Symbol,    Place, &LO12_I,         Ignore),     // S - P
    reloc( 25, "R_RISCV_PCREL_LO12_S",       Symbol,    Place, &LO12_S,         Ignore),     // S - P
    reloc( 26, "R_RISCV_HI20",               Symbol,    Zero,  &HI20,           Signed),     // S + A
    reloc( 27, "R_RISCV_LO12_I",             Symbol,    Zero,  &LO12_I,         Ignore),     // S + A
    reloc( 28, "R_RISCV_LO12_S",             Symbol,    Zero,  &LO12_S,         Ignore),     // S + A
    reloc( 29, "R_RISCV_TPREL_HI20",         TpOffset,  Zero,  &HI20,           Signed),
    reloc( 30, "R_RISCV_TPREL_LO12_I",       TpOffset,  Zero,  &LO12_I,         Ignore),
    reloc( 31, "R_RISCV_TPREL_LO12_S",       TpOffset,  Zero,  &LO12_S,         Ignore),
    Reloc::none(32, "R_RISCV_TPREL_ADD"),
    reloc( 33, "R_RISCV_ADD8",               Symbol,    Zero,  &SUM8,           Ignore),     // V + S + A
    reloc( 34, "R_RISCV_ADD16",              Symbol,    Zero,  &SUM16,          Ignore),     // V + S + A
    reloc( 35, "R_RISCV_ADD32",              Symbol,    Zero,  &SUM32,          Ignore),     // V + S + A
    reloc( 36, "R_RISCV_ADD64",              Symbol,    Zero,  &SUM64,          Ignore),     // V + S + A
    reloc( 37, "R_RISCV_SUB8",               Symbol,    Zero,  &SUM8,           Ignore).with_formula(negative),
    reloc( 38, "R_RISCV_SUB16",              Symbol,    Zero,  &SUM16,          Ignore).with_formula(negative),
    reloc( 39, "R_RISCV_SUB32",              Symbol,    Zero,  &SUM32,          Ignore).with_formula(negative),
    reloc( 40, "R_RISCV_SUB64",              Symbol,    Zero,  &SUM64,          Ignore).with_formula(negative),
    reloc( 41, "R_RISCV_GOT32_PCREL",        GotSlot,   Place, &WORD32,         Signed),     // G + GOT + A - P
    Reloc::refused(43, "R_RISCV_ALIGN", ALIGN),
    reloc( 44, "R_RISCV_RVC_BRANCH",         Symbol,    Place, &RVC_BRANCH,     Signed),     // S + A - P
    reloc( 45, "R_RISCV_RVC_JUMP",           Symbol,    Place, &RVC_JUMP,       Signed),     // S + A - P
    // Says that the relocation beside it may be relaxed.
    Reloc::none(51, "R_RISCV_RELAX"),
    reloc( 52, "R_RISCV_SUB6",               Symbol,    Zero,  &SUM6,           Ignore).with_formula(negative),
    reloc( 53, "R_RISCV_SET6",               Symbol,    Zero,  &SET6,           Ignore),     // S + A
    reloc( 54, "R_RISCV_SET8",               Symbol,    Zero,  &SET8,           Ignore),     // S + A
    reloc( 55, "R_RISCV_SET16",              Symbol,    Zero,  &SET16,          Ignore),     // S + A
    reloc( 56, "R_RISCV_SET32",              Symbol,    Zero,  &WORD32,         Ignore),     // S + A
    reloc( 57, "R_RISCV_32_PCREL",           Symbol,    Place, &WORD32,         Signed),     // S + A - P
    Reloc::refused(58, "R_RISCV_IRELATIVE", DYNAMIC),
    reloc( 59, "R_RISCV_PLT32",              Callee,    Place, &WORD32,         Signed),     // S + A - P
    Reloc::refused(60, "R_RISCV_SET_ULEB128", ULEB),
    Reloc::refused(61, "R_RISCV_SUB_ULEB128", ULEB),
];
