//! The kernel as one of the machines.

use super::naive::World;
use super::program::{Entry, Maps, Program, TABLE_ENTRIES, VALUE_SIZE};
use jitlink_arch_bpf::image::MapDefinition;
use jitlink_arch_bpf::insn::Immediate;
use jitlink_arch_bpf::kernel::{KernelError, KernelMap, KernelProgram, MapContext, ProgramRequest, TestRun, allowed};
use std::os::fd::{AsFd, AsRawFd};

/// What runs programs in the kernel.
pub(crate) struct Kernel {
    value: KernelMap,
    table: KernelMap,
}

impl Kernel {
    /// Nothing where `bpf(2)` is not allowed, in CI as well: whether it is depends on the machine.
    pub(crate) fn new() -> Option<Kernel> {
        match allowed() {
            Ok(()) => {}
            Err(error) if error.is_not_allowed() => {
                eprintln!("the kernel does not take part: {error}");
                return None;
            }
            Err(error) => panic!("{error}"),
        }
        let [value, table] =
            definitions().map(|definition| KernelMap::create(&definition, MapContext::default()).expect("a map"));
        Some(Kernel { value, table })
    }

    /// Runs a program; an error is the verifier's.
    pub(crate) fn run(&self, program: &Program, world: &mut World) -> Result<u32, KernelError> {
        let maps = Maps {
            value: Immediate::MapValue { fd: self.value.as_fd().as_raw_fd(), offset: 0 },
            table: Immediate::MapFd(self.table.as_fd().as_raw_fd()),
        };
        let instructions = program.lower(program.entry, maps);
        let kind = match program.entry {
            Entry::SocketBuffer => 3,
            Entry::Xdp | Entry::Memory => 6,
        };
        let request = ProgramRequest {
            name: "differential",
            kind,
            instructions: &instructions,
            license: "GPL",
            ..Default::default()
        };
        let loaded = KernelProgram::load(&request)?;
        self.value.update(&[0; 4], &world.value, 0)?;
        for (key, _) in self.table.entries(2 * TABLE_ENTRIES as usize)? {
            self.table.delete(&key)?;
        }
        for (key, value) in &world.table {
            self.table.update(&key.to_ne_bytes(), value, 0)?;
        }
        let result = loaded.test_run(&TestRun { data: &world.packet, ..TestRun::default() })?;
        world.value = self.value.lookup(&[0; 4])?.expect("an array has all elements");
        world.packet = result.data;
        let number = |key: Vec<u8>| u32::from_ne_bytes(key.try_into().expect("a key of four bytes"));
        let entries = self.table.entries(2 * TABLE_ENTRIES as usize)?.into_iter();
        world.table = entries.map(|(key, value)| (number(key), value.try_into().expect("eight bytes"))).collect();
        Ok(result.retval)
    }
}

/// The array of one value, and the hash table.
pub(crate) fn definitions() -> [MapDefinition; 2] {
    let value = MapDefinition {
        name: "value".into(),
        kind: 2,
        key_size: 4,
        value_size: VALUE_SIZE as u32,
        max_entries: 1,
        ..MapDefinition::default()
    };
    let table = MapDefinition {
        name: "table".into(),
        kind: 1,
        key_size: 4,
        value_size: 8,
        max_entries: TABLE_ENTRIES,
        ..MapDefinition::default()
    };
    [value, table]
}
