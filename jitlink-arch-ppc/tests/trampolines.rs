//! The code of functions that are found on their first call: what an assembler makes of the same source, and where its fields lead.

use jitlink_arch_ppc::{PPC32, PPC32LE, PPC64, PPC64LE};
use jitlink_core::Endian::{Big, Little};
use jitlink_core::TargetArch;
use jitlink_core::arch::{StubKind, Target};
use jitlink_core::reloc::{Inputs, apply, evaluate};
use std::path::Path;
use std::process::Command;

/// A stub at a place, of which all fields mean `subject`.
fn fill(kind: StubKind, subject: u64, place: u64) -> Vec<u32> {
    filled(&PPC64LE, kind, subject, place).chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
}

fn filled(arch: &dyn TargetArch, kind: StubKind, subject: u64, place: u64) -> Vec<u8> {
    let stub = arch.stub(kind).unwrap();
    let endian = if arch.info().name().ends_with("le") { Little } else { Big };
    let mut code = stub.code().to_vec();
    for fixup in stub.fixups() {
        let row = &arch.info().rows()[usize::from(fixup.row)];
        let place = place + u64::from(fixup.offset);
        let value = evaluate(row, &Inputs { subject, addend: fixup.addend, place, ..Inputs::default() });
        apply(row, &mut code[fixup.offset as usize..], value, endian).unwrap();
    }
    code
}

#[test]
fn a_trampoline_finds_its_slot_from_its_own_address() {
    // The third instruction is at 0x10000008; to 0x1001c004 it is 0x1bffc, which is 0x20000 - 0x4004.
    let entry = fill(StubKind::Trampoline, 0x1001_c004, 0x1000_0000);
    assert_eq!(entry[4..6], [0x3d8c_0002, 0xe98c_bffc], "addis r12, r12, 2; ld r12, -16388(r12)");
    let lazy = fill(StubKind::Lazy, 0x1001_c004, 0x1000_0000);
    assert_eq!(lazy[4..6], [0x3d6b_0002, 0x396b_bffc], "addis r11, r11, 2; addi r11, r11, -16388");
    // From 0x10000018 it is 0x1bfec.
    assert_eq!(lazy[6], 0x4801_bfec, "b 0x1001c004");
}

#[test]
fn the_binder_loads_the_linkers_address_from_behind_its_code() {
    let binder = fill(StubKind::Binder, 0x1122_3344_5566_7788, 0x1000_0000);
    assert_eq!(binder[binder.len() - 2..], [0x5566_7788, 0x1122_3344]);
    assert_eq!((binder.len() - 2) * 4 % 8, 0, "a pointer lies at a multiple of its size");
}

#[test]
fn code_of_32_bits_has_addresses_in_it() {
    for (arch, read) in [(&PPC32, u32::from_be_bytes as fn([u8; 4]) -> u32), (&PPC32LE, u32::from_le_bytes)] {
        let words = |kind| -> Vec<u32> {
            // The lower half is negative, so the upper one is one more; the place is 0x1004 before it.
            let code = filled(arch, kind, 0x1001_8004, 0x1001_7000);
            code.chunks(4).map(|word| read(word.try_into().unwrap())).collect()
        };
        assert_eq!(words(StubKind::Plt)[..2], [0x3d80_1002, 0x818c_8004], "lis r12, 0x1002; lwz r12, -0x7ffc(r12)");
        assert_eq!(words(StubKind::Thunk)[2..4], [0x3d80_1002, 0x398c_8004], "lis r12, 0x1002; addi r12, r12, -0x7ffc");
        assert_eq!(words(StubKind::Lazy)[..3], [0x3d80_1002, 0x398c_8004, 0x4800_0ffc], "and b, from 8 bytes on");
        let binder = words(StubKind::Binder);
        assert_eq!(binder[23..25], [0x3d80_1002, 0x398c_8004]);
    }
}

