//! Finds the lines of a text that hold rules, and keeps where each part of them stands.

use crate::lexer::Fault;
use std::fmt;

/// The word that marks a line.
const MARKER: &str = "jitlink-check";

/// What stands in front of a comment, in some assembler's language.
const COMMENTS: &[char] = &['#', '/', ';', '@', '*', '|', '!'];

/// A problem with a part of a rules file, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, as it was named.
    pub file: String,
    /// The line, from one; zero where the file as a whole is meant.
    pub line: usize,
    /// The character of the line, from one.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it; may be empty.
    pub help: String,
    /// A part of the line, the column in it (from zero), and how many characters are at fault.
    excerpt: (String, usize, usize),
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.file, self.message)?;
        } else {
            let (text, before, count) = &self.excerpt;
            // Tabs stay tabs, so that the sign stands below its place.
            let indent: String = text.chars().take(*before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
            write!(f, "\n  {text}\n  {indent}{}", "^".repeat((*count).max(1)))?;
        }
        if self.help.is_empty() { Ok(()) } else { write!(f, "\n  help: {}", self.help) }
    }
}

/// A rules file by lines.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) file: String,
    lines: Vec<String>,
}

/// What a marked line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    /// `jitlink-check: CONDITION`
    Condition,
    /// `jitlink-check-error: TEXT`, `jitlink-check-error[CODE]: TEXT`
    Error(Option<String>),
    /// `jitlink-check-link: OPTIONS`
    Link,
}

/// The text behind a marker, which may come from several lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marked {
    pub(crate) marker: Marker,
    pub(crate) text: String,
    /// The nearest label above, or on the line itself.
    pub(crate) label: Option<String>,
    pieces: Vec<Piece>,
}

/// A part of the text that stands on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    /// Where it starts in the text.
    start: usize,
    line: usize,
    column: usize,
}

impl Marked {
    /// The line and the column, from one, of a place in the text.
    pub(crate) fn place(&self, offset: usize) -> (usize, usize) {
        let after = self.pieces.partition_point(|piece| piece.start <= offset);
        let piece = &self.pieces[after.saturating_sub(1)];
        let part = self.text.get(piece.start..offset).unwrap_or_default();
        (piece.line, piece.column + part.chars().count())
    }
}

/// Half of what is shown of a line that is very long.
const CONTEXT: usize = 100;

impl Source {
    pub(crate) fn new(file: &str, text: &str) -> Source {
        Source { file: file.into(), lines: text.lines().map(String::from).collect() }
    }

    /// A problem with a part of a rule.
    pub(crate) fn diagnostic(&self, marked: &Marked, fault: &Fault) -> Diagnostic {
        let (line, column) = marked.place(fault.span.0);
        let (last, end) = marked.place(fault.span.1);
        let rest = self.lines.get(line - 1).map_or(0, |text| text.chars().count().saturating_sub(column - 1));
        let count = if last == line { end.saturating_sub(column) } else { rest };
        self.at(line, column, count, &fault.message, &fault.help)
    }

    fn at(&self, line: usize, column: usize, count: usize, message: &str, help: &str) -> Diagnostic {
        let text = self.lines.get(line - 1).map_or("", String::as_str);
        let skipped = (column - 1).saturating_sub(CONTEXT);
        let part: String = text.chars().skip(skipped).take(2 * CONTEXT).collect();
        let before = column - 1 - skipped;
        let excerpt = (part, before, count.min(CONTEXT));
        Diagnostic { file: self.file.clone(), line, column, message: message.into(), help: help.into(), excerpt }
    }

    /// A problem with the file as a whole.
    pub(crate) fn whole(&self, message: &str, help: &str) -> Diagnostic {
        let excerpt = (String::new(), 0, 0);
        Diagnostic { file: self.file.clone(), line: 0, column: 0, message: message.into(), help: help.into(), excerpt }
    }

