//! What an object tells the linker in words (`.drectve`: "PE Format", "The .drectve Section").
//!
//! | directive | what is done |
//! | --- | --- |
//! | `/include:NAME` | NAME is looked for, and never pruned |
//! | `/export:NAME[=OTHER][,…]` | NAME, which means OTHER if nothing defines it, is never pruned |
//! | `/alternatename:NAME=OTHER` | NAME means OTHER if nothing defines it |
//! | `/failifmismatch:KEY=VALUE` | all objects that name KEY must say the same |
//! | `-aligncomm:NAME,LOG2` | the common symbol NAME is aligned to 1 << LOG2 |
//! | `-exclude-symbols:NAME,…` | others do not see NAME |
//! | `/section:NAME,RIGHTS` | sections of the object that lie in the run NAME are executable (E), writable (W), or only read |
//! | `/defaultlib`, `/merge`, `/guardsym` and the like | nothing: they are about files that linkers write, or search for |
//! | others | a warning |

mod words;

use hashbrown::{HashMap, HashSet};
use jitlink_core::LinkError;
use jitlink_core::graph::{Fallback, Linkage, ObjectBuilder, Protection, Symbol, SymbolId};

/// What is known to have no effect on linked memory: where files and libraries are, and how a file is laid out and loaded.
const WITHOUT_EFFECT: [&[u8]; 30] = [
    b"base",
    b"debug",
    b"debugtype",
    b"defaultlib",
    b"disallowlib",
    b"dynamicbase",
    b"editandcontinue",
    b"entry",
    b"fastfail",
    b"functionpadmin",
    b"guard",
    b"guardsym",
    b"heap",
    b"highentropyva",
    b"incremental",
    b"largeaddressaware",
    b"linkrepro",
    b"manifest",
    b"manifestdependency",
    b"manifestuac",
    b"merge",
    b"nodefaultlib",
    b"nxcompat",
    b"opt",
    b"release",
    b"stack",
    b"subsystem",
    b"throwingnew",
    b"tlbid",
    b"tsaware",
];

/// The directives of an object that others of its parts ask for, and those that become symbols.
#[derive(Default)]
pub(crate) struct Directives<'a> {
    included: Vec<&'a [u8]>,
    /// Names, and what they mean if nothing defines them.
    exported: Vec<(&'a [u8], Option<&'a [u8]>)>,
    alternatives: Vec<(&'a [u8], &'a [u8])>,
    aligned: HashMap<&'a [u8], u8>,
    hidden: HashSet<&'a [u8]>,
    /// What the program may do with sections, by the name of their run.
    rights: HashMap<&'a [u8], Protection>,
}

