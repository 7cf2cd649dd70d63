//! Linking of BPF objects, to an image and to one object.

mod kit;
mod objects;
