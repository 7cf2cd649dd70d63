//! Filters of system calls answer in the machine what they answer in the kernel.
#![cfg(all(target_os = "linux", target_endian = "little"))]

use jitlink_arch_bpf::classic::{Filter, FilterKind, translate};
use jitlink_bpf_vm::context::RawMemory;
use jitlink_bpf_vm::vm::{Vm, VmBuilder};
use jitlink_core::Endian;

/// `SECCOMP_RET_ALLOW` and `SECCOMP_RET_ERRNO` (include/uapi/linux/seccomp.h).
const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;

/// Lets all calls through but `getpgid`, which fails with one more than the low byte of its argument, unless that is 4242.
fn program() -> [Filter; 9] {
    let filter = |code, jt, jf, k| Filter { code, jt, jf, k };
    [
        filter(0x20, 0, 0, 0), // ld [0], the number of the call
        filter(0x15, 0, 6, libc::SYS_getpgid as u32),
        filter(0x20, 0, 0, 16), // ld [16], the low half of the first argument
        filter(0x15, 4, 0, 4242),
        filter(0x54, 0, 0, 0xff),  // and
        filter(0x04, 0, 0, 1),     // add
        filter(0x44, 0, 0, ERRNO), // or
        filter(0x16, 0, 0, 0),     // ret a
        filter(0x06, 0, 0, ALLOW), // ret
    ]
}

fn in_machine(vm: &Vm, call: i64, argument: u64) -> u32 {
    let mut data = [0; 64];
    data[..4].copy_from_slice(&(call as u32).to_le_bytes());
    data[16..24].copy_from_slice(&argument.to_le_bytes());
    vm.run(&vm.programs()[0], &mut RawMemory::new(&data).unwrap()).unwrap() as u32
}

const ARGUMENTS: [u64; 5] = [0, 41, 255, 256 + 7, 4242];

/// The errors of `getpgid` in a child of this process that has the filter; `None` where the kernel does not take one.
fn in_kernel(program: &[Filter]) -> Option<[i32; ARGUMENTS.len()]> {
    let filters: Vec<libc::sock_filter> =
        program.iter().map(|one| libc::sock_filter { code: one.code, jt: one.jt, jf: one.jf, k: one.k }).collect();
    let installed = libc::sock_fprog { len: filters.len() as u16, filter: filters.as_ptr().cast_mut() };
    let mut pipe = [0; 2];
    // SAFETY: there is room for two descriptors.
    assert_eq!(unsafe { libc::pipe(pipe.as_mut_ptr()) }, 0);
    // SAFETY: the child makes system calls alone, and leaves without running anything of this process.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // SAFETY: the kernel copies the filters, which live; the rest are numbers and a buffer of its size.
        unsafe {
            let taken = libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const installed) == 0;
            let mut errors = [0i32; ARGUMENTS.len()];
            for (argument, error) in ARGUMENTS.iter().zip(&mut errors) {
                if libc::syscall(libc::SYS_getpgid, *argument) < 0 {
                    *error = *libc::__errno_location();
                }
            }
            let size = if taken { size_of_val(&errors) } else { 0 };
            libc::write(pipe[1], errors.as_ptr().cast(), size);
            libc::_exit(0);
        }
    }
    let mut errors = [0i32; ARGUMENTS.len()];
    // SAFETY: the descriptors are this function's own, and the buffer is as large as is said.
    let read = unsafe {
        libc::close(pipe[1]);
        let read = libc::read(pipe[0], errors.as_mut_ptr().cast(), size_of_val(&errors));
        libc::close(pipe[0]);
        libc::waitpid(child, std::ptr::null_mut(), 0);
        read
    };
    (read as usize == size_of_val(&errors)).then_some(errors)
}

#[test]
fn filters_answer_what_they_answer_in_the_kernel() {
    let program = program();
    let words = translate(&program, FilterKind::Seccomp).unwrap();
    let vm = VmBuilder::new().build_raw(&words, Endian::NATIVE).unwrap();
    assert_eq!(in_machine(&vm, libc::SYS_getpid, 41), ALLOW);
    let answers = ARGUMENTS.map(|argument| in_machine(&vm, libc::SYS_getpgid, argument));
    assert_eq!(answers, [ERRNO | 1, ERRNO | 42, ERRNO | 256, ERRNO | 8, ALLOW]);
    let Some(errors) = in_kernel(&program) else {
        return println!("skipped: this kernel takes no filter of system calls");
    };
    for (answer, error) in answers.into_iter().zip(errors) {
        match answer {
            // There is no such process, or there is.
            ALLOW => assert!(matches!(error, 0 | libc::ESRCH), "{error}"),
            _ => assert_eq!(error as u32, answer & 0xffff),
        }
    }
}
