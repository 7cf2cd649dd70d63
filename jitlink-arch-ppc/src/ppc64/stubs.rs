//! The code of stubs and thunks.
//!
//! Which of them a call goes through depends on what its two ends agree on about `r2`, the TOC base ([`super::calls`]). A stub for
//! a caller that keeps `r2` may use it to find a slot, and saves it for the `ld` behind the call. All leave the address of the
//! callee in `r12`, from which its global entry computes its own `r2`; besides that, they change `ctr` and `r0`. Thunks stand in for
//! direct calls, inside the batch, and change `ctr` alone.
//!
//! Where neither `r2` nor prefixed instructions are at hand, `bcl` finds the code's own address; that form of it does not
//! disturb the prediction of returns (Power ISA, Book I, "Branch Instructions").

use super::rows;
use crate::code::{code, fixup};
use jitlink_core::Endian;
use jitlink_core::arch::{StubFixup, StubKind, StubTemplate};

/// From a caller without a TOC, on a machine with prefixed instructions, to a callee outside of the batch.
pub(super) const OUTSIDE_NO_TOC: StubKind = StubKind::Form(0);
/// From there to a callee that has a TOC.
pub(super) const ENTER_NO_TOC: StubKind = StubKind::Form(1);
/// From a caller with a TOC to a callee that does not keep `r2`.
pub(super) const SAVE_TOC: StubKind = StubKind::Form(2);
/// As [`OUTSIDE_NO_TOC`], without prefixed instructions.
pub(super) const OUTSIDE_NO_PREFIX: StubKind = StubKind::Form(3);
/// As [`ENTER_NO_TOC`], without prefixed instructions.
pub(super) const ENTER_NO_PREFIX: StubKind = StubKind::Form(4);
/// From a caller under the ELFv1 ABI to a callee outside of the batch, which is known by its descriptor.
pub(super) const DESCRIPTOR: StubKind = StubKind::Form(5);
/// From a caller whose TOC base is not that of the linker's slots to a callee outside of the batch.
pub(super) const OUTSIDE_ACROSS: StubKind = StubKind::Form(6);
/// From a caller to a callee with another TOC base.
pub(super) const ENTER_ACROSS: StubKind = StubKind::Form(7);
/// From a caller with a TOC to a callee outside of the batch. It is no [`StubKind::Plt`], which would have to serve every caller:
/// this machine has no such stub, so links whose functions are entered through slots are refused.
pub(super) const OUTSIDE_TOC: StubKind = StubKind::Form(8);
/// From a caller under the ELFv1 ABI whose TOC base is not that of the linker's slots to a callee outside of the batch.
pub(super) const DESCRIPTOR_APART: StubKind = StubKind::Form(9);
/// From a caller under the ELFv1 ABI to a function of the batch with another TOC base, by its descriptor.
pub(super) const DESCRIPTOR_NEAR: StubKind = StubKind::Form(10);
/// How many forms there are.
pub(super) const FORMS: u8 = 11;

pub(super) const MTCTR_R12: u32 = 0x7d89_03a6;
pub(super) const BCTR: u32 = 0x4e80_0420;
const SAVE_R2: u32 = 0xf841_0018; // std r2, 24(r1)
pub(super) const BCL_NEXT: u32 = 0x429f_0005; // bcl 20, 31, .+4
pub(super) const MFLR_R0: u32 = 0x7c08_02a6;
pub(super) const MFLR_R12: u32 = 0x7d88_02a6;
pub(super) const MTLR_R0: u32 = 0x7c08_03a6;
const ADDIS_R12_R12: u32 = 0x3d8c_0000;
const ADDI_R12_R12: u32 = 0x398c_0000;
const LD_R12_R12: u32 = 0xe98c_0000;

const OUTSIDE: [u32; 5] = [
    SAVE_R2,     //   std   r2, 24(r1)
    0x3d82_0000, //   addis r12, r2, slot@toc@ha
    LD_R12_R12,  //   ld    r12, slot@toc@l(r12)
    MTCTR_R12,   //   mtctr r12
    BCTR,        //   bctr
];
const OUTSIDE_FIXUPS: &[StubFixup] = &[fixup(4, rows::TOC_SLOT_HA, 0), fixup(8, rows::TOC_SLOT_LO, 0)];

