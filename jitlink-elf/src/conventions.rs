//! What a section's name alone means, by convention of the tools rather than by the gABI.
//!
//! # Arrays of initialisers
//!
//! | section | stage | priority | runs |
//! | --- | --- | --- | --- |
//! | `.preinit_array` | preinit | 65535 | first pointer first |
//! | `.init_array`, `.init_array.N` | init | 65535, N | first pointer first |
//! | `.ctors`, `.ctors.N` | init | 65535, 65535 - N | last pointer first |
//! | `.fini_array`, `.fini_array.N` | fini | 65535, N | last pointer first |
//! | `.dtors`, `.dtors.N` | fini | 65535, 65535 - N | first pointer first |
//!
//! This is what GNU ld's default script makes of them (`SORT_BY_INIT_PRIORITY`; sections of the older kind are merged into the
//! arrays reversed). At start arrays run by ascending priority, those of equal priority in input order. At the end all of
//! that is turned around: descending priority, the last input first, each array from its end, as the C library walks
//! `.fini_array`; so what was built last is torn down first. `.dtors` was written to be walked forwards. A suffix that is no
//! number does not change the priority.

use jitlink_core::format::{Boundary, BoundaryEnd};
use jitlink_core::graph::{InitStage, Initialisers};
use object::elf::{self, SectionType};

/// The priority of arrays that name none: after all that do.
const DEFAULT_PRIORITY: u32 = 65_535;

/// The array of initialisers that a section is, by its type or, in objects of older compilers, by its name.
pub(crate) fn initialisers(name: &[u8], kind: SectionType) -> Option<Initialisers> {
    let array = |prefix: &[u8]| -> Option<u32> {
        let suffix = name.strip_prefix(prefix)?;
        match suffix.split_first() {
            None => Some(DEFAULT_PRIORITY),
            Some((b'.', digits)) => Some(number(digits).unwrap_or(DEFAULT_PRIORITY)),
            Some(_) => None,
        }
    };
    let old = |prefix: &[u8]| {
        let numbered = name.strip_prefix(prefix)?.strip_prefix(b".").and_then(number);
        array(prefix).map(|plain| numbered.map_or(plain, |number| DEFAULT_PRIORITY.saturating_sub(number)))
    };
    let order = |stage, priority, backwards| Some(Initialisers { stage, priority, backwards });
    if let Some(priority) = old(b".ctors") {
        return order(InitStage::Init, priority, true);
    }
    if let Some(priority) = old(b".dtors") {
        return order(InitStage::Fini, priority, false);
    }
    let rules: [(&[u8], SectionType, InitStage, bool); 3] = [
        (b".preinit_array", elf::SHT_PREINIT_ARRAY, InitStage::Preinit, false),
        (b".init_array", elf::SHT_INIT_ARRAY, InitStage::Init, false),
        (b".fini_array", elf::SHT_FINI_ARRAY, InitStage::Fini, true),
    ];
    for (prefix, by_type, stage, backwards) in rules {
        if let Some(priority) = array(prefix).or((kind == by_type).then_some(DEFAULT_PRIORITY)) {
            return order(stage, priority, backwards);
        }
    }
    None
}

fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Whether a section of this name is constant once it is relocated (`.data.rel.ro`, `.data.rel.ro.local`, `.data.rel.ro.NAME`).
pub(crate) fn is_relro(name: &[u8]) -> bool {
    name.strip_prefix(b".data.rel.ro").is_some_and(|rest| rest.is_empty() || rest.starts_with(b"."))
}

/// Whether C code can write this name, so that `__start_NAME` and `__stop_NAME` are names too.
pub(crate) fn is_c_identifier(name: &[u8]) -> bool {
    let letter = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    name.first().is_some_and(letter) && name.iter().all(|byte| letter(byte) || byte.is_ascii_digit())
}