/// Under the ELFv1 ABI, a trampoline at 0x10000000 is a descriptor for the code behind it, and its lazy stub one for the binder.
#[test]
fn big_endian_trampolines_are_descriptors() {
    let filled = |kind: StubKind| {
        let stub = PPC64.stub(kind).unwrap();
        let mut code = stub.code().to_vec();
        for fixup in stub.fixups() {
            let row = &PPC64.info().rows()[usize::from(fixup.row)];
            let (subject, place) = (0x1122_3344_5566_7788, 0x1000_0000 + u64::from(fixup.offset));
            let value = evaluate(row, &Inputs { subject, addend: fixup.addend, place, ..Inputs::default() });
            // What is there does not count.
            code[fixup.offset as usize..][..8].fill(0xff);
            apply(row, &mut code[fixup.offset as usize..], value, Big).unwrap();
        }
        code
    };
    let word = |code: &[u8], at: usize| u64::from_be_bytes(code[at..at + 8].try_into().unwrap());
    let entry = filled(StubKind::Trampoline);
    assert_eq!([word(&entry, 0), word(&entry, 8), word(&entry, 16)], [0x1000_0018, 0x1122_3344_5566_7788, 0]);
    let lazy = filled(StubKind::Lazy);
    assert_eq!([word(&lazy, 0), word(&lazy, 8), word(&lazy, 16)], [0x1122_3344_5566_7788, 0x1122_3344_5566_7788, 0]);
    assert_eq!(lazy.len(), 24);
    let binder = filled(StubKind::Binder);
    assert_eq!((binder.len() % 8, word(&binder, binder.len() - 8)), (0, 0x1122_3344_5566_7788));
}

#[test]
fn the_code_is_what_its_source_says() {
    let folder = tempfile::tempdir().unwrap();
    let tool = |name: &str, arguments: &[&Path]| match Command::new(name).args(arguments).output() {
        Ok(output) => {
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
            true
        }
        Err(error) => {
            let in_ci = std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
            assert!(!in_ci, "{name}: {error}, and CI skips no test");
            eprintln!("skipped: {name}: {error}");
            false
        }
    };
    // Which functions of the machine: of the usual convention, or of another one.
    let little: (_, &'static dyn TargetArch, _) = ("powerpc64le-linux-gnu", &PPC64LE, "");
    let big: (_, &'static dyn TargetArch, _) = ("powerpc64le-linux-gnu", &PPC64, "ELFv2");
    let descriptors: (_, &'static dyn TargetArch, _) = ("powerpc64le-linux-gnu", &PPC64, "");
    let narrow: [(_, &'static dyn TargetArch, _); 2] =
        [("powerpc-linux-gnu", &PPC32, ""), ("powerpc-linux-gnu", &PPC32LE, "")];
    let wide = vec![little, big];
    let cases = [
        (wide.clone(), "trampoline", StubKind::Trampoline),
        (wide.clone(), "lazy", StubKind::Lazy),
        (wide, "binder", StubKind::Binder),
        (vec![descriptors], "trampoline_v1", StubKind::Trampoline),
        (vec![descriptors], "binder_v1", StubKind::Binder),
        (narrow.to_vec(), "plt32", StubKind::Plt),
        (narrow.to_vec(), "thunk32", StubKind::Thunk),
        (narrow.to_vec(), "lazy32", StubKind::Lazy),
        (narrow.to_vec(), "binder32", StubKind::Binder),
    ];
    for (machines, name, kind) in cases {
        for (tools, arch, convention) in machines {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.s"));
            let (object, bytes) = (folder.path().join("code.o"), folder.path().join("code.bin"));
            let order = if arch.info().name().ends_with("le") { "-mlittle" } else { "-mbig" };
            let width = if name.ends_with("32") { "-a32" } else { "-a64" };
            let options = [width, order, "-mpower8", "-mregnames"].map(Path::new);
            let assembled =
                tool(&format!("{tools}-as"), &[&options[..], &[&source, Path::new("-o"), &object]].concat());
            let arguments = ["-O", "binary", "-j", ".text"].map(Path::new);
            if assembled && tool(&format!("{tools}-objcopy"), &[&arguments[..], &[&object, &bytes]].concat()) {
                let endian = if order == "-mlittle" { Little } else { Big };
                let pointer_bytes = if width == "-a32" { 4 } else { 8 };
                let target = Target { arch, endian, pointer_bytes, format: "elf", convention, thread_locals: None };
                let stub = arch.trampoline_part(kind, &target).unwrap();
                assert_eq!(std::fs::read(&bytes).unwrap(), stub.code(), "{name} {order}");
            }
        }
    }
}
