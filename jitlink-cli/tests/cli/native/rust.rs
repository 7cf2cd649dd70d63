//! Objects of rustc: with its standard library, against what rustc links, and without, against the libcore that it ships.

use super::support::{Folder, Outcome, find, jitlink};
use std::path::{Path, PathBuf};

/// The archive with libcore that belongs to this compiler.
fn libcore(rustc: &Path) -> PathBuf {
    let folder = Folder::new();
    let libraries = folder.command(rustc, "--print target-libdir").stdout;
    let mut entries = std::fs::read_dir(libraries.trim()).unwrap().flatten().map(|entry| entry.path());
    let is_core = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("libcore-") && name.ends_with(".rlib")
    };
    entries.find(is_core).expect("rustc ships libcore")
}

#[test]
fn programs_without_std_run_at_every_level_and_model() {
    let Some(rustc) = find(&["rustc"]) else { return };
    let core = libcore(&rustc);
    for options in [
        "-Copt-level=0",
        "-Copt-level=3",
        "-Copt-level=0 -Ccode-model=large",
        "-Copt-level=3 -Ccode-model=large",
        "-Copt-level=0 -Crelocation-model=static",
        "-Copt-level=3 -Crelocation-model=static",
        "-Copt-level=3 -Crelocation-model=pic",
        "-Copt-level=2 -Cdebuginfo=2",
    ] {
        let folder = Folder::new();
        let source = super::source("program.rs");
        folder.tool(&rustc, &format!("--edition 2024 -Cpanic=abort {options} --emit obj -o program.o {source}"));
        let outcome = folder.jitlink(&format!("run program.o {}", core.display()));
        assert_eq!(outcome.visible(), (5, "rust 1 3 7.142\n"), "{options}: {}", outcome.stderr);
    }
}

/// Compiles the program of two crates to objects and, by rustc's own link, to a program; the inputs for jitlink.
fn standard(folder: &Folder, rustc: &Path, options: &str) -> String {
    let common = format!("--edition 2024 -Awarnings --out-dir . {options}");
    folder.tool(rustc, &format!("{common} --crate-type rlib {}", super::source("standard_other.rs")));
    // Each by itself: linking removes the objects of several units.
    for emit in ["link", "obj"] {
        let source = super::source("standard.rs");
        let crates = "--extern standard_other=libstandard_other.rlib";
        folder.tool(rustc, &format!("{common} --emit={emit} {crates} {source}"));
    }
    let entries = std::fs::read_dir(folder.path(".")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut objects: Vec<String> = names.filter(|name| name.ends_with(".o")).collect();
    objects.sort();
    objects.push("libstandard_other.rlib".into());
    objects.join(" ")
}

#[test]
fn programs_with_std_do_what_rustc_links() {
    let Some(rustc) = find(&["rustc"]) else { return };
    for options in [
        "-Copt-level=0 -Cdebuginfo=2",
        "-Copt-level=0 -Ccodegen-units=1 --cfg own_allocator",
        "-Copt-level=3 -Ccodegen-units=16",
        "-Copt-level=2 -Crelocation-model=static",
        "-Copt-level=s --cfg own_allocator",
    ] {
        let folder = Folder::new();
        let inputs = standard(&folder, &rustc, options);
        for arguments in ["one two three", "panic"] {
            let outcome = folder.jitlink(&format!("run {inputs} --rust-std -- {arguments}"));
            let reference = folder.command(&folder.path("standard"), arguments);
            assert!(reference.stdout.contains("a thread's variable is gone"), "{}", reference.stderr);
            assert_eq!(outcome.visible(), reference.visible(), "{options}: {}", outcome.stderr);
        }
    }
}

#[test]
fn programs_that_abort_on_panic_abort() {
    let Some(rustc) = find(&["rustc"]) else { return };
    let folder = Folder::new();
    folder.write(
        "main.rs",
        "fn main() { println!(\"first\"); let _ = std::panic::catch_unwind(|| panic!(\"last\")); }\n",
    );
    folder.tool(&rustc, "--emit=obj,link -Cpanic=abort --out-dir . main.rs -Ccodegen-units=1");
    let outcome = folder.jitlink("run main.o --rust-std=abort");
    let reference = folder.command(&folder.path("main"), "");
    assert_eq!(outcome.visible(), reference.visible(), "{}", outcome.stderr);
    assert_eq!((outcome.status, outcome.stdout.as_str()), (-6, "first\n"));
    assert!(outcome.stderr.contains("last"), "{}", outcome.stderr);
}

#[test]
fn other_commands_add_the_standard_library_too() {
    let Some(rustc) = find(&["rustc"]) else { return };
    let folder = Folder::new();
    folder.write("main.rs", "fn main() { println!(\"{}\", std::env::args().count()); }\n");
    folder.tool(&rustc, "--emit=obj -Ccodegen-units=1 main.rs");
    let outcome = folder.jitlink("link main.o --rust-std --entry main --map map.json");
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    let map = String::from_utf8(folder.read("map.json")).unwrap();
    assert!(map.contains("rust-std.a(std-"), "{map}");
    let outcome = folder.jitlink("inspect main.o --rust-std --entry main --why-live main");
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    let outcome = folder.jitlink("bundle main.o --rust-std --entry main -o case.jitbundle");
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    let outcome = folder.jitlink("replay case.jitbundle");
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    let outcome = folder.jitlink("bundle main.o --rust-std --whole-archive -o case.jitbundle");
    assert_eq!(outcome.status, 2, "{}", outcome.stderr);
}

#[test]
fn without_the_standard_library_the_advice_is_to_add_it() {
    let Some(rustc) = find(&["rustc"]) else { return };
    let folder = Folder::new();
    folder.write("main.rs", "fn main() { println!(\"hello\"); }\n");
    folder.tool(&rustc, "--emit=obj -Ccodegen-units=1 main.rs");
    let outcome = folder.jitlink("run main.o");
    assert!(outcome.errors().contains("  help: this is of Rust's own libraries: add --rust-std"), "{}", outcome.stderr);
}

#[test]
fn a_rustc_that_fails_is_named_with_what_it_was_asked_and_said() {
    let folder = Folder::with(&["program.o"]);
    for (rustc, reason) in [
        ("/no/such/rustc", "error[resolver]: rustc: cannot run `/no/such/rustc --crate-type staticlib "),
        ("false", "error[resolver]: rustc: `false --crate-type staticlib "),
        ("true", "error[resolver]: rustc: `true --crate-type staticlib "),
    ] {
        let mut command = jitlink(["run", "program.o", "--rust-std"]);
        let outcome = Outcome::of(command.current_dir(folder.path(".")).env("RUSTC", rustc));
        assert!(outcome.errors().starts_with(reason), "{}", outcome.stderr);
        let advice = "\n  help: install Rust, or set RUSTC to the rustc that compiled the objects";
        assert!(outcome.errors().ends_with(advice), "{}", outcome.stderr);
    }
}
