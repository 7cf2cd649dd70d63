//! Files, read back by what their documentation says.

use super::*;
use crate::addr::Endian;
use crate::debug::LineTable;
use crate::executor::DescribedSymbol;

const CODE: [u8; 48] = {
    let mut code = [0; 48];
    let mut index = 0;
    while index < 48 {
        code[index] = index as u8;
        index += 1;
    }
    code
};

const START: u64 = 0x7000_1000;

fn description(symbols: &[(u64, u64, &str)], lines: LineTable) -> Description {
    let mut names = String::new();
    let mut described = Vec::new();
    for (offset, size, name) in symbols {
        let name = (names.len() as u32, {
            names.push_str(name);
            name.len() as u32
        });
        described.push(DescribedSymbol { address: Addr(START + offset), size: *size, name, object: 0 });
    }
    let segments = vec![(Addr(START), CODE.len() as u64), (Addr(0x7100_0000), 64)];
    Description { segments, symbols: described, names, lines, ..Description::default() }
}

fn code<'b>(address: Addr, size: u64) -> Option<&'b [u8]> {
    let start = address.offset_from(Addr(START)) as usize;
    CODE.get(start..start + size as usize)
}

fn listed(symbols: &[(u64, u64, &str)]) -> Vec<(String, u64, u64)> {
    let description = description(symbols, LineTable::default());
    let functions = functions(&description).into_iter();
    functions.map(|(name, range)| (name.to_string(), range.start.0 - START, range.end.0 - START)).collect()
}

#[test]
fn functions_have_one_name_and_an_end() {
    let symbols = [(0, 8, "first"), (0, 4, "part"), (0, 0, "label"), (3, 0, "inside"), (8, 0, "open"), (20, 0, "last")];
    let expected = [("first", 0, 8), ("open", 8, 20), ("last", 20, 48)];
    assert_eq!(listed(&symbols), expected.map(|(name, start, end)| (name.to_string(), start, end)));
    // Nothing reaches out of its segment, and what is in none has no code.
    let symbols = [(40, 100, "long"), (0x100, 4, "outside"), (0xff_f000, 16, "far")];
    assert_eq!(listed(&symbols), [("long".to_string(), 40, 48), ("far".to_string(), 0xff_f000, 0xff_f010)]);
}

#[test]
fn maps_have_a_line_for_each_function() {
    let description = description(&[(0, 8, "first"), (8, 0x18, "with\nbreak")], LineTable::default());
    let map = perf_map::lines(&Batch::new(&description, None, code));
    assert_eq!(String::from_utf8(map).unwrap(), "70001000 8 first\n70001008 18 with?break\n");
}

fn word(bytes: &[u8], at: usize) -> u64 {
    Endian::NATIVE.read(&bytes[at..at + 4])
}

fn long(bytes: &[u8], at: usize) -> u64 {
    Endian::NATIVE.read(&bytes[at..at + 8])
}

/// Kind, time and content of each record.
fn records(mut bytes: &[u8]) -> Vec<(u64, u64, &[u8])> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let (record, rest) = bytes.split_at(word(bytes, 4) as usize);
        records.push((word(record, 0), long(record, 8), &record[16..]));
        bytes = rest;
    }
    records
}

#[test]
fn dumps_hold_lines_and_code_in_this_order() {
    let rows = [(0, 0, 3), (4, 1, 7), (8, 0, 9), (16, 0, 0)].map(|(at, file, line)| (Addr(START + at), file, line));
    let lines = LineTable::new(vec!["/src/a.c".into(), "/src/b.h".into()], rows);
    let description = description(&[(0, 8, "first"), (8, 8, "second"), (16, 32, "bare")], lines);
    let bytes = JitDump::default().records(&Batch::new(&description, None, code));
    let records = records(&bytes);
    assert_eq!(records.iter().map(|record| record.0).collect::<Vec<_>>(), [2, 0, 2, 0, 0]);
    assert!(records.iter().all(|record| record.1 == records[0].1 && record.1 > 0));

    let lines = records[0].2;
    assert_eq!((long(lines, 0), long(lines, 8)), (START, 2));
    assert_eq!((long(lines, 16), word(lines, 24), word(lines, 28)), (START, 3, 0));
    assert_eq!(&lines[32..41], b"/src/a.c\0");
    assert_eq!((long(lines, 41), word(lines, 49), word(lines, 53)), (START + 4, 7, 0));
    assert_eq!(&lines[57..66], b"/src/b.h\0");
    assert!(lines.len().is_multiple_of(8) && lines[66..].iter().all(|byte| *byte == 0));

    for (index, (record, name, start, size)) in
        [(1, "first", 0_u64, 8_u64), (3, "second", 8, 8), (4, "bare", 16, 32)].into_iter().enumerate()
    {
        let load = records[record].2;
        // SAFETY: asks for a number.
        let thread = unsafe { libc::gettid() };
        assert_eq!((word(load, 0), word(load, 4)), (std::process::id().into(), thread as u64));
        let words = [8, 16, 24, 32].map(|at| long(load, at));
        assert_eq!(words, [START + start, START + start, size, index as u64]);
        let (named, code) = load[40..].split_at(name.len() + 1);
        assert_eq!(named, [name.as_bytes(), b"\0"].concat());
        assert_eq!(code, &CODE[start as usize..(start + size) as usize]);
    }
}

