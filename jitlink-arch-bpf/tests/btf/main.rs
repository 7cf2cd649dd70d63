//! BTF and CO-RE: known answers, real objects of compilers, and hostile bytes.

mod kit;
mod read;
