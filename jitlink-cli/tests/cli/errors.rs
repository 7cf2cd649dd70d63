//! What people read when something is wrong: the texts themselves.

use super::support::{Folder, Outcome, jitlink};

/// The errors of `jitlink WORDS` in a folder, compared as a whole.
#[track_caller]
fn check(folder: &Folder, words: &str, expected: &str) {
    let outcome = folder.jitlink(words);
    assert_eq!(outcome.errors(), expected, "jitlink {words}");
}

#[test]
fn undefined_names_are_reported_together_with_where_they_are_needed() {
    let folder = Folder::with(&["undefined.o"]);
    check(
        &folder,
        "link --no-exec undefined.o",
        "\
error[undefined]: missing_data is not defined; referred to at undefined.o .text+0x9 (R_X86_64_PC32)
error[undefined]: missing_function is not defined; referred to at undefined.o .text+0xe (R_X86_64_PLT32), undefined.o .text+0x1a (R_X86_64_PLT32)
  help: add the object, archive or library (-l) that defines it, or give it an address (--define NAME=ADDR)
error[undefined]: _Present is not defined; referred to at undefined.o .text+0x21 (R_X86_64_PLT32)
  help: did you mean present? Else add the object, archive or library (-l) that defines it, or give it an address (--define NAME=ADDR)",
    );
}

#[test]
fn a_missing_entry_is_the_command_lines_matter() {
    let folder = Folder::with(&["library.o"]);
    let expected = "\
error[undefined]: main is not defined
  help: add the object that defines it, or name another function with --entry";
    check(&folder, "run library.o", expected);
    check(&folder, "link --no-exec library.o --entry main", expected);
}

#[test]
fn definitions_twice() {
    let folder = Folder::with(&["library.o", "program.o"]);
    std::fs::copy(folder.path("library.o"), folder.path("copy.o")).unwrap();
    let first = folder.jitlink("run program.o library.o copy.o");
    let lines: Vec<&str> = first.errors().lines().collect();
    assert_eq!(lines[0], "error[duplicate]: counter is defined twice: in library.o and in copy.o");
    assert_eq!(lines.last().unwrap(), &"  help: remove one definition, or make one of them weak or static");
    let second = folder.jitlink("run program.o library.o library.o");
    assert!(second.errors().ends_with("\n  help: give each file once"), "{}", second.stderr);
}

#[test]
fn what_needs_threads_and_indirect_functions_are_refused_by_name() {
    let folder = Folder::with(&["thread_local.o", "thread_local_elsewhere.o", "indirect.o"]);
    check(
        &folder,
        "link --no-exec thread_local.o",
        "\
error[unsupported]: thread_local.o: .text+0x4: R_X86_64_TPOFF32 against slot: in an image only start-up code of its own gives threads their copies of thread-local variables
  help: if the program has such code, ask for their initial values (--thread-locals); otherwise build without such variables",
    );
    check(
        &folder,
        "link --no-exec thread_local_elsewhere.o",
        "\
error[unsupported]: thread_local_elsewhere.o: .text+0x3: R_X86_64_GOTTPOFF against slot: in an image only start-up code of its own gives threads their copies of thread-local variables
  help: if the program has such code, ask for their initial values (--thread-locals); otherwise build without such variables",
    );
    check(
        &folder,
        "link --no-exec indirect.o",
        "\
error[unsupported]: indirect.o: .text+0x13: R_X86_64_PLT32 against chosen: \
an indirect function (STT_GNU_IFUNC) has no address before code runs that chooses one, and the executor \"image\" runs none
  help: link for an executor that runs code, or build without ifunc and target_clones attributes",
    );
}

#[test]
fn values_out_of_range_name_the_field_the_value_and_the_limits() {
    let folder = Folder::with(&["range.o"]);
    let outcome = folder.jitlink("link --no-exec range.o --format json");
    assert_eq!((outcome.status, outcome.stdout.as_str()), (1, ""));
    let report: serde_json::Value = serde_json::from_str(&outcome.stderr).unwrap();
    let error = &report["errors"][0];
    assert_eq!(error["code"], "out-of-range");
    assert_eq!(error["value"], "0x10000000");
    assert_eq!(error["limit"], serde_json::json!(["-0x8000", "0xffff"]));
    assert_eq!((&error["place"], &error["target"]), (&"0x10000001".into(), &"0x10000000".into()));
    let site = serde_json::json!({
        "object": "range.o", "section": ".text", "offset": "0x1", "relocation": "R_X86_64_16", "symbol": "main",
    });
    assert_eq!(error["site"], site);
    assert!(!error["advice"].as_str().unwrap().is_empty());
}

