//! Archives written by hand in every dialect, and by the tools of this machine.

use super::*;
use std::process::Command;

fn header(name: &str, size: usize) -> Vec<u8> {
    let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644);
    assert_eq!(header.len(), HEADER);
    header.into_bytes()
}

fn put(archive: &mut Vec<u8>, name: &str, data: &[u8]) -> usize {
    let offset = archive.len();
    archive.extend(header(name, data.len()));
    archive.extend_from_slice(data);
    if archive.len() % 2 == 1 {
        archive.push(b'\n');
    }
    offset
}

fn names<'m>(archive: &'m Archive<'_>) -> Vec<&'m str> {
    archive.members().iter().map(|member| &*member.name).collect()
}

fn inline<'a>(archive: &Archive<'a>, index: usize) -> &'a [u8] {
    match &archive.members()[index].data {
        MemberData::Inline(bytes) => bytes,
        MemberData::External(path) => panic!("{path:?}"),
    }
}

fn index(archive: &Archive<'_>) -> Vec<(String, usize)> {
    let entries = archive.index().expect("an index");
    entries.map(|(name, member)| (String::from_utf8_lossy(name).into_owned(), member)).collect()
}

fn expected(entries: &[(&str, usize)]) -> Vec<(String, usize)> {
    entries.iter().map(|(name, member)| (name.to_string(), *member)).collect()
}

fn refused(bytes: &[u8]) -> String {
    Archive::parse("libx.a", bytes).expect_err("refused").to_string()
}

/// A GNU archive with an index, long names and a member of odd size, whose index points `shift` bytes off.
fn gnu(shift: u32) -> Vec<u8> {
    let long = "a_name_that_is_longer_than_sixteen.o";
    let table = format!("{long}/\n");
    let members = MAGIC.len() + HEADER + 20 + HEADER + table.len() + table.len() % 2;
    let (first, second) = (members as u32 + shift, (members + HEADER + 4) as u32 + shift);
    let mut words = Vec::new();
    [2, first, second].iter().for_each(|word: &u32| words.extend(word.to_be_bytes()));
    words.extend(b"one\0two\0");
    let mut archive = MAGIC.to_vec();
    put(&mut archive, "/", &words);
    put(&mut archive, "//", table.as_bytes());
    assert_eq!(put(&mut archive, "short name.o/", b"odd"), members);
    put(&mut archive, "/0", b"even");
    archive
}

#[test]
fn gnu_archives_have_long_names_and_a_big_endian_index() {
    let bytes = gnu(0);
    assert!(Archive::recognize(&bytes));
    let archive = Archive::parse("libx.a", &bytes).unwrap();
    assert_eq!(names(&archive), ["short name.o", "a_name_that_is_longer_than_sixteen.o"]);
    assert_eq!((inline(&archive, 0), inline(&archive, 1)), (b"odd".as_slice(), b"even".as_slice()));
    assert_eq!(index(&archive), expected(&[("one", 0), ("two", 1)]));
    assert_eq!(&bytes[archive.members()[1].offset as usize..][..2], b"/0");
}

#[test]
fn wide_indexes_are_read() {
    let mut archive = MAGIC.to_vec();
    let member = (MAGIC.len() + HEADER + 20) as u64;
    let data = [&1u64.to_be_bytes()[..], &member.to_be_bytes(), b"fn\0\0"].concat();
    put(&mut archive, "/SYM64/", &data);
    put(&mut archive, "a.o/", b"x");
    assert_eq!(index(&Archive::parse("libx.a", &archive).unwrap()), expected(&[("fn", 0)]));
}

