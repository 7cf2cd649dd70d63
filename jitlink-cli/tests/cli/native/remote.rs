//! Programs in another process: the same output and end as those that a linker made.

use super::support::{C_COMPILERS, CXX_COMPILERS, Folder, Outcome, find, jitlink};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The program for the target, which is built if only this package was.
fn executor() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let path = Path::new(env!("CARGO_BIN_EXE_jitlink")).with_file_name("jitlink-executor");
        if !path.exists() {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["build", "--locked", "-p", "jitlink-executor"]).current_dir(env!("CARGO_MANIFEST_DIR"));
            if path.parent().is_some_and(|folder| folder.ends_with("release")) {
                cargo.arg("--release");
            }
            assert!(cargo.status().unwrap().success(), "{cargo:?}");
        }
        path
    })
}

/// `jitlink run` with these words, and input for the program.
fn run(folder: &Folder, words: &[&str], input: &str) -> Outcome {
    let mut command = jitlink([&["run"], words].concat());
    with_input(command.current_dir(folder.path("")), input)
}

fn with_input(command: &mut Command, input: &str) -> Outcome {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A program may end before it has read all.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Outcome::from(child.wait_with_output().unwrap())
}

/// The native program with these arguments, under the name that `jitlink run` gives it.
fn native(folder: &Folder, arguments: &[&str], input: &str) -> Outcome {
    let mut command = Command::new(folder.path("native"));
    with_input(command.arg0("remote.o").args(arguments).env_remove("JITLINK_TEST").current_dir(folder.path("")), input)
}

/// A folder with the program's objects, and with the program as its linker makes it.
fn program(compiler: &Path, flags: &str) -> Folder {
    let folder = Folder::new();
    for part in ["remote", "remote_other"] {
        folder.tool(compiler, &format!("{flags} -c {} -o {part}.o", super::source(&format!("{part}.c"))));
    }
    let link = super::link_flags(flags);
    folder.tool(compiler, &format!("{link} remote.o remote_other.o -o native -lm -lpthread"));
    folder
}

/// Something that listens, and ends with the test.
struct Listening {
    child: Child,
    address: String,
}

impl Listening {
    fn at(address: &str, options: &[&str]) -> Listening {
        Listening::with(address, options, &[])
    }

    fn with(address: &str, options: &[&str], variables: &[(&str, &str)]) -> Listening {
        let mut command = Command::new(executor());
        command
            .envs(variables.iter().copied())
            .args(["--listen", address])
            .args(options)
            .stderr(Stdio::piped())
            .stdin(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let errors = child.stderr.as_mut().unwrap();
        while !line.ends_with('\n') {
            let mut byte = [0];
            assert_eq!(errors.read(&mut byte).unwrap(), 1, "{line}");
            line.push(byte[0] as char);
        }
        let address = line.trim().strip_prefix("jitlink-executor: listening at ").unwrap_or_else(|| panic!("{line}"));
        Listening { child, address: address.into() }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn programs_do_what_they_do_natively() {
    let started = executor().to_str().unwrap();
    let over_streams = format!("{started} --stdio");
    for names in C_COMPILERS {
        let Some(compiler) = find(names) else { continue };
        for flags in ["-O0", "-O2 -fPIC", "-O2 -fno-pic", "-Os -ffunction-sections"] {
            let folder = program(&compiler, flags);
            let socket = folder.path("socket");
            let listening = Listening::at(&format!("unix:{}", socket.display()), &[]);
            for (arguments, input) in [
                (&["two words", "--x"][..], "first\nsecond\nlast"),
                (&["exit"], ""),
                (&["quick"], "line\n"),
                (&["abort"], ""),
                (&["term"], ""),
            ] {
                let expected = native(&folder, arguments, input);
                for place in [["--executor", started], ["--executor", &over_streams], ["--connect", &listening.address]]
                {
                    let words = [&place, &["remote.o", "remote_other.o", "-l", "m", "--"][..], arguments].concat();
                    let outcome = run(&folder, &words, input);
                    assert_eq!(outcome.visible(), expected.visible(), "{flags} {words:?}: {}", outcome.stderr);
                    assert_eq!(outcome.stderr, expected.stderr, "{flags} {words:?}");
                }
            }
        }
    }
}

#[test]
fn cxx_programs_throw_over_objects() {
    for names in CXX_COMPILERS {
        let Some(cxx) = find(names) else { continue };
        for flags in ["-O0", "-O2 -fno-pic"] {
            let folder = Folder::new();
            for part in ["main", "other"] {
                let source = super::source(&format!("cxx_{part}.cpp"));
                folder.tool(&cxx, &format!("{flags} -std=c++17 -w -c {source} -o {part}.o"));
            }
            for arguments in ["", "throw"] {
                let words = format!("run --executor {} main.o other.o -l stdc++ -- {arguments}", executor().display());
                let outcome = folder.jitlink(&words);
                let objects = format!("main.o other.o {}", super::link_flags(flags));
                let expected = folder.reference(&cxx, &objects, arguments);
                assert_eq!(outcome.visible(), expected.visible(), "{names:?} {flags}: {}", outcome.stderr);
                assert_eq!(outcome.stderr, expected.stderr, "{names:?} {flags} {arguments}");
            }
        }
    }
}

#[test]
fn indirect_functions_choose_in_the_programs_process() {
    let Some(gcc) = find(&["gcc"]) else { return };
    let folder = Folder::new();
    for part in ["main", "other"] {
        folder.tool(&gcc, &format!("-O2 -c {} -o {part}.o", super::source(&format!("indirect_{part}.c"))));
    }
    let here = folder.jitlink("run main.o other.o");
    let there = folder.jitlink(&format!("run --executor {} main.o other.o", executor().display()));
    assert_eq!((here.status, &here), (there.status, &there));
}

#[test]
fn crashes_are_told_with_function_object_and_registers() {
    let folder = Folder::with(&["crash.o"]);
    let here = folder.jitlink("run crash.o");
    let there = folder.jitlink(&format!("run --executor {} crash.o", executor().display()));
    assert_eq!((there.status, &there.stdout), (here.status, &here.stdout));
    let place = |text: &str| text.split(" (address ").next().unwrap_or_default().to_string();
    assert_eq!(place(&there.stderr), place(&here.stderr));
    let registers = there.stderr.lines().skip(2).collect::<Vec<_>>().join("\n");
    for name in ["rax", "rsp", "r15", "rip"] {
        assert!(registers.split_whitespace().any(|word| word == name), "{name}: {}", there.stderr);
    }
    assert_eq!(there.stderr.matches("jitlink:").count(), 1, "{}", there.stderr);
}

#[test]
fn ports_ask_for_a_token() {
    let folder = Folder::with(&["program.o", "library.o"]);
    let file = folder.path("token");
    let listening = Listening::at("tcp:127.0.0.1:0", &["--token-file", file.to_str().unwrap()]);
    let plain = folder.jitlink("run program.o library.o");
    let words = format!("run --connect {} program.o library.o", listening.address);
    let right = folder.jitlink(&format!("{words} --token-file token"));
    assert_eq!(right, plain);
    assert!(folder.jitlink(&words).errors().contains("the token is not the one that this executor asks for"));
    folder.write("wrong", "0123456789abcdef0123456789abcdef");
    let wrong = folder.jitlink(&format!("{words} --token-file wrong"));
    assert!(wrong.errors().contains("the token is not the one that this executor asks for"));
    // And the right one still works, for several at once.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(folder.jitlink(&format!("{words} --token-file token")), plain));
        }
    });
    let refused = Outcome::of(Command::new(executor()).args(["--listen", "tcp:127.0.0.1:0"]));
    assert!(refused.stderr.contains("ask for a token"), "{}", refused.stderr);
}

