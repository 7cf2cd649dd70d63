//! Import slots, with and without import libraries of either form.

use super::builder::{CODE, DATA, Object};
use super::kit::{Image, image, read};
use jitlink_core::link::LinkOptions;
use jitlink_core::{Addr, Input, LinkErrors};
use std::process::Command;

const EXTERNAL: u8 = 2;

/// A member of an import library in the short form.
fn import(name: &str, library: &str, bits: u16, export: Option<&str>) -> Vec<u8> {
    let mut strings = format!("{name}\0{library}\0").into_bytes();
    strings.extend(export.into_iter().flat_map(|export| format!("{export}\0").into_bytes()));
    let mut member = vec![0, 0, 0xff, 0xff, 0, 0, 0x64, 0x86, 0, 0, 0, 0];
    member.extend((strings.len() as u32).to_le_bytes());
    member.extend(7u16.to_le_bytes());
    member.extend(bits.to_le_bytes());
    member.extend(strings);
    member
}

/// An object with pointers to names.
fn refers(names: &[&str]) -> Vec<u8> {
    let mut object = Object::new();
    object.section(".data", DATA, &vec![0; 8 * names.len()]);
    object.symbol("use", 0, 1, EXTERNAL);
    let numbers: Vec<u32> = names.iter().map(|name| object.symbol(name, 0, 0, EXTERNAL)).collect();
    object.sections[0].relocations = (0..).zip(numbers).map(|(index, number)| (8 * index, number, 1)).collect();
    object.bytes()
}

fn link(inputs: &[(&str, Vec<u8>)], outside: &[(&str, u64)]) -> Result<Image, LinkErrors> {
    let inputs: Vec<Input> = inputs.iter().map(|(name, bytes)| Input::from_bytes(*name, bytes.clone())).collect();
    let defines = outside.iter().map(|(name, address)| (name.to_string(), Addr(*address))).collect();
    image(&inputs, &LinkOptions { defines, ..LinkOptions::default() })
}

