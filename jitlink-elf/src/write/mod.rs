//! Writing a batch as one relocatable object.
//!
//! | module | what it decides |
//! | --- | --- |
//! | `origin` | what the reader remembers for this |
//! | `sections` | which sections there are, what lies where in them, and what their headers say |
//! | `symbols` | the symbol table, and which of its entries each reference means |
//! | `content` | the bytes of a section and its relocations |
//! | `file` | where everything lies in the file |
//!
//! Sections of one name become one, as tools that look for a section by its name expect, except where that would change what
//! they mean: members of groups, sections ordered by different ones, arrays that run backwards. Addends against the section
//! symbols of what was put together grow by the offset. Everything stays in input order, and what is read back from the
//! result and written again is the same file.

mod content;
mod file;
pub(crate) mod origin;
mod sections;
mod symbols;

use jitlink_core::format::Relocatable;
use jitlink_core::{Endian, LinkError, LinkErrors, Site};
use object::elf;
use origin::ObjectOrigin;

/// The bytes of the object.
pub(crate) fn write(object: &Relocatable<'_, '_>) -> Result<Vec<u8>, LinkErrors> {
    let head = Head::of(object)?;
    let sections = sections::Plan::new(object, &head)?;
    let symbols = symbols::Table::new(object, &head, &sections)?;
    file::write(object, &head, sections, symbols)
}

/// What the file header and the choice of relocations say.
pub(crate) struct Head {
    pub(crate) machine: elf::Machine,
    pub(crate) flags: u32,
    pub(crate) os_abi: u8,
    pub(crate) is_64: bool,
    pub(crate) big_endian: bool,
    /// Addends stand in the entries. Where any input has such relocations, the machine's tools read them.
    pub(crate) rela: bool,
    /// The flags of the section that says whether an executable stack is needed, if any input has it.
    pub(crate) stack_note: Option<u64>,
}

impl Head {
    fn of(object: &Relocatable<'_, '_>) -> Result<Head, LinkErrors> {
        let graph = object.graph;
        let mut errors = Vec::new();
        let machine = match u16::try_from(object.header.machine) {
            Ok(machine) => elf::Machine(machine),
            Err(_) => return Err(LinkError::Request("the machine's number is none of ELF".into()).into()),
        };
        let is_64 = object.header.pointer_bytes == 8;
        let (mut flags, mut os_abi) = (Agreed::default(), Agreed::default());
        let (mut rel, mut rela, mut stack_note) = (false, false, None);
        // Objects without a path are those that the linker makes.
        for (_, input) in graph.objects().filter(|(_, input)| !input.path.is_empty()) {
            let origin = ObjectOrigin::unpack(input.origin);
            rel |= origin.rel;
            rela |= origin.rela;
            if origin.stack_note {
                let flags = stack_note.get_or_insert(0);
                *flags |= if origin.executable_stack { elf::SHF_EXECINSTR.0 } else { 0 };
            }
            if origin.other_bits {
                let what = "symbols with bits of the processor in st_other, which cannot be written back";
                errors.push(unsupported(&input.name, "", what, "give the object to the link as it is"));
            }
            errors.extend(flags.agree(&input.name, origin.flags, "the processor's flags of the header"));
            if origin.os_abi != 0 {
                errors.extend(os_abi.agree(
                    &input.name,
                    u32::from(origin.os_abi),
                    "the operating system of the header",
                ));
            }
        }
        LinkErrors::check(errors)?;
        Ok(Head {
            machine,
            flags: flags.value(),
            os_abi: os_abi.value() as u8,
            is_64,
            big_endian: object.header.endian == Endian::Big,
            rela: rela || !rel,
            stack_note,
        })
    }
}

/// A value that all objects must have.
#[derive(Default)]
struct Agreed {
    first: Option<(String, u32)>,
}

impl Agreed {
    fn agree(&mut self, object: &str, value: u32, what: &str) -> Option<LinkError> {
        let (first, expected) = self.first.get_or_insert_with(|| (object.to_string(), value));
        (*expected != value).then(|| {
            let what = format!("{what}: {value:#x} here and {expected:#x} in {first}; one object cannot say both");
            unsupported(object, "", what, "compile both for the same variant of the processor and the system")
        })
    }

    fn value(&self) -> u32 {
        self.first.as_ref().map_or(0, |(_, value)| *value)
    }
}

/// Something that the object cannot say.
pub(crate) fn unsupported(object: &str, section: &str, what: impl Into<String>, advice: &str) -> LinkError {
    let site = Site { object: object.into(), section: section.into(), ..Site::default() };
    LinkError::Unsupported { site: Box::new(site), what: what.into(), advice: advice.into() }
}

/// A number that is larger than its place in the file.
pub(crate) fn too_large(what: impl Into<String>, value: u64, limit: u64) -> LinkError {
    LinkError::TooLarge { what: what.into(), value, limit }
}
