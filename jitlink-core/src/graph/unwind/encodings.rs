//! How unwind records write pointers (LSB Core, "DWARF Exception Header Encoding"), and what a CIE says of it.

use crate::addr::Endian;

/// The parts of an encoding.
pub(crate) mod encoding {
    /// No pointer at all.
    pub(crate) const OMIT: u8 = 0xff;
    /// The bits that say how a value is stored.
    pub(crate) const FORMAT: u8 = 0x0f;
    /// The bits that say what it is counted from.
    pub(crate) const BASE: u8 = 0x70;
    /// Counted from zero.
    pub(crate) const ABSOLUTE: u8 = 0x00;
    /// Counted from its own place.
    #[cfg(all(feature = "in-process", target_os = "linux"))]
    pub(crate) const PLACE: u8 = 0x10;
    /// Counted from the start of the function.
    pub(crate) const FUNCTION: u8 = 0x40;
    /// At the next multiple of a pointer's size, absolute.
    pub(crate) const ALIGNED: u8 = 0x50;
    /// The pointer's address instead of the pointer.
    pub(crate) const INDIRECT: u8 = 0x80;
}

/// What a CIE says of the pointers in it and in its FDEs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encodings {
    /// The CIE's version.
    pub(crate) version: u8,
    /// Of the addresses of functions: letter `R`.
    pub(crate) pointers: u8,
    /// Of the addresses of language-specific data: letter `L`.
    pub(crate) language: Option<u8>,
    /// Of the address of the personality routine: letter `P`. Where the encoding stands in the record, and the address behind it;
    /// and the encoding.
    pub(crate) personality: Option<(usize, u8)>,
}

/// Reads the encodings of a CIE; `None` if it is cut short, or has letters whose data has no known length.
pub(crate) fn encodings(record: &[u8], endian: Endian, pointer_bytes: usize) -> Option<Encodings> {
    let head = if endian.read(record.get(..4)?) == 0xffff_ffff { 16 } else { 8 };
    let (&version, rest) = record.get(head..)?.split_first()?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    let (letters, mut rest) = (&rest[..end], &rest[end + 1..]);
    let mut found = Encodings { version, pointers: encoding::ABSOLUTE, language: None, personality: None };
    let Some((b'z', letters)) = letters.split_first() else { return letters.is_empty().then_some(found) };
    if version >= 4 {
        // Address and segment sizes.
        take(&mut rest, 2)?;
    }
    number(&mut rest)?;
    number(&mut rest)?;
    match version {
        1 => drop(take(&mut rest, 1)?),
        _ => drop(number(&mut rest)?),
    }
    let length = number(&mut rest)?;
    let mut data = rest.get(..usize::try_from(length).ok()?)?;
    let end = record.len() - rest.len() + data.len();
    for letter in letters {
        match letter {
            b'R' => found.pointers = take(&mut data, 1)?[0],
            b'L' => found.language = Some(take(&mut data, 1)?[0]),
            b'P' => {
                let at = end - data.len();
                let encoding = take(&mut data, 1)?[0];
                found.personality = Some((at, encoding));
                match encoding & encoding::FORMAT {
                    _ if encoding == encoding::OMIT => (),
                    0x01 | 0x09 => drop(number(&mut data)?),
                    _ => match width(encoding, pointer_bytes) {
                        Some(width) => drop(take(&mut data, width)?),
                        // Nobody knows where the next letter's data is.
                        None => return Some(found),
                    },
                }
            }
            // Flags without data: a signal frame, and what AArch64 says of return addresses.
            b'S' | b'B' | b'G' => (),
            _ => return None,
        }
    }
    Some(found)
}

/// Checks that GCC's unwinder, which reads most, reads pointers in this encoding (`unwind-pe.h`, `unwind-dw2-fde.c`). It searches by the
/// addresses of functions (`is_key`), for which it wants a size that does not depend on the value, and no base that does on the function.
pub(crate) fn check_encoding(what: &str, encoding: u8, is_key: bool) -> Result<(), String> {
    let why = match (encoding & encoding::FORMAT, encoding & encoding::BASE) {
        _ if encoding == encoding::OMIT => "they are left out",
        (_, encoding::ALIGNED) => "aligned pointers do not stay where they are when records are put together",
        (0x05..=0x08 | 0x0d..=0x0f, _) => "there is no such format",
        (_, 0x60 | 0x70) => "there is no such base",
        (0x01 | 0x09, _) if is_key => "no unwinder searches by numbers of variable length",
        (_, encoding::FUNCTION) if is_key => "no unwinder searches by addresses that are relative to themselves",
        _ => return Ok(()),
    };
    Err(format!(
        "a CIE with the pointer encoding {encoding:#04x} for {what}: {why}; known to all unwinders is 0x1b (pcrel sdata4)"
    ))
}

