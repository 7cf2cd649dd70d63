//! LLVM's unwinder (`libunwind.so.1`, or a part of the program). Its `__register_frame` takes one FDE; since LLVM 13 there is another function,
//! which takes a whole `.eh_frame` and reads it at once.
//!
//! It keeps a list of all records it was told of. To forget a section it looks through the list once, and to forget single records
//! once for each. It ends the process over a pointer in a form that it does not know, and reads no further at a CIE that it does not
//! know; it is told nothing of such records.

use super::gcc::Register;
use super::records::{Fde, Records};
use super::registry::{Known, Unwinder};
use crate::graph::unwind::encoding;
use std::ffi::c_void;

/// `__unw_add_dynamic_eh_frame_section` or its counterpart.
pub(super) type Section = unsafe extern "C" fn(usize);

pub(super) struct Llvm {
    pub(super) register: Register,
    pub(super) deregister: Register,
    /// Both functions for sections.
    pub(super) sections: Option<(Section, Section)>,
}

enum Told {
    Section { address: u64, remove: Section },
    Records { records: Vec<u64>, deregister: Register },
}

impl Unwinder for Llvm {
    fn identity(&self) -> usize {
        self.register as usize
    }

    unsafe fn tell(&self, records: &Records) -> Option<Box<dyn Known>> {
        // SAFETY: as the caller promises.
        let functions = unsafe { records.functions() };
        if let Some((add, remove)) = self.sections
            && functions.iter().all(is_readable)
        {
            let address = records.address().0;
            // SAFETY: a `.eh_frame` as the caller describes it is what the function takes.
            unsafe { add(address as usize) };
            return Some(Box::new(Told::Section { address, remove }));
        }
        let readable: Vec<u64> = functions.iter().filter(|fde| is_readable(fde)).map(|fde| fde.at).collect();
        for record in &readable {
            // SAFETY: this is the address of an FDE.
            unsafe { (self.register)(*record as *const c_void) };
        }
        Some(Box::new(Told::Records { records: readable, deregister: self.deregister }))
    }
}

/// Whether LLVM's unwinder reads such a record.
fn is_readable(fde: &Fde) -> bool {
    let Some(encodings) = fde.encodings else { return false };
    let known = |encoding: u8| {
        encoding == encoding::OMIT || matches!(encoding & encoding::BASE, encoding::ABSOLUTE | encoding::PLACE)
    };
    matches!(encodings.version, 1 | 3)
        && [Some(encodings.pointers), encodings.language, encodings.personality.map(|(_, encoding)| encoding)]
            .into_iter()
            .flatten()
            .all(known)
}

impl Known for Told {}

impl Drop for Told {
    fn drop(&mut self) {
        match self {
            // SAFETY: this address was added, and is removed once.
            Told::Section { address, remove } => unsafe { remove(*address as usize) },
            Told::Records { records, deregister } => {
                for record in records.iter().rev() {
                    // SAFETY: as above.
                    unsafe { deregister(*record as *const c_void) };
                }
            }
        }
    }
}
