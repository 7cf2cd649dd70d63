//! Objects compiled on the spot, in all variants that compilers offer.

use crate::kit::{check_references, function, inputs, link, link_only, memory, references, registry};
use jitlink_arch_bpf::image::{BpfImage, Target};
use jitlink_core::Endian;
use jitlink_core::link::{LinkOptions, Roots, relocatable};
use std::path::Path;
use std::process::Command;

/// Compiles a source beside the fixtures' header; `None` where the compiler is not installed.
pub(crate) fn compile(tool: &str, arguments: &[&str], extension: &str, source: &str) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("input").with_extension(extension), folder.path().join("output.o"));
    std::fs::write(&input, source).unwrap();
    let headers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/link");
    let mut command = Command::new(tool);
    command.arg("-I").arg(headers).args(arguments).arg("-c").arg(&input).arg("-o").arg(&output);
    match command.output() {
        Ok(result) => {
            assert!(result.status.success(), "{tool} {arguments:?}: {}", String::from_utf8_lossy(&result.stderr));
            Some(std::fs::read(output).unwrap())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            assert!(std::env::var_os("CI").is_none_or(|value| value != "true"), "{tool} is not installed");
            println!("skipped: {tool} is not installed");
            None
        }
        Err(error) => panic!("{tool}: {error}"),
    }
}

const LEFT: &str = r#"
#include "bpf.h"
extern int shared;
int defined_right(int x);
static int numbers[6] = { 1, 2, 3, 4, 5, 6 };
int *pointers[3] = { &numbers[4], &shared, 0 };
long word = 3;
static __noinline int small(int x) { return x + numbers[x & 3]; }
__noinline int global_left(int x) { return small(x) * shared; }
static SEC("tc/left") __noinline int beside(int x) { return x - numbers[x & 1] * 7; }
SEC("tc/left") int left(void *ctx) { return beside((long)ctx) + global_left(2) + defined_right(word); }
SEC("tc/left") int left_again(void *ctx) { return *pointers[0] + small((long)ctx); }
char LICENSE[] SEC("license") = "GPL";
"#;

const RIGHT: &str = r#"
#include "bpf.h"
int before = 1;
int shared = 9;
extern int *pointers[3];
int global_left(int x);
static __noinline int small(int x) { return x - 2; }
__noinline int defined_right(int x) { return small(x) + *pointers[1]; }
int (*functions[2])(int) = { defined_right, small };
SEC("tc/right") int right(void *ctx) { return global_left((long)ctx) + small(before) + (functions[1] != 0); }
char _license[] SEC("license") = "GPL";
"#;

/// What pointers in data mean.
fn pointers(image: &BpfImage) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    for reference in image.references.iter().filter(|reference| image.function_at(reference.address).is_none()) {
        let held = image.endian.read(memory(image, reference.address, 8));
        let (name, meant) = match reference.target {
            Target::Data { block, offset } => {
                (image.data[block].section.clone(), image.data[block].address.0.wrapping_add_signed(offset))
            }
            Target::Function(function) => (image.functions[function].name.clone(), image.functions[function].address.0),
            other => panic!("a pointer in data means {other:?}"),
        };
        assert_eq!(held, meant, "the pointer at {} to {name}", reference.address);
        all.push((name, held));
    }
    all
}

/// Numbers in data by their addresses.
fn number(image: &BpfImage, address: u64) -> u64 {
    image.endian.read(memory(image, jitlink_core::Addr(address), 4))
}

fn check(image: &BpfImage, what: &str) {
    check_references(image);
    let of = |name: &str| references(image, name).into_iter().map(|(_, target)| target).collect::<Vec<_>>();
    // Both objects have a function of that name.
    let smalls: Vec<_> = image.functions.iter().filter(|function| function.name == "small").collect();
    assert!(smalls.len() <= 2 && image.functions.iter().all(|function| function.size > 0), "{what}");
    assert!(of("left").contains(&"defined_right".to_string()), "{what}: {:?}", of("left"));
    let programs: Vec<&str> = image.programs().map(|program| program.name.as_str()).collect();
    assert_eq!(programs.len(), 3, "{what}: {programs:?}");
    assert_eq!(function(image, "left").section, "tc/left");
    let pointers = pointers(image);
    assert_eq!(pointers.len(), 4, "{what}: {pointers:?}");
    let values: Vec<u64> = pointers[..2].iter().map(|(_, address)| number(image, *address)).collect();
    assert_eq!(values, [5, 9], "{what}: what the pointers mean");
    assert_eq!(pointers[2].0, "defined_right", "{what}");
    assert_eq!(image.license, "GPL", "{what}");
}

