//! What names mean: weak externals, common symbols, directives.

use super::builder::{CODE, DATA, Object, weak_record};
use super::kit::{image, linked, read};
use jitlink_core::Input;
use jitlink_core::graph::{Protection, Scope, Value};
use jitlink_core::link::{LinkOptions, Roots};

const EXTERNAL: u8 = 2;
const STATIC: u8 = 3;
const WEAK: u8 = 105;

/// An object with `use`, a pointer to `name`, which falls back to `default`, a byte of its own.
fn weak(name: &str, rule: u32) -> Object {
    let mut object = Object::new();
    object.section(".data", DATA, &[0; 8]);
    object.section(".rdata", DATA, &[0x11]);
    let default = object.symbol("default", 0, 2, EXTERNAL);
    let weak = object.symbol_with(name, 0, 0, WEAK, weak_record(default, rule));
    object.symbol("use", 0, 1, EXTERNAL);
    object.sections[0].relocations = vec![(0, weak, 1)];
    object
}

/// An object that defines one name.
fn defines(name: &str) -> Vec<u8> {
    let mut object = Object::new();
    object.section(".data", DATA, &[0x22]);
    object.symbol(name, 0, 1, EXTERNAL);
    object.bytes()
}

/// An archive of objects without an index.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        let header = format!("{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", format!("{name}/"), 0, 0, 0, 644, bytes.len());
        archive.extend_from_slice(header.as_bytes());
        archive.extend_from_slice(bytes);
        archive.resize(archive.len().next_multiple_of(2), b'\n');
    }
    archive
}

#[test]
fn a_weak_external_means_its_default_unless_an_object_defines_it() {
    for rule in 1..=3 {
        let weak = weak("name", rule).bytes();
        let alone = linked(&[("weak.obj", &weak)]).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(alone.long(alone.address("use")), alone.address("default"), "rule {rule}");
        assert_eq!(alone.address("name"), alone.address("default"), "rule {rule}");
        let strong = defines("name");
        for inputs in [[("weak.obj", &*weak), ("b.obj", &*strong)], [("b.obj", &*strong), ("weak.obj", &*weak)]] {
            let both = linked(&inputs).unwrap_or_else(|errors| panic!("{errors}"));
            assert_eq!(both.bytes(both.long(both.address("use")), 1), [0x22], "rule {rule}");
        }
    }
}

#[test]
fn the_search_rule_says_whether_archives_are_searched() {
    // "PE Format", "Auxiliary Format 3: Weak Externals": only IMAGE_WEAK_EXTERN_SEARCH_LIBRARY (2) is looked for in libraries.
    for (rule, byte) in [(1, 0x11), (2, 0x22), (3, 0x11)] {
        let (weak, library) = (weak("name", rule).bytes(), archive(&[("b.obj", &defines("name"))]));
        let image = linked(&[("weak.obj", &weak), ("b.lib", &library)]).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(image.bytes(image.long(image.address("use")), 1), [byte], "rule {rule}");
    }
    let error = read(&weak("name", 5).bytes(), false).expect_err("no such rule");
    assert!(error.to_string().contains("its search rule is 5"), "{error}");
}

#[test]
fn a_default_may_be_in_an_archive_and_must_be_somewhere() {
    let mut object = weak("name", 1);
    object.symbols[0].section = 0;
    let bytes = object.bytes();
    let errors = linked(&[("weak.obj", &bytes)]).err().expect("no default");
    assert!(errors.first().to_string().starts_with("default is not defined"), "{errors}");
    let library = archive(&[("b.obj", &defines("default"))]);
    let image = linked(&[("weak.obj", &bytes), ("b.lib", &library)]).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(image.bytes(image.long(image.address("use")), 1), [0x22]);
}

#[test]
fn a_weak_external_in_a_section_is_a_definition_that_archives_have() {
    let mut member = Object::new();
    member.section(".data", DATA, &[0x22]);
    member.symbol_with("default", 0, 1, WEAK, weak_record(0, 1));
    let mut object = weak("name", 1);
    object.symbols[0].section = 0;
    let (bytes, library) = (object.bytes(), archive(&[("b.obj", &member.bytes())]));
    let image = linked(&[("weak.obj", &bytes), ("b.lib", &library)]).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(image.bytes(image.long(image.address("use")), 1), [0x22]);
}

