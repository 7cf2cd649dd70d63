//! Code of stubs, written as instructions.

use jitlink_core::arch::StubFixup;

/// A place in a stub that is filled in.
pub(crate) const fn fixup(offset: u32, row: u16, addend: i64) -> StubFixup {
    StubFixup { offset, row, addend }
}

/// Instructions as bytes.
pub(crate) const fn code<const BYTES: usize>(words: &[u32], big: bool) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    let mut index = 0;
    while index < BYTES {
        let word = words[index / 4];
        let in_order = if big { word.to_be_bytes() } else { word.to_le_bytes() };
        bytes[index] = in_order[index % 4];
        index += 1;
    }
    bytes
}

/// An instruction with a register, a base register and sixteen bits.
pub(crate) const fn short(opcode: u32, register: u32, base: u32, immediate: u16) -> u32 {
    opcode << 26 | register << 21 | base << 16 | immediate as u32
}

/// Instructions one after the other.
pub(crate) struct Code<const WORDS: usize> {
    pub(crate) words: [u32; WORDS],
    pub(crate) used: usize,
}

impl<const WORDS: usize> Code<WORDS> {
    /// What is not written stays `filling`.
    pub(crate) const fn new(filling: u32) -> Code<WORDS> {
        Code { words: [filling; WORDS], used: 0 }
    }

    pub(crate) const fn push(&mut self, word: u32) {
        self.words[self.used] = word;
        self.used += 1;
    }
}
