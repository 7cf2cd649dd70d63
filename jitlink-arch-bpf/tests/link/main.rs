//! Linking of BPF objects, to an image and to one object.

mod compilers;
mod kit;
mod objects;
mod one_object;
