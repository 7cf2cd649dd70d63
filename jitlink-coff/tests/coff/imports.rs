//! Import slots, with and without import libraries of either form.

use super::builder::{CODE, DATA, Object};
use super::kit::{BASE, Image, assemble, image, image_with, read};
use jitlink_core::link::{Definition, ImportedName, LinkOptions, Resolver};
use jitlink_core::{Addr, Input, LinkError, LinkErrors};
use std::process::Command;
use std::sync::Mutex;

const EXTERNAL: u8 = 2;

/// A member of an import library in the short form.
fn import(name: &str, library: &str, bits: u16, export: Option<&str>) -> Vec<u8> {
    let mut strings = format!("{name}\0{library}\0").into_bytes();
    strings.extend(export.into_iter().flat_map(|export| format!("{export}\0").into_bytes()));
    let mut member = vec![0, 0, 0xff, 0xff, 0, 0, 0x64, 0x86, 0, 0, 0, 0];
    member.extend((strings.len() as u32).to_le_bytes());
    // The ordinal, or where the name may be.
    member.extend(7u16.to_le_bytes());
    member.extend(bits.to_le_bytes());
    member.extend(strings);
    member
}

/// Shared libraries that have everything, each name at an address of its own.
#[derive(Default)]
struct Everything {
    /// What was asked for, in order: `LIBRARY EXPORT`.
    asked: Mutex<Vec<String>>,
}

impl Everything {
    /// The address of what was asked for.
    fn address(&self, what: &str) -> u64 {
        let asked = self.asked.lock().unwrap();
        let place = asked.iter().position(|asked| asked == what);
        0x7777_0000_1000 + place.unwrap_or_else(|| panic!("{what} is not in {asked:?}")) as u64
    }
}

impl Resolver for Everything {
    fn resolve(&self, names: &[&[u8]]) -> Result<Vec<Option<Definition>>, LinkError> {
        Ok(vec![None; names.len()])
    }

    fn resolve_imports(&self, imports: &[ImportedName<'_>]) -> Result<Vec<Option<Definition>>, LinkError> {
        let answer = |import: &ImportedName<'_>| {
            let library = import.library.map_or("?".into(), String::from_utf8_lossy);
            let what = format!("{library} {import}");
            self.asked.lock().unwrap().push(what.clone());
            Some(Definition::Address(Addr(self.address(&what))))
        };
        Ok(imports.iter().map(answer).collect())
    }
}

/// Links objects; what names of libraries mean is in the second.
fn imported(inputs: &[(&str, Vec<u8>)]) -> (Image, Everything) {
    let inputs: Vec<Input> = inputs.iter().map(|(name, bytes)| Input::from_bytes(*name, bytes.clone())).collect();
    let outside = Everything::default();
    let image = image_with(BASE, &inputs, &outside, &LinkOptions::default());
    (image.unwrap_or_else(|errors| panic!("{errors}")), outside)
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
}

#[test]
fn a_member_says_which_library_has_it_and_as_what() {
    for (kind, name, asked) in [
        (0, "plain", "a.dll number 7"),
        (1, "_plain@8", "a.dll _plain@8"),
        (2, "_plain@8", "a.dll plain@8"),
        (2, "?plain", "a.dll plain"),
        (2, "@plain@8", "a.dll plain@8"),
        (2, "__plain", "a.dll _plain"),
        (2, "plain", "a.dll plain"),
        (3, "_plain@8", "a.dll plain"),
        (3, "?plain@@YAXXZ", "a.dll plain"),
        (3, "plain", "a.dll plain"),
        (4, "plain", "a.dll exported"),
    ] {
        let member = import(name, "a.dll", kind << 2, (kind == 4).then_some("exported"));
        let user = refers(&[&format!("__imp_{name}"), name]);
        for inputs in
            [[("a.obj", user.clone()), ("i.obj", member.clone())], [("i.obj", member.clone()), ("a.obj", user.clone())]]
        {
            let (image, outside) = imported(&inputs);
            let uses = image.address("use");
            let address = outside.address(asked);
            assert_eq!((image.long(image.long(uses)), image.long(uses + 8)), (address, address), "{kind} {name}");
            assert_eq!(outside.asked.lock().unwrap().len(), 1);
        }
    }
    // A member that nothing refers to asks for nothing.
    let (_, outside) = imported(&[("a.obj", refers(&[])), ("i.obj", import("name", "a.dll", 4, None))]);
    assert!(outside.asked.lock().unwrap().is_empty());
}

