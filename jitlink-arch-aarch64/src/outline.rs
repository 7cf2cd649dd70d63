//! Instructions that do not reach their targets, moved out of line.
//!
//! Conditional branches have 19 or 14 bits for the distance, where others have 26. The branch decides between two of those, for which
//! there may be thunks. Addresses, of a page or in full, are loaded as constants, and what adds the low bits stays as it is.
//!
//! ```text
//!                       out: b.eq .+8                             out: ldr x0, .+8
//! b.eq far     b out         b    next    adrp x0, far   b out         b   next
//! next: …      next: …       b    far     next: …        next: …       .quad page of far
//! ```

use crate::rows;
use jitlink_core::arch::{CodeSite, Outlined};

const B: u32 = 0x1400_0000;
/// `ldr xN, .+8`.
const LOAD: u32 = 0x5800_0040;

/// The instruction around an edge in its long form; the reason why there is none.
pub(crate) fn outline(site: &CodeSite<'_>) -> Result<Outlined, String> {
    let offset = site.edge.offset;
    let bytes = site.block.get(offset as usize..).and_then(|code| code.first_chunk::<4>());
    let word = bytes.map(|bytes| u32::from_le_bytes(*bytes)).ok_or("the instruction is cut off")?;
    let next = (4, rows::BRANCH, i64::from(offset) + 4);
    let (code, target) = match long(word) {
        Some(Long::Branch(branch)) => ([branch, B, B, 0], (8, rows::BRANCH, site.edge.addend)),
        Some(Long::Constant(row)) => ([LOAD | word & 31, B, 0, 0], (8, row, site.edge.addend)),
        None => return Err("only conditional branches, adr and adrp can be moved out of line here".into()),
    };
    Ok(Outlined {
        offset,
        patch: B.to_le_bytes().into(),
        jump_row: rows::BRANCH,
        jump: (0, 0),
        code: code.iter().flat_map(|word| word.to_le_bytes()).collect(),
        target_fixups: vec![target],
        block_fixups: vec![next],
    })
}

/// What an instruction becomes.
enum Long {
    /// Itself, to two instructions on.
    Branch(u32),
    /// A load of what a row makes of the target.
    Constant(u16),
}

fn long(word: u32) -> Option<Long> {
    const TWO_INSTRUCTIONS: u32 = 2 << 5;
    let (imm19, imm14) = (0x7_ffff << 5, 0x3fff << 5);
    match word {
        // b.cond, bc.cond
        _ if word >> 24 == 0x54 => Some(Long::Branch(word & !imm19 | TWO_INSTRUCTIONS)),
        // cbz, cbnz
        _ if word & 0x7e00_0000 == 0x3400_0000 => Some(Long::Branch(word & !imm19 | TWO_INSTRUCTIONS)),
        // tbz, tbnz
        _ if word & 0x7e00_0000 == 0x3600_0000 => Some(Long::Branch(word & !imm14 | TWO_INSTRUCTIONS)),
        // adrp
        _ if word & 0x9f00_0000 == 0x9000_0000 => Some(Long::Constant(rows::PAGE_POINTER)),
        // adr
        _ if word & 0x9f00_0000 == 0x1000_0000 => Some(Long::Constant(rows::POINTER)),
        _ => None,
    }
}
