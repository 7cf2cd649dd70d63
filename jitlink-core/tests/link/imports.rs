//! Names that shared libraries define: who is asked for them, and what comes first.

use crate::kit::{Event::*, executor, inputs, link_with, roots};
use jitlink_core::graph::ExportName;
use jitlink_core::link::{Definition, ImportedName, LinkOptions, NoSymbols, Resolver};
use jitlink_core::{Addr, LinkError, LinkErrors};
use std::sync::Mutex;

/// A function `main` that calls `f`, and a function `g`.
const USER: &str = "toy le64\nsection .text rx\nlabel main global\ncall32 f\nret\nlabel g global\ntag 7\nret\n";

/// Libraries: file, what each has, where.
struct Libraries {
    known: &'static [(&'static str, ExportName<'static>, u64)],
    /// Everything that was asked for: library, export, name.
    asked: Mutex<Vec<String>>,
}

impl Libraries {
    fn new(known: &'static [(&'static str, ExportName<'static>, u64)]) -> Libraries {
        Libraries { known, asked: Mutex::default() }
    }

    fn asked(self) -> Vec<String> {
        self.asked.into_inner().unwrap()
    }
}

impl Resolver for Libraries {
    fn resolve(&self, names: &[&[u8]]) -> Result<Vec<Option<Definition>>, LinkError> {
        self.asked.lock().unwrap().extend(names.iter().map(|name| String::from_utf8_lossy(name).into_owned()));
        Ok(vec![None; names.len()])
    }

    fn resolve_imports(&self, imports: &[ImportedName<'_>]) -> Result<Vec<Option<Definition>>, LinkError> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let shown = |import: &ImportedName<'_>| {
            format!("{} is {import} of {}", text(import.name), import.library.map_or("?".into(), text))
        };
        self.asked.lock().unwrap().extend(imports.iter().map(shown));
        let address = |import: &ImportedName<'_>| {
            let is_it = |known: &&(&str, ExportName<'_>, u64)| {
                Some(known.0.as_bytes()) == import.library && known.1 == import.export
            };
            self.known.iter().find(is_it).map(|known| Definition::Address(Addr(known.2)))
        };
        Ok(imports.iter().map(address).collect())
    }
}

/// What `main` does, and what was asked for; with further lines of the first object, and other objects.
fn run(
    lines: &str,
    others: &[&str],
    libraries: Libraries,
    options: &LinkOptions,
) -> (Result<String, LinkErrors>, Vec<String>) {
    let undefined = if lines.contains("label f ") { "" } else { "undef f\n" };
    let mut objects = vec![("a.o".to_string(), format!("{USER}{undefined}{lines}\n"))];
    objects.extend(others.iter().zip(["b.o", "c.o"]).map(|(text, name)| (name.into(), format!("toy le64\n{text}\n"))));
    let objects: Vec<(&str, &str)> = objects.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let linked = link_with(&executor(), &inputs(&objects), &libraries, options);
    (linked.map(|image| format!("{:?}", image.run("main"))), libraries.asked())
}

fn done(outcome: &(Result<String, LinkErrors>, Vec<String>)) -> (&str, Vec<&str>) {
    let ran = outcome.0.as_deref().unwrap_or_else(|errors| panic!("{errors}"));
    (ran, outcome.1.iter().map(String::as_str).collect())
}

fn left(address: u64) -> String {
    format!("{:?}", [Left(address)])
}

