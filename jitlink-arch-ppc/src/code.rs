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
