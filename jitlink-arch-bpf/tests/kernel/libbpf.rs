//! What is loaded is what libbpf loads of the same object, as bpftool shows it: the same instructions.
//!
//! The kernel gives each program a tag, a hash of its instructions without descriptors. Programs with equal tags have the same
//! functions in the same order, the same offsets in data, the same numbers of the kernel's types.

use crate::kit::{compile, link, may_load, tool};
use jitlink_arch_bpf::kernel::{KernelError, LoadOptions, load};
use std::collections::BTreeMap;
use std::path::Path;

/// Where bpftool puts programs for this test.
struct Pins(String);

impl Drop for Pins {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The tags of the programs that libbpf loads of an object; an error if it cannot. `None` without bpftool.
fn libbpf(object: &Path) -> Option<Result<BTreeMap<String, String>, String>> {
    let stem = object.file_stem().unwrap_or_default().to_string_lossy().replace(['.', '-'], "_");
    let pins = Pins(format!("/sys/fs/bpf/jitlink_test_{}_{stem}", std::process::id()));
    let loaded = tool("bpftool", |command| command.args(["prog", "loadall"]).arg(object).arg(&pins.0))?;
    if !loaded.status.success() {
        return Some(Err(String::from_utf8_lossy(&loaded.stderr).into_owned()));
    }
    let mut tags = BTreeMap::new();
    for entry in std::fs::read_dir(&pins.0).expect("bpftool makes it") {
        let path = entry.expect("an entry").path();
        let shown = tool("bpftool", |command| command.args(["-j", "prog", "show", "pinned"]).arg(&path))?;
        let text = String::from_utf8_lossy(&shown.stdout).into_owned();
        let tag = text.split_once("\"tag\":\"").and_then(|(_, rest)| rest.split_once('"')).map(|(tag, _)| tag);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let tag = tag.unwrap_or_else(|| panic!("{name}: no tag in {text}")).to_owned();
        tags.insert(name, tag);
    }
    Some(Ok(tags))
}

/// The tags of the programs that are loaded here.
fn ours(object: &Path) -> Result<BTreeMap<String, String>, KernelError> {
    let image = link("object.o", std::fs::read(object).expect("an object"));
    let loaded = load(&image, &LoadOptions { name: "object", ..LoadOptions::default() })?;
    let tag = |program: &jitlink_arch_bpf::kernel::KernelProgram| {
        let info = program.info(16)?;
        Ok((program.name().to_owned(), info[8..].iter().map(|byte| format!("{byte:02x}")).collect()))
    };
    loaded.programs().iter().map(tag).collect()
}

#[test]
fn programs_are_those_that_libbpf_loads() {
    if !may_load() {
        return;
    }
    if !Path::new("/sys/fs/bpf").exists() {
        println!("skipped: there is no BPF file system");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut compared = 0;
    for name in ["packets", "control", "tracing", "attached"] {
        for cpu in ["v2", "v3", "v4"] {
            let Some(object) = compile(name, cpu, folder.path()) else { return };
            let Some(theirs) = libbpf(&object) else { return };
            match (ours(&object), theirs) {
                (Ok(ours), Ok(theirs)) => {
                    assert_eq!(ours, theirs, "{name} {cpu}");
                    compared += ours.len();
                }
                // Some machines let nothing be attached to the kernel's functions, not even by root.
                (Err(_), Err(_)) if name == "attached" => println!("{name} {cpu}: refused to both"),
                (Err(error), theirs) => panic!("{name} {cpu}: {error}; libbpf: {theirs:?}"),
                (Ok(_), Err(error)) => panic!("{name} {cpu}: libbpf alone is refused: {error}"),
            }
        }
    }
    println!("{compared} programs are the same");
    assert!(compared > 0);
}
