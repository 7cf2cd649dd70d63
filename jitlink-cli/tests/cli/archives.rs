//! Archives: members on demand, thin ones, Rust's libraries.

use super::support::{Folder, find};

/// A regular archive without an index, as `ar` and others write it.
pub(crate) fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, content) in members {
        bytes.extend(
            format!("{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", format!("{name}/"), 0, 0, 0, 644, content.len()).bytes(),
        );
        bytes.extend(*content);
        bytes.extend((content.len() % 2 == 1).then_some(b'\n'));
    }
    bytes
}

/// A thin archive, which only names its members' files.
fn thin_archive(members: &[(&str, usize)]) -> Vec<u8> {
    let mut bytes = b"!<thin>\n".to_vec();
    for (name, size) in members {
        bytes.extend(format!("{:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", format!("{name}/"), 0, 0, 0, 644).bytes());
    }
    bytes
}

#[test]
fn members_join_when_they_are_needed() {
    let folder = Folder::with(&["program.o", "library.o", "undefined.o"]);
    let members = [("undefined.o", folder.read("undefined.o")), ("library.o", folder.read("library.o"))];
    folder.write("libx.a", archive(&members.each_ref().map(|(name, bytes)| (*name, bytes.as_slice()))));
    folder.write("libthin.a", thin_archive(&[("library.o", members[1].1.len())]));
    for library in ["libx.a", "libthin.a"] {
        let outcome = folder.jitlink(&format!("link --no-exec program.o {library} --unresolved null --map -"));
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{library}");
        let map: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        let objects: Vec<(&str, &str)> = map["objects"]
            .as_array()
            .unwrap()
            .iter()
            .map(|object| (object["name"].as_str().unwrap(), object["path"].as_str().unwrap()))
            .filter(|(_, path)| !path.is_empty())
            .collect();
        let member = format!("{library}(library.o)");
        assert_eq!(objects, [("program.o", "program.o"), (member.as_str(), library)]);
    }
    let whole = folder.jitlink("link --no-exec program.o libx.a --whole-archive");
    assert!(
        whole.stderr.contains("main is defined twice: in program.o and in libx.a(undefined.o)"),
        "{}",
        whole.stderr
    );
}

#[test]
fn an_archive_alone_gives_the_entry() {
    let folder = Folder::with(&["library.o"]);
    folder.write("libx.a", archive(&[("library.o", &folder.read("library.o"))]));
    let outcome = folder.jitlink("link --no-exec libx.a --entry classify");
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    // An entry that may be missing is looked for in archives too.
    let map =
        |options: &str| folder.jitlink(&format!("link --no-exec libx.a --entry classify --map - {options}")).stdout;
    assert_eq!(map(""), map("--allow-undefined-entry"));
}

#[test]
fn errors_name_archive_and_member() {
    let folder = Folder::with(&["program.o", "thread_local.o"]);
    folder.write("libx.a", archive(&[("thread_local.o", &folder.read("thread_local.o"))]));
    let outcome = folder.jitlink("link --no-exec libx.a --entry main");
    assert!(
        outcome.errors().starts_with("error[unsupported]: libx.a(thread_local.o): .text+0x4:"),
        "{}",
        outcome.stderr
    );
    folder.write("libthin.a", thin_archive(&[("gone.o", 100)]));
    let outcome = folder.jitlink("link --no-exec program.o libthin.a");
    assert!(outcome.errors().contains("gone.o: No such file or directory"), "{}", outcome.stderr);
    assert!(outcome.errors().contains("a member of the thin archive libthin.a"), "{}", outcome.stderr);
    folder.write("libcut.a", &archive(&[("a.o", &[0; 90])])[..100]);
    let outcome = folder.jitlink("link --no-exec libcut.a");
    assert!(outcome.errors().starts_with("error[malformed]: libcut.a: offset 0x"), "{}", outcome.stderr);
}

#[test]
fn archives_of_ar_with_and_without_index() {
    let Some(ar) = find(&["ar", "llvm-ar-22"]) else { return };
    let folder = Folder::with(&["program.o", "library.o"]);
    std::fs::create_dir(folder.path("objects with a long name")).unwrap();
    std::fs::copy(folder.path("library.o"), folder.path("objects with a long name/the library of the test.o")).unwrap();
    for (name, flags) in [("indexed", "rcs"), ("plain", "rcS"), ("thin", "rcsT"), ("thinplain", "rcST")] {
        let archive = format!("lib{name}.a");
        let mut command = std::process::Command::new(&ar);
        command.args([flags, &archive, "objects with a long name/the library of the test.o"]);
        assert!(command.current_dir(folder.path("")).status().unwrap().success(), "{name}");
        let outcome = folder.jitlink(&format!("link --no-exec program.o {archive} --unresolved null --map -"));
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{name}");
        assert!(outcome.stdout.contains("the library of the test.o)\""), "{name}: {}", outcome.stdout);
    }
}
