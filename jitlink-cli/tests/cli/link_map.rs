//! The link map and the image: what tools read.

use super::support::Folder;
use serde_json::{Value, json};

/// The externals of program.o, at addresses that its references reach.
const DEFINES: &str = "--define printf=0x10008000 --define __printf_chk=0x10008000 --define puts=0x10008010 \
    --define getenv=0x10008020 --define strcmp=0x10008030 --define atoi=0x10008040 --define strtol=0x10008050";

struct Linked {
    map: Value,
    image: Vec<u8>,
}

/// Links the two objects of the program without execution, with more options.
fn link(options: &str) -> Linked {
    let folder = Folder::with(&["program.o", "library.o"]);
    let words = format!("link --no-exec program.o library.o {DEFINES} --map map.json --image image {options}");
    let outcome = folder.jitlink(&words);
    assert_eq!((outcome.status, outcome.stdout.as_str(), outcome.stderr.as_str()), (0, "", ""), "jitlink {words}");
    Linked { map: serde_json::from_slice(&folder.read("map.json")).unwrap(), image: folder.read("image") }
}

fn number(value: &Value) -> u64 {
    let text = value.as_str().unwrap_or_else(|| panic!("an address is a string, not {value}"));
    u64::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap()
}

impl Linked {
    fn list<'m>(&'m self, object: &str, kind: &str) -> &'m [Value] {
        let objects = self.map["objects"].as_array().unwrap();
        let found =
            objects.iter().find(|candidate| candidate["name"] == object).unwrap_or_else(|| panic!("no {object}"));
        found[kind].as_array().unwrap()
    }

    fn symbol(&self, object: &str, name: &str) -> &Value {
        let mut symbols = self.list(object, "symbols").iter();
        symbols.find(|symbol| symbol["name"] == name).unwrap_or_else(|| panic!("{object} has no {name}"))
    }

    fn address(&self, object: &str, name: &str) -> u64 {
        number(&self.symbol(object, name)["address"])
    }

    /// Bytes of memory as the image has them; what is past its end is zero.
    fn memory(&self, address: u64, size: u64) -> Vec<u8> {
        for segment in self.map["segments"].as_array().unwrap() {
            let (start, length) = (number(&segment["address"]), segment["size"].as_u64().unwrap());
            if start <= address && address + size <= start + length {
                let offset = segment["image_offset"].as_u64().unwrap() + address - start;
                let byte = |at: u64| self.image.get(at as usize).copied().unwrap_or(0);
                return (offset..offset + size).map(byte).collect();
            }
        }
        panic!("{address:#x} is in no segment")
    }

    fn word(&self, address: u64) -> u64 {
        u64::from_le_bytes(self.memory(address, 8).try_into().unwrap())
    }
}

#[test]
fn the_map_has_the_documented_shape() {
    let linked = link("");
    assert_eq!(linked.map["version"], 1);
    let target = json!({ "format": "elf", "arch": "x86-64", "endian": "little", "pointer_bytes": 8 });
    assert_eq!(linked.map["target"], target);
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&linked.map), ["absolute", "objects", "segments", "target", "version"]);
    for segment in linked.map["segments"].as_array().unwrap() {
        assert_eq!(keys(segment), ["address", "image_offset", "protection", "size"]);
        assert!(["r-x", "r--", "rw-"].contains(&segment["protection"].as_str().unwrap()));
    }
    for object in linked.map["objects"].as_array().unwrap() {
        assert_eq!(keys(object), ["got", "name", "path", "sections", "stubs", "symbols"]);
        for section in object["sections"].as_array().unwrap() {
            assert_eq!(keys(section), ["address", "name", "protection", "size"]);
            number(&section["address"]);
        }
        for symbol in object["symbols"].as_array().unwrap() {
            assert_eq!(keys(symbol), ["address", "linkage", "name", "scope", "size"]);
        }
    }
    let main = linked.symbol("program.o", "main");
    assert_eq!((&main["scope"], &main["linkage"]), (&"global".into(), &"strong".into()));
    assert_eq!(linked.symbol("library.o", "add")["scope"], "local");
    let absolute = linked.map["absolute"].as_array().unwrap();
    assert!(absolute.contains(&json!({ "name": "getenv", "address": "0x10008020" })), "{absolute:?}");
    assert!(absolute.contains(&json!({ "name": "nowhere", "address": "0x0" })), "{absolute:?}");
}