#[test]
fn chains_of_defaults_end_and_circles_are_undefined() {
    let chain = |names: &[(&str, &str)]| -> Vec<u8> {
        let mut object = Object::new();
        object.section(".data", DATA, &[0; 8]);
        object.symbol("use", 0, 1, EXTERNAL);
        object.symbol("end", 4, 1, EXTERNAL);
        let directives: String = names.iter().map(|(name, other)| format!("/alternatename:{name}={other} ")).collect();
        object.section(".drectve", 0x0010_0a00, directives.as_bytes());
        let first = object.symbol("a", 0, 0, EXTERNAL);
        object.sections[0].relocations = vec![(0, first, 1)];
        object.bytes()
    };
    let bytes = chain(&[("a", "b"), ("b", "c"), ("c", "end")]);
    let image = linked(&[("a.obj", &bytes)]).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(image.long(image.address("use")), image.address("end"));
    let bytes = chain(&[("a", "b"), ("b", "a")]);
    let errors = linked(&[("a.obj", &bytes)]).err().expect("a circle");
    assert_eq!(errors.first().code(), "undefined", "{errors}");
}

#[test]
fn absolute_symbols_are_where_they_say() {
    let mut object = directed("");
    object.sections[0].content = vec![3, 0, 0, 0, 0, 0, 0, 0];
    let number = object.symbol("absolute", 0xfedc_ba98, -1, EXTERNAL);
    object.sections[0].relocations = vec![(0, number, 1)];
    let user = {
        let mut user = Object::new();
        user.section(".data", DATA, &[0; 8]);
        user.symbol("user", 0, 1, EXTERNAL);
        let number = user.symbol("absolute", 0, 0, EXTERNAL);
        user.sections[0].relocations = vec![(0, number, 2)];
        user.bytes()
    };
    let image = linked(&[("a.obj", &object.bytes()), ("b.obj", &user)]).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(image.long(image.address("own")), 0xfedc_ba9b);
    assert_eq!(image.word(image.address("user")), 0xfedc_ba98, "the other object's is the same");
    let errors = linked(&[("a.obj", &object.bytes()), ("b.obj", &object.bytes())]).err().expect("two definitions");
    assert!(errors.iter().any(|error| error.code() == "duplicate"), "{errors}");
}

#[test]
fn common_symbols_have_the_alignment_of_their_size_or_what_is_asked_for() {
    let mut object = Object::new();
    object.symbol("small", 3, 0, EXTERNAL);
    object.symbol("large", 1000, 0, EXTERNAL);
    object.symbol("asked", 5, 0, EXTERNAL);
    object.section(".drectve", 0x0010_0a00, b"-aligncomm:\"asked\",8 -aligncomm:\"large\",1");
    let bytes = object.bytes();
    let graph = read(&bytes, false).unwrap_or_else(|error| panic!("{error}"));
    for (name, size, align) in [("small", 3, 2), ("large", 1000, 5), ("asked", 5, 8)] {
        let symbol = graph.symbol(graph.find_symbol(name).expect(name));
        assert!(matches!(symbol.value, Value::Common { align_log2, .. } if align_log2 == align), "{name}: {symbol:?}");
        assert_eq!(symbol.size, size, "{name}");
    }
}

fn directed(text: &str) -> Object {
    let mut object = Object::new();
    object.section(".data", DATA, &[0x11]);
    object.section(".drectve", 0x0010_0a00, text.as_bytes());
    object.symbol("own", 0, 1, EXTERNAL);
    object
}

#[test]
fn directives_keep_names_and_give_them_other_names() {
    let roots = Roots::Named(vec!["own".into()]);
    let options = LinkOptions { roots, ..LinkOptions::default() };
    let text = "/EXPORT:first,@1,NONAME -export:\"second=other\",DATA /include:third";
    let mut inputs = vec![Input::from_bytes("a.obj", directed(text).bytes())];
    let errors = image(&inputs, &options).err().expect("names that are not there");
    let missing: Vec<String> = errors.iter().map(ToString::to_string).collect();
    for name in ["first", "other", "third"] {
        assert!(missing.iter().any(|error| error.starts_with(&format!("{name} is not defined"))), "{missing:?}");
    }
    assert_eq!(missing.len(), 3, "{missing:?}");
    inputs.extend(["first", "other", "third"].map(|name| Input::from_bytes(format!("{name}.obj"), defines(name))));
    let image = image(&inputs, &options).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(image.bytes(image.address("first"), 1), [0x22]);
    assert_eq!(image.address("second"), image.address("other"));
    assert_eq!(image.bytes(image.address("third"), 1), [0x22]);
}

