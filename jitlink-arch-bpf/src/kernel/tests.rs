use super::*;
use crate::image::MapDefinition;
use crate::insn::{AluOp, Callee, Immediate, Op, Operand, Reg, Size, Width, encode};
use std::os::fd::{AsFd, AsRawFd};

/// Whether to go on: machines where `bpf(2)` is not allowed skip these tests, in CI as well.
pub(super) fn may_load() -> bool {
    match allowed() {
        Ok(()) => true,
        Err(error) if error.is_not_allowed() => {
            eprintln!("skipped: {error}");
            false
        }
        Err(error) => panic!("{error}"),
    }
}

fn program(ops: &[Op]) -> Vec<Insn> {
    let mut words = Vec::new();
    ops.iter().for_each(|op| encode(op, &mut words));
    words
}

fn reg(number: u8) -> Reg {
    Reg::new(number).unwrap()
}

fn mov(dst: u8, value: i32) -> Op {
    Op::Alu { width: Width::W64, op: AluOp::Mov, dst: reg(dst), src: Operand::Imm(value) }
}

fn request(instructions: &[Insn]) -> ProgramRequest<'_> {
    ProgramRequest { name: "a-test", kind: 6, instructions, license: "GPL", ..ProgramRequest::default() }
}

#[test]
fn a_program_runs_on_a_packet_and_gives_both_back() {
    if !may_load() {
        return;
    }
    // r2 = data, r3 = data_end; if r2 + 14 > r3 exit 0; *(u8 *)(r2 + 0) = 0x7e; r0 = *(u8 *)(r2 + 1)
    let load = |dst, off| Op::Load { size: Size::W, signed: false, dst: reg(dst), src: reg(1), off };
    let add = |dst, value| Op::Alu { width: Width::W64, op: AluOp::Add, dst: reg(dst), src: Operand::Imm(value) };
    let copy = |dst, src| Op::Alu { width: Width::W64, op: AluOp::Mov, dst: reg(dst), src: Operand::Reg(reg(src)) };
    let words = program(&[
        load(2, 0),
        load(3, 4),
        copy(4, 2),
        add(4, 14),
        mov(0, 0),
        Op::JumpIf {
            width: Width::W64,
            condition: crate::insn::Condition::Gt,
            dst: reg(4),
            src: Operand::Reg(reg(3)),
            off: 2,
        },
        Op::Store { size: Size::B, dst: reg(2), src: Operand::Imm(0x7e), off: 0 },
        Op::Load { size: Size::B, signed: false, dst: reg(0), src: reg(2), off: 1 },
        Op::Exit,
    ]);
    let program = KernelProgram::load(&request(&words)).unwrap();
    let packet: Vec<u8> = (10..30).collect();
    let result = program.test_run(&TestRun { data: &packet, repeat: 3, ..TestRun::default() }).unwrap();
    assert_eq!(result.retval, 11);
    assert_eq!(result.data[0], 0x7e);
    assert_eq!(result.data[1..], packet[1..]);
    assert!(program.info(64).unwrap().len() == 64);
}

