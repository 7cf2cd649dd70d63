//! Routines that save and restore registers, which compilers call when they optimise for size and linkers provide (ELFv2 ABI,
//! "Register Save and Restore Functions").
//!
//! A routine's name ends with the first register that it is about. It goes on to register 31, so all of a family are entries to
//! one piece of code. Each object's reference is bound to the batch's one copy; an object or an archive that defines the name has
//! precedence.

use jitlink_core::Endian;
use jitlink_core::graph::{Content, LinkGraph, ObjectBuilder, Protection, Section, Symbol, SymbolId, Value};

/// Routines that are entries to one piece of code.
struct Family {
    /// What their names begin with.
    prefix: &'static str,
    /// The first register that there is a routine for.
    first: u32,
    /// The instructions for one register, which is `left` registers before the end (one for register 31).
    each: fn(register: u32, left: u32) -> [u32; 2],
    /// How many of those instructions there are.
    count: usize,
    /// What follows the last register.
    end: &'static [u32],
}

const BLR: u32 = 0x4e80_0020;
const SAVE_LR: u32 = 0xf801_0010; // std r0, 16(r1)
const LOAD_LR: u32 = 0xe801_0010; // ld r0, 16(r1)
const MTLR_R0: u32 = 0x7c08_03a6;

const RETURN: &[u32] = &[BLR];
/// The caller has put its return address into `r0`.
const SAVE_AND_RETURN: &[u32] = &[SAVE_LR, BLR];
/// Returns for the caller, to where that was called from.
const LEAVE: &[u32] = &[LOAD_LR, MTLR_R0, BLR];

const FAMILIES: [Family; 8] = [
    Family { prefix: "_savegpr0_", first: 14, each: |r, left| [std(r, left, 1), 0], count: 1, end: SAVE_AND_RETURN },
    Family { prefix: "_restgpr0_", first: 14, each: |r, left| [ld(r, left, 1), 0], count: 1, end: LEAVE },
    Family { prefix: "_savegpr1_", first: 14, each: |r, left| [std(r, left, 12), 0], count: 1, end: RETURN },
    Family { prefix: "_restgpr1_", first: 14, each: |r, left| [ld(r, left, 12), 0], count: 1, end: RETURN },
    Family { prefix: "_savefpr_", first: 14, each: |r, left| [stfd(r, left), 0], count: 1, end: SAVE_AND_RETURN },
    Family { prefix: "_restfpr_", first: 14, each: |r, left| [lfd(r, left), 0], count: 1, end: LEAVE },
    Family { prefix: "_savevr_", first: 20, each: |r, left| [li_r12(left), vector(231, r)], count: 2, end: RETURN },
    Family { prefix: "_restvr_", first: 20, each: |r, left| [li_r12(left), vector(103, r)], count: 2, end: RETURN },
];

/// The displacement of the register that is `left` registers of `size` bytes before the end of the save area.
const fn below(left: u32, size: u32) -> u32 {
    left.wrapping_mul(size).wrapping_neg() & 0xffff
}

const fn std(register: u32, left: u32, base: u32) -> u32 {
    62 << 26 | register << 21 | base << 16 | below(left, 8)
}

const fn ld(register: u32, left: u32, base: u32) -> u32 {
    58 << 26 | register << 21 | base << 16 | below(left, 8)
}

const fn stfd(register: u32, left: u32) -> u32 {
    54 << 26 | register << 21 | 1 << 16 | below(left, 8)
}

const fn lfd(register: u32, left: u32) -> u32 {
    50 << 26 | register << 21 | 1 << 16 | below(left, 8)
}

/// `li r12, displacement`.
const fn li_r12(left: u32) -> u32 {
    14 << 26 | 12 << 21 | below(left, 16)
}

/// `stvx` or `lvx` of a register at `r12` plus `r0`, which the caller has set to the end of the area.
const fn vector(operation: u32, register: u32) -> u32 {
    31 << 26 | register << 21 | 12 << 16 | operation << 1
}

impl Family {
    /// The register that a name of the family is about.
    fn register(&self, name: &[u8]) -> Option<u32> {
        let digits = name.strip_prefix(self.prefix.as_bytes())?;
        let register = std::str::from_utf8(digits).ok()?.parse::<u32>().ok()?;
        // Spelt with two digits and no sign, as no other name is meant.
        let exact = digits.len() == 2 && digits[0].is_ascii_digit();
        (exact && (self.first..=31).contains(&register)).then_some(register)
    }

    fn code(&self, endian: Endian) -> Vec<u8> {
        let registers = (self.first..=31).flat_map(|register| {
            let words = (self.each)(register, 32 - register);
            words.into_iter().take(self.count)
        });
        let words = registers.chain(self.end.iter().copied());
        let in_order = |word: u32| if endian == Endian::Big { word.to_be_bytes() } else { word.to_le_bytes() };
        words.flat_map(in_order).collect()
    }
}

/// Defines the routines that objects refer to and nothing defines.
pub(super) fn provide(graph: &mut LinkGraph<'_>) -> Result<(), String> {
    let mut wanted: [Vec<(SymbolId, u32)>; FAMILIES.len()] = Default::default();
    for (id, symbol) in graph.symbols() {
        if symbol.value != Value::Undefined || !symbol.name.bytes().starts_with(b"_") {
            continue;
        }
        for (family, wanted) in FAMILIES.iter().zip(&mut wanted) {
            wanted.extend(family.register(symbol.name.bytes()).map(|register| (id, register)));
        }
    }
    if wanted.iter().all(Vec::is_empty) {
        return Ok(());
    }
    let endian = graph.target().endian;
    let mut object = ObjectBuilder::new(graph, "(save and restore routines)".into(), String::new());
    for (family, wanted) in FAMILIES.iter().zip(wanted) {
        if wanted.is_empty() {
            continue;
        }
        let mut section = Section::new(b".text.save", object.id());
        section.protection = Protection::ReadExecute;
        object.add_section(section);
        let block = object.add_block(Content::Owned(family.code(endian).into()), 0, 2);
        let id = object.id();
        object.add_symbol(Symbol::local(family.prefix.as_bytes(), id, block, 0));
        for (symbol, register) in wanted {
            let offset = u64::from(register - family.first) * 4 * family.count as u64;
            object.symbol_mut(symbol).value = Value::Block { block, offset };
        }
    }
    Ok(())
}
