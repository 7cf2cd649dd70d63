//! The types of maps that there are, under the kernel's numbers.

use super::errno::{Errno, MapResult};
use jitlink_arch_bpf::catalog::maps::{self, MapType};

/// A type of map. The numbers are those of the kernel's `enum bpf_map_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[expect(missing_docs, reason = "the names are the kernel's, and the catalog describes them")]
pub enum MapKind {
    Hash = 1,
    Array = 2,
    ProgArray = 3,
    PerfEventArray = 4,
    PercpuHash = 5,
    PercpuArray = 6,
    LruHash = 9,
    LruPercpuHash = 10,
    LpmTrie = 11,
    ArrayOfMaps = 12,
    HashOfMaps = 13,
    Devmap = 14,
    Cpumap = 16,
    Xskmap = 17,
    Queue = 22,
    Stack = 23,
    SkStorage = 24,
    DevmapHash = 25,
    Ringbuf = 27,
    InodeStorage = 28,
    TaskStorage = 29,
    BloomFilter = 30,
    UserRingbuf = 31,
    CgrpStorage = 32,
    Arena = 33,
}

/// All of them. What the kernel calls them, and which types it has beside them, is in the catalog.
const KINDS: [MapKind; 25] = [
    MapKind::Hash,
    MapKind::Array,
    MapKind::ProgArray,
    MapKind::PerfEventArray,
    MapKind::PercpuHash,
    MapKind::PercpuArray,
    MapKind::LruHash,
    MapKind::LruPercpuHash,
    MapKind::LpmTrie,
    MapKind::ArrayOfMaps,
    MapKind::HashOfMaps,
    MapKind::Devmap,
    MapKind::Cpumap,
    MapKind::Xskmap,
    MapKind::Queue,
    MapKind::Stack,
    MapKind::SkStorage,
    MapKind::DevmapHash,
    MapKind::Ringbuf,
    MapKind::InodeStorage,
    MapKind::TaskStorage,
    MapKind::BloomFilter,
    MapKind::UserRingbuf,
    MapKind::CgrpStorage,
    MapKind::Arena,
];

impl MapKind {
    /// The type with a number of the kernel's; types that there are not here are refused, by name where the catalog has them.
    pub fn from_number(number: u32) -> MapResult<MapKind> {
        if let Some(kind) = KINDS.iter().find(|kind| kind.number() == number) {
            return Ok(*kind);
        }
        Err(Errno::INVAL.because(match maps::by_number(number) {
            Some(known) => format!("there are no maps of type {} ({number}) here", known.name),
            None => format!("no type of map with number {number} is known"),
        }))
    }

    /// The kernel's number.
    pub fn number(self) -> u32 {
        self as u32
    }

    /// What the catalog says of it.
    pub fn description(self) -> &'static MapType {
        maps::by_number(self.number()).expect("the catalog has all types that there are here")
    }

    /// The name, as bpftool shows it.
    pub fn name(self) -> &'static str {
        self.description().name
    }

    /// Whether there is a value for each CPU.
    pub fn is_percpu(self) -> bool {
        matches!(self, MapKind::PercpuHash | MapKind::PercpuArray | MapKind::LruPercpuHash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maps::MAP_TYPES;

    #[test]
    fn each_kind_has_the_name_that_the_catalog_gives_to_its_number() {
        for known in MAP_TYPES {
            let result = MapKind::from_number(known.number);
            let plain: String = known.name.chars().filter(|letter| *letter != '_').collect();
            let kind = KINDS.iter().find(|kind| format!("{kind:?}").to_lowercase() == plain);
            assert_eq!(result.as_ref().ok(), kind, "{}", known.name);
            match result {
                Ok(kind) => assert_eq!((kind.number(), kind.name()), (known.number, known.name)),
                Err(error) => assert!(error.reason.contains(known.name), "{error}"),
            }
        }
        let named = MAP_TYPES.iter().filter(|known| MapKind::from_number(known.number).is_ok());
        assert_eq!(named.count(), KINDS.len());
        let unknown = MapKind::from_number(u32::MAX).unwrap_err();
        assert_eq!((unknown.errno, &*unknown.reason), (Errno::INVAL, "no type of map with number 4294967295 is known"));
    }
}
