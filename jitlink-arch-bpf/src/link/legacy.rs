//! Maps of old objects: `struct bpf_map_def` in sections `maps` and `maps/NAME`.
//!
//! The kernel's `samples/bpf` and libbpf before 1.0 had five numbers: type, size of a key, size of a value, number of elements,
//! flags. Other loaders' structs are longer; what follows the flags is theirs, and must be zero to mean nothing.

use crate::image::MapDefinition;
use jitlink_core::Endian;

/// The size of the struct's known part.
const KNOWN: usize = 20;

/// The map that these bytes, the whole of a symbol's, define.
pub(super) fn definition(name: &str, bytes: &[u8], endian: Endian) -> Result<MapDefinition, String> {
    let Some(known) = bytes.get(..KNOWN) else {
        return Err(format!("map {name} has {} bytes, of a definition of at least {KNOWN}", bytes.len()));
    };
    if let Some(at) = bytes[KNOWN..].iter().position(|byte| *byte != 0) {
        let at = at + KNOWN;
        return Err(format!("map {name} has a value at byte {at} of its definition, which no loader has defined"));
    }
    let number = |index: usize| endian.read(&known[index * 4..][..4]) as u32;
    Ok(MapDefinition {
        name: name.into(),
        kind: number(0),
        key_size: number(1),
        value_size: number(2),
        max_entries: number(3),
        flags: number(4),
        ..MapDefinition::default()
    })
}
