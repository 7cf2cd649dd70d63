//! What rules can ask of a link: its map and its memory.

use crate::expression::{Lookup, What};
use jitlink_core::image::ImageSegment;
use jitlink_core::link::{LinkMap, Linked, MapObject};
use jitlink_core::{Addr, AddrRange, Endian};

/// Linked memory that can be read.
pub trait Memory {
    /// Copies the bytes from `address` on; `false` where some of them are not linked memory.
    fn read(&self, address: Addr, bytes: &mut [u8]) -> bool;

    /// The runs of memory, for messages: address and size.
    fn spans(&self) -> Vec<(Addr, u64)>;
}

impl Memory for Linked {
    fn read(&self, address: Addr, bytes: &mut [u8]) -> bool {
        self.allocation.read(address, bytes).is_ok()
    }

    fn spans(&self) -> Vec<(Addr, u64)> {
        self.segments.iter().map(|segment| (segment.address, segment.size)).collect()
    }
}

/// The segments of an image executor.
impl Memory for Vec<ImageSegment> {
    fn read(&self, address: Addr, bytes: &mut [u8]) -> bool {
        read(self.iter().map(|segment| (segment.address, segment.bytes())), address, bytes)
    }

    fn spans(&self) -> Vec<(Addr, u64)> {
        self.iter().map(|segment| (segment.address, segment.size())).collect()
    }
}

/// Runs of bytes with their addresses, made by hand.
impl Memory for Vec<(Addr, Vec<u8>)> {
    fn read(&self, address: Addr, bytes: &mut [u8]) -> bool {
        read(self.iter().map(|(start, content)| (*start, content.as_slice())), address, bytes)
    }

    fn spans(&self) -> Vec<(Addr, u64)> {
        self.iter().map(|(start, content)| (*start, content.len() as u64)).collect()
    }
}

/// Reads from the run that holds all of the bytes.
fn read<'m>(mut runs: impl Iterator<Item = (Addr, &'m [u8])>, address: Addr, bytes: &mut [u8]) -> bool {
    let size = bytes.len() as u64;
    let run = runs.find(|(start, content)| {
        !content.is_empty() && AddrRange::new(*start, content.len() as u64).contains(address, size)
    });
    let Some((start, content)) = run else { return false };
    let from = address.offset_from(start) as usize;
    bytes.copy_from_slice(&content[from..from + bytes.len()]);
    true
}

/// What a link placed where, and its memory.
#[derive(Clone, Copy)]
pub struct View<'v> {
    /// What is where.
    pub map: &'v LinkMap,
    /// The byte order of loads.
    pub endian: Endian,
    /// The memory.
    pub memory: &'v dyn Memory,
}

impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("map", self.map).field("endian", &self.endian).finish_non_exhaustive()
    }
}

/// Why a look-up gives no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The link has none; what is called alike.
    Nowhere(Option<String>),
    /// There are several: where each is.
    Several(Vec<String>),
    /// No object is called so; those that there are.
    NoObject(Vec<String>),
}

/// An answer, and the object that gave it.
type Found = (u64, String);

impl View<'_> {
    pub(crate) fn look_up(&self, lookup: &Lookup) -> Result<u64, Missing> {
        if let Some(object) = &lookup.object
            && !self.map.objects.iter().any(|candidate| is_called(candidate, object))
        {
            let names = self.map.objects.iter().map(|object| object.name.clone());
            return Err(Missing::NoObject(names.collect()));
        }
        let mut found: Vec<Found> = Vec::new();
        self.visit(lookup, &mut |name, answer| {
            // Objects share slots and stubs.
            if name == lookup.name && !found.iter().any(|(value, _)| *value == answer.0) {
                found.push(answer);
            }
        });
        match found.as_slice() {
            [] => Err(Missing::Nowhere(self.similar(lookup))),
            [(value, _)] => Ok(*value),
            _ => Err(Missing::Several(
                found.into_iter().map(|(value, place)| format!("{value:#x} in {place}")).collect(),
            )),
        }
    }

    /// Gives all that could be meant, whatever its name.
    fn visit(&self, lookup: &Lookup, give: &mut dyn FnMut(&str, Found)) {
        for object in &self.map.objects {
            if lookup.object.as_ref().is_some_and(|name| !is_called(object, name)) {
                continue;
            }
            let place = || object.name.clone();
            match &lookup.what {
                What::Symbol => {
                    object.symbols.iter().for_each(|symbol| give(&symbol.name, (symbol.address.0, place())))
                }
                What::Size => object.symbols.iter().for_each(|symbol| give(&symbol.name, (symbol.size, place()))),
                What::Section | What::SectionSize | What::SectionEnd => object.sections.iter().for_each(|section| {
                    let value = match lookup.what {
                        What::Section => section.address.0,
                        What::SectionSize => section.size,
                        _ => (section.address + section.size).0,
                    };
                    give(&section.name, (value, place()));
                }),
                What::Got => object.got.iter().for_each(|(name, at)| give(name, (at.0, place()))),
                What::Stub(wanted) => {
                    let of_kind = |kind: &str| wanted.as_ref().is_none_or(|wanted| wanted == kind);
                    let stubs = object.stubs.iter().filter(|(_, _, kind)| of_kind(kind.name()));
                    stubs.for_each(|(name, at, kind)| give(name, (at.0, format!("{} ({})", place(), kind.name()))));
                }
            }
        }
        if lookup.object.is_none() && lookup.what == What::Symbol {
            self.map.absolute.iter().for_each(|(name, at)| give(name, (at.0, "no object".into())));
        }
    }

    /// What is called almost like that.
    fn similar(&self, lookup: &Lookup) -> Option<String> {
        let mut best: Option<(usize, String)> = None;
        self.visit(lookup, &mut |name, _| {
            // Names of one letter are all alike.
            let most = (lookup.name.chars().count() / 3).min(2);
            if name.len().abs_diff(lookup.name.len()) > 8 {
                return;
            }
            let distance = strsim::osa_distance(name, &lookup.name);
            let is_close = distance > 0 && (distance <= most || plain(name) == plain(&lookup.name));
            if is_close && best.as_ref().is_none_or(|(least, _)| distance < *least) {
                best = Some((distance, name.to_string()));
            }
        });
        best.map(|(_, name)| name)
    }
}

fn plain(name: &str) -> String {
    name.trim_start_matches(['_', '.']).to_ascii_lowercase()
}

/// Whether an object has that name, with or without its folders.
fn is_called(object: &MapObject, name: &str) -> bool {
    object.name == name || object.name.strip_suffix(name).is_some_and(|folders| folders.ends_with('/'))
}
