//! Progress: on a terminal, after a second, and gone before anything else is written.
//!
//! An object that comes through a pipe makes a link last as long as the test wants.

use super::support::{Folder, jitlink};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Stdio};

/// A pseudo terminal: the side that a person looks at, and two handles for a program's output.
fn terminal() -> (File, File, File) {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&person).unwrap();
    unlockpt(&person).unwrap();
    let name = ptsname(&person, Vec::new()).unwrap();
    let program = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    (File::from(person), program.try_clone().unwrap(), program)
}

/// The command on a terminal, with an object still to come on standard input.
fn start(folder: &Folder, words: &str, term: &str) -> (Child, File) {
    let (person, output, errors) = terminal();
    let mut command = jitlink(words.split_whitespace());
    command.current_dir(folder.path("")).env("TERM", term);
    command.stdin(Stdio::piped()).stdout(output).stderr(errors);
    (command.spawn().unwrap(), person)
}

/// All that appears until the program has ended. Reading from a terminal that nobody writes to any more is an error.
fn rest(mut child: Child, mut person: File) -> String {
    let mut bytes = Vec::new();
    let _ = person.read_to_end(&mut bytes);
    assert!(child.wait().unwrap().code().is_some());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits until this text appears.
fn wait_for(person: &mut File, text: &str) -> String {
    let mut seen = Vec::new();
    let mut buffer = [0; 256];
    while !String::from_utf8_lossy(&seen).contains(text) {
        let count = person.read(&mut buffer).unwrap();
        seen.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&seen).into_owned()
}

fn send(child: &mut Child, object: &[u8]) {
    child.stdin.take().unwrap().write_all(object).unwrap();
}

/// What is left on a terminal's current line: indicatif goes to its start and clears it.
fn is_cleared(text: &str) -> bool {
    text.ends_with("\r\x1b[2K") || text.ends_with("\x1b[1G\x1b[2K")
}

#[test]
fn what_takes_long_shows_that_it_is_alive() {
    let folder = Folder::with(&["library.o"]);
    folder.write("rules", "# jitlink-check: exists(add)\n");
    let object = folder.read("library.o");
    let cases = [
        ("check rules - --unresolved null", "checking rules", "1 rule passed"),
        ("link --no-exec - --unresolved null", "linking standard input", "0x10000000 "),
        ("link --no-exec - --unresolved null --map -", "linking standard input", "{"),
        ("link --no-exec - --entry nowhere", "linking standard input (1s)", "error"),
    ];
    for (words, progress, output) in cases {
        let (mut child, mut person) = start(&folder, words, "xterm");
        let seen = wait_for(&mut person, progress);
        assert!(!seen.contains(output), "{words}: {seen:?}");
        send(&mut child, &object);
        let rest = seen + &rest(child, person);
        // Colours may come first.
        let before = rest.split(output).next().unwrap_or_default().trim_end_matches("\x1b[1;31m");
        assert!(rest.contains(output) && is_cleared(before), "{words}: {rest:?}");
        assert!(!rest[before.len()..].contains(progress), "{words}: {rest:?}");
    }
}

#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn progress_is_gone_before_the_program_starts() {
    let folder = Folder::with(&["program.o", "library.o"]);
    let (mut child, mut person) = start(&folder, "run - library.o", "xterm");
    let seen = wait_for(&mut person, "linking 2 files");
    send(&mut child, &folder.read("program.o"));
    let all = seen + &rest(child, person);
    let (before, after) = all.split_once("argc 1").unwrap_or_else(|| panic!("{all:?}"));
    assert!(is_cleared(before) && !after.contains('\x1b'), "{all:?}");
}

#[test]
fn nothing_is_shown_where_nobody_looks() {
    let folder = Folder::with(&["library.o"]);
    let object = folder.read("library.o");
    let words = "link --no-exec - --unresolved null";
    // Standard error is a pipe; then a terminal that can clear no line.
    let (mut person, output, errors) = terminal();
    drop(errors);
    let mut command = jitlink(words.split_whitespace());
    command.stdin(Stdio::piped()).stdout(output).stderr(Stdio::piped()).env("TERM", "xterm");
    let mut piped = command.spawn().unwrap();
    drop(command);
    let (mut dumb, dumb_person) = start(&folder, words, "dumb");
    // Longer than progress waits.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    send(&mut piped, &object);
    send(&mut dumb, &object);
    let mut shown = Vec::new();
    let _ = person.read_to_end(&mut shown);
    let output = piped.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(shown.starts_with(b"0x10000000 "), "{}", String::from_utf8_lossy(&shown));
    let shown = rest(dumb, dumb_person);
    assert!(shown.starts_with("0x10000000 "), "{shown:?}");
}
