//! What libbpf makes of linked objects: `bpftool` loads them into the kernel as it loads what it links itself.

use crate::compilers::compile;
use crate::kit::{fixtures, inputs, registry};
use jitlink_core::link::{LinkOptions, Roots, relocatable};
use std::path::Path;
use std::process::{Command, Output};

/// The file system that holds loaded programs.
const PINS: &str = "/sys/fs/bpf";

fn bpftool(arguments: &[&str]) -> Option<Output> {
    Command::new("bpftool").args(arguments).output().ok()
}

/// Whether programs can be loaded here at all.
fn can_load() -> bool {
    let minimal = "\t.section xdp,\"ax\",@progbits\n\t.globl p\n\t.type p,@function\np:\n\tr0 = 2\n\texit\n\t.size p, 16\n\
                   \t.section license,\"aw\"\n\t.asciz \"GPL\"\n";
    let Some(object) = compile("clang-22", &["--target=bpf"], "s", minimal) else { return false };
    match loads(&object) {
        Ok(()) => true,
        Err(reason) => {
            println!("skipped: programs cannot be loaded here: {reason}");
            false
        }
    }
}

/// Loads all programs of an object, and takes them out again.
fn loads(object: &[u8]) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("object.o");
    std::fs::write(&path, object).unwrap();
    let pins = Path::new(PINS).join(format!("jitlink-{}", folder.path().file_name().unwrap().display()));
    let pins = pins.display().to_string().replace('.', "_");
    let output = bpftool(&["prog", "loadall", &path.display().to_string(), &pins]).ok_or("bpftool is not installed")?;
    let _ = std::fs::remove_dir_all(&pins);
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// What bpftool's own linker makes of the objects.
fn linked_by_bpftool(objects: &[(&str, Vec<u8>)]) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = vec!["gen".to_string(), "object".to_string()];
    arguments.push(folder.path().join("linked.o").display().to_string());
    for (name, bytes) in objects {
        let path = folder.path().join(name).with_extension("o");
        std::fs::write(&path, bytes).unwrap();
        arguments.push(path.display().to_string());
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    bpftool(&arguments)?.status.success().then(|| std::fs::read(folder.path().join("linked.o")).unwrap())
}

fn check(objects: &[(&str, Vec<u8>)]) -> bool {
    let names: Vec<&str> = objects.iter().map(|(name, _)| *name).collect();
    let options = LinkOptions { roots: Roots::Exported, ..LinkOptions::default() };
    let ours =
        relocatable(&registry(), &inputs(objects), &options).unwrap_or_else(|error| panic!("{names:?}: {error}"));
    let Some(theirs) = linked_by_bpftool(objects) else { return false };
    let (ours, theirs) = (loads(&ours), loads(&theirs));
    if let (Err(reason), Ok(())) = (&ours, &theirs) {
        panic!("{names:?} does not load, as what bpftool links does: {reason}");
    }
    ours.is_ok()
}

const COUNTER: &str = r#"
#include "bpf.h"
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, int); __type(value, long); } counts SEC(".maps");
const volatile int step = 2;
static long seen;
int total SEC(".data.totals");
int helper(int x);
static __noinline int local(int x) { seen++; return x + step; }
SEC("xdp") int count(struct xdp_md *ctx) {
    int key = 1;
    long *value = bpf_map_lookup_elem(&counts, &key);
    if (value)
        *value += local(total) + helper(3);
    return 2;
}
char LICENSE[] SEC("license") = "GPL";
"#;

const HELPER: &str = r#"
#include "bpf.h"
extern struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, int); __type(value, long); } counts SEC(".maps");
static long seen = 5;
long other SEC(".data.totals") = 4;
static long inspect(void *map, int *key, long *value, long *sum) { *sum += *value; return 0; }
static __noinline int local(int x) { seen += other; return x - 1; }
__noinline int helper(int x) {
    long sum = 0;
    bpf_for_each_map_elem(&counts, inspect, &sum, 0);
    return local(x) + sum;
}
SEC("xdp") int second(struct xdp_md *ctx) { return helper(1) & 1; }
SEC("tc") int third(void *ctx) { return helper(2) & 1; }
char _license[] SEC("license") = "GPL";
"#;

#[test]
fn linked_objects_load_as_bpftools_do() {
    if !can_load() {
        return;
    }
    assert!(check(&fixtures(&["one"])), "the object loads");
    for processor in ["-mcpu=v2", "-mcpu=v3", "-mcpu=v4"] {
        let arguments = ["--target=bpf", "-O2", "-g", processor];
        let (Some(counter), Some(helper)) =
            (compile("clang-22", &arguments, "c", COUNTER), compile("clang-22", &arguments, "c", HELPER))
        else {
            return;
        };
        assert!(check(&[("counter", counter), ("helper", helper)]), "{processor}: both load as one");
    }
}