/// How many bytes a pointer takes; `None` if that depends on its value.
pub(crate) fn width(encoding: u8, pointer_bytes: usize) -> Option<usize> {
    match encoding & 0x07 {
        0 => Some(pointer_bytes),
        2 => Some(2),
        3 => Some(4),
        4 => Some(8),
        _ => None,
    }
}

fn take<'b>(bytes: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

/// A number of seven bits a byte, signed or not: its bits.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        shift += 7;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A CIE of this version with these letters and data.
    fn cie(version: u8, letters: &[u8], data: &[u8]) -> Vec<u8> {
        let mut record = vec![0; 8];
        record.push(version);
        record.extend(letters);
        record.push(0);
        if version >= 4 {
            record.extend([8, 0]);
        }
        record.extend([0x81, 0x00, 0x78, 0x10, data.len() as u8]);
        record.extend(data);
        record
    }

    #[test]
    fn letters_are_read_in_their_order() {
        let read = |version, letters: &[u8], data: &[u8]| encodings(&cie(version, letters, data), Endian::Little, 8);
        // Behind the head, the version, the letters, the sizes of version 4, four numbers and the length: the data.
        let expected = |version, pointers, language, personality: Option<(usize, u8)>| {
            let start = if version >= 4 { 2 } else { 0 } + 8 + 1 + 5;
            let personality = personality.map(|(at, encoding)| (start + at, encoding));
            Some(Encodings { version, pointers, language, personality })
        };
        for version in [1, 3, 4] {
            assert_eq!(read(version, b"", b""), expected(version, 0, None, None));
            assert_eq!(read(version, b"zRS", &[0x1b]), expected(version, 0x1b, None, None));
            assert_eq!(
                read(version, b"zPLR", &[0x9b, 1, 2, 3, 4, 0x1b, 0x0c]),
                expected(version, 0x0c, Some(0x1b), Some((5, 0x9b)))
            );
            assert_eq!(
                read(version, b"zRLP", &[0x1b, 0xff, 0x00, 1, 2, 3, 4, 5, 6, 7, 8]),
                expected(version, 0x1b, Some(0xff), Some((7, 0)))
            );
            assert_eq!(
                read(version, b"zPR", &[0x01, 0x80, 0x80, 0x01, 0x1b]),
                expected(version, 0x1b, None, Some((4, 1)))
            );
        }
        assert_eq!(read(1, b"zPR", &[0x0b, 1, 2, 3]), None, "cut short");
        assert_eq!(read(1, b"zX", &[0]), None);
        assert_eq!(read(1, b"eh", b""), None);
        assert_eq!(encodings(&[0; 8], Endian::Little, 8), None);
    }

    #[test]
    fn encodings_are_refused_where_no_unwinder_reads_them() {
        let all = |is_key| (0..=0xff_u8).filter(move |encoding| check_encoding("pointers", *encoding, is_key).is_ok());
        // With and without the bit for indirect pointers: formats 0 to 4 and 9 to 12, counted from one of five bases.
        let formats = [0, 1, 2, 3, 4, 9, 0x0a, 0x0b, 0x0c];
        let expected = |formats: &[u8], bases: &[u8]| {
            let mut all: Vec<u8> = [0, 0x80]
                .iter()
                .flat_map(|indirect| bases.iter().map(move |base| indirect | base))
                .flat_map(|high| formats.iter().map(move |format| high | format))
                .collect();
            all.sort_unstable();
            all
        };
        assert_eq!(all(false).collect::<Vec<_>>(), expected(&formats, &[0, 0x10, 0x20, 0x30, 0x40]));
        assert_eq!(all(true).collect::<Vec<_>>(), expected(&[0, 2, 3, 4, 0x0a, 0x0b, 0x0c], &[0, 0x10, 0x20, 0x30]));
        let error = check_encoding("the personality routine (P)", 0x50, false).unwrap_err();
        assert!(
            error.starts_with("a CIE with the pointer encoding 0x50 for the personality routine (P): aligned"),
            "{error}"
        );
    }
}
