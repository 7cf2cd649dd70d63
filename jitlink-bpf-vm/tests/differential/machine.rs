//! The virtual machine as one of the machines.

use super::naive::World;
use super::program::{Entry, Program};
use jitlink_arch_bpf::insn::Immediate;
use jitlink_bpf_vm::address::{CONTEXT, PACKET};
use jitlink_bpf_vm::context::{Context, Packet};
use jitlink_bpf_vm::memory::Memory;
use jitlink_bpf_vm::vm::VmBuilder;
use jitlink_core::Endian;
use std::sync::Arc;

/// Free bytes on both sides of the packet, so that accesses outside have something to hit.
const ROOM: usize = 16;

/// The map's value as the context's memory, and a packet, whose address and length are the arguments.
struct Mixed {
    value: Arc<Memory>,
    packet: Packet,
    hidden: bool,
}

impl Context for Mixed {
    fn memory(&self) -> Option<&Arc<Memory>> {
        Some(&self.value)
    }

    fn packet(&self) -> Option<Packet> {
        Some(self.packet.clone())
    }

    fn arguments(&self) -> [u64; 5] {
        let len = self.packet.end - self.packet.data;
        if self.hidden { [CONTEXT, 0, 0, 0, 0] } else { [PACKET + self.packet.data as u64, len as u64, 0, 0, 0] }
    }
}

/// Runs a program in the virtual machine; an error is a refusal or a fault, which valid programs do not have.
pub fn run(program: &Program, world: &mut World) -> Result<u32, String> {
    let entry = if program.entry == Entry::Xdp { Entry::Memory } else { program.entry };
    let words = program.lower(entry, Immediate::Constant(CONTEXT));
    let vm = VmBuilder::new().build_raw(&words, Endian::NATIVE).map_err(|error| error.to_string())?;
    let (data, end) = (ROOM, ROOM + world.packet.len());
    let memory = Arc::new(Memory::zeroed(end + ROOM).map_err(|error| error.to_string())?);
    memory.write(data, &world.packet);
    let value = Arc::new(Memory::zeroed(world.value.len()).map_err(|error| error.to_string())?);
    value.write(0, &world.value);
    let packet = Packet { memory: memory.clone(), start: data, data, end, writable: !world.hidden };
    let mut context = Mixed { value: value.clone(), packet, hidden: world.hidden };
    let result = vm.run(&vm.programs()[0], &mut context).map_err(|error| error.to_string())?;
    world.value = value.to_vec(0, world.value.len());
    world.packet = memory.to_vec(data, world.packet.len());
    Ok(result as u32)
}