const C: &[(&str, ExportName<'_>, u64)] = &[
    ("c.dll", ExportName::Name(b"f"), 0x5000),
    ("c.dll", ExportName::Name(b"_f"), 0x5010),
    ("c.dll", ExportName::Ordinal(7), 0x5020),
    ("d.dll", ExportName::Name(b"f"), 0x6000),
];

#[test]
fn a_name_is_looked_for_in_its_library_alone_and_as_that_calls_it() {
    for (line, address, asked) in [
        ("import f c.dll", 0x5000, "f is f of c.dll"),
        ("import f d.dll", 0x6000, "f is f of d.dll"),
        ("import f c.dll _f", 0x5010, "f is _f of c.dll"),
        ("import f c.dll#7", 0x5020, "f is number 7 of c.dll"),
        // The first that says it, as of definitions.
        ("import f d.dll\nimport f c.dll", 0x6000, "f is f of d.dll"),
    ] {
        for (own, others) in [(line, [].as_slice()), ("", &[line])] {
            let outcome = run(own, others, Libraries::new(C), &roots(&["main"]));
            assert_eq!(done(&outcome), (left(address).as_str(), vec![asked]), "{line}");
        }
    }
}

#[test]
fn the_name_of_the_library_may_stand_in_another_object() {
    let place = "section .name r\nlabel place global\nascii c.dll\\0another";
    // Nowhere, and without an end.
    for (place, library) in [(place, "c.dll"), ("undef nothing", "?"), (place.trim_end_matches("\\0another"), "?")] {
        let outcome = run("import f @place", &[place], Libraries::new(C), &roots(&["main"]));
        assert_eq!(outcome.1, [format!("f is f of {library}")], "{place}");
        assert_eq!(outcome.0.is_ok(), library == "c.dll", "{place}");
    }
}

#[test]
fn what_nothing_live_refers_to_is_not_asked_for() {
    let outcome = run(
        "import f c.dll\nimport h d.dll",
        &["section .text.h rx\ncall32 h\nret\nundef h"],
        Libraries::new(C),
        &roots(&["main"]),
    );
    assert_eq!(done(&outcome), (left(0x5000).as_str(), vec!["f is f of c.dll"]));
    let other = "section .text.k rx\nlabel k global\nret";
    let (user, other) = (format!("{USER}undef f\nimport f c.dll\n"), format!("toy le64\n{other}\n"));
    let libraries = Libraries::new(C);
    let linked = link_with(&executor(), &inputs(&[("a.o", &user), ("b.o", &other)]), &libraries, &roots(&["k"]));
    linked.unwrap_or_else(|errors| panic!("{errors}"));
    assert!(libraries.asked().is_empty());
}

#[test]
fn definitions_and_given_addresses_come_first_and_fallbacks_last() {
    let options = roots(&["main"]);
    let tag = format!("{:?}", [Tag(9)]);
    for linkage in ["", " weak"] {
        let definition = format!("section .text.f rx\nlabel f global{linkage}\ntag 9\nret");
        for (lines, others) in [("import f c.dll", [definition.as_str()]), (definition.as_str(), ["import f c.dll"])] {
            let outcome = run(lines, &others, Libraries::new(C), &options);
            assert_eq!(done(&outcome), (tag.as_str(), vec![]), "{lines}");
        }
    }
    let outcome = run("import f c.dll\nfallback f g", &[], Libraries::new(C), &options);
    assert_eq!(done(&outcome), (left(0x5000).as_str(), vec!["f is f of c.dll"]));
    for name in ["f", "_f"] {
        let options = LinkOptions { defines: vec![(name.into(), Addr(0x7000))], ..roots(&["main"]) };
        let outcome = run("import f c.dll _f", &[], Libraries::new(C), &options);
        assert_eq!(done(&outcome), (left(0x7000).as_str(), vec![]), "{name}");
    }
}

#[test]
fn what_a_library_does_not_have_is_an_error_that_names_it() {
    let outcome = run("import f c.dll __f", &[], Libraries::new(C), &roots(&["main"]));
    let errors = outcome.0.expect_err("nothing of that name");
    assert!(matches!(errors.first(), LinkError::Undefined { symbol, .. } if symbol == "f"), "{errors}");
    let advice = errors.first().advice();
    assert!(advice.contains("c.dll") && advice.contains("__f"), "{advice}");
}

#[test]
fn who_does_not_know_libraries_is_asked_for_what_they_call_the_name() {
    struct ByName;
    impl Resolver for ByName {
        fn resolve(&self, names: &[&[u8]]) -> Result<Vec<Option<Definition>>, LinkError> {
            Ok(names.iter().map(|name| (*name == b"_f").then_some(Definition::Address(Addr(0x5010)))).collect())
        }
    }
    let user = format!("{USER}undef f\nimport f c.dll _f\n");
    let image = link_with(&executor(), &inputs(&[("a.o", &user)]), &ByName, &roots(&["main"]));
    assert_eq!(image.unwrap_or_else(|errors| panic!("{errors}")).run("main"), [Left(0x5010)]);
    let errors = link_with(&executor(), &inputs(&[("a.o", &user)]), &NoSymbols, &roots(&["main"]));
    assert!(errors.is_err());
}
