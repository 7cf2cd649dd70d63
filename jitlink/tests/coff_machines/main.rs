//! Objects of Windows for machines that are not this one, linked into images; each image runs as a program of its own in an emulator.

#![cfg(all(unix, feature = "coff", feature = "x86", feature = "aarch64"))]

#[allow(dead_code, reason = "shared with other tests, which use more of it")]
#[path = "../support/compilers.rs"]
mod compilers;
mod elf;
mod far;

use compilers::{compile, find};
use elf::Machine;
use jitlink::{Addr, ImageConfig, ImageExecutor, Input, LinkOptions, Module, Registry, Session};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

const I386: Machine = Machine { number: 3, is_64: false };
const ARM64: Machine = Machine { number: 183, is_64: true };

/// The names of a compiler, what makes it compile for Windows, the machine, its emulator, and what C's names begin with.
type Target = (&'static [&'static str], &'static str, Machine, &'static str, &'static str);

const CLANG: &[&str] = &["clang-22", "clang"];

const TARGETS: [Target; 5] = [
    (CLANG, "--target=i686-pc-windows-msvc", I386, "qemu-i386", "_"),
    (CLANG, "--target=i686-w64-windows-gnu", I386, "qemu-i386", "_"),
    (&["i686-w64-mingw32-gcc"], "", I386, "qemu-i386", "_"),
    (CLANG, "--target=aarch64-pc-windows-msvc", ARM64, "qemu-aarch64", ""),
    (CLANG, "--target=aarch64-w64-windows-gnu", ARM64, "qemu-aarch64", ""),
];

const LEVELS: [&str; 5] =
    ["-O0", "-O1", "-O2", "-O3 -ffunction-sections -fdata-sections", "-O0 -ffunction-sections -g"];

const FREESTANDING: &str = "-ffreestanding -fno-builtin -mno-stack-arg-probe";

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/coff_machines").join(name)
}

/// Links objects at an address, with symbols outside.
fn link(base: u64, inputs: &[Input], outside: &[(&str, u64)]) -> (Arc<ImageExecutor>, Module) {
    let config = ImageConfig { base: Addr(base), ..ImageConfig::default() };
    let image = Arc::new(ImageExecutor::new(config).expect("an address"));
    let session = Session::new(Registry::global().expect("backends"), image.clone());
    let defines = outside.iter().map(|(name, address)| ((*name).to_string(), Addr(*address))).collect();
    let module = session
        .link(inputs, &LinkOptions { defines, ..LinkOptions::default() })
        .unwrap_or_else(|errors| panic!("{errors}"));
    (image, module)
}

/// What the program of these segments ends with; `None` without an emulator.
fn run(machine: Machine, emulator: &'static str, entry: u64, segments: &[(u64, Vec<u8>)]) -> Option<i32> {
    let emulator = find(&[emulator])?;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("program");
    let segments: Vec<(u64, &[u8])> = segments.iter().map(|(address, bytes)| (*address, &bytes[..])).collect();
    std::fs::write(&path, elf::program(machine, entry, &segments)).expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a file that may run");
    let output = Command::new(emulator).arg(&path).output().expect("an emulator that starts");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    output.status.code()
}

#[test]
fn programs_of_every_compiler_run_at_both_ends_of_memory() {
    let mut ran = 0;
    for (names, target, machine, emulator, prefix) in TARGETS {
        let Some(compiler) = find(names) else { continue };
        for level in LEVELS {
            let flags = format!("{target} {FREESTANDING} {level}");
            let what = format!("{} {flags}", names[0]);
            let inputs = ["start.c", "outside.c"].map(|name| compile(&compiler, &source(name), &flags));
            // Where 32 bits are signed numbers, and where they are not.
            let high = if machine.is_64 { 0x12_3456_7000 } else { 0x9000_0000 };
            for base in [0x1000_0000, high] {
                let (image, module) = link(base, &inputs, &[]);
                let entry = module.exports().get(&format!("{prefix}begin")).expect("an entry").address.0;
                let segments = elf::loaded(&image.segments());
                let Some(status) = run(machine, emulator, entry, &segments) else { continue };
                assert_eq!(status, 0, "{what} at {base:#x}: start.c says what is wrong");
                ran += 1;
            }
        }
    }
    eprintln!("{ran} programs ran");
}
