//! Maps: what programs and the host share by key.

use crate::memory::{Memory, OutOfMemory};
use jitlink_arch_bpf::image::MapDefinition;
use std::sync::Arc;

/// A map.
#[derive(Debug)]
pub struct Map {
    definition: MapDefinition,
    values: Arc<Memory>,
}

impl Map {
    /// A map of a definition: its values in a row.
    pub fn new(definition: &MapDefinition) -> Result<Map, OutOfMemory> {
        let size = u64::from(definition.value_size).next_multiple_of(8) * u64::from(definition.max_entries);
        let values = Memory::zeroed(usize::try_from(size).map_err(|_| OutOfMemory(usize::MAX))?)?;
        Ok(Map { definition: definition.clone(), values: Arc::new(values) })
    }

    /// What the map was made from.
    pub fn definition(&self) -> &MapDefinition {
        &self.definition
    }

    /// The memory of its values.
    pub fn values(&self) -> Option<&Arc<Memory>> {
        Some(&self.values)
    }
}
