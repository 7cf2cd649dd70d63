//! Calls into linked code: `main`, initialisers and finalisers, with the arguments and the environment that a C program expects.
//!
//! # Exceptions that nobody catches
//! In a program of its own, `main` is the last frame that an unwinder finds, so `throw` without a handler calls `std::terminate` at
//! once, with the stack as it was. Here this program's frames lie below, which would let the exception through to the Rust run-time
//! library, after destructors have run. So the calls stand in frames that end the search ([`call`]).

use crate::addr::Addr;
use crate::executor::PointerArray;
use crate::graph::InitStage;
use std::ffi::{CString, c_char, c_int};
use std::os::unix::ffi::OsStringExt;
use std::sync::atomic::AtomicPtr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A function of linked code, with its type.
#[derive(Clone, Copy)]
enum Function {
    Main(Main),
    Initialiser(Initialiser),
    Finaliser(Finaliser),
}

type Main = unsafe extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char) -> c_int;
type Initialiser = unsafe extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char);
type Finaliser = unsafe extern "C" fn();

unsafe extern "C" {
    static mut environ: *mut *mut c_char;
}

/// `argv`, as a program sees it. It may keep pointers into it for as long as the process lives, even in what it runs at exit, and may
/// change it; so it is made once for each run and never freed.
#[derive(Clone, Copy)]
struct Arguments(&'static [AtomicPtr<c_char>]);

/// The arguments of the program that runs now.
struct Current {
    given: Vec<CString>,
    made: Option<Arguments>,
    /// `main` has had them.
    used: bool,
}

static CURRENT: Mutex<Current> = Mutex::new(Current { given: Vec::new(), made: None, used: false });

fn current() -> MutexGuard<'static, Current> {
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Current {
    fn set(&mut self, arguments: &[CString]) {
        *self = Current { given: arguments.to_vec(), made: None, used: false };
    }

    fn arguments(&mut self) -> Arguments {
        if let Some(made) = self.made {
            return made;
        }
        if self.given.is_empty() {
            self.given.push(program_name());
        }
        let strings = self.given.iter().map(|argument| AtomicPtr::new(argument.clone().into_raw()));
        let all: Vec<AtomicPtr<c_char>> = strings.chain([AtomicPtr::default()]).collect();
        *self.made.insert(Arguments(all.leak()))
    }
}

impl Arguments {
    fn count(self) -> c_int {
        c_int::try_from(self.0.len() - 1).unwrap_or(c_int::MAX)
    }

    fn vector(self) -> *mut *mut c_char {
        // An atomic pointer has the layout of a pointer, and may be written through a shared reference.
        self.0.as_ptr().cast_mut().cast()
    }
}

/// What a program without arguments is called: as this one.
fn program_name() -> CString {
    let name = std::env::args_os().next().unwrap_or_else(|| "jitlink".into());
    CString::new(name.into_vec()).unwrap_or_default()
}

/// Sets the arguments for initialisers and for the next `main`. Empty means: the name of this program alone.
pub(super) fn set_arguments(arguments: &[CString]) {
    current().set(arguments);
}

/// Runs one array of function pointers.
///
/// # Safety
/// As for [`crate::Executor::run_arrays`].
pub(super) unsafe fn run_array(array: &PointerArray) {
    let arguments = current().arguments();
    let at = |index: u64| (array.address + index * size_of::<usize>() as u64).0 as *const usize;
    for step in 0..array.count {
        let index = if array.order.backwards { array.count - 1 - step } else { step };
        // SAFETY: the caller promises an array of that many pointers.
        let function = unsafe { at(index).read_unaligned() };
        // Zero and minus one end or pad such arrays, and mean no function.
        if function == 0 || function == usize::MAX {
            continue;
        }
        // SAFETY: the caller promises that the array holds functions of its stage's type that are sound to run.
        unsafe {
            let function = match array.order.stage {
                InitStage::Threads => continue,
                InitStage::Fini => Function::Finaliser(std::mem::transmute::<usize, Finaliser>(function)),
                InitStage::Preinit | InitStage::Init => {
                    Function::Initialiser(std::mem::transmute::<usize, Initialiser>(function))
                }
            };
            call(&function, arguments.count(), arguments.vector());
        }
    }
}

/// Calls `main` with these arguments, or with those set before if there are none.
///
/// # Safety
/// As for [`crate::Executor::run_main`].
pub(super) unsafe fn run_main(entry: Addr, arguments: &[CString]) -> i32 {
    let arguments = {
        let mut current = current();
        // A second run gets fresh copies, because the first may have changed its own.
        let same = arguments.is_empty() || arguments == current.given;
        if !same {
            current.set(arguments);
        } else if current.used {
            let given = std::mem::take(&mut current.given);
            current.set(&given);
        }
        current.used = true;
        current.arguments()
    };
    // SAFETY: the caller promises that this is the address of a function of this type that is sound to call.
    unsafe {
        let main = Function::Main(std::mem::transmute::<usize, Main>(entry.0 as usize));
        call(&main, arguments.count(), arguments.vector())
    }
}

/// Calls a function of linked code in a frame that ends an unwinder's search; what `main` returns, or zero.
///
/// A function with something to clean up has a table that says for its calls where they continue when they unwind. [`enter`] cannot
/// unwind and so is not in the table, and for a call that is missing there the run-time library tells the unwinder that the
/// search has failed, upon which `throw` calls `std::terminate`. The compiler writes entries for ranges of code: those before and
/// after, which clean up different things, keep `enter` out of a range. Should a compiler do otherwise, an exception is
/// reported in other words; a test notices.
///
/// # Safety
/// The function is sound to call with these arguments.
#[inline(never)]
unsafe fn call(function: &Function, count: c_int, vector: *mut *mut c_char) -> c_int {
    let _before = Cleanup::<0>;
    may_unwind();
    // SAFETY: the caller promises that the function is sound to call.
    let result = unsafe { enter(function, count, vector) };
    let _after = Cleanup::<1>;
    may_unwind();
    result
}

/// The call itself, in a function that is known by name not to unwind: of a call through a pointer the compiler forgets it.
#[inline(never)]
unsafe extern "C" fn enter(function: &Function, count: c_int, vector: *mut *mut c_char) -> c_int {
    // SAFETY: the caller promises that the function is sound to call; the environment is the C library's.
    unsafe {
        match *function {
            Function::Main(main) => return main(count, vector, environ),
            Function::Initialiser(initialiser) => initialiser(count, vector, environ),
            Function::Finaliser(finaliser) => finaliser(),
        }
    }
    0
}

/// Something to clean up.
struct Cleanup<const KIND: u8>;

impl<const KIND: u8> Drop for Cleanup<KIND> {
    #[inline(never)]
    fn drop(&mut self) {
        std::hint::black_box(KIND);
    }
}

/// A call that may unwind, as far as the compiler knows.
#[inline(always)]
fn may_unwind() {
    fn nothing() {}
    std::hint::black_box(nothing as fn())();
}
