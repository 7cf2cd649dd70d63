//! Rust source with its comments blanked, so that rules about code do not trip over prose.
//!
//! Not a parser: it knows just enough of the lexical grammar (strings, raw strings, characters against lifetimes, nested
//! block comments) to say what is a comment. Lines keep their numbers.

/// Replaces comments by spaces; strings stay, because a name in a string is a name all the same.
pub(crate) fn without_comments(source: &str) -> String {
    let mut rest = source;
    let mut code = String::with_capacity(source.len());
    while let Some(first) = rest.chars().next() {
        let (length, is_comment) = token(rest, first, code.chars().next_back());
        let (taken, tail) = rest.split_at(length);
        match is_comment {
            true => code.extend(taken.chars().map(|c| if c == '\n' { c } else { ' ' })),
            false => code.push_str(taken),
        }
        rest = tail;
    }
    code
}

/// The length of the token at the start of `text`, and whether it is a comment.
fn token(text: &str, first: char, before: Option<char>) -> (usize, bool) {
    let continues_a_name = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if text.starts_with("//") {
        (text.find('\n').unwrap_or(text.len()), true)
    } else if text.starts_with("/*") {
        (block_comment(text), true)
    } else if first == '"' {
        (1 + quoted(&text[1..], '"'), false)
    } else if first == '\'' {
        (character(text), false)
    } else if first == 'r' && !continues_a_name {
        (raw_string(text).unwrap_or(1), false)
    } else {
        (first.len_utf8(), false)
    }
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let step = match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                2
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        at += step;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length up to and with the closing quote, escapes skipped.
fn quoted(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            return at + 1;
        }
    }
    text.len()
}

/// A character literal, or just the quote of a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text[1..].chars();
    match (chars.next(), chars.next()) {
        (Some('\\'), _) => 1 + quoted(&text[1..], '\''),
        (Some(c), Some('\'')) => 2 + c.len_utf8(),
        _ => 1,
    }
}

fn raw_string(text: &str) -> Option<usize> {
    let hashes = text[1..].bytes().take_while(|byte| *byte == b'#').count();
    let body = text[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let close = body.find(&end)?;
    Some(1 + hashes + 1 + close + end.len())
}

/// The lower-case parts of the names on a line: `R_X86_64_PC32` has the parts r, x86, 64 and pc32; `ElfReader` has elf
/// and reader.
pub(crate) fn name_parts(line: &str) -> impl Iterator<Item = String> {
    let mut parts: Vec<String> = Vec::new();
    let mut part = String::new();
    let mut last_was_lower = false;
    for c in line.chars() {
        let ends = !c.is_ascii_alphanumeric() || (c.is_ascii_uppercase() && last_was_lower);
        if ends && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
        }
        if c.is_ascii_alphanumeric() {
            part.push(c.to_ascii_lowercase());
        }
        last_was_lower = c.is_ascii_lowercase();
    }
    parts.push(part);
    parts.into_iter().filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{name_parts, without_comments};

    #[test]
    fn comments_go_and_everything_else_stays() {
        let source = "let a = \"// no\"; // yes\n/* x /* y */ z */let b = '\"'; // '\nfn f<'a>() { r#\"/*\"#; }";
        let expected = "let a = \"// no\";       \n                 let b = '\"';     \nfn f<'a>() { r#\"/*\"#; }";
        assert_eq!(without_comments(source), expected);
    }

    #[test]
    fn escapes_do_not_end_a_string() {
        assert_eq!(without_comments(r#""\"//";'\'';'\\'"#), r#""\"//";'\'';'\\'"#);
    }

    #[test]
    fn names_fall_into_parts() {
        let parts: Vec<String> = name_parts("R_X86_64_PC32 ElfReader::new").collect();
        assert_eq!(parts, ["r", "x86", "64", "pc32", "elf", "reader", "new"]);
    }
}
