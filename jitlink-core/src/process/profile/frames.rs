//! Unwind records for a dump, in which each function is a file of its own: the function, then its `.eh_frame` at the next multiple of
//! eight, then an `.eh_frame_hdr` (LSB Core, "DWARF Extensions"; perf's `genelf.c` says where they lie).
//!
//! Records are written anew with addresses relative to their place. What they say of exceptions, which a profiler has no use for, is
//! left out. Records in a form that compilers do not use are left out as a whole.

use crate::addr::{Addr, Endian};
use crate::graph::unwind::{Record, classify, record_size};
use std::collections::HashMap;

/// How pointers are written (LSB Core, "DWARF Exception Header Encoding").
const ABSOLUTE: u8 = 0x00;
const UNSIGNED_4: u8 = 0x03;
const SIGNED_4: u8 = 0x0b;
const PLACE: u8 = 0x10;
const TABLE: u8 = 0x30;
const SIZE_AND_SIGN: u8 = 0x0f;

/// The records of a batch.
#[derive(Default)]
pub(super) struct Frames<'b> {
    /// In ascending order of functions.
    functions: Vec<Fde<'b>>,
}

/// The unwind records of one function.
pub(super) struct FunctionFrames {
    /// `.eh_frame`, then `.eh_frame_hdr`.
    pub(super) bytes: Vec<u8>,
    /// The size of the latter.
    pub(super) header_size: u64,
}

#[derive(Clone, Copy)]
struct Cie<'b> {
    version: u8,
    /// From the end of the augmentation's letters to its data: alignment factors and the return address's register.
    factors: &'b [u8],
    /// How addresses are written.
    encoding: u8,
    is_augmented: bool,
    is_signal_frame: bool,
    instructions: &'b [u8],
}

#[derive(Clone, Copy)]
struct Fde<'b> {
    function: Addr,
    size: u64,
    cie: Cie<'b>,
    instructions: &'b [u8],
}

