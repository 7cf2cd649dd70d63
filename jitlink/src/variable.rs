//! Variables of linked code with their types.
//!
//! A reference claims that nobody changes what it refers to, or that nobody else sees it. Of a variable that linked code changes neither is true,
//! so what a handle gives is a pointer; a reference only for types that are made to be shared with those who change them.

use crate::error::SymbolError;
use crate::library::Library;
use crate::module::Module;
use crate::symbol::SymbolHandle;
use jitlink_core::Addr;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::atomic::{
    AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicIsize, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicUsize,
};
#[cfg(target_has_atomic = "64")]
use std::sync::atomic::{AtomicI64, AtomicU64};

/// A variable of linked code with its type. Its module stays linked while the handle is held.
///
/// ```
/// # #[cfg(all(feature = "elf", feature = "x86", feature = "in-process", target_arch = "x86_64", target_os = "linux"))]
/// # {
/// # use jitlink::{Input, LinkOptions, Session};
/// use std::sync::atomic::{AtomicI32, Ordering};
///
/// # let session = Session::in_process()?;
/// # let module = session.link(&[Input::open("tests/fixtures/answer-1.o")?], &LinkOptions::default())?;
/// // SAFETY: the object was compiled from `int calls;` and `int answer(int)`, which counts its calls there.
/// let calls = unsafe { module.variable::<AtomicI32>("calls") }?;
/// let answer = unsafe { module.function::<extern "C" fn(i32) -> i32>("answer") }?;
/// answer.call(4);
/// assert_eq!(calls.load(Ordering::Relaxed), 1);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A variable of a type that is not [`SharedData`] is read and written through its pointer:
///
/// ```compile_fail,E0614
/// # fn read(calls: jitlink::Variable<i32>) {
/// let calls: i32 = *calls;
/// # }
/// ```
///
/// In an [update](Module::update) of its module a variable keeps its place and its value. A constant that changes is placed anew:
/// the handle keeps the one that it has.
pub struct Variable<T> {
    handle: SymbolHandle,
    /// Something of type `T` may be stored there and read by others, so that no other type will do.
    marker: PhantomData<fn(T) -> T>,
}

impl<T> Variable<T> {
    fn new(name: &str, handle: SymbolHandle) -> Result<Variable<T>, SymbolError> {
        handle.data(name, size_of::<T>() as u64, align_of::<T>() as u64)?;
        Ok(Variable { handle, marker: PhantomData })
    }

    /// Where it is. The pointer is aligned for `T`, and valid while the handle is held; for reading alone if the variable is a constant.
    pub fn as_ptr(&self) -> *mut T {
        std::ptr::with_exposed_provenance_mut(self.handle.address().0 as usize)
    }

    /// Its address.
    pub fn address(&self) -> Addr {
        self.handle.address()
    }
}

impl<T: SharedData> Deref for Variable<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the handle keeps the memory, whose size and alignment were checked. Whoever asked for the variable vouches that a
        // `T` is there, and that linked code changes it only as `T` lets others do.
        unsafe { &*self.as_ptr() }
    }
}

impl<T> Clone for Variable<T> {
    fn clone(&self) -> Self {
        Variable { handle: self.handle.clone(), marker: PhantomData }
    }
}

impl<T> fmt::Debug for Variable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let type_name = std::any::type_name::<T>();
        f.debug_struct("Variable").field("type", &type_name).field("symbol", &self.handle).finish()
    }
}

impl Module {
    /// A variable that this module defines for others. The module cannot be removed while the handle is held.
    ///
    /// # Errors
    /// The module defines no such name for others, it is a function, a thread-local variable or an absolute number, or
    /// has another size or alignment than `T`. See [`SymbolError`].
    ///
    /// # Safety
    /// The variable is a `T`, and stays one in [updates](Module::update). If `T` is [`SharedData`], it is not a constant, and what
    /// linked code and this program do with it at the same time is what `T` lets several threads do: for an atomic, linked
    /// code uses atomic operations while other threads use it.
    pub unsafe fn variable<T>(&self, name: &str) -> Result<Variable<T>, SymbolError> {
        Variable::new(name, self.symbol(name)?)
    }
}

impl Library {
    /// A variable that this library or those that it searches define. Its module cannot be removed while the handle is held.
    ///
    /// # Errors
    /// As for [`Module::variable`].
    ///
    /// # Safety
    /// As for [`Module::variable`].
    pub unsafe fn variable<T>(&self, name: &str) -> Result<Variable<T>, SymbolError> {
        Variable::new(name, self.symbol(name)?)
    }
}

/// Types whose values others may change while there are references to them: atomics, and what is made of them.
///
/// # Safety
/// All that is in the type, but its padding, may change at any time while a reference to it exists: it is inside atomics or
/// [`UnsafeCell`](std::cell::UnsafeCell)s.
pub unsafe trait SharedData: Sync {}

macro_rules! shared_data {
    ($($atomic:ty)*) => {
        $(
            // SAFETY: an atomic is an `UnsafeCell` and nothing else.
            unsafe impl SharedData for $atomic {}
        )*
    };
}

shared_data! {
    AtomicBool AtomicI8 AtomicI16 AtomicI32 AtomicIsize AtomicU8 AtomicU16 AtomicU32 AtomicUsize
}

#[cfg(target_has_atomic = "64")]
shared_data! { AtomicI64 AtomicU64 }

// SAFETY: an atomic is an `UnsafeCell` and nothing else.
unsafe impl<T> SharedData for AtomicPtr<T> {}

// SAFETY: all of an array is in its elements.
unsafe impl<T: SharedData, const N: usize> SharedData for [T; N] {}
