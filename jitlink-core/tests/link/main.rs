//! The generic linker, driven by a format and a machine that no crate of this repository knows.

mod comdat;
mod far;
mod kit;
mod merge;
mod naive;
mod names;
mod properties;
mod prune;
mod resolve;
mod thunks;
mod unwind;
