//! Calls of 32-bit code, and what it finds data from, instruction by instruction. `fixtures/calls32.s` has one of each.

#[path = "support/mod.rs"]
mod support;

use jitlink_core::Addr;
use jitlink_core::graph::Protection;
use jitlink_core::link::Roots;
use std::path::Path;
use std::process::Command;
use support::{BASE, Program, elf, finish, fixture, tool};

/// Further from the batch than branches reach.
const ELSEWHERE: Addr = Addr(0x7812_9678);

fn program() -> Program {
    Program::link(BASE, &[fixture("calls32")], &[("elsewhere", ELSEWHERE)], Roots::Exported).unwrap()
}

fn word(program: &Program, at: Addr) -> u32 {
    program.word(at).swap_bytes()
}

/// Where the branch at an address goes.
fn branch(program: &Program, at: Addr) -> Addr {
    let word = word(program, at);
    assert_eq!(word >> 26, 18, "{word:#x} at {at} is no branch");
    let distance = ((word & 0x03ff_fffc) << 6) as i32 >> 6;
    Addr(at.0.wrapping_add_signed(i64::from(distance)))
}

/// The address that two instructions put together, the second of which sign-extends its part.
fn pair(program: &Program, upper: Addr) -> Addr {
    let [upper, lower] = [upper, upper + 4].map(|at| word(program, at));
    Addr(u64::from((upper << 16).wrapping_add_signed(i32::from(lower as u16 as i16))))
}

#[test]
fn the_addend_of_a_call_through_a_plt_is_no_part_of_where_it_goes() {
    let program = program();
    let start = program.symbol("calls");
    assert_eq!(branch(&program, start), program.symbol("near"));
    assert_eq!(branch(&program, start + 12), program.symbol("near") + 4, "that of another call is");
}

#[test]
fn calls_out_of_the_batch_share_a_stub_whatever_their_base_is() {
    let program = program();
    let start = program.symbol("calls");
    let stub = branch(&program, start + 4);
    assert_eq!(branch(&program, start + 8), stub);
    let slot = pair(&program, stub);
    assert_eq!(Addr(word(&program, slot).into()), ELSEWHERE);
    let code = [0, 4, 8, 12].map(|offset| word(&program, stub + offset));
    // lis r12, …; lwz r12, …(r12); mtctr r12; bctr
    assert_eq!([code[0] >> 16, code[1] >> 16], [0x3d80, 0x818c]);
    assert_eq!(code[2..], [0x7d89_03a6, 0x4e80_0420]);
    // A call in line loads from the same slot, at its address: lis r11, …; lwz r11, …(r11).
    assert_eq!(pair(&program, start + 16), slot);
    assert_eq!([16, 20].map(|offset| word(&program, start + offset) >> 16), [0x3d60, 0x816b]);
    assert_eq!([24, 28].map(|offset| word(&program, start + offset)), [0x7d69_03a6, 0x4e80_0421]);
}

#[test]
fn older_code_is_told_the_base_of_the_got_by_a_routine() {
    let program = program();
    let start = program.symbol("calls");
    let routine = branch(&program, start + 32);
    let in_code = |segment: &elf::Segment| {
        segment.protection == Protection::ReadExecute
            && (segment.address.0..segment.address.0 + segment.bytes.len() as u64).contains(&routine.0)
    };
    assert!(program.segments.iter().any(in_code), "{routine}");
    // The word before the GOT is not run: what it would tell is in the routine.
    let base = pair(&program, routine + 16);
    let distance = i64::from(word(&program, start + 40) as u16 as i16);
    let slot = Addr(base.0.wrapping_add_signed(distance));
    assert_eq!(Addr(word(&program, slot).into()), program.symbol("variable"));
    // stwu r1, -16(r1); stw r12, 8(r1); mflr r12; mtctr r12, and at the end: mtlr r12; lwz r12, 8(r1); addi r1, r1, 16; bctr
    let code = |offsets: [u64; 4]| offsets.map(|offset| word(&program, routine + offset));
    assert_eq!(code([0, 4, 8, 12]), [0x9421_fff0, 0x9181_0008, 0x7d88_02a6, 0x7d89_03a6]);
    assert_eq!(code([24, 28, 32, 36]), [0x7d88_03a6, 0x8181_0008, 0x3821_0010, 0x4e80_0420]);
}

#[test]
fn small_data_lies_together_around_its_base() {
    let program = program();
    let small = program.symbol("small");
    let base = pair(&program, small);
    let at = |offset: u64| {
        let distance = i64::from(word(&program, small + offset) as u16 as i16);
        Addr(base.0.wrapping_add_signed(distance))
    };
    assert_eq!([at(8), at(12)], [program.symbol("variable"), program.symbol("last")]);
    let first = program.symbol("variable").min(program.symbol("last"));
    assert!(base.0 - first.0 <= 0x8000, "what lies first is reached too");
}

