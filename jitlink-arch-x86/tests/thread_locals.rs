//! Which look-ups of thread-local variables become computed addresses, and to which bytes.

use jitlink_arch_x86::{ELF_X86_64, X86_64};
use jitlink_core::arch::CodeSite;
use jitlink_core::graph::{Edge, SymbolId};
use jitlink_core::reloc::{FieldError, Inputs, Reloc, Subject, apply, evaluate};
use jitlink_core::{Endian, TargetArch};

/// A code sequence: relocation, its field's offset, the offset of the call's, the bytes.
type Code<'c> = (&'c str, u32, u32, &'c [u8]);

fn row(name: &str) -> &'static Reloc {
    ELF_X86_64.rows().iter().find(|row| row.name() == name).unwrap()
}

/// The bytes that a sequence becomes for a value, and what of the distance it asks for; `None` if it stays.
fn relaxed(code: Code<'_>, addend: i64, value: i64) -> Option<(Subject, Result<Vec<u8>, FieldError>)> {
    let (name, field, call, bytes) = code;
    let reloc = row(name);
    let edge = |offset: u32| Edge { addend, offset, target: SymbolId::new(0), row: 0, subject: reloc.subject() };
    let site = CodeSite { block: bytes, start: 0, edge: edge(field), row: reloc, target: None };
    let form = X86_64.relax_thread_local(&site, Some(&edge(call)))?;
    let row = &X86_64.info().rows()[usize::from(form.row)];
    assert!(row.field().bytes() + form.offset as usize <= bytes.len(), "the field ends in the sequence");
    let value =
        evaluate(row, &Inputs { subject: value as u64, addend: form.addend, place: 0x40_1000, ..Inputs::default() });
    let mut bytes = bytes.to_vec();
    let applied = apply(row, &mut bytes[form.offset as usize..], value, Endian::Little);
    Some((row.subject(), applied.map(|()| bytes)))
}

// Fields hold what no linker wrote, so that leftovers would show.
const GD: Code<'_> = (
    "R_X86_64_TLSGD",
    4,
    12,
    &[
        0x66, 0x48, 0x8d, 0x3d, 0xaa, 0xaa, 0xaa, 0xaa, // data16 lea x@tlsgd(%rip), %rdi
        0x66, 0x66, 0x48, 0xe8, 0xaa, 0xaa, 0xaa, 0xaa, // data16 data16 rex.W call __tls_get_addr@PLT
    ],
);
const GD_GOT: Code<'_> = (
    "R_X86_64_TLSGD",
    4,
    12,
    &[
        0x66, 0x48, 0x8d, 0x3d, 0xaa, 0xaa, 0xaa, 0xaa, //
        0x66, 0x48, 0xff, 0x15, 0xaa, 0xaa, 0xaa, 0xaa, // data16 rex.W call *__tls_get_addr@GOTPCREL(%rip)
    ],
);
const GD_LARGE: Code<'_> = (
    "R_X86_64_TLSGD",
    3,
    9,
    &[
        0x48, 0x8d, 0x3d, 0xaa, 0xaa, 0xaa, 0xaa, // lea x@tlsgd(%rip), %rdi
        0x48, 0xb8, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, // movabs $__tls_get_addr@pltoff, %rax
        0x48, 0x01, 0xd8, 0xff, 0xd0, // add %rbx, %rax; call *%rax
    ],
);
const LD: Code<'_> = (
    "R_X86_64_TLSLD",
    3,
    8,
    &[
        0x48, 0x8d, 0x3d, 0xaa, 0xaa, 0xaa, 0xaa, // lea x@tlsld(%rip), %rdi
        0xe8, 0xaa, 0xaa, 0xaa, 0xaa, // call __tls_get_addr@PLT
    ],
);
const LD_GOT: Code<'_> = (
    "R_X86_64_TLSLD",
    3,
    9,
    &[
        0x48, 0x8d, 0x3d, 0xaa, 0xaa, 0xaa, 0xaa, //
        0xff, 0x15, 0xaa, 0xaa, 0xaa, 0xaa, // call *__tls_get_addr@GOTPCREL(%rip)
    ],
);
const LD_LARGE: Code<'_> = (
    "R_X86_64_TLSLD",
    3,
    9,
    &[
        0x48, 0x8d, 0x3d, 0xaa, 0xaa, 0xaa, 0xaa, //
        0x48, 0xb8, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, //
        0x4c, 0x01, 0xf8, 0xff, 0xd0, // add %r15, %rax; call *%rax
    ],
);

/// `mov %fs:0, %rax; lea -0x10(%rax), %rax`
const GD_FIXED: [u8; 16] = [0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, 0x48, 0x8d, 0x80, 0xf0, 0xff, 0xff, 0xff];
/// `xor %eax, %eax; mov %fs:(%rax), %rax; add $-0x10, %rax`
const LD_FIXED: [u8; 12] = [0x31, 0xc0, 0x64, 0x48, 0x8b, 0x00, 0x48, 0x05, 0xf0, 0xff, 0xff, 0xff];