impl<'b> Frames<'b> {
    /// Reads a `.eh_frame`, which is at this address.
    pub(super) fn read(frames: Option<(Addr, &'b [u8])>) -> Frames<'b> {
        let Some((address, bytes)) = frames else { return Frames::default() };
        let (mut cies, mut functions, mut at) = (HashMap::new(), Vec::new(), 0);
        while let Some(size) = record_size(&bytes[at..], Endian::NATIVE) {
            let record = &bytes[at..at + size];
            match classify(record, Endian::NATIVE) {
                Some(Record::Cie) => drop(cie(record).map(|cie| cies.insert(at, cie))),
                Some(Record::Fde { pointer, distance, function }) => {
                    let cie = (at + pointer).checked_sub(distance as usize).and_then(|at| cies.get(&at));
                    functions.extend(cie.and_then(|cie| fde(record, function, address + at as u64, cie)));
                }
                Some(Record::Terminator) | None => break,
            }
            at += size;
        }
        functions.sort_by_key(|fde| fde.function);
        Frames { functions }
    }

    /// Those of the function that is here.
    pub(super) fn of(&self, function: Addr, size: u64) -> Option<FunctionFrames> {
        let first = self.functions.partition_point(|fde| fde.function < function);
        let here = self.functions[first..].iter().take_while(|fde| fde.function.offset_from(function) < size);
        let here: Vec<&Fde<'_>> = here.collect();
        if here.is_empty() {
            return None;
        }
        // Where the records are, with the function at zero.
        let start = size.next_multiple_of(8);
        let (mut bytes, mut places) = (Vec::new(), Vec::new());
        for fde in here {
            let cie_at = bytes.len();
            write_cie(&mut bytes, &fde.cie);
            let (fde_at, offset) = (bytes.len(), fde.function.offset_from(function));
            write_fde(&mut bytes, fde, (cie_at, offset.wrapping_sub(start)))?;
            places.push((offset, fde_at as u64));
        }
        bytes.extend([0; 8]);
        let header = header(bytes.len() as u64, start, &places)?;
        bytes.extend(&header);
        Some(FunctionFrames { bytes, header_size: header.len() as u64 })
    }
}

fn cie(record: &[u8]) -> Option<Cie<'_>> {
    let Some(Record::Cie) = classify(record, Endian::NATIVE) else { return None };
    let head = if record[..4] == [0xff; 4] { 16 } else { 8 };
    let (version, rest) = record.get(head..)?.split_first()?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    let (letters, rest) = (&rest[..end], &rest[end + 1..]);
    let mut reader = Reader(rest);
    if *version >= 4 {
        reader.take(2)?;
    }
    reader.number()?;
    reader.number()?;
    if *version == 1 { reader.take(1).map(drop) } else { reader.number().map(drop) }?;
    let factors = &rest[..rest.len() - reader.0.len()];
    let is_augmented = letters.first() == Some(&b'z');
    let (mut encoding, mut is_signal_frame) = (ABSOLUTE, false);
    if is_augmented {
        let length = reader.number()?;
        let mut data = Reader(reader.take(length)?);
        for letter in &letters[1..] {
            match letter {
                b'R' => encoding = data.take(1)?[0],
                b'L' => drop(data.take(1)?),
                b'P' => {
                    let encoding = data.take(1)?[0];
                    data.take(width(encoding)?)?;
                }
                b'S' => is_signal_frame = true,
                _ => return None,
            }
        }
    } else if !letters.is_empty() {
        return None;
    }
    Some(Cie { version: *version, factors, encoding, is_augmented, is_signal_frame, instructions: reader.0 })
}

/// The record at `place`, whose function's address is at `function` in it.
fn fde<'b>(record: &'b [u8], function: usize, place: Addr, cie: &Cie<'b>) -> Option<Fde<'b>> {
    let mut reader = Reader(record.get(function..)?);
    let width = width(cie.encoding)?;
    let value = number(reader.take(width)?, cie.encoding);
    let address = match cie.encoding & !SIZE_AND_SIGN {
        ABSOLUTE => Addr(value),
        PLACE => place + function as u64 + value,
        _ => return None,
    };
    let size = number(reader.take(width)?, cie.encoding & 0x07);
    if cie.is_augmented {
        let length = reader.number()?;
        reader.take(length)?;
    }
    Some(Fde { function: address, size, cie: *cie, instructions: reader.0 })
}

/// How many bytes a pointer takes.
fn width(encoding: u8) -> Option<usize> {
    match encoding & 0x07 {
        0 => Some(size_of::<usize>()),
        2 => Some(2),
        3 => Some(4),
        4 => Some(8),
        _ => None,
    }
}

/// A value, its sign spread if the encoding has one.
fn number(bytes: &[u8], encoding: u8) -> u64 {
    let value = Endian::NATIVE.read(bytes);
    let unused = 64 - 8 * bytes.len() as u32;
    let is_signed = encoding & 0x08 != 0;
    if is_signed { ((value << unused) as i64 >> unused) as u64 } else { value }
}

fn write_cie(bytes: &mut Vec<u8>, cie: &Cie<'_>) {
    let start = bytes.len();
    bytes.extend([0; 8]);
    bytes.push(cie.version);
    bytes.extend(if cie.is_signal_frame { &b"zRS\0"[..] } else { b"zR\0" });
    bytes.extend(cie.factors);
    bytes.extend([1, PLACE | SIGNED_4]);
    bytes.extend(cie.instructions);
    end(bytes, start);
}

/// `cie` is where the CIE is, and `target` where the function is, both counted from the start of the records.
fn write_fde(bytes: &mut Vec<u8>, fde: &Fde<'_>, (cie, target): (usize, u64)) -> Option<()> {
    let start = bytes.len();
    bytes.extend([0; 4]);
    bytes.extend(u32::try_from(bytes.len() - cie).ok()?.to_ne_bytes());
    let distance = target.wrapping_sub(bytes.len() as u64) as i64;
    bytes.extend(i32::try_from(distance).ok()?.to_ne_bytes());
    bytes.extend(u32::try_from(fde.size).ok()?.to_ne_bytes());
    bytes.push(0);
    bytes.extend(fde.instructions);
    end(bytes, start);
    Some(())
}

/// Fills a record up to a multiple of eight with instructions that do nothing, and writes its length.
fn end(bytes: &mut Vec<u8>, start: usize) {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let length = (bytes.len() - start - 4) as u32;
    bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
}

/// The header of records of this size that begin at `start`: where the record of each function is. All is relative to its place.
fn header(size: u64, start: u64, places: &[(u64, u64)]) -> Option<Vec<u8>> {
    let mut bytes = vec![1, PLACE | SIGNED_4, UNSIGNED_4, TABLE | SIGNED_4];
    let place = start + size;
    let mut word = |value: u64| {
        bytes.extend(i32::try_from(value as i64).ok()?.to_ne_bytes());
        Some(())
    };
    word(start.wrapping_sub(place + 4))?;
    word(places.len() as u64)?;
    for (function, record) in places {
        word(function.wrapping_sub(place))?;
        word((start + record).wrapping_sub(place))?;
    }
    Some(bytes)
}

/// Bytes from the front on.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of any length (LEB128); of signed ones only the length is right.
    fn number(&mut self) -> Option<usize> {
        let mut value = 0_usize;
        for shift in (0..63).step_by(7) {
            let byte = self.take(1)?[0];
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}
