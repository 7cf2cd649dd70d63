//! A linker that is too simple to be wrong: it takes the addresses that the real one chose, and computes every field anew, one by
//! one, in 128 bits. What it expects is compared with what was written. Entries of merged sections and unwind records are looked
//! for where references lead: that is all that a program can see of them.

mod merged;
mod unwind;

use crate::kit::Image;
use crate::kit::arch::{JMP_SLOT, JMP32, LEA, LOAD};
use crate::kit::text::{Place, Text, TextReloc, TextSection, TextSymbol, parse};
use jitlink_core::graph::{Linkage, Protection, Scope};

/// Objects by name.
pub(crate) struct Program<'a> {
    pub(crate) objects: Vec<(&'a str, Text<'a>)>,
    pub(crate) defines: Vec<(String, u64)>,
}

/// Where a name leads: address, size, and the start of its section.
struct Meaning {
    address: u64,
    size: u64,
    section: u64,
}

impl<'a> Program<'a> {
    pub(crate) fn new(objects: &'a [(String, String)], defines: &[(String, u64)]) -> Program<'a> {
        let parse = |(name, text): &'a (String, String)| {
            (name.as_str(), parse(text).unwrap_or_else(|(line, what)| panic!("{name}:{line}: {what}")))
        };
        Program { objects: objects.iter().map(parse).collect(), defines: defines.to_vec() }
    }

    /// Checks every byte of every live section; how many relocations there were.
    pub(crate) fn check(&self, image: &Image) -> usize {
        let mut count = self.check_unwind(image);
        let mut found = merged::Found::new();
        for (object, (name, text)) in self.objects.iter().enumerate() {
            for section in &text.sections {
                let Some((start, _)) = image.section(name, section.name) else {
                    assert!(!section.retain, "{name} {} is gone", section.name);
                    continue;
                };
                assert_eq!(start % section.align, 0, "{name} {} is misaligned", section.name);
                let block = &section.blocks[0];
                let mut rest = block.bytes.clone();
                let mut real = image.bytes(start, block.bytes.len()).to_vec();
                for relocation in &block.relocations {
                    let place = start + relocation.offset as u64;
                    if !self.check_merged(image, object, relocation, place, &mut found) {
                        self.check_field(image, object, section, relocation, place);
                    }
                    // What else stands in a load that became shorter is the machine's business.
                    let first = relocation.offset - if relocation.row.name() == "SLOTX" { 4 } else { 0 };
                    let end = relocation.offset + relocation.row.field().bytes();
                    rest[first..end].fill(0);
                    real[first..end].fill(0);
                    count += 1;
                }
                assert_eq!(rest, real, "{name} {}: bytes that no relocation touches", section.name);
            }
        }
        count
    }

    fn check_field(
        &self,
        image: &Image,
        object: usize,
        section: &TextSection<'_>,
        relocation: &TextReloc<'_>,
        place: u64,
    ) {
        let TextReloc { row, target, addend, .. } = relocation;
        let meaning = self.meaning(image, object, target);
        let (s, a, p) = (i128::from(meaning.address), i128::from(*addend), i128::from(place));
        let size = row.field().bytes();
        let got = i128::from(image.pointer(image.address("got_base")));
        let read = if size == 0 { 0 } else { image.number(place, size) };
        let signed = || i128::from(image.signed(place, size));
        let at = |address: i128| address as u64;
        let context = || {
            format!(
                "{} {}+{:#x}: {} {target}{addend:+}",
                self.objects[object].0,
                section.name,
                relocation.offset,
                row.name()
            )
        };
        let expected: i128 = match row.name() {
            "NONE" => return,
            "ABS64" | "ABS32" => s + a,
            "REL32" if section.protection == Protection::ReadExecute => {
                // A jump may go through a stub.
                return assert_eq!(follow(image, at(p + signed() - a)), meaning.address, "{}", context());
            }
            "REL32" | "REL64" => s + a - p,
            "GOTOFF" => s + a - got,
            "GOTREL" => got + a - p,
            "SIZE" => i128::from(meaning.size) + a,
            "IMAGE" => s + a - i128::from(image.linked.segments.iter().map(|segment| segment.address.0).min().unwrap()),
            "SECREL" => s + a - i128::from(meaning.section),
            "PAGE" => ((s + a) & !0xfff) - (p & !0xfff),
            "HIGH" => ((s + a + 0x8000) >> 16 & 0xffff) << 4,
            "SPLIT" => return self.check_split(image, place, s + a, &context()),
            "FORMULA" => (s + a) ^ p,
            "SLOT" => return assert_eq!(image.pointer(at(p + signed())), meaning.address, "{}", context()),
            "SLOTOFF" => return assert_eq!(image.pointer(at(got + signed())), meaning.address, "{}", context()),
            "SLOTX" => {
                let reached = match (image.number(place - 4, 4) >> 24) as u8 {
                    LOAD => image.pointer(at(p + signed())),
                    LEA => at(p + signed()),
                    other => panic!("{}: operation {other:#x}", context()),
                };
                return assert_eq!(reached, meaning.address, "{}", context());
            }
            "CALL" => {
                let distance = ((image.number(place, 4) & 0x1fff) as i64) << 51 >> 51;
                return assert_eq!(follow(image, at(p + i128::from(distance))), meaning.address, "{}", context());
            }
            "CALL32" => return assert_eq!(follow(image, at(p + signed())), meaning.address, "{}", context()),
            other => panic!("no rule for {other}"),
        };
        let mask = (1i128 << (size * 8)) - 1;
        assert_eq!(i128::from(read), expected & mask, "{}: {read:#x}, expected {expected:#x}", context());
    }