#[test]
fn look_ups_become_distances_from_the_thread_pointer() {
    let nop6 = [0x66, 0x0f, 0x1f, 0x44, 0, 0];
    let nop10 = [0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0];
    let cases: [(Code<'_>, Subject, Vec<u8>); 6] = [
        (GD, Subject::TpOffset, GD_FIXED.to_vec()),
        (GD_GOT, Subject::TpOffset, GD_FIXED.to_vec()),
        (GD_LARGE, Subject::TpOffset, [&GD_FIXED[..], &nop6].concat()),
        (LD, Subject::TlsBase, LD_FIXED.to_vec()),
        (LD_GOT, Subject::TlsBase, [&LD_FIXED[..], &[0x90]].concat()),
        (LD_LARGE, Subject::TlsBase, [&LD_FIXED[..], &nop10].concat()),
    ];
    for (code, subject, expected) in cases {
        assert_eq!(relaxed(code, -4, -0x10), Some((subject, Ok(expected))), "{code:02x?}");
    }
}

#[test]
fn descriptors_become_distances_and_their_calls_nothing() {
    #[rustfmt::skip]
    let cases: [(&[u8], &[u8]); 4] = [
        // lea x@tlsdesc(%rip), %rax              mov $-0x10, %rax
        (&[0x48, 0x8d, 0x05, 0xaa, 0xaa, 0xaa, 0xaa], &[0x48, 0xc7, 0xc0, 0xf0, 0xff, 0xff, 0xff]),
        // … %rdi, %r8, %r15
        (&[0x48, 0x8d, 0x3d, 0xaa, 0xaa, 0xaa, 0xaa], &[0x48, 0xc7, 0xc7, 0xf0, 0xff, 0xff, 0xff]),
        (&[0x4c, 0x8d, 0x05, 0xaa, 0xaa, 0xaa, 0xaa], &[0x49, 0xc7, 0xc0, 0xf0, 0xff, 0xff, 0xff]),
        (&[0x4c, 0x8d, 0x3d, 0xaa, 0xaa, 0xaa, 0xaa], &[0x49, 0xc7, 0xc7, 0xf0, 0xff, 0xff, 0xff]),
    ];
    for (code, expected) in cases {
        let code = ("R_X86_64_GOTPC32_TLSDESC", 3, 3, code);
        assert_eq!(relaxed(code, -4, -0x10), Some((Subject::TpOffset, Ok(expected.to_vec()))));
        assert!(relaxed(code, -4, i64::from(i32::MAX)).unwrap().1.is_ok());
        assert!(relaxed(code, -4, i64::from(i32::MIN)).unwrap().1.is_ok());
        assert!(relaxed(code, -4, i64::from(i32::MAX) + 1).unwrap().1.is_err());
        assert!(relaxed(code, -4, i64::from(i32::MIN) - 1).unwrap().1.is_err());
        assert_eq!(relaxed(code, 0, 0), None, "another addend");
    }
    // call *x@tlscall(%rax), whatever the distance
    let call = ("R_X86_64_TLSDESC_CALL", 0, 0, &[0xff, 0x10][..]);
    assert_eq!(relaxed(call, 0, 1 << 40), Some((Subject::TlsBase, Ok(vec![0x66, 0x90]))));
    for bytes in [&[0xff, 0x50][..], &[0xff, 0x14], &[0xff, 0x15], &[0xfe, 0x10], &[0xff], &[]] {
        assert_eq!(relaxed(("R_X86_64_TLSDESC_CALL", 0, 0, bytes), 0, 0), None, "{bytes:02x?}");
    }
    for bytes in [&[0x48, 0x8b, 0x05, 0, 0, 0, 0][..], &[0x8d, 0x05, 0, 0, 0, 0], &[0x48, 0x8d, 0x80, 0, 0, 0, 0]] {
        let field = bytes.len() as u32 - 4;
        assert_eq!(relaxed(("R_X86_64_GOTPC32_TLSDESC", field, field, bytes), -4, 0), None, "{bytes:02x?}");
    }
}

#[test]
fn distances_fit_32_bits_with_a_sign_or_are_refused() {
    for code in [GD, GD_GOT, GD_LARGE, LD, LD_GOT, LD_LARGE] {
        for value in [i64::from(i32::MIN), i64::from(i32::MAX), -1, 0] {
            let (_, bytes) = relaxed(code, -4, value).unwrap();
            let expected = (value as i32).to_le_bytes();
            assert!(bytes.unwrap().windows(4).any(|found| found == expected), "{value:#x} {code:02x?}");
        }
        for value in [i64::from(i32::MIN) - 1, i64::from(i32::MAX) + 1] {
            assert!(relaxed(code, -4, value).unwrap().1.is_err(), "{value:#x} {code:02x?}");
        }
    }
}

#[test]
fn other_code_is_left_as_it_is() {
    for code in [GD, GD_GOT, GD_LARGE, LD, LD_GOT, LD_LARGE] {
        let (name, field, call, bytes) = code;
        let stays = |code: Code<'_>, addend: i64| assert_eq!(relaxed(code, addend, 0), None, "{addend} {code:02x?}");
        stays(code, 0);
        stays((name, field, call + 1, bytes), -4);
        stays((name, field, field, bytes), -4);
        stays((name, call, field, bytes), -4);
        stays((name, 900, 904, bytes), -4);
        stays(("R_X86_64_GOTTPOFF", field, call, bytes), -4);
        for end in 0..=call as usize {
            // What ends before the call's field is no sequence, and nothing behind the end is read.
            if end < call as usize - 1 {
                stays((name, field, call, &bytes[..end]), -4);
            }
        }
        // Each byte that is not of a field says what the code is.
        let is_field = |at: u32| {
            (field..field + 4).contains(&at)
                || at >= call && at < call + if call == 9 && bytes.len() == 22 { 8 } else { 4 }
        };
        for at in (0..bytes.len() as u32).filter(|&at| !is_field(at)) {
            let mut bytes = bytes.to_vec();
            bytes[at as usize] ^= 0xff;
            stays((name, field, call, &bytes), -4);
        }
    }
    // One kind's code with the other's relocation.
    assert_eq!(relaxed(("R_X86_64_TLSLD", 4, 12, GD.3), -4, 0), None);
    assert_eq!(relaxed(("R_X86_64_TLSGD", 3, 8, LD.3), -4, 0), None);
}