impl<'a> Directives<'a> {
    /// Reads the words of a section called `section`.
    pub(crate) fn read(
        &mut self,
        section: &str,
        content: &'a [u8],
        builder: &mut ObjectBuilder<'_, 'a>,
    ) -> Result<(), LinkError> {
        for (at, word) in words::words(content) {
            let malformed = |what: &str| {
                let word = String::from_utf8_lossy(&word[..word.len().min(256)]);
                LinkError::malformed(builder.name(), section, at as u64, format!("{word}: {what}"))
            };
            let Some((name, arguments)) = words::directive(word) else {
                let word = String::from_utf8_lossy(&word[..word.len().min(256)]).into_owned();
                builder.warn(format!("{section}+{at:#x}: {word} is no directive, and has no effect"));
                continue;
            };
            let mut arguments = words::arguments(arguments);
            let pair = |argument: Option<&'a [u8]>| words::pair(argument?);
            match name.to_ascii_lowercase().as_slice() {
                b"include" => match arguments.next().filter(|name| !name.is_empty()) {
                    Some(name) => self.included.push(name),
                    None => return Err(malformed("a name is missing")),
                },
                b"export" => match arguments.next().filter(|name| !name.is_empty()) {
                    // What follows is how a DLL's table of exports shows it.
                    Some(name) => {
                        let (name, other) = words::pair(name).map_or((name, None), |(name, other)| (name, Some(other)));
                        self.exported.push((name, other));
                    }
                    None => return Err(malformed("a name is missing")),
                },
                b"alternatename" => match pair(arguments.next()) {
                    Some(pair) => self.alternatives.push(pair),
                    None => return Err(malformed("two names, NAME=OTHER, are missing")),
                },
                b"failifmismatch" => match pair(arguments.next()) {
                    Some((key, value)) => builder.agree(key, value),
                    None => return Err(malformed("a key and its value, KEY=VALUE, are missing")),
                },
                b"aligncomm" => {
                    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.trim().parse().ok();
                    let name = arguments.next().filter(|name| !name.is_empty());
                    match (name, arguments.next().and_then(number).filter(|align: &u8| *align <= 32)) {
                        (Some(name), Some(align)) => {
                            let known = self.aligned.entry(name).or_default();
                            *known = align.max(*known);
                        }
                        _ => return Err(malformed("a name and the alignment as a power of two up to 32 are missing")),
                    }
                }
                b"section" => {
                    let name = arguments.next().filter(|name| !name.is_empty());
                    let (Some(name), Some(rights)) = (name, arguments.next().and_then(protection)) else {
                        return Err(malformed(
                            "a name and its rights are missing: some of DEKPRSW, but not both E and W",
                        ));
                    };
                    self.rights.insert(name, rights);
                }
                b"exclude-symbols" => self.hidden.extend(arguments),
                known if WITHOUT_EFFECT.contains(&known) => {}
                other => {
                    let other = String::from_utf8_lossy(&other[..other.len().min(256)]).into_owned();
                    builder.warn(format!("{section}+{at:#x}: directive {other} is not known, and has no effect"));
                }
            }
        }
        Ok(())
    }

    /// Whether others are not to see a name.
    pub(crate) fn is_hidden(&self, name: &[u8]) -> bool {
        self.hidden.contains(name)
    }

    /// The alignment that a common symbol is to have at least.
    pub(crate) fn common_align(&self, name: &[u8]) -> Option<u8> {
        self.aligned.get(name).copied()
    }

    /// What the program may do with sections of a run, if that is said.
    pub(crate) fn protection(&self, run: &[u8]) -> Option<Protection> {
        self.rights.get(run).copied()
    }

    /// Adds the symbols that directives name.
    pub(crate) fn complete(&self, builder: &mut ObjectBuilder<'_, 'a>) {
        for &name in &self.included {
            let reference = refer(name, Linkage::Strong, builder);
            builder.retain(reference);
        }
        for &(name, other) in &self.exported {
            let reference = refer(name, Linkage::Strong, builder);
            builder.retain(reference);
            if let Some(other) = other {
                fall_back(reference, other, builder);
            }
        }
        for &(name, other) in &self.alternatives {
            let reference = refer(name, Linkage::Weak, builder);
            fall_back(reference, other, builder);
        }
    }
}

/// What letters mean: execute, read, shared, write; the others are about how a file is loaded. A `!` takes those that follow away.
fn protection(letters: &[u8]) -> Option<Protection> {
    let (mut is_code, mut is_written, mut is_given) = (false, false, true);
    for letter in letters {
        match letter.to_ascii_uppercase() {
            b'!' => is_given = false,
            b'E' => is_code = is_given,
            b'W' => is_written = is_given,
            b'D' | b'K' | b'P' | b'R' | b'S' => {}
            _ => return None,
        }
    }
    match (is_code, is_written) {
        _ if letters.is_empty() => None,
        (true, true) => None,
        (true, false) => Some(Protection::ReadExecute),
        (false, true) => Some(Protection::ReadWrite),
        (false, false) => Some(Protection::Read),
    }
}

fn refer<'a>(name: &'a [u8], linkage: Linkage, builder: &mut ObjectBuilder<'_, 'a>) -> SymbolId {
    builder.add_symbol(Symbol { linkage, ..Symbol::undefined(name, builder.id()) })
}

fn fall_back<'a>(name: SymbolId, other: &'a [u8], builder: &mut ObjectBuilder<'_, 'a>) {
    let target = refer(other, Linkage::Weak, builder);
    builder.add_fallback(Fallback { name, target, needs: Some(target) });
}
