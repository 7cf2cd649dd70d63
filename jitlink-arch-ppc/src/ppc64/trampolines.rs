//! Functions that are found on their first call: indirect ones, and those that are linked late.
//!
//! The *trampoline* loads the slot into `r12` and jumps there. Any caller may enter it: it finds the slot from its own address, and
//! what it leads to may change `r2`, which its symbol says, so that callers save it. At first the slot leads to the *lazy* stub, which
//! puts the slot's address into `r11`; the *binder* hands that to the linker.
//!
//! The binder keeps what may hold arguments (ELFv2 ABI, "Parameter Passing in Registers"): `r3` to `r10`, `f1` to `f13` and `v2` to
//! `v13`; and `r2`, for a callee that has the caller's. It jumps on with the callee's address in `r12`.
//!
//! | its frame | what |
//! | --- | --- |
//! | 0 | back chain, condition register, return address, TOC base |
//! | 32 | room for the linker's parameters |
//! | 96 | `r3` to `r10` |
//! | 160 | `r2` |
//! | 168 | `f1` to `f13` |
//! | 272 | `v2` to `v13`, each at a multiple of sixteen |
//!
//! Under the ELFv1 ABI a function's address is that of a descriptor. So a trampoline there begins with one, whose TOC base is the slot's
//! address; the slot leads to the descriptor of what is called, and the lazy stub is no more than one, for the binder's code. Of its frame
//! the first part is 16 bytes longer.

use super::rows;
use super::stubs::{BCL_NEXT, BCTR, MFLR_R0, MFLR_R12, MTCTR_R12, MTLR_R0, OUTSIDE_BCL, OUTSIDE_BCL_FIXUPS};
use crate::code::{Code, code, fixup, short};
use jitlink_core::Endian;
use jitlink_core::arch::{StubFixup, StubKind, StubTemplate};

/// Where the frame holds what, after what the ABI has at its start.
const GENERAL: u16 = 0;
const TOC: u16 = 64;
const FLOAT: u16 = 72;
const VECTOR: u16 = 176;
const SAVED: u16 = VECTOR + 12 * 16;
/// What the ABI has at the start of a frame: ELFv2 ABI, "The Stack Frame"; ELFv1 ABI, "The Stack Frame".
const START: u16 = 96;
const START_V1: u16 = 112;
/// Where a function keeps its return address in its caller's frame.
const RETURN: u16 = 16;

/// The stack pointer's number.
const R1: u32 = 1;

const fn addi(to: u32, base: u32, value: u16) -> u32 {
    short(14, to, base, value)
}

const fn ld(to: u32, at: u16, base: u32) -> u32 {
    short(58, to, base, at)
}

const fn std(from: u32, at: u16, base: u32) -> u32 {
    short(62, from, base, at)
}

const fn lfd(to: u32, at: u16) -> u32 {
    short(50, to, R1, at)
}

const fn stfd(from: u32, at: u16) -> u32 {
    short(54, from, R1, at)
}

/// `lvx` of what a register points to.
const fn lvx(to: u32, at: u32) -> u32 {
    0x7c00_00ce | to << 21 | at << 11
}

const fn stvx(from: u32, at: u32) -> u32 {
    0x7c00_01ce | from << 21 | at << 11
}

/// `stdu r1, -size(r1)`
const fn stdu_r1(size: u16) -> u32 {
    0xf821_0001 | (size.wrapping_neg() as u32 & 0xfffc)
}

const MR_R3_R2: u32 = 0x7c43_1378;
const MR_R3_R11: u32 = 0x7d63_5b78;
const MR_R12_R3: u32 = 0x7c6c_1b78;
const BCTRL: u32 = 0x4e80_0421;
const NOP: u32 = 0x6000_0000;
const MFLR_R11: u32 = 0x7d68_02a6;
const MTCTR_R11: u32 = 0x7d69_03a6;

/// Instructions before the linker's address.
const BINDER_WORDS: usize = 108;
const BINDER_V1_WORDS: usize = 114;
/// The instruction after which the code knows its own address.
const BINDER_HERE: usize = 51;

