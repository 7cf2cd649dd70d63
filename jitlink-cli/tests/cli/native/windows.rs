//! Programs of Windows, under Wine: `cargo xtask conformance --foreign --machines windows` runs these with its executor built.

use super::support::{Folder, find, jitlink};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A compiler, and the objects that it makes.
const COMPILERS: [(&[&str], &str); 2] =
    [(&["x86_64-w64-mingw32-gcc"], ""), (&["clang-22", "clang"], "--target=x86_64-w64-mingw32")];

fn compilers() -> Vec<(PathBuf, &'static str)> {
    COMPILERS.iter().filter_map(|(names, target)| Some((find(names)?, *target))).collect()
}

fn object(folder: &Folder, (compiler, target): (&Path, &str), flags: &str, name: &str) {
    folder.tool(compiler, &format!("{target} {flags} -c {} -o {name}.o", super::source(&format!("windows/{name}.c"))));
}

#[test]
#[ignore = "needs Wine and an executor for it: cargo xtask conformance --foreign --machines windows"]
fn a_program_has_arguments_input_output_and_an_end() {
    for (compiler, target) in compilers() {
        for flags in ["-O0", "-O2", "-O2 -ffunction-sections -fdata-sections"] {
            let folder = Folder::new();
            object(&folder, (&compiler, target), flags, "streams");
            let mut command = jitlink(["run", "streams.o", "--", "one", "two words"]);
            command.current_dir(folder.path(""));
            let mut child =
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(b"first\nsecond\n").unwrap();
            let output = child.wait_with_output().unwrap();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\r', "");
            assert_eq!(
                text(&output.stdout),
                "constructor\nstreams.o one [two words]\nread first\nread second\nat exit\ndestructor\n",
                "{flags}: {}",
                text(&output.stderr)
            );
            assert_eq!((text(&output.stderr), output.status.code()), ("an error\n".into(), Some(7)), "{flags}");
        }
    }
}