#[test]
fn bsd_archives_have_names_before_the_bytes_and_an_index_of_pairs() {
    for (wide, big) in [(false, false), (false, true), (true, false), (true, true)] {
        let word = |value: u64| match (wide, big) {
            (false, false) => (value as u32).to_le_bytes().to_vec(),
            (false, true) => (value as u32).to_be_bytes().to_vec(),
            (true, false) => value.to_le_bytes().to_vec(),
            (true, true) => value.to_be_bytes().to_vec(),
        };
        let width = if wide { 8 } else { 4 };
        let symdef = if wide { "__.SYMDEF_64 SORTED\0" } else { "__.SYMDEF SORTED\0\0\0\0" };
        let size = symdef.len() as u64 + 2 * width + 4 * width + 8;
        let first = MAGIC.len() as u64 + HEADER as u64 + size;
        let second = first + HEADER as u64 + 8 + 2;
        let pairs = [word(4), word(second), word(0), word(first)].concat();
        let table = [symdef.as_bytes(), &word(4 * width), &pairs, &word(8), b"one\0two\0"].concat();
        let mut archive = MAGIC.to_vec();
        put(&mut archive, "#1/20", &table);
        put(&mut archive, "#1/8", b"long n\0\0xy");
        put(&mut archive, "plain.o", b"z");
        let archive = Archive::parse("libx.a", &archive).unwrap();
        assert_eq!(names(&archive), ["long n", "plain.o"]);
        assert_eq!((inline(&archive, 0), inline(&archive, 1)), (b"xy".as_slice(), b"z".as_slice()));
        assert_eq!(index(&archive), expected(&[("two", 1), ("one", 0)]), "{wide} {big}");
    }
}

#[test]
fn a_second_index_goes_by_member_number() {
    let build = |number: u16| {
        let member = (MAGIC.len() + 2 * HEADER + 12 + 18) as u32;
        let gnu = [&1u32.to_be_bytes()[..], &member.to_be_bytes(), b"fn\0\0"].concat();
        let words: [&[u8]; 5] =
            [&1u32.to_le_bytes(), &member.to_le_bytes(), &1u32.to_le_bytes(), &number.to_le_bytes(), b"fn\0\0"];
        let mut archive = MAGIC.to_vec();
        put(&mut archive, "/", &gnu);
        put(&mut archive, "/", &words.concat());
        put(&mut archive, "a.obj/", b"bytes!");
        archive
    };
    assert_eq!(index(&Archive::parse("x.lib", &build(1)).unwrap()), expected(&[("fn", 0)]));
    for wrong in [0, 2] {
        let error = refused(&build(wrong));
        assert!(error.contains(&format!("member {wrong}, which is not there, defines fn")), "{error}");
    }
}

#[test]
fn thin_archives_point_to_files() {
    let mut archive = THIN_MAGIC.to_vec();
    put(&mut archive, "//", b"sub/a.o/\n../b.o/\n");
    archive.extend(header("/0", 1_000_000));
    archive.extend(header("/9", 7));
    let archive = Archive::parse("build/lib/libx.a", &archive).unwrap();
    assert_eq!(names(&archive), ["sub/a.o", "../b.o"]);
    assert!(archive.index().is_none());
    let paths: Vec<_> = archive.members().iter().map(|member| member.data.clone()).collect();
    let external = |path: &str| MemberData::External(PathBuf::from(path));
    assert_eq!(paths, [external("build/lib/sub/a.o"), external("build/lib/../b.o")]);
}

#[test]
fn an_empty_archive_has_no_members() {
    let archive = Archive::parse("libx.a", MAGIC).unwrap();
    assert!(archive.members().is_empty() && archive.index().is_none());
}

#[test]
fn the_last_padding_may_be_missing() {
    let mut archive = MAGIC.to_vec();
    put(&mut archive, "a.o/", b"odd");
    archive.pop();
    assert_eq!(inline(&Archive::parse("libx.a", &archive).unwrap(), 0), b"odd");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let check = |bytes: &[u8], message: &str| {
        let error = refused(bytes);
        assert!(error.starts_with("libx.a: ") && error.contains(message), "{error}");
    };
    check(b"!<arch", "magic");
    check(&gnu(2), "a member at 0xbc, where none starts, defines one");
    let with = |member: &[u8]| [MAGIC, member].concat();
    check(&with(&header("a.o/", 1)), "runs past the file's end");
    check(&with(&header("a.o/", 0)[..40]), "within the header");
    check(&with(&header("/7", 0)), "entry 7 of a table");
    check(&with(&header("#1/5", 2)), "5\" bytes long");
    check(&with(&[header("#1/2", 2), b"x".to_vec()].concat()), "2\" bytes long");
    let mut damaged = header("a.o/", 0);
    damaged[58] = b'!';
    check(&with(&damaged), "does not end with its mark");
    let mut damaged = header("a.o/", 0);
    damaged[48..50].copy_from_slice(b"-1");
    check(&with(&damaged), "\"-1\", no number");
    check(&with(&[header("a.o/", 0), header("//", 0)].concat()), "a table of names after");
    let huge = [header("/", 4), vec![0xff; 4], header("a.o/", 0)].concat();
    check(&with(&huge), "index is cut short");
    let nested = [THIN_MAGIC, &header("//", 8), b"lib.a/\n\n", &header("/0:68", 0)].concat();
    let error = refused(&nested);
    assert!(error.contains("in another archive"), "{error}");
}

