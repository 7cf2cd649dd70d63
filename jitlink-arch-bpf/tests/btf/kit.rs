//! What the tests share: objects compiled on the spot, their sections, and mutations of bytes.

use jitlink_arch_bpf::btf::Btf;
use object::{Object as _, ObjectSection as _};
use std::path::PathBuf;
use std::process::Command;

/// The output of a tool; `None` where it is not installed, which is a failure in CI.
pub(crate) fn tool(names: &[&str], run: impl Fn(&mut Command) -> &mut Command) -> Option<std::process::Output> {
    for name in names {
        match run(&mut Command::new(name)).output() {
            Ok(output) => return Some(output),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => panic!("{name}: {error}"),
        }
    }
    assert!(std::env::var_os("CI").is_none_or(|value| value != "true"), "none of {names:?} is installed");
    println!("skipped: none of {names:?} is installed");
    None
}

/// A folder of a test, removed with it.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder for scratch files")
}

/// An object that clang makes of a source, with debug information; `None` without clang.
pub(crate) fn compile(target: &str, source: &str) -> Option<Vec<u8>> {
    let folder = scratch();
    let (input, output) = (folder.path().join("input.c"), folder.path().join("output.o"));
    std::fs::write(&input, source).expect("a source to compile");
    let result = tool(&["clang-22", "clang"], |command| {
        command.args(["-g", "-O2", "-mcpu=v4", "-c", &format!("--target={target}")]).arg(&input).arg("-o").arg(&output)
    })?;
    assert!(result.status.success(), "clang: {}", String::from_utf8_lossy(&result.stderr));
    Some(std::fs::read(output).expect("an object"))
}

/// The bytes of a section.
pub(crate) fn section(object: &[u8], name: &str) -> Vec<u8> {
    let file = object::File::parse(object).expect("an object");
    let section = file.section_by_name(name).unwrap_or_else(|| panic!("a section {name}"));
    section.data().expect("its bytes").to_vec()
}

/// The types of an object.
pub(crate) fn btf_of(object: &[u8]) -> Btf {
    Btf::read(&section(object, ".BTF")).expect("BTF")
}

/// The bytes of the running kernel's types, where there are any.
pub(crate) fn kernel_bytes() -> Option<Vec<u8>> {
    let bytes = std::fs::read(PathBuf::from("/sys/kernel/btf/vmlinux")).ok();
    if bytes.is_none() {
        println!("skipped: the running kernel offers no BTF");
    }
    bytes
}

/// Numbers that look random and are the same in every run (Marsaglia's xorshift).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// Bytes with a few changes: of a bit, a byte, a word, or the length.
pub(crate) fn mutate(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + random.below(3) {
        if bytes.is_empty() {
            break;
        }
        let place = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[place] ^= 1 << random.below(8),
            1 => bytes[place] = random.next() as u8,
            2 => bytes[place] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            3 if place + 4 <= bytes.len() => {
                let word = [0, 1, u32::MAX, random.next() as u32 & 0xff, random.next() as u32][random.below(5)];
                bytes[place / 4 * 4..][..4].copy_from_slice(&word.to_le_bytes());
            }
            4 if random.below(8) == 0 => bytes.truncate(place),
            _ => {
                let from = random.below(bytes.len());
                bytes[place] = bytes[from];
            }
        }
    }
    bytes
}
