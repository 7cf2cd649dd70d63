//! CO-RE relocations of a linked program.

use super::{CoreError, Outcome, Relocator, Target};
use crate::btf::Btf;
use crate::btf::ext::CoreRelo;
use crate::image::BpfImage;
use jitlink_core::Addr;

/// Why a linked program does not fit the types of a machine.
#[derive(Debug, thiserror::Error)]
#[error("{function}, instruction {index}: {error}")]
pub struct ImageError {
    /// The function that holds the instruction.
    pub function: String,
    /// The instruction, in words from the function's start.
    pub index: u64,
    /// What is wrong.
    pub error: CoreError,
}

impl BpfImage {
    /// Makes the program fit the machine whose types these are: every instruction that depends on them gets that machine's number,
    /// or becomes an error to run where the machine lacks what it asks for. Gives back what became of each, by address.
    ///
    /// Is done once: the relocations are gone then. After an error some instructions have changed, and the image is of no use.
    pub fn relocate(&mut self, types: &Btf) -> Result<Vec<(Addr, Outcome)>, ImageError> {
        let relocations = std::mem::take(&mut self.types.relocations);
        let target = Target::new(types);
        let mut relocator = Relocator::new(&self.types.btf, &target);
        let mut outcomes = Vec::with_capacity(relocations.len());
        for (address, relocation) in relocations {
            let held = self.segments.iter_mut().find_map(|segment| {
                let offset = address.0.checked_sub(segment.address.0)?;
                segment.bytes.get_mut(offset as usize..)
            });
            // From the instruction on, so that its offset is zero however long the code is.
            let relocation = CoreRelo { insn_off: 0, ..relocation };
            let outcome = relocator.apply(held.unwrap_or_default(), self.endian, &relocation);
            match outcome {
                Ok(outcome) => outcomes.push((address, outcome)),
                Err(error) => {
                    let function = self.functions.iter().rfind(|function| function.address <= address);
                    let (function, start) = function.map_or_else(Default::default, |f| (f.name.clone(), f.address));
                    return Err(ImageError { function, index: (address.0 - start.0) / 8, error });
                }
            }
        }
        Ok(outcomes)
    }
}
