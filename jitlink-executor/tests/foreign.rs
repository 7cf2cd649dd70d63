//! An executor that was built for another machine, under that machine's emulator: it runs that machine's code.
//!
//! `JITLINK_FOREIGN_EXECUTOR` is the command that starts it; `cargo xtask executor --target T --check` builds it and runs this.

use jitlink_core::executor::{
    Executor, MemoryRequest, SegmentRequest, ThreadLocalAccess, ThreadLocalQuery, ThreadLocalRequest,
    ThreadLocalVariable,
};
use jitlink_core::graph::{Protection, Residence};
use jitlink_core::{Addr, AddrRange, Endian};
use jitlink_executor::{End, RemoteExecutor};
use std::process::Command;

/// A `main` that returns 42, and one that loads from address 64, as instructions of the machines that have them here.
fn code(arch: &str, endian: Endian) -> [Vec<u8>; 2] {
    let words = |words: &[u32]| {
        let bytes = words.iter().map(|word| match endian {
            Endian::Little => word.to_le_bytes(),
            Endian::Big => word.to_be_bytes(),
        });
        bytes.flatten().collect::<Vec<u8>>()
    };
    match arch {
        // mov $42, %eax; ret   and   mov 64, %eax; ret
        "x86_64" => [vec![0xb8, 42, 0, 0, 0, 0xc3], vec![0x8b, 0x04, 0x25, 64, 0, 0, 0, 0xc3]],
        // li 3, 42; blr   and   li 4, 64; ld 3, 0(4); blr
        "powerpc64" => [words(&[0x3860_002a, 0x4e80_0020]), words(&[0x3880_0040, 0xe864_0000, 0x4e80_0020])],
        // mov w0, #42; ret   and   mov x1, #64; ldr w0, [x1]; ret
        "aarch64" => [words(&[0x5280_0540, 0xd65f_03c0]), words(&[0xd280_0801, 0xb940_0020, 0xd65f_03c0])],
        other => panic!("there is no code for {other} here"),
    }
}

fn start() -> RemoteExecutor {
    let command = std::env::var("JITLINK_FOREIGN_EXECUTOR").expect("the command that starts an executor");
    let mut words = command.split_whitespace();
    let mut command = Command::new(words.next().expect("a command"));
    RemoteExecutor::start({
        command.args(words);
        command
    })
    .unwrap()
}

/// Runs code as a `main`; what it returns, or why it does not.
fn run(executor: &RemoteExecutor, code: &[u8]) -> Result<i32, String> {
    let segment =
        SegmentRequest { protection: Protection::ReadExecute, residence: Residence::Near, size: 64, align: 16 };
    let request = MemoryRequest { segments: vec![segment], range: AddrRange::ALL };
    let mut reservation = executor.reserve(&request).unwrap();
    let at = reservation.address(0);
    // A big-endian PowerPC of the GNU system knows functions by descriptors: where the code is, its TOC base, an environment.
    let is_described = (executor.architecture(), executor.endian()) == ("powerpc64", Endian::Big);
    let descriptor = [at.0 + 24, 0, 0].map(u64::to_be_bytes).concat();
    let code = if is_described { &[&descriptor[..], code].concat() } else { code };
    reservation.working_memory()[0].bytes[..code.len()].copy_from_slice(code);
    let allocation = reservation.finalize(Vec::new()).unwrap();
    let mut written = vec![0; code.len()];
    allocation.read(at, &mut written).unwrap();
    assert_eq!(written, code);
    // SAFETY: the code is a main of that machine.
    unsafe { executor.run_main(at, &[c"main".into()]) }.map_err(|error| error.to_string())
}

#[test]
#[ignore = "needs an executor for another machine: cargo xtask executor --target T --check"]
fn code_of_another_machine_runs() {
    let executor = start();
    let [returns, crashes] = code(executor.architecture(), executor.endian());
    assert_eq!(run(&executor, &returns), Ok(42));
    let found = executor.lookup(&[b"puts", b"no_such_function"]).unwrap();
    assert!(found[0].is_some_and(|address| address != Addr(0)) && found[1].is_none(), "{found:?}");
    let error = run(&executor, &crashes).unwrap_err();
    assert!(error.contains("signal 11 ended it"), "{error}");
    let crash = executor.crash().unwrap();
    assert_eq!((crash.signal, crash.place), (11, None));
    assert!(crash.registers.iter().any(|(_, value)| *value == 64), "{:?}", crash.registers);
    assert_eq!(executor.ended(), Some(End::Killed(11)));
}

#[test]
#[ignore = "needs an executor for another machine: cargo xtask executor --target T --check"]
fn thread_local_variables_are_that_machines() {
    let executor = start();
    let queries = [
        (ThreadLocalVariable::Own(0), ThreadLocalAccess::Dynamic),
        (ThreadLocalVariable::Own(8), ThreadLocalAccess::Dynamic),
        (ThreadLocalVariable::Own(8), ThreadLocalAccess::Static),
        (ThreadLocalVariable::Named(b"errno"), ThreadLocalAccess::Static),
        (ThreadLocalVariable::Named(b"no_such_variable"), ThreadLocalAccess::Dynamic),
    ];
    let queries = queries.map(|(variable, access)| ThreadLocalQuery { variable, access });
    let request = ThreadLocalRequest { image: &[1, 2, 3], size: 16, align: 16, queries: &queries, layout: None };
    let block = executor.thread_locals(&request).unwrap();
    let answers = block.answers();
    let [Some([module, first]), Some([same, second])] = [answers[0], answers[1]] else { panic!("{answers:?}") };
    assert!(module != 0 && module == same && second.wrapping_sub(first) == 8, "{answers:?}");
    assert!(answers[2].is_some_and(|answer| answer[0] != 0), "{answers:?}");
    assert!(answers[4].is_none(), "{answers:?}");
    drop(block);
    assert_eq!(executor.exit(0), Ok(End::Exited(0)));
}
