//! Conditional branches to functions that they may not reach.
//!
//! They have 14 bits for the distance, where other branches have 24. The branch is moved out of line, where it decides between two
//! branches with the longer reach, for which there may be thunks:
//!
//! ```text
//!                                          out: beq   .+8
//! beq far              b out                    b     next
//! next: …              next: …                  b     far
//! ```
//!
//! A branch that links leaves the address of the second instruction for its target to return to.

use jitlink_core::Endian;
use jitlink_core::arch::{CodeSite, Outlined};
use jitlink_core::reloc::Base;

const B: u32 = 0x4800_0000;
/// What of a conditional branch is neither its displacement nor says that this is an absolute address.
const KEPT: u32 = 0xffff_0001;

/// A conditional branch in three instructions, two of which have the given row of the architecture for branches that reach
/// farther; the reason why the instruction around the edge is none.
pub(crate) fn outline(site: &CodeSite<'_>, endian: Endian, branch_row: u16) -> Result<Outlined, String> {
    let offset = site.edge.offset;
    let word = site.block.get(offset as usize..).and_then(|code| code.get(..4)).map(|code| endian.read(code) as u32);
    let branch = match word {
        Some(word) if word >> 26 == 16 && site.row.base() == Base::Place && site.row.field().value_bits() == 16 => word,
        _ => return Err("only conditional branches can be moved out of line here".into()),
    };
    let hinted = match site.row.name() {
        // The hints are those of these relocations, not of what stood there.
        name if name.ends_with("TAKEN") => {
            let mut bytes = site.block[offset as usize..offset as usize + 4].to_vec();
            site.row.field().insert(&mut bytes, 8, endian);
            endian.read(&bytes) as u32
        }
        _ => branch,
    };
    let code = [hinted & KEPT | 8, B, B];
    let mut bytes = vec![0; 12];
    bytes.chunks_mut(4).zip(code).for_each(|(bytes, word)| endian.write(bytes, u64::from(word)));
    let mut patch = vec![0; 4];
    endian.write(&mut patch, u64::from(B));
    Ok(Outlined {
        offset,
        patch,
        jump_row: branch_row,
        jump: (0, 0),
        code: bytes,
        target_fixups: vec![(8, branch_row, site.edge.addend)],
        block_fixups: vec![(4, branch_row, i64::from(offset) + 4)],
    })
}