// ELFv1 ABI, "Function Descriptors": entry, TOC base and environment of the callee, at the address that its symbol has.
const DESCRIBED: [u32; 8] = [
    0xf841_0028, //   std   r2, 40(r1)
    0x3d62_0000, //   addis r11, r2, slot@toc@ha
    0xe96b_0000, //   ld    r11, slot@toc@l(r11)
    0xe98b_0000, //   ld    r12, 0(r11)
    MTCTR_R12,   //   mtctr r12
    0xe84b_0008, //   ld    r2, 8(r11)
    0xe96b_0010, //   ld    r11, 16(r11)
    BCTR,        //   bctr
];
const DESCRIBED_FIXUPS: &[StubFixup] = &[fixup(4, rows::TOC_SLOT_HA, 0), fixup(8, rows::TOC_SLOT_LO, 0)];

// The same, where the descriptor is found from the code's own address.
const DESCRIBED_APART: [u32; 12] = described_apart(0xe96b_0000); // ld r11, (slot - here)@l(r11)
const DESCRIBED_NEAR: [u32; 12] = described_apart(0x396b_0000); // addi r11, r11, (descriptor - here)@l

const fn described_apart(lower: u32) -> [u32; 12] {
    [
        0xf841_0028, // std   r2, 40(r1)
        MFLR_R0,     // mflr  r0
        BCL_NEXT,    // bcl   20, 31, .+4
        0x7d68_02a6, // mflr  r11
        MTLR_R0,     // mtlr  r0
        0x3d6b_0000, // addis r11, r11, (… - here)@ha
        lower,
        0xe98b_0000, // ld    r12, 0(r11)
        MTCTR_R12,   // mtctr r12
        0xe84b_0008, // ld    r2, 8(r11)
        0xe96b_0010, // ld    r11, 16(r11)
        BCTR,        // bctr
    ]
}
// `here` is the fourth instruction.
const DESCRIBED_APART_FIXUPS: &[StubFixup] = &[fixup(20, rows::SLOT_HA, 20 - 12), fixup(24, rows::SLOT_LO, 24 - 12)];
const DESCRIBED_NEAR_FIXUPS: &[StubFixup] = &[fixup(20, rows::NEAR_HA, 20 - 12), fixup(24, rows::NEAR_LO, 24 - 12)];

// Sixteen bytes at a multiple of that, as no prefixed instruction may lie across 64 bytes.
const OUTSIDE34: [u32; 4] = [0x0410_0000, 0xe580_0000, MTCTR_R12, BCTR]; // pld r12, slot@pcrel
const OUTSIDE34_FIXUPS: &[StubFixup] = &[fixup(0, rows::SLOT34, 0)];
const ENTER34: [u32; 4] = [0x0610_0000, 0x3980_0000, MTCTR_R12, BCTR]; // pla r12, callee@pcrel
const ENTER34_FIXUPS: &[StubFixup] = &[fixup(0, rows::NEAR34, 0)];

const SAVE: [u32; 2] = [SAVE_R2, 0x4800_0000]; // std r2, 24(r1); b callee
const SAVE_FIXUPS: &[StubFixup] = &[fixup(4, rows::BRANCH, 0)];

pub(super) const OUTSIDE_BCL: [u32; 8] = [
    MFLR_R0,       //   mflr  r0
    BCL_NEXT,      //   bcl   20, 31, .+4
    MFLR_R12,      //   mflr  r12
    MTLR_R0,       //   mtlr  r0
    ADDIS_R12_R12, //   addis r12, r12, (slot - here)@ha
    LD_R12_R12,    //   ld    r12, (slot - here)@l(r12)
    MTCTR_R12,     //   mtctr r12
    BCTR,          //   bctr
];
// `here` is the third instruction.
pub(super) const OUTSIDE_BCL_FIXUPS: &[StubFixup] =
    &[fixup(16, rows::SLOT_HA, 16 - 8), fixup(20, rows::SLOT_LO, 20 - 8)];

