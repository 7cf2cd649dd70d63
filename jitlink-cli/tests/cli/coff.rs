//! Objects of Windows: what is said of them, and what is wrong with them.

use super::support::{Folder, Outcome, jitlink};
use serde_json::Value;

const OUTSIDE: &str = "--define far_function=0x7f0000000000";

/// What is said of a pointer to an initialiser.
const WARNING: &str =
    "section .CRT$XDA holds pointers to functions that run only if the program's own start-up code calls them";

#[test]
fn what_has_no_effect_is_a_warning_beside_the_result() {
    let folder = Folder::with(&["windows.o"]);
    let linked = folder.jitlink(&format!("link --no-exec windows.o {OUTSIDE}"));
    assert_eq!((linked.status, linked.stderr.as_str()), (0, format!("warning: windows.o: {WARNING}\n").as_str()));
    assert!(linked.stdout.contains("r-x  code"), "{}", linked.stdout);
    let linked = folder.jitlink(&format!("link --no-exec windows.o {OUTSIDE} --format json"));
    let said: Value = serde_json::from_str(&linked.stderr).unwrap();
    assert_eq!(said, serde_json::json!({ "warnings": [{ "object": "windows.o", "message": WARNING }] }));
    let map: Value = serde_json::from_str(&linked.stdout).unwrap();
    let target = serde_json::json!({ "format": "coff", "arch": "x86-64", "endian": "little", "pointer_bytes": 8 });
    assert_eq!(map["target"], target);
}

#[test]
fn inspection_shows_slots_of_imports_and_says_the_same() {
    let folder = Folder::with(&["windows.o"]);
    let seen = folder.jitlink(&format!("inspect windows.o {OUTSIDE}"));
    assert_eq!((seen.status, seen.stderr.as_str()), (0, format!("warning: windows.o: {WARNING}\n").as_str()));
    let has = |words: &[&str]| seen.stdout.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(has(&["IMAGE_REL_AMD64_REL32", "in answer", "__imp_far_function-0x4"]), "{}", seen.stdout);
    assert!(has(&[".idata+0x0", "far_function"]), "{}", seen.stdout);
    assert!(has(&["IMAGE_REL_AMD64_ADDR32NB", ".pdata+0x0", "answer"]), "{}", seen.stdout);
}

#[test]
fn what_nothing_defines_is_told_with_the_slot_that_needs_it() {
    let folder = Folder::with(&["windows.o"]);
    let expected = "\
error[undefined]: far_function is not defined; referred to at windows.o .idata+0x0 (x86-64 pointer)
  help: add the object, archive or library (-l) that defines it, or give it an address (--define NAME=ADDR)";
    assert_eq!(folder.jitlink("link --no-exec windows.o").errors(), expected);
}

/// Not that `main` is missing, nor what such a program needs of its own system.
#[test]
fn a_program_of_windows_is_refused_as_one() {
    let folder = Folder::with(&["windows.o"]);
    let mut command = jitlink(["run", "windows.o"]);
    command.current_dir(folder.path("")).env("PATH", "").env("JITLINK_EXECUTORS", "").env("HOME", folder.path(""));
    let outcome = Outcome::of(&mut command);
    // Either Wine is missing, or what it is to run: the tests' own folders may have that.
    let missing = [
        "needs wine64, which is not here: install the package wine64",
        "build it with cargo xtask executor --target x86_64-pc-windows-gnu",
        "far_function is not defined",
    ];
    let said = outcome.errors();
    assert!(missing.iter().any(|what| said.contains(what)), "{said}");
}
