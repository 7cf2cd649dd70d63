//! `jitlink run`: what a program is given, and what is left of it.

use super::support::{C_COMPILERS, Folder, Outcome, find, fixture, jitlink};
use std::io::{Read, Write};
use std::process::Stdio;

#[test]
fn a_program_of_two_objects_without_any_compiler() {
    let folder = Folder::with(&["program.o", "library.o"]);
    let outcome = folder.jitlink("run program.o library.o");
    let expected = "\
argc 1, program program.o
variable unset
add 10
multiply 21
subtract 4
mean 2.500, classes 23 42 -1
counter 3, weak -1
";
    assert_eq!((outcome.status, outcome.stdout.as_str(), outcome.stderr.as_str()), (0, expected, ""));
}

#[test]
fn arguments_environment_and_status() {
    let mut command = jitlink(["run", "program.o", "library.o", "--", "status", "77", "two words", "--help", "@file"]);
    let outcome = Outcome::of(command.env("JITLINK_TEST", "from outside").current_dir(fixture("")));
    assert_eq!((outcome.status, outcome.stderr.as_str()), (77, ""));
    let expected = "argc 6, program program.o\nargument status\nargument 77\nargument two words\nargument --help\n\
                    argument @file\nvariable from outside\n";
    assert!(outcome.stdout.starts_with(expected), "{}", outcome.stdout);
}

#[test]
fn words_come_from_files_too() {
    let folder = Folder::with(&["program.o", "library.o"]);
    folder.write("words", "program.o 'library.o' -- 'one two'\n");
    let outcome = folder.jitlink("run @words three");
    assert!(outcome.stdout.starts_with("argc 3, program program.o\nargument one two\nargument three\n"), "{outcome:?}");
}

#[test]
fn an_object_comes_from_standard_input() {
    let mut command = jitlink(["run", "-", "library.o"]);
    command.current_dir(fixture("")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(fixture("program.o")).unwrap()).unwrap();
    let outcome = Outcome::from(child.wait_with_output().unwrap());
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    assert!(outcome.stdout.starts_with("argc 1, program -\n"), "{}", outcome.stdout);
}

#[test]
fn standard_output_is_the_programs_alone() {
    let folder = Folder::with(&["program.o", "library.o"]);
    let plain = folder.jitlink("run program.o library.o");
    for options in ["--time", "--time --format json", "--threads 2", "--arena-size 64M"] {
        let outcome = folder.jitlink(&format!("run {options} program.o library.o"));
        assert_eq!(outcome.visible(), plain.visible(), "{options}");
    }
    let times = folder.jitlink("run --time program.o library.o").stderr;
    assert!(times.contains("read ") && times.contains("\n2 objects, "), "{times}");
}

#[test]
fn another_entry_and_other_names() {
    let folder = Folder::with(&["undefined.o", "library.o"]);
    let words = "run undefined.o library.o --entry present";
    assert_eq!(folder.jitlink(words).status, 1);
    let words = "run undefined.o --alias missing_function=present --alias _Present=present --define missing_data=0x10";
    let outcome = folder.jitlink(&format!("{words} --entry present"));
    assert_eq!((outcome.status, outcome.stderr.as_str()), (1, ""));
    let null = folder.jitlink("run library.o --entry no_such_name --unresolved null");
    assert_eq!(null.errors(), "error[request]: no_such_name is null, so there is nothing to call");
}

