//! The tables keep the rules that hold for every table, and the registry takes them.

use jitlink_arch_x86::{COFF_I386, COFF_X86_64, ELF_X86_64, I386, X86_64};
use jitlink_core::TargetArch;
use jitlink_core::arch::StubKind;
use jitlink_core::registry::{Plugin, Registry};
use jitlink_core::reloc::{Field, Reloc, RowTable, reloc};
use jitlink_core::testing::{check_row, check_table};

#[test]
fn rows_are_sound() {
    check_table(&ELF_X86_64);
}

#[test]
fn rows_of_the_architecture_are_sound() {
    let rows = X86_64.info().rows();
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(row.raw() as usize, index, "{}: the raw number is the index", row.name());
        // Those that rewrite an opcode do not give back what stood there: tests of relaxation check them.
        if row.field().plain_bytes().is_some() {
            check_row(row);
        }
    }
    assert!(RowTable::new(rows, ELF_X86_64.rows()).is_ok());
}

#[test]
fn a_table_out_of_order_is_refused() {
    static BYTE: Field = Field::plain(1);
    static WRONG: [Reloc; 2] = {
        use jitlink_core::reloc::{Base, Overflow, Subject};
        [
            reloc(2, "B", Subject::Symbol, Base::Zero, &BYTE, Overflow::Signed),
            reloc(1, "A", Subject::Symbol, Base::Zero, &BYTE, Overflow::Signed),
        ]
    };
    let table = jitlink_core::reloc::RelocTable::new("elf", 62, 8, "x86-64", &WRONG);
    assert!(std::panic::catch_unwind(|| check_table(&table)).is_err());
    assert!(Registry::empty().with(Plugin::Relocs(table)).is_err());
}

#[test]
fn every_number_up_to_the_last_is_known() {
    let table = RowTable::new(X86_64.info().rows(), ELF_X86_64.rows()).unwrap();
    for raw in (0..=51).chain([250, 251]) {
        assert_eq!(table.by_raw(raw).map(|(_, row)| row.raw()), Some(raw));
    }
    for raw in [52, 249, 252, 65_000] {
        assert!(table.by_raw(raw).is_none());
    }
}

#[test]
fn what_only_a_dynamic_linker_may_see_is_refused_by_name() {
    let refused = ELF_X86_64.rows().iter().filter(|row| row.refusal().is_some());
    let raws: Vec<u32> = refused.map(|row| row.raw()).collect();
    assert_eq!(raws, [5, 6, 7, 8, 16, 36, 37, 38]);
}

#[test]
fn registers_itself_and_by_hand() {
    for registry in [
        Registry::global().unwrap(),
        [
            Plugin::Arch(&X86_64),
            Plugin::Relocs(ELF_X86_64),
            Plugin::Relocs(COFF_X86_64),
            Plugin::Arch(&I386),
            Plugin::Relocs(COFF_I386),
        ]
        .into_iter()
        .try_fold(Registry::empty(), Registry::with)
        .unwrap(),
    ] {
        assert_eq!(
            format!("{registry:?}"),
            r#"Registry { formats: [], archs: ["i386", "x86-64"], tables: [("coff", "i386"), ("coff", "x86-64"), ("elf", "x86-64")] }"#
        );
    }
}

#[test]
fn stubs_reach_their_targets() {
    use jitlink_core::Endian::Little;
    use jitlink_core::reloc::{Inputs, apply, evaluate};
    let fill = |kind, subject, place: u64| {
        let stub = X86_64.stub(kind).unwrap();
        assert_eq!(stub.code().len() as u64 % stub.align(), 0, "stubs stand next to each other");
        let mut code = stub.code().to_vec();
        for fixup in stub.fixups() {
            let row = &X86_64.info().rows()[usize::from(fixup.row)];
            let place = place + u64::from(fixup.offset);
            let value = evaluate(row, &Inputs { subject, addend: fixup.addend, place, ..Inputs::default() });
            apply(row, &mut code[fixup.offset as usize..], value, Little).unwrap();
        }
        code
    };
    // 401000: ff 25 fa 0f 00 00   jmp *0xffa(%rip)   # 402000 (objdump)
    assert_eq!(fill(StubKind::Plt, 0x40_2000, 0x40_1000), [0xff, 0x25, 0xfa, 0x0f, 0, 0, 0xcc, 0xcc]);
    let thunk = fill(StubKind::Thunk, 0x1122_3344_5566_7788, 0x40_1000);
    assert_eq!(thunk[..13], [0x49, 0xbb, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x41, 0xff, 0xe3]);
    // 401000: 4c 8d 1d f9 0f 00 00   lea 0xff9(%rip), %r11   # 402000 (objdump)
    // 401007: e9 f4 0f 00 00         jmp 402000
    let lazy = fill(StubKind::Lazy, 0x40_2000, 0x40_1000);
    assert_eq!(lazy, [0x4c, 0x8d, 0x1d, 0xf9, 0x0f, 0, 0, 0xe9, 0xf4, 0x0f, 0, 0]);
    let binder = fill(StubKind::Binder, 0x1122_3344_5566_7788, 0x40_1000);
    assert_eq!(binder[0xa0..], 0x1122_3344_5566_7788_u64.to_le_bytes());
}

/// The bytes of the binder are those that an assembler makes of its source.
#[test]
fn the_binder_is_what_its_source_says() {
    let folder = tempfile::tempdir().unwrap();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/x86_64/binder.s");
    let (object, bytes) = (folder.path().join("binder.o"), folder.path().join("binder.bin"));
    let tool = |name: &str, arguments: &[&std::path::Path]| {
        let mut command = std::process::Command::new(name);
        match command.args(arguments).output() {
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
        }
    };
    let assembled = tool("as", &["--64".as_ref(), source.as_ref(), "-o".as_ref(), &object]);
    if assembled && tool("objcopy", &["-O".as_ref(), "binary".as_ref(), &object, &bytes]) {
        assert_eq!(std::fs::read(&bytes).unwrap(), X86_64.stub(StubKind::Binder).unwrap().code());
    }
}
