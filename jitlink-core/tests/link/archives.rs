//! Archives: which members join a link.

use crate::kit::{Event::*, executor, exported, inputs, link_with, roots};
use jitlink_core::link::{LinkOptions, NoSymbols};
use jitlink_core::{Input, LinkErrors};

/// An archive in the GNU dialect; `index` lists names with the positions of the members that define them.
pub(crate) fn archive(members: &[(&str, &str)], index: Option<&[(&str, usize)]>) -> Vec<u8> {
    let header = |name: &str, size: usize| format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644);
    let body = |text: &str| {
        let mut bytes = text.trim_start().as_bytes().to_vec();
        bytes.resize(bytes.len().next_multiple_of(2), b'\n');
        bytes
    };
    let mut index_bytes = Vec::new();
    if let Some(index) = index {
        let names: Vec<u8> = index.iter().flat_map(|(name, _)| [name.as_bytes(), b"\0"].concat()).collect();
        let size = (4 + 4 * index.len() + names.len()).next_multiple_of(2);
        let mut offsets = vec![8 + 60 + size];
        for (_, text) in members {
            offsets.push(offsets.last().unwrap() + 60 + body(text).len());
        }
        index_bytes.extend(header("/", size).bytes());
        index_bytes.extend((index.len() as u32).to_be_bytes());
        index.iter().for_each(|(_, member)| index_bytes.extend((offsets[*member] as u32).to_be_bytes()));
        index_bytes.extend(names);
        index_bytes.resize(60 + size, 0);
    }
    let mut bytes = [b"!<arch>\n".to_vec(), index_bytes].concat();
    for (name, text) in members {
        let body = body(text);
        bytes.extend(header(&format!("{name}/"), body.len()).bytes());
        bytes.extend(body);
    }
    bytes
}

fn function(name: &str, tag: u32, calls: &str) -> String {
    format!("toy le64\nsection .text rx\nlabel {name} global\ntag {tag}\n{calls}\nret\n")
}

fn link(objects: &[(&str, &str)], archives: &[Input], options: &LinkOptions) -> Result<crate::kit::Image, LinkErrors> {
    let all: Vec<Input> = inputs(objects).into_iter().chain(archives.iter().cloned()).collect();
    link_with(&executor(), &all, &NoSymbols, options)
}

fn names(image: &crate::kit::Image) -> Vec<&str> {
    image.map().objects.iter().map(|object| object.name.as_str()).collect()
}

#[test]
fn only_members_that_are_needed_join() {
    let (f, g) = (function("f", 1, ""), function("g", 2, ""));
    let main = function("main", 0, "call f");
    for index in [None, Some(&[("f", 0), ("g", 1)][..])] {
        let library = Input::from_bytes("lib.a", archive(&[("f.o", &f), ("g.o", &g)], index));
        let image = link(&[("main.o", &main)], &[library], &exported()).unwrap();
        assert_eq!(image.run("main"), [Tag(0), Tag(1)]);
        assert_eq!(names(&image), ["main.o", "lib.a(f.o)"]);
    }
}

#[test]
fn a_member_may_need_an_earlier_one_and_another_archive() {
    let (f, g, h) = (function("f", 1, "call h"), function("g", 2, "call f"), function("h", 3, ""));
    let main = function("main", 0, "call g");
    let first = Input::from_bytes("first.a", archive(&[("f.o", &f), ("g.o", &g)], None));
    let second = Input::from_bytes("second.a", archive(&[("h.o", &h)], None));
    for archives in [[first.clone(), second.clone()], [second, first]] {
        let image = link(&[("main.o", &main)], &archives, &exported()).unwrap();
        assert_eq!(image.run("main"), [Tag(0), Tag(2), Tag(1), Tag(3)]);
    }
}

#[test]
fn the_first_archive_that_defines_a_name_serves_it() {
    let main = function("main", 0, "call f");
    let of = |name: &str, tag| Input::from_bytes(name, archive(&[("f.o", &function("f", tag, ""))], None));
    let image = link(&[("main.o", &main)], &[of("a.a", 1), of("b.a", 2)], &exported()).unwrap();
    assert_eq!(image.run("main"), [Tag(0), Tag(1)]);
}

#[test]
fn a_weak_reference_pulls_nothing_in() {
    let main = "toy le64\nundef f weak\nsection .text rx\nlabel main global\ncall32 f\nret\n";
    let library = || Input::from_bytes("lib.a", archive(&[("f.o", &function("f", 1, ""))], None));
    let image = link(&[("main.o", main)], &[library()], &exported()).unwrap();
    assert_eq!(image.run("main"), [Left(0)]);
    let image = link(&[("main.o", main)], &[library().whole_archive()], &exported()).unwrap();
    assert_eq!(image.run("main"), [Tag(1)]);
}

