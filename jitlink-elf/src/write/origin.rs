//! What the reader remembers of objects and sections, beyond what the graph says of them, so that they can be written back.
//!
//! The graph holds one opaque number for each, packed and unpacked here. A zero is what no format has read.

use crate::header::File;
use crate::symbols::has_other_bits;
use object::elf::{self, SectionFlags, SectionType};
use object::read::elf::{FileHeader, SectionHeader, Sym};

/// The name of the empty section whose flags say whether code needs an executable stack.
pub(crate) const STACK_NOTE_NAME: &str = ".note.GNU-stack";

const STACK_NOTE: u64 = 1 << 40;
const EXECUTABLE_STACK: u64 = 1 << 41;
const REL: u64 = 1 << 42;
const RELA: u64 = 1 << 43;
const OTHER_BITS: u64 = 1 << 44;

/// What an object's header and tables said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ObjectOrigin {
    /// `e_flags`: the processor's.
    pub(crate) flags: u32,
    /// The operating system whose extensions the object uses.
    pub(crate) os_abi: u8,
    /// It says whether its code needs an executable stack.
    pub(crate) stack_note: bool,
    /// It says that it does.
    pub(crate) executable_stack: bool,
    /// It has relocations whose addends stand in the fields.
    pub(crate) rel: bool,
    /// It has relocations with addends.
    pub(crate) rela: bool,
    /// Symbols have processor bits in `st_other`, which the graph does not hold.
    pub(crate) other_bits: bool,
}

impl ObjectOrigin {
    /// Looks at a file.
    pub(crate) fn of<Elf: FileHeader>(file: &File<'_, '_, Elf>) -> ObjectOrigin {
        let mut origin = ObjectOrigin {
            flags: file.header.e_flags(file.endian).0,
            os_abi: file.header.e_ident().os_abi.0,
            ..ObjectOrigin::default()
        };
        for (index, section) in file.sections.iter().enumerate() {
            match section.sh_type(file.endian) {
                elf::SHT_REL => origin.rel = true,
                elf::SHT_RELA => origin.rela = true,
                // The third bit of the header says whether entries have addends.
                elf::SHT_CREL => match file.content(index).first().is_some_and(|header| header & 4 != 0) {
                    true => origin.rela = true,
                    false => origin.rel = true,
                },
                elf::SHT_SYMTAB if has_other_bits(elf::Machine(file.machine)) => {
                    let symbols: &[Elf::Sym] = file.table(index).unwrap_or_default();
                    origin.other_bits = symbols.iter().any(|symbol| symbol.st_other().0 & !3 != 0);
                }
                elf::SHT_PROGBITS if is_stack_note(file, index) => {
                    origin.stack_note = true;
                    origin.executable_stack |= section.sh_flags(file.endian).contains(elf::SHF_EXECINSTR);
                }
                _ => {}
            }
        }
        origin
    }

    /// The number that the graph holds.
    pub(crate) fn pack(self) -> u64 {
        let bit = |set: bool, bit: u64| if set { bit } else { 0 };
        u64::from(self.flags)
            | u64::from(self.os_abi) << 32
            | bit(self.stack_note, STACK_NOTE)
            | bit(self.executable_stack, EXECUTABLE_STACK)
            | bit(self.rel, REL)
            | bit(self.rela, RELA)
            | bit(self.other_bits, OTHER_BITS)
    }

    /// What a number of the graph says.
    pub(crate) fn unpack(packed: u64) -> ObjectOrigin {
        ObjectOrigin {
            flags: packed as u32,
            os_abi: (packed >> 32) as u8,
            stack_note: packed & STACK_NOTE != 0,
            executable_stack: packed & EXECUTABLE_STACK != 0,
            rel: packed & REL != 0,
            rela: packed & RELA != 0,
            other_bits: packed & OTHER_BITS != 0,
        }
    }
}

/// Only empty sections are asked for their names, so that this costs nothing for all others.
fn is_stack_note<Elf: FileHeader>(file: &File<'_, '_, Elf>, index: usize) -> bool {
    let section = &file.sections[index];
    section.sh_size(file.endian).into() == 0
        && !section.sh_flags(file.endian).contains(elf::SHF_ALLOC)
        && file.display_section(index) == STACK_NOTE_NAME
}

/// What a section header said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SectionOrigin {
    /// The type; null where no file said one.
    pub(crate) kind: SectionType,
    /// The flags. All that are known stand in the low half.
    pub(crate) flags: SectionFlags,
}

impl SectionOrigin {
    /// The number that the graph holds.
    pub(crate) fn pack(self) -> u64 {
        u64::from(self.kind.0) << 32 | u64::from(self.flags.0 as u32)
    }

    /// What a number of the graph says.
    pub(crate) fn unpack(packed: u64) -> SectionOrigin {
        SectionOrigin { kind: SectionType((packed >> 32) as u32), flags: SectionFlags(u64::from(packed as u32)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back() {
        let all = ObjectOrigin {
            flags: 0xdead_beef,
            os_abi: 255,
            stack_note: true,
            executable_stack: false,
            rel: true,
            rela: false,
            other_bits: true,
        };
        let others = ObjectOrigin { executable_stack: true, rela: true, ..ObjectOrigin::default() };
        for origin in [ObjectOrigin::default(), all, others] {
            assert_eq!(ObjectOrigin::unpack(origin.pack()), origin);
        }
        let section = SectionOrigin { kind: SectionType(0x7000_0001), flags: SectionFlags(0x9000_0002) };
        assert_eq!(SectionOrigin::unpack(section.pack()), section);
    }
}
