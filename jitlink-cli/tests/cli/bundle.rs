//! `jitlink bundle` and `jitlink replay`: a link in one file.

use super::support::Folder;

/// A folder with a bundle of two objects.
fn recorded() -> Folder {
    let folder = Folder::with(&["program.o", "library.o"]);
    let outcome = folder.jitlink("bundle -o case --no-exec program.o library.o --unresolved null");
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    folder
}

/// What is wrong with a bundle, for people.
fn refusal(folder: &Folder, bytes: &[u8]) -> String {
    folder.write("changed", bytes);
    let outcome = folder.jitlink("replay changed");
    outcome.errors().lines().next().unwrap_or_default().to_string()
}

/// The place of some text in bytes.
fn find(bytes: &[u8], text: &str) -> usize {
    bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap_or_else(|| panic!("no {text}"))
}

#[test]
fn what_is_recorded_is_replayed_to_the_same_bytes() {
    let folder = recorded();
    let outcome = folder.jitlink("replay case --image replayed.bin --map replayed.json");
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    assert!(outcome.stdout.starts_with("the same: "), "{}", outcome.stdout);
    folder.jitlink("link --no-exec program.o library.o --unresolved null --image linked.bin --map linked.json");
    assert_eq!(folder.read("replayed.bin"), folder.read("linked.bin"));
    assert_eq!(folder.read("replayed.json"), folder.read("linked.json"));
}

#[test]
fn a_bundle_depends_on_the_link_alone() {
    let folder = recorded();
    let first = folder.read("case");
    std::fs::create_dir(folder.path("elsewhere")).unwrap();
    for name in ["program.o", "library.o"] {
        std::fs::rename(folder.path(name), folder.path(&format!("elsewhere/{name}"))).unwrap();
    }
    folder.write("options", "--no-exec --unresolved null elsewhere/program.o");
    let outcome = folder.jitlink("bundle @options elsewhere/library.o -o case --threads 2");
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    assert_eq!(folder.read("case"), first);
}

#[test]
fn links_that_fail_and_links_of_this_process_are_recorded_too() {
    let folder = Folder::with(&["program.o", "library.o", "undefined.o"]);
    let outcome = folder.jitlink("bundle -o case --no-exec undefined.o");
    assert!(
        outcome.stderr.starts_with("recorded a link that fails: missing_data is not defined"),
        "{}",
        outcome.stderr
    );
    let outcome = folder.jitlink("replay case");
    assert_eq!(outcome.status, 0);
    assert!(outcome.stdout.starts_with("the same: it fails with undefined: missing_data"), "{}", outcome.stdout);
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        let outcome = folder.jitlink("bundle -o case program.o library.o");
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
        // The C library is elsewhere in each process, and the result still the same.
        let outcome = folder.jitlink("replay case");
        assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    }
}

#[test]
fn the_first_byte_that_differs_is_named() {
    let folder = recorded();
    let mut bytes = folder.read("case");
    // A name of the result, with which the hash in the manifest goes.
    let at = find(&bytes, "\"protection\": \"r-x\"");
    bytes[at + 15] = b'q';
    let error = refusal(&folder, &bytes);
    assert!(error.contains("the result differs: a segment is r-x 0x10000000 with "), "{error}");
    assert!(error.contains(" bytes here, q-x 0x10000000 with "), "{error}");
}

#[test]
fn hostile_bundles_are_clean_errors() {
    let folder = recorded();
    let bytes = folder.read("case");
    let changed = |from: &str, to: &str| {
        let mut bytes = bytes.clone();
        let at = find(&bytes, from);
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        refusal(&folder, &bytes)
    };
    let check = |error: String, expected: &str| assert!(error.contains(expected), "{error}");
    check(
        changed("\"version\": 1", "\"version\": 7"),
        "the bundle is of version 7, and this jitlink reads version 1 only",
    );
    check(changed("\"file\": \"inputs/program.o", "\"file\": \"inputs/nothing.o"), "inputs/nothing.o is missing in it");
    check(changed("\"file\": \"inputs/program.o", "\"file\": \"../../program.oo"), "is missing in it");
    check(changed("\"page_size\": 4096", "\"page_size\": 4097"), "page");
    check(changed("\"sha256\": \"", "\"sha256\": \"zz"), "is damaged: size or hash is not that of manifest.json");
    check(changed("{\n", "[\n"), "manifest.json");
    check(refusal(&folder, &bytes[..700]), "manifest.json in it claims ");
    check(refusal(&folder, b""), "an empty one");
    check(refusal(&folder, &folder.read("program.o")), "no tar archive");
    // Every cut of the head, and every damaged byte of it, is an error or changes nothing that matters.
    for at in (0..2048).step_by(31) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x20;
        folder.write("changed", &bytes);
        let outcome = folder.jitlink("replay changed");
        assert!(matches!(outcome.status, 0 | 1), "{at}: {}", outcome.stderr);
    }
}

#[test]
fn inputs_of_one_name_and_archives_are_kept_apart() {
    let folder = Folder::with(&["program.o", "library.o"]);
    std::fs::create_dir(folder.path("sub")).unwrap();
    std::fs::rename(folder.path("library.o"), folder.path("sub/program.o")).unwrap();
    let outcome = folder.jitlink("bundle -o case --no-exec program.o sub/program.o --unresolved null");
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    assert_eq!(folder.jitlink("replay case").status, 0);
    let bytes = folder.read("case");
    find(&bytes, "inputs/program-2.o");
    assert!(!bytes.windows(4).any(|window| window == b"sub/"), "a path of this machine is in the bundle");
}

#[test]
fn thin_archives_are_made_whole() {
    let Some(ar) = super::support::find(&["ar", "llvm-ar-22", "llvm-ar"]) else { return };
    let folder = Folder::with(&["program.o", "library.o"]);
    folder.tool(&ar, "rcsT thin.a library.o");
    let outcome = folder.jitlink("bundle -o case --no-exec program.o thin.a --unresolved null");
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    folder.jitlink("link --no-exec program.o thin.a --unresolved null --image linked.bin");
    std::fs::remove_file(folder.path("library.o")).unwrap();
    let outcome = folder.jitlink("replay case --image replayed.bin");
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    assert_eq!(folder.read("linked.bin"), folder.read("replayed.bin"));
}
