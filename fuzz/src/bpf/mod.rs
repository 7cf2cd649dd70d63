//! What BPF objects and filters hold: the first byte says what the rest is.
//!
//! | first byte, of 5 | the rest |
//! | --- | --- |
//! | 0 | types (`.BTF`) |
//! | 1 | types, and what `.BTF.ext` says of instructions |
//! | 2 | the types of a program and of a kernel, code, and CO-RE relocations |
//! | 3 | a classic filter, as text or bytes |
//! | 4 | objects, linked and run |
//!
//! Several things in one input are pieces, each after its length in two bytes, the last to the end.

mod filters;
mod objects;
mod types;

/// Reads the bytes as what the first of them says.
pub fn run(bytes: &[u8]) {
    let Some((what, rest)) = bytes.split_first() else { return };
    match what % 5 {
        0 => drop(types::read(rest)),
        1 => types::instructions(rest),
        2 => types::core(rest),
        3 => filters::run(rest),
        _ => objects::run(rest),
    }
}

/// Cuts the next piece off; it ends where the bytes do.
fn piece<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let Some((length, rest)) = bytes.split_first_chunk() else { return std::mem::take(bytes) };
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (piece, rest) = rest.split_at(length);
    *bytes = rest;
    piece
}