#[test]
fn the_image_holds_what_the_map_says() {
    let linked = link("");
    let operations = linked.address("library.o", "operations");
    let pointers: Vec<u64> = (0..3).map(|index| linked.word(operations + 8 * index)).collect();
    let functions = ["add", "multiply", "subtract"].map(|name| linked.address("library.o", name));
    assert_eq!(pointers, functions);
    let name = linked.word(linked.address("library.o", "names"));
    assert_eq!(linked.memory(name, 4), b"add\0");
    assert_eq!(linked.memory(linked.address("library.o", "counter"), 4), [0; 4]);
    // The weak reference that nothing defines goes through a slot that holds zero.
    let slots = linked.list("program.o", "got");
    let slot = slots.iter().find(|slot| slot["symbol"] == "nowhere").expect("a slot for the weak reference");
    assert_eq!(linked.word(number(&slot["address"])), 0);
}

#[test]
fn the_base_moves_everything_alike() {
    let (low, high) = (link("--base 0x20000000"), link("--base 0x30000000"));
    let functions = ["add", "multiply", "subtract"];
    for name in functions {
        assert_eq!(low.address("library.o", name) + 0x1000_0000, high.address("library.o", name));
    }
    assert_eq!(number(&low.map["segments"][0]["address"]), 0x2000_0000);
    assert_eq!(low.image.len(), high.image.len());
}

#[test]
fn segments_start_on_pages() {
    for (size, bytes) in [("4K", 4 << 10), ("64K", 64 << 10), ("2M", 2 << 20)] {
        for segment in link(&format!("--page-size {size}")).map["segments"].as_array().unwrap() {
            assert_eq!(number(&segment["address"]) % bytes, 0, "--page-size {size}: {segment}");
        }
    }
}

#[test]
fn threads_and_repetition_change_nothing() {
    let first = link("--threads 1");
    for options in ["--threads 1", "--threads 2", "--threads 7", ""] {
        let again = link(options);
        assert!(again.map == first.map && again.image == first.image, "{options}");
    }
}

#[test]
fn only_what_an_entry_needs_is_kept() {
    let all = link("");
    let linked = link("--entry subtract");
    let names: Vec<&Value> = linked.map["objects"][0]["symbols"].as_array().unwrap().iter().collect();
    assert!(names.iter().all(|symbol| symbol["name"] != "main"), "{names:?}");
    assert!(linked.image.len() < all.image.len());
    linked.address("library.o", "subtract");
}

#[test]
fn an_entry_may_be_allowed_to_be_missing() {
    let folder = Folder::with(&["library.o", "undefined.o"]);
    let strict = folder.jitlink("link --no-exec library.o --entry no_such_name");
    assert!(strict.errors().contains("no_such_name is not defined"));
    // Without any entry the link is as if none had been given.
    let allowed = folder.jitlink("link --no-exec library.o --entry no_such_name --allow-undefined-entry --map a.json");
    assert_eq!(allowed.status, 0, "{}", allowed.stderr);
    let plain = folder.jitlink("link --no-exec library.o --map b.json");
    assert_eq!(plain.status, 0, "{}", plain.stderr);
    let maps = ["a.json", "b.json"].map(|name| serde_json::from_slice::<Value>(&folder.read(name)).unwrap());
    assert_eq!((&maps[0]["objects"], &maps[0]["segments"]), (&maps[1]["objects"], &maps[1]["segments"]));
    assert_eq!(maps[0]["absolute"], json!([{ "name": "no_such_name", "address": "0x0" }]));
    // With some of them, only those count.
    let words = "link --no-exec library.o --entry no_such_name --entry classify --allow-undefined-entry --map c.json";
    assert_eq!(folder.jitlink(words).status, 0);
    assert!(folder.read("c.json").len() < folder.read("b.json").len());
    // A name that an object needs stays required, entry or not.
    let needed =
        "link --no-exec undefined.o --entry main --entry missing_data --allow-undefined-entry --define _Present=1";
    let errors = folder.jitlink(needed);
    assert!(errors.errors().contains("missing_data is not defined; referred to at undefined.o"), "{}", errors.stderr);
}