#[test]
fn tokens_can_be_made_or_be_in_the_environment() {
    let folder = Folder::with(&["program.o", "library.o"]);
    let file = folder.path("token");
    drop(Listening::at("tcp:127.0.0.1:0", &["--token-file", file.to_str().unwrap()]));
    let (token, mode) = (std::fs::read_to_string(&file).unwrap(), file.metadata().unwrap().permissions().mode());
    assert_eq!((token.trim().len(), mode & 0o777), (32, 0o600), "for this user alone");
    let variable = ("JITLINK_EXECUTOR_TOKEN", token.trim());
    let listening = Listening::with("tcp:127.0.0.1:0", &[], &[variable]);
    let words = ["run", "--connect", &listening.address];
    let connect = |value: &str| {
        let mut command = jitlink([&words[..], &["program.o", "library.o"]].concat());
        Outcome::of(command.env(variable.0, value).current_dir(folder.path("")))
    };
    assert_eq!(connect(variable.1), folder.jitlink("run program.o library.o"));
    assert!(connect("another").errors().contains("the token is not the one that this executor asks for"));
    // Programs there do not see it.
    let Some(gcc) = find(&["gcc"]) else { return };
    folder.write(
        "asks.c",
        "char *getenv(const char *);\nint main(void) { return getenv(\"JITLINK_EXECUTOR_TOKEN\") ? 1 : 7; }\n",
    );
    folder.tool(&gcc, "-c asks.c -o asks.o");
    let mut asks = jitlink([&words[..], &["asks.o"]].concat());
    assert_eq!(Outcome::of(asks.env(variable.0, variable.1).current_dir(folder.path(""))).status, 7);
}

#[test]
fn connections_do_not_end_with_each_other() {
    let folder = Folder::with(&["program.o", "library.o", "crash.o"]);
    if !endless(&folder) {
        return;
    }
    let listening = Listening::at(&format!("unix:{}", folder.path("socket").display()), &[]);
    let connect = format!("run --connect {}", listening.address);
    let mut command = jitlink(connect.split(' ').chain(["endless.o"]));
    command.current_dir(folder.path("")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut other = command.spawn().unwrap();
    let mut line = [0; 5];
    other.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
    let (here, there) = (folder.jitlink("run crash.o"), folder.jitlink(&format!("{connect} crash.o")));
    let place = |outcome: &Outcome| outcome.stderr.split(" (address ").next().unwrap_or_default().to_string();
    assert_eq!((there.status, place(&there)), (here.status, place(&here)));
    let plain = folder.jitlink("run program.o library.o");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(folder.jitlink(&format!("{connect} program.o library.o")), plain));
        }
    });
    assert!(other.try_wait().unwrap().is_none(), "the first one goes on");
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(folder.jitlink(&format!("{connect} program.o library.o")), plain);
}

