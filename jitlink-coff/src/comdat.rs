//! COMDAT sections ("PE Format", "COMDAT Sections (Object Only)"): copies of which one is kept, by a rule.
//!
//! The first symbol of such a section stands for it, and its record says the rule. The second is the group's name. What GNU's
//! assembler makes of `.linkonce` may have no second; then the section's own name is the group's. Unwind data of one function in
//! that form (`.pdata$NAME`, `.xdata$NAME`) goes with its function instead, be that a copy or not. A copy whose second symbol is its
//! object's alone has no copies elsewhere.
//!
//! The rules are those of LLD: the same rule for all copies, but that one of any copies may be the largest, and, as for MinGW, may have
//! the size of all; the size is the record's, and "exact match" compares bytes. The rule "newest" (7), which no linker in use implements, is refused by name.

use crate::conventions;
use crate::header::File;
use crate::symbols::raw::{EXTERNAL, Home, RawSymbol, SectionRecord, WEAK_EXTERNAL};
use jitlink_core::LinkError;
use jitlink_core::graph::{Group, GroupId, ObjectBuilder, Selection};

/// `IMAGE_SCN_LNK_COMDAT`.
pub(crate) const COMDAT: u32 = 0x1000;

/// `IMAGE_COMDAT_SELECT_ASSOCIATIVE`.
const ASSOCIATIVE: u8 = 5;

/// What the symbols say of a COMDAT section.
#[derive(Clone, Copy, Default)]
struct Found<'a> {
    record: Option<SectionRecord>,
    /// The symbol after the section's, and whether others see it.
    leader: Option<(&'a [u8], bool)>,
}

/// The groups of an object.
#[derive(Default)]
pub(crate) struct Groups {
    /// By the index of the section; empty if there are none.
    groups: Vec<Option<GroupId>>,
    /// Sections that go with others: index, and that of the other.
    associated: Vec<(usize, usize)>,
}

impl Groups {
    /// Reads all groups of an object.
    pub(crate) fn read<'a>(
        file: &File<'_, 'a>,
        symbols: &[RawSymbol<'a>],
        builder: &mut ObjectBuilder<'_, 'a>,
    ) -> Result<Groups, LinkError> {
        let mut groups = Groups::default();
        if !file.sections().iter().any(|section| section.has(COMDAT)) {
            return Ok(groups);
        }
        let found = find(file, symbols);
        groups.groups = vec![None; file.sections().len()];
        for (index, found) in found.iter().enumerate().filter(|(index, _)| file.sections()[*index].has(COMDAT)) {
            let is_unwind_data = conventions::is_unwind_data(file.section_name(index)?);
            if found.record.is_none() && is_unwind_data {
                // Tools that take symbols away leave no rule; it goes with its function, as without a second symbol.
                let mut group = Group::any(b"", builder.id());
                group.selection = Selection::All;
                groups.groups[index] = Some(builder.add_group(group));
                continue;
            }
            let Some(record) = found.record else {
                return Err(file.malformed(index, 0, "it is COMDAT, and no symbol says by which rule"));
            };
            let selection = match record.selection {
                1 => Selection::NoDuplicates,
                2 => Selection::Any,
                3 => Selection::SameSize,
                4 => Selection::ExactMatch,
                ASSOCIATIVE => Selection::All,
                6 => Selection::Largest,
                7 => {
                    let advice = "compile with a rule that linkers have, such as \"largest\" or \"any\"";
                    return Err(file.unsupported(index, "the COMDAT rule \"newest\" is not supported", advice));
                }
                other => return Err(file.malformed(index, 0, format!("its COMDAT rule is {other}, none from 1 to 7"))),
            };
            let (name, selection) = match found.leader {
                _ if record.selection == ASSOCIATIVE => {
                    let other = (record.number as usize).checked_sub(1);
                    let Some(other) = other.filter(|other| *other < file.sections().len() && *other != index) else {
                        let what =
                            format!("it goes with section {}, which is not another of the object", record.number);
                        return Err(file.malformed(index, 0, what));
                    };
                    groups.associated.push((index, other));
                    (b"".as_slice(), Selection::All)
                }
                Some((_, false)) => (b"".as_slice(), Selection::All),
                Some((name, true)) => (name, selection),
                None if is_unwind_data => (b"".as_slice(), Selection::All),
                None => (file.section_name(index)?, selection),
            };
            let mut group = Group::any(name, builder.id());
            group.selection = selection;
            // GCC pads sections that have the size of all copies, and clang does not.
            let is_padded = record.length > 0 && record.length < file.sections()[index].size;
            group.leader_size = is_padded.then_some(record.length.into());
            groups.groups[index] = Some(builder.add_group(group));
        }
        groups.check_chains(file)?;
        for &(index, other) in &groups.associated {
            if let (Some(group), Some(parent)) = (groups.groups[index], groups.groups[other]) {
                builder.group_mut(group).parent = Some(parent);
            }
        }
        Ok(groups)
    }

    /// Refuses sections that go with each other in a circle ("PE Format", "COMDAT Sections (Object Only)": it is none).
    fn check_chains(&self, file: &File<'_, '_>) -> Result<(), LinkError> {
        let mut next = vec![None; self.groups.len()];
        self.associated.iter().for_each(|&(index, other)| next[index] = Some(other));
        // The walk in which a section was met.
        let mut met = vec![usize::MAX; next.len()];
        for start in 0..next.len() {
            let mut index = start;
            while met[index] == usize::MAX {
                met[index] = start;
                let Some(other) = next[index] else { break };
                if met[other] == start {
                    let what = format!("it goes with {}, which goes with it in turn", file.display_section(other));
                    return Err(file.malformed(index, 0, what));
                }
                index = other;
            }
        }
        Ok(())
    }

    /// The group of a section.
    pub(crate) fn of(&self, index: usize) -> Option<GroupId> {
        self.groups.get(index).copied().flatten()
    }

    /// Sections that go with others: the index of each, and that of the other.
    pub(crate) fn associated(&self) -> &[(usize, usize)] {
        &self.associated
    }
}

fn find<'a>(file: &File<'_, 'a>, symbols: &[RawSymbol<'a>]) -> Vec<Found<'a>> {
    let mut found = vec![Found::default(); file.sections().len()];
    for symbol in symbols {
        let Home::Section(index) = symbol.home else { continue };
        let found = &mut found[index];
        if found.record.is_none() {
            if symbol.is_section() {
                found.record = Some(SectionRecord::of(symbol, file.is_big));
            }
        } else if found.leader.is_none() && !symbol.is_mark() {
            found.leader = Some((symbol.name, matches!(symbol.class, EXTERNAL | WEAK_EXTERNAL)));
        }
    }
    found
}