    /// The marked lines, joined where they continue, and what is wrong with markers.
    pub(crate) fn marked(&self) -> (Vec<Marked>, Vec<Diagnostic>) {
        let mut found: Vec<Marked> = Vec::new();
        let mut problems = Vec::new();
        let mut label: Option<String> = None;
        let mut is_open = false;
        for (index, line) in self.lines.iter().enumerate() {
            let comment = comment(line);
            let code = comment.as_ref().map_or(line.as_str(), |comment| comment.code);
            label = last_label(code).map(String::from).or(label);
            let Some(Comment { start, marker, .. }) = comment else { continue };
            let number = index + 1;
            let (marker, text) = match marker {
                Ok(found) => found,
                Err(message) => {
                    let column = line[..start].chars().count() + 1;
                    let help = "markers are jitlink-check:, jitlink-check-error:, jitlink-check-error[CODE]: and jitlink-check-link:";
                    problems.push(self.at(number, column, MARKER.len(), &message, help));
                    continue;
                }
            };
            let column = line[..line.len() - text.len()].chars().count() + 1;
            let (text, continues) = match plain_end(text).strip_suffix('\\') {
                Some(text) => (text, true),
                None => (plain_end(text), false),
            };
            match found.last_mut().filter(|_| is_open) {
                Some(open) if open.marker == marker => {
                    open.pieces.push(Piece { start: open.text.len(), line: number, column });
                    open.text.push_str(text);
                }
                Some(open) => {
                    let (line, column) = open.place(open.text.len());
                    let message = "the rule continues here, but the next marked line is of another kind";
                    problems.push(self.at(line, column, 1, message, ""));
                }
                None => {
                    let pieces = vec![Piece { start: 0, line: number, column }];
                    found.push(Marked { marker, text: text.into(), label: label.clone(), pieces });
                }
            }
            is_open = continues;
        }
        if let Some(open) = found.last().filter(|_| is_open) {
            let (line, column) = open.place(open.text.len());
            let message = "the rule continues here, but no marked line follows";
            problems.push(self.at(line, column, 1, message, "remove the \\, or begin the next line with the marker"));
        }
        (found, problems)
    }
}

/// A line that has the marker at the start of a comment.
struct Comment<'l> {
    /// What stands before the comment.
    code: &'l str,
    /// Where the marker starts in the line.
    start: usize,
    /// The marker and the text behind it, or what is wrong.
    marker: Result<(Marker, &'l str), String>,
}

fn comment(line: &str) -> Option<Comment<'_>> {
    for (start, _) in line.match_indices(MARKER) {
        let before = line[..start].trim_end();
        let rest = &line[start + MARKER.len()..];
        let is_word = rest.starts_with(|next: char| next.is_alphanumeric() || next == '_' || next == '.');
        if is_word || !(before.is_empty() || before.ends_with(COMMENTS)) {
            continue;
        }
        let code = before.trim_end_matches(COMMENTS);
        return Some(Comment { code, start, marker: marker(rest) });
    }
    None
}

/// The kind of a marker from what follows the word, and the text behind it.
fn marker(rest: &str) -> Result<(Marker, &str), String> {
    let is_part = |next: char| next.is_alphanumeric() || matches!(next, '-' | '_' | '[' | ']');
    let word = &rest[..rest.find(|next| !is_part(next)).unwrap_or(rest.len())];
    let code = || word.strip_prefix("-error[").and_then(|code| code.strip_suffix(']'));
    let marker = match word {
        "" => Marker::Condition,
        "-error" => Marker::Error(None),
        "-link" => Marker::Link,
        _ => match code().filter(|code| !code.is_empty()) {
            Some(code) => Marker::Error(Some(code.to_string())),
            None => return Err(format!("there is no marker {MARKER}{}", word.chars().take(40).collect::<String>())),
        },
    };
    match rest[word.len()..].strip_prefix(':') {
        Some(text) => Ok((marker, text)),
        None => Err(format!("a colon is missing after {MARKER}{word}")),
    }
}

