//! Functions of linked code with their types.
//!
//! An address has no type, and outlives what is at it. The type is what whoever asks for the function vouches for, once; from then on
//! the compiler checks every call. That the code is still there is checked by the handle: it keeps the module linked, and never gives
//! away the function pointer, which could be copied and called when the handle is gone: it makes the calls itself.

use crate::error::SymbolError;
use crate::host::HostItem;
use crate::library::Library;
use crate::module::Module;
use crate::symbol::SymbolHandle;
use jitlink_core::Addr;
use sealed::Callable;
use std::fmt;
use std::mem::transmute;

/// A function of linked code with its type. Its module stays linked while the handle is held.
///
/// It is called with `call`, which takes the function's own arguments:
///
/// ```
/// # #[cfg(all(feature = "elf", feature = "x86", feature = "in-process", target_arch = "x86_64", target_os = "linux"))]
/// # {
/// # use jitlink::{Input, LinkOptions, Session};
/// # let session = Session::in_process()?;
/// # let module = session.link(&[Input::open("tests/fixtures/add.o")?], &LinkOptions::default())?;
/// // SAFETY: add.o was compiled from `int add(int, int)`.
/// let add = unsafe { module.function::<extern "C" fn(i32, i32) -> i32>("add") }?;
/// assert_eq!(add.call(2, 3), 5);
/// assert!(module.remove().is_err(), "the handle keeps it");
/// drop(add);
/// module.remove()?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// With an `unsafe extern "C" fn` type `call` is unsafe in turn, which is right for functions that trust their arguments, such as
/// those that take pointers. A function with further arguments (`...`) is called through [`Function::pointer`].
///
/// Safe code cannot call the function without the handle. The pointer cannot be copied out of it:
///
/// ```compile_fail,E0614
/// # fn outlive(add: jitlink::Function<extern "C" fn(i32, i32) -> i32>) {
/// let copied: extern "C" fn(i32, i32) -> i32 = *add;
/// # }
/// ```
///
/// and what holds the handle holds the module:
///
/// ```compile_fail,E0505
/// # fn outlive(add: jitlink::Function<extern "C" fn(i32, i32) -> i32>) {
/// let sum = || add.call(2, 3);
/// drop(add);
/// sum();
/// # }
/// ```
///
/// An [update](Module::update) of its module gives it the new code from then on, if it is a function by its symbol's type, as those of
/// compilers are. If an update removes the function, or moves code that only a label names, the handle keeps the code
/// that it has. It stays when the session ends, and the module then ends with the last handle.
pub struct Function<F> {
    handle: SymbolHandle,
    pointer: F,
}

impl<F: FunctionType> Function<F> {
    /// # Safety
    /// As for [`Module::function`].
    unsafe fn new(name: &str, handle: SymbolHandle) -> Result<Function<F>, SymbolError> {
        let code = handle.code(name)?;
        // SAFETY: there is a function of the module's at this address, with this type as the caller promises.
        let pointer = unsafe { F::at(code) };
        Ok(Function { handle, pointer })
    }

    /// Its address.
    pub fn address(&self) -> Addr {
        self.handle.address()
    }

    /// The pointer itself, to be given to other code, such as a linked function that calls it back.
    ///
    /// # Safety
    /// It is not used when the module may be gone: when this handle and its clones are, unless something else keeps the module.
    pub unsafe fn pointer(&self) -> F {
        self.pointer
    }
}

impl<F: FunctionType> Clone for Function<F> {
    fn clone(&self) -> Self {
        Function { handle: self.handle.clone(), pointer: self.pointer }
    }
}

impl<F> fmt::Debug for Function<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let type_name = std::any::type_name::<F>();
        f.debug_struct("Function").field("type", &type_name).field("symbol", &self.handle).finish()
    }
}

impl Module {
    /// A function that this module defines for others. The module cannot be removed while the handle is held.
    ///
    /// # Errors
    /// The module defines no such name for others, or it is not code: data, a thread-local variable, an absolute number. See
    /// [`SymbolError`].
    ///
    /// # Safety
    /// The function has the type `F`: its parameters, its result and its calling convention, today and after
    /// [updates](Module::update). The module's code is sound to run, and was [initialised](Module::initialise) if it has initialisers.
    /// If `F` is not an `unsafe` type, it is sound to call the function with any values of its parameters' types, at any time and from
    /// any thread, and what it returns is valid for its type, even when the module is gone.
    ///
    /// What unwinds leaves the function only if `F` has an ABI that says so, such as `"C-unwind"`; from any other one, an exception or
    /// a panic that leaves it is undefined behaviour. With such an ABI:
    ///
    /// - an exception of C++ passes through frames of Rust, whose values are dropped, to a handler in linked code further up;
    /// - a panic of this program passes through linked code, whose cleanups run and whose `catch (...)` must throw it again, to a
    ///   `catch_unwind` of the same program further up;
    /// - an exception that nobody catches, that gets to `catch_unwind` or [`contain`](crate::contain), or to the end of an
    ///   `extern "C"` function of Rust, ends the process.
    ///
    /// Linked code must have been compiled with unwind tables and for exceptions (`-fexceptions`, which C++ has by default) where
    /// either passes through it. `longjmp` over frames of Rust that have something to drop is undefined behaviour.
    pub unsafe fn function<F: FunctionType>(&self, name: &str) -> Result<Function<F>, SymbolError> {
        // SAFETY: as this function's caller promises.
        unsafe { Function::new(name, self.symbol(name)?) }
    }
}

