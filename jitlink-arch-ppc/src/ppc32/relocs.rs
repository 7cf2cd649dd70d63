//! The relocations in ELF objects: Power Architecture 32-bit ABI Supplement (Linux and embedded), "Relocation Types", with its
//! spelling and its letters, and what GNU as adds.
//!
//! Addresses have 32 bits, and so has what the machine computes of them. So nothing that holds 32 bits, or the upper or the
//! lower half of 32, is checked, as other linkers do not check it either; a pointer is checked for the sake of images at
//! addresses that this machine does not have. Relocations of 16 bits for the absolute address in data accept signed and unsigned
//! numbers. Absolute branches are sign-extended by the machine.
//!
//! The addend of a call by `R_PPC_PLTREL24` is no part of where it goes: it says what `r30` holds in its caller, which stubs of
//! other linkers find slots from. The same is true of `R_PPC_PLT16_HA` and its kin. Here slots are found by their addresses
//! (`calls`), and the addend is not used.

use super::small_data::SMALL_DATA;
use crate::THREAD_LOCALS;
use crate::fields::{
    BA14_NOT_TAKEN_Y, BA14_TAKEN_Y, BD14, BD14_NOT_TAKEN_Y, BD14_TAKEN_Y, HA, HI, LI24, WORD16, WORD32,
};
use jitlink_core::Endian;
use jitlink_core::reloc::{Base, Overflow, Reloc, RelocTable, Subject, reloc};

/// PowerPC in 32-bit big-endian ELF (`EM_PPC`).
pub const ELF_PPC32: RelocTable =
    RelocTable::new("elf", 20, 4, "ppc32", &ROWS).endian(Endian::Big).static_thread_locals(THREAD_LOCALS);

/// PowerPC in 32-bit little-endian ELF (`EM_PPC`).
pub const ELF_PPC32LE: RelocTable =
    RelocTable::new("elf", 20, 4, "ppc32le", &ROWS).endian(Endian::Little).static_thread_locals(THREAD_LOCALS);

use Base::{Got, Place, Zero};
use Overflow::{Bitfield, Ignore, Signed};
use Subject::{Callee, DtpOffset, GotSlot, Symbol, TlsGdSlot, TlsIeSlot, TlsLdSlot, TlsModule, TpOffset};

/// `_SDA_BASE_`.
const SDA: Base = Base::Anchor(SMALL_DATA);

const DYNAMIC: &str = "only a dynamic linker applies this relocation; link from the relocatable objects instead";
const SECTION: &str = "it is an offset in a section of an executable, of which linked memory has none";
const ADDPCIS: &str =
    "GNU ld takes every place of it for one outside of its section, and no compiler for 32 bits uses it";
const WORD30: &str = "GNU ld shifts its value once more than the ABI says, and no compiler uses it";
const DTPREL_SLOT: &str = "it asks for a slot that holds an offset in the thread-local block, which no compiler uses";
const EMBEDDED: &str =
    "it is for the embedded ABI, in which r2 is a base of small data; on Linux r2 is the thread pointer";
const EMBEDDED_DATA: &str = "it is of the embedded ABI, and no compiler for Linux uses it";
const PLT_WORD: &str = "it stores the address of a stub, which no compiler uses and GNU ld does not do either";
const TOC: &str = "it counts from the TOC base of another ABI, of which code for 32 bits has none";

/// Numbers that passes look for.
pub(super) const PLTREL24: u32 = 18;
pub(super) const LOCAL24PC: u32 = 23;
pub(super) const PLT16_LO: u32 = 29;
pub(super) const PLT16_HI: u32 = 30;
pub(super) const PLT16_HA: u32 = 31;
pub(super) const SDAREL16: u32 = 32;

