//! Import libraries: any bytes, as an archive, as a member in the short form or behind such a member's magic; beside an object that refers
//! to `f`, to the slots of `f` and `g`, and to what a library's descriptors are called.
//!
//! Promises that are checked are those of [`crate::coff`] and [`crate::archive`].

use crate::{archive, coff};
use jitlink_core::Input;
use jitlink_core::archive::Archive;

/// The start of a member in the short form, for x86-64.
const SHORT: [u8; 8] = [0, 0, 0xff, 0xff, 0, 0, 0x64, 0x86];

/// Reads the bytes as an import library.
pub fn run(bytes: &[u8]) {
    let user = Input::from_bytes("user.obj", user());
    if Archive::recognize(bytes) {
        archive::run(bytes);
        coff::linked(&[user, Input::from_bytes("library.lib", bytes.to_vec())]);
        return;
    }
    coff::run(bytes);
    let member = [&SHORT, bytes].concat();
    coff::run(&member);
    coff::linked(&[user.clone(), Input::from_bytes("library.lib", library(&member))]);
    coff::linked(&[user, Input::from_bytes("import.obj", member)]);
}

/// An archive without an index.
fn library(member: &[u8]) -> Vec<u8> {
    let mut file = b"!<arch>\n".to_vec();
    file.extend(format!("{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", "a/", 0, 0, 0, 644, member.len()).bytes());
    file.extend(member);
    file.resize(file.len().next_multiple_of(2), b'\n');
    file
}

/// What uses the library.
fn user() -> Vec<u8> {
    let names = [*b"f\0\0\0\0\0\0\0", *b"__imp_f\0", *b"__imp_g\0", *b"_f\0\0\0\0\0\0", *b"g\0\0\0\0\0\0\0"];
    let references: Vec<(u32, u32, u16)> = (0..names.len() as u32).map(|number| (8 * number, number, 1)).collect();
    let mut symbols: Vec<([u8; 8], u32, i16)> = names.iter().map(|name| (*name, 0, 0)).collect();
    symbols.push((*b"user\0\0\0\0", 0, 1));
    coff::object(&[(*b".data\0\0\0", 0xc050_0040, &[0; 40], &references)], &symbols)
}
