//! Which instructions relax, to which bytes; and what is a branch.

use jitlink_arch_x86::{ELF_X86_64, X86_64};
use jitlink_core::arch::CodeSite;
use jitlink_core::graph::{Edge, SymbolId};
use jitlink_core::reloc::{Inputs, Reloc, apply, evaluate};
use jitlink_core::{Addr, Endian, TargetArch};

const CODE: u64 = 0x40_1000;
const FOO: u64 = 0x40_2000;

fn row(name: &str) -> &'static Reloc {
    ELF_X86_64.rows().iter().find(|row| row.name() == name).unwrap()
}

fn site<'s>(block: &'s [u8], offset: u32, reloc: &'s Reloc, addend: i64) -> CodeSite<'s> {
    let edge = Edge { addend, offset, target: SymbolId::new(0), row: 0, subject: reloc.subject() };
    CodeSite { block, start: 0, edge, row: reloc, target: None }
}

/// The bytes that an instruction at `CODE` with its field at the end becomes, if it relaxes.
fn relaxed(code: &[u8], reloc: &str) -> Option<Vec<u8>> {
    let field = code.len() as u32 - 4;
    let form = X86_64.relax(&site(code, field, row(reloc), -4))?;
    let row = &X86_64.info().rows()[usize::from(form.row)];
    let place = CODE + u64::from(form.offset);
    let value = evaluate(row, &Inputs { subject: FOO, addend: form.addend, place, ..Inputs::default() });
    let mut bytes = code.to_vec();
    apply(row, &mut bytes[form.offset as usize..], value, Endian::Little).unwrap();
    assert_eq!(row.field().extract(&bytes[form.offset as usize..], Endian::Little), value);
    Some(bytes)
}

#[test]
fn loads_and_branches_of_near_targets_need_no_slot() {
    // With foo at 402000. The forms are those that GNU ld and LLD write, who are asked in known.rs.
    #[rustfmt::skip]
    let cases: [(&str, &[u8], &[u8]); 10] = [
        // call *foo@GOTPCREL(%rip)        addr32 call foo
        ("R_X86_64_GOTPCRELX",        &[0xff, 0x15, 0xaa, 0xaa, 0xaa, 0xaa],             &[0x67, 0xe8, 0xfa, 0x0f, 0, 0]),
        // jmp *foo@GOTPCREL(%rip)         jmp foo; nop
        ("R_X86_64_GOTPCRELX",        &[0xff, 0x25, 0xaa, 0xaa, 0xaa, 0xaa],             &[0xe9, 0xfb, 0x0f, 0, 0, 0x90]),
        // mov foo@GOTPCREL(%rip), %eax    lea foo(%rip), %eax
        ("R_X86_64_GOTPCRELX",        &[0x8b, 0x05, 0xaa, 0xaa, 0xaa, 0xaa],             &[0x8d, 0x05, 0xfa, 0x0f, 0, 0]),
        // … %rax, %rdi, %r15
        ("R_X86_64_REX_GOTPCRELX",    &[0x48, 0x8b, 0x05, 0, 0, 0, 0],                   &[0x48, 0x8d, 0x05, 0xf9, 0x0f, 0, 0]),
        ("R_X86_64_REX_GOTPCRELX",    &[0x48, 0x8b, 0x3d, 0, 0, 0, 0],                   &[0x48, 0x8d, 0x3d, 0xf9, 0x0f, 0, 0]),
        ("R_X86_64_REX_GOTPCRELX",    &[0x4c, 0x8b, 0x3d, 0, 0, 0, 0],                   &[0x4c, 0x8d, 0x3d, 0xf9, 0x0f, 0, 0]),
        // … %r8d
        ("R_X86_64_REX_GOTPCRELX",    &[0x44, 0x8b, 0x05, 0, 0, 0, 0],                   &[0x44, 0x8d, 0x05, 0xf9, 0x0f, 0, 0]),
        // … %r16, %r31
        ("R_X86_64_CODE_4_GOTPCRELX", &[0xd5, 0x48, 0x8b, 0x05, 0, 0, 0, 0],             &[0xd5, 0x48, 0x8d, 0x05, 0xf8, 0x0f, 0, 0]),
        ("R_X86_64_CODE_4_GOTPCRELX", &[0xd5, 0x4c, 0x8b, 0x3d, 0, 0, 0, 0],             &[0xd5, 0x4c, 0x8d, 0x3d, 0xf8, 0x0f, 0, 0]),
        // notrack jmp *foo@GOTPCREL(%rip): the prefix stays and does nothing
        ("R_X86_64_GOTPCRELX",        &[0x3e, 0xff, 0x25, 0, 0, 0, 0],                   &[0x3e, 0xe9, 0xfa, 0x0f, 0, 0, 0x90]),
    ];
    for (reloc, code, expected) in cases {
        assert_eq!(relaxed(code, reloc).as_deref(), Some(expected), "{reloc} {code:02x?}");
    }
}