#[test]
fn files_that_are_no_objects() {
    let folder = Folder::with(&["program.o"]);
    folder.write("notes.txt", "hello");
    folder.write("hello.c", "int main;");
    folder.write("empty.o", "");
    folder.write("tool.exe", b"MZ\x90\0");
    folder.write("bitcode.o", b"BC\xc0\xde\x35\x14");
    std::fs::create_dir(folder.path("build")).unwrap();
    check(
        &folder,
        "run notes.txt",
        "\
error[unrecognized]: notes.txt: no backend recognises this file (it starts with 68 65 6c 6c 6f); registered formats: coff, elf
  help: pass a relocatable object file (cc -c) or an archive of them, or enable the backend's Cargo feature",
    );
    check(
        &folder,
        "run hello.c",
        "\
error[unrecognized]: hello.c: no backend recognises this file (it starts with 69 6e 74 20 6d 61 69 6e); registered formats: coff, elf
  help: this is source text: compile it first (cc -c hello.c)",
    );
    check(
        &folder,
        "run empty.o",
        "\
error[unrecognized]: empty.o: no backend recognises this file (it is empty); registered formats: coff, elf
  help: the compiler or a copy was interrupted: make the file again",
    );
    check(
        &folder,
        "run tool.exe",
        "\
error[unsupported]: tool.exe: this is a linked program or DLL, not a relocatable object
  help: pass the object files that it was made of, or the import library of a DLL",
    );
    check(
        &folder,
        "run bitcode.o",
        "\
error[unsupported]: bitcode.o: LLVM bitcode is not machine code
  help: compile without -flto (-fno-lto), or make an object of the bitcode: clang -O2 -x ir -c, with --target as it was",
    );
    check(
        &folder,
        "run build",
        "\
error[io]: build: is a directory
  help: give the object files in it: build/*.o",
    );
    check(
        &folder,
        "run program.o one two",
        "\
error[io]: one: No such file or directory
error[io]: two: No such file or directory
  help: check the path; arguments for the program come after --",
    );
}

/// A fixture with two bytes of its header replaced.
fn patched(folder: &Folder, name: &str, offset: usize, value: u16) {
    let mut object = folder.read("program.o");
    object[offset..offset + 2].copy_from_slice(&value.to_le_bytes());
    folder.write(name, object);
}

#[test]
fn objects_that_are_linked_already() {
    let folder = Folder::with(&["program.o"]);
    patched(&folder, "libfoo.so", 0x10, 3);
    patched(&folder, "libfoo.so.1", 0x10, 3);
    patched(&folder, "foo", 0x10, 2);
    check(
        &folder,
        "run program.o libfoo.so",
        "\
error[unsupported]: libfoo.so: this is a shared library, not a relocatable object
  help: give it as a library: -L . -l foo",
    );
    check(
        &folder,
        "run program.o ./libfoo.so.1",
        "\
error[unsupported]: ./libfoo.so.1: this is a shared library, not a relocatable object
  help: give it as a library: -L . -l :libfoo.so.1",
    );
    check(
        &folder,
        "run foo",
        "\
error[unsupported]: foo: this is an executable, not a relocatable object
  help: pass the object files (cc -c) that it was made of",
    );
}

#[test]
fn objects_for_other_machines_and_damaged_ones() {
    let folder = Folder::with(&["program.o"]);
    patched(&folder, "arm.o", 0x12, 183);
    let bytes = folder.read("program.o");
    folder.write("short.o", &bytes[..bytes.len() - 100]);
    check(
        &folder,
        "run arm.o",
        "\
error[no-backend]: arm.o: no backend for elf machine 183 with 64-bit pointers; registered: coff aarch64, coff i386, coff x86-64, elf bpf, elf ppc32, elf ppc32le, elf ppc64, elf ppc64le, elf x86-64
  help: compile for what this build links (coff aarch64, coff i386, coff x86-64, elf bpf, elf ppc32, elf ppc32le, elf ppc64, elf ppc64le, elf x86-64; see jitlink targets)",
    );
    let damaged = folder.jitlink("run short.o");
    assert!(damaged.errors().starts_with("error[malformed]: short.o: malformed: "), "{}", damaged.stderr);
    assert!(damaged.errors().ends_with("help: the file is damaged or its producer is at fault; build it again"));
}

#[test]
fn libraries_that_are_not_there() {
    let folder = Folder::with(&["program.o"]);
    check(
        &folder,
        "run program.o -l no_such_library -lnor_this",
        "\
error[executor]: cannot load the shared library \"no_such_library\": no such file in any search directory
error[executor]: cannot load the shared library \"nor_this\": no such file in any search directory
  help: check its name, add its directory (-L DIR), or install the package that contains it",
    );
}

#[test]
fn errors_for_tools_are_json_on_standard_error() {
    let folder = Folder::with(&["undefined.o"]);
    let outcome = folder.jitlink("link --no-exec --format json undefined.o");
    assert_eq!((outcome.status, outcome.stdout.as_str()), (1, ""));
    let report: serde_json::Value = serde_json::from_str(&outcome.stderr).unwrap();
    let errors = report["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 3);
    assert_eq!(errors[1]["code"], "undefined");
    assert_eq!(errors[1]["symbol"], "missing_function");
    assert_eq!(errors[1]["references"], 2);
    assert_eq!(errors[1]["site"]["offset"], "0xe");
}

#[test]
fn a_command_line_without_sense_has_status_2_and_says_why() {
    let folder = Folder::with(&["program.o"]);
    for (words, reason) in [
        ("", "Usage:"),
        ("run", "<OBJECT>"),
        ("rnu program.o", "unrecognized subcommand"),
        ("run program.o --threads 0", "0 is not in 1..=1024"),
        ("link program.o --base 4096", "--no-exec"),
        ("link --no-exec program.o --define table", "expected NAME=ADDR, as in --define table=0x8000"),
        ("link --no-exec program.o --alias begin", "expected NEW=OLD, as in --alias begin=main"),
        ("link --no-exec program.o --base 0x1001", "0x1001 is not a multiple of the page size"),
        ("link --no-exec program.o --base 0xffffffffffffe000", "reach past the end of memory"),
        ("link --no-exec program.o --page-size 3K", "3K is not a power of two"),
        ("link --no-exec program.o --arena-size lots", "lots is no size; write it as 4096, 64K, 16M or 1G"),
        ("link --no-exec program.o --map - --image -", "only one of --map and --image"),
        ("run @no_such_file", "no_such_file"),
    ] {
        let outcome = folder.jitlink(words);
        assert_eq!((outcome.status, outcome.stdout.as_str()), (2, ""), "jitlink {words}");
        assert!(outcome.stderr.contains(reason), "jitlink {words}: {}", outcome.stderr);
    }
}

#[test]
fn help_is_on_standard_output_and_teaches() {
    for (words, parts) in [
        (vec!["--help"], ["Examples:", "Exit status:", "jitlink run hello.o"]),
        (vec!["run", "--help"], ["Examples:", "Exit status:", "after --"]),
        (vec!["link", "--help"], ["Examples:", "Exit status:", "--no-exec"]),
    ] {
        let outcome = Outcome::of(&mut jitlink(&words));
        assert_eq!(outcome.status, 0, "{words:?}");
        assert!(parts.iter().all(|part| outcome.stdout.contains(part)), "{words:?}: {}", outcome.stdout);
        assert!(!outcome.stdout.contains('\x1b'), "{words:?}: colour without a terminal");
    }
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let folder = Folder::with(&["library.o"]);
    check(
        &folder,
        "link --no-exec library.o --map no/such/folder",
        "error[request]: cannot write no/such/folder: No such file or directory (os error 2)",
    );
}

#[test]
fn an_arena_that_is_too_small_says_which_option() {
    let folder = Folder::with(&["library.o"]);
    let outcome = folder.jitlink("link --no-exec library.o --arena-size 4K");
    assert!(outcome.errors().starts_with("error[no-memory]: no memory for 0x"), "{}", outcome.stderr);
    assert!(
        outcome.errors().contains("the arena of 0x1000 bytes from 0x10000000 has no room for"),
        "{}",
        outcome.stderr
    );
    assert!(outcome.errors().ends_with("help: make the arena larger (--arena-size)"), "{}", outcome.stderr);
}
