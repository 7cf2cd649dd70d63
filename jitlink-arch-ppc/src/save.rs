//! Routines that save and restore registers, which compilers call when they optimise for size and linkers provide, because no
//! library that all programs have holds them.
//!
//! A routine's name has the first register that it is about. It goes on to register 31, so all of a family are entries to
//! one piece of code. Each object's reference is bound to the batch's one copy; an object or an archive that defines the name has
//! precedence.

use jitlink_core::Endian;
use jitlink_core::graph::{Content, LinkGraph, ObjectBuilder, Protection, Section, Symbol, SymbolId, Value};

/// Routines that are entries to one piece of code.
pub(crate) struct Family {
    /// What stands before the number in their names.
    pub(crate) prefix: &'static str,
    /// What stands behind it.
    pub(crate) suffix: &'static str,
    /// The first register that there is a routine for.
    pub(crate) first: u32,
    /// The instructions for one register, which is `left` registers before the end (one for register 31).
    pub(crate) each: fn(register: u32, left: u32) -> [u32; 2],
    /// How many of those instructions there are.
    pub(crate) count: usize,
    /// What follows the last register.
    pub(crate) end: &'static [u32],
}

impl Family {
    /// The register that a name of the family is about.
    fn register(&self, name: &[u8]) -> Option<u32> {
        let digits = name.strip_prefix(self.prefix.as_bytes())?.strip_suffix(self.suffix.as_bytes())?;
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
pub(crate) fn provide(graph: &mut LinkGraph<'_>, families: &'static [Family]) -> Result<(), String> {
    let mut wanted: Vec<Vec<(SymbolId, u32)>> = vec![Vec::new(); families.len()];
    for (id, symbol) in graph.symbols() {
        if symbol.value != Value::Undefined || !symbol.name.bytes().starts_with(b"_") {
            continue;
        }
        for (family, wanted) in families.iter().zip(&mut wanted) {
            wanted.extend(family.register(symbol.name.bytes()).map(|register| (id, register)));
        }
    }
    if wanted.iter().all(Vec::is_empty) {
        return Ok(());
    }
    let endian = graph.target().endian;
    let mut object = ObjectBuilder::new(graph, "(save and restore routines)".into(), String::new());
    for (family, wanted) in families.iter().zip(wanted) {
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
