//! Every committed input once more, as it is and damaged, with any compiler: what the fuzzers found stays found.

use std::path::{Path, PathBuf};

/// How often each input is damaged. The fuzzers do it better; this is for machines that have none.
const DAMAGED: usize = 8;

/// The inputs of a target, in order of their names.
fn inputs(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// A small generator of numbers (xorshift), the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len());
        match random.below(5) {
            0 => bytes[at] = 0,
            1 => bytes[at] = 0xff,
            2 => bytes[at] ^= 1 << random.below(8),
            3 => bytes[at] = random.below(256) as u8,
            _ => bytes.truncate(at),
        }
    }
}

fn replay(target: &str, run: fn(&[u8])) {
    let files = inputs(target);
    assert!(files.len() > 5, "{target} has its inputs");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for file in files {
        // A failing test shows what was last.
        println!("{}", file.display());
        let bytes = std::fs::read(&file).expect("a committed file");
        run(&bytes);
        for round in 0..DAMAGED {
            let mut damaged = bytes.clone();
            damage(&mut damaged, &mut random);
            println!("… damaged, {round}: {damaged:02x?}");
            run(&damaged);
        }
    }
}

#[test]
fn elf() {
    replay("elf", jitlink_fuzz::elf::run);
}

#[test]
fn coff() {
    replay("coff", jitlink_fuzz::coff::run);
}

#[test]
fn directives() {
    replay("directives", jitlink_fuzz::directives::run);
}

#[test]
fn imports() {
    replay("imports", jitlink_fuzz::imports::run);
}

#[test]
fn archives() {
    replay("archive", jitlink_fuzz::archive::run);
}

#[test]
fn links() {
    replay("link", jitlink_fuzz::link::run);
}

#[test]
fn messages_of_executors() {
    replay("remote", jitlink_fuzz::remote::run);
}

#[test]
fn bpf() {
    replay("bpf", jitlink_fuzz::bpf::run);
}

#[test]
fn bpf_machine() {
    replay("vm", jitlink_bpf_vm::testing::fuzz_one);
}

#[test]
fn updates() {
    replay("update", jitlink_fuzz::update::run);
}
