//! The dump that `perf inject --jit` reads (Linux, `tools/perf/Documentation/jitdump-specification.txt`): a header, then records,
//! all in this machine's byte order. What is said of a function comes before its code.

use super::{Batch, Function};
use crate::addr::Addr;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

const MAGIC: u32 = u32::from_be_bytes(*b"JiTD");
const VERSION: u32 = 1;
const HEADER_BYTES: u32 = 40;

const CODE_LOAD: u32 = 0;
const CODE_DEBUG_INFO: u32 = 2;
const CODE_CLOSE: u32 = 3;
const CODE_UNWINDING_INFO: u32 = 4;

/// What records are told apart by.
#[derive(Debug, Default)]
pub(super) struct JitDump {
    /// How many functions there are; each has its number.
    functions: u64,
}

/// The start of a dump.
pub(super) fn header() -> io::Result<Vec<u8>> {
    let mut header = Vec::new();
    for word in [MAGIC, VERSION, HEADER_BYTES, machine()?, 0, std::process::id()] {
        header.extend(word.to_ne_bytes());
    }
    header.extend(now().to_ne_bytes());
    // No flags.
    header.extend(0_u64.to_ne_bytes());
    Ok(header)
}

/// The number that ELF has for this machine, as this program's own header says it.
fn machine() -> io::Result<u32> {
    let mut number = [0; 2];
    File::open("/proc/self/exe")?.read_exact_at(&mut number, 18)?;
    Ok(u16::from_ne_bytes(number).into())
}

/// The clock that `perf record -k mono` uses, in nanoseconds.
fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the time to `time`. This clock is always there.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Maps a page of the file as code, from which `perf record` learns of the file. The mapping stays.
pub(super) fn mark(file: &File) -> io::Result<()> {
    let size = super::super::map::page_size() as usize;
    let access = libc::PROT_READ | libc::PROT_EXEC;
    // SAFETY: without MAP_FIXED no existing mapping changes, and nobody is told of this one.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), size, access, libc::MAP_PRIVATE, file.as_raw_fd(), 0) };
    if page == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The last record of a dump.
pub(super) fn end() -> Vec<u8> {
    Record::new(CODE_CLOSE, now()).done()
}

impl JitDump {
    /// The records of a batch.
    pub(super) fn records(&mut self, batch: &Batch<'_>) -> Vec<u8> {
        let time = now();
        let mut bytes = Vec::new();
        for function in &batch.functions {
            bytes.extend(lines(batch, function, time));
            let frames = batch.frames.of(function.address, function.code.len() as u64);
            bytes.extend(frames.map(|frames| unwinding(&frames.bytes, frames.header_size, time)).unwrap_or_default());
            bytes.extend(self.code(function, time));
        }
        bytes
    }

    fn code(&mut self, function: &Function<'_>, time: u64) -> Vec<u8> {
        // SAFETY: asks for a number.
        let thread = unsafe { libc::gettid() };
        let mut record = Record::new(CODE_LOAD, time);
        record.words(&[std::process::id(), thread as u32]);
        record.long_words(&[function.address.0, function.address.0, function.code.len() as u64, self.functions]);
        record.name(function.name);
        // Readers find the code from the record's end, so nothing comes after it.
        record.0.extend(function.code);
        self.functions += 1;
        record.done()
    }
}

/// The lines of a function, if any are known.
fn lines(batch: &Batch<'_>, function: &Function<'_>, time: u64) -> Vec<u8> {
    let start = function.address;
    let lines = batch.description.lines.within(start..start + function.code.len() as u64);
    let mut record = Record::new(CODE_DEBUG_INFO, time);
    record.long_words(&[start.0, 0]);
    let count_at = record.0.len() - 8;
    let mut count = 0_u64;
    for line in lines {
        count += 1;
        record.long_words(&[Addr::max(line.address, start).0]);
        // The second is a discriminator: there is none.
        record.words(&[line.number, 0]);
        record.name(line.file);
    }
    if count == 0 {
        return Vec::new();
    }
    record.0[count_at..count_at + 8].copy_from_slice(&count.to_ne_bytes());
    record.padded()
}

/// Unwind records, which end with their header.
fn unwinding(frames: &[u8], header_size: u64, time: u64) -> Vec<u8> {
    let mut record = Record::new(CODE_UNWINDING_INFO, time);
    // They are not in the program's memory in this form.
    record.long_words(&[frames.len() as u64, header_size, 0]);
    record.0.extend(frames);
    record.padded()
}

/// A record in the making.
struct Record(Vec<u8>);

impl Record {
    const SIZE_AT: usize = 4;

    fn new(kind: u32, time: u64) -> Record {
        let mut record = Record(Vec::new());
        record.words(&[kind, 0]);
        record.long_words(&[time]);
        record
    }

    fn words(&mut self, words: &[u32]) {
        self.0.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
    }

    fn long_words(&mut self, words: &[u64]) {
        self.0.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
    }

    /// A name and the zero that ends it.
    fn name(&mut self, name: &str) {
        self.0.extend(name.bytes().map(|byte| if byte == 0 { b'?' } else { byte }));
        self.0.push(0);
    }

    /// With zeros up to a multiple of eight bytes.
    fn padded(mut self) -> Vec<u8> {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        self.done()
    }

    fn done(mut self) -> Vec<u8> {
        // Functions of 4 GiB are not linked: references inside of one would not reach.
        let size = self.0.len() as u32;
        self.0[Record::SIZE_AT..Record::SIZE_AT + 4].copy_from_slice(&size.to_ne_bytes());
        self.0
    }
}