#[test]
fn objects_must_agree_on_what_they_say_of_themselves() {
    let first = directed("/FAILIFMISMATCH:\"level=2\" /failifmismatch:runtime=x").bytes();
    let mut second = directed("/failifmismatch:level=2");
    second.symbols[0].name = b"two".to_vec();
    linked(&[("a.obj", &first), ("b.obj", &second.bytes())]).unwrap_or_else(|errors| panic!("{errors}"));
    second.sections[1].content = b"/failifmismatch:\"level=0\"".to_vec();
    let errors = linked(&[("a.obj", &first), ("b.obj", &second.bytes())]).err().expect("two levels");
    assert_eq!(errors.first().to_string(), "a.obj has level=2, and b.obj has level=0");
    assert_eq!(errors.first().code(), "disagreement");
}

#[test]
fn what_is_unknown_is_a_warning_and_what_is_broken_an_error() {
    let quiet =
        "/defaultlib:libcmt -nodefaultlib /merge:.a=.b /guardsym:f,S /EditAndContinue \"/manifestdependency:a b\"";
    let image = linked(&[("a.obj", &directed(quiet).bytes())]).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(image.linked.statistics.warnings, []);
    let image = linked(&[("a.obj", &directed("  /frobnicate:yes word").bytes())]);
    let image = image.unwrap_or_else(|errors| panic!("{errors}"));
    let warnings: Vec<String> = image.linked.statistics.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "a.obj: .drectve+0x2: directive frobnicate is not known, and has no effect",
            "a.obj: .drectve+0x12: word is no directive, and has no effect"
        ]
    );
    for broken in [
        "/include:",
        "/export",
        "/alternatename:a",
        "/failifmismatch:=b",
        "-aligncomm:a",
        "-aligncomm:a,33",
        "/section:.a",
        "/section:.a,",
        "/section:.a,X",
        "/section:.a,EW",
        "/section:,R",
    ] {
        let error = read(&directed(&format!(" {broken}")).bytes(), false).expect_err(broken);
        let site = error.site().expect("a place");
        assert_eq!((site.section.as_str(), site.offset, error.code()), (".drectve", 1, "malformed"), "{error}");
    }
}

#[test]
fn sections_have_the_rights_that_are_asked_for() {
    // The linker's option `/SECTION`: letters, and those behind a `!` are taken away.
    for (rights, expected) in [
        ("RW", Protection::ReadWrite),
        ("r", Protection::Read),
        ("RWS", Protection::ReadWrite),
        ("ER,ALIGN=16", Protection::ReadExecute),
        ("RW!W", Protection::Read),
        ("!D", Protection::Read),
    ] {
        let mut object = directed(&format!("/section:.a,{rights}"));
        object.section(".a", CODE, &[1]);
        object.section(".a$b", DATA, &[2]);
        object.section(".aa", DATA, &[3]);
        let bytes = object.bytes();
        let graph = read(&bytes, false).unwrap_or_else(|error| panic!("{rights}: {error}"));
        let found: Vec<Protection> = graph.sections().map(|(_, section)| section.protection).collect();
        assert_eq!(found, [Protection::ReadWrite, expected, expected, Protection::ReadWrite], "{rights}");
    }
}

#[test]
fn excluded_names_are_hidden() {
    let bytes = directed("-exclude-symbols:own,\"another\"").bytes();
    let graph = read(&bytes, false).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(graph.symbol(graph.find_symbol("own").expect("own")).scope, Scope::Hidden);
}

#[test]
fn marks_of_objects_are_in_every_one_of_them() {
    let mut object = Object::new();
    object.section(".text", CODE, &[0xc3]);
    object.symbol("@feat.00", 0x11, -1, EXTERNAL);
    object.symbol("@comp.id", 0x1234, -1, STATIC);
    let bytes = object.bytes();
    linked(&[("a.obj", &bytes), ("b.obj", &bytes)]).unwrap_or_else(|errors| panic!("{errors}"));
}
