//! The rules in `tests/check/*.s` hold: each row of the table seen from outside, as an assembler writes it and the whole linker
//! applies it.
//!
//! To test another row, add a line to a file there, or a file.

use jitlink_arch_x86::{ELF_X86_64, X86_64};
use jitlink_check::{Checker, Rules, Verdict, View};
use jitlink_core::image::ImageExecutor;
use jitlink_core::link::{LinkOptions, NoSymbols, link};
use jitlink_core::registry::{Plugin, Registry};
use jitlink_core::{Endian, Input};
use jitlink_elf::ElfFormat;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The assemblers, by the names they are installed under. What a relocation becomes differs between them now and then.
const ASSEMBLERS: [(&[&str], &[&str]); 2] =
    [(&["clang-22", "clang"], &["--target=x86_64-linux-gnu", "-c"]), (&["x86_64-linux-gnu-as"], &["--64"])];

/// Rows that no assembly source can ask for alone, or that need what links cannot serve yet.
const ELSEWHERE: &[&str] =
    &["TLS", "TPOFF", "DTPOFF", "CODE_", "VTINHERIT", "VTENTRY", "_BND", "NONE", "IRELATIVE", "RELATIVE64"];

/// The first of these programs that is installed; in CI it must be.
fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let found =
        names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file()));
    if found.is_none() {
        let in_ci = std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
        assert!(!in_ci, "{} is not installed, and CI skips no test", names.join(" or "));
        eprintln!("skipped in part: {} is not installed", names.join(" or "));
    }
    found
}

/// The sources with rules, by name.
fn sources() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check");
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut sources: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|kind| kind == "s")).collect();
    sources.sort();
    sources
}

fn registry() -> Registry {
    let plugins = [Plugin::Format(&ElfFormat), Plugin::Arch(&X86_64), Plugin::Relocs(ELF_X86_64)];
    plugins.into_iter().try_fold(Registry::empty(), Registry::with).unwrap()
}

#[test]
fn rules_beside_the_assembly_hold() {
    let registry = registry();
    let folder = tempfile::tempdir().unwrap();
    for (names, arguments) in ASSEMBLERS {
        let Some(assembler) = find(names) else { continue };
        for source in sources() {
            let name = source.file_stem().unwrap().to_string_lossy();
            let object = folder.path().join(format!("{name}.o"));
            let output = Command::new(&assembler).args(arguments).arg(&source).arg("-o").arg(&object).output().unwrap();
            assert!(output.status.success(), "{name}.s: {}", String::from_utf8_lossy(&output.stderr));
            let rules = Rules::parse(&format!("{name}.s"), &std::fs::read_to_string(&source).unwrap());
            let rules = rules.unwrap_or_else(|errors| panic!("{errors}"));
            let report = Checker::new(&registry, &[Input::open(&object).unwrap()]).check(&rules);
            assert!(report.passed(), "by {}:\n{report}", assembler.display());
            assert_eq!(report.counts(), (rules.count(), 0, 0));
        }
    }
}

#[test]
fn segments_of_an_image_can_be_asked_too() {
    let Some(clang) = find(ASSEMBLERS[0].0) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (source, object) = (folder.path().join("word.s"), folder.path().join("word.o"));
    let text = ".data\n.globl word\nword: .quad word + 1\n# jitlink-check: u64(.) == word + 1 && !exists(got(word))\n";
    std::fs::write(&source, text).unwrap();
    assert!(Command::new(clang).args(ASSEMBLERS[0].1).arg(&source).arg("-o").arg(&object).status().unwrap().success());
    let image = ImageExecutor::new(Default::default()).unwrap();
    let options = LinkOptions { map: true, ..LinkOptions::default() };
    let linked = link(&registry(), &image, &[Input::open(&object).unwrap()], &NoSymbols, &options).unwrap();
    let segments = image.segments();
    let view = View { map: linked.map.as_ref().unwrap(), endian: Endian::Little, memory: &segments };
    let outcomes = Rules::parse("word.s", text).unwrap().evaluate(&view);
    assert!(matches!(outcomes[0].verdict, Verdict::Passed), "{}", outcomes[0]);
}

#[test]
fn rules_name_every_row_that_assembly_can_ask_for() {
    let texts: Vec<String> = sources().iter().map(|source| std::fs::read_to_string(source).unwrap()).collect();
    let all = texts.concat();
    // What assemblers spell as an operator or an instruction.
    let written = [
        ("R_X86_64_64", ".quad   target + 5"),
        ("R_X86_64_PC64", ".quad   other - ."),
        ("R_X86_64_GOTPCRELX", "call    *function@GOTPCREL"),
        ("R_X86_64_REX_GOTPCRELX", "movq    function@GOTPCREL"),
        ("R_X86_64_GOTOFF64", "@GOTOFF"),
        ("R_X86_64_GOTPC64", "$_GLOBAL_OFFSET_TABLE_ - ."),
        ("R_X86_64_GOTPC32", "_GLOBAL_OFFSET_TABLE_(%rip)"),
        ("R_X86_64_PLTOFF64", "@PLTOFF"),
        ("R_X86_64_SIZE64", ".quad   table@SIZE"),
    ];
    for row in ELF_X86_64.rows() {
        let is_elsewhere = ELSEWHERE.iter().any(|part| row.name().contains(part));
        let is_there = match written.iter().find(|(name, _)| *name == row.name()) {
            Some((_, text)) => all.contains(text),
            None => all.contains(row.name()),
        };
        assert!(is_there || is_elsewhere, "no rule is about {}", row.name());
    }
}