fn both(tool: &str, arguments: &[&str]) -> Option<[(&'static str, Vec<u8>); 2]> {
    let left = compile(tool, arguments, "c", LEFT)?;
    Some([("left", left), ("right", compile(tool, arguments, "c", RIGHT)?)])
}

/// Every instruction set, at two levels at least, with types and without.
const VARIANTS: [(&str, &str, bool); 12] = [
    ("v1", "-O2", true),
    ("v1", "-O1", false),
    ("v2", "-O2", false),
    ("v2", "-O3", true),
    ("v3", "-O1", true),
    ("v3", "-O2", true),
    ("v3", "-O2", false),
    ("v3", "-O3", true),
    ("v4", "-O1", false),
    ("v4", "-O2", true),
    ("v4", "-O3", false),
    ("v4", "-O3", true),
];

#[test]
fn every_variant_of_clang_links() {
    for (target, (processor, level, has_types)) in
        ["bpfel", "bpfeb"].into_iter().flat_map(|target| VARIANTS.map(|variant| (target, variant)))
    {
        let (machine, cpu) = (format!("--target={target}"), format!("-mcpu={processor}"));
        let mut arguments = vec![machine.as_str(), cpu.as_str(), level];
        arguments.extend(has_types.then_some("-g"));
        let Some(objects) = both("clang-22", &arguments) else { return };
        let image = link(&objects).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
        assert_eq!(image.endian == Endian::Big, target == "bpfeb");
        assert_eq!(image.types.functions.is_empty(), !has_types);
        check(&image, &format!("{arguments:?}"));
        let options = LinkOptions { roots: Roots::Exported, ..LinkOptions::default() };
        let once = relocatable(&registry(), &inputs(&objects), &options)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
        let image = link(&[("once", once)]).unwrap_or_else(|error| panic!("{arguments:?} again: {error}"));
        check(&image, &format!("{arguments:?} again"));
    }
}

#[test]
fn gcc_links_by_its_own_numbers() {
    for order in ["-mlittle-endian", "-mbig-endian"] {
        for level in ["-O1", "-O2", "-Os"] {
            let Some(objects) = both("bpf-gcc", &[order, level]) else { return };
            let image = link(&objects).unwrap_or_else(|error| panic!("{order} {level}: {error}"));
            check(&image, &format!("gcc {order} {level}"));
            let once = relocatable(&registry(), &inputs(&objects), &LinkOptions::default()).unwrap();
            check(&link(&[("once", once)]).unwrap(), &format!("gcc {order} {level} again"));
        }
    }
}

#[test]
fn compilers_can_be_mixed() {
    let (Some(left), Some(right)) =
        (compile("clang-22", &["--target=bpf", "-O2"], "c", LEFT), compile("bpf-gcc", &["-O2"], "c", RIGHT))
    else {
        return;
    };
    check(&link(&[("left", left), ("right", right)]).unwrap(), "clang and gcc");
    let (Some(left), Some(right)) =
        (compile("bpf-gcc", &["-O2"], "c", LEFT), compile("clang-22", &["--target=bpf", "-O2"], "c", RIGHT))
    else {
        return;
    };
    check(&link(&[("left", left), ("right", right)]).unwrap(), "gcc and clang");
}

#[test]
fn addresses_in_short_fields_are_refused() {
    let source = ".text\n.global f\n.type f,@function\nf: mov %r0, f\n exit\n";
    let Some(object) = compile("bpf-gcc", &[], "s", source) else { return };
    let error = link(&[("short", object)]).unwrap_err().to_string();
    assert!(error.contains("R_BPF_INSN_32") && error.contains(".text+0x0"), "{error}");
}

#[test]
fn an_unknown_assembler_is_not_guessed() {
    // A variable behind another, and nothing that says how its addend was written: GCC 13 was used with both assemblers.
    let source = "int a = 1, b = 2; __attribute__((section(\"tc\"))) int get(void *ctx) { return a - b; }";
    let Some(mut object) = compile("bpf-gcc", &["-O2"], "c", source) else { return };
    link(&[("gcc", object.clone())]).unwrap();
    let at = object.windows(6).position(|bytes| bytes == b") 12.2").unwrap();
    object[at + 3] = b'3';
    let error = link(&[("gcc 13", object)]).unwrap_err().to_string();
    assert!(error.contains("before 2.41") && error.contains("against"), "{error}");
}

/// Functions that call each other without relocations, in one section.
fn many(count: usize) -> Option<Vec<u8>> {
    let mut text = String::from("\t.section tc,\"ax\",@progbits\n");
    for number in 0..count {
        let before = number.saturating_sub(1);
        text += &format!(
            "\t.globl prog_{number}\n\t.type prog_{number},@function\nprog_{number}:\n\tr1 = {number}\n\
             \tcall step_{number}\n\texit\n\t.type step_{number},@function\nstep_{number}:\n\tr0 = r1\n\
             \tcall step_{before}\n\texit\n"
        );
    }
    compile("clang-22", &["--target=bpf"], "s", &text)
}

#[test]
fn ten_thousand_functions_link() {
    let mut times = Vec::new();
    for count in [1_250, 10_000] {
        let Some(object) = many(count) else { return };
        let objects = [("many", object)];
        let start = std::time::Instant::now();
        let image = link(&objects).unwrap();
        times.push(start.elapsed());
        assert_eq!(image.functions.len(), 2 * count);
        check_references(&image);
        let last = link_only(&objects, &[&format!("prog_{}", count / 2)]).unwrap();
        assert_eq!(last.functions.len(), count / 2 + 2);
    }
    // A quadratic step would show as sixty-four times as much.
    println!("1,250 and 10,000: {times:?}");
}
