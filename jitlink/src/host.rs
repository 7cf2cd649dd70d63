//! What a program gives to the code that it links, and what it does when that code calls it.
//!
//! Linked code knows an address. Who gives one must say what it is the address of, so that a function with another calling
//! convention, or a variable of a stack frame, is refused by the compiler; and somebody must keep what is there as long as code that
//! may use it. So a [`HostItem`] is made only of what lives as long as the program, or of an [`Arc`], a part of which each module holds
//! that is linked to it.

use crate::sync::Arc;
use jitlink_core::Addr;
use std::any::{Any, type_name};
use std::fmt;
use std::panic::{UnwindSafe, catch_unwind};

/// What a module holds because it refers to it.
pub(crate) type Kept = Arc<dyn Any + Send + Sync>;

/// Something of this program that linked code uses: what [`Session::define`](crate::Session::define) takes.
///
/// | made from | linked code has | how long |
/// | --- | --- | --- |
/// | `extern "C" fn(i32) -> i32` and the other [types of functions](crate::FunctionType) | a function of that type | as long as the program |
/// | `&'static T` | a variable of type `T` | as long as the program |
/// | `Arc<T>` | a variable of type `T`, without the counts | until the name is taken back and no module is linked that refers to it |
/// | [`Addr`] | whatever is there, in the memory that the executor links to | whoever gives it sees to that |
///
/// A function has to be written with its type, `visit as extern "C" fn(i64)`: the compiler then checks that it has it. What linked
/// code makes of a name is its own affair: whoever runs it vouches that its declarations are these types. Data that linked code changes
/// must be of a type that Rust lets change where it is shared, such as an atomic or an `UnsafeCell`.
#[derive(Clone)]
pub struct HostItem {
    address: Addr,
    type_name: &'static str,
    kept: Option<Kept>,
    is_of_this_process: bool,
}

impl HostItem {
    /// A function of this process.
    pub(crate) fn function<F>(code: *const ()) -> HostItem {
        HostItem::here::<F>(code, None)
    }

    fn here<T>(address: *const (), kept: Option<Kept>) -> HostItem {
        // Linked code finds it by its address alone.
        let address = Addr(address.expose_provenance() as u64);
        HostItem { address, type_name: type_name::<T>(), kept, is_of_this_process: true }
    }

    /// Where it is.
    pub fn address(&self) -> Addr {
        self.address
    }

    /// The Rust type of what is there, for people.
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }

    pub(crate) fn is_of_this_process(&self) -> bool {
        self.is_of_this_process
    }

    pub(crate) fn into_kept(self) -> Option<Kept> {
        self.kept
    }
}

impl From<Addr> for HostItem {
    fn from(address: Addr) -> HostItem {
        HostItem { address, type_name: "an address", kept: None, is_of_this_process: false }
    }
}

impl<T: Sync> From<&'static T> for HostItem {
    fn from(data: &'static T) -> HostItem {
        HostItem::here::<T>(std::ptr::from_ref(data).cast(), None)
    }
}

impl<T: Send + Sync + 'static> From<Arc<T>> for HostItem {
    fn from(data: Arc<T>) -> HostItem {
        HostItem::here::<T>(Arc::as_ptr(&data).cast(), Some(data))
    }
}

impl fmt::Debug for HostItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostItem").field("address", &self.address).field("type", &self.type_name).finish()
    }
}

/// Runs what a function does that linked code calls, and makes a panic the value of `instead`, which is given what was panicked with.
///
/// A panic cannot leave an `extern "C"` function: the process aborts. This lets the program choose what its caller gets instead, and what
/// becomes of the panic: it may be dropped, reported, or kept for after the linked function has returned, where
/// [`resume_unwind`](std::panic::resume_unwind) goes on with it. A panic in `instead` is not contained. Where panics abort
/// (`panic = "abort"`) there is nothing to contain.
///
/// An exception of C++ that gets here from a function that `run` calls is not a panic: Rust aborts the process, so that it goes no
/// further. Catch exceptions in C++.
///
/// ```
/// use jitlink::contain;
///
/// extern "C" fn parse_digit(character: u8) -> i32 {
///     contain(|| (character as char).to_digit(10).expect("a digit") as i32, |_panic| -1)
/// }
///
/// assert_eq!((parse_digit(b'7'), parse_digit(b'x')), (7, -1));
/// ```
pub fn contain<R>(run: impl FnOnce() -> R + UnwindSafe, instead: impl FnOnce(Box<dyn Any + Send>) -> R) -> R {
    catch_unwind(run).unwrap_or_else(instead)
}