const BINDER: [u32; BINDER_WORDS + 2] = binder();
const BINDER_V1: [u32; BINDER_V1_WORDS + 2] = binder_v1();

impl<const WORDS: usize> Code<WORDS> {
    /// The address of the linker, which fills the last two words. What is left before it is the padding, so that the address lies
    /// at a multiple of eight.
    const fn end(mut self) -> [u32; WORDS] {
        assert!(WORDS.is_multiple_of(2) && self.used <= WORDS - 2 && WORDS - 2 - self.used < 2);
        (self.words[WORDS - 2], self.words[WORDS - 1]) = (0, 0);
        self.words
    }

    /// Makes a frame and saves what may hold arguments in it.
    const fn enter(&mut self, start: u16) {
        self.push(MFLR_R0);
        self.push(std(0, RETURN, R1));
        self.push(stdu_r1(start + SAVED));
        self.arguments(true, 12, start);
    }

    /// Gets all of it back. `r0` and `r11` are changed.
    const fn leave(&mut self, start: u16) {
        self.arguments(false, 11, start);
        self.push(addi(R1, R1, start + SAVED));
        self.push(ld(0, RETURN, R1));
        self.push(MTLR_R0);
    }

    /// Saves all registers that may hold arguments, or gets them back. `scratch` is changed.
    const fn arguments(&mut self, saves: bool, scratch: u32, start: u16) {
        let mut index = 0;
        while index < 8 {
            let at = start + GENERAL + 8 * index as u16;
            self.push(if saves { std(3 + index, at, R1) } else { ld(3 + index, at, R1) });
            index += 1;
        }
        self.push(if saves { std(2, start + TOC, R1) } else { ld(2, start + TOC, R1) });
        let mut index = 0;
        while index < 13 {
            let at = start + FLOAT + 8 * index as u16;
            self.push(if saves { stfd(1 + index, at) } else { lfd(1 + index, at) });
            index += 1;
        }
        let mut index = 0;
        while index < 12 {
            self.push(addi(scratch, R1, start + VECTOR + 16 * index as u16));
            self.push(if saves { stvx(2 + index, scratch) } else { lvx(2 + index, scratch) });
            index += 1;
        }
    }
}

const fn binder() -> [u32; BINDER_WORDS + 2] {
    let mut code = Code::new(NOP);
    code.enter(START);
    code.push(MR_R3_R11);
    code.push(BCL_NEXT);
    assert!(code.used == BINDER_HERE);
    code.push(MFLR_R12);
    code.push(ld(12, (4 * (BINDER_WORDS - BINDER_HERE)) as u16, 12));
    code.push(MTCTR_R12);
    code.push(BCTRL);
    code.push(MR_R12_R3);
    code.leave(START);
    code.push(MTCTR_R12);
    code.push(BCTR);
    code.end()
}

/// The linker's address and its result are those of descriptors.
const fn binder_v1() -> [u32; BINDER_V1_WORDS + 2] {
    let mut code = Code::new(NOP);
    code.enter(START_V1);
    code.push(MR_R3_R2);
    code.push(BCL_NEXT);
    assert!(code.used == BINDER_HERE);
    code.push(MFLR_R12);
    code.push(ld(11, (4 * (BINDER_V1_WORDS - BINDER_HERE)) as u16, 12));
    code.push(ld(12, 0, 11));
    code.push(MTCTR_R12);
    code.push(ld(2, 8, 11));
    code.push(ld(11, 16, 11));
    code.push(BCTRL);
    code.push(MR_R12_R3);
    code.leave(START_V1);
    code.push(ld(11, 0, 12));
    code.push(MTCTR_R11);
    code.push(ld(2, 8, 12));
    code.push(ld(11, 16, 12));
    code.push(BCTR);
    code.end()
}

const LAZY: [u32; 7] = [
    MFLR_R0,     //   mflr  r0
    BCL_NEXT,    //   bcl   20, 31, .+4
    MFLR_R11,    //   mflr  r11
    MTLR_R0,     //   mtlr  r0
    0x3d6b_0000, //   addis r11, r11, (slot - here)@ha
    0x396b_0000, //   addi  r11, r11, (slot - here)@l
    0x4800_0000, //   b     binder
];
// `here` is the third instruction.
const LAZY_FIXUPS: &[StubFixup] =
    &[fixup(16, rows::SLOT_HA, 16 - 8), fixup(20, rows::SLOT_LO_WHOLE, 20 - 8), fixup(24, rows::BRANCH, 0)];