/// The section whose start or stop a name means; the arrays of initialisers by the names that GNU ld's default script gives them, which
/// start-up code of static programs walks over.
pub(crate) fn boundary(name: &[u8]) -> Option<Boundary<'_>> {
    let arrays: [(&[u8], &[u8], InitStage); 3] = [
        (b"__preinit_array_", b".preinit_array", InitStage::Preinit),
        (b"__init_array_", b".init_array", InitStage::Init),
        (b"__fini_array_", b".fini_array", InitStage::Fini),
    ];
    for (prefix, section, stage) in arrays {
        let end = match name.strip_prefix(prefix) {
            Some(b"start") => BoundaryEnd::Start,
            Some(b"end") => BoundaryEnd::Stop,
            _ => continue,
        };
        return Some(Boundary { section, stage: Some(stage), end });
    }
    let (section, end) = match (name.strip_prefix(b"__start_"), name.strip_prefix(b"__stop_")) {
        (Some(section), _) => (section, BoundaryEnd::Start),
        (_, Some(section)) => (section, BoundaryEnd::Stop),
        _ => return None,
    };
    is_c_identifier(section).then_some(Boundary { section, stage: None, end })
}

/// Whether a section that takes up no memory of the program holds debug information.
pub(crate) fn is_debug(name: &[u8]) -> bool {
    [b".debug".as_slice(), b".zdebug", b".stab", b".gdb_index", b".line"].iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_are_those_of_gnu_ld() {
        let check = |name: &str, kind, stage, priority, backwards| {
            let expected = Some(Initialisers { stage, priority, backwards });
            assert_eq!(initialisers(name.as_bytes(), kind), expected, "{name}");
        };
        let progbits = elf::SHT_PROGBITS;
        check(".init_array", progbits, InitStage::Init, 65_535, false);
        check(".init_array.00101", elf::SHT_INIT_ARRAY, InitStage::Init, 101, false);
        check(".init_array.text", progbits, InitStage::Init, 65_535, false);
        check("anything", elf::SHT_INIT_ARRAY, InitStage::Init, 65_535, false);
        check(".preinit_array", progbits, InitStage::Preinit, 65_535, false);
        check(".fini_array.7", progbits, InitStage::Fini, 7, true);
        check(".ctors", progbits, InitStage::Init, 65_535, true);
        check(".ctors.65434", progbits, InitStage::Init, 101, true);
        check(".ctors.99999", progbits, InitStage::Init, 0, true);
        check(".dtors.65435", progbits, InitStage::Fini, 100, false);
        check(".init_array.99999999999999999999", progbits, InitStage::Init, 65_535, false);
        for ordinary in [".init_arrays", ".ctorsx", ".init", ".text", ""] {
            assert_eq!(initialisers(ordinary.as_bytes(), progbits), None, "{ordinary}");
        }
    }

    #[test]
    fn constants_with_relocations_are_told_by_name() {
        for name in [".data.rel.ro", ".data.rel.ro.local", ".data.rel.ro._ZTV3Foo"] {
            assert!(is_relro(name.as_bytes()), "{name}");
        }
        for name in [".data.rel", ".data.rel.local", ".data.rel.rot", ".data", ""] {
            assert!(!is_relro(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn boundaries_are_of_c_identifiers() {
        let start = boundary(b"__start_my_set").unwrap();
        assert_eq!((start.section, start.end), (b"my_set".as_slice(), BoundaryEnd::Start));
        let arrays = boundary(b"__fini_array_end").unwrap();
        let expected = Boundary { section: b".fini_array", stage: Some(InitStage::Fini), end: BoundaryEnd::Stop };
        assert_eq!((arrays, boundary(b"__init_array_stop")), (expected, None));
        let stop = boundary(b"__stop__2").unwrap();
        assert_eq!((stop.section, stop.end), (b"_2".as_slice(), BoundaryEnd::Stop));
        for other in ["__start_", "__start_2x", "__stop_.text", "start_x", "__start_a-b"] {
            assert_eq!(boundary(other.as_bytes()), None, "{other}");
        }
    }
}
