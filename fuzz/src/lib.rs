//! What the fuzz targets do with an input. A target is a function from bytes that returns if all is well, and panics where the
//! linker broke a promise; crashes, leaks, endless loops and memory out of proportion are for the fuzzing engine to notice.
//!
//! | module | what the bytes are |
//! | --- | --- |
//! | [`elf`] | an object, for any machine |
//! | [`coff`] | an object of Windows, for any machine |
//! | [`directives`] | what such an object says in words |
//! | [`imports`] | an import library, or a member of one |
//! | [`archive`] | an archive |
//! | [`link`] | a drawn batch of objects and archives with options of a link ([`case`]; [`made`] draws objects) |
//! | [`update`] | a drawn module, and changes of its objects |
//! | [`bpf`] | types, notes on instructions, CO-RE relocations, classic filters, objects to link and run |
//! | [`remote`] | what two sides of an executor in another process say |
//! | [`jitlink_bpf_vm::testing`] | a program for the BPF machine, and what it runs on |
//! | [`oracle`] | no target: what every field must hold |
//! | [`machines`] | no target: relocation tables that give the ELF reader machines to read for |
//! | [`counting`] | no target: counts what is on the heap |

pub mod archive;
pub mod bpf;
pub mod case;
pub mod coff;
pub mod counting;
pub mod directives;
pub mod elf;
pub mod host;
pub mod imports;
pub mod link;
pub mod machines;
pub mod made;
pub mod oracle;
pub mod remote;
pub mod update;