#[test]
fn an_executor_for_one_connection_ends_with_it() {
    let folder = Folder::with(&["program.o", "library.o"]);
    let mut listening = Listening::at(&format!("unix:{}", folder.path("socket").display()), &["--once"]);
    let words = format!("run --connect {} program.o library.o", listening.address);
    assert_eq!(folder.jitlink(&words), folder.jitlink("run program.o library.o"));
    assert!(listening.child.wait().unwrap().success());
    assert!(folder.jitlink(&words).errors().contains("cannot reach an executor"));
}

#[test]
fn the_environment_is_the_processs_and_can_be_set() {
    let folder = Folder::with(&["program.o", "library.o"]);
    let place = format!("--executor {}", executor().display());
    let outcome = folder.jitlink(&format!("run {place} --env JITLINK_TEST=given program.o library.o"));
    assert!(outcome.stdout.contains("variable given\n"), "{outcome:?}");
    let mut command = jitlink(["run", "--executor", executor().to_str().unwrap(), "program.o", "library.o"]);
    let outcome = Outcome::of(command.env("JITLINK_TEST", "inherited").current_dir(folder.path("")));
    assert!(outcome.stdout.contains("variable inherited\n"), "{outcome:?}");
    let here = folder.jitlink("run --env JITLINK_TEST=given program.o library.o");
    assert!(here.errors().contains("set the variable before jitlink"));
}

#[test]
fn what_cannot_be_an_executor_is_said() {
    let folder = Folder::with(&["program.o", "library.o"]);
    let said = |place: &str, words: &str| {
        let outcome = folder.jitlink(&format!("run {place} program.o library.o"));
        assert!(outcome.errors().contains(words), "{place}: {}", outcome.stderr);
    };
    said("--executor /nowhere", "cannot start the executor /nowhere");
    said("--executor true", "the executor cannot be used: it ended before it answered (exit status: 0)");
    said("--connect unix:nowhere", "cannot reach an executor at unix:nowhere");
    let missing = format!("--executor {} -l no_such_library", executor().display());
    said(&missing, "cannot load the shared library \"no_such_library\"");
    assert_eq!(folder.jitlink("run --connect tcp:192.0.2.1:1 program.o").status, 2);
}

#[test]
fn programs_that_are_called_in_another_way_are_refused() {
    let folder = Folder::new();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../jitlink-arch-ppc/tests/fixtures/chosen.o");
    let mut object = std::fs::read(path).unwrap();
    // The last byte of `e_flags`: big-endian code of 64 bits under the ELFv2 ABI.
    object[0x33] = 2;
    std::fs::write(folder.path("newer.o"), object).unwrap();
    let outcome = folder.jitlink(&format!("run --executor {} newer.o", executor().display()));
    let expected = "newer.o is code for the calling convention ELFv2, which is not that of the process";
    assert!(outcome.errors().contains(expected), "{}", outcome.stderr);
}

/// A program that says that it runs, and goes on for ever.
fn endless(folder: &Folder) -> bool {
    let Some(gcc) = find(&["gcc"]) else { return false };
    folder.write("endless.c", "#include <unistd.h>\nint main(void) { write(1, \"runs\\n\", 5); for (;;) pause(); }\n");
    folder.tool(&gcc, "-c endless.c -o endless.o");
    true
}

/// The numbers of the processes that this one has started.
fn children(process: u32) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    list.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_there(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // One that nobody has waited for yet has ended all the same.
    !stat.is_empty() && !stat.contains(") Z ")
}

#[test]
fn either_side_ends_when_the_other_dies() {
    let folder = Folder::new();
    if !endless(&folder) {
        return;
    }
    for stdio in ["", " --stdio"] {
        let place = format!("{}{stdio}", executor().display());
        for kills_executor in [true, false] {
            let mut command = jitlink(["run", "--executor", &place, "endless.o"]);
            command.current_dir(folder.path("")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let mut line = [0; 5];
            child.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
            assert_eq!(&line, b"runs\n");
            let started = children(child.id());
            assert_eq!(started.len(), 1);
            let mut all = started.clone();
            all.extend(children(started[0]));
            let victim = if kills_executor { *all.last().unwrap() } else { child.id() };
            // SAFETY: the process is the test's own.
            unsafe { libc::kill(victim as i32, libc::SIGKILL) };
            let outcome = Outcome::from(child.wait_with_output().unwrap());
            assert_eq!(outcome.status, -libc::SIGKILL, "{place}: {outcome:?}");
            for process in all {
                until(&format!("{place}: process {process} goes on"), || !is_there(process));
            }
        }
    }
}
