//! What other linkers make of each relocation: bytes that GNU ld 2.40 or LLD 22.1 wrote, and the same asked again where they
//! are installed.

#[path = "known/linker.rs"]
mod linker;
#[path = "known/object.rs"]
mod object;

use jitlink_arch_x86::{ELF_X86_64, X86_64};
use jitlink_core::arch::CodeSite;
use jitlink_core::graph::{Edge, SymbolId};
use jitlink_core::reloc::{Base, FieldError, Inputs, Reloc, Subject, apply, evaluate};
use jitlink_core::{Endian, TargetArch};
use linker::{GOT, GOT_PLT, Link, installed};
use object::{FIELD, Kind, SIZE};

/// The linkers, by the names they are installed under.
const LD: &[&str] = &["ld", "x86_64-linux-gnu-ld"];
const LLD: &[&str] = &["ld.lld-22", "ld.lld"];

/// What a linker wrote for a relocation.
struct Answer {
    name: &'static str,
    /// Who was asked.
    linkers: &'static [&'static str],
    addend: i64,
    bytes: &'static [u8],
}

const fn answer(name: &'static str, linkers: &'static [&'static str], addend: i64, bytes: &'static [u8]) -> Answer {
    Answer { name, linkers, addend, bytes }
}

/// Nobody was asked: no linker at hand knows these types, which have the formula and the field of older ones (psABI section
/// 4.4.1 puts them side by side). The bytes are those of the older type.
const NOBODY: &[&str] = &[];

// The place is 401010 and the target 404020; for fields of one and two bytes, 2010 and 60. The target's GOT slot is at
// 500000, its TLS descriptor at 500818, and the GOT's base at 500800.
#[rustfmt::skip]
const ANSWERS: &[Answer] = &[
    answer("R_X86_64_NONE",                   LD,     0, &[]),
    answer("R_X86_64_64",                     LD,     5, &[0x25, 0x40, 0x40, 0, 0, 0, 0, 0]),
    answer("R_X86_64_PC32",                   LD,    -4, &[0x0c, 0x30, 0, 0]),
    answer("R_X86_64_GOT32",                  LD,     5, &[0x05, 0xf8, 0xff, 0xff]),
    answer("R_X86_64_PLT32",                  LD,    -4, &[0x0c, 0x30, 0, 0]),
    answer("R_X86_64_GOTPCREL",               LD,    -4, &[0xec, 0xef, 0x0f, 0]),
    answer("R_X86_64_32",                     LD,     5, &[0x25, 0x40, 0x40, 0]),
    answer("R_X86_64_32S",                    LD,     5, &[0x25, 0x40, 0x40, 0]),
    answer("R_X86_64_16",                     LD,     5, &[0x65, 0]),
    answer("R_X86_64_PC16",                   LD,    -2, &[0x4e, 0xe0]),
    answer("R_X86_64_8",                      LD,     5, &[0x65]),
    answer("R_X86_64_PC8",                    LD, 0x1fa9, &[0xf9]),
    answer("R_X86_64_DTPOFF64",               LD,     5, &[0x25, 0, 0, 0, 0, 0, 0, 0]),
    answer("R_X86_64_TPOFF64",                LD,     5, &[0xd5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    answer("R_X86_64_TLSGD",                  LD,    -4, &[0xec, 0xef, 0x0f, 0]),
    answer("R_X86_64_TLSLD",                  LD,    -4, &[0xec, 0xef, 0x0f, 0]),
    answer("R_X86_64_DTPOFF32",               LD,     5, &[0x25, 0, 0, 0]),
    answer("R_X86_64_GOTTPOFF",               LD,    -4, &[0xec, 0xef, 0x0f, 0]),
    answer("R_X86_64_TPOFF32",                LD,     5, &[0xd5, 0xff, 0xff, 0xff]),
    answer("R_X86_64_PC64",                   LD,    -4, &[0x0c, 0x30, 0, 0, 0, 0, 0, 0]),
    answer("R_X86_64_GOTOFF64",               LD,     5, &[0x25, 0x38, 0xf0, 0xff, 0xff, 0xff, 0xff, 0xff]),
    answer("R_X86_64_GOTPC32",                LD,    -4, &[0xec, 0xf7, 0x0f, 0]),
    answer("R_X86_64_GOT64",                  LD,     5, &[0x05, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    answer("R_X86_64_GOTPCREL64",             LD,    -4, &[0xec, 0xef, 0x0f, 0, 0, 0, 0, 0]),
    answer("R_X86_64_GOTPC64",                LD,    -4, &[0xec, 0xf7, 0x0f, 0, 0, 0, 0, 0]),
    answer("R_X86_64_GOTPLT64",               LD,     5, &[0x05, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    answer("R_X86_64_PLTOFF64",               LD,     5, &[0x25, 0x38, 0xf0, 0xff, 0xff, 0xff, 0xff, 0xff]),
    answer("R_X86_64_SIZE32",                 LD,     5, &[0x35, 0, 0, 0]),
    answer("R_X86_64_SIZE64",                 LD,     5, &[0x35, 0, 0, 0, 0, 0, 0, 0]),
    answer("R_X86_64_GOTPC32_TLSDESC",        LD,    -4, &[0x04, 0xf8, 0x0f, 0]),
    answer("R_X86_64_TLSDESC_CALL",           NOBODY, 0, &[]),
    answer("R_X86_64_PC32_BND",               LD,    -4, &[0x0c, 0x30, 0, 0]),
    answer("R_X86_64_PLT32_BND",              LD,    -4, &[0x0c, 0x30, 0, 0]),
    answer("R_X86_64_GOTPCRELX",              LD,    -4, &[0xec, 0xef, 0x0f, 0]),
    answer("R_X86_64_REX_GOTPCRELX",          LD,    -4, &[0xec, 0xef, 0x0f, 0]),
    answer("R_X86_64_CODE_4_GOTPCRELX",       LLD,   -4, &[0xec, 0xef, 0x0f, 0]),
    answer("R_X86_64_CODE_4_GOTTPOFF",        LLD,   -4, &[0xec, 0xef, 0x0f, 0]),
    answer("R_X86_64_CODE_4_GOTPC32_TLSDESC", NOBODY, -4, &[0x04, 0xf8, 0x0f, 0]),
    answer("R_X86_64_CODE_5_GOTPCRELX",       NOBODY, -4, &[0xec, 0xef, 0x0f, 0]),
    answer("R_X86_64_CODE_5_GOTTPOFF",        NOBODY, -4, &[0xec, 0xef, 0x0f, 0]),
    answer("R_X86_64_CODE_5_GOTPC32_TLSDESC", NOBODY, -4, &[0x04, 0xf8, 0x0f, 0]),
    answer("R_X86_64_CODE_6_GOTPCRELX",       NOBODY, -4, &[0xec, 0xef, 0x0f, 0]),
    answer("R_X86_64_CODE_6_GOTTPOFF",        LLD,   -4, &[0xec, 0xef, 0x0f, 0]),
    answer("R_X86_64_CODE_6_GOTPC32_TLSDESC", NOBODY, -4, &[0x04, 0xf8, 0x0f, 0]),
    answer("R_X86_64_GNU_VTINHERIT",          NOBODY, 0, &[]),
    answer("R_X86_64_GNU_VTENTRY",            LD,     0, &[]),
];

fn row(name: &str) -> &'static Reloc {
    ELF_X86_64.rows().iter().find(|row| row.name() == name).unwrap()
}

/// The link that an answer is from.
fn link(row: &Reloc, addend: i64) -> Link<'static> {
    let kind = match row.subject() {
        Subject::GotBase => Kind::Got,
        Subject::Symbol | Subject::Callee | Subject::GotSlot | Subject::Size | Subject::Nothing => Kind::Data,
        _ => Kind::Thread,
    };
    // An executable would turn accesses to its own thread-local variables into others.
    let shared = kind == Kind::Thread && row.subject() != Subject::TpOffset;
    let arguments: &[&str] = if shared { &["-shared", "--no-relax"] } else { &["--no-relax"] };
    let small = matches!(row.field().bytes(), 1 | 2);
    let (place, target) = if small { (0x2010, 0x60) } else { (0x40_1010, 0x40_4020) };
    let code = row.subject() != Subject::DtpOffset; // those are in debug information
    Link { raw: row.raw(), kind, addend, place, target, content: &[0xcc; 0x40], code, arguments }
}

/// What the formula is given for that link.
fn inputs(row: &Reloc, link: &Link<'_>) -> Inputs {
    let subject = match row.subject() {
        Subject::Symbol | Subject::Callee => link.target,
        Subject::GotSlot | Subject::TlsGdSlot | Subject::TlsLdSlot | Subject::TlsIeSlot => GOT,
        Subject::TlsDescSlot => GOT_PLT + 24,
        Subject::GotBase => GOT_PLT,
        Subject::Size => SIZE,
        // `.tdata` has 0x50 bytes, the target is at 0x20 of it, and its end is where the thread pointer points.
        Subject::DtpOffset => 0x20,
        Subject::TpOffset => -0x30i64 as u64,
        other => panic!("{other:?} is no subject of this table"),
    };
    Inputs { subject, addend: link.addend, place: link.place, got: GOT_PLT, ..Inputs::default() }
}

#[test]
fn every_row_has_an_answer() {
    let rows = ELF_X86_64.rows().iter().filter(|row| row.refusal().is_none());
    let expected: Vec<&str> = rows.map(|row| row.name()).collect();
    assert_eq!(ANSWERS.iter().map(|answer| answer.name).collect::<Vec<_>>(), expected);
}

#[test]
fn formulas_give_the_known_bytes() {
    for answer in ANSWERS {
        let row = row(answer.name);
        assert_eq!(row.field().bytes(), answer.bytes.len(), "{}", answer.name);
        if answer.bytes.is_empty() {
            continue;
        }
        let value = evaluate(row, &inputs(row, &link(row, answer.addend)));
        // What stood in the field must not matter.
        for filler in [0, 0xff, 0xa5] {
            let mut bytes = [filler; 16];
            apply(row, &mut bytes[4..], value, Endian::Little).unwrap();
            let mut expected = [filler; 16];
            expected[4..4 + answer.bytes.len()].copy_from_slice(answer.bytes);
            assert_eq!(bytes, expected, "{}", answer.name);
        }
    }
}

#[test]
fn linkers_still_give_the_known_bytes() {
    for linkers in [LD, LLD] {
        let Some(linker) = installed(linkers) else { continue };
        for answer in ANSWERS.iter().filter(|answer| answer.linkers == linkers) {
            let link = link(row(answer.name), answer.addend);
            let bytes = link.with(linker).unwrap_or_else(|error| panic!("{}: {error}", answer.name));
            let mut expected = link.content.to_vec();
            expected[FIELD..FIELD + answer.bytes.len()].copy_from_slice(answer.bytes);
            assert_eq!(bytes, expected, "{} by {linker}", answer.name);
        }
    }
}

/// The addend with which a row's value is `value`.
fn addend_for(row: &Reloc, value: i128) -> i64 {
    (value - i128::from(evaluate(row, &inputs(row, &link(row, 0))))) as i64
}

#[test]
fn limits_are_exact() {
    for row in ELF_X86_64.rows().iter().filter(|row| row.field().bytes() > 0) {
        let write = |value: i128| {
            let link = link(row, addend_for(row, value));
            let value = evaluate(row, &inputs(row, &link));
            apply(row, &mut [0; 8], value, Endian::Little)
        };
        let Some((min, max)) = row.limits() else {
            assert_eq!(row.field().bytes(), 8, "{}: only 64 bits hold everything", row.name());
            assert_eq!((write(i64::MIN.into()), write(i64::MAX.into())), (Ok(()), Ok(())));
            continue;
        };
        assert_eq!((write(min), write(max)), (Ok(()), Ok(())), "{}", row.name());
        let beyond = |value: i128| Err(FieldError::Range { value: value as i64 });
        assert_eq!((write(min - 1), write(max + 1)), (beyond(min - 1), beyond(max + 1)), "{}", row.name());
    }
}

#[test]
fn linkers_have_the_same_limits() {
    for linkers in [LD, LLD] {
        let Some(linker) = installed(linkers) else { continue };
        for answer in ANSWERS {
            let row = row(answer.name);
            // LLD; GNU ld for the two that LLD takes as signed, and for what it does not know.
            let by_ld = ["R_X86_64_PC16", "R_X86_64_SIZE32", "R_X86_64_PC32_BND", "R_X86_64_PLT32_BND"];
            let by_ld = by_ld.contains(&row.name());
            let (Some((min, max)), false) = (row.limits(), answer.linkers.is_empty()) else { continue };
            if by_ld != (linkers == LD) {
                continue;
            }
            // LLD puts descriptors into `.got`.
            let moved = if row.subject() == Subject::TlsDescSlot { (GOT_PLT + 24 - GOT) as i64 } else { 0 };
            let fits = |value: i128| link(row, addend_for(row, value).wrapping_add(moved)).with(linker).is_ok();
            // A bit field of GNU ld is twice as large downwards.
            let below = row.name() == "R_X86_64_PC16" || !fits(min - 1);
            assert_eq!((fits(min), fits(max), below, fits(max + 1)), (true, true, true, false), "{}", row.name());
        }
    }
}

#[test]
fn linkers_relax_to_the_same_bytes() {
    #[rustfmt::skip]
    let cases: [(&str, &[&str], &[u8]); 8] = [
        ("R_X86_64_GOTPCRELX",        LD,  &[0xff, 0x15]),             // call *target@GOTPCREL(%rip)
        ("R_X86_64_GOTPCRELX",        LLD, &[0xff, 0x15]),
        ("R_X86_64_GOTPCRELX",        LD,  &[0xff, 0x25]),             // jmp *target@GOTPCREL(%rip)
        ("R_X86_64_GOTPCRELX",        LLD, &[0xff, 0x25]),
        ("R_X86_64_GOTPCRELX",        LLD, &[0x8b, 0x0d]),             // mov target@GOTPCREL(%rip), %ecx
        ("R_X86_64_REX_GOTPCRELX",    LLD, &[0x48, 0x8b, 0x0d]),       // … %rcx
        ("R_X86_64_REX_GOTPCRELX",    LLD, &[0x4c, 0x8b, 0x3d]),       // … %r15
        ("R_X86_64_CODE_4_GOTPCRELX", LLD, &[0xd5, 0x48, 0x8b, 0x0d]), // … %r17
    ];
    for (name, linkers, start) in cases {
        let Some(linker) = installed(linkers) else { continue };
        let row = row(name);
        let mut content = [0xcc; 0x40];
        content[FIELD - start.len()..FIELD].copy_from_slice(start);
        // Position-independent, as the address might fit an immediate otherwise.
        let arguments = &["-shared"];
        let link = Link { content: &content, arguments, ..link(row, -4) };
        let theirs = link.with(linker).unwrap();
        assert_ne!(theirs[FIELD - 2..FIELD], content[FIELD - 2..FIELD], "{linker} did not relax {start:02x?}");

        let edge = Edge { addend: -4, offset: FIELD as u32, target: SymbolId::new(0), row: 0, subject: row.subject() };
        let site = CodeSite { block: &content, start: 0, edge, row, target: None };
        let relaxed = X86_64.relax(&site).unwrap();
        let form = &X86_64.info().rows()[usize::from(relaxed.row)];
        assert_eq!((form.subject(), form.base()), (Subject::Symbol, Base::Place));
        let at = relaxed.offset as usize;
        let place = link.place - (FIELD - at) as u64;
        let value =
            evaluate(form, &Inputs { subject: link.target, addend: relaxed.addend, place, ..Inputs::default() });
        let mut ours = content;
        apply(form, &mut ours[at..], value, Endian::Little).unwrap();
        assert_eq!(ours[..], theirs[..], "{name} {start:02x?} by {linker}");
    }
}
