//! Calls into linked code, in the order in which a program runs. The "linked" functions are this test's own.

use super::*;
use crate::graph::{InitStage, Initialisers};

static ORDER: Mutex<Vec<i32>> = Mutex::new(Vec::new());

extern "C" fn initialise(count: i32, arguments: *const *const std::ffi::c_char, environment: *const *const u8) {
    // SAFETY: the executor passes arguments as to `main`.
    let second = unsafe { std::ffi::CStr::from_ptr(*arguments.add(1)) };
    assert_eq!((count, second), (2, c"argument"));
    assert!(!environment.is_null());
    ORDER.lock().unwrap().push(1);
}

extern "C" fn finalise() {
    ORDER.lock().unwrap().push(9);
}

extern "C" fn main_like(count: i32, arguments: *const *const std::ffi::c_char) -> i32 {
    // SAFETY: the executor passes arguments that end with null.
    assert!(unsafe { (*arguments.add(count as usize)).is_null() && !(*arguments).is_null() });
    ORDER.lock().unwrap().push(2);
    count + 40
}

unsafe extern "C" fn registered_later(_: *mut std::ffi::c_void) {
    ORDER.lock().unwrap().push(5);
}

unsafe extern "C" {
    fn __cxa_atexit(
        run: unsafe extern "C" fn(*mut std::ffi::c_void),
        argument: *mut std::ffi::c_void,
        handle: *mut std::ffi::c_void,
    ) -> i32;
}

#[test]
fn initialisers_main_and_finalisers_run_in_order() {
    if let Err(output) = alone("calls::initialisers_main_and_finalisers_run_in_order") {
        return assert_success(&output);
    }
    let executor = ProcessExecutor::new().unwrap();
    let array = |functions: &[usize]| functions.iter().flat_map(|function| function.to_ne_bytes()).collect::<Vec<u8>>();
    let functions = array(&[finalise as *const () as usize, 0, initialise as *const () as usize, usize::MAX]);
    let (at, allocation) = link(&executor, &request(&[segment(Protection::ReadWrite, 64)]), &[&functions]);
    let arrays = |offset: u64, stage| PointerArray {
        address: at[0] + offset,
        count: 2,
        order: Initialisers { stage, priority: 0, backwards: stage == InitStage::Init },
    };
    let handle = at[0];
    executor.set_arguments(&[c"program".into(), c"argument".into()]);
    // SAFETY: the arrays hold functions of this test, which are there as long as the process.
    unsafe {
        executor.run_at_exit(handle, &[arrays(0, InitStage::Fini)]).unwrap();
        executor.run_arrays(&[arrays(16, InitStage::Init)]).unwrap();
        assert_eq!(__cxa_atexit(registered_later, std::ptr::null_mut(), handle.0 as *mut _), 0);
        let main = Addr(main_like as *const () as u64);
        assert_eq!(executor.run_main(main, &[]).unwrap(), 42);
        assert_eq!(executor.run_main(main, &[c"only".into()]).unwrap(), 41);
        executor.set_arguments(&[]);
        assert_eq!(executor.run_main(main, &[]).unwrap(), 41);
        assert_eq!(exit::waiting(), 1);
        executor.run_exit_handlers(handle).unwrap();
        executor.run_exit_handlers(handle).unwrap();
    }
    drop(allocation);
    assert_eq!(*ORDER.lock().unwrap(), [1, 2, 2, 2, 5, 9]);
    assert_eq!(exit::waiting(), 0);
}

#[test]
fn finalisers_run_at_the_end_of_the_process() {
    extern "C" fn say() {
        // SAFETY: writes a few bytes to standard error.
        unsafe { libc::write(2, b"finalised".as_ptr().cast(), 9) };
    }
    unsafe extern "C" fn say_first(_: *mut std::ffi::c_void) {
        // SAFETY: as above.
        unsafe { libc::write(2, b"handler, ".as_ptr().cast(), 9) };
    }
    if let Err(output) = alone("calls::finalisers_run_at_the_end_of_the_process") {
        assert_eq!(output.status.code(), Some(3));
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("handler, finalised"), "{text}");
        return;
    }
    let executor = ProcessExecutor::new().unwrap();
    let functions = (say as *const () as usize).to_ne_bytes();
    let (at, allocation) = link(&executor, &request(&[segment(Protection::ReadWrite, 64)]), &[&functions]);
    std::mem::forget(allocation);
    let order = Initialisers { stage: InitStage::Fini, priority: 0, backwards: false };
    // SAFETY: the array holds a function of this test.
    unsafe {
        executor.run_at_exit(at[0], &[PointerArray { address: at[0], count: 1, order }]).unwrap();
        assert_eq!(__cxa_atexit(say_first, std::ptr::null_mut(), at[0].0 as *mut _), 0);
    }
    std::process::exit(3);
}