#[test]
fn routines_that_save_registers_are_provided() {
    let program = program();
    let start = program.symbol("calls");
    let code = |at: Addr, count: u64| (0..count).map(|index| word(&program, at + 4 * index)).collect::<Vec<_>>();
    // stw r30, -8(r11); stw r31, -4(r11); blr
    assert_eq!(code(branch(&program, start + 44), 3), [0x93cb_fff8, 0x93eb_fffc, 0x4e80_0020]);
    // lwz r30, -8(r11); lwz r31, -4(r11); lwz r0, 4(r11); mtlr r0; mr r1, r11; blr
    let leaves = [0x83cb_fff8, 0x83eb_fffc, 0x800b_0004, 0x7c08_03a6, 0x7d61_5b78, 0x4e80_0020];
    assert_eq!(code(branch(&program, start + 48), 6), leaves);
}

#[test]
fn nothing_lies_where_32_bits_do_not_reach() {
    for base in [0x1_0000_0000, 0x7fff_0000_0000] {
        let linked =
            Program::link(Addr(base), &[fixture("calls32")], &[("elsewhere", ELSEWHERE)], Roots::Exported).err();
        let errors = linked.expect("no address has more than 32 bits");
        assert!(errors.contains("0xffffffff"), "{errors}");
    }
}

#[test]
fn a_got_longer_than_code_reaches_is_refused_by_place() {
    let Some(assembler) = tool("powerpc-linux-gnu-as", "binutils-powerpc-linux-gnu") else { return };
    // 16 signed bits from its middle reach this many slots.
    const REACHED: usize = 0x1_0000 / 4;
    for (count, fits) in [(REACHED, true), (REACHED + 1, false)] {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let loads: String = (0..count).map(|index| format!("lwz 3, v{index}@got(30)\n")).collect();
        let variables: String = (0..count).map(|index| format!("v{index}: .long 0\n")).collect();
        let source = format!(".globl code\ncode:\n{loads}.data\n{variables}");
        std::fs::write(path("many.s"), source).unwrap();
        finish(Command::new(&assembler).args(["-a32", "-o"]).args([path("many.o"), path("many.s")]));
        let object = ("many.o".to_string(), std::fs::read(Path::new(&path("many.o"))).unwrap());
        match Program::link(BASE, &[object], &[], Roots::Exported) {
            Ok(_) => assert!(fits, "{count} slots"),
            Err(errors) => {
                assert!(!fits, "{errors}");
                assert!(errors.contains("R_PPC_GOT16") && errors.contains("many.o: .text+"), "{errors}");
            }
        }
    }
}

#[test]
fn conditional_branches_become_branches_with_a_longer_reach() {
    let program = Program::link(BASE, &[fixture("branches32")], &[], Roots::Exported).unwrap();
    let (start, far) = (program.symbol("decides"), program.symbol("far"));
    // beq .+8; blt+ .+8 and bgt- .+8, whose hints say that a branch onwards is taken, and that it is not, which is the usual.
    for (at, decides) in [(0, 0x4182_0008), (4, 0x41a0_0008), (8, 0x4181_0008)] {
        let out = branch(&program, start + at);
        assert_eq!(word(&program, out), decides);
        assert_eq!(branch(&program, out + 4), start + at + 4);
        assert_eq!(branch(&program, out + 8), far);
    }
    assert!(far.0 - start.0 > 0x8000);
}

/// A little-endian program, which nothing here runs: its instructions are those of the big-endian one.
#[test]
fn both_byte_orders_are_linked_alike() {
    let Some(assembler) = tool("powerpc-linux-gnu-as", "binutils-powerpc-linux-gnu") else { return };
    let folder = tempfile::tempdir().unwrap();
    let object = folder.path().join("little.o");
    let source = std::fs::read_to_string(support::fixtures().join("calls32.s")).unwrap();
    // Halfwords of instructions are where the byte order puts them.
    let source = source.replace(".reloc\t.+2,", ".reloc\t.,");
    std::fs::write(folder.path().join("little.s"), source).unwrap();
    let mut command = Command::new(assembler);
    command.args(["-a32", "-mregnames", "-mlittle-endian", "-o"]);
    finish(command.arg(&object).arg(folder.path().join("little.s")));
    let little = ("calls32.o".to_string(), std::fs::read(object).unwrap());
    let little = Program::link(BASE, &[little], &[("elsewhere", ELSEWHERE)], Roots::Exported).unwrap();
    let big = program();
    for (little, big) in little.segments.iter().zip(&big.segments) {
        assert_eq!((little.address, little.protection), (big.address, big.protection));
        let words = |bytes: &[u8], read: fn([u8; 4]) -> u32| {
            bytes.chunks_exact(4).map(|word| read(word.try_into().unwrap())).collect::<Vec<_>>()
        };
        assert_eq!(words(&little.bytes, u32::from_le_bytes), words(&big.bytes, u32::from_be_bytes));
    }
    assert_eq!(little.exports, big.exports);
}
