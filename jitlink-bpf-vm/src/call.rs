//! What a function of the host sees of the program that calls it.

use crate::address::{self, VALUE_REGION};
use crate::context::Context;
use crate::fault::{Access, Fault, FaultKind};
use crate::machine::Machine;
use crate::maps::Map;
use crate::memory::Memory;
use jitlink_core::Endian;
use std::any::Any;
use std::sync::Arc;

/// A call of a host function by a program: its arguments, and all that the function may do to the program.
pub struct Call<'m, 'r> {
    machine: &'m mut Machine<'r>,
    arguments: [u64; 5],
    endian: Endian,
}

/// A run of the program's memory that was checked. It holds the memory, so it stays valid whatever the program does later.
#[derive(Clone, Debug)]
pub struct Slice {
    /// The memory.
    pub memory: Arc<Memory>,
    /// Where in it the run begins.
    pub offset: usize,
    /// How many bytes; all of them are inside of the memory.
    pub len: usize,
}

impl<'m, 'r> Call<'m, 'r> {
    pub(crate) fn new(machine: &'m mut Machine<'r>, arguments: [u64; 5], endian: Endian) -> Call<'m, 'r> {
        Call { machine, arguments, endian }
    }

    /// The arguments: what `r1` to `r5` hold.
    pub fn arguments(&self) -> [u64; 5] {
        self.arguments
    }

    /// The argument of a number from 0 to 4.
    ///
    /// # Panics
    /// With another number.
    pub fn argument(&self, number: usize) -> u64 {
        self.arguments[number]
    }

    /// The byte order of the program's data.
    pub fn endian(&self) -> Endian {
        self.endian
    }

    /// The number of the processor that the program thinks it runs on.
    pub fn cpu(&self) -> usize {
        self.machine.cpu
    }

