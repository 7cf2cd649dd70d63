//! The relocations in ELF objects: ELFv2 ABI, "Relocation Types", with its spelling and its letters, and what GNU as adds.
//!
//! What GNU ld and LLD check decides where the ABI leaves it open which values fit: names that end in `_HI` and `_HA` belong to pairs
//! that make 32 bits, so they are checked for those; `_HIGH` and `_HIGHA` are the same without the check. Relocations of 16
//! bits for the absolute address in data accept both signed and unsigned numbers. Absolute branches are sign-extended
//! by the machine, so what does not fit that is refused, also where GNU ld lets it pass.
//!
//! Offsets in the thread-local block are what [`Subject::DtpOffset`] says, from where `__tls_get_addr` found that the variables
//! start; the executor's numbers in the slots see to the bias that the ABI gives them.

use super::toc;
use crate::THREAD_LOCALS;
use crate::fields::{
    BD14, BD14_NOT_TAKEN, BD14_TAKEN, D28, D34, D34_HA30, D34_HI30, DS, DX_HA, HA, HI, HIGHER, HIGHER34, HIGHERA,
    HIGHERA34, HIGHEST, HIGHEST34, HIGHESTA, HIGHESTA34, LI24, WORD16, WORD32, WORD64,
};
use jitlink_core::Endian;
use jitlink_core::reloc::{Base, Inputs, Overflow, Reloc, RelocTable, Subject, reloc};

/// PowerPC in 64-bit big-endian ELF (`EM_PPC64`).
pub const ELF_PPC64: RelocTable =
    RelocTable::new("elf", 21, 8, "ppc64", &ROWS).endian(Endian::Big).static_thread_locals(THREAD_LOCALS);

/// PowerPC in 64-bit little-endian ELF (`EM_PPC64`).
pub const ELF_PPC64LE: RelocTable =
    RelocTable::new("elf", 21, 8, "ppc64le", &ROWS).endian(Endian::Little).static_thread_locals(THREAD_LOCALS);

use Base::{Place, Zero};
use Overflow::{Bitfield, Ignore, Signed};
use Subject::{Callee, DtpOffset, GotBase, GotSlot, Symbol, TlsGdSlot, TlsIeSlot, TlsLdSlot, TlsModule, TpOffset};

/// The TOC base of the block's group.
const TOC: Base = Base::Anchor(toc::TOC);

const DYNAMIC: &str = "only a dynamic linker applies this relocation; link from the relocatable objects instead";
const SECTION: &str = "it is an offset in a section of an executable, of which linked memory has none";
const PLT_DISTANCE: &str = "it stores the distance to a slot of calls, which no compiler uses and no linker applies";
const PLTGOT: &str = "it counts from a table that no linker makes any more";
const WORD30: &str = "GNU ld shifts its value once more than the ABI says, and no compiler uses it";
const DTPREL_SLOT: &str = "it asks for a slot that holds an offset in the thread-local block, which no compiler uses";

/// `.TOC.` + A: the base itself.
fn toc(inputs: &Inputs) -> i64 {
    (inputs.anchor as i64).wrapping_add(inputs.addend)
}

