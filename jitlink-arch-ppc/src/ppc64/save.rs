//! The routines that save and restore registers (ELFv2 ABI, "Register Save and Restore Functions").

use crate::save::Family;

const BLR: u32 = 0x4e80_0020;
const SAVE_LR: u32 = 0xf801_0010; // std r0, 16(r1)
const LOAD_LR: u32 = 0xe801_0010; // ld r0, 16(r1)
const MTLR_R0: u32 = 0x7c08_03a6;

const RETURN: &[u32] = &[BLR];
/// The caller has put its return address into `r0`.
const SAVE_AND_RETURN: &[u32] = &[SAVE_LR, BLR];
/// Returns for the caller, to where that was called from.
const LEAVE: &[u32] = &[LOAD_LR, MTLR_R0, BLR];

pub(super) static FAMILIES: [Family; 8] = [
    Family {
        prefix: "_savegpr0_",
        suffix: "",
        first: 14,
        each: |r, left| [std(r, left, 1), 0],
        count: 1,
        end: SAVE_AND_RETURN,
    },
    Family { prefix: "_restgpr0_", suffix: "", first: 14, each: |r, left| [ld(r, left, 1), 0], count: 1, end: LEAVE },
    Family {
        prefix: "_savegpr1_",
        suffix: "",
        first: 14,
        each: |r, left| [std(r, left, 12), 0],
        count: 1,
        end: RETURN,
    },
    Family { prefix: "_restgpr1_", suffix: "", first: 14, each: |r, left| [ld(r, left, 12), 0], count: 1, end: RETURN },
    Family {
        prefix: "_savefpr_",
        suffix: "",
        first: 14,
        each: |r, left| [stfd(r, left), 0],
        count: 1,
        end: SAVE_AND_RETURN,
    },
    Family { prefix: "_restfpr_", suffix: "", first: 14, each: |r, left| [lfd(r, left), 0], count: 1, end: LEAVE },
    Family {
        prefix: "_savevr_",
        suffix: "",
        first: 20,
        each: |r, left| [li_r12(left), vector(231, r)],
        count: 2,
        end: RETURN,
    },
    Family {
        prefix: "_restvr_",
        suffix: "",
        first: 20,
        each: |r, left| [li_r12(left), vector(103, r)],
        count: 2,
        end: RETURN,
    },
];

/// The displacement of the register that is `left` registers of `size` bytes before the end of the save area.
const fn below(left: u32, size: u32) -> u32 {
    left.wrapping_mul(size).wrapping_neg() & 0xffff
}

const fn std(register: u32, left: u32, base: u32) -> u32 {
    62 << 26 | register << 21 | base << 16 | below(left, 8)
}

const fn ld(register: u32, left: u32, base: u32) -> u32 {
    58 << 26 | register << 21 | base << 16 | below(left, 8)
}

const fn stfd(register: u32, left: u32) -> u32 {
    54 << 26 | register << 21 | 1 << 16 | below(left, 8)
}

const fn lfd(register: u32, left: u32) -> u32 {
    50 << 26 | register << 21 | 1 << 16 | below(left, 8)
}

/// `li r12, displacement`.
const fn li_r12(left: u32) -> u32 {
    14 << 26 | 12 << 21 | below(left, 16)
}

/// `stvx` or `lvx` of a register at `r12` plus `r0`, which the caller has set to the end of the area.
const fn vector(operation: u32, register: u32) -> u32 {
    31 << 26 | register << 21 | 12 << 16 | operation << 1
}
