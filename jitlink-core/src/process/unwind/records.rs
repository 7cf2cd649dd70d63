//! The records of one module, as unwinders need them.

use crate::addr::{Addr, AddrRange, Endian};
use crate::graph::unwind::{Encodings, Record, classify, encoding, encodings, pointer_width, record_size};

/// A `.eh_frame` in this process's memory.
#[derive(Clone, Debug)]
pub(super) struct Records {
    address: Addr,
    size: u64,
    /// The runs of memory that hold the functions.
    code: Vec<AddrRange>,
}

/// The record of a function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fde {
    /// Where the record is.
    pub(super) at: u64,
    /// The function, if its address is one that can be read off.
    pub(super) function: Option<u64>,
    /// How pointers of it are written; none where its CIE has a form that only some unwinders know.
    pub(super) encodings: Option<Encodings>,
}

impl Records {
    pub(super) fn new(address: Addr, size: u64, code: Vec<AddrRange>) -> Records {
        Records { address, size, code }
    }

    pub(super) fn address(&self) -> Addr {
        self.address
    }

    pub(super) fn code(&self) -> &[AddrRange] {
        &self.code
    }

    /// The records of functions, in the order in which they stand.
    ///
    /// # Safety
    /// The memory is there and nobody writes to it.
    pub(super) unsafe fn functions(&self) -> Vec<Fde> {
        // SAFETY: as the caller promises.
        let bytes = unsafe { std::slice::from_raw_parts(self.address.0 as *const u8, self.size as usize) };
        functions(bytes, self.address)
    }
}

/// The records of functions in a `.eh_frame` that is at this address.
fn functions(bytes: &[u8], address: Addr) -> Vec<Fde> {
    let endian = Endian::NATIVE;
    let (mut found, mut at) = (Vec::new(), 0);
    // Records of one CIE stand together, nearly always.
    let mut last: Option<(usize, Option<Encodings>)> = None;
    while let Some(record) = bytes.get(at..).and_then(|rest| rest.get(..record_size(rest, endian)?)) {
        match classify(record, endian) {
            Some(Record::Cie) => (),
            Some(Record::Fde { pointer, distance, function }) => {
                let Some(cie) = (at + pointer).checked_sub(distance as usize) else { break };
                let encodings = match last {
                    Some((known, encodings)) if known == cie => encodings,
                    _ => encodings_at(bytes, cie),
                };
                last = Some((cie, encodings));
                let start = encodings.and_then(|encodings| {
                    if encodings.pointers & encoding::INDIRECT != 0 {
                        return None;
                    }
                    read_pointer(&record[function..], encodings.pointers, address.0 + (at + function) as u64, endian)
                });
                found.push(Fde { at: address.0 + at as u64, function: start, encodings });
            }
            Some(Record::Terminator) | None => break,
        }
        at += record.len();
    }
    found
}

fn encodings_at(bytes: &[u8], cie: usize) -> Option<Encodings> {
    let rest = bytes.get(cie..)?;
    encodings(rest.get(..record_size(rest, Endian::NATIVE)?)?, Endian::NATIVE, size_of::<usize>())
}

/// The pointer at the start of `bytes`, whose place is `place`. A base other than zero and the place counts as zero, as it does for
/// GCC's unwinder where nobody gives it one.
fn read_pointer(bytes: &[u8], encoding: u8, place: u64, endian: Endian) -> Option<u64> {
    let bytes = bytes.get(..pointer_width(encoding, size_of::<u64>())?)?;
    let (value, unused) = (endian.read(bytes), 64 - 8 * bytes.len() as u32);
    let is_signed = encoding & 0x08 != 0;
    let value = if is_signed { ((value << unused) as i64 >> unused) as u64 } else { value };
    Some(match encoding & encoding::BASE {
        encoding::PLACE => place.wrapping_add(value),
        _ => value,
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn pointers_have_signs_and_places() {
        let bytes = [0xf0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        let read = |encoding| read_pointer(&bytes, encoding, 0x1000, Endian::Little);
        assert_eq!(read(0x00), Some(0x7fff_ffff_ffff_fff0));
        assert_eq!(read(0x02), Some(0xfff0));
        assert_eq!(read(0x0a), Some(0xffff_ffff_ffff_fff0));
        assert_eq!(read(0x1a), Some(0xff0));
        assert_eq!(read(0x03), Some(0xffff_fff0));
        assert_eq!(read(0x1b), Some(0xff0));
        assert_eq!(read(0x2b), Some(0xffff_ffff_ffff_fff0));
        assert_eq!(read(0x1c), Some(0x8000_0000_0000_0ff0));
        assert_eq!(read(0x01), None);
        assert_eq!(read_pointer(&bytes[..3], 0x03, 0, Endian::Little), None);
    }
}
