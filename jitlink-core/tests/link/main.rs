//! The generic linker, driven by a format and a machine that no crate of this repository knows.

mod kit;
mod comdat;
mod names;
mod prune;
mod resolve;
