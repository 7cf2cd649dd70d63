//! `jitlink man`: manual pages, made from the description of the command line.
//!
//! A page has the sections that `man-pages(7)` lists. What the help shows below the options (examples, exit status) is text with a
//! shape: a paragraph that begins with a title and a colon, and lines that are indented. They become sections, and what is
//! indented stays as it is.

use crate::args::{Man, command};
use crate::link::{cannot_write, usage};
use crate::report;
use clap_mangen::roff::{Roff, bold, roman};
use jitlink::LinkErrors;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

pub(crate) fn run(args: &Man) -> ExitCode {
    let mut root = command().disable_help_subcommand(true);
    root.build();
    if let Some(folder) = &args.out {
        return match write_all(&root, folder) {
            Ok(()) => ExitCode::SUCCESS,
            Err(errors) => report::failure(&errors, crate::args::Format::Text, &[]),
        };
    }
    let page = match &args.page {
        None => page(&root, &root),
        Some(name) => match root.find_subcommand(name) {
            Some(found) => page(&root, found),
            None => usage(&format!("there is no command {name}; see jitlink help")),
        },
    };
    match std::io::stdout().lock().write_all(page.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of the pipe has gone.
        Err(_) => ExitCode::from(1),
    }
}

fn write_all(root: &clap::Command, folder: &Path) -> Result<(), LinkErrors> {
    std::fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
    let subcommands = root.get_subcommands().filter(|command| !command.is_hide_set());
    for command in std::iter::once(root).chain(subcommands) {
        let path = folder.join(format!("{}.1", title(command)));
        std::fs::write(&path, page(root, command)).map_err(|error| cannot_write(&path, &error))?;
    }
    Ok(())
}

/// `jitlink`, `jitlink-run`.
fn title(command: &clap::Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_string()
}

/// The day of the last change to what the pages say.
const REVISED: &str = "2026-11-22";

/// A whole page.
fn page(root: &clap::Command, command: &clap::Command) -> String {
    let source = format!("jitlink {}", root.get_version().unwrap_or_default());
    let manual = clap_mangen::Man::new(command.clone()).title(title(command).to_uppercase());
    let manual = manual.date(REVISED).source(source).manual("jitlink manual");
    let mut text = Vec::new();
    // Writing to memory does not fail.
    let _ = manual.render_title(&mut text);
    let _ = manual.render_name_section(&mut text);
    let _ = manual.render_synopsis_section(&mut text);
    let _ = manual.render_description_section(&mut text);
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        let _ = manual.render_options_section(&mut text);
    }
    if command.has_subcommands() {
        let _ = manual.render_subcommands_section(&mut text);
    }
    let _ = extra(command).to_writer(&mut text);
    let _ = see_also(root, command).to_writer(&mut text);
    clean(&String::from_utf8_lossy(&text))
}

/// The two lines with which each piece that is rendered by itself begins.
const PREAMBLE: [&str; 2] = [r".ie \n(.g .ds Aq \(aq", ".el .ds Aq '"];

/// Longest line that `mandoc -Tlint` finds good.
const WIDTH: usize = 80;

/// The page as `groff -ww` and `mandoc -Tlint` want it: the preamble once, no blanks at ends of lines, no empty lines (which are
/// requests of their own), long lines broken between words, and characters that every device can show.
fn clean(text: &str) -> String {
    let mut page = String::new();
    let mut is_literal = false;
    let mut is_gap = false;
    for line in text.lines().map(str::trim_end).skip(PREAMBLE.len()).filter(|line| !PREAMBLE.contains(line)) {
        is_literal = line == ".nf" || is_literal && line != ".fi";
        // Breaks and empty lines in a row stand for a gap before what follows.
        if matches!(line, "" | ".br") {
            is_gap = true;
            continue;
        }
        if std::mem::take(&mut is_gap) && !line.starts_with('.') {
            page.push_str(".sp\n");
        }
        match is_literal || line.starts_with('.') {
            true => page.push_str(line),
            false => break_line(line, &mut page),
        }
        page.push('\n');
    }
    let escaped = page.chars().map(|c| if c.is_ascii() { c.to_string() } else { format!("\\[u{:04X}]", c as u32) });
    PREAMBLE.join("\n") + "\n" + &escaped.collect::<String>()
}

/// Adds a line of text, broken where it is too long.
fn break_line(line: &str, page: &mut String) {
    let mut width = 0;
    for (index, word) in line.split(' ').enumerate() {
        // A line that begins with a dot or an apostrophe (a string of its own, `\*(Aq`) would be a request.
        let is_request = word.starts_with(['.', '\'']) || word.starts_with(r"\*");
        let may_break = index > 0 && !word.is_empty() && !is_request;
        if may_break && width + 1 + word.len() > WIDTH {
            page.push('\n');
            width = 0;
        } else if index > 0 {
            page.push(' ');
            width += 1;
        }
        page.push_str(word);
        width += word.len();
    }
}

/// The sections of the text below the options.
fn extra(command: &clap::Command) -> Roff {
    let mut roff = Roff::new();
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut is_literal = false;
    for (index, line) in text.lines().enumerate() {
        let starts_paragraph = index == 0 || text.lines().nth(index - 1).is_some_and(str::is_empty);
        let is_indented = line.starts_with(' ');
        if is_literal && !is_indented {
            roff.control("fi", []);
            is_literal = false;
        }
        let titled = line.split_once(':').filter(|(title, _)| starts_paragraph && is_title(title));
        if let Some((title, rest)) = titled {
            roff.control("SH", [title.to_uppercase().as_str()]);
            if !rest.trim().is_empty() {
                roff.text([roman(rest.trim())]);
            }
        } else if is_indented {
            if !is_literal {
                roff.control("nf", []);
                is_literal = true;
            }
            roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
        } else if !line.is_empty() {
            if starts_paragraph {
                roff.control("PP", []);
            }
            roff.text([roman(line)]);
        }
    }
    if is_literal {
        roff.control("fi", []);
    }
    roff
}

/// One or two words with a capital letter.
fn is_title(text: &str) -> bool {
    text.starts_with(|first: char| first.is_uppercase())
        && text.split(' ').count() <= 2
        && text.chars().all(|c| c.is_alphabetic() || c == ' ')
}

/// The other pages.
fn see_also(root: &clap::Command, command: &clap::Command) -> Roff {
    let others = std::iter::once(root).chain(root.get_subcommands().filter(|command| !command.is_hide_set()));
    let names: Vec<String> = others.map(title).filter(|name| *name != title(command)).collect();
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    for (index, name) in names.iter().enumerate() {
        let end = if index + 1 == names.len() { "(1)" } else { "(1)," };
        roff.text([bold(name), roman(end)]);
    }
    roff
}