const BINDER_FIXUPS: &[StubFixup] = &[fixup(4 * BINDER_WORDS as u32, rows::POINTER, 0)];

/// A descriptor, and the code that it stands for.
const ENTRY_V1: [u32; 12] = [
    0,
    0, //           where the code is
    0,
    0, //           the slot's address
    0,
    0,              //
    ld(11, 0, 2),   //   ld    r11, 0(r2)
    ld(12, 0, 11),  //  ld    r12, 0(r11)
    MTCTR_R12,      //  mtctr r12
    ld(2, 8, 11),   //   ld    r2, 8(r11)
    ld(11, 16, 11), // ld    r11, 16(r11)
    BCTR,           //  bctr
];
const ENTRY_V1_FIXUPS: &[StubFixup] = &[fixup(0, rows::OWN_ADDRESS, 24), fixup(8, rows::SLOT_ADDRESS, 0)];
/// A descriptor for the binder's code.
const LAZY_V1_FIXUPS: &[StubFixup] = &[fixup(0, rows::POINTER, 0), fixup(8, rows::SLOT_ADDRESS, 0)];
const BINDER_V1_FIXUPS: &[StubFixup] = &[fixup(4 * BINDER_V1_WORDS as u32, rows::POINTER, 0)];

static TRAMPOLINE: StubTemplate = StubTemplate::new(&const { code::<32>(&OUTSIDE_BCL, false) }, 4, OUTSIDE_BCL_FIXUPS);
static LAZY_STUB: StubTemplate = StubTemplate::new(&const { code::<28>(&LAZY, false) }, 4, LAZY_FIXUPS);
static BINDER_STUB: StubTemplate =
    StubTemplate::new(&const { code::<{ 4 * (BINDER_WORDS + 2) }>(&BINDER, false) }, 16, BINDER_FIXUPS);

static TRAMPOLINE_BIG: StubTemplate =
    StubTemplate::new(&const { code::<32>(&OUTSIDE_BCL, true) }, 4, OUTSIDE_BCL_FIXUPS);
static LAZY_BIG_STUB: StubTemplate = StubTemplate::new(&const { code::<28>(&LAZY, true) }, 4, LAZY_FIXUPS);
static BINDER_BIG_STUB: StubTemplate =
    StubTemplate::new(&const { code::<{ 4 * (BINDER_WORDS + 2) }>(&BINDER, true) }, 16, BINDER_FIXUPS);

static TRAMPOLINE_V1: StubTemplate = StubTemplate::new(&const { code::<48>(&ENTRY_V1, true) }, 8, ENTRY_V1_FIXUPS);
static LAZY_V1_STUB: StubTemplate = StubTemplate::new(&[0; 24], 8, LAZY_V1_FIXUPS);
static BINDER_V1_STUB: StubTemplate =
    StubTemplate::new(&const { code::<{ 4 * (BINDER_V1_WORDS + 2) }>(&BINDER_V1, true) }, 16, BINDER_V1_FIXUPS);

/// A part of a trampoline, under the ELFv2 ABI or under ELFv1, which is for big-endian code alone.
pub(super) fn template(kind: StubKind, endian: Endian, is_v2: bool) -> Option<&'static StubTemplate> {
    let [trampoline, lazy, binder] = match endian {
        Endian::Little => [&TRAMPOLINE, &LAZY_STUB, &BINDER_STUB],
        Endian::Big if is_v2 => [&TRAMPOLINE_BIG, &LAZY_BIG_STUB, &BINDER_BIG_STUB],
        Endian::Big => [&TRAMPOLINE_V1, &LAZY_V1_STUB, &BINDER_V1_STUB],
    };
    match kind {
        StubKind::Trampoline => Some(trampoline),
        StubKind::Lazy => Some(lazy),
        StubKind::Binder => Some(binder),
        _ => None,
    }
}
