//! What the fuzz targets do with an input. A target is a function from bytes that returns if all is well, and panics where the
//! linker broke a promise; crashes, leaks, endless loops and memory out of proportion are for the fuzzing engine to notice.
//!
//! | module | what the bytes are |
//! | --- | --- |
//! | [`elf`] | an object, for any machine |
//! | [`archive`] | an archive |
//! | [`machines`] | no target: relocation tables that give the ELF reader machines to read for |

pub mod archive;
pub mod elf;
pub mod machines;