/// The text without blanks and the end of a comment after it.
fn plain_end(text: &str) -> &str {
    let text = text.trim_end();
    text.strip_suffix("*/").unwrap_or(text).trim_end()
}

/// The last label that the assembler keeps on a line of code.
fn last_label(code: &str) -> Option<&str> {
    let mut rest = code.trim_start();
    let mut last = None;
    while let Some((name, after)) = rest.split_once(':') {
        let name = name.trim_matches('"');
        let is_name = !name.is_empty() && name.chars().all(crate::lexer::is_name);
        // `::` and `:=` are no labels.
        if !is_name || after.starts_with([':', '=']) {
            break;
        }
        if !name.starts_with(".L") && !name.starts_with(|first: char| first.is_ascii_digit()) {
            last = Some(name);
        }
        rest = after.trim_start();
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(text: &str) -> Vec<Marked> {
        let (found, problems) = Source::new("a.s", text).marked();
        assert_eq!(problems, [], "{text}");
        found
    }

    fn texts(text: &str) -> Vec<String> {
        marked(text).into_iter().map(|marked| marked.text).collect()
    }

    #[test]
    fn rules_stand_in_comments_of_all_kinds() {
        for comment in ["#", "//", ";", "@", "/*", " *", "|", "!", "  ##", "\t//", ""] {
            assert_eq!(texts(&format!("{comment} jitlink-check: a == 1")), [" a == 1"], "{comment}");
        }
        assert_eq!(texts("call f # jitlink-check: a == 1"), [" a == 1"]);
        assert_eq!(texts("/* jitlink-check: a == 1 */\r\n"), [" a == 1"]);
        for text in ["", "a == 1", "# see jitlink-check: it is good", "# jitlink-checks: many", "# my.jitlink-check: a"]
        {
            assert_eq!(texts(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn rules_continue_and_keep_their_places() {
        let found = marked("f:\n# jitlink-check: a == \\\n  nop\n#  jitlink-check:  b\n");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].text, " a ==   b");
        assert_eq!(found[0].place(1), (2, 18));
        assert_eq!(found[0].place(8), (4, 20));
        assert_eq!(found[0].label.as_deref(), Some("f"));
    }

    #[test]
    fn the_label_is_the_nearest_that_an_object_keeps() {
        let label = |text: &str| marked(text)[0].label.clone();
        assert_eq!(label("f:\n.L1:\n1: nop\n# jitlink-check: x").as_deref(), Some("f"));
        assert_eq!(label("f: g: call h # jitlink-check: x").as_deref(), Some("g"));
        assert_eq!(label("\"a\": nop # jitlink-check: x").as_deref(), Some("a"));
        assert_eq!(label("x::y()\nmov a:b\n# jitlink-check: x"), None);
        assert_eq!(label("# jitlink-check: x\nf:"), None);
    }

    #[test]
    fn mistakes_in_markers_are_not_passed_over() {
        let problem = |text: &str| {
            let (_, problems) = Source::new("a.s", text).marked();
            problems.first().map(ToString::to_string).unwrap_or_default()
        };
        assert_eq!(
            problem("\t# jitlink-check a == 1"),
            "a.s:1:4: a colon is missing after jitlink-check\n  \t# jitlink-check a == 1\n  \t  ^^^^^^^^^^^^^\n  \
             help: markers are jitlink-check:, jitlink-check-error:, jitlink-check-error[CODE]: and jitlink-check-link:"
        );
        assert!(problem("# jitlink-check-eror: x").contains("there is no marker jitlink-check-eror"));
        assert!(problem("# jitlink-check-error[]: x").contains("there is no marker"));
        assert!(problem("# jitlink-check").contains("colon"));
        assert!(problem("# jitlink-check-link").contains("colon"));
        assert!(problem("# jitlink-check: a \\").contains("no marked line follows"));
        assert!(problem("# jitlink-check: a \\\n# jitlink-check-error: a").contains("another kind"));
    }
}