#[test]
fn names_that_share_bytes_cannot_cost_more_than_the_file() {
    let mut archive = MAGIC.to_vec();
    put(&mut archive, "//", &[vec![b'x'; 10_000], b"/\n".to_vec()].concat());
    (0..2_000).for_each(|_| archive.extend(header("/0", 0)));
    assert!(refused(&archive).contains("share more bytes"));
}

#[test]
fn damage_never_panics() {
    let archives = [gnu(0), [THIN_MAGIC, &gnu(0)[MAGIC.len()..]].concat()];
    for bytes in archives {
        (0..bytes.len()).for_each(|end| drop(Archive::parse("libx.a", &bytes[..end])));
        let mut state = 1u64;
        for _ in 0..20_000 {
            let mut damaged = bytes.clone();
            for _ in 0..3 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = (state >> 33) as usize % damaged.len();
                damaged[at] = (state >> 24) as u8;
            }
            drop(Archive::parse("libx.a", &damaged));
        }
    }
}

/// Runs a tool in a folder; whether the machine has it.
fn run(folder: &Path, tool: &str, arguments: &[&str]) -> bool {
    let result = match Command::new(tool).args(arguments).current_dir(folder).output() {
        Ok(result) => result,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            assert!(std::env::var_os("CI").is_none_or(|value| value != "true"), "{tool} is not installed");
            println!("skipped: {tool} is not installed");
            return false;
        }
        Err(error) => panic!("{tool}: {error}"),
    };
    assert!(result.status.success(), "{tool} {arguments:?}: {}", String::from_utf8_lossy(&result.stderr));
    true
}

#[test]
fn archives_of_the_tools_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let long = "second_object_with_a_long_name.o";
    std::fs::write(path.join("one.c"), "int one(void) { return 1; } int both;").unwrap();
    std::fs::write(path.join("two.c"), "int two(void) { return 2; }").unwrap();
    if !run(path, "cc", &["-c", "one.c", "-o", "one.o"]) || !run(path, "cc", &["-c", "two.c", "-o", long]) {
        return;
    }
    let with_index = [("one", 0), ("both", 0), ("two", 1)];
    let cases: [(&str, &[&str], bool, bool); 7] = [
        ("ar", &["rcs"], true, false),
        ("ar", &["rcS"], false, false),
        ("ar", &["rcsT"], true, true),
        ("llvm-ar-22", &["rcs", "--format=gnu"], true, false),
        ("llvm-ar-22", &["rcs", "--format=bsd"], true, false),
        ("llvm-ar-22", &["rcs", "--format=darwin"], true, false),
        // In pieces, because core's sources name no format.
        ("llvm-ar-22", &["rcs", concat!("--format=co", "ff")], true, false),
    ];
    for (tool, options, indexed, thin) in cases {
        let _ = std::fs::remove_file(path.join("libx.a"));
        let arguments: Vec<_> = options.iter().copied().chain(["libx.a", "one.o", long]).collect();
        if !run(path, tool, &arguments) {
            continue;
        }
        let bytes = std::fs::read(path.join("libx.a")).unwrap();
        let archive = Archive::parse(path.join("libx.a").to_str().unwrap(), &bytes);
        let archive = archive.unwrap_or_else(|error| panic!("{tool} {options:?}: {error}"));
        assert_eq!(names(&archive), ["one.o", long], "{tool} {options:?}");
        for (member, file) in archive.members().iter().zip(["one.o", long]) {
            match &member.data {
                MemberData::External(found) => assert_eq!((thin, found), (true, &path.join(file))),
                MemberData::Inline(found) => {
                    let original = std::fs::read(path.join(file)).unwrap();
                    assert!(!thin && found.starts_with(&original), "{tool} {options:?}");
                }
            }
        }
        assert_eq!(archive.index().is_some(), indexed, "{tool} {options:?}");
        if indexed {
            let mut found = index(&archive);
            let mut wanted = expected(&with_index);
            found.sort();
            wanted.sort();
            assert_eq!(found, wanted, "{tool} {options:?}");
        }
    }
}
