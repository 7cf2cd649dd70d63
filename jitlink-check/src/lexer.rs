//! From the text of a rule to tokens.

/// Bytes of a rule's text, from the first to one past the last.
pub(crate) type Span = (usize, usize);

/// What is wrong with a part of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) span: Span,
    pub(crate) message: String,
    /// What to do about it; may be empty.
    pub(crate) help: String,
}

impl Fault {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Fault {
        Fault { span, message: message.into(), help: String::new() }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Fault {
        self.help = help.into();
        self
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Number(u64),
    /// A name as it stands: of a symbol, a section, a function.
    Name(String),
    /// A name in quotation marks.
    Quoted(String),
    /// The place of the rule.
    Dot,
    Mark(&'static str),
    End,
}

/// Longer ones first.
const MARKS: [&str; 24] = [
    "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "+", "-", "*", "/", "%", "&", "|", "^", "~", "!", "<", ">", "(",
    ")", "[", "]",
];
const SEPARATORS: [&str; 2] = [":", ","];

/// More than anyone writes; a bound for what a rule can cost.
const MOST_TOKENS: usize = 2000;

/// The tokens of a rule with their places; the last one is [`Token::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<(Token, Span)>, Fault> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        if next.is_whitespace() {
            at += next.len_utf8();
            continue;
        }
        let (token, length) = token(&text[at..], next)
            .map_err(|fault| Fault { span: (at + fault.span.0, at + fault.span.1), ..fault })?;
        tokens.push((token, (at, at + length)));
        if tokens.len() > MOST_TOKENS {
            let fault = Fault::new((at, at + length), format!("a rule has at most {MOST_TOKENS} words and signs"));
            return Err(fault.help("make several rules of it"));
        }
        at += length;
    }
    tokens.push((Token::End, (text.len(), text.len())));
    Ok(tokens)
}

/// The token at the start of `text`, which begins with `first`, and its length in bytes.
fn token(text: &str, first: char) -> Result<(Token, usize), Fault> {
    if first == '"' {
        return quoted(text);
    }
    if first.is_ascii_digit() {
        return number(text);
    }
    if is_name_start(first) {
        let length = text.find(|next| !is_name(next)).unwrap_or(text.len());
        let name = &text[..length];
        return Ok((if name == "." { Token::Dot } else { Token::Name(name.into()) }, length));
    }
    if let Some(mark) = MARKS.iter().chain(&SEPARATORS).find(|mark| text.starts_with(**mark)) {
        return Ok((Token::Mark(mark), mark.len()));
    }
    let fault = Fault::new((0, first.len_utf8()), format!("`{}` means nothing in a rule", first.escape_debug()));
    Err(match first {
        '=' => fault.help("write == to compare"),
        '\\' => fault.help("a \\ continues a rule only at the end of its line"),
        '@' | '\'' => fault.help("put unusual names in quotation marks: \"name\""),
        _ => fault,
    })
}

fn is_name_start(first: char) -> bool {
    first.is_alphabetic() || matches!(first, '_' | '.' | '$')
}

pub(crate) fn is_name(next: char) -> bool {
    next.is_alphanumeric() || matches!(next, '_' | '.' | '$' | '@' | '?')
}

fn number(text: &str) -> Result<(Token, usize), Fault> {
    let length = text.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(text.len());
    match parse_number(&text[..length]) {
        Some(number) => Ok((Token::Number(number), length)),
        None => {
            let fault = Fault::new((0, length), format!("{} is no number of 64 bits", &text[..length]));
            Err(fault.help("write it as 4096, 0x1000 or 0b1_0000"))
        }
    }
}

/// A decimal, hexadecimal or binary number, with `_` between digits.
pub(crate) fn parse_number(text: &str) -> Option<u64> {
    let plain = text.replace('_', "").to_ascii_lowercase();
    // A sign would be accepted by the conversion.
    if !plain.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    match (plain.strip_prefix("0x"), plain.strip_prefix("0b")) {
        (Some(digits), _) => u64::from_str_radix(digits, 16).ok(),
        (_, Some(digits)) => u64::from_str_radix(digits, 2).ok(),
        _ => plain.parse().ok(),
    }
}

fn quoted(text: &str) -> Result<(Token, usize), Fault> {
    let mut name = String::new();
    let mut is_escaped = false;
    for (at, next) in text.char_indices().skip(1) {
        match next {
            _ if is_escaped => {
                name.push(next);
                is_escaped = false;
            }
            '\\' => is_escaped = true,
            '"' => return Ok((Token::Quoted(name), at + 1)),
            _ => name.push(next),
        }
    }
    Err(Fault::new((0, 1), "this quotation mark is not closed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Vec<Token> {
        tokens(text).unwrap().into_iter().map(|(token, _)| token).collect()
    }

    #[test]
    fn names_may_have_dots_and_dollars() {
        let name = |text: &str| Token::Name(text.into());
        assert_eq!(plain(".text.f"), [name(".text.f"), Token::End]);
        assert_eq!(plain("."), [Token::Dot, Token::End]);
        assert_eq!(plain("a.o$x-_b"), [name("a.o$x"), Token::Mark("-"), name("_b"), Token::End]);
        assert_eq!(plain(r#""a \"b\" c\\""#), [Token::Quoted(r#"a "b" c\"#.into()), Token::End]);
    }

    #[test]
    fn numbers_have_three_bases() {
        for (text, value) in
            [("10", 10), ("0x1F", 31), ("0b101", 5), ("1_000", 1000), ("0xffff_ffff_ffff_ffff", u64::MAX)]
        {
            assert_eq!(plain(text), [Token::Number(value), Token::End], "{text}");
        }
        for text in ["0x", "0b2", "1k", "18446744073709551616", "0xg"] {
            assert_eq!(tokens(text).unwrap_err().span, (0, text.len()), "{text}");
        }
    }

    #[test]
    fn what_means_nothing_is_pointed_at() {
        assert_eq!(tokens("a = b").unwrap_err().span, (2, 3));
        assert!(tokens("a = b").unwrap_err().help.contains("=="));
        assert_eq!(tokens("é == \"x").unwrap_err().span, (6, 7));
        assert_eq!(tokens("a ∧ b").unwrap_err().span, (2, 5));
    }
}
