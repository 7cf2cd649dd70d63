//! Small programs through the host's interface.

use jitlink_arch_bpf::insn::Insn;
use jitlink_bpf_vm::call::Call;
use jitlink_bpf_vm::context::{NoContext, RawMemory};
use jitlink_bpf_vm::fault::FaultKind;
use jitlink_bpf_vm::functions::Functions;
use jitlink_bpf_vm::vm::{VmBuilder, run_raw};
use jitlink_core::Endian;

fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn { code, dst, src, off, imm }
}

fn exit() -> Insn {
    insn(0x95, 0, 0, 0, 0)
}

#[test]
fn raw_programs_read_and_write_their_memory() {
    // r0 = *(u32 *)(r1 + 1); *(u16 *)(r1 + 6) = r2
    let words = [insn(0x61, 0, 1, 1, 0), insn(0x6b, 1, 2, 6, 0), exit()];
    let mut memory = [9, 1, 0, 0, 2, 9, 9, 9];
    assert_eq!(run_raw(&words, &mut memory).unwrap(), 0x0200_0001);
    assert_eq!(memory, [9, 1, 0, 0, 2, 9, 8, 0]);
}

#[test]
fn faults_say_where_and_what() {
    let words = [insn(0xb7, 0, 0, 0, 1), insn(0x79, 0, 1, 2, 0), exit()];
    let fault = run_raw(&words, &mut [0; 8]).unwrap_err().to_string();
    assert_eq!(
        fault,
        "instruction 1 (r0 = *(u64 *)(r1 + 0x2)): cannot read 8 bytes at 0x100000002: context+0x2 has 0x8 bytes, and this ends 2 past them"
    );
}

#[test]
fn helpers_read_memory_and_call_back() {
    fn helper(call: &mut Call<'_, '_>) -> Result<u64, jitlink_bpf_vm::fault::Fault> {
        let [function, value, ..] = call.arguments();
        Ok(call.call(function, [value, 0, 0, 0, 0])? + 1)
    }
    let mut functions = Functions::new();
    functions.add_helper(3, helper);
    // r1 = &double (a function's address); r2 = 21; call 3; exit; double: r0 = r1; r0 += r0; exit
    let words = [
        insn(0x18, 1, 4, 0, 4),
        insn(0, 0, 0, 0, 0),
        insn(0xb7, 2, 0, 0, 21),
        insn(0x85, 0, 0, 0, 3),
        exit(),
        insn(0xbf, 0, 1, 0, 0),
        insn(0x0f, 0, 0, 0, 0),
        exit(),
    ];
    let vm = VmBuilder::new().functions(functions).build_raw(&words, Endian::NATIVE).unwrap();
    assert_eq!(vm.run(&vm.programs()[0], &mut NoContext).unwrap(), 43);
}

#[test]
fn endless_programs_end_with_their_budget() {
    let words = [insn(0x05, 0, 0, -1, 0)];
    let vm = VmBuilder::new().budget(1000).build_raw(&words, Endian::NATIVE).unwrap();
    let fault = vm.run(&vm.programs()[0], &mut RawMemory::new(&[]).unwrap()).unwrap_err();
    assert_eq!(*fault.kind(), FaultKind::Budget(1000));
}