#[test]
fn a_crash_names_the_function_and_its_object() {
    let folder = Folder::with(&["crash.o"]);
    let outcome = folder.jitlink("run crash.o");
    assert_eq!(outcome.status, -libc::SIGSEGV);
    assert!(outcome.stderr.contains("SIGSEGV: invalid memory access at 0x0\n"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("  in store_through+0x0 of crash.o"), "{}", outcome.stderr);
    let outcome = folder.jitlink("run crash.o -- call");
    assert_eq!(outcome.status, -libc::SIGSEGV);
    assert!(outcome.stderr.contains("  called from main+0x"), "{}", outcome.stderr);
    let outcome = folder.jitlink("run crash.o -- trap");
    assert_eq!(outcome.status, -libc::SIGILL);
    assert!(outcome.stderr.contains("  in main+0x"), "{}", outcome.stderr);
    for (how, signal) in [("abort", libc::SIGABRT), ("terminate", libc::SIGTERM)] {
        let outcome = folder.jitlink(&format!("run crash.o -- {how}"));
        assert_eq!((outcome.status, outcome.stderr.as_str()), (-signal, ""), "{how}");
    }
}

#[test]
fn a_program_may_do_with_its_process_what_it_likes() {
    for names in C_COMPILERS {
        let Some(cc) = find(names) else { continue };
        let folder = Folder::new();
        folder.tool(&cc, &format!("-O1 -w -pthread -c {} -o process.o", super::source("process.c")));
        for arguments in ["", "exec"] {
            let outcome = folder.jitlink(&format!("run process.o -- {arguments}"));
            let reference = folder.reference(&cc, "process.o -pthread", arguments);
            // The reference's file has another name.
            let expected = reference.stdout.replace("name reference", "name process.o");
            assert_eq!(
                (outcome.status, &outcome.stdout),
                (reference.status, &expected),
                "{names:?}: {}",
                outcome.stderr
            );
        }
    }
}

#[test]
fn a_program_whose_reader_goes_away_ends_as_any_other() {
    let Some(cc) = find(&["gcc", "clang-22", "clang"]) else { return };
    let folder = Folder::new();
    folder.tool(&cc, &format!("-O1 -c {} -o noisy.o", super::source("noisy.c")));
    let mut command = jitlink(["run", "noisy.o"]);
    command.current_dir(folder.path("")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut first = [0; 2];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"y\n");
    let outcome = Outcome::from(child.wait_with_output().unwrap());
    assert_eq!((outcome.status, outcome.stderr.as_str()), (-libc::SIGPIPE, ""));
}

#[test]
fn gigabytes_of_zeros_are_no_matter() {
    let Some(gcc) = find(&["gcc"]) else { return };
    for flags in ["-mcmodel=large", "-mcmodel=medium", "-fPIC", "-mcmodel=large -fPIC"] {
        let folder = Folder::new();
        folder.tool(&gcc, &format!("-O1 {flags} -c {} -o large.o", super::source("large.c")));
        let outcome = folder.jitlink("run large.o");
        assert_eq!((outcome.status, outcome.stdout.as_str()), (0, "7 1\n"), "{flags}: {}", outcome.stderr);
        let words = "link --no-exec large.o --unresolved null --arena-size 8G --image image --map map.json";
        let outcome = folder.jitlink(words);
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{flags}");
        use std::os::unix::fs::MetadataExt;
        let blocks = std::fs::metadata(folder.path("image")).unwrap().blocks();
        assert!(blocks * 512 < 1 << 20, "{flags}: the image takes {blocks} blocks");
        let outcome = folder.jitlink("link --no-exec large.o --unresolved null");
        assert!(
            outcome.errors().ends_with("help: make the arena larger (--arena-size)"),
            "{flags}: {}",
            outcome.stderr
        );
    }
}

#[test]
fn shared_libraries_are_found_in_order_and_refused_as_objects() {
    let Some(cc) = find(&["gcc", "clang-22", "clang"]) else { return };
    let folder = Folder::with(&["program.o", "library.o"]);
    for (place, shift) in [("one", 1), ("two", 2)] {
        std::fs::create_dir(folder.path(place)).unwrap();
        folder.write("shift.c", format!("int shift(void) {{ return {shift}; }}"));
        folder.tool(&cc, &format!("-shared -fPIC shift.c -o {place}/libshift.so"));
    }
    folder.write("main.c", "int shift(void); int main(void) { return shift(); }");
    folder.tool(&cc, "-O1 -c main.c");
    for (words, status) in [
        ("-L one -L two -l shift", 1),
        ("-Ltwo -Lone -lshift", 2),
        ("-L two -l :libshift.so", 2),
        ("-l two/libshift.so", 2),
    ] {
        let outcome = folder.jitlink(&format!("run main.o {words}"));
        assert_eq!((outcome.status, outcome.stderr.as_str()), (status, ""), "{words}");
    }
    let outcome = folder.jitlink("run main.o two/libshift.so");
    let expected = "error[unsupported]: two/libshift.so: this is a shared library, not a relocatable object\n  \
                    help: give it as a library: -L two -l shift";
    assert_eq!(outcome.errors(), expected);
}

#[test]
fn intermediate_code_is_refused_with_advice_and_debug_information_is_no_matter() {
    for names in C_COMPILERS {
        let Some(cc) = find(names) else { continue };
        let folder = Folder::new();
        folder.write("main.c", "int main(void) { return 4; }");
        folder.tool(&cc, "-flto -c main.c");
        let outcome = folder.jitlink("run main.o");
        assert!(outcome.errors().contains("compile without -flto (-fno-lto)"), "{names:?}: {}", outcome.stderr);
        for flags in ["-g", "-g -gz=zlib", "-g3 -gdwarf-4", "-g -ffunction-sections -fdata-sections"] {
            folder.tool(&cc, &format!("{flags} -c main.c"));
            let outcome = folder.jitlink("run main.o");
            assert_eq!((outcome.status, outcome.stderr.as_str()), (4, ""), "{names:?} {flags}");
            let outcome = folder.jitlink("link --no-exec --keep-debug main.o");
            assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{names:?} {flags}");
        }
    }
}

#[test]
fn signals_that_the_program_blocks_wait_for_it() {
    let Some(cc) = C_COMPILERS.iter().find_map(|names| find(names)) else { return };
    let folder = Folder::new();
    folder.write(
        "main.c",
        "#include <signal.h>\n\
         #include <unistd.h>\n\
         int main(void) {\n\
             sigset_t set;\n\
             int came = 0;\n\
             sigemptyset(&set);\n\
             sigaddset(&set, SIGUSR1);\n\
             sigprocmask(SIG_BLOCK, &set, 0);\n\
             kill(getpid(), SIGUSR1);\n\
             sigwait(&set, &came);\n\
             return came == SIGUSR1 ? 7 : 1;\n\
         }\n",
    );
    folder.tool(&cc, "-c main.c -o main.o");
    let outcome = folder.jitlink("run main.o");
    assert_eq!(outcome.visible(), (7, ""), "{}", outcome.stderr);
}