/// A CIE with a personality and a place for exceptions, and an FDE with one, for the function at `START + 16`.
fn frames() -> Vec<u8> {
    let mut frames = Vec::new();
    frames.extend(36_u32.to_ne_bytes());
    frames.extend(0_u32.to_ne_bytes());
    frames.extend(b"\x01zPLR\0\x01\x78\x10");
    frames.extend(b"\x07\x9b\x11\x22\x33\x44\x1b\x1b");
    frames.extend(b"\x0c\x07\x08\x90\x01\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(frames.len(), 40);
    frames.extend(28_u32.to_ne_bytes());
    frames.extend(44_u32.to_ne_bytes());
    frames.extend((START as i64 + 16 - (FRAMES as i64 + 48)).to_ne_bytes()[..4].iter());
    frames.extend(5_u32.to_ne_bytes());
    frames.extend(b"\x04\x55\x66\x77\x88\x41\x0e\x10\0\0\0");
    frames.resize(72, 0);
    frames.extend([0; 4]);
    frames
}

const FRAMES: u64 = 0x7000_2000;

#[test]
fn frames_are_written_for_a_file_of_their_own() {
    let bytes = frames();
    let frames = Frames::read(Some((Addr(FRAMES), &bytes)));
    assert!(frames.of(Addr(START), 16).is_none());
    let found = frames.of(Addr(START + 16), 5).unwrap();
    let mut expected = Vec::new();
    expected.extend(28_u32.to_ne_bytes());
    expected.extend(0_u32.to_ne_bytes());
    expected.extend(b"\x01zR\0\x01\x78\x10\x01\x1b");
    expected.extend(b"\x0c\x07\x08\x90\x01\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(expected.len(), 32);
    expected.extend(28_u32.to_ne_bytes());
    expected.extend(36_u32.to_ne_bytes());
    // The code takes eight bytes before them.
    expected.extend((-(8_i32 + 40)).to_ne_bytes());
    expected.extend(5_u32.to_ne_bytes());
    expected.extend(b"\0\x41\x0e\x10");
    expected.resize(64, 0);
    expected.extend([0; 8]);
    assert_eq!(found.bytes.len(), 72 + 20);
    assert_eq!(found.bytes[..72], expected);
    let header = &found.bytes[72..];
    assert_eq!((found.header_size, &header[..4]), (20, &b"\x01\x1b\x03\x3b"[..]));
    let words: Vec<i32> = (4..20).step_by(4).map(|at| word(header, at) as i32).collect();
    assert_eq!(words, [-76, 1, -80, -40]);
    // In the dump they come before the code.
    let description = description(&[(16, 5, "function")], LineTable::default());
    let dump = JitDump::default().records(&Batch::new(&description, Some((Addr(FRAMES), &bytes)), code));
    let records = records(&dump);
    assert_eq!(records.iter().map(|record| record.0).collect::<Vec<_>>(), [4, 0]);
    let unwinding = records[0].2;
    assert_eq!([0, 8, 16].map(|at| long(unwinding, at)), [92, 20, 0]);
    assert_eq!(&unwinding[24..116], found.bytes);
    assert!(unwinding.len().is_multiple_of(8));
}

#[test]
fn records_that_are_cut_short_say_nothing() {
    let bytes = frames();
    for end in 0..=bytes.len() {
        let frames = Frames::read(Some((Addr(FRAMES), &bytes[..end])));
        assert_eq!(frames.of(Addr(START + 16), 5).is_some(), end >= 72, "{end}");
    }
    // Whatever a byte says, reading ends.
    for at in 0..bytes.len() {
        for byte in [0, 0x7f, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            let _ = Frames::read(Some((Addr(FRAMES), &bytes))).of(Addr(START + 16), 5);
        }
    }
}

#[test]
fn a_dump_begins_with_its_header_and_is_marked_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let output = open(&Profile::JitDump(folder.path().into())).unwrap();
    assert!(Arc::ptr_eq(&output, &open(&Profile::JitDump(folder.path().into())).unwrap()));
    let description = description(&[(0, 8, "first")], LineTable::default());
    output.record(&Batch::new(&description, None, code)).unwrap();
    output.close();
    output.close();
    let path = folder.path().join(format!("jit-{}.dump", std::process::id()));
    let bytes = std::fs::read(&path).unwrap();
    let words: Vec<u64> = (0..24).step_by(4).map(|at| word(&bytes, at)).collect();
    let machine = words[3];
    assert_eq!(words, [0x4a69_5444, 1, 40, machine, 0, std::process::id().into()]);
    if cfg!(target_arch = "x86_64") {
        assert_eq!(machine, 62);
    }
    assert!(long(&bytes, 24) > 0 && long(&bytes, 32) == 0);
    assert_eq!(records(&bytes[40..]).iter().map(|record| record.0).collect::<Vec<_>>(), [0, 3]);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let marker = maps.lines().find(|line| line.ends_with(&*path.to_string_lossy())).unwrap();
    assert!(marker.contains("r-xp 00000000"), "{marker}");
    let missing = Profile::JitDump(folder.path().join("missing"));
    assert!(open(&missing).unwrap_err().reason.contains("cannot make the profile"));
}
