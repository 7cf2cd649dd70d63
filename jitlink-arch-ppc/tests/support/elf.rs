//! ELF executables, written and read as far as the tests need it.

use jitlink_core::graph::Protection;
use jitlink_core::{Addr, Endian};

/// Bytes at an address.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) address: Addr,
    pub(crate) protection: Protection,
    pub(crate) bytes: Vec<u8>,
}

/// `count` bytes at an address. What a segment does not hold is zero, as a loader makes it.
pub(crate) fn bytes(segments: &[Segment], address: Addr, count: usize) -> Vec<u8> {
    let byte = |at: u64| {
        let inside =
            |segment: &&Segment| at.checked_sub(segment.address.0).is_some_and(|at| at < segment.bytes.len() as u64);
        segments.iter().find(inside).map_or(0, |segment| segment.bytes[(at - segment.address.0) as usize])
    };
    (address.0..address.0 + count as u64).map(byte).collect()
}

/// A static executable for Linux on PowerPC that consists of these segments; `abi` is the version of its ABI, zero for 32 bits.
pub(crate) fn executable(segments: &[Segment], entry: Addr, endian: Endian, abi: u32) -> Vec<u8> {
    let half = |value: u16| if endian == Endian::Big { value.to_be_bytes() } else { value.to_le_bytes() };
    let word = |value: u32| if endian == Endian::Big { value.to_be_bytes() } else { value.to_le_bytes() };
    let is_64 = abi > 0;
    let long = |value: u64| match (is_64, endian) {
        (true, Endian::Big) => value.to_be_bytes().to_vec(),
        (true, Endian::Little) => value.to_le_bytes().to_vec(),
        (false, _) => word(u32::try_from(value).expect("32 bits")).to_vec(),
    };
    const PAGE: usize = 4096;
    let mut headers = Vec::new();
    let mut contents = Vec::new();
    for segment in segments {
        let flags: u32 = match segment.protection {
            Protection::ReadExecute => 5,
            Protection::Read => 4,
            Protection::ReadWrite => 6,
        };
        let size = segment.bytes.len() as u64;
        let offset = (PAGE + contents.len()) as u64;
        let places = [offset, segment.address.0, segment.address.0, size, size].map(long).concat();
        // The flags stand where they are aligned.
        let (kind, flags, page) = (word(1), word(flags), long(PAGE as u64));
        let header: [&[u8]; 4] = if is_64 { [&kind, &flags, &places, &page] } else { [&kind, &places, &flags, &page] };
        headers.extend(header.concat());
        contents.extend_from_slice(&segment.bytes);
        contents.resize(contents.len().next_multiple_of(PAGE), 0);
    }
    let mut file = b"\x7fELF".to_vec();
    file.extend([if is_64 { 2 } else { 1 }, if endian == Endian::Big { 2 } else { 1 }, 1]);
    file.resize(16, 0);
    let (machine, sizes) = if is_64 { (21, [64, 56, 64]) } else { (20, [52, 32, 40]) }; // EM_PPC64, EM_PPC
    file.extend([2, machine].map(half).concat()); // ET_EXEC
    file.extend(word(1));
    file.extend([entry.0, u64::from(sizes[0]), 0].map(long).concat());
    file.extend(word(abi));
    file.extend([sizes[0], sizes[1], segments.len() as u16, sizes[2], 0, 0].map(half).concat());
    file.extend(headers);
    file.resize(PAGE, 0);
    file.extend(contents);
    file
}
