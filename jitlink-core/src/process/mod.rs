//! The executor of this process.
