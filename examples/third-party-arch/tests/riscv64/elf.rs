//! ELF executables, written and read as far as the tests need it, and addresses in instructions.

use jitlink::Addr;
use jitlink::core::graph::Protection;

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

/// The address that `auipc` at `upper` and an I-type instruction at `lower` make together.
pub(crate) fn pc_relative(segments: &[Segment], upper: Addr, lower: Addr) -> Addr {
    let word = |at: Addr| u32::from_le_bytes(bytes(segments, at, 4).try_into().expect("four bytes"));
    assert_eq!(word(upper) & 0x7f, 0x17, "no auipc at {upper}");
    let high = (word(upper) & 0xffff_f000) as i32;
    let low = (word(lower) as i32) >> 20;
    Addr(upper.0.wrapping_add_signed(i64::from(high)).wrapping_add_signed(i64::from(low)))
}

/// A static executable for Linux on RISC-V that consists of these segments.
pub(crate) fn executable(segments: &[Segment], entry: Addr) -> Vec<u8> {
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
        headers.extend([1, flags].iter().flat_map(|word| word.to_le_bytes()));
        let words = [offset, segment.address.0, segment.address.0, size, size, PAGE as u64];
        headers.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        contents.extend_from_slice(&segment.bytes);
        contents.resize(contents.len().next_multiple_of(PAGE), 0);
    }
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend([2u16, 243].iter().flat_map(|half| half.to_le_bytes())); // ET_EXEC, EM_RISCV
    file.extend(1u32.to_le_bytes());
    file.extend([entry.0, 64, 0].iter().flat_map(|word| word.to_le_bytes()));
    file.extend(5u32.to_le_bytes()); // compressed instructions, double-float ABI
    file.extend([64, 56, segments.len() as u16, 64, 0, 0].iter().flat_map(|half| half.to_le_bytes()));
    file.extend(headers);
    file.resize(PAGE, 0);
    file.extend(contents);
    file
}

/// The loaded segments of an executable.
pub(crate) fn segments(file: &[u8]) -> Vec<Segment> {
    let number =
        |at: usize, size: usize| file[at..at + size].iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    let (start, size, count) = (number(32, 8) as usize, number(54, 2) as usize, number(56, 2) as usize);
    let headers = (0..count).map(|index| start + index * size).filter(|&header| number(header, 4) == 1);
    let segment = |header: usize| {
        let (offset, size) = (number(header + 8, 8) as usize, number(header + 32, 8) as usize);
        let bytes = file[offset..offset + size].to_vec();
        Segment { address: Addr(number(header + 16, 8)), protection: Protection::Read, bytes }
    };
    headers.map(segment).collect()
}