    /// Copies bytes of the program's memory.
    pub fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), Fault> {
        let slice = self.machine.area(address, bytes.len() as u64, Access::Read)?;
        slice.memory.read(slice.offset + (address - slice.start) as usize, bytes);
        Ok(())
    }

    /// A copy of bytes of the program's memory. The length is checked before anything is allocated.
    pub fn read_vec(&mut self, address: u64, len: u64) -> Result<Vec<u8>, Fault> {
        let slice = self.memory(address, len, Access::Read)?;
        Ok(slice.to_vec())
    }

    /// Copies bytes into the program's memory.
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Fault> {
        let slice = self.machine.area(address, bytes.len() as u64, Access::Write)?;
        slice.memory.write(slice.offset + (address - slice.start) as usize, bytes);
        Ok(())
    }

    /// A number of `size` bytes (at most eight) in the program's memory, in its byte order.
    pub fn load(&mut self, address: u64, size: usize) -> Result<u64, Fault> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes[..size])?;
        Ok(self.endian.read(&bytes[..size]))
    }

    /// Writes a number of `size` bytes (at most eight) into the program's memory, in its byte order.
    pub fn store(&mut self, address: u64, size: usize, value: u64) -> Result<(), Fault> {
        let mut bytes = [0; 8];
        self.endian.write(&mut bytes[..size], value);
        self.write(address, &bytes[..size])
    }

    /// The bytes of a string in the program's memory up to its terminating zero, of which the memory may hold none; at most
    /// `limit` bytes.
    pub fn read_string(&mut self, address: u64, limit: usize) -> Result<Vec<u8>, Fault> {
        let first = self.machine.area(address, 1, Access::Read)?;
        let len = (first.len - (address - first.start)).min(limit as u64);
        let mut bytes = self.read_vec(address, len)?;
        if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
            bytes.truncate(end);
        }
        Ok(bytes)
    }

    /// A run of the program's memory, once it is known that the program may access it so.
    pub fn memory(&mut self, address: u64, len: u64, access: Access) -> Result<Slice, Fault> {
        let area = self.machine.area(address, len, access)?;
        let offset = area.offset + (address - area.start) as usize;
        Ok(Slice { memory: area.memory.clone(), offset, len: len as usize })
    }

    /// The map that a handle means.
    pub fn map(&mut self, handle: u64) -> Result<&Arc<Map>, Fault> {
        let index = address::map_index(handle).ok_or(FaultKind::NoMap(handle))?;
        self.machine.map(index).ok_or_else(|| FaultKind::NoMap(handle).into())
    }

    /// The handle of a map, which is made known to the machine if it was not.
    pub fn map_handle(&mut self, map: &Arc<Map>) -> u64 {
        address::map_handle(self.machine.map_index(map) as u32)
    }

    /// The address of a byte of a map's values.
    pub fn value_address(&mut self, map: &Arc<Map>, offset: usize) -> u64 {
        let region = VALUE_REGION + self.machine.map_index(map) as u32;
        address::at(region, 0) + offset as u64
    }

    /// The context that the program was called with.
    pub fn context(&mut self) -> &mut dyn Context {
        &mut *self.machine.context
    }

    /// The context, if it is of a type.
    pub fn context_as<C: Context>(&mut self) -> Option<&mut C> {
        let any: &mut dyn Any = &mut *self.machine.context;
        any.downcast_mut()
    }

    /// To be called when the packet's memory or bounds, or the context's memory, have changed.
    pub fn packet_changed(&mut self) {
        self.machine.refresh_context();
    }

    /// Lets the program access the end of the stack, as it may only do when functions of the host put something there.
    pub(crate) fn open_stack(&mut self) {
        self.machine.open_stack();
    }

    /// Calls a function of the program. It gets a stack frame of its own, and what is in `r0` to `r9` stays for the caller.
    pub fn call(&mut self, function: u64, arguments: [u64; 5]) -> Result<u64, Fault> {
        self.machine.callback(function, arguments)
    }

    /// Goes on with another program instead of returning to this one (`bpf_tail_call`): whether it will, which it does not once
    /// too many programs have followed each other. The function of the host returns as usual after it.
    pub fn tail_call(&mut self, program: u64) -> bool {
        self.machine.request_tail_call(program)
    }

    /// What the host gave to the machine for its functions (`VmBuilder::extension`).
    pub fn extension<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.machine.shared.extension()
    }

    /// Something that lives as long as this run of the program, made when first asked for: tables of dynptrs, locks that are held.
    pub fn state<T: Any + Default>(&mut self) -> &mut T {
        self.machine.state()
    }

    /// Something of the run and the call at once, for functions that need both: the state is taken out while `work` has it.
    pub fn with_state<T: Any + Default, R>(&mut self, work: impl FnOnce(&mut Self, &mut T) -> R) -> R {
        let mut state = std::mem::take(self.state::<T>());
        let result = work(self, &mut state);
        *self.state::<T>() = state;
        result
    }

    /// A fault of the helper of a name, for what the kernel would have found before the program ran.
    pub fn fault(&self, name: &str, reason: impl Into<String>) -> Fault {
        FaultKind::Helper { name: name.into(), reason: reason.into() }.into()
    }
}

impl Slice {
    /// Copies the bytes out, as many as `bytes` holds.
    ///
    /// # Panics
    /// Where there are fewer.
    pub fn read(&self, bytes: &mut [u8]) {
        assert!(bytes.len() <= self.len, "{} bytes of a run of {}", bytes.len(), self.len);
        self.memory.read(self.offset, bytes);
    }

    /// Copies bytes in, from the start.
    ///
    /// # Panics
    /// Where there is room for fewer.
    pub fn write(&self, bytes: &[u8]) {
        assert!(bytes.len() <= self.len, "{} bytes into a run of {}", bytes.len(), self.len);
        self.memory.write(self.offset, bytes);
    }

    /// A copy of the bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        self.memory.to_vec(self.offset, self.len)
    }
}
