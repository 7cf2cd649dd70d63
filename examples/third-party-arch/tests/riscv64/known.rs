//! Known answers: instructions as GNU as encodes them (binutils 2.40, `objdump -d -M no-aliases`), against our fields.

use jitlink::core::Endian::Little;
use jitlink::core::reloc::{FieldError, Reloc, apply};
use jitlink_arch_riscv64::ELF_RISCV64;

fn row(name: &str) -> &'static Reloc {
    ELF_RISCV64.rows().iter().find(|row| row.name() == name).unwrap_or_else(|| panic!("no row {name}"))
}

/// Writes `value` over an instruction with another immediate.
fn encoded(name: &str, instruction: u64, value: i64) -> Result<u64, FieldError> {
    let size = row(name).field().bytes();
    let mut bytes = instruction.to_le_bytes();
    apply(row(name), &mut bytes[..size], value, Little)?;
    Ok(u64::from_le_bytes(bytes))
}

#[test]
fn instructions_get_the_assemblers_bytes() {
    // relocation, instruction with a zero immediate, value, the assembler's encoding
    let cases = [
        ("R_RISCV_HI20", 0x0000_0537, 0x1234_4800, 0x1234_5537), // lui a0,0x12345
        ("R_RISCV_HI20", 0xffff_f537, 0x1234_57ff, 0x1234_5537), // lui a0,0x12345
        ("R_RISCV_PCREL_HI20", 0x597, -0x1000, 0xffff_f597),     // auipc a1,0xfffff
        ("R_RISCV_LO12_I", 0x0005_0513, 0x1234_5fff, 0xfff5_0513), // addi a0,a0,-1
        ("R_RISCV_LO12_S", 0x00b6_3023, 0x7ff, 0x7eb6_3fa3),     // sd a1,2047(a2)
        ("R_RISCV_PCREL_LO12_S", 0x00b6_2023, -0x800, 0x80b6_2023), // sw a1,-2048(a2)
        ("R_RISCV_BRANCH", 0x00b5_0063, -0x1000, 0x80b5_0063),   // beq a0,a1,-4096
        ("R_RISCV_BRANCH", 0x00b5_1063, 0xffe, 0x7eb5_1fe3),     // bne a0,a1,+4094
        ("R_RISCV_JAL", 0x0000_00ef, 0xf_fffe, 0x7fff_f0ef),     // jal ra,+0xffffe
        ("R_RISCV_JAL", 0x0000_00ef, -0x10_0000, 0x8000_00ef),   // jal ra,-0x100000
        ("R_RISCV_JAL", 0x0000_006f, 0x5_a5a4, 0x5a45_a06f),     // jal zero,+0x5a5a4
        ("R_RISCV_RVC_BRANCH", 0xc101, 0xfe, 0xcd7d),            // c.beqz a0,+254
        ("R_RISCV_RVC_BRANCH", 0xe181, -0x100, 0xf181),          // c.bnez a1,-256
        ("R_RISCV_RVC_BRANCH", 0xe181, 0x9a, 0xedc9),            // c.bnez a1,+0x9a
        ("R_RISCV_RVC_JUMP", 0xa001, 0x7fe, 0xaffd),             // c.j +2046
        ("R_RISCV_RVC_JUMP", 0xa001, -0x800, 0xb001),            // c.j -2048
        ("R_RISCV_RVC_JUMP", 0xa001, 0x5b6, 0xab5d),             // c.j +0x5b6
        // auipc ra,0x12346; jalr ra,-1348(ra)
        ("R_RISCV_CALL_PLT", 0x0000_80e7_0000_0097, 0x1234_5abc, 0xabc0_80e7_1234_6097),
    ];
    for (name, instruction, value, expected) in cases {
        let found = encoded(name, instruction, value).unwrap_or_else(|error| panic!("{name} {value:#x}: {error:?}"));
        assert_eq!(found, expected, "{name} {value:#x}: {found:#x}, the assembler {expected:#x}");
    }
}

#[test]
fn what_no_instruction_reaches_is_refused() {
    let range = |value| Err(FieldError::Range { value });
    for (name, inside, outside) in [
        ("R_RISCV_BRANCH", 0xffe, 0x1000),
        ("R_RISCV_JAL", -0x10_0000, -0x10_0002),
        ("R_RISCV_RVC_BRANCH", -0x100, -0x102),
        ("R_RISCV_RVC_JUMP", 0x7fe, 0x800),
        // The lower half is signed, so both ends lie half a page lower than those of 32 bits.
        ("R_RISCV_CALL_PLT", 0x7fff_f7ff, 0x7fff_f800),
        ("R_RISCV_PCREL_HI20", -0x8000_0800, -0x8000_0801),
    ] {
        assert!(encoded(name, 0, inside).is_ok(), "{name} reaches {inside:#x}");
        assert_eq!(encoded(name, 0, outside), range(outside), "{name}");
    }
    assert_eq!(encoded("R_RISCV_JAL", 0, 3), Err(FieldError::Align { value: 3, align: 2 }));
}

#[test]
fn differences_are_sums_of_two_relocations() {
    for (bytes, add, sub) in [
        (8, "R_RISCV_ADD64", "R_RISCV_SUB64"),
        (4, "R_RISCV_ADD32", "R_RISCV_SUB32"),
        (2, "R_RISCV_ADD16", "R_RISCV_SUB16"),
        (1, "R_RISCV_ADD8", "R_RISCV_SUB8"),
    ] {
        use jitlink::core::reloc::{Inputs, evaluate};
        let mut place = vec![0u8; bytes];
        for (name, subject) in [(add, 0x1_2345_6789), (sub, 0x1_2345_678d)] {
            let value = evaluate(row(name), &Inputs { subject, ..Inputs::default() });
            apply(row(name), &mut place, value, Little).expect("any value fits");
        }
        assert_eq!(place, &(-4i64).to_le_bytes()[..bytes], "{add}");
    }
    // Six bits beside two others: DW_CFA_advance_loc.
    assert_eq!(encoded("R_RISCV_SET6", 0b0100_0000, 0x2a), Ok(0b0110_1010));
    assert_eq!(encoded("R_RISCV_SUB6", 0b0110_1010, -2), Ok(0b0110_1000));
}