#[test]
fn a_name_of_constant_data_means_its_slot() {
    let user = refers(&["value", "__imp_value"]);
    let member = import("value", "a.dll", 1 << 2 | 2, None);
    for inputs in
        [[("a.obj", user.clone()), ("i.obj", member.clone())], [("i.obj", member.clone()), ("a.obj", user.clone())]]
    {
        let (image, outside) = imported(&inputs);
        let uses = image.address("use");
        assert_eq!(image.long(uses), image.long(uses + 8), "one slot");
        assert_eq!(image.long(image.long(uses)), outside.address("a.dll value"));
    }
}

#[test]
fn two_libraries_have_the_same_name() {
    let members = [
        ("i.obj", import("first", "a.dll", 4 << 2, Some("open"))),
        ("j.obj", import("second", "b.dll", 4 << 2, Some("open"))),
    ];
    let [first, second] = members;
    let (image, outside) = imported(&[("a.obj", refers(&["first", "second"])), first, second]);
    let uses = image.address("use");
    let found = [uses, uses + 8].map(|place| image.long(place));
    assert_eq!(found, [outside.address("a.dll open"), outside.address("b.dll open")]);
}

/// A member in Microsoft's long form, of which the library's name stands behind a descriptor; and that.
const LONG: [&str; 2] = [
    r#"
.globl __IMPORT_DESCRIPTOR_a
.globl plain
.text
plain: jmpq *__imp_plain(%rip)
.section .idata$5,"dw"
.globl __imp_plain
__imp_plain: .long name@IMGREL, 0
.section .idata$4,"dw"
.long name@IMGREL, 0
.section .idata$6,"dw"
name: .byte 1, 0
.asciz "exported"
"#,
    r#"
.section .idata$2,"dw"
.globl __IMPORT_DESCRIPTOR_a
__IMPORT_DESCRIPTOR_a: .long 0, 0, 0
.long library@IMGREL
.long 0
.section .idata$6,"dw"
.asciz "another"
library: .asciz "a.dll"
"#,
];

#[test]
fn a_long_member_finds_the_name_of_its_library() {
    let [Some(member), Some(descriptor)] = LONG.map(assemble) else { return };
    // A name of the slot itself, of constant data.
    let constant =
        LONG[0].replace(".text\nplain: jmpq *__imp_plain(%rip)\n", "").replace("__imp_plain: ", "__imp_plain: plain: ");
    let Some(constant) = assemble(&constant) else { return };
    let (image, outside) =
        imported(&[("a.obj", refers(&["plain", "__imp_plain"])), ("i.obj", constant), ("d.obj", descriptor.clone())]);
    let uses = image.address("use");
    assert_eq!(
        (image.long(uses), image.long(image.long(uses))),
        (image.long(uses + 8), outside.address("a.dll exported"))
    );
    let user = refers(&["plain", "__imp_plain"]);
    for (others, library) in [(vec![("d.obj", descriptor.clone())], "a.dll"), (vec![], "?")] {
        let inputs = [vec![("a.obj", user.clone()), ("i.obj", member.clone())], others].concat();
        let (image, outside) = imported(&inputs);
        let (uses, address) = (image.address("use"), outside.address(&format!("{library} exported")));
        assert_eq!((image.long(uses), image.long(image.long(uses + 8))), (address, address));
        // What is for linkers is nobody else's.
        let names: Vec<String> = image.linked.exports.iter().map(|(name, _)| name.to_string()).collect();
        assert!(names.iter().all(|name| !name.contains("DESCRIPTOR")), "{names:?}");
    }
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
        let exports = "plain\nvalue DATA\nnumbered @9 NONAME\nrenamed == inside\n";
        let Some(library) = library(tool, arguments, exports) else { continue };
        let user = refers(&["__imp_plain", "plain", "__imp_value", "__imp_numbered", "numbered", "renamed"]);
        let (image, outside) = imported(&[("a.obj", user), ("a.lib", library)]);
        let uses = image.address("use");
        let slot = |index: u64| image.long(image.long(uses + 8 * index));
        let found = [slot(0), image.long(uses + 8), slot(2), slot(3), image.long(uses + 32), image.long(uses + 40)];
        let expected = ["plain", "plain", "value", "number 9", "number 9", "inside"];
        assert_eq!(found, expected.map(|name| outside.address(&format!("a.dll {name}"))), "{tool}");
    }
}
