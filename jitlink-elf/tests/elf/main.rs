//! The reader against objects made by the tests, by compilers, and by chance.

mod builder;
mod toy;

mod basics;
mod compilers;
mod compressed;
mod debug;
mod fixtures;
mod groups;
mod headers;
mod relocations;
mod sections;
mod symbols;
mod write;
