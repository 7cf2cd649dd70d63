//! Contexts of the host's own: bytes with a description of who may touch which.

use std::sync::Arc;

use jitlink_arch_bpf::catalog::contexts::{self, Access as Way};
use jitlink_arch_bpf::catalog::programs::ProgramType;
use jitlink_core::Endian;

use crate::context::Context;
use crate::fault::Access;
use crate::memory::{Memory, OutOfMemory};

/// A context whose fields the host has described.
#[derive(Clone, Debug)]
pub struct FieldContext {
    description: Arc<contexts::Context>,
    memory: Arc<Memory>,
    program: ProgramType,
    endian: Endian,
}

impl FieldContext {
    /// A context of zeros for programs of a kind, whose data have a byte order.
    pub fn new(
        description: Arc<contexts::Context>,
        program: ProgramType,
        endian: Endian,
    ) -> Result<FieldContext, OutOfMemory> {
        let memory = Arc::new(Memory::zeroed(description.size() as usize)?);
        Ok(FieldContext { description, memory, program, endian })
    }

    /// What a field of up to eight bytes holds; `None` if there is no such field.
    pub fn get(&self, name: &str) -> Option<u64> {
        let field = self.description.field(name).filter(|field| field.size <= 8)?;
        Some(self.endian.read(&self.memory.to_vec(field.offset as usize, field.size as usize)))
    }

    /// Changes a field of up to eight bytes; whether there is such a field.
    pub fn set(&self, name: &str, value: u64) -> bool {
        let Some(field) = self.description.field(name).filter(|field| field.size <= 8) else { return false };
        let mut bytes = [0; 8];
        let bytes = &mut bytes[..field.size as usize];
        self.endian.write(bytes, value);
        self.memory.write(field.offset as usize, bytes);
        true
    }

    /// The bytes of a field; `None` if there is no such field.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let field = self.description.field(name)?;
        Some(self.memory.to_vec(field.offset as usize, field.size as usize))
    }
}

impl Context for FieldContext {
    fn memory(&self) -> Option<&Arc<Memory>> {
        Some(&self.memory)
    }

    fn is_plain(&self) -> bool {
        false
    }

    fn check(&self, offset: u32, size: u32, access: Access) -> Result<(), String> {
        check(&self.description, self.program, (offset, size), access)
    }
}

/// Whether a description allows an access.
pub(super) fn check(
    description: &contexts::Context,
    program: ProgramType,
    place: (u32, u32),
    access: Access,
) -> Result<(), String> {
    let way = match access {
        Access::Read => Way::Read,
        Access::Write => Way::Write,
    };
    let found = description.access(program, way, place.0.into(), place.1);
    found.map(|_| ()).map_err(|error| error.to_string())
}
