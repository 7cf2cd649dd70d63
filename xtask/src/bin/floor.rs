//! The physical floor under a link: `floor BYTES FILE… @FILE…` reads every file and copies that many bytes of them to new
//! memory, where each page is touched, and does nothing else.
//!
//! It is a program of its own, measured as links are, so that the start of a process counts on both sides.

use std::hint::black_box;
use std::io::{Error, ErrorKind};
use std::process::ExitCode;

fn main() -> ExitCode {
    match floor() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn floor() -> Result<(), Error> {
    let mut words = std::env::args().skip(1);
    let usage = || Error::new(ErrorKind::InvalidInput, "usage: floor BYTES FILE… @FILE…");
    let wanted: usize = words.next().and_then(|word| word.parse().ok()).ok_or_else(usage)?;
    let mut memory: Vec<u8> = Vec::with_capacity(wanted);
    let mut copy = |path: &str| -> Result<(), Error> {
        let bytes = std::fs::read(path)?;
        let count = bytes.len().min(wanted - memory.len());
        memory.extend_from_slice(&bytes[..count]);
        black_box(&bytes);
        Ok(())
    };
    for word in words {
        match word.strip_prefix('@') {
            Some(list) => std::fs::read_to_string(list)?.lines().try_for_each(&mut copy)?,
            None => copy(&word)?,
        }
    }
    // A link may allocate more than it read.
    memory.resize(wanted, 1);
    black_box(&memory);
    Ok(())
}
