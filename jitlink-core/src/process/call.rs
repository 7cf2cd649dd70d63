//! Calls into linked code: `main`, initialisers and finalisers, with the arguments and the environment that a C program expects.

use crate::addr::Addr;
use crate::executor::PointerArray;
use crate::graph::InitStage;
use std::ffi::{CString, c_char, c_int};
use std::os::unix::ffi::OsStringExt;
use std::sync::atomic::AtomicPtr;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
        // SAFETY: the caller promises that the array holds functions that are sound to run; each stage has its type.
        unsafe {
            match array.order.stage {
                InitStage::Fini => std::mem::transmute::<usize, Finaliser>(function)(),
                InitStage::Preinit | InitStage::Init => {
                    let initialiser = std::mem::transmute::<usize, Initialiser>(function);
                    initialiser(arguments.count(), arguments.vector(), environ);
                }
            }
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
        let main = std::mem::transmute::<usize, Main>(entry.0 as usize);
        main(arguments.count(), arguments.vector(), environ)
    }
}