#[test]
fn everything_else_keeps_its_slot() {
    let cases: [(&str, &[u8]); 12] = [
        ("R_X86_64_GOTPCREL", &[0x48, 0x8b, 0x05, 0, 0, 0, 0]), // does not say where it starts
        ("R_X86_64_GOTPCRELX", &[0x85, 0x05, 0, 0, 0, 0]),      // test %eax, foo@GOTPCREL(%rip)
        ("R_X86_64_REX_GOTPCRELX", &[0x48, 0x3b, 0x05, 0, 0, 0, 0]), // cmp foo@GOTPCREL(%rip), %rax
        ("R_X86_64_REX_GOTPCRELX", &[0x48, 0x03, 0x05, 0, 0, 0, 0]), // add foo@GOTPCREL(%rip), %rax
        ("R_X86_64_GOTPCRELX", &[0xff, 0x35, 0, 0, 0, 0]),      // push foo@GOTPCREL(%rip)
        ("R_X86_64_GOTPCRELX", &[0x8b, 0x80, 0, 0, 0, 0]),      // mov foo@GOTPCREL(%rax), %eax
        ("R_X86_64_REX_GOTPCRELX", &[0x90, 0x8b, 0x05, 0, 0, 0, 0]), // no REX prefix
        ("R_X86_64_REX_GOTPCRELX", &[0x8b, 0x05, 0, 0, 0, 0]),  // no room for one
        ("R_X86_64_CODE_4_GOTPCRELX", &[0xd5, 0x80, 0x8b, 0x05, 0, 0, 0, 0]), // jnp in the second opcode map
        ("R_X86_64_CODE_4_GOTPCRELX", &[0x62, 0x48, 0x8b, 0x05, 0, 0, 0, 0]), // no REX2 prefix
        ("R_X86_64_GOTPCRELX", &[0x05, 0, 0, 0, 0]),            // no room for an opcode
        ("R_X86_64_GOTPCRELX", &[0, 0, 0, 0]),                  // no room for anything
    ];
    for (reloc, code) in cases {
        assert_eq!(relaxed(code, reloc), None, "{reloc} {code:02x?}");
    }
}

#[test]
fn a_load_from_inside_the_slot_or_of_a_far_target_stays() {
    let code = [0x48, 0x8b, 0x05, 0, 0, 0, 0];
    let reloc = row("R_X86_64_REX_GOTPCRELX");
    let near = site(&code, 3, reloc, -4);
    assert!(X86_64.relax(&near).is_some());
    assert!(X86_64.relax(&site(&code, 3, reloc, 0)).is_none());
    assert!(X86_64.relax(&CodeSite { target: Some(Addr(FOO)), ..near }).is_none());
    assert!(X86_64.relax(&site(&code, 900, reloc, -4)).is_none());
}

#[test]
fn the_relaxable_rows_are_those_the_abi_lists() {
    let rows = ELF_X86_64.rows().iter().filter(|row| row.is_relaxable());
    let names: Vec<&str> = rows.map(|row| row.name()).collect();
    assert_eq!(names, ["R_X86_64_GOTPCRELX", "R_X86_64_REX_GOTPCRELX", "R_X86_64_CODE_4_GOTPCRELX"]);
}

fn is_branch(code: &[u8], offset: u32, reloc: &str, addend: i64) -> bool {
    X86_64.is_branch(&site(code, offset, row(reloc), addend))
}

#[test]
fn direct_branches_are_recognised() {
    for (code, offset) in [
        (&[0xe8, 0, 0, 0, 0][..], 1),                     // call
        (&[0xe9, 0, 0, 0, 0], 1),                         // jmp
        (&[0x0f, 0x84, 0, 0, 0, 0], 2),                   // je
        (&[0x0f, 0x8f, 0, 0, 0, 0], 2),                   // jg
        (&[0x3e, 0xe9, 0, 0, 0, 0], 2),                   // notrack jmp
        (&[0x67, 0xe8, 0, 0, 0, 0], 2),                   // addr32 call
        (&[0x48, 0x89, 0xe5, 0xe8, 0, 0, 0, 0, 0xc3], 4), // mov %rsp, %rbp; call; ret
        (&[0x06, 0xe8, 0, 0, 0, 0], 2),                   // after a byte that is no instruction
    ] {
        assert!(is_branch(code, offset, "R_X86_64_PC32", -4), "{code:02x?}");
        assert!(!is_branch(code, offset, "R_X86_64_PC32", 4), "{code:02x?}: into the target");
        assert!(!is_branch(code, offset, "R_X86_64_32", -4), "{code:02x?}: absolute");
    }
}

#[test]
fn other_instructions_are_no_branches() {
    for (code, offset) in [
        (&[0x48, 0x8b, 0x05, 0, 0, 0, 0][..], 3),         // mov x(%rip), %rax
        (&[0x81, 0xe8, 0, 0, 0, 0], 2),                   // sub $x, %eax: the ModRM byte is e8
        (&[0x81, 0xe9, 0, 0, 0, 0], 2),                   // sub $x, %ecx
        (&[0xc7, 0x05, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0], 2), // movl $…, x(%rip)
        (&[0xc6, 0x05, 0, 0, 0, 0, 0x0f, 0x8b, 0x85, 0, 0, 0, 0], 9), // movb $15, …; mov x(%rbp), %eax
        (&[0xb8, 0xe8, 0, 0, 0, 0], 2),                   // inside the immediate of mov
        (&[0xc7, 0xf8, 0, 0, 0, 0], 2),                   // xbegin
        (&[0xff, 0x15, 0, 0, 0, 0], 2),                   // call *x(%rip)
        (&[0xe8, 0, 0, 0], 1),                            // cut off
        (&[], 0),
        (&[0, 0, 0, 0], 0),
    ] {
        let cut = offset as usize + 4 > code.len();
        assert!(cut || !is_branch(code, offset, "R_X86_64_PC32", -4), "{code:02x?}");
    }
}
