//! Unwind records: each live function has its own, in order, and each record a CIE that says what its own said.

use super::Program;
use crate::kit::Image;
use crate::kit::text::{Place, TextBlock, TextReloc};
use jitlink_core::Endian;
use jitlink_core::graph::Role;

/// A function's record: its address, the rest of the record, and its CIE.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    function: u64,
    rest: Vec<u8>,
    cie: Cie,
}

/// A CIE without its relocated field, and the address that this leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cie {
    bytes: Vec<u8>,
    personality: Option<u64>,
}

/// Where a CIE of the tests names a personality routine, if it does.
const PERSONALITY: usize = 18;

impl Program<'_> {
    /// Checks the combined records; how many there are.
    pub(super) fn check_unwind(&self, image: &Image) -> usize {
        let expected = self.expected(image);
        let Some((start, size)) = image.section("(jitlink)", ".eh_frame") else {
            assert!(expected.is_empty(), "unwind records are gone");
            return 0;
        };
        let endian = image.linked.target.endian;
        let bytes = image.bytes(start, size as usize);
        let (mut found, mut cies) = (Vec::new(), Vec::new());
        let mut at = 0;
        while number(bytes, at, endian) != 0 {
            let size = 4 + number(bytes, at, endian) as usize;
            let distance = number(bytes, at + 4, endian) as usize;
            let record = &bytes[at..at + size];
            let address = |offset: usize| {
                let place = start + (at + offset) as u64;
                place.wrapping_add_signed(image.signed(place, 4))
            };
            if distance == 0 {
                let personality = has_personality(record).then(|| address(PERSONALITY));
                cies.push((at, cie(record, personality)));
            } else {
                let cie = cies.iter().find(|cie| cie.0 == at + 4 - distance).expect("a CIE where the FDE says");
                found.push(Record { function: address(8), rest: record[12..].to_vec(), cie: cie.1.clone() });
            }
            at += size;
        }
        assert_eq!(at + 4, bytes.len(), "the terminator is the end");
        assert_eq!(found, expected);
        let all = cies.len();
        let mut different: Vec<Cie> = cies.into_iter().map(|cie| cie.1).collect();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), all, "equal CIEs are one");
        found.len()
    }

    fn expected(&self, image: &Image) -> Vec<Record> {
        let mut records = Vec::new();
        for (object, (name, text)) in self.objects.iter().enumerate() {
            for section in text.sections.iter().filter(|section| section.role == Role::EhFrame) {
                let block = &section.blocks[0];
                let mut at = 0;
                while at < block.bytes.len() && number(&block.bytes, at, text.endian) != 0 {
                    let size = 4 + number(&block.bytes, at, text.endian) as usize;
                    let distance = number(&block.bytes, at + 4, text.endian) as usize;
                    let record = &block.bytes[at..at + size];
                    let function = relocation(block, at + 8).and_then(|relocation| {
                        let symbol = text.symbols.iter().find(|symbol| symbol.name == relocation.target)?;
                        let Place::Label(of, _, offset) = symbol.place else { return None };
                        Some(image.section(name, text.sections[of].name)?.0 + offset)
                    });
                    if let (Some(function), true) = (function, distance > 0) {
                        let own = at + 4 - distance;
                        let size = 4 + number(&block.bytes, own, text.endian) as usize;
                        let personality = relocation(block, own + PERSONALITY);
                        let personality =
                            personality.map(|relocation| self.meaning(image, object, relocation.target).address);
                        let cie = cie(&block.bytes[own..own + size], personality);
                        records.push(Record { function, rest: record[12..].to_vec(), cie });
                    }
                    at += size;
                }
            }
        }
        records
    }
}

fn relocation<'b, 'a>(block: &'b TextBlock<'a>, offset: usize) -> Option<&'b TextReloc<'a>> {
    block.relocations.iter().find(|relocation| relocation.offset == offset)
}

/// A CIE's augmentation begins after its version.
fn has_personality(record: &[u8]) -> bool {
    record[9..].starts_with(b"zP")
}

fn cie(record: &[u8], personality: Option<u64>) -> Cie {
    let mut bytes = record.to_vec();
    if personality.is_some() {
        bytes[PERSONALITY..PERSONALITY + 4].fill(0);
    }
    Cie { bytes, personality }
}

fn number(bytes: &[u8], at: usize, endian: Endian) -> u64 {
    crate::kit::machine::number(endian, &bytes[at..at + 4])
}
