//! The code of functions that are found on their first call: what an assembler makes of the same source, and where its fields lead.

use jitlink_arch_ppc::{PPC64, PPC64LE};
use jitlink_core::Endian::Little;
use jitlink_core::TargetArch;
use jitlink_core::arch::StubKind;
use jitlink_core::reloc::{Inputs, apply, evaluate};
use std::path::Path;
use std::process::Command;

/// A stub at a place, of which all fields mean `subject`.
fn fill(kind: StubKind, subject: u64, place: u64) -> Vec<u32> {
    let stub = PPC64LE.stub(kind).unwrap();
    let mut code = stub.code().to_vec();
    for fixup in stub.fixups() {
        let row = &PPC64LE.info().rows()[usize::from(fixup.row)];
        let place = place + u64::from(fixup.offset);
        let value = evaluate(row, &Inputs { subject, addend: fixup.addend, place, ..Inputs::default() });
        apply(row, &mut code[fixup.offset as usize..], value, Little).unwrap();
    }
    code.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
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

/// Under the ELFv1 ABI a function's address is a descriptor's; objects of both ABIs are of that machine.
#[test]
fn big_endian_code_has_none() {
    for kind in [StubKind::Trampoline, StubKind::Lazy, StubKind::Binder] {
        assert!(PPC64.stub(kind).is_none());
    }
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
    for (name, kind) in [("trampoline", StubKind::Trampoline), ("lazy", StubKind::Lazy), ("binder", StubKind::Binder)] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.s"));
        let (object, bytes) = (folder.path().join("code.o"), folder.path().join("code.bin"));
        let options = ["-a64", "-mlittle", "-mpower8", "-mregnames"].map(Path::new);
        let assembled =
            tool("powerpc64le-linux-gnu-as", &[&options[..], &[&source, Path::new("-o"), &object]].concat());
        let arguments = ["-O", "binary", "-j", ".text"].map(Path::new);
        if assembled && tool("powerpc64le-linux-gnu-objcopy", &[&arguments[..], &[&object, &bytes]].concat()) {
            assert_eq!(std::fs::read(&bytes).unwrap(), PPC64LE.stub(kind).unwrap().code(), "{name}");
        }
    }
}