#[test]
fn defined_names_give_way_to_definitions_and_aliases_are_second_names() {
    let linked = link("--define subtract=0x10009000 --alias minus=subtract --entry minus --entry main");
    let subtract = linked.address("library.o", "subtract");
    assert_eq!(linked.memory(subtract, 1).len(), 1);
    let folder = Folder::with(&["undefined.o"]);
    let words = "link --no-exec undefined.o --alias missing_function=present --alias _Present=present \
        --define missing_data=0x10000800 --map map.json --image image";
    assert_eq!(
        folder.jitlink(words),
        crate::support::Outcome { status: 0, stdout: String::new(), stderr: String::new() }
    );
    let linked = Linked { map: serde_json::from_slice(&folder.read("map.json")).unwrap(), image: folder.read("image") };
    // `call missing_function` at .text+0xd leads to `present`.
    let text = number(&linked.list("undefined.o", "sections")[0]["address"]);
    let distance = i32::from_le_bytes(linked.memory(text + 0xe, 4).try_into().unwrap());
    assert_eq!(text + 0x12u64.wrapping_add_signed(distance.into()), linked.address("undefined.o", "present"));
}

#[test]
fn what_nothing_defines_may_be_null() {
    let folder = Folder::with(&["undefined.o"]);
    let words = "link --no-exec undefined.o --unresolved null --map -";
    let outcome = folder.jitlink(words);
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    let map: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let absolute = map["absolute"].as_array().unwrap();
    for name in ["missing_function", "missing_data", "_Present"] {
        assert!(absolute.contains(&json!({ "name": name, "address": "0x0" })), "{name}: {absolute:?}");
    }
}

#[test]
fn maps_and_images_go_to_standard_output() {
    let folder = Folder::with(&["library.o"]);
    let text = folder.jitlink("link --no-exec library.o");
    assert_eq!(text.stdout.lines().count(), 3, "{}", text.stdout);
    assert!(text.stdout.starts_with("0x10000000 ") && text.stdout.contains(" bytes  r-x  code\n"), "{}", text.stdout);
    let map = folder.jitlink("link --no-exec library.o --map -");
    let json = folder.jitlink("link --no-exec library.o --format json");
    assert_eq!(map.stdout, json.stdout);
    assert!(map.stdout.starts_with("{\n") && map.stdout.ends_with("}\n"));
    let times = folder.jitlink("link --no-exec library.o --time --format json");
    let times: Value = serde_json::from_str(&times.stderr).unwrap();
    assert_eq!(times["objects"], 1);
    let phases: Vec<&str> =
        times["phases"].as_array().unwrap().iter().map(|phase| phase["phase"].as_str().unwrap()).collect();
    assert_eq!((phases.first(), phases.last()), (Some(&"read"), Some(&"finalize")));
}

#[test]
fn initial_values_of_thread_local_variables_are_part_of_the_image_where_that_is_wanted() {
    let folder = Folder::with(&["thread_local.o"]);
    let outcome = folder.jitlink("link --no-exec thread_local.o --thread-locals --map map.json --image image");
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    let map: Value = serde_json::from_slice(&folder.read("map.json")).unwrap();
    let image = folder.read("image");
    let block = &map["thread_locals"];
    // Of the little-endian 3 one byte is not zero.
    assert_eq!([&block["size"], &block["stored"], &block["align"]], [4, 1, 4]);
    let segments = map["segments"].as_array().unwrap();
    let place = |address: &Value| segments.iter().find(|segment| segment["address"] == *address).unwrap();
    let start = place(&block["address"])["image_offset"].as_u64().unwrap() as usize;
    assert_eq!(image[start..], [3]);
    // `mov %fs:-4, %eax`: the block ends at the thread pointer.
    assert_eq!(image[..8], [0x64, 0x8b, 0x04, 0x25, 0xfc, 0xff, 0xff, 0xff]);
}