#[test]
fn maps_hold_what_host_and_program_put_there() {
    if !may_load() {
        return;
    }
    let definition = MapDefinition {
        name: "a map whose name is long".into(),
        kind: 2,
        key_size: 4,
        value_size: 16,
        max_entries: 2,
        ..MapDefinition::default()
    };
    let map = KernelMap::create(&definition, MapContext::default()).unwrap();
    map.update(&0u32.to_ne_bytes(), &[7; 16], 0).unwrap();
    let words = program(&[
        Op::LoadImm { dst: reg(1), value: Immediate::MapValue { fd: map.as_fd().as_raw_fd(), offset: 8 } },
        Op::Load { size: Size::B, signed: false, dst: reg(0), src: reg(1), off: 0 },
        Op::Store { size: Size::DW, dst: reg(1), src: Operand::Imm(-2), off: 0 },
        Op::Exit,
    ]);
    // Values of maps with one element alone can be addressed so.
    let refused = KernelProgram::load(&request(&words)).unwrap_err();
    assert!(matches!(refused, KernelError::Refused { .. }), "{refused}");
    let map = KernelMap::create(&MapDefinition { max_entries: 1, ..definition }, MapContext::default()).unwrap();
    map.update(&0u32.to_ne_bytes(), &[7; 16], 0).unwrap();
    let mut words = words;
    words[0].imm = map.as_fd().as_raw_fd();
    let program = KernelProgram::load(&request(&words)).unwrap();
    let result = program.test_run(&TestRun { data: &[0; 14], ..TestRun::default() }).unwrap();
    assert_eq!(result.retval, 7);
    let entries = map.entries(10).unwrap();
    let value = [7u64.wrapping_mul(0x0101_0101_0101_0101).to_ne_bytes(), (-2i64).to_ne_bytes()].concat();
    assert_eq!(entries, [(vec![0; 4], value)]);
    assert!(map.update(&[0; 4], &[0; 15], 0).unwrap_err().to_string().contains("4/15 bytes, the map's 4/16"));
    assert_eq!(map.lookup(&9u32.to_ne_bytes()).unwrap(), None);
    map.freeze().unwrap();
    let frozen = map.update(&[0; 4], &[0; 16], 0).unwrap_err();
    assert!(!frozen.is_not_allowed(), "{frozen}");
}

#[test]
fn values_of_per_cpu_maps_are_one_a_cpu() {
    if !may_load() {
        return;
    }
    let definition = MapDefinition {
        name: "percpu".into(),
        kind: 5,
        key_size: 1,
        value_size: 3,
        max_entries: 4,
        ..Default::default()
    };
    let map = KernelMap::create(&definition, MapContext::default()).unwrap();
    assert_eq!(map.value_size(), 8 * map::possible_cpus().unwrap());
    assert_eq!(map.lookup(&[1]).unwrap(), None);
    let value: Vec<u8> = (0..map.value_size()).map(|at| if at % 8 < 3 { at as u8 } else { 0 }).collect();
    map.update(&[1], &value, 0).unwrap();
    assert_eq!(map.lookup(&[1]).unwrap(), Some(value));
    assert!(map.delete(&[1]).unwrap() && !map.delete(&[1]).unwrap());
    assert_eq!(map.next_key(None).unwrap(), None);
}

#[test]
fn the_verifier_says_why() {
    if !may_load() {
        return;
    }
    let error = KernelProgram::load(&request(&program(&[Op::Exit]))).unwrap_err();
    let KernelError::Refused { log, .. } = &error else { panic!("{error}") };
    assert!(log.contains("R0 !read_ok"), "{log}");
    assert!(error.to_string().starts_with("a-test: the kernel's verifier refuses it: R0 !read_ok"), "{error}");

    // A log that does not fit at first: many instructions, each of which is printed.
    let mut ops = vec![mov(0, 0)];
    ops.extend((0..5000).map(|value| Op::Store { size: Size::DW, dst: reg(10), src: Operand::Imm(value), off: -8 }));
    ops.extend([Op::Call(Callee::Helper(0x7fff_ffff)), Op::Exit]);
    let error = KernelProgram::load(&request(&program(&ops))).unwrap_err();
    let KernelError::Refused { log, .. } = &error else { panic!("{error}") };
    assert!(log.len() > 1 << 16 && log.starts_with("0: ") || log.contains("\n0: "), "{} bytes", log.len());
    assert!(error.to_string().contains("func"), "{error}");
}

#[test]
fn type_information_is_checked() {
    if !may_load() {
        return;
    }
    let header = |types: u32, strings: u32| {
        let words = [24u32, 0, types, types, strings];
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        if cfg!(target_endian = "big") {
            bytes.swap(0, 1);
        }
        bytes.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        bytes
    };
    // One type: an integer of four bytes, 32 bits, named "x".
    let mut bytes = header(16, 3);
    bytes.extend([1u32, 1 << 24, 4, 32].iter().flat_map(|word| word.to_ne_bytes()));
    bytes.extend(b"\0x\0");
    KernelBtf::load(&bytes).unwrap();
    bytes[24 + 8] = 3;
    let error = KernelBtf::load(&bytes).unwrap_err();
    assert!(matches!(error, KernelError::Types { .. }), "{error}");
    assert!(error.to_string().contains("nr_bits"), "{error}");
}
