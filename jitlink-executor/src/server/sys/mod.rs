//! What differs between systems, in one module for each, with the same items in both.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(super) use unix::*;
#[cfg(unix)]
pub use unix::{Listener, listen};
#[cfg(windows)]
pub(super) use windows::*;