const ENTER_BCL: [u32; 8] = [MFLR_R0, BCL_NEXT, MFLR_R12, MTLR_R0, ADDIS_R12_R12, ADDI_R12_R12, MTCTR_R12, BCTR];
const ENTER_BCL_FIXUPS: &[StubFixup] = &[fixup(16, rows::NEAR_HA, 16 - 8), fixup(20, rows::NEAR_LO, 20 - 8)];

// What a thunk stands in for is a direct call, which leaves all registers as they are: routines that save registers take arguments
// in `r0`, `r11` and `r12`. So only `ctr` changes. The two words lie below all that a function may have saved under its stack
// pointer (18 general and 18 floating-point registers of eight bytes, 12 vector registers of sixteen), and within the 512 bytes
// there that Linux leaves alone when a signal comes.
const THUNK: [u32; 12] = [
    0xf801_fe10,   //   std   r0, -496(r1)
    0xf981_fe08,   //   std   r12, -504(r1)
    MFLR_R0,       //   mflr  r0
    BCL_NEXT,      //   bcl   20, 31, .+4
    MFLR_R12,      //   mflr  r12
    MTLR_R0,       //   mtlr  r0
    ADDIS_R12_R12, //   addis r12, r12, (callee - here)@ha
    ADDI_R12_R12,  //   addi  r12, r12, (callee - here)@l
    MTCTR_R12,     //   mtctr r12
    0xe801_fe10,   //   ld    r0, -496(r1)
    0xe981_fe08,   //   ld    r12, -504(r1)
    BCTR,          //   bctr
];
// `here` is the fifth instruction.
const THUNK_FIXUPS: &[StubFixup] = &[fixup(24, rows::NEAR_HA, 24 - 16), fixup(28, rows::NEAR_LO, 28 - 16)];

const OUTSIDE_SAVE: [u32; 9] =
    [SAVE_R2, MFLR_R0, BCL_NEXT, MFLR_R12, MTLR_R0, ADDIS_R12_R12, LD_R12_R12, MTCTR_R12, BCTR];
const OUTSIDE_SAVE_FIXUPS: &[StubFixup] = &[fixup(20, rows::SLOT_HA, 20 - 12), fixup(24, rows::SLOT_LO, 24 - 12)];
const ENTER_SAVE: [u32; 9] =
    [SAVE_R2, MFLR_R0, BCL_NEXT, MFLR_R12, MTLR_R0, ADDIS_R12_R12, ADDI_R12_R12, MTCTR_R12, BCTR];
const ENTER_SAVE_FIXUPS: &[StubFixup] = &[fixup(20, rows::NEAR_HA, 20 - 12), fixup(24, rows::NEAR_LO, 24 - 12)];

/// The templates of one byte order.
struct Templates {
    outside: StubTemplate,
    outside34: StubTemplate,
    enter34: StubTemplate,
    save: StubTemplate,
    outside_bcl: StubTemplate,
    enter_bcl: StubTemplate,
    thunk: StubTemplate,
    described: StubTemplate,
    outside_save: StubTemplate,
    enter_save: StubTemplate,
    described_apart: StubTemplate,
    described_near: StubTemplate,
}

