//! Objects compiled on the spot: what the compilers of this machine write today.

use crate::toy;
use jitlink_core::ObjectFormat;
use jitlink_core::archive::{Archive, MemberData};
use jitlink_core::graph::*;
use jitlink_elf::ElfFormat;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A folder of a test, removed with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("jitlink-elf-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Compiles a source with one of the tools; `None` where the machine has none of them.
pub(crate) fn compile(tools: &[&str], extension: &str, source: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    let scratch = Scratch::new();
    let (input, output) = (scratch.0.join("input").with_extension(extension), scratch.0.join("output.o"));
    std::fs::write(&input, source).unwrap();
    for tool in tools {
        match run(tool, arguments, &input, &output) {
            Ok(bytes) => return Some(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => panic!("{tool}: {error}"),
        }
    }
    assert!(std::env::var_os("CI").is_none_or(|value| value != "true"), "none of {tools:?} is installed");
    println!("skipped: none of {tools:?} is installed");
    None
}

fn run(tool: &str, arguments: &[&str], input: &Path, output: &Path) -> std::io::Result<Vec<u8>> {
    let result = Command::new(tool).arg("-c").args(arguments).arg(input).arg("-o").arg(output).output()?;
    assert!(result.status.success(), "{tool} {arguments:?}: {}", String::from_utf8_lossy(&result.stderr));
    std::fs::read(output)
}

pub(crate) const GCC: &[&str] = &["gcc", "cc"];
pub(crate) const CLANG: &[&str] = &["clang-22", "clang"];

const PROGRAM: &str = r#"
extern int printf(const char *, ...);
extern int elsewhere;
static volatile int counter = 3;
int uninitialised[1000];
__thread int per_thread = 5;
__attribute__((constructor(200))) static void early(void) { counter++; }
__attribute__((constructor)) static void late(void) { counter++; }
__attribute__((destructor)) static void last(void) { counter--; }
__attribute__((weak)) int replaceable(void) { return 1; }
__attribute__((visibility("hidden"))) int helper(int x) { return x * counter; }
__attribute__((section("my_set"))) int element = 7;
const char *words[] = { "one", "two", "three" };
int main(void) { return printf("%s %d\n", words[helper(1) % 3], elsewhere + uninitialised[7] + replaceable() + per_thread); }
"#;

#[test]
fn programs_of_both_compilers_are_read() {
    let options: [&[&str]; 7] = [
        &["-O0"],
        &["-O2", "-fPIC"],
        &["-O2", "-fno-pic", "-g"],
        &["-O2", "-ffunction-sections", "-fdata-sections", "-fcommon"],
        &["-O2", "-g", "-gz=zlib", "-fpie"],
        &["-Os", "-mcmodel=medium", "-mlarge-data-threshold=16"],
        &["-g3", "-fno-asynchronous-unwind-tables"],
    ];
    for (tools, arguments) in [GCC, CLANG].into_iter().flat_map(|tools| options.map(|options| (tools, options))) {
        if !cfg!(target_arch = "x86_64") {
            return;
        }
        let Some(bytes) = compile(tools, "c", PROGRAM, arguments) else { continue };
        for with_debug in [false, true] {
            let graph = if with_debug { toy::read_debug(&bytes) } else { toy::read(&bytes) };
            let graph = graph.unwrap_or_else(|error| panic!("{tools:?} {arguments:?}: {error}"));
            check_program(&graph, arguments);
            let debug = graph.sections().any(|(_, section)| section.role == Role::Debug);
            assert_eq!(
                debug,
                with_debug && arguments.iter().any(|argument| argument.starts_with("-g")),
                "{arguments:?}"
            );
        }
    }
}

fn check_program(graph: &LinkGraph<'_>, arguments: &[&str]) {
    let symbol =
        |name: &str| graph.symbol(graph.find_symbol(name).unwrap_or_else(|| panic!("no {name} with {arguments:?}")));
    assert_eq!(symbol("main").scope, Scope::Global);
    assert_eq!(symbol("main").kind, SymbolKind::Function);
    assert_eq!(symbol("helper").scope, Scope::Hidden);
    assert_eq!(symbol("replaceable").linkage, Linkage::Weak);
    assert_eq!(symbol("elsewhere").value, Value::Undefined);
    assert_eq!(symbol("counter").scope, Scope::Local);
    assert_eq!(symbol("per_thread").kind, SymbolKind::ThreadLocal);
    let section_of = |name: &str| match symbol(name).value {
        Value::Block { block, .. } => Some(graph.section(graph.block(block).section)),
        _ => None,
    };
    assert_eq!(section_of("per_thread").unwrap().role, Role::ThreadLocal);
    assert!(section_of("element").unwrap().gathered);
    match section_of("uninitialised") {
        Some(section) if arguments.contains(&"-mcmodel=medium") => assert_eq!(section.residence, Residence::Far),
        Some(section) => assert_eq!(section.residence, Residence::Near),
        None => assert!(matches!(symbol("uninitialised").value, Value::Common { .. })),
    }
    let mut arrays: Vec<_> = graph
        .sections()
        .filter_map(|(_, section)| match section.role {
            Role::Initialisers(order) => Some((order.stage, order.priority)),
            _ => None,
        })
        .collect();
    arrays.sort();
    assert_eq!(arrays, [(InitStage::Init, 200), (InitStage::Init, 65_535), (InitStage::Fini, 65_535)]);
    let records =
        graph.sections().filter(|(_, section)| section.role == Role::EhFrame).map(|(id, _)| graph.blocks_of(id).len());
    let records: usize = records.sum();
    assert_eq!(records > 5, !arguments.contains(&"-fno-asynchronous-unwind-tables"), "{records} with {arguments:?}");
}

/// Every object in the archives of a folder, read with and without debug information: how many there were.
fn read_archives(folder: &Path, extension: &str) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|found| found != extension) {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let archive = Archive::parse(&path.display().to_string(), &bytes).unwrap();
        for member in archive.members() {
            let MemberData::Inline(object) = member.data else { continue };
            if !ElfFormat.recognize(object) {
                continue;
            }
            for graph in [toy::graph_for(object).unwrap(), toy::graph_for(object).unwrap().with_debug()] {
                let read = toy::read_into(graph, object);
                read.unwrap_or_else(|error| panic!("{}({}): {error}", path.display(), member.name));
            }
            count += 1;
        }
    }
    count
}

#[test]
fn libraries_of_rust_are_read() {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return;
    }
    let output = Command::new("rustc").args(["--print", "target-libdir"]).output().unwrap();
    let folder = String::from_utf8(output.stdout).unwrap();
    let count = read_archives(Path::new(folder.trim()), "rlib");
    assert!(count > 20, "{count} objects in {folder}");
}
