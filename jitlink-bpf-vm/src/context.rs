//! What a program is called with.
//!
//! A context is bytes that a program sees as they are ([`Context::memory`], region 1), rules about which of them it may touch,
//! and perhaps a packet ([`Context::packet`], region 0). Pointers in the bytes are addresses of the program: a program finds its
//! packet at the address that stands in its context. So a load from the context is a plain load in every mode.

use crate::address;
use crate::fault::Access;
use crate::memory::{Memory, OutOfMemory};
use std::any::Any;
use std::sync::Arc;

/// What a program is called with. Helpers that know a kind of context reach it by downcast (`&mut dyn Any`).
pub trait Context: Any + Send {
    /// The bytes that the program sees at [`address::CONTEXT`].
    fn memory(&self) -> Option<&Arc<Memory>> {
        None
    }

    /// Whether the program may read and write all of [`Context::memory`]; otherwise each access asks [`Context::check`].
    fn is_plain(&self) -> bool {
        true
    }

    /// Whether bytes of the context may be accessed so; if not, why, in words that fit after "context+0x8: ". The bytes are
    /// inside of [`Context::memory`].
    fn check(&self, _offset: u32, _size: u32, _access: Access) -> Result<(), String> {
        Ok(())
    }

    /// The packet as it is now. Whoever changes its bounds tells the machine
    /// ([`Call::packet_changed`](crate::call::Call::packet_changed)).
    fn packet(&self) -> Option<Packet> {
        None
    }

    /// What `r1` to `r5` hold at first. Registers that are not arguments are zero.
    fn arguments(&self) -> [u64; 5] {
        [if self.memory().is_some() { address::CONTEXT } else { 0 }, 0, 0, 0, 0]
    }

    /// A run with the context has ended, however it did: what the program was given to hold and has not given back is taken back.
    fn run_ended(&mut self) {}

    /// Bytes of the packet for instructions that load from it (RFC 9669, section 5.5), copied to `bytes`; whether they were
    /// there. An offset below zero counts from the network header (from -0x100000) or from the link header (from -0x200000),
    /// which a context says that has them.
    fn load_packet(&self, offset: i32, bytes: &mut [u8]) -> bool {
        let Some(packet) = self.packet() else { return false };
        let Ok(offset) = usize::try_from(offset) else { return false };
        let len = packet.end.saturating_sub(packet.data);
        if offset > len || bytes.len() > len - offset {
            return false;
        }
        packet.memory.read(packet.data + offset, bytes);
        true
    }
}

/// Where a packet's bytes are. Offsets are of the memory; the program sees its first byte at [`address::PACKET`].
#[derive(Clone, Debug)]
pub struct Packet {
    /// The memory, with headroom before the packet and tailroom after it.
    pub memory: Arc<Memory>,
    /// The first byte that the program may touch: the metadata before the packet (`data_meta`), or its first byte.
    pub start: usize,
    /// The packet's first byte (`data`).
    pub data: usize,
    /// One past its last linear byte (`data_end`).
    pub end: usize,
    /// Whether the program may write it.
    pub writable: bool,
}

/// No context: the program is called with zeros.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoContext;

impl Context for NoContext {}

/// Plain memory, called with its address and its length.
#[derive(Clone, Debug)]
pub struct RawMemory {
    memory: Arc<Memory>,
}

impl RawMemory {
    /// A copy of bytes.
    pub fn new(bytes: &[u8]) -> Result<RawMemory, OutOfMemory> {
        let memory = Memory::zeroed(bytes.len())?;
        memory.write(0, bytes);
        Ok(RawMemory { memory: Arc::new(memory) })
    }

    /// The bytes as they are now.
    pub fn to_vec(&self) -> Vec<u8> {
        self.memory.to_vec(0, self.memory.len())
    }
}

impl From<Arc<Memory>> for RawMemory {
    fn from(memory: Arc<Memory>) -> RawMemory {
        RawMemory { memory }
    }
}

impl Context for RawMemory {
    fn memory(&self) -> Option<&Arc<Memory>> {
        Some(&self.memory)
    }

    fn arguments(&self) -> [u64; 5] {
        [address::CONTEXT, self.memory.len() as u64, 0, 0, 0]
    }
}
