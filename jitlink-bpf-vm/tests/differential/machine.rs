//! The virtual machine as one of the machines.

use super::kernel::definitions;
use super::naive::World;
use super::program::{Entry, Maps, Program, TABLE_ENTRIES};
use jitlink_arch_bpf::catalog::programs::ProgramType;
use jitlink_arch_bpf::image::{BpfImage, Function, ImageSegment, ImageTypes};
use jitlink_arch_bpf::insn::{self, Immediate};
use jitlink_bpf_vm::address::{CODE_REGION, VALUE_REGION, at};
use jitlink_bpf_vm::contexts::{Packet, PacketContext};
use jitlink_bpf_vm::helpers::{Host, standard};
use jitlink_bpf_vm::vm::VmBuilder;
use jitlink_core::graph::Protection;
use jitlink_core::{Addr, Endian};
use std::error::Error;
use std::sync::Arc;

/// Runs a program in the virtual machine; an error is a refusal or a fault, which valid programs do not have.
pub(crate) fn run(program: &Program, world: &mut World) -> Result<u32, Box<dyn Error>> {
    let vm = VmBuilder::new().functions(standard(Arc::new(Host::new()))).build(&image(program))?;
    let [value, table] = ["value", "table"].map(|name| vm.map(name).expect("the image has it").clone());
    value.update(&[0; 4], &world.value, 0)?;
    for (key, value) in &world.table {
        table.update(&key.to_ne_bytes(), value, 0)?;
    }
    let kind = if program.entry == Entry::SocketBuffer { ProgramType::SchedCls } else { ProgramType::Xdp };
    let packet = Packet::ethernet(world.packet.clone());
    let mut context = PacketContext::new(kind, packet, Endian::NATIVE)?.expect("both kinds get packets");
    let result = vm.run(&vm.programs()[0], &mut context)?;
    world.value = value.lookup(&[0; 4])?;
    world.packet = context.packet().bytes;
    world.table.clear();
    let mut key = None;
    while let Ok(next) = table.next_key(key.as_deref()) {
        let number = u32::from_ne_bytes(next.as_slice().try_into()?);
        world.table.insert(number, table.lookup(&next)?.as_slice().try_into()?);
        assert!(world.table.len() <= TABLE_ENTRIES as usize, "the table holds more than it may");
        key = Some(next);
    }
    Ok(result as u32)
}

/// The program as a link would leave it, with the maps as the first two.
fn image(program: &Program) -> BpfImage {
    let start = at(CODE_REGION, 0);
    let maps = Maps { value: Immediate::Constant(at(VALUE_REGION, 0)), table: Immediate::MapIndex(1) };
    let bytes = insn::bytes(&program.lower(program.entry, maps), Endian::NATIVE);
    let main = Function {
        name: "main".into(),
        section: "xdp".into(),
        address: Addr(start),
        size: bytes.len() as u64,
        global: true,
        entry: true,
    };
    BpfImage {
        endian: Endian::NATIVE,
        segments: vec![ImageSegment { address: Addr(start), protection: Protection::ReadExecute, bytes }],
        functions: vec![main],
        maps: definitions().to_vec(),
        data: Vec::new(),
        references: Vec::new(),
        externs: Vec::new(),
        license: "GPL".into(),
        version: 0,
        types: ImageTypes::default(),
    }
}