/// The rows, by raw number.
#[rustfmt::skip]
static ROWS: [Reloc; 161] = [
    //    raw  name                         subject     base    field             overflow             ABI
    Reloc::none(0, "R_PPC64_NONE"),
    reloc(  1, "R_PPC64_ADDR32",              Symbol,     Zero,   &WORD32,          Bitfield),      // S + A
    reloc(  2, "R_PPC64_ADDR24",              Callee,     Zero,   &LI24,            Signed),        // S + A
    reloc(  3, "R_PPC64_ADDR16",              Symbol,     Zero,   &WORD16,          Bitfield),      // S + A
    reloc(  4, "R_PPC64_ADDR16_LO",           Symbol,     Zero,   &WORD16,          Ignore),        // #lo(S + A)
    reloc(  5, "R_PPC64_ADDR16_HI",           Symbol,     Zero,   &HI,              Signed),        // #hi(S + A)
    reloc(  6, "R_PPC64_ADDR16_HA",           Symbol,     Zero,   &HA,              Signed),        // #ha(S + A)
    reloc(  7, "R_PPC64_ADDR14",              Callee,     Zero,   &BD14,            Signed),        // S + A
    reloc(  8, "R_PPC64_ADDR14_BRTAKEN",      Callee,     Zero,   &BD14_TAKEN,      Signed),        // S + A
    reloc(  9, "R_PPC64_ADDR14_BRNTAKEN",     Callee,     Zero,   &BD14_NOT_TAKEN,  Signed),        // S + A
    reloc( 10, "R_PPC64_REL24",               Callee,     Place,  &LI24,            Signed),        // S + A - P
    reloc( 11, "R_PPC64_REL14",               Callee,     Place,  &BD14,            Signed),        // S + A - P
    reloc( 12, "R_PPC64_REL14_BRTAKEN",       Callee,     Place,  &BD14_TAKEN,      Signed),        // S + A - P
    reloc( 13, "R_PPC64_REL14_BRNTAKEN",      Callee,     Place,  &BD14_NOT_TAKEN,  Signed),        // S + A - P
    reloc( 14, "R_PPC64_GOT16",               GotSlot,    TOC,    &WORD16,          Signed),
    reloc( 15, "R_PPC64_GOT16_LO",            GotSlot,    TOC,    &WORD16,          Ignore),
    reloc( 16, "R_PPC64_GOT16_HI",            GotSlot,    TOC,    &HI,              Signed),
    reloc( 17, "R_PPC64_GOT16_HA",            GotSlot,    TOC,    &HA,              Signed),
    Reloc::refused(19, "R_PPC64_COPY", DYNAMIC),
    Reloc::refused(20, "R_PPC64_GLOB_DAT", DYNAMIC),
    Reloc::refused(21, "R_PPC64_JMP_SLOT", DYNAMIC),
    Reloc::refused(22, "R_PPC64_RELATIVE", DYNAMIC),
    reloc( 24, "R_PPC64_UADDR32",             Symbol,     Zero,   &WORD32,          Bitfield),      // S + A
    reloc( 25, "R_PPC64_UADDR16",             Symbol,     Zero,   &WORD16,          Bitfield),      // S + A
    reloc( 26, "R_PPC64_REL32",               Symbol,     Place,  &WORD32,          Signed),        // S + A - P
    reloc( 27, "R_PPC64_PLT32",               GotSlot,    Zero,   &WORD32,          Bitfield),      // L
    Reloc::refused(28, "R_PPC64_PLTREL32", PLT_DISTANCE),
    reloc( 29, "R_PPC64_PLT16_LO",            GotSlot,    TOC,    &WORD16,          Ignore),
    reloc( 30, "R_PPC64_PLT16_HI",            GotSlot,    TOC,    &HI,              Signed),
    reloc( 31, "R_PPC64_PLT16_HA",            GotSlot,    TOC,    &HA,              Signed),
    Reloc::refused(33, "R_PPC64_SECTOFF", SECTION),
    Reloc::refused(34, "R_PPC64_SECTOFF_LO", SECTION),
    Reloc::refused(35, "R_PPC64_SECTOFF_HI", SECTION),
    Reloc::refused(36, "R_PPC64_SECTOFF_HA", SECTION),
    Reloc::refused(37, "R_PPC64_REL30", WORD30),
    reloc( 38, "R_PPC64_ADDR64",              Symbol,     Zero,   &WORD64,          Ignore),        // S + A
    reloc( 39, "R_PPC64_ADDR16_HIGHER",       Symbol,     Zero,   &HIGHER,          Ignore),
    reloc( 40, "R_PPC64_ADDR16_HIGHERA",      Symbol,     Zero,   &HIGHERA,         Ignore),
    reloc( 41, "R_PPC64_ADDR16_HIGHEST",      Symbol,     Zero,   &HIGHEST,         Ignore),
    reloc( 42, "R_PPC64_ADDR16_HIGHESTA",     Symbol,     Zero,   &HIGHESTA,        Ignore),
    reloc( 43, "R_PPC64_UADDR64",             Symbol,     Zero,   &WORD64,          Ignore),        // S + A
    reloc( 44, "R_PPC64_REL64",               Symbol,     Place,  &WORD64,          Ignore),        // S + A - P
    reloc( 45, "R_PPC64_PLT64",               GotSlot,    Zero,   &WORD64,          Ignore),        // L
    Reloc::refused(46, "R_PPC64_PLTREL64", PLT_DISTANCE),
    reloc( 47, "R_PPC64_TOC16",               Symbol,     TOC,    &WORD16,          Signed),
    reloc( 48, "R_PPC64_TOC16_LO",            Symbol,     TOC,    &WORD16,          Ignore),
    reloc( 49, "R_PPC64_TOC16_HI",            Symbol,     TOC,    &HI,              Signed),
    reloc( 50, "R_PPC64_TOC16_HA",            Symbol,     TOC,    &HA,              Signed),
    reloc( 51, "R_PPC64_TOC",                 GotBase,    TOC,    &WORD64,          Ignore).with_formula(toc), // .TOC. + A
    Reloc::refused(52, "R_PPC64_PLTGOT16", PLTGOT),
    Reloc::refused(53, "R_PPC64_PLTGOT16_LO", PLTGOT),
    Reloc::refused(54, "R_PPC64_PLTGOT16_HI", PLTGOT),
    Reloc::refused(55, "R_PPC64_PLTGOT16_HA", PLTGOT),
    reloc( 56, "R_PPC64_ADDR16_DS",           Symbol,     Zero,   &DS,              Signed),
    reloc( 57, "R_PPC64_ADDR16_LO_DS",        Symbol,     Zero,   &DS,              Ignore),
    reloc( 58, "R_PPC64_GOT16_DS",            GotSlot,    TOC,    &DS,              Signed),
    reloc( 59, "R_PPC64_GOT16_LO_DS",         GotSlot,    TOC,    &DS,              Ignore),
    reloc( 60, "R_PPC64_PLT16_LO_DS",         GotSlot,    TOC,    &DS,              Ignore),
    Reloc::refused(61, "R_PPC64_SECTOFF_DS", SECTION),
    Reloc::refused(62, "R_PPC64_SECTOFF_LO_DS", SECTION),
    reloc( 63, "R_PPC64_TOC16_DS",            Symbol,     TOC,    &DS,              Signed),
    reloc( 64, "R_PPC64_TOC16_LO_DS",         Symbol,     TOC,    &DS,              Ignore),
    Reloc::refused(65, "R_PPC64_PLTGOT16_DS", PLTGOT),
    Reloc::refused(66, "R_PPC64_PLTGOT16_LO_DS", PLTGOT),
    Reloc::none(67, "R_PPC64_TLS"),                                                                 // marks an instruction
    reloc( 68, "R_PPC64_DTPMOD64",            TlsModule,  Zero,   &WORD64,          Ignore),
    reloc( 69, "R_PPC64_TPREL16",             TpOffset,   Zero,   &WORD16,          Signed),
    reloc( 70, "R_PPC64_TPREL16_LO",          TpOffset,   Zero,   &WORD16,          Ignore),
    reloc( 71, "R_PPC64_TPREL16_HI",          TpOffset,   Zero,   &HI,              Signed),
    reloc( 72, "R_PPC64_TPREL16_HA",          TpOffset,   Zero,   &HA,              Signed),
    reloc( 73, "R_PPC64_TPREL64",             TpOffset,   Zero,   &WORD64,          Ignore),
    reloc( 74, "R_PPC64_DTPREL16",            DtpOffset,  Zero,   &WORD16,          Signed),
    reloc( 75, "R_PPC64_DTPREL16_LO",         DtpOffset,  Zero,   &WORD16,          Ignore),
    reloc( 76, "R_PPC64_DTPREL16_HI",         DtpOffset,  Zero,   &HI,              Signed),
    reloc( 77, "R_PPC64_DTPREL16_HA",         DtpOffset,  Zero,   &HA,              Signed),
    reloc( 78, "R_PPC64_DTPREL64",            DtpOffset,  Zero,   &WORD64,          Ignore),
    reloc( 79, "R_PPC64_GOT_TLSGD16",         TlsGdSlot,  TOC,    &WORD16,          Signed),
    reloc( 80, "R_PPC64_GOT_TLSGD16_LO",      TlsGdSlot,  TOC,    &WORD16,          Ignore),
    reloc( 81, "R_PPC64_GOT_TLSGD16_HI",      TlsGdSlot,  TOC,    &HI,              Signed),
    reloc( 82, "R_PPC64_GOT_TLSGD16_HA",      TlsGdSlot,  TOC,    &HA,              Signed),
    reloc( 83, "R_PPC64_GOT_TLSLD16",         TlsLdSlot,  TOC,    &WORD16,          Signed),
    reloc( 84, "R_PPC64_GOT_TLSLD16_LO",      TlsLdSlot,  TOC,    &WORD16,          Ignore),
    reloc( 85, "R_PPC64_GOT_TLSLD16_HI",      TlsLdSlot,  TOC,    &HI,              Signed),
    reloc( 86, "R_PPC64_GOT_TLSLD16_HA",      TlsLdSlot,  TOC,    &HA,              Signed),
    reloc( 87, "R_PPC64_GOT_TPREL16_DS",      TlsIeSlot,  TOC,    &DS,              Signed),
    reloc( 88, "R_PPC64_GOT_TPREL16_LO_DS",   TlsIeSlot,  TOC,    &DS,              Ignore),
    reloc( 89, "R_PPC64_GOT_TPREL16_HI",      TlsIeSlot,  TOC,    &HI,              Signed),
    reloc( 90, "R_PPC64_GOT_TPREL16_HA",      TlsIeSlot,  TOC,    &HA,              Signed),
    Reloc::refused(91, "R_PPC64_GOT_DTPREL16_DS", DTPREL_SLOT),
    Reloc::refused(92, "R_PPC64_GOT_DTPREL16_LO_DS", DTPREL_SLOT),
    Reloc::refused(93, "R_PPC64_GOT_DTPREL16_HI", DTPREL_SLOT),
    Reloc::refused(94, "R_PPC64_GOT_DTPREL16_HA", DTPREL_SLOT),
    reloc( 95, "R_PPC64_TPREL16_DS",          TpOffset,   Zero,   &DS,              Signed),
    reloc( 96, "R_PPC64_TPREL16_LO_DS",       TpOffset,   Zero,   &DS,              Ignore),
    reloc( 97, "R_PPC64_TPREL16_HIGHER",      TpOffset,   Zero,   &HIGHER,          Ignore),
    reloc( 98, "R_PPC64_TPREL16_HIGHERA",     TpOffset,   Zero,   &HIGHERA,         Ignore),
    reloc( 99, "R_PPC64_TPREL16_HIGHEST",     TpOffset,   Zero,   &HIGHEST,         Ignore),
    reloc(100, "R_PPC64_TPREL16_HIGHESTA",    TpOffset,   Zero,   &HIGHESTA,        Ignore),
    reloc(101, "R_PPC64_DTPREL16_DS",         DtpOffset,  Zero,   &DS,              Signed),
    reloc(102, "R_PPC64_DTPREL16_LO_DS",      DtpOffset,  Zero,   &DS,              Ignore),
    reloc(103, "R_PPC64_DTPREL16_HIGHER",     DtpOffset,  Zero,   &HIGHER,          Ignore),
    reloc(104, "R_PPC64_DTPREL16_HIGHERA",    DtpOffset,  Zero,   &HIGHERA,         Ignore),
    reloc(105, "R_PPC64_DTPREL16_HIGHEST",    DtpOffset,  Zero,   &HIGHEST,         Ignore),
    reloc(106, "R_PPC64_DTPREL16_HIGHESTA",   DtpOffset,  Zero,   &HIGHESTA,        Ignore),
    Reloc::none(107, "R_PPC64_TLSGD"),                                                              // marks a call
    Reloc::none(108, "R_PPC64_TLSLD"),                                                              // marks a call
    Reloc::none(109, "R_PPC64_TOCSAVE"),                                                            // marks a nop
    reloc(110, "R_PPC64_ADDR16_HIGH",         Symbol,     Zero,   &HI,              Ignore),
    reloc(111, "R_PPC64_ADDR16_HIGHA",        Symbol,     Zero,   &HA,              Ignore),
    reloc(112, "R_PPC64_TPREL16_HIGH",        TpOffset,   Zero,   &HI,              Ignore),
    reloc(113, "R_PPC64_TPREL16_HIGHA",       TpOffset,   Zero,   &HA,              Ignore),
    reloc(114, "R_PPC64_DTPREL16_HIGH",       DtpOffset,  Zero,   &HI,              Ignore),
    reloc(115, "R_PPC64_DTPREL16_HIGHA",      DtpOffset,  Zero,   &HA,              Ignore),
    reloc(116, "R_PPC64_REL24_NOTOC",         Callee,     Place,  &LI24,            Signed),        // S + A - P
    reloc(117, "R_PPC64_ADDR64_LOCAL",        Callee,     Zero,   &WORD64,          Ignore),        // S + A + the local entry's offset
    Reloc::none(118, "R_PPC64_ENTRY"),                                                              // marks code that computes the TOC base
    Reloc::none(119, "R_PPC64_PLTSEQ"),
    Reloc::none(120, "R_PPC64_PLTCALL"),
    Reloc::none(121, "R_PPC64_PLTSEQ_NOTOC"),
    Reloc::none(122, "R_PPC64_PLTCALL_NOTOC"),
    Reloc::none(123, "R_PPC64_PCREL_OPT"),                                                          // marks a load that may be joined with another
    reloc(124, "R_PPC64_REL24_P9NOTOC",       Callee,     Place,  &LI24,            Signed),        // S + A - P
    reloc(128, "R_PPC64_D34",                 Symbol,     Zero,   &D34,             Signed),        // S + A
    reloc(129, "R_PPC64_D34_LO",              Symbol,     Zero,   &D34,             Ignore),        // #lo34(S + A)
    reloc(130, "R_PPC64_D34_HI30",            Symbol,     Zero,   &D34_HI30,        Ignore),        // #hi30(S + A)
    reloc(131, "R_PPC64_D34_HA30",            Symbol,     Zero,   &D34_HA30,        Ignore),        // #ha30(S + A)
    reloc(132, "R_PPC64_PCREL34",             Symbol,     Place,  &D34,             Signed),        // S + A - P
    reloc(133, "R_PPC64_GOT_PCREL34",         GotSlot,    Place,  &D34,             Signed).relax(), // G + GOT - P
    reloc(134, "R_PPC64_PLT_PCREL34",         GotSlot,    Place,  &D34,             Signed),        // L - P
    reloc(135, "R_PPC64_PLT_PCREL34_NOTOC",   GotSlot,    Place,  &D34,             Signed),        // L - P
    reloc(136, "R_PPC64_ADDR16_HIGHER34",     Symbol,     Zero,   &HIGHER34,        Ignore),
    reloc(137, "R_PPC64_ADDR16_HIGHERA34",    Symbol,     Zero,   &HIGHERA34,       Ignore),
    reloc(138, "R_PPC64_ADDR16_HIGHEST34",    Symbol,     Zero,   &HIGHEST34,       Ignore),
    reloc(139, "R_PPC64_ADDR16_HIGHESTA34",   Symbol,     Zero,   &HIGHESTA34,      Ignore),
    reloc(140, "R_PPC64_REL16_HIGHER34",      Symbol,     Place,  &HIGHER34,        Ignore),
    reloc(141, "R_PPC64_REL16_HIGHERA34",     Symbol,     Place,  &HIGHERA34,       Ignore),
    reloc(142, "R_PPC64_REL16_HIGHEST34",     Symbol,     Place,  &HIGHEST34,       Ignore),
    reloc(143, "R_PPC64_REL16_HIGHESTA34",    Symbol,     Place,  &HIGHESTA34,      Ignore),
    reloc(144, "R_PPC64_D28",                 Symbol,     Zero,   &D28,             Signed),        // S + A
    reloc(145, "R_PPC64_PCREL28",             Symbol,     Place,  &D28,             Signed),        // S + A - P
    reloc(146, "R_PPC64_TPREL34",             TpOffset,   Zero,   &D34,             Signed),
    reloc(147, "R_PPC64_DTPREL34",            DtpOffset,  Zero,   &D34,             Signed),
    reloc(148, "R_PPC64_GOT_TLSGD_PCREL34",   TlsGdSlot,  Place,  &D34,             Signed),
    reloc(149, "R_PPC64_GOT_TLSLD_PCREL34",   TlsLdSlot,  Place,  &D34,             Signed),
    reloc(150, "R_PPC64_GOT_TPREL_PCREL34",   TlsIeSlot,  Place,  &D34,             Signed),
    Reloc::refused(151, "R_PPC64_GOT_DTPREL_PCREL34", DTPREL_SLOT),
    reloc(240, "R_PPC64_REL16_HIGH",          Symbol,     Place,  &HI,              Ignore),
    reloc(241, "R_PPC64_REL16_HIGHA",         Symbol,     Place,  &HA,              Ignore),
    reloc(242, "R_PPC64_REL16_HIGHER",        Symbol,     Place,  &HIGHER,          Ignore),
    reloc(243, "R_PPC64_REL16_HIGHERA",       Symbol,     Place,  &HIGHERA,         Ignore),
    reloc(244, "R_PPC64_REL16_HIGHEST",       Symbol,     Place,  &HIGHEST,         Ignore),
    reloc(245, "R_PPC64_REL16_HIGHESTA",      Symbol,     Place,  &HIGHESTA,        Ignore),
    reloc(246, "R_PPC64_REL16DX_HA",          Symbol,     Place,  &DX_HA,           Signed),        // #ha(S + A - P)
    Reloc::refused(247, "R_PPC64_JMP_IREL", DYNAMIC),
    Reloc::refused(248, "R_PPC64_IRELATIVE", DYNAMIC),
    reloc(249, "R_PPC64_REL16",               Symbol,     Place,  &WORD16,          Signed),
    reloc(250, "R_PPC64_REL16_LO",            Symbol,     Place,  &WORD16,          Ignore),
    reloc(251, "R_PPC64_REL16_HI",            Symbol,     Place,  &HI,              Signed),
    reloc(252, "R_PPC64_REL16_HA",            Symbol,     Place,  &HA,              Signed),
    Reloc::none(253, "R_PPC64_GNU_VTINHERIT"),
    Reloc::none(254, "R_PPC64_GNU_VTENTRY"),
];
