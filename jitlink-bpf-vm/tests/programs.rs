//! Compiled programs, linked and run.

mod compiled;

use compiled::{compile, image, registry};
use jitlink_bpf_vm::context::RawMemory;
use jitlink_bpf_vm::executor::VmExecutor;
use jitlink_bpf_vm::fault::FaultKind;
use jitlink_bpf_vm::helpers::{Host, standard};
use jitlink_bpf_vm::vm::VmBuilder;
use jitlink_core::Endian;
use jitlink_core::executor::Executor;
use jitlink_core::link::{LinkOptions, NoSymbols, Roots, link};
use std::sync::Arc;

const PROGRAM: &str = r#"
#define SEC(name) __attribute__((section(name), used))
static void *(*lookup)(void *map, const void *key) = (void *)1;
static long (*update)(void *map, const void *key, const void *value, unsigned long flags) = (void *)2;
struct { int (*type)[1]; int *key; long *value; int (*max_entries)[16]; } counts SEC(".maps");
static const int weights[4] = { 1, 10, 100, 1000 };
int calls = 5;
static __attribute__((noinline)) long weigh(unsigned char *bytes, long length)
{
	long sum = 0;
	for (long at = 0; at < length; at++)
		sum += bytes[at] * weights[at & 3];
	return sum;
}
SEC("raw") long count(unsigned char *bytes, long length)
{
	int key = bytes[0];
	long one = 1, *count = lookup(&counts, &key);
	calls++;
	if (count)
		*count += one;
	else
		update(&counts, &key, &one, 0);
	return weigh(bytes, length) * 100 + calls;
}
SEC("raw") long wild(unsigned char *bytes, long length)
{
	return *(int *)(bytes + length - 2);
}
char LICENSE[] SEC("license") = "GPL";
"#;

#[test]
fn a_program_with_maps_and_variables_runs_from_its_image() {
    for (target, endian) in [("bpfel", Endian::Little), ("bpfeb", Endian::Big)] {
        let Some(object) = compile("program.c", &["-mcpu=v4", "-target", target], PROGRAM) else { return };
        let image = image(&[object]);
        let functions = standard(Arc::new(Host::default()));
        let vm = VmBuilder::new().functions(functions).build(&image).unwrap();
        let program = vm.program("count").unwrap();
        for run in 1..=3 {
            let mut memory = RawMemory::new(&[7, 2, 3, 4, 5]).unwrap();
            // Little endian does not matter to bytes.
            assert_eq!(vm.run(program, &mut memory).unwrap(), 4332 * 100 + 5 + run);
        }
        let mut key = [0; 4];
        endian.write(&mut key, 7);
        assert_eq!(endian.read(&vm.map("counts").unwrap().lookup(&key).unwrap()), 3);
        let fault = vm.run(vm.program("wild").unwrap(), &mut RawMemory::new(&[0; 8]).unwrap()).unwrap_err();
        assert!(matches!(fault.kind(), FaultKind::Memory { address: 0x1_0000_0006, size: 4, .. }), "{fault}");
        let place = fault.place().unwrap();
        let line = place.line.as_ref().unwrap();
        assert_eq!((line.file.rsplit('/').next(), line.line), (Some("program.c"), 28));
        assert_eq!(line.text, "return *(int *)(bytes + length - 2);");
        assert!(fault.to_string().contains("wild+"), "{fault}");
    }
}

/// A switch of many cases, which clang turns into a table of jumps, before and behind other functions.
fn switch(name: &str, factor: u64) -> String {
    // Some do more than give a number, so that a table of numbers does not do.
    let more = |case: u64| if case.is_multiple_of(3) { format!("bytes[0] += {case}; ") } else { String::new() };
    let case = |case| format!("\tcase {case}: {}return {};\n", more(case), answer(case, factor));
    let cases: String = (0..24).map(case).collect();
    format!(
        "#define SEC(name) __attribute__((section(name), used))\n\
         SEC(\"raw\") long {name}_first(unsigned char *bytes) {{ return bytes[0] + 1; }}\n\
         SEC(\"raw\") long {name}(unsigned char *bytes) {{\nswitch (bytes[0]) {{\n{cases}\t}}\n\treturn 1;\n}}\n\
         static __attribute__((noinline)) long inner(unsigned char *bytes) {{\nswitch (bytes[1]) {{\n{cases}\t}}\n\
         \treturn 2;\n}}\n\
         SEC(\"raw\") long {name}_calls(unsigned char *bytes) {{ return inner(bytes); }}\n"
    )
}

fn answer(case: u64, factor: u64) -> u64 {
    (case * factor + 13) % 1000
}

#[test]
fn switches_that_became_tables_of_jumps_go_where_they_should() {
    for target in ["bpfel", "bpfeb"] {
        let sources = [("one", 7919), ("two", 6007)].map(|(name, factor)| (name, factor, switch(name, factor)));
        let objects = sources
            .iter()
            .map(|(name, _, source)| compile(&format!("{name}.c"), &["-mcpu=v4", "-target", target], source));
        let Some(objects) = objects.collect::<Option<Vec<_>>>() else { return };
        let image = image(&objects);
        assert!(image.data.iter().any(|block| block.section == ".jumptables"), "clang made no tables");
        let vm = VmBuilder::new().build(&image).unwrap();
        for (name, factor, _) in &sources {
            for case in 0..=255u8 {
                let run = |name: &str, bytes: &[u8]| {
                    vm.run(vm.program(name).unwrap(), &mut RawMemory::new(bytes).unwrap()).unwrap()
                };
                let expected = |default| if case < 24 { answer(case.into(), *factor) } else { default };
                assert_eq!(run(name, &[case]), expected(1), "{name} {case}");
                assert_eq!(run(&format!("{name}_calls"), &[0, case]), expected(2), "{name} {case}");
                assert_eq!(run(&format!("{name}_first"), &[case]), u64::from(case) + 1);
            }
        }
    }
}

const MAIN: &str = r#"
extern int base;
int twice(int);
int main(int argc, char **argv) { return twice(argc) + base + argv[1][0]; }
"#;

#[test]
fn modules_are_linked_into_the_machine_and_removed() {
    let options = ["-mcpu=v4", "-target", "bpf"];
    let twice = "int base = 1000; int twice(int x) { return x + x; }";
    let (Some(main), Some(twice)) = (compile("main.c", &options, MAIN), compile("twice.c", &options, twice)) else {
        return;
    };
    let executor = VmExecutor::new(VmBuilder::new(), Endian::Little);
    let options = LinkOptions { roots: Roots::Named(vec!["main".into()]), ..LinkOptions::default() };
    let arguments = [c"program".into(), c"A".into()];
    let mut places = Vec::new();
    for _ in 0..2 {
        let linked = link(&registry(), &executor, &[main.clone(), twice.clone()], &NoSymbols, &options).unwrap();
        let entry = linked.exports.get("main").unwrap().address;
        #[allow(unsafe_code, reason = "the trait declares running as unsafe")]
        // SAFETY: nothing that a program in the machine does can harm the host.
        let result = unsafe { executor.run_main(entry, &arguments) };
        assert_eq!(result.unwrap(), 4 + 1000 + 65);
        places.push(entry);
        drop(linked);
        #[allow(unsafe_code, reason = "the trait declares running as unsafe")]
        // SAFETY: as above.
        let gone = unsafe { executor.run_main(entry, &arguments) }.unwrap_err();
        assert_eq!(gone.reason, format!("the program was stopped: there is no function at {entry}"));
    }
    assert_eq!(places[0], places[1]);
}