#[test]
fn what_is_defined_needs_no_member() {
    let main =
        function("main", 0, "call f") + &function("f", 7, "").replace("toy le64\nsection .text", "section .text.f");
    let common = "toy le64\ncommon data 8 8\n";
    let member = "toy le64\nsection .data rw\nlabel data global\nhex 01\nsection .text rx\nlabel f global\nret\n";
    let library = Input::from_bytes("lib.a", archive(&[("f.o", member)], None));
    let image = link(&[("main.o", &main), ("common.o", common)], &[library], &exported()).unwrap();
    assert_eq!(names(&image), ["main.o", "common.o", "(jitlink)"]);
}

#[test]
fn a_whole_archive_joins_needed_or_not() {
    let (f, g) = (function("f", 1, ""), function("g", 2, ""));
    let library = Input::from_bytes("lib.a", archive(&[("f.o", &f), ("g.o", &g)], None)).whole_archive();
    let image = link(&[], &[library], &exported()).unwrap();
    assert_eq!((image.run("f"), image.run("g")), (vec![Tag(1)], vec![Tag(2)]));
}

#[test]
fn members_that_are_not_needed_are_not_even_read() {
    let broken = "toy le64\nsection .text rx\nlabel g global\nnonsense\n";
    let library = archive(&[("f.o", &function("f", 1, "")), ("g.o", broken)], Some(&[("f", 0), ("g", 1)]));
    let library = Input::from_bytes("lib.a", library);
    assert!(link(&[("main.o", &function("main", 0, "call f"))], std::slice::from_ref(&library), &exported()).is_ok());
    let errors = link(&[("main.o", &function("main", 0, "call g"))], &[library], &exported()).err().unwrap();
    assert!(errors.to_string().starts_with("lib.a(g.o): line"), "{errors}");
}

#[test]
fn a_root_pulls_its_member_in_and_decides_a_link_of_archives_alone() {
    let (f, g) = (function("f", 1, ""), function("g", 2, ""));
    let library = Input::from_bytes("lib.a", archive(&[("f.o", &f), ("g.o", &g)], None));
    let image = link(&[], &[library], &roots(&["g"])).unwrap();
    assert_eq!(image.run("g"), [Tag(2)]);
    assert_eq!(image.find("f"), None);
}

#[test]
fn an_alias_pulls_in_what_it_names() {
    let library = Input::from_bytes("lib.a", archive(&[("f.o", &function("f", 1, ""))], None));
    let options = LinkOptions { aliases: vec![("new".into(), "f".into())], ..exported() };
    let image = link(&[("main.o", &function("main", 0, "call new"))], &[library], &options).unwrap();
    assert_eq!(image.run("main"), [Tag(0), Tag(1)]);
}

#[test]
fn an_index_that_promises_too_much_leaves_the_name_undefined() {
    let library = archive(&[("f.o", &function("f", 1, ""))], Some(&[("f", 0), ("g", 0)]));
    let library = Input::from_bytes("lib.a", library);
    let errors = link(&[("main.o", &function("main", 0, "call32 g"))], &[library], &exported()).err().unwrap();
    assert_eq!(errors.first().code(), "undefined");
}

#[test]
fn members_of_thin_archives_are_files_and_a_missing_one_is_named_with_its_archive() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lib.a");
    let f = function("f", 1, "");
    std::fs::write(folder.path().join("f.o"), &f).unwrap();
    let header = |name: &str, size: usize| format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644);
    let thin = format!("!<thin>\n{}{}", header("f.o/", f.len()), header("gone.o/", 10));
    std::fs::write(&path, &thin).unwrap();
    let main = function("main", 0, "call f");
    let library = Input::open(&path).unwrap();
    let errors = link(&[("main.o", &main)], &[library], &exported()).err().unwrap();
    let text = errors.to_string();
    assert!(text.contains("gone.o") && text.contains("lib.a"), "{text}");
    std::fs::write(&path, thin.replace(&header("gone.o/", 10), "")).unwrap();
    let image = link(&[("main.o", &main)], &[Input::open(&path).unwrap()], &exported()).unwrap();
    assert_eq!(image.run("main"), [Tag(0), Tag(1)]);
}

#[test]
fn chains_through_many_members_end_in_reasonable_time() {
    let count = 3000;
    let members: Vec<(String, String)> = (0..count)
        .map(|index| (format!("m{index}.o"), function(&format!("f{index}"), index, &format!("call32 f{}", index + 1))))
        .collect();
    let members: Vec<(&str, &str)> = members.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let library = Input::from_bytes("lib.a", archive(&members, None));
    let options = LinkOptions { defines: vec![(format!("f{count}"), jitlink_core::Addr(0x1000))], ..exported() };
    let start = std::time::Instant::now();
    let image = link(&[("main.o", &function("main", 0, "call32 f0"))], &[library], &options).unwrap();
    assert_eq!(image.map().objects.len(), count as usize + 1);
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}
