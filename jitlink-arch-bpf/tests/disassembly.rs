//! What instructions are called is what LLVM's assembler makes the same instructions of.

use jitlink_arch_bpf::insn::{Callee, Immediate, Insn, Op, decode, words};
use jitlink_core::Endian;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader, SectionHeader};
use std::fmt::Write as _;
use std::process::Command;

/// Instructions of every opcode with some of their fields.
fn samples() -> Vec<(Op, Vec<Insn>)> {
    let mut samples = Vec::new();
    let second = Insn { imm: 0x7654_3210, ..Insn::default() };
    for code in 0..=255 {
        for (dst, src) in [(0, 0), (3, 0), (0, 4), (9, 8), (1, 10), (10, 2)] {
            for off in [0, 1, 8, 16, 32, -4, 0x7ff0] {
                for imm in [0, 1, 16, 32, 64, -5, 0x40, 0x51, 0xa1, 0xe1, 0xf1, 0x100, 0x110, 1 << 16, i32::MAX] {
                    let words = [Insn { code, dst, src, off, imm }, second];
                    if let Ok(op) = decode(&words, 0) {
                        samples.push((op, words[..op.words()].to_vec()));
                    }
                }
            }
        }
    }
    samples
}

/// References are numbers of descriptors and ids, for which assembler has no words; nor does it add a distance to the index of a
/// packet load or take numbers of more than 16 bits for a jump.
fn is_spelt(op: &Op) -> bool {
    match op {
        Op::LoadImm { value, .. } => matches!(value, Immediate::Constant(_)),
        Op::Jump { off, .. } => i16::try_from(*off).is_ok(),
        Op::LoadPacket { index, offset, .. } => index.is_none() || *offset == 0,
        Op::Call(callee) => matches!(callee, Callee::Helper(_) | Callee::Register(_)),
        _ => true,
    }
}

#[test]
fn llvm_assembles_what_is_shown_to_the_same_instructions() {
    let samples: Vec<_> = samples().into_iter().filter(|(op, _)| is_spelt(op)).collect();
    assert!(samples.len() > 2_000, "{}", samples.len());
    let mut source = String::from("\t.text\n");
    for (op, _) in &samples {
        writeln!(source, "\t{op}").unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("all.s"), folder.path().join("all.o"));
    std::fs::write(&input, source).unwrap();
    let mut assembler = None;
    for tool in ["clang-22", "clang"] {
        let mut command = Command::new(tool);
        command.args(["--target=bpfel", "-mcpu=v4", "-c"]).arg(&input).arg("-o").arg(&output);
        match command.output() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            result => assembler = assembler.or(Some(result.unwrap())),
        }
    }
    let Some(assembled) = assembler else {
        assert!(std::env::var_os("CI").is_none_or(|value| value != "true"), "there is no clang");
        return println!("skipped: there is no clang");
    };
    let text = String::from_utf8_lossy(&assembled.stderr);
    assert!(assembled.status.success(), "{}", text.chars().take(4_000).collect::<String>());
    let file = std::fs::read(&output).unwrap();
    let header = FileHeader64::<object::LittleEndian>::parse(&*file).unwrap();
    let sections = header.sections(object::LittleEndian, &*file).unwrap();
    let (_, section) = sections.section_by_name(object::LittleEndian, b".text").unwrap();
    let made = words(section.data(object::LittleEndian, &*file).unwrap(), Endian::Little).unwrap();
    let mut at = 0;
    for (op, expected) in &samples {
        assert_eq!(&made[at..at + expected.len()], expected, "{op}");
        at += expected.len();
    }
    assert_eq!(at, made.len());
}
