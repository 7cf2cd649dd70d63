//! Linking of BPF objects, to an image and to one object.

mod bpftool;
mod compilers;
mod kit;
mod objects;
mod one_object;
mod refused;
mod tables;
