//! The generic linker, driven by a format and a machine that no crate of this repository knows.

mod archives;
mod comdat;
mod fallbacks;
mod far;
mod indirect;
mod kit;
mod large;
mod layout;
mod lower;
mod merge;
mod naive;
mod names;
mod observe;
mod passes;
mod properties;
mod prune;
mod relocatable;
mod resolve;
mod rows;
mod runs;
mod split;
mod supplied;
mod thunks;
mod unwind;
mod update;
mod whole;
