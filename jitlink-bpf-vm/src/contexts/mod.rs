//! The contexts that programs of the kernel's kinds are called with.
//!
//! A host describes a [`Packet`], runs a program on the [`PacketContext`] made of it, and takes the packet back as the
//! program left it, with what the program asked for ([`Action`]). [`FieldContext`] is for contexts of the host's own.
//!
//! What a program sees is laid out as `linux/bpf.h` has it, and which fields it may touch is what the kernel's verifier
//! allows programs of its kind ([`jitlink_arch_bpf::catalog::contexts`]).

mod buffer;
mod fields;
mod packet;
mod skb;
mod socket;
#[cfg(test)]
mod tests;

pub use fields::FieldContext;
pub use packet::{Action, Packet, Vlan};
pub use skb::{Checksum, PacketContext};
pub use socket::Socket;

pub(crate) use buffer::Buffer;