impl Library {
    /// A function that this library or those that it searches define. Its module cannot be removed while the handle is held.
    ///
    /// # Errors
    /// As for [`Module::function`].
    ///
    /// # Safety
    /// As for [`Module::function`].
    pub unsafe fn function<F: FunctionType>(&self, name: &str) -> Result<Function<F>, SymbolError> {
        // SAFETY: as this function's caller promises.
        unsafe { Function::new(name, self.symbol(name)?) }
    }
}

/// The types that functions of linked code have, and those that a program gives to it: `extern "C" fn(i32) -> i32`.
///
/// The calling convention is `"C"`, `"C-unwind"`, and on x86-64 `"sysv64"`, `"sysv64-unwind"`, `"win64"` and `"win64-unwind"`. There are up
/// to twelve parameters. The function may be `unsafe`; an unsafe one of C may have further arguments (`...`). Parameters are
/// pointers, not references: a reference is of a lifetime that each call chooses, and such types cannot be listed.
///
/// Other types are refused by the compiler: those of Rust's own calling convention, which is no agreement with anybody,
///
/// ```compile_fail,E0277
/// # fn ask(module: &jitlink::Module) {
/// let add = unsafe { module.function::<fn(i32, i32) -> i32>("add") };
/// # }
/// ```
///
/// and those that are no functions:
///
/// ```compile_fail,E0277
/// # fn ask(module: &jitlink::Module) {
/// let add = unsafe { module.function::<usize>("add") };
/// # }
/// ```
///
/// The compiler checks what functions of the program are given as:
///
/// ```compile_fail,E0605
/// # fn give(session: &jitlink::Session) {
/// extern "C" fn visit(_value: i64) {}
/// session.define("visit", visit as extern "C" fn(i32));
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a type that functions of linked code have",
    label = "not a function with a calling convention of C",
    note = "such a type is `extern \"C\" fn(i32, *const u8) -> i32`, with at most twelve parameters, none of them a reference of \
            a call's own lifetime"
)]
pub trait FunctionType: Callable {}

mod sealed {
    /// A pointer to a function.
    pub trait Callable: Copy {
        /// # Safety
        /// There is a function of this type at the address.
        unsafe fn at(code: *const ()) -> Self;
    }
}

/// Makes a type one of functions.
macro_rules! function_type {
    ($function:ty, $($parameter:ident)*) => {
        #[doc(hidden)]
        impl<$($parameter),*> FunctionType for $function {}

        #[doc(hidden)]
        impl<$($parameter),*> Callable for $function {
            unsafe fn at(code: *const ()) -> Self {
                // SAFETY: the caller promises that a function of this type is there, and such pointers are addresses of code.
                unsafe { transmute::<*const (), Self>(code) }
            }
        }

        #[doc(hidden)]
        impl<$($parameter),*> From<$function> for HostItem {
            fn from(function: $function) -> HostItem {
                HostItem::function::<$function>(function as *const ())
            }
        }
    };
}

/// Makes the types of one calling convention types of functions, from twelve parameters down to none.
macro_rules! calling_convention {
    ($abi:literal) => {
        calling_convention! { $abi, A a B b C c D d E e F f G g H h I i J j K k L l }
    };
    ($abi:literal,) => {
        calling_convention! { @types $abi, }
    };
    ($abi:literal, $first:ident $argument:ident $($rest:ident)*) => {
        calling_convention! { @types $abi, $first $argument $($rest)* }
        calling_convention! { $abi, $($rest)* }
    };
    (@types $abi:literal, $($parameter:ident $argument:ident)*) => {
        function_type! { extern $abi fn($($parameter),*) -> Output, Output $($parameter)* }
        function_type! { unsafe extern $abi fn($($parameter),*) -> Output, Output $($parameter)* }

        #[doc(hidden)]
        impl<Output, $($parameter),*> Function<extern $abi fn($($parameter),*) -> Output> {
            /// Calls the function.
            #[allow(clippy::too_many_arguments, reason = "it takes what the function takes")]
            #[inline]
            pub fn call(&self, $($argument: $parameter),*) -> Output {
                (self.pointer)($($argument),*)
            }
        }

        #[doc(hidden)]
        impl<Output, $($parameter),*> Function<unsafe extern $abi fn($($parameter),*) -> Output> {
            /// Calls the function.
            ///
            /// # Safety
            /// What the function asks of its arguments and of when it is called.
            #[allow(clippy::too_many_arguments, reason = "it takes what the function takes")]
            #[inline]
            pub unsafe fn call(&self, $($argument: $parameter),*) -> Output {
                // SAFETY: the handle keeps the function; the rest is as this function's caller promises.
                unsafe { (self.pointer)($($argument),*) }
            }
        }
    };
}

/// Makes types with further arguments types of functions.
macro_rules! further_arguments {
    () => {};
    ($first:ident $($rest:ident)*) => {
        function_type! { unsafe extern "C" fn($first, $($rest,)* ...) -> Output, Output $first $($rest)* }
        further_arguments! { $($rest)* }
    };
}

calling_convention!("C");
calling_convention!("C-unwind");
#[cfg(target_arch = "x86_64")]
calling_convention!("sysv64");
#[cfg(target_arch = "x86_64")]
calling_convention!("sysv64-unwind");
#[cfg(target_arch = "x86_64")]
calling_convention!("win64");
#[cfg(target_arch = "x86_64")]
calling_convention!("win64-unwind");
further_arguments!(A B C D E F G H I J K L);
