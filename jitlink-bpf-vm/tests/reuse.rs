//! Runs on one thread use the same memory one after the other, and see nothing of each other.

use jitlink_arch_bpf::insn::Insn;
use jitlink_bpf_vm::call::{Call, Slice};
use jitlink_bpf_vm::context::NoContext;
use jitlink_bpf_vm::fault::{Access, Fault};
use jitlink_bpf_vm::functions::Functions;
use jitlink_bpf_vm::vm::{Vm, VmBuilder};
use jitlink_core::Endian;
use std::sync::{Arc, Mutex};

fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn { code, dst, src, off, imm }
}

fn exit() -> Insn {
    insn(0x95, 0, 0, 0, 0)
}

fn machine(words: &[Insn], functions: Functions) -> Vm {
    VmBuilder::new().functions(functions).budget(10_000).build_raw(words, Endian::NATIVE).unwrap()
}

fn run(vm: &Vm) -> Result<u64, Fault> {
    vm.run(&vm.programs()[0], &mut NoContext)
}

/// Fills its frame and that of a function that it calls, and ends with the instructions given.
fn writer(end: &[Insn]) -> Vec<Insn> {
    let fill = |words: &mut Vec<Insn>| words.extend((1..=64).map(|word| insn(0x7a, 10, 0, -8 * word, -1)));
    let mut words = Vec::new();
    fill(&mut words);
    // call the function, which follows
    words.push(insn(0x85, 0, 1, 0, end.len() as i32));
    words.extend(end);
    fill(&mut words);
    words.push(exit());
    words
}

/// Whether all of its frame and of that of a function that it calls is zero: it gives what the words are together.
fn reader() -> Vec<Insn> {
    let sum = |words: &mut Vec<Insn>| {
        for word in 1..=64 {
            words.extend([insn(0x79, 1, 10, -8 * word, 0), insn(0x4f, 0, 1, 0, 0)]);
        }
    };
    let mut words = vec![insn(0xb7, 0, 0, 0, 0)];
    sum(&mut words);
    words.extend([insn(0xbf, 6, 0, 0, 0), insn(0x85, 0, 1, 0, 2), insn(0x4f, 0, 6, 0, 0), exit()]);
    words.push(insn(0xb7, 0, 0, 0, 0));
    sum(&mut words);
    words.push(exit());
    words
}

#[test]
fn a_run_does_not_see_the_stack_of_the_one_before() {
    let reader = machine(&reader(), Functions::new());
    for end in [&[exit()][..], &[insn(0x85, 0, 0, 0, 9), exit()], &[insn(0x05, 0, 0, -1, 0)]] {
        _ = run(&machine(&writer(end), Functions::new()));
        assert_eq!(run(&reader).unwrap(), 0);
    }
}

#[test]
fn a_run_within_a_run_has_a_stack_of_its_own() {
    let inner = machine(&writer(&[exit()]), Functions::new());
    let seen = machine(&reader(), Functions::new());
    let mut functions = Functions::new();
    functions.add_helper(1, move |_: &mut Call<'_, '_>| {
        run(&inner)?;
        run(&seen)
    });
    // *(u64 *)(r10 - 8) = 7; r0 = helper 1; r1 = *(u64 *)(r10 - 8); r0 += r1
    let words =
        [insn(0x7a, 10, 0, -8, 7), insn(0x85, 0, 0, 0, 1), insn(0x79, 1, 10, -8, 0), insn(0x0f, 0, 1, 0, 0), exit()];
    assert_eq!(run(&machine(&words, functions)).unwrap(), 7);
}

#[test]
fn what_a_function_of_the_host_keeps_of_the_stack_is_not_used_again() {
    let kept: Arc<Mutex<Vec<Slice>>> = Arc::default();
    let keep = kept.clone();
    let mut functions = Functions::new();
    functions.add_helper(1, move |call: &mut Call<'_, '_>| {
        let address = call.argument(0);
        let slice = call.memory(address, 8, Access::Read)?;
        keep.lock().unwrap().push(slice);
        Ok(0)
    });
    // r1 = r10 - 8; helper 1
    let words = [insn(0xbf, 1, 10, 0, 0), insn(0x07, 1, 0, 0, -8), insn(0x85, 0, 0, 0, 1), exit()];
    run(&machine(&words, functions)).unwrap();
    run(&machine(&writer(&[insn(0x05, 0, 0, -1, 0)]), Functions::new())).unwrap_err();
    assert_eq!(kept.lock().unwrap()[0].to_vec(), [0; 8]);
}

#[test]
fn frames_that_were_not_entered_are_no_memory() {
    // r0 = *(u64 *)(r10 + 0)
    let fault = run(&machine(&[insn(0x79, 0, 10, 0, 0), exit()], Functions::new())).unwrap_err();
    assert!(fault.to_string().contains("stack+0x200 has 0x200 bytes, and this ends 8 past them"), "{fault}");
    // A function writes into its caller's frame, and the caller into the function's, which is still there.
    let words = [
        insn(0xbf, 1, 10, 0, 0),
        insn(0x85, 0, 1, 0, 3),
        insn(0x7b, 10, 0, 8, 0),
        insn(0x79, 0, 10, 8, 0),
        exit(),
        insn(0x7a, 1, 0, -8, 5),
        insn(0x79, 0, 1, -8, 0),
        exit(),
    ];
    assert_eq!(run(&machine(&words, Functions::new())).unwrap(), 5);
}
