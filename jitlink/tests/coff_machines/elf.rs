//! Linked memory as the smallest program that an emulator of another machine runs.

use jitlink::core::image::ImageSegment;

/// What of a machine such a program has to say.
#[derive(Clone, Copy)]
pub(crate) struct Machine {
    /// Its number in ELF.
    pub(crate) number: u16,
    pub(crate) is_64: bool,
}

const PAGE: usize = 4096;

/// A file with each of the segments where it was linked, which starts at `entry`. Everything may be written, for want of a loader
/// that tells code from data.
pub(crate) fn program(machine: Machine, entry: u64, segments: &[(u64, &[u8])]) -> Vec<u8> {
    let mut file = Vec::new();
    let (header_size, entry_size) = if machine.is_64 { (64u16, 56u16) } else { (52, 32) };
    let word = |file: &mut Vec<u8>, value: u64| match machine.is_64 {
        true => file.extend(value.to_le_bytes()),
        false => file.extend((value as u32).to_le_bytes()),
    };
    file.extend(b"\x7fELF");
    file.extend([if machine.is_64 { 2 } else { 1 }, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend(2u16.to_le_bytes());
    file.extend(machine.number.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    for value in [entry, header_size.into(), 0] {
        word(&mut file, value);
    }
    file.extend(0u32.to_le_bytes());
    for half in [header_size, entry_size, segments.len() as u16, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    let mut at = (usize::from(header_size) + segments.len() * usize::from(entry_size)).next_multiple_of(PAGE);
    for (address, bytes) in segments {
        let (kind, flags, size) = (1u32, 7u32, bytes.len() as u64);
        file.extend(kind.to_le_bytes());
        if machine.is_64 {
            file.extend(flags.to_le_bytes());
        }
        for value in [at as u64, *address, *address, size, size] {
            word(&mut file, value);
        }
        if !machine.is_64 {
            file.extend(flags.to_le_bytes());
        }
        word(&mut file, PAGE as u64);
        at = (at + bytes.len()).next_multiple_of(PAGE);
    }
    for (_, bytes) in segments {
        file.resize(file.len().next_multiple_of(PAGE), 0);
        file.extend(*bytes);
    }
    file
}

/// Where each segment is, and its bytes.
pub(crate) fn loaded(segments: &[ImageSegment]) -> Vec<(u64, Vec<u8>)> {
    segments.iter().map(|segment| (segment.address.0, segment.bytes().to_vec())).collect()
}