/// The rows, by raw number.
#[rustfmt::skip]
static ROWS: [Reloc; 95] = [
    //    raw  name                         subject     base    field             overflow      ABI
    Reloc::none(0, "R_PPC_NONE"),
    reloc(  1, "R_PPC_ADDR32",              Symbol,     Zero,   &WORD32,          Bitfield), // S + A
    reloc(  2, "R_PPC_ADDR24",              Callee,     Zero,   &LI24,            Signed),   // S + A
    reloc(  3, "R_PPC_ADDR16",              Symbol,     Zero,   &WORD16,          Bitfield), // S + A
    reloc(  4, "R_PPC_ADDR16_LO",           Symbol,     Zero,   &WORD16,          Ignore),   // #lo(S + A)
    reloc(  5, "R_PPC_ADDR16_HI",           Symbol,     Zero,   &HI,              Ignore),   // #hi(S + A)
    reloc(  6, "R_PPC_ADDR16_HA",           Symbol,     Zero,   &HA,              Ignore),   // #ha(S + A)
    reloc(  7, "R_PPC_ADDR14",              Callee,     Zero,   &BD14,            Signed),   // S + A
    reloc(  8, "R_PPC_ADDR14_BRTAKEN",      Callee,     Zero,   &BA14_TAKEN_Y,    Signed),   // S + A
    reloc(  9, "R_PPC_ADDR14_BRNTAKEN",     Callee,     Zero,   &BA14_NOT_TAKEN_Y, Signed),   // S + A
    reloc( 10, "R_PPC_REL24",               Callee,     Place,  &LI24,            Signed),   // S + A - P
    reloc( 11, "R_PPC_REL14",               Callee,     Place,  &BD14,            Signed),   // S + A - P
    reloc( 12, "R_PPC_REL14_BRTAKEN",       Callee,     Place,  &BD14_TAKEN_Y,    Signed),   // S + A - P
    reloc( 13, "R_PPC_REL14_BRNTAKEN",      Callee,     Place,  &BD14_NOT_TAKEN_Y, Signed),   // S + A - P
    reloc( 14, "R_PPC_GOT16",               GotSlot,    Got,    &WORD16,          Signed),   // G + A
    reloc( 15, "R_PPC_GOT16_LO",            GotSlot,    Got,    &WORD16,          Ignore),   // #lo(G + A)
    reloc( 16, "R_PPC_GOT16_HI",            GotSlot,    Got,    &HI,              Ignore),   // #hi(G + A)
    reloc( 17, "R_PPC_GOT16_HA",            GotSlot,    Got,    &HA,              Ignore),   // #ha(G + A)
    reloc( 18, "R_PPC_PLTREL24",            Callee,     Place,  &LI24,            Signed),   // L - P
    Reloc::refused(19, "R_PPC_COPY", DYNAMIC),
    Reloc::refused(20, "R_PPC_GLOB_DAT", DYNAMIC),
    Reloc::refused(21, "R_PPC_JMP_SLOT", DYNAMIC),
    Reloc::refused(22, "R_PPC_RELATIVE", DYNAMIC),
    reloc( 23, "R_PPC_LOCAL24PC",           Callee,     Place,  &LI24,            Signed),   // S + A - P
    reloc( 24, "R_PPC_UADDR32",             Symbol,     Zero,   &WORD32,          Bitfield), // S + A
    reloc( 25, "R_PPC_UADDR16",             Symbol,     Zero,   &WORD16,          Bitfield), // S + A
    reloc( 26, "R_PPC_REL32",               Symbol,     Place,  &WORD32,          Ignore),   // S + A - P
    Reloc::refused(27, "R_PPC_PLT32", PLT_WORD),
    Reloc::refused(28, "R_PPC_PLTREL32", PLT_WORD),
    reloc( 29, "R_PPC_PLT16_LO",            GotSlot,    Zero,   &WORD16,          Ignore),   // the slot's address
    reloc( 30, "R_PPC_PLT16_HI",            GotSlot,    Zero,   &HI,              Ignore),
    reloc( 31, "R_PPC_PLT16_HA",            GotSlot,    Zero,   &HA,              Ignore),
    reloc( 32, "R_PPC_SDAREL16",            Symbol,     SDA,    &WORD16,          Signed),   // S + A - _SDA_BASE_
    Reloc::refused(33, "R_PPC_SECTOFF", SECTION),
    Reloc::refused(34, "R_PPC_SECTOFF_LO", SECTION),
    Reloc::refused(35, "R_PPC_SECTOFF_HI", SECTION),
    Reloc::refused(36, "R_PPC_SECTOFF_HA", SECTION),
    Reloc::refused(37, "R_PPC_ADDR30", WORD30),
    Reloc::none(67, "R_PPC_TLS"),                                                            // marks an instruction
    reloc( 68, "R_PPC_DTPMOD32",            TlsModule,  Zero,   &WORD32,          Ignore),
    reloc( 69, "R_PPC_TPREL16",             TpOffset,   Zero,   &WORD16,          Signed),
    reloc( 70, "R_PPC_TPREL16_LO",          TpOffset,   Zero,   &WORD16,          Ignore),
    reloc( 71, "R_PPC_TPREL16_HI",          TpOffset,   Zero,   &HI,              Ignore),
    reloc( 72, "R_PPC_TPREL16_HA",          TpOffset,   Zero,   &HA,              Ignore),
    reloc( 73, "R_PPC_TPREL32",             TpOffset,   Zero,   &WORD32,          Ignore),
    reloc( 74, "R_PPC_DTPREL16",            DtpOffset,  Zero,   &WORD16,          Signed),
    reloc( 75, "R_PPC_DTPREL16_LO",         DtpOffset,  Zero,   &WORD16,          Ignore),
    reloc( 76, "R_PPC_DTPREL16_HI",         DtpOffset,  Zero,   &HI,              Ignore),
    reloc( 77, "R_PPC_DTPREL16_HA",         DtpOffset,  Zero,   &HA,              Ignore),
    reloc( 78, "R_PPC_DTPREL32",            DtpOffset,  Zero,   &WORD32,          Ignore),
    reloc( 79, "R_PPC_GOT_TLSGD16",         TlsGdSlot,  Got,    &WORD16,          Signed),
    reloc( 80, "R_PPC_GOT_TLSGD16_LO",      TlsGdSlot,  Got,    &WORD16,          Ignore),
    reloc( 81, "R_PPC_GOT_TLSGD16_HI",      TlsGdSlot,  Got,    &HI,              Ignore),
    reloc( 82, "R_PPC_GOT_TLSGD16_HA",      TlsGdSlot,  Got,    &HA,              Ignore),
    reloc( 83, "R_PPC_GOT_TLSLD16",         TlsLdSlot,  Got,    &WORD16,          Signed),
    reloc( 84, "R_PPC_GOT_TLSLD16_LO",      TlsLdSlot,  Got,    &WORD16,          Ignore),
    reloc( 85, "R_PPC_GOT_TLSLD16_HI",      TlsLdSlot,  Got,    &HI,              Ignore),
    reloc( 86, "R_PPC_GOT_TLSLD16_HA",      TlsLdSlot,  Got,    &HA,              Ignore),
    reloc( 87, "R_PPC_GOT_TPREL16",         TlsIeSlot,  Got,    &WORD16,          Signed),
    reloc( 88, "R_PPC_GOT_TPREL16_LO",      TlsIeSlot,  Got,    &WORD16,          Ignore),
    reloc( 89, "R_PPC_GOT_TPREL16_HI",      TlsIeSlot,  Got,    &HI,              Ignore),
    reloc( 90, "R_PPC_GOT_TPREL16_HA",      TlsIeSlot,  Got,    &HA,              Ignore),
    Reloc::refused(91, "R_PPC_GOT_DTPREL16", DTPREL_SLOT),
    Reloc::refused(92, "R_PPC_GOT_DTPREL16_LO", DTPREL_SLOT),
    Reloc::refused(93, "R_PPC_GOT_DTPREL16_HI", DTPREL_SLOT),
    Reloc::refused(94, "R_PPC_GOT_DTPREL16_HA", DTPREL_SLOT),
    Reloc::none(95, "R_PPC_TLSGD"),                                                          // marks a call
    Reloc::none(96, "R_PPC_TLSLD"),                                                          // marks a call
    Reloc::refused(101, "R_PPC_EMB_NADDR32", EMBEDDED_DATA),
    Reloc::refused(102, "R_PPC_EMB_NADDR16", EMBEDDED_DATA),
    Reloc::refused(103, "R_PPC_EMB_NADDR16_LO", EMBEDDED_DATA),
    Reloc::refused(104, "R_PPC_EMB_NADDR16_HI", EMBEDDED_DATA),
    Reloc::refused(105, "R_PPC_EMB_NADDR16_HA", EMBEDDED_DATA),
    Reloc::refused(106, "R_PPC_EMB_SDAI16", EMBEDDED),
    Reloc::refused(107, "R_PPC_EMB_SDA2I16", EMBEDDED),
    Reloc::refused(108, "R_PPC_EMB_SDA2REL", EMBEDDED),
    Reloc::refused(109, "R_PPC_EMB_SDA21", EMBEDDED),
    Reloc::refused(110, "R_PPC_EMB_MRKREF", EMBEDDED_DATA),
    Reloc::refused(111, "R_PPC_EMB_RELSEC16", EMBEDDED_DATA),
    Reloc::refused(112, "R_PPC_EMB_RELST_LO", EMBEDDED_DATA),
    Reloc::refused(113, "R_PPC_EMB_RELST_HI", EMBEDDED_DATA),
    Reloc::refused(114, "R_PPC_EMB_RELST_HA", EMBEDDED_DATA),
    Reloc::refused(115, "R_PPC_EMB_BIT_FLD", EMBEDDED_DATA),
    Reloc::refused(116, "R_PPC_EMB_RELSDA", EMBEDDED),
    Reloc::none(119, "R_PPC_PLTSEQ"),                                                        // marks an instruction
    Reloc::none(120, "R_PPC_PLTCALL"),                                                       // marks a call
    Reloc::refused(246, "R_PPC_REL16DX_HA", ADDPCIS),
    Reloc::refused(248, "R_PPC_IRELATIVE", DYNAMIC),
    reloc(249, "R_PPC_REL16",               Symbol,     Place,  &WORD16,          Signed),   // S + A - P
    reloc(250, "R_PPC_REL16_LO",            Symbol,     Place,  &WORD16,          Ignore),   // #lo(S + A - P)
    reloc(251, "R_PPC_REL16_HI",            Symbol,     Place,  &HI,              Ignore),   // #hi(S + A - P)
    reloc(252, "R_PPC_REL16_HA",            Symbol,     Place,  &HA,              Ignore),   // #ha(S + A - P)
    Reloc::none(253, "R_PPC_GNU_VTINHERIT"),
    Reloc::none(254, "R_PPC_GNU_VTENTRY"),
    Reloc::refused(255, "R_PPC_TOC16", TOC),
];