    fn check_split(&self, image: &Image, place: u64, value: i128, context: &str) {
        let (low, high) = (value & 0xfff, value >> 12 & 0xff);
        let words = (image.number(place, 2), image.number(place + 2, 2));
        assert_eq!((i128::from(words.0), i128::from(words.1)), (high << 4, low), "{context}");
    }

    fn meaning(&self, image: &Image, object: usize, name: &str) -> Meaning {
        let (_, text) = &self.objects[object];
        if let Some(section) = name.strip_prefix('@') {
            let (address, _) = image.section(self.objects[object].0, section).expect("a live section");
            return Meaning { address, size: 0, section: address };
        }
        if let Some(own) = text.symbols.iter().find(|symbol| symbol.name == name && symbol.scope == Scope::Local) {
            return self.defined(image, object, own);
        }
        if name == "_GOT_" {
            let address = image.pointer(image.address("got_base"));
            return Meaning { address, size: 0, section: 0 };
        }
        let all = || {
            let objects = self.objects.iter().enumerate();
            objects.flat_map(|(index, (_, text))| text.symbols.iter().map(move |symbol| (index, symbol)))
        };
        let named = |(_, symbol): &(usize, &TextSymbol<'_>)| symbol.name == name && symbol.scope != Scope::Local;
        let rank = |symbol: &TextSymbol<'_>| match symbol.place {
            Place::Undefined => 0,
            Place::Common(_) => 2,
            _ if symbol.linkage == Linkage::Strong => 3,
            _ => 1,
        };
        let best = all().filter(named).map(|(_, symbol)| rank(symbol)).max().unwrap_or(0);
        match all().filter(named).find(|(_, symbol)| best > 0 && rank(symbol) == best) {
            Some((object, symbol)) => self.defined(image, object, symbol),
            None => {
                let given = self.defines.iter().find(|define| define.0 == name).map_or(0, |define| define.1);
                Meaning { address: given, size: 0, section: 0 }
            }
        }
    }

    fn defined(&self, image: &Image, object: usize, symbol: &TextSymbol<'_>) -> Meaning {
        let (name, text) = &self.objects[object];
        match symbol.place {
            Place::Label(section, _, offset) => {
                let (start, _) = image.section(name, text.sections[section].name).expect("a live section");
                Meaning { address: start + offset, size: symbol.size, section: start }
            }
            Place::Absolute(address) => Meaning { address, size: symbol.size, section: 0 },
            Place::Common(_) => {
                let all = self.objects.iter().flat_map(|(_, text)| &text.symbols);
                let size = all.filter(|other| other.name == symbol.name).map(|other| other.size).max().unwrap_or(0);
                let address = image.address(symbol.name);
                Meaning { address, size, section: address }
            }
            Place::Undefined => panic!("{} is not defined", symbol.name),
        }
    }
}

/// Where a jump to an address arrives, after stubs and thunks.
fn follow(image: &Image, mut address: u64) -> u64 {
    for _ in 0..8 {
        let linkers = image.map().objects.iter().filter(|object| object.name == "(jitlink)");
        let is_linkers = linkers
            .flat_map(|object| &object.sections)
            .any(|section| (section.address.0..section.address.0 + section.size).contains(&address));
        // Common symbols are the linker's own too, but nothing jumps on from data.
        if !is_linkers || !image.is_code(address) {
            return address;
        }
        let distance = |at: u64| at.wrapping_add_signed(image.signed(at, 4));
        address = match (image.number(address, 4) >> 24) as u8 {
            JMP_SLOT => image.pointer(distance(address + 4)),
            JMP32 => distance(address + 4),
            _ => return address,
        };
    }
    panic!("stubs lead in a circle at {address:#x}");
}
