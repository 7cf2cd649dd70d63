//! What is registered: exactly what the features say, and what a program adds; each once, in order, by one core.

use jitlink::Registry;
use jitlink::core::registry::Plugin;
use jitlink::core::reloc::RelocTable;
use std::path::Path;
use std::process::Command;

#[path = "../../jitlink-core/tests/link/kit/mod.rs"]
mod kit;

// A backend of this test program, which no feature knows.
jitlink::core::register!(
    Plugin::Format(&kit::format::ToyFormat),
    Plugin::Relocs(RelocTable::new("toy", 77, 8, "toy-outside", &kit::arch::ROWS)),
);

/// Format, machine, size of a pointer, architecture.
type Table = (&'static str, u32, u8, &'static str);

fn names() -> (Vec<&'static str>, Vec<&'static str>, Vec<Table>) {
    let registry = Registry::global().expect("no duplicates");
    let formats = registry.formats().iter().map(|format| format.name()).collect();
    let archs = registry.archs().iter().map(|arch| arch.info().name()).collect();
    let table = |table: &RelocTable| (table.format(), table.machine(), table.pointer_bytes(), table.arch());
    (formats, archs, registry.tables().iter().map(table).collect())
}

#[test]
fn the_features_and_the_program_decide_what_is_registered() {
    let (formats, archs, mut tables) = names();
    // Those of one machine are in the order of what they are for, not of the architectures' names.
    tables.sort_unstable();
    let mut expected_formats = vec!["toy"];
    let mut expected_archs: Vec<&str> = Vec::new();
    let mut expected_tables = vec![("toy", 77, 8, "toy-outside")];
    if cfg!(feature = "elf") {
        expected_formats.push("elf");
    }
    if cfg!(feature = "coff") {
        expected_formats.push("coff");
    }
    if cfg!(feature = "x86") {
        expected_archs.extend(["i386", "x86-64"]);
        expected_tables.extend([("coff", 0x14c, 4, "i386"), ("coff", 0x8664, 8, "x86-64"), ("elf", 62, 8, "x86-64")]);
    }
    if cfg!(feature = "ppc") {
        expected_archs.extend(["ppc32", "ppc32le", "ppc64", "ppc64le"]);
        expected_tables.extend([("elf", 20, 4, "ppc32"), ("elf", 20, 4, "ppc32le")]);
        expected_tables.extend([("elf", 21, 8, "ppc64"), ("elf", 21, 8, "ppc64le")]);
    }
    if cfg!(feature = "aarch64") {
        expected_archs.push("aarch64");
        expected_tables.push(("coff", 0xaa64, 8, "aarch64"));
    }
    if cfg!(feature = "bpf") {
        expected_archs.push("bpf");
        expected_tables.extend([("elf", 0, 8, "bpf"), ("elf", 247, 8, "bpf")]);
    }
    expected_formats.sort_unstable();
    expected_archs.sort_unstable();
    expected_tables.sort_unstable();
    assert_eq!((formats, archs, tables), (expected_formats, expected_archs, expected_tables));
}

#[test]
fn the_global_registry_is_the_same_every_time() {
    assert_eq!(names(), names());
}

#[test]
fn an_entry_may_be_registered_once() {
    let registry = kit::arch::registry();
    let [format, arch] = [Plugin::Format(&kit::format::ToyFormat), Plugin::Arch(registry.archs()[0])];
    for plugin in [format, arch, Plugin::Relocs(registry.tables()[0])] {
        let error = registry.clone().with(plugin).expect_err("a duplicate");
        assert!(error.to_string().contains("registered twice"), "{error}");
    }
}

#[test]
fn tables_of_two_byte_orders_stand_side_by_side_but_not_beside_one_for_both() {
    use jitlink::core::Endian::{Big, Little};
    let table = RelocTable::new("toy", 5, 8, "toy", &kit::arch::ROWS);
    let both = Registry::empty().with(Plugin::Relocs(table.endian(Big))).expect("the first");
    let both = both.with(Plugin::Relocs(table.endian(Little))).expect("another byte order");
    assert_eq!(both.tables().iter().map(RelocTable::byte_order).collect::<Vec<_>>(), [Some(Little), Some(Big)]);
    assert!(both.with(Plugin::Relocs(table)).is_err());
}

#[test]
fn entries_are_sorted_by_name_whatever_order_they_came_in() {
    let sorted = kit::arch::registry();
    let entries = sorted.archs().iter().map(|arch| Plugin::Arch(*arch)).rev();
    let reversed = entries.fold(Registry::empty(), |registry, entry| registry.with(entry).expect("no duplicate"));
    let names = |registry: &Registry| registry.archs().iter().map(|arch| arch.info().name()).collect::<Vec<_>>();
    assert_eq!(names(&reversed), names(&sorted));
    assert_eq!(names(&sorted), ["toy-big", "toy-little"]);
}

#[test]
fn the_core_says_that_there_may_be_only_one() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../jitlink-core/Cargo.toml");
    let text = std::fs::read_to_string(manifest).expect("the core's manifest");
    assert!(text.lines().any(|line| line == "links = \"jitlink-core\""));
}

#[test]
fn cargo_refuses_two_cores_in_one_build() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    };
    for version in ["0.1.0", "0.2.0"] {
        let manifest = format!(
            "[package]\nname = \"jitlink-core\"\nversion = \"{version}\"\nedition = \"2024\"\nlinks = \"jitlink-core\"\n"
        );
        write(&format!("core-{version}/Cargo.toml"), &manifest);
        write(&format!("core-{version}/src/lib.rs"), "");
        write(&format!("core-{version}/build.rs"), "fn main() {}");
    }
    let program = |second: &str| {
        format!(
            "[workspace]\nexclude = [\"core-0.1.0\", \"core-0.2.0\"]\n[package]\nname = \"program\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\n\
             jitlink-core = {{ path = \"core-0.1.0\" }}\n{second}"
        )
    };
    write("src/lib.rs", "");
    let resolve = |second: &str| {
        write("Cargo.toml", &program(second));
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["generate-lockfile", "--offline"]).current_dir(folder.path());
        let output = cargo.output().expect("cargo runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (success, text) = resolve("");
    assert!(success, "{text}");
    let (success, text) = resolve("other-core = { path = \"core-0.2.0\", package = \"jitlink-core\" }\n");
    assert!(!success);
    assert!(text.contains("links") && text.contains("jitlink-core"), "{text}");
}
