//! What the tests of the generic linker are made of: an object format, a machine, and a look into what was linked.
//!
//! Everything here uses the public interface alone, as a backend outside this repository does.
#![allow(dead_code, reason = "each test program uses its part")]
#![allow(unused_imports, reason = "each test program uses its part")]
#![allow(unreachable_pub, reason = "shared between test programs, which export nothing")]

pub mod arch;
pub mod format;
pub mod host;
pub mod image;
pub mod machine;
pub mod text;

pub use image::{Image, executor, executor_at, exported, inputs, link_err, link_ok, link_with, roots, try_link};
pub use machine::Event;
