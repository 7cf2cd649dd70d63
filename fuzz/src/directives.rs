//! What an object says in words (`.drectve`): any bytes, in an object that defines `f` and a common symbol `c`, beside one that defines
//! `g`. Two objects with the same words agree with each other.
//!
//! Promises that are checked are those of [`crate::coff`].

use crate::coff::{self, Section};
use jitlink_core::Input;

/// `IMAGE_SCN_LNK_INFO`, `IMAGE_SCN_LNK_REMOVE` and an alignment of one.
const DIRECTIVES: u32 = 0x0010_0a00;
const CODE: u32 = 0x6050_0020;
const DATA: u32 = 0xc050_0040;

/// Reads the bytes as directives.
pub fn run(bytes: &[u8]) {
    let words: Section<'_> = (*b".drectve", DIRECTIVES, bytes, &[]);
    let text: Section<'_> = (*b".text\0\0\0", CODE, &[0xc3], &[]);
    let data: Section<'_> = (*b"mine$b\0\0", DATA, &[0; 8], &[(0, 3, 1)]);
    let name = |name: &[u8]| {
        let mut padded = [0; 8];
        padded[..name.len()].copy_from_slice(name);
        padded
    };
    let first = coff::object(
        &[words, text, data],
        &[(name(b"f"), 0, 2), (name(b"d"), 0, 3), (name(b"c"), 24, 0), (name(b"g"), 0, 0)],
    );
    let second = coff::object(&[words, text], &[(name(b"g"), 0, 2), (name(b"c"), 100, 0)]);
    coff::run(&first);
    coff::linked(&[Input::from_bytes("first.obj", first), Input::from_bytes("second.obj", second)]);
}
