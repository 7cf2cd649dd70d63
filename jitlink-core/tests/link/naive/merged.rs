//! Merged sections: nobody says where an entry is, only what it holds.

use super::Program;
use crate::kit::Image;
use crate::kit::text::{Place, TextReloc, TextSection};
use jitlink_core::graph::{Merge, Scope};
use std::collections::BTreeMap;

/// An entry of a section that is gone: the section, its object, and the offset that is meant.
struct Entry<'p, 'a> {
    section: &'p TextSection<'a>,
    offset: usize,
    /// The addend chose the entry, because the reference is to the section itself.
    whole: bool,
}

/// Where entries were found, by what makes them one: kind, alignment, bytes.
pub(super) type Found = BTreeMap<(String, u64, Vec<u8>), u64>;

impl Program<'_> {
    /// Checks a reference into a merged section; whether it was one.
    pub(super) fn check_merged(
        &self,
        image: &Image,
        object: usize,
        relocation: &TextReloc<'_>,
        place: u64,
        found: &mut Found,
    ) -> bool {
        let Some(entry) = self.entry(image, object, relocation) else { return false };
        let size = relocation.row.field().bytes();
        let reached = match relocation.row.name() {
            "ABS64" | "ABS32" => image.number(place, size),
            "REL32" => place.wrapping_add_signed(image.signed(place, size)),
            other => panic!("no rule for {other} into a merged section"),
        };
        // What a name means does not depend on what is added to its address.
        let reached = if entry.whole { reached } else { reached.wrapping_sub(relocation.addend as u64) };
        let (start, end) = bounds(entry.section, entry.offset);
        let bytes = &entry.section.blocks[0].bytes;
        let context = || format!("{} of {} in object {object}", relocation.target, entry.section.name);
        assert_eq!(image.bytes(reached, end - entry.offset), &bytes[entry.offset..end], "{}", context());
        // Equal entries are one.
        let first = reached - (entry.offset - start) as u64;
        let key = (format!("{:?}", entry.section.merge), entry.section.align, bytes[start..end].to_vec());
        assert_eq!(*found.entry(key).or_insert(first), first, "another copy: {}", context());
        assert_eq!(first % entry.section.align, 0, "{}", context());
        true
    }

    fn entry(&self, image: &Image, object: usize, relocation: &TextReloc<'_>) -> Option<Entry<'_, '_>> {
        let (name, text) = &self.objects[object];
        let (section, offset, whole) = match relocation.target.strip_prefix('@') {
            Some(section) => {
                let section = text.sections.iter().find(|other| other.name == section)?;
                (section, usize::try_from(relocation.addend).ok()?, true)
            }
            None => {
                let local = |symbol: &&crate::kit::text::TextSymbol<'_>| symbol.scope == Scope::Local;
                let symbol = text.symbols.iter().filter(local).find(|symbol| symbol.name == relocation.target)?;
                let Place::Label(section, _, offset) = symbol.place else { return None };
                (&text.sections[section], offset as usize, false)
            }
        };
        let merged = section.merge.is_some() && image.section(name, section.name).is_none();
        merged.then_some(Entry { section, offset, whole })
    }
}

/// Start and end of the entry that an offset lies in.
fn bounds(section: &TextSection<'_>, offset: usize) -> (usize, usize) {
    let bytes = &section.blocks[0].bytes;
    match section.merge.expect("a section of entries") {
        Merge::Constants(size) => {
            let start = offset / size as usize * size as usize;
            (start, start + size as usize)
        }
        Merge::Strings(size) => {
            assert_eq!(size, 1, "the tests have plain strings");
            let start = bytes[..offset].iter().rposition(|byte| *byte == 0).map_or(0, |zero| zero + 1);
            let end = bytes[offset..].iter().position(|byte| *byte == 0).expect("a terminator");
            (start, offset + end + 1)
        }
    }
}
