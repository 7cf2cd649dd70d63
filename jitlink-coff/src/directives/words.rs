//! Cutting directives into words, and words into their parts. Quotes keep spaces and commas together, and are no part of a name.

/// The words, each with where it starts. A mark of UTF-8 at the start is passed over, zeros are as good as spaces.
pub(super) fn words(content: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = if content.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    std::iter::from_fn(move || {
        let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
        at += content[at..].iter().position(|byte| !is_space(byte))?;
        let mut is_quoted = false;
        let end = content[at..].iter().position(|byte| {
            is_quoted ^= *byte == b'"';
            *byte == 0 || !is_quoted && is_space(byte)
        });
        let (start, end) = (at, end.map_or(content.len(), |end| at + end));
        at = end;
        Some((start, &content[start..end]))
    })
}

/// The name of a directive, and what follows its colon.
pub(super) fn directive(word: &[u8]) -> Option<(&[u8], &[u8])> {
    let word = unquoted(word);
    let rest = word.strip_prefix(b"/").or_else(|| word.strip_prefix(b"-"))?;
    let rest = rest.strip_prefix(b"-").unwrap_or(rest);
    let split = rest.iter().position(|byte| *byte == b':');
    let (name, arguments) = split.map_or((rest, &rest[rest.len()..]), |at| (&rest[..at], &rest[at + 1..]));
    (!name.is_empty()).then_some((name, arguments))
}

/// The arguments between commas.
pub(super) fn arguments(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut is_quoted = false;
    let is_comma = move |byte: &u8| {
        is_quoted ^= *byte == b'"';
        !is_quoted && *byte == b','
    };
    text.split(is_comma).map(unquoted)
}

/// The parts around the first equals sign, neither of which is empty.
pub(super) fn pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == b'=')?;
    let (first, second) = (unquoted(&text[..at]), unquoted(&text[at + 1..]));
    (!first.is_empty() && !second.is_empty()).then_some((first, second))
}

/// What stands between quotes, if all of it does.
fn unquoted(text: &[u8]) -> &[u8] {
    let inner = text.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    inner.filter(|inner| !inner.contains(&b'"')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_at_spaces_outside_of_quotes() {
        let text = b"\xef\xbb\xbf  /a:b \"/c d:e\"\0-f:\"g h\",i\t";
        let found: Vec<(usize, &[u8])> = words(text).collect();
        let expected: [(usize, &[u8]); 3] = [(5, b"/a:b"), (10, b"\"/c d:e\""), (19, b"-f:\"g h\",i")];
        assert_eq!(found, expected);
        assert_eq!(words(b" \0 ").count(), 0);
    }

    #[test]
    fn directives_have_a_name_and_arguments() {
        let parts =
            |word: &'static [u8]| directive(word).map(|(name, rest)| (name, arguments(rest).collect::<Vec<&[u8]>>()));
        assert_eq!(parts(b"-f:\"g,h\",i"), Some((b"f".as_slice(), vec![b"g,h".as_slice(), b"i"])));
        assert_eq!(parts(b"\"/c d:e\""), Some((b"c d".as_slice(), vec![b"e".as_slice()])));
        assert_eq!(parts(b"/x"), Some((b"x".as_slice(), vec![b"".as_slice()])));
        assert_eq!(parts(b"--x:"), Some((b"x".as_slice(), vec![b"".as_slice()])));
        for no in [b"x:y".as_slice(), b"/", b"-", b"/:x", b""] {
            assert_eq!(directive(no), None);
        }
    }

    #[test]
    fn pairs_have_two_parts() {
        assert_eq!(pair(b"a=\"b\""), Some((b"a".as_slice(), b"b".as_slice())));
        assert_eq!(pair(b"a=b=c"), Some((b"a".as_slice(), b"b=c".as_slice())));
        for no in [b"a".as_slice(), b"a=", b"=b", b"", b"="] {
            assert_eq!(pair(no), None);
        }
    }
}
