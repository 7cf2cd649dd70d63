//! The routines that save and restore registers (Power Architecture 32-bit ABI Supplement, "Register Saving and Restoring
//! Functions"). Systems have them in `libgcc.a`, which a link without a compiler's own library does without.
//!
//! The save area ends at the address in `r11`, above which the caller's frame has its word for a return address.

use crate::save::Family;

const BLR: u32 = 0x4e80_0020;

const RETURN: &[u32] = &[BLR];
/// Returns for the caller, whose frame ends where the save area does.
const LEAVE: &[u32] = &[
    0x800b_0004, // lwz  r0, 4(r11)
    0x7c08_03a6, // mtlr r0
    0x7d61_5b78, // mr   r1, r11
    BLR,
];

pub(super) static FAMILIES: [Family; 8] = [
    general("_savegpr_", "", |r, left| [displaced(36, r, left, 4), 0], RETURN),
    general("_restgpr_", "", |r, left| [displaced(32, r, left, 4), 0], RETURN),
    general("_restgpr_", "_x", |r, left| [displaced(32, r, left, 4), 0], LEAVE),
    general("_savefpr_", "", |r, left| [displaced(54, r, left, 8), 0], RETURN),
    general("_restfpr_", "", |r, left| [displaced(50, r, left, 8), 0], RETURN),
    general("_restfpr_", "_x", |r, left| [displaced(50, r, left, 8), 0], LEAVE),
    vector("_savevr_", |r, left| [li_r11(left), indexed(231, r)]),
    vector("_restvr_", |r, left| [li_r11(left), indexed(103, r)]),
];

type Each = fn(register: u32, left: u32) -> [u32; 2];

const fn general(prefix: &'static str, suffix: &'static str, each: Each, end: &'static [u32]) -> Family {
    Family { prefix, suffix, first: 14, each, count: 1, end }
}

/// The caller has put the end of the save area into `r0`.
const fn vector(prefix: &'static str, each: Each) -> Family {
    Family { prefix, suffix: "", first: 20, each, count: 2, end: RETURN }
}

/// A load or store of the register that is `left` registers of `size` bytes before the end of the save area.
const fn displaced(opcode: u32, register: u32, left: u32, size: u32) -> u32 {
    opcode << 26 | register << 21 | 11 << 16 | left.wrapping_mul(size).wrapping_neg() & 0xffff
}

/// `li r11, displacement`.
const fn li_r11(left: u32) -> u32 {
    14 << 26 | 11 << 21 | left.wrapping_mul(16).wrapping_neg() & 0xffff
}

/// `stvx` or `lvx` of a register at `r11` plus `r0`.
const fn indexed(operation: u32, register: u32) -> u32 {
    31 << 26 | register << 21 | 11 << 16 | operation << 1
}
