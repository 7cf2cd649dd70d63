//! GNU ld and LLD, which are asked what they make of the cases.

use super::cases::{Case, Machine, SIZE};
use jitlink_core::Endian;
use jitlink_core::reloc::{Base, Subject};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// The linker knows no such relocation.
pub(crate) const UNKNOWN: &str = "unknown";

/// The bytes, or what is wrong with the value.
pub(crate) type Answer = Result<Vec<u8>, &'static str>;

/// Few enough for GNU ld to report all of them.
const AT_ONCE: usize = 8;

/// Who is asked.
#[derive(Clone, Copy)]
pub(crate) enum By<'l> {
    Gnu,
    /// LLD, by the name that it is installed under.
    Lld(&'l str),
}

/// What one says of each case, in order.
pub(crate) fn answers(machine: &Machine, cases: &[Case], endian: Endian, by: By<'_>) -> Vec<Answer> {
    let all: Vec<usize> = (0..cases.len()).collect();
    let mut refused: Vec<Option<&'static str>> = vec![None; cases.len()];
    for some in all.chunks(AT_ONCE) {
        let (_, complaints) = link((machine, by), cases, some, endian);
        for (position, &case) in some.iter().enumerate() {
            refused[case] = refusal(&complaints, SIZE * position + cases[case].field_offset(endian));
        }
    }
    let fitting: Vec<usize> = all.into_iter().filter(|&case| refused[case].is_none()).collect();
    let (bytes, complaints) = link((machine, by), cases, &fitting, endian);
    // GNU ld 2.40 doubts something about itself where references into `.toc` are not to its entries.
    let complaints: Vec<&str> = complaints.lines().filter(|line| !line.contains("assertion fail")).collect();
    assert_eq!(complaints, Vec::<&str>::new());
    let mut bytes = bytes.chunks(SIZE);
    refused.into_iter().map(|why| why.map_or_else(|| Ok(bytes.next().unwrap().to_vec()), Err)).collect()
}

/// What it says is wrong at an offset of the places.
pub(crate) fn refusal(complaints: &str, offset: usize) -> Option<&'static str> {
    let at = format!("(.place+{offset:#x})");
    complaints.lines().find(|line| line.contains(&at)).map(|line| match line {
        _ if line.contains("truncated to fit") || line.contains("out of range") => "overflow",
        _ if line.contains("not a multiple") || line.contains("improper alignment") => "misaligned",
        _ if line.contains("unknown relocation") => UNKNOWN,
        _ => panic!("{line}"),
    })
}

/// One of the tools, which is to work in a folder.
pub(crate) fn tool(machine: &Machine, name: &str, folder: &Path) -> Command {
    let mut command = Command::new(format!("{}{name}", machine.tools.0));
    command.current_dir(folder);
    command
}

/// The bytes of some of the cases' places, and what is wrong with them.
fn link((machine, by): (&Machine, By<'_>), cases: &[Case], some: &[usize], endian: Endian) -> (Vec<u8>, String) {
    let mut source = format!(
        ".globl _start\n.text\n_start: nop\n.section {},\"aw\"\nfirst: .quad 0\n\
         .section .tdata,\"awT\"\nvariable: .quad 0\n.section .place,\"aw\"\n",
        machine.anchored
    );
    for (position, &index) in some.iter().enumerate() {
        let case = &cases[index];
        let target = match case.row.base() {
            // The thread pointer, and what is counted from, lie so far behind the start of the variables (ELFv2 ABI, "TLS Runtime
            // Handling").
            _ if case.row.subject() == Subject::TpOffset => "variable + 0x7000 + ".to_string(),
            _ if case.row.subject() == Subject::DtpOffset => "variable + 0x8000 + ".to_string(),
            Base::Zero => "zero + ".to_string(),
            Base::Place => format!("p{position} + {} + ", case.field_offset(endian)),
            // The TOC starts with `.toc`, as there is nothing that needs a GOT.
            _ => "first + 0x8000 + ".to_string(),
        };
        let filler: Vec<String> = case.filler(endian).iter().map(u8::to_string).collect();
        let (offset, name, value) = (case.field_offset(endian), case.row.name(), case.value);
        writeln!(source, "p{position}: .byte {}", filler.join(",")).unwrap();
        let mut meant = format!("{target}{value:#x}");
        if case.row.subject() == Subject::TlsModule {
            meant = "variable".to_string();
        }
        if name == "R_PPC_PLTREL24" {
            // Its addend is no part of the value, so a symbol has all of it.
            writeln!(source, ".globl t{position}\n.set t{position}, {meant}").unwrap();
            meant = format!("t{position}");
        }
        writeln!(source, ".reloc p{position} + {offset}, {name}, {meant}").unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("a.s"), source).unwrap();
    let (order, emulation) = machine.order(endian);
    let tool = |name: &str| tool(machine, name, folder.path());
    super::support::finish(tool("as").args(machine.options.0).args([order, "-o", "a.o", "a.s"]));
    let mut ld = match by {
        By::Gnu => tool("ld"),
        By::Lld(name) => Command::new(name),
    };
    let base = if matches!(by, By::Gnu) { "-Ttext-segment=0x10000000" } else { "--image-base=0x10000000" };
    ld.current_dir(folder.path()).args([
        "-m",
        emulation,
        "-noinhibit-exec",
        "--defsym=zero=0",
        base,
        "-o",
        "out",
        "a.o",
    ]);
    ld.args(machine.options.1);
    let output = ld.output().unwrap();
    assert!(path("out").exists(), "{}", String::from_utf8_lossy(&output.stderr));
    super::support::finish(tool("objcopy").args(["-O", "binary", "-j", ".place", "out", "bytes"]));
    (std::fs::read(path("bytes")).unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}
