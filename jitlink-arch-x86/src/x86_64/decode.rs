//! The instruction around a field.
//!
//! x86 code cannot be read backwards, so it is read forwards from where an instruction is known to start. Data between
//! instructions can make that fail; what depends on the answer says what it does then.

use iced_x86::{ConstantOffsets, Decoder, DecoderOptions, Instruction};
use jitlink_core::arch::CodeSite;

/// An instruction in a block. Its address is its offset in the block, as if the block lay at zero.
pub(super) struct Found {
    pub(super) instruction: Instruction,
    /// Where in the instruction its displacement and immediate stand.
    pub(super) constants: ConstantOffsets,
}

impl Found {
    /// The offset in the block of its first byte.
    pub(super) fn start(&self) -> u32 {
        self.instruction.ip() as u32
    }

    /// The offset in the block of the byte after it.
    pub(super) fn end(&self) -> u32 {
        self.instruction.next_ip() as u32
    }
}

/// The instruction that holds the first byte of the edge's field; `None` where the bytes on the way are no instructions.
pub(super) fn around(site: &CodeSite<'_>) -> Option<Found> {
    let code = site.block.get(site.start as usize..)?;
    let mut decoder = Decoder::with_ip(64, code, u64::from(site.start), DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        if instruction.is_invalid() || instruction.ip() > u64::from(site.edge.offset) {
            return None;
        }
        if instruction.next_ip() > u64::from(site.edge.offset) {
            let constants = decoder.get_constant_offsets(&instruction);
            return Some(Found { instruction, constants });
        }
    }
    None
}
