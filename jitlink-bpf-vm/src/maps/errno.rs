//! Why an operation on a map failed: the kernel's number, and a sentence.
//!
//! Programs see the number, negative, as the result of a helper; the host sees a [`MapError`]. Programs may provoke a
//! failure a million times a second, so the usual ones allocate nothing.

use std::borrow::Cow;
use std::fmt;

/// An error number of Linux, as `errno.h` and the kernel's own `errno.h` (524) define it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Errno(pub i32);

impl Errno {
    /// The map does not allow this access: `EPERM`.
    pub const PERM: Errno = Errno(1);
    /// There is no such element: `ENOENT`.
    pub const NOENT: Errno = Errno(2);
    /// The map is full, or a number is too large: `E2BIG`.
    pub const TOO_BIG: Errno = Errno(7);
    /// The number stands for no object: `EBADF`.
    pub const BADF: Errno = Errno(9);
    /// There is nothing to take: `EAGAIN`.
    pub const AGAIN: Errno = Errno(11);
    /// There is no memory for it, or the host's limit forbids it: `ENOMEM`.
    pub const NOMEM: Errno = Errno(12);
    /// Access is forbidden: `EACCES`.
    pub const ACCES: Errno = Errno(13);
    /// It is held by someone, or done already: `EBUSY`.
    pub const BUSY: Errno = Errno(16);
    /// There is such an element already: `EEXIST`.
    pub const EXIST: Errno = Errno(17);
    /// There is no such device: `ENODEV`.
    pub const NODEV: Errno = Errno(19);
    /// An argument is wrong: `EINVAL`.
    pub const INVAL: Errno = Errno(22);
    /// It does not fit: `ENOSPC`.
    pub const NOSPC: Errno = Errno(28);
    /// A number is outside of what is allowed: `ERANGE`.
    pub const RANGE: Errno = Errno(34);
    /// There are no data: `ENODATA`.
    pub const NODATA: Errno = Errno(61);
    /// A number does not fit: `EOVERFLOW`.
    pub const OVERFLOW: Errno = Errno(75);
    /// The map's type has no such operation: `EOPNOTSUPP`.
    pub const OPNOTSUPP: Errno = Errno(95);
    /// The map's type has no such operation: `ENOTSUPP`, which only the kernel knows.
    pub const NOTSUPP: Errno = Errno(524);

    /// What a helper of the kernel returns for it: the number, negative.
    pub fn to_result(self) -> u64 {
        i64::from(self.0).wrapping_neg().cast_unsigned()
    }

    /// The symbol of the number, if this crate uses it.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Errno::PERM => "EPERM",
            Errno::NOENT => "ENOENT",
            Errno::TOO_BIG => "E2BIG",
            Errno::BADF => "EBADF",
            Errno::AGAIN => "EAGAIN",
            Errno::NOMEM => "ENOMEM",
            Errno::ACCES => "EACCES",
            Errno::BUSY => "EBUSY",
            Errno::EXIST => "EEXIST",
            Errno::NODEV => "ENODEV",
            Errno::INVAL => "EINVAL",
            Errno::NOSPC => "ENOSPC",
            Errno::RANGE => "ERANGE",
            Errno::NODATA => "ENODATA",
            Errno::OVERFLOW => "EOVERFLOW",
            Errno::OPNOTSUPP => "EOPNOTSUPP",
            Errno::NOTSUPP => "ENOTSUPP",
            _ => return None,
        })
    }

    /// The error with this number and a reason.
    pub fn because(self, reason: impl Into<Cow<'static, str>>) -> MapError {
        MapError { errno: self, reason: reason.into() }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An operation on a map failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} ({errno})")]
pub struct MapError {
    /// The number that the kernel gives for it.
    pub errno: Errno,
    /// What was wrong, without a full stop.
    pub reason: Cow<'static, str>,
}

impl MapError {
    /// What a helper of the kernel returns for it: the number, negative.
    pub fn to_result(&self) -> u64 {
        self.errno.to_result()
    }
}

/// The result of a map operation.
pub type MapResult<T = ()> = Result<T, MapError>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_see_negative_numbers_and_hosts_sentences() {
        assert_eq!(Errno::NOTSUPP.to_result(), 0xffff_ffff_ffff_fdf4);
        assert_eq!(Errno::NOENT.because("no such key").to_string(), "no such key (ENOENT)");
        assert_eq!(Errno(5).to_string(), "errno 5");
    }
}
