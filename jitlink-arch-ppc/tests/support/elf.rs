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

/// A static executable for Linux on PowerPC 64 that consists of these segments; `abi` is the version of its ABI.
pub(crate) fn executable(segments: &[Segment], entry: Addr, endian: Endian, abi: u32) -> Vec<u8> {
    let half = |value: u16| if endian == Endian::Big { value.to_be_bytes() } else { value.to_le_bytes() };
    let word = |value: u32| if endian == Endian::Big { value.to_be_bytes() } else { value.to_le_bytes() };
    let long = |value: u64| if endian == Endian::Big { value.to_be_bytes() } else { value.to_le_bytes() };
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
        headers.extend([1, flags].map(word).concat());
        headers.extend([offset, segment.address.0, segment.address.0, size, size, PAGE as u64].map(long).concat());
        contents.extend_from_slice(&segment.bytes);
        contents.resize(contents.len().next_multiple_of(PAGE), 0);
    }
    let mut file = b"\x7fELF\x02".to_vec();
    file.extend([if endian == Endian::Big { 2 } else { 1 }, 1]);
    file.resize(16, 0);
    file.extend([2, 21].map(half).concat()); // ET_EXEC, EM_PPC64
    file.extend(word(1));
    file.extend([entry.0, 64, 0].map(long).concat());
    file.extend(word(abi));
    file.extend([64, 56, segments.len() as u16, 64, 0, 0].map(half).concat());
    file.extend(headers);
    file.resize(PAGE, 0);
    file.extend(contents);
    file
}