#[test]
fn a_slot_holds_the_address_of_what_is_outside_or_in_the_batch() {
    let user = refers(&["__imp_outside", "outside"]);
    let image = link(&[("a.obj", user.clone())], &[("outside", 0x7777_0000_1234)]).unwrap_or_else(|e| panic!("{e}"));
    let uses = image.address("use");
    assert_eq!(image.long(image.long(uses)), 0x7777_0000_1234);
    assert_eq!(image.long(uses + 8), 0x7777_0000_1234);
    let mut own = Object::new();
    own.section(".data", DATA, &[0x22]);
    own.symbol("outside", 0, 1, EXTERNAL);
    let image = link(&[("a.obj", user.clone()), ("b.obj", own.bytes())], &[]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(image.long(image.long(image.address("use"))), image.address("outside"));
    // Slots are nobody's but the batch's.
    assert!(image.linked.exports.get("__imp_outside").is_none());
    let errors = link(&[("a.obj", user)], &[]).err().expect("nothing is outside");
    assert!(errors.iter().any(|error| error.to_string().starts_with("outside is not defined")), "{errors}");
}

#[test]
fn objects_share_a_slot() {
    let both = [
        ("a.obj", refers(&["__imp_outside"])),
        ("b.obj", {
            let mut object = Object::new();
            object.section(".data", DATA, &[0; 8]);
            object.symbol("other", 0, 1, EXTERNAL);
            let number = object.symbol("__imp_outside", 0, 0, EXTERNAL);
            object.sections[0].relocations = vec![(0, number, 1)];
            object.bytes()
        }),
    ];
    let image = link(&both, &[("outside", 0x1234)]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(image.long(image.address("use")), image.long(image.address("other")));
}

#[test]
fn a_member_says_what_a_name_is_called_outside() {
    // "PE Format", "Import Name Type"; the type of the import is in the lowest two bits: code.
    for (kind, name, outside) in [
        (0, "plain", "plain"),
        (1, "_plain@8", "_plain@8"),
        (2, "_plain@8", "plain@8"),
        (3, "_plain@8", "plain"),
        (3, "?plain@@8", "plain"),
        (4, "plain", "exported"),
    ] {
        let member = import(name, "a.dll", kind << 2, (kind == 4).then_some("exported"));
        let slot = format!("__imp_{name}");
        let user = refers(&[&slot, name]);
        let image = link(&[("a.obj", user), ("i.obj", member)], &[(outside, 0x4321)]);
        let image = image.unwrap_or_else(|errors| panic!("{kind} {name}: {errors}"));
        let uses = image.address("use");
        assert_eq!((image.long(image.long(uses)), image.long(uses + 8)), (0x4321, 0x4321), "{kind} {name}");
    }
    // Of constant data the name means the slot.
    let image = link(
        &[("a.obj", refers(&["value"])), ("i.obj", import("value", "a.dll", 1 << 2 | 2, None))],
        &[("value", 0x4321)],
    );
    let errors = image.err().map(|errors| errors.to_string());
    assert_eq!(errors, None);
}

#[test]
fn broken_members_are_refused() {
    let whole = import("name", "a.dll", 4, None);
    for end in 8..whole.len() {
        assert!(read(&whole[..end], false).is_err(), "{end} bytes");
    }
    for (bits, what) in [(3, "the type of the import is 3"), (5 << 2, "the import's name is 5"), (4 << 2, "cut off")] {
        let error = read(&import("name", "a.dll", bits, None), false).expect_err(what);
        assert!(error.to_string().contains(what) && error.site().unwrap().object == "a.obj", "{error}");
    }
    let error = read(&import("_", "a.dll", 2 << 2, None), false).expect_err("no name is left");
    assert!(error.to_string().contains("is empty"), "{error}");
}

#[test]
fn a_long_member_has_a_name_or_an_ordinal() {
    // The highest bit of a slot says that the rest is an ordinal: "PE Format", "Import Lookup Table".
    let long = |slot: [u8; 8]| {
        let mut object = Object::new();
        object.section(".text", CODE, &[0xff, 0x25, 0, 0, 0, 0]);
        object.section(".idata$5", DATA, &slot);
        object.symbol("plain", 0, 1, EXTERNAL);
        let number = object.symbol("__imp_plain", 0, 2, EXTERNAL);
        object.sections[0].relocations = vec![(2, number, 4)];
        object.bytes()
    };
    let member = long([3, 0, 0, 0, 0, 0, 0, 0x80]);
    let image = link(&[("a.obj", refers(&["__imp_plain", "plain"])), ("i.obj", member)], &[("plain", 0x4321)]);
    let image = image.unwrap_or_else(|errors| panic!("{errors}"));
    let uses = image.address("use");
    assert_eq!((image.long(image.long(uses)), image.long(uses + 8)), (0x4321, 0x4321));
    let error = read(&long([3, 0, 0, 0, 0, 0, 0, 0x7f]), false).expect_err("neither");
    assert!(error.to_string().contains("neither a name nor an ordinal"), "{error}");
    assert_eq!(error.site().expect("a place").section, ".idata$5");
}

/// The import library that a tool makes of a list of names.
pub(crate) fn library(tool: &str, arguments: &[&str], names: &str) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.def"), format!("LIBRARY a.dll\nEXPORTS\n{names}")).expect("a file");
    let arguments = arguments.iter().copied().chain(["-d", "a.def", "-l", "a.lib"]);
    let output = Command::new(tool).current_dir(folder.path()).args(arguments).output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(std::fs::read(folder.path().join("a.lib")).expect("a library"))
}

#[test]
fn import_libraries_of_both_forms_are_archives_like_others() {
    let tools: [(&[&str], &[&str]); 2] =
        [(&["llvm-dlltool-22", "llvm-dlltool"], &["-m", "i386:x86-64"]), (&["x86_64-w64-mingw32-dlltool"], &[])];
    for (names, arguments) in tools {
        let Some(tool) = super::kit::installed(names) else { continue };
        let Some(library) = library(tool, arguments, "plain\nvalue DATA\nnumbered @7 NONAME\n") else { continue };
        let user = refers(&["__imp_plain", "plain", "__imp_value", "__imp_numbered"]);
        let outside = [("plain", 0x7000_0000_1111), ("value", 0x7000_0000_2222), ("numbered", 0x7000_0000_3333)];
        let image = link(&[("a.obj", user), ("a.lib", library)], &outside);
        let image = image.unwrap_or_else(|errors| panic!("{tool}: {errors}"));
        let uses = image.address("use");
        let found = [uses, uses + 16, uses + 24].map(|slot| image.long(image.long(slot)));
        assert_eq!(found, [0x7000_0000_1111, 0x7000_0000_2222, 0x7000_0000_3333], "{tool}");
        assert_eq!(image.long(uses + 8), 0x7000_0000_1111, "{tool}");
    }
}