/// `struct _Unwind_Exception` of the Itanium C++ ABI, section 1.2.1.
#[repr(C, align(16))]
struct Exception([usize; 8]);

/// Throws what nobody catches; what the unwinder says about that.
unsafe extern "C-unwind" fn throw() -> i32 {
    type Raise = unsafe extern "C-unwind" fn(*mut Exception) -> i32;
    let raise = symbols::find(c"_Unwind_RaiseException").unwrap();
    let mut exception = Exception([0; 8]);
    // SAFETY: a function of that name takes an exception whose class it does not look at.
    unsafe { std::mem::transmute::<usize, Raise>(raise.0 as usize)(&mut exception) }
}

#[test]
fn an_exception_that_nobody_catches_ends_where_it_is_thrown() {
    let executor = ProcessExecutor::new().unwrap();
    // SAFETY: the function may be called like a `main`; it ignores the arguments.
    let result = unsafe { executor.run_main(Addr(throw as *const () as u64), &[]) };
    // _URC_FATAL_PHASE1_ERROR: the search failed, and nothing was unwound. `throw` calls std::terminate then.
    assert_eq!(result, Ok(3));
}

#[test]
fn modules_without_finalisers_end_too() {
    let executor = ProcessExecutor::new().unwrap();
    // SAFETY: nothing is registered for these handles.
    unsafe {
        executor.run_exit_handlers(Addr(0x1234)).unwrap();
        executor.run_exit_handlers(Addr(0)).unwrap();
    }
}

unsafe extern "C" fn note() {
    ORDER.lock().unwrap().push(7);
}

#[test]
fn plain_exit_handlers_belong_to_the_module_of_their_function() {
    if let Err(output) = alone("calls::plain_exit_handlers_belong_to_the_module_of_their_function") {
        return assert_success(&output);
    }
    let executor = ProcessExecutor::new().unwrap();
    let services = executor.lookup(&[b"atexit", b"at_quick_exit", b"pthread_atfork"]).unwrap();
    let at = |index: usize| services[index].unwrap().0 as usize;
    let describe = |start: Addr, handle: u64| {
        let description = Description { segments: vec![(start, 1)], handle: Addr(handle), ..Description::default() };
        executor.reserve(&three(16)).unwrap().finalize(vec![Action::Describe(description)]).unwrap()
    };
    let function = note as *const () as usize;
    let module = describe(Addr(function as u64), 0x5678);
    type Register = extern "C" fn(usize) -> i32;
    type AtFork = extern "C" fn(usize, usize, usize) -> i32;
    // SAFETY: the services have the types of the C functions of their names; `note` is sound to call at any time.
    unsafe {
        assert_eq!(std::mem::transmute::<usize, Register>(at(0))(function), 0);
        assert_eq!(std::mem::transmute::<usize, Register>(at(1))(function), 0);
        assert_eq!(std::mem::transmute::<usize, AtFork>(at(2))(0, function, 0), 0);
        let child = libc::fork();
        if child == 0 {
            libc::_exit(0);
        }
        assert_eq!(libc::waitpid(child, std::ptr::null_mut(), 0), child);
        assert_eq!(*ORDER.lock().unwrap(), [7]);
        executor.run_exit_handlers(Addr(0x9999)).unwrap();
        assert_eq!(*ORDER.lock().unwrap(), [7]);
        executor.run_exit_handlers(Addr(0x5678)).unwrap();
        assert_eq!(*ORDER.lock().unwrap(), [7, 7]);
        // Nothing of the module is left: neither at fork, nor at exit.
        let child = libc::fork();
        if child == 0 {
            libc::_exit(0);
        }
        libc::waitpid(child, std::ptr::null_mut(), 0);
        executor.run_exit_handlers(Addr(0x5678)).unwrap();
    }
    assert_eq!(*ORDER.lock().unwrap(), [7, 7]);
    drop(module);
}
