//! BTF and CO-RE: known answers, real objects of compilers, and hostile bytes.

mod bpftool;
mod core_built;
mod core_libbpf;
mod ext;
mod kit;
mod loadable;
mod merge;
mod read;
mod show;
