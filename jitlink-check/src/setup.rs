//! How the objects are linked before rules are evaluated: where, and with which names.

use crate::lexer::{Fault, parse_number};
use jitlink_core::image::{ImageConfig, ImageExecutor};
use jitlink_core::link::{LinkOptions, Roots, Unresolved};
use jitlink_core::{Addr, LinkError};

/// The addresses and names of a link for checking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// Where the linked memory lies.
    pub image: ImageConfig,
    /// Names with addresses, for what the objects do not define. Of two of the same name the later one counts.
    pub defines: Vec<(String, Addr)>,
    /// Second names: `(new, old)`.
    pub aliases: Vec<(String, String)>,
    /// What is kept; everything in the objects where this is empty.
    pub entries: Vec<String>,
    /// What happens to names that nothing defines.
    pub unresolved: Unresolved,
    /// How many threads link; all processors where it is `None`.
    pub threads: Option<usize>,
}

/// One option of a `jitlink-check-link:` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Base(u64),
    ArenaSize(u64),
    PageSize(u64),
    Define(String, u64),
    Alias(String, String),
    Entry(String),
    Unresolved(Unresolved),
}

impl Setup {
    /// This set-up with the options of a line.
    pub(crate) fn with(&self, changes: &[Change]) -> Setup {
        let mut setup = self.clone();
        for change in changes.iter().cloned() {
            match change {
                Change::Base(base) => setup.image.base = Addr(base),
                Change::ArenaSize(size) => setup.image.arena_size = size,
                Change::PageSize(size) => setup.image.page_size = size,
                Change::Define(name, address) => setup.defines.push((name, Addr(address))),
                Change::Alias(new, old) => setup.aliases.push((new, old)),
                Change::Entry(name) => setup.entries.push(name),
                Change::Unresolved(unresolved) => setup.unresolved = unresolved,
            }
        }
        setup
    }

    pub(crate) fn executor(&self) -> Result<ImageExecutor, LinkError> {
        Ok(ImageExecutor::new(self.image)?)
    }

    pub(crate) fn options(&self) -> LinkOptions {
        let mut options = LinkOptions {
            unresolved: self.unresolved,
            defines: self.defines.clone(),
            aliases: self.aliases.clone(),
            threads: self.threads,
            map: true,
            ..LinkOptions::default()
        };
        if self.entries.is_empty() {
            crate::keep::everything(&mut options.pipeline);
        } else {
            options.roots = Roots::Named(self.entries.clone());
        }
        options
    }
}

const OPTIONS: &str = "--base ADDR, --define NAME=ADDR, --alias NEW=OLD, --entry NAME, --unresolved null, --unresolved error, \
                       --arena-size SIZE and --page-size SIZE";

/// The options of a `jitlink-check-link:` line, which are spelled as on the command line.
pub(crate) fn parse(text: &str) -> Result<Vec<Change>, Fault> {
    let mut changes = Vec::new();
    let mut words = words(text);
    while let Some((option, span)) = words.next() {
        let (name, (value, place)) = match option.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, (value, (span.0 + name.len() + 1, span.1))),
            _ => (option, words.next().unwrap_or(("", (span.1, span.1)))),
        };
        let unknown = || Fault::new((span.0, span.0 + name.len()), format!("there is no option {name} here"));
        let wrong = |what: &str| match value {
            "" => Fault::new(place, format!("{name} needs {what}")),
            _ => Fault::new(place, format!("{value} is not {what}")),
        };
        let number = |text: &str| parse_number(text).ok_or_else(|| wrong("an address such as 0x1000"));
        let pair = |what: &str| value.split_once('=').filter(|(left, _)| !left.is_empty()).ok_or_else(|| wrong(what));
        changes.push(match name {
            "--base" => Change::Base(number(value)?),
            "--arena-size" => Change::ArenaSize(size(value).ok_or_else(|| wrong("a size such as 64K or 4G"))?),
            "--page-size" => Change::PageSize(size(value).ok_or_else(|| wrong("a size such as 64K"))?),
            "--define" => {
                let (name, address) = pair("NAME=ADDR")?;
                Change::Define(name.into(), number(address)?)
            }
            "--alias" => {
                let (new, old) = pair("NEW=OLD")
                    .and_then(|pair| if pair.1.is_empty() { Err(wrong("NEW=OLD")) } else { Ok(pair) })?;
                Change::Alias(new.into(), old.into())
            }
            "--entry" if !value.is_empty() => Change::Entry(value.into()),
            "--entry" => return Err(wrong("a name")),
            "--unresolved" => Change::Unresolved(match value {
                "null" => Unresolved::Null,
                "error" => Unresolved::Error,
                _ => return Err(wrong("null or error")),
            }),
            _ => return Err(unknown().help(format!("there are {OPTIONS}"))),
        });
    }
    Ok(changes)
}

/// A number of bytes, with a unit.
fn size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.chars().last()? {
        // The last digit of a hexadecimal number is no unit.
        _ if text.starts_with("0x") => (text, 0),
        'K' => (&text[..text.len() - 1], 10),
        'M' => (&text[..text.len() - 1], 20),
        'G' => (&text[..text.len() - 1], 30),
        'T' => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    parse_number(digits)?.checked_mul(1 << shift).filter(|size| *size > 0)
}

fn words(text: &str) -> impl Iterator<Item = (&str, (usize, usize))> {
    text.split_whitespace().map(move |word| {
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        (word, (start, start + word.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_spelled_as_on_the_command_line() {
        let changes =
            parse(" --base 0x40_0000 --define=a=16 --alias b=a --entry b --unresolved null --arena-size 4G").unwrap();
        let setup = Setup::default().with(&changes);
        assert_eq!((setup.image.base, setup.image.arena_size), (Addr(0x40_0000), 4 << 30));
        assert_eq!(setup.defines, [("a".to_string(), Addr(16))]);
        assert_eq!(setup.aliases, [("b".to_string(), "a".to_string())]);
        assert_eq!((setup.entries.as_slice(), setup.unresolved), (&["b".to_string()][..], Unresolved::Null));
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn wrong_options_are_pointed_at() {
        for (text, span) in [
            ("--bose 1", (0, 6)),
            ("--base", (6, 6)),
            (" --base x", (8, 9)),
            ("--define a", (9, 10)),
            ("--define =1", (9, 11)),
            ("--define a=-1", (9, 13)),
            ("--alias=a=", (8, 10)),
            ("--unresolved maybe", (13, 18)),
            ("--page-size 0", (12, 13)),
            ("--arena-size 99999999999T", (13, 25)),
            ("a.o", (0, 3)),
        ] {
            assert_eq!(parse(text).unwrap_err().span, span, "{text}");
        }
    }
}
