//! Names that are like one that is not there.

use super::model::{Model, Place, Symbol};
use super::words::printable;

/// How many are shown.
const SHOWN: usize = 4;

/// Longer names are compared by their beginnings only: the effort grows with the square of the length.
const COMPARED: usize = 64;

/// Names that are defined somewhere and differ from `name` by a few slips of the pen, the closest first.
pub(crate) fn similar(model: &Model, name: &str) -> Vec<String> {
    let exists = |symbol: &&Symbol| symbol.own != Place::Undefined || symbol.address.is_some();
    let defined = model.symbols.iter().filter(exists).filter(|symbol| symbol.kind != "file");
    let defined = defined.map(|symbol| symbol.name.as_str());
    let archived = model.members.iter().flat_map(|member| member.defines.iter().map(String::as_str));
    let wanted = plain(name);
    let limit = (wanted.len() / 3).clamp(1, 3);
    let mut close: Vec<(usize, &str)> = defined
        .chain(archived)
        .filter(|candidate| !candidate.is_empty() && *candidate != name)
        .filter_map(|candidate| Some((distance(&wanted, &plain(candidate), limit)?, candidate)))
        .collect();
    close.sort_unstable();
    close.dedup();
    close.into_iter().take(SHOWN).map(|(_, name)| printable(name)).collect()
}

/// A name without what slips most: leading underscores and the case of its letters.
fn plain(name: &str) -> Vec<char> {
    name.trim_start_matches('_').chars().take(COMPARED).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// How many letters must be added, removed or changed to make one of the other; `None` if more than `limit`.
fn distance(one: &[char], other: &[char], limit: usize) -> Option<usize> {
    if one.len().abs_diff(other.len()) > limit {
        return None;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (at, candidate) in other.iter().enumerate() {
            let change = diagonal + usize::from(letter != candidate);
            diagonal = row[at + 1];
            row[at + 1] = change.min(row[at] + 1).min(diagonal + 1);
        }
    }
    Some(row[other.len()]).filter(|&distance| distance <= limit)
}

#[cfg(test)]
mod tests {
    use super::{distance, plain};

    #[test]
    fn slips_of_the_pen_are_counted() {
        let between = |one: &str, other: &str| distance(&plain(one), &plain(other), 3);
        assert_eq!(between("subtract", "subtract"), Some(0));
        assert_eq!(between("_Subtract", "subtract"), Some(0));
        assert_eq!(between("substract", "subtract"), Some(1));
        assert_eq!(between("kitten", "sitting"), Some(3));
        assert_eq!(between("main", "operations"), None);
        assert_eq!(between("abcdef", "uvwxyz"), None);
        assert_eq!(between("", "abc"), Some(3));
    }
}