#[test]
#[ignore = "needs Wine and an executor for it: cargo xtask conformance --foreign --machines windows"]
fn the_command_line_is_the_programs_own() {
    let words = ["one", "two words", "", r#"a "quoted" word"#, r"C:\folder name\", r#"\"#, r#"\\" end"#, "\ttab"];
    for (compiler, target) in compilers() {
        let folder = Folder::new();
        object(&folder, (&compiler, target), "-O2", "command_line");
        let output =
            jitlink(["run", "command_line.o", "--"]).args(words).current_dir(folder.path("")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).replace('\r', "");
        let expected: String = words.iter().map(|word| format!("[{word}] same\n")).collect();
        let expected = format!("9 9\n[command_line.o] same\n{expected}");
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert_eq!((said, output.status.code()), (expected, Some(0)), "{target}: {complaints}");
    }
}

#[test]
#[ignore = "needs Wine and an executor for it: cargo xtask conformance --foreign --machines windows"]
fn exceptions_of_the_system_and_the_compilers_pass_linked_frames() {
    let Some(clang) = find(&["clang-22", "clang"]) else { return };
    for flags in ["-O0", "-O2"] {
        let folder = Folder::new();
        object(&folder, (&clang, "--target=x86_64-pc-windows-msvc"), flags, "structured");
        let ran = folder.jitlink("run structured.o");
        let expected = "initialiser\n3 1.414\nfilter c0000005\nfinally\nhandled\nfilter e0001234\nhandled\n4\n";
        assert_eq!((ran.stdout.replace('\r', "").as_str(), ran.status), (expected, 9), "{flags}: {}", ran.stderr);
    }
}

#[test]
#[ignore = "needs Wine and an executor for it: cargo xtask conformance --foreign --machines windows"]
fn variables_of_threads_and_functions_for_them() {
    for (compiler, target) in compilers() {
        let folder = Folder::new();
        for name in ["threads", "threads_other"] {
            object(&folder, (&compiler, target), "-O2", name);
        }
        let ran = folder.jitlink("run threads.o threads_other.o");
        let expected = "\
process starts 7
main 100 42 0 11
thread starts 7
thread 7 42 0 11 same 1
thread ends 1
thread starts 7
thread 7 42 0 11 same 1
thread ends 1
main 100 42 0 11
";
        assert_eq!((ran.stdout.replace('\r', "").as_str(), ran.status), (expected, 0), "{target}: {}", ran.stderr);
    }
}

#[test]
#[ignore = "needs Wine and an executor for it: cargo xtask conformance --foreign --machines windows"]
fn functions_and_variables_of_a_dll() {
    let compilers = compilers();
    let Some((gcc, _)) = compilers.iter().find(|(_, target)| target.is_empty()) else { return };
    for (compiler, target) in &compilers {
        let folder = Folder::new();
        std::fs::create_dir(folder.path("dll")).unwrap();
        folder.tool(gcc, &format!("-shared {} -o dll/library.dll", super::source("windows/library.c")));
        object(&folder, (compiler, target), "-O2", "uses_library");
        let ran = folder.jitlink("run uses_library.o -L dll -l library");
        assert_eq!((ran.stdout.trim_end(), ran.status), ("42 8 10 42", 0), "{}", ran.stderr);
        let missing = folder.jitlink("run uses_library.o -l library");
        assert!(missing.stderr.contains("the DLL library cannot be loaded"), "{}", missing.stderr);
    }
}

#[test]
#[ignore = "needs Wine and an executor for it: cargo xtask conformance --foreign --machines windows"]
fn a_crash_is_told_with_its_place() {
    for (compiler, target) in compilers() {
        let folder = Folder::new();
        object(&folder, (&compiler, target), "-O1", "crash");
        let ran = folder.jitlink("run crash.o");
        assert_eq!((ran.status, ran.stdout.trim_end()), (-11, "before"), "{}", ran.stderr);
        let says = |what: &str| assert!(ran.stderr.contains(what), "{what}: {}", ran.stderr);
        says("SIGSEGV (access violation) at 0x40");
        says("in store+0x");
        says("of crash.o");
        says("rip ");
    }
}

#[test]
#[ignore = "needs Wine and an executor for it: cargo xtask conformance --foreign --machines windows"]
fn a_program_of_rust_with_its_standard_library() {
    let Some(rustc) = find(&["rustc"]) else { return };
    let folder = Folder::new();
    let source = super::source("windows/program.rs");
    folder.tool(&rustc, &format!("--target x86_64-pc-windows-gnu -O --emit obj {source} -o program.o"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_jitlink"));
    command.args(["run", "program.o", "--rust-std"]).current_dir(folder.path("")).env("RUST_BACKTRACE", "0");
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\r', "");
    let (said, complaints) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(said, "Some(9)\ndrop thread\n9 5\ndrop in panic\ntrue\n", "{complaints}");
    assert!(complaints.contains("index out of bounds: the len is 0"), "{complaints}");
    assert_eq!(output.status.code(), Some(6));
}

#[test]
#[ignore = "needs Wine and an executor for it: cargo xtask conformance --foreign --machines windows"]
fn an_import_library_says_which_dll_is_loaded() {
    let compilers = compilers();
    let Some((gcc, _)) = compilers.iter().find(|(_, target)| target.is_empty()) else { return };
    let tools = [("x86_64-w64-mingw32-dlltool", ""), ("llvm-dlltool-22", "-m i386:x86-64")];
    let folder = Folder::new();
    std::fs::create_dir(folder.path("dll")).unwrap();
    let exports = "LIBRARY exports.dll\nEXPORTS\nnumber @7 NONAME\nexported = inside\nvariable DATA\n";
    std::fs::write(folder.path("exports.def"), exports).unwrap();
    folder.tool(gcc, &format!("-shared {} exports.def -o dll/exports.dll", super::source("windows/exports.c")));
    let imports = "LIBRARY exports.dll\nEXPORTS\nnumbered @7 NONAME\nrenamed == exported\nvariable DATA\n";
    std::fs::write(folder.path("imports.def"), imports).unwrap();
    for (compiler, target) in &compilers {
        object(&folder, (compiler, target), "-O2", "imports");
        folder.tool(compiler, &format!("{target} -DUNUSED -c {} -o unused.o", super::source("windows/imports.c")));
        for (tool, arguments) in tools {
            let Some(tool) = find(&[tool]) else { continue };
            folder.tool(&tool, &format!("{arguments} -d imports.def -l exports.lib"));
            let ran = folder.jitlink("run imports.o exports.lib -L dll");
            let said = ran.stdout.replace('\r', "");
            assert_eq!((said.as_str(), ran.status), ("loaded\n42 101 42\n", 0), "{tool:?}: {}", ran.stderr);
            // A DLL that nothing is used of is not loaded, and need not be there.
            let ran = folder.jitlink("run unused.o exports.lib");
            assert_eq!((ran.stdout.trim_end(), ran.status), ("nothing", 0), "{tool:?}: {}", ran.stderr);
            let missing = folder.jitlink("run imports.o exports.lib");
            assert!(missing.stderr.contains("the DLL exports.dll, from which "), "{}", missing.stderr);
            assert!(missing.stderr.contains("(-L)"), "{}", missing.stderr);
        }
    }
    let Some(tool) = find(&["llvm-dlltool-22"]) else { return };
    std::fs::write(folder.path("imports.def"), imports.replace("@7", "@77")).unwrap();
    folder.tool(&tool, "-m i386:x86-64 -d imports.def -l exports.lib");
    let missing = folder.jitlink("run imports.o exports.lib -L dll");
    assert!(missing.stderr.contains("numbered is not defined"), "{}", missing.stderr);
    assert!(missing.stderr.contains("exports.dll has it as number 77"), "{}", missing.stderr);
}

#[test]
#[ignore = "needs Wine and an executor for it: cargo xtask conformance --foreign --machines windows"]
fn a_stack_that_is_used_up_is_a_crash_that_is_told() {
    for (compiler, target) in compilers() {
        let folder = Folder::new();
        object(&folder, (&compiler, target), "-O1 -fno-optimize-sibling-calls", "overflow");
        for arguments in ["", " -- thread"] {
            let ran = folder.jitlink(&format!("run overflow.o{arguments}"));
            assert_eq!((ran.status, ran.stdout.trim_end()), (-11, "before"), "{target}{arguments}: {}", ran.stderr);
            let says = |what: &str| assert!(ran.stderr.contains(what), "{what}: {}", ran.stderr);
            says("SIGSEGV (stack overflow)");
            says("in dive+0x");
            says("of overflow.o");
        }
    }
}

#[test]
#[ignore = "needs Wine and an executor for it: cargo xtask conformance --foreign --machines windows"]
fn what_nobody_catches_ends_the_program_by_terminate() {
    for (names, target) in [
        (&["x86_64-w64-mingw32-g++-posix", "x86_64-w64-mingw32-g++"][..], ""),
        (&["clang++-22", "clang++"], "--target=x86_64-w64-mingw32"),
    ] {
        let Some(compiler) = find(names) else { continue };
        for flags in ["-O0", "-O2"] {
            let folder = Folder::new();
            let source = super::source("windows/uncaught.cpp");
            folder.tool(&compiler, &format!("{target} {flags} -c {source} -o uncaught.o"));
            let ran = folder.jitlink("run uncaught.o");
            let said = ran.stdout.replace('\r', "");
            assert_eq!((said.as_str(), ran.status), ("caught 1\nterminate\n", 5), "{target} {flags}: {}", ran.stderr);
        }
    }
}
