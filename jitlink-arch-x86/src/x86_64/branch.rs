//! Direct branches behind relocations that do not say so.
//!
//! `R_X86_64_PLT32` marks a branch since binutils 2.31 (2018). Older assemblers, and hand-written tables, use
//! `R_X86_64_PC32` for `call` and `jmp`, which is also what every access to data has.

use super::decode;
use jitlink_core::arch::CodeSite;
use jitlink_core::reloc::{Base, Subject};

/// Whether the field is the distance of a direct `call`, `jmp` or conditional jump to the target itself.
pub(super) fn is_branch(site: &CodeSite<'_>) -> bool {
    let row = site.row;
    let distance =
        row.subject() == Subject::Symbol && row.base() == Base::Place && row.field().plain_bytes() == Some(4);
    // With another addend it goes to somewhere inside the target, for which a stub cannot stand.
    if !distance || site.edge.addend != -4 || !follows_branch_opcode(site) {
        return false;
    }
    // The bytes may belong to a ModRM byte or an immediate as well: what the instruction is decides. Where data stands
    // between here and the last known instruction, only the bytes are left.
    decode::around(site).is_none_or(|found| {
        let instruction = &found.instruction;
        let branch = instruction.is_call_near() || instruction.is_jmp_near() || instruction.is_jcc_near();
        branch && found.end() == site.edge.offset + 4
    })
}

fn follows_branch_opcode(site: &CodeSite<'_>) -> bool {
    match site.block.get(..site.edge.offset as usize) {
        Some([.., 0xe8 | 0xe9]) => true,                         // call rel32, jmp rel32
        Some([.., 0x0f, condition]) => condition & 0xf0 == 0x80, // jcc rel32
        _ => false,
    }
}
