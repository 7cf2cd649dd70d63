//! BTF and CO-RE: known answers, real objects of compilers, and hostile bytes.

mod core_libbpf;
mod kit;
mod merge;
mod read;
