//! Loads from the GOT that need no GOT: psABI section B.2 "Optimize GOTPCRELX Relocations".
//!
//! Compilers that do not know where a symbol will be load its address, or jump through it, from a GOT slot. Where the symbol
//! turns out to be in the same batch, a form of the same length computes the address instead, without the memory access:
//!
//! ```text
//! call *foo@GOTPCREL(%rip)          addr32 call foo
//! jmp  *foo@GOTPCREL(%rip)          jmp foo; nop
//! mov   foo@GOTPCREL(%rip), %reg    lea foo(%rip), %reg
//! ```
//!
//! The psABI also lists `test` and eight arithmetic instructions, which become forms with an immediate operand. Those need
//! an address that fits 32 bits, signed, and nothing is placed yet when the choice is made: they keep their GOT slot.
//!
//! A plain `R_X86_64_GOTPCREL` stays as it is: it does not say that the bytes before it are the start of an instruction.

use super::rows;
use jitlink_core::arch::{CodeSite, Relaxed};

/// The instruction starts at its opcode.
const GOTPCRELX: u32 = 41;
/// A REX prefix stands before the opcode.
const REX_GOTPCRELX: u32 = 42;
/// Three bytes stand between the start and the ModRM byte: two of a REX2 prefix (APX) and the opcode.
const CODE_4_GOTPCRELX: u32 = 43;

/// The shorter form of an edge, if its instruction is one of those above.
pub(super) fn relax(site: &CodeSite<'_>) -> Option<Relaxed> {
    // With another addend the code does not load the slot from its start.
    if site.target.is_some() || site.edge.addend != -4 {
        return None;
    }
    let field = site.edge.offset as usize;
    let before = site.block.get(..field)?;
    let (&modrm, &opcode) = (before.last()?, before.get(field.checked_sub(2)?)?);
    let rip_relative = modrm & 0xc7 == 0x05;
    let row = match (site.row.raw(), opcode) {
        (GOTPCRELX, 0xff) if modrm == 0x15 => rows::CALL,
        (GOTPCRELX, 0xff) if modrm == 0x25 => rows::JMP,
        (GOTPCRELX, 0x8b) if rip_relative => rows::LEA,
        (REX_GOTPCRELX, 0x8b) if rip_relative && has_rex(before) => rows::LEA,
        (CODE_4_GOTPCRELX, 0x8b) if rip_relative && has_rex2(before) => rows::LEA,
        _ => return None,
    };
    // The displacement was relative to where its field starts, and is now relative to where the rewritten bytes start: two
    // bytes earlier. That of the jump moves one byte towards them, and its end with it.
    let addend = if row == rows::JMP { -5 } else { -6 };
    Some(Relaxed { row, offset: site.edge.offset - 2, addend })
}

fn has_rex(before: &[u8]) -> bool {
    before.len() >= 3 && before[before.len() - 3] & 0xf0 == 0x40
}

/// The top bit of the second byte selects the opcodes that have 0f before them elsewhere; those are not `mov`.
fn has_rex2(before: &[u8]) -> bool {
    before.len() >= 4 && before[before.len() - 4] == 0xd5 && before[before.len() - 3] & 0x80 == 0
}
