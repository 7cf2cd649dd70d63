//! The generic linker, driven by a format and a machine that no crate of this repository knows.

mod comdat;
mod kit;
mod merge;
mod names;
mod prune;
mod resolve;
mod unwind;