static LITTLE: Templates = Templates {
    outside: StubTemplate::new(&const { code::<20>(&OUTSIDE, false) }, 4, OUTSIDE_FIXUPS),
    outside34: StubTemplate::new(&const { code::<16>(&OUTSIDE34, false) }, 16, OUTSIDE34_FIXUPS),
    enter34: StubTemplate::new(&const { code::<16>(&ENTER34, false) }, 16, ENTER34_FIXUPS),
    save: StubTemplate::new(&const { code::<8>(&SAVE, false) }, 4, SAVE_FIXUPS),
    outside_bcl: StubTemplate::new(&const { code::<32>(&OUTSIDE_BCL, false) }, 4, OUTSIDE_BCL_FIXUPS),
    enter_bcl: StubTemplate::new(&const { code::<32>(&ENTER_BCL, false) }, 4, ENTER_BCL_FIXUPS),
    thunk: StubTemplate::new(&const { code::<48>(&THUNK, false) }, 4, THUNK_FIXUPS),
    described: StubTemplate::new(&const { code::<32>(&DESCRIBED, false) }, 4, DESCRIBED_FIXUPS),
    outside_save: StubTemplate::new(&const { code::<36>(&OUTSIDE_SAVE, false) }, 4, OUTSIDE_SAVE_FIXUPS),
    enter_save: StubTemplate::new(&const { code::<36>(&ENTER_SAVE, false) }, 4, ENTER_SAVE_FIXUPS),
    described_apart: StubTemplate::new(&const { code::<48>(&DESCRIBED_APART, false) }, 4, DESCRIBED_APART_FIXUPS),
    described_near: StubTemplate::new(&const { code::<48>(&DESCRIBED_NEAR, false) }, 4, DESCRIBED_NEAR_FIXUPS),
};

static BIG: Templates = Templates {
    outside: StubTemplate::new(&const { code::<20>(&OUTSIDE, true) }, 4, OUTSIDE_FIXUPS),
    outside34: StubTemplate::new(&const { code::<16>(&OUTSIDE34, true) }, 16, OUTSIDE34_FIXUPS),
    enter34: StubTemplate::new(&const { code::<16>(&ENTER34, true) }, 16, ENTER34_FIXUPS),
    save: StubTemplate::new(&const { code::<8>(&SAVE, true) }, 4, SAVE_FIXUPS),
    outside_bcl: StubTemplate::new(&const { code::<32>(&OUTSIDE_BCL, true) }, 4, OUTSIDE_BCL_FIXUPS),
    enter_bcl: StubTemplate::new(&const { code::<32>(&ENTER_BCL, true) }, 4, ENTER_BCL_FIXUPS),
    thunk: StubTemplate::new(&const { code::<48>(&THUNK, true) }, 4, THUNK_FIXUPS),
    described: StubTemplate::new(&const { code::<32>(&DESCRIBED, true) }, 4, DESCRIBED_FIXUPS),
    outside_save: StubTemplate::new(&const { code::<36>(&OUTSIDE_SAVE, true) }, 4, OUTSIDE_SAVE_FIXUPS),
    enter_save: StubTemplate::new(&const { code::<36>(&ENTER_SAVE, true) }, 4, ENTER_SAVE_FIXUPS),
    described_apart: StubTemplate::new(&const { code::<48>(&DESCRIBED_APART, true) }, 4, DESCRIBED_APART_FIXUPS),
    described_near: StubTemplate::new(&const { code::<48>(&DESCRIBED_NEAR, true) }, 4, DESCRIBED_NEAR_FIXUPS),
};

/// The stub of a kind.
pub(super) fn template(kind: StubKind, endian: Endian) -> Option<&'static StubTemplate> {
    let templates = match endian {
        Endian::Little => &LITTLE,
        Endian::Big => &BIG,
    };
    match kind {
        OUTSIDE_TOC => Some(&templates.outside),
        // A thunk must do for every caller: it needs neither `r2` nor prefixed instructions.
        StubKind::Thunk => Some(&templates.thunk),
        ENTER_NO_PREFIX => Some(&templates.enter_bcl),
        OUTSIDE_NO_TOC => Some(&templates.outside34),
        ENTER_NO_TOC => Some(&templates.enter34),
        SAVE_TOC => Some(&templates.save),
        OUTSIDE_ACROSS => Some(&templates.outside_save),
        ENTER_ACROSS => Some(&templates.enter_save),
        DESCRIPTOR => Some(&templates.described),
        DESCRIPTOR_APART => Some(&templates.described_apart),
        DESCRIPTOR_NEAR => Some(&templates.described_near),
        OUTSIDE_NO_PREFIX => Some(&templates.outside_bcl),
        _ => None,
    }
}
