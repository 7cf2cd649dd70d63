//! Section groups (gABI, "Section Groups"): sections that are kept or discarded as one.
//!
//! A group section lists its members; its signature is the name of the symbol that it points to. COMDAT groups of one
//! signature are copies of each other, of which the first is kept; other groups only tie their members' lives together.
//! `.gnu.linkonce.*` sections, which predate groups, are copies of each other by their own name.

use crate::header::File;
use crate::symbols::SymbolTable;
use jitlink_core::LinkError;
use jitlink_core::graph::{Group, GroupId, ObjectBuilder, Selection};
use object::elf;
use object::endian::U32;
use object::read::elf::{FileHeader, SectionHeader, Sym};

/// Which group each section is in.
#[derive(Default)]
pub(crate) struct Groups {
    /// By section number; empty if the object has no groups.
    of_section: Vec<Option<GroupId>>,
}

impl Groups {
    /// Reads all groups of the object.
    pub(crate) fn read<'a, Elf: FileHeader>(
        file: &File<'_, 'a, Elf>,
        symbols: &SymbolTable<'a, Elf>,
        builder: &mut ObjectBuilder<'_, 'a>,
    ) -> Result<Groups, LinkError> {
        let mut groups = Groups::default();
        for (index, section) in file.sections.iter().enumerate() {
            if section.sh_type(file.endian) == elf::SHT_GROUP {
                groups.of_section.resize(file.sections.len(), None);
                groups.read_one(file, symbols, builder, index)?;
            }
        }
        Ok(groups)
    }

    fn read_one<'a, Elf: FileHeader>(
        &mut self,
        file: &File<'_, 'a, Elf>,
        symbols: &SymbolTable<'a, Elf>,
        builder: &mut ObjectBuilder<'_, 'a>,
        index: usize,
    ) -> Result<(), LinkError> {
        let words: &[U32<Elf::Endian>] = file.table(index)?;
        let Some((flags, members)) = words.split_first() else {
            return Err(file.malformed(index, 0, "the group has no flags"));
        };
        let flags = flags.get(file.endian);
        let selection = match flags {
            0 => Selection::All,
            1 => Selection::Any,
            _ => {
                let what = format!("the group's flags are {flags:#x}, of which only COMDAT (1) is known");
                return Err(file.unsupported(index, what, "compile without the extension that made this group"));
            }
        };
        let name = signature(file, symbols, index)?;
        let group = {
            let mut group = Group::any(name, builder.id());
            group.selection = selection;
            builder.add_group(group)
        };
        for (position, member) in members.iter().enumerate() {
            let member = member.get(file.endian) as usize;
            let at = 4 * (position as u64 + 1);
            let Some(slot) = self.of_section.get_mut(member).filter(|_| member != 0) else {
                return Err(file.malformed(
                    index,
                    at,
                    format!("the group's member is section {member}, which is not there"),
                ));
            };
            if slot.replace(group).is_some() {
                let what = format!("the group's member {} is in a group already", file.display_section(member));
                return Err(file.malformed(index, at, what));
            }
        }
        Ok(())
    }

    /// The group of a section. One that says it is a member must be.
    pub(crate) fn of<'a, Elf: FileHeader>(
        &self,
        file: &File<'_, 'a, Elf>,
        builder: &mut ObjectBuilder<'_, 'a>,
        index: usize,
        name: &'a [u8],
    ) -> Result<Option<GroupId>, LinkError> {
        let group = self.of_section.get(index).copied().flatten();
        if group.is_none() && file.sections[index].sh_flags(file.endian).contains(elf::SHF_GROUP) {
            return Err(file.malformed(index, 0, "it is marked as member of a group, and no group lists it"));
        }
        if group.is_none() && name.starts_with(b".gnu.linkonce.") {
            return Ok(Some(builder.add_group(Group::any(name, builder.id()))));
        }
        Ok(group)
    }
}

/// The name of the symbol that identifies a group; the name of its section where it is a section symbol without one.
fn signature<'a, Elf: FileHeader>(
    file: &File<'_, 'a, Elf>,
    symbols: &SymbolTable<'a, Elf>,
    index: usize,
) -> Result<&'a [u8], LinkError> {
    let header = &file.sections[index];
    let link = header.sh_link(file.endian) as usize;
    let number = header.sh_info(file.endian) as usize;
    let Some(symbol) = symbols.entries.get(number).filter(|_| link == symbols.section && number != 0) else {
        let what = format!("the group's signature is symbol {number} of section {link}, which is not there");
        return Err(file.malformed(index, 0, what));
    };
    let name = symbols.name(file, number)?;
    if !name.is_empty() || symbol.st_type() != elf::STT_SECTION {
        return Ok(name);
    }
    match symbols.section_number(file, number)? {
        Some(section) => file.section_name(section),
        None => Err(file.malformed(index, 0, "the group's signature has no name")),
    }
}
