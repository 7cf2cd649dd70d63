//! Links into another process through the library, with sessions as they are for this one.
#![cfg(target_arch = "x86_64")]

use jitlink::{Addr, Input, LinkError, LinkOptions, Module, Registry, RemoteExecutor, Roots, Session};
use jitlink_executor::End;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// The most often that a link may wait for the other side.
const ROUND_TRIPS: u64 = 20;

fn start(output: Stdio) -> RemoteExecutor {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jitlink-executor"));
    command.stdin(Stdio::null()).stdout(output);
    RemoteExecutor::start(command).unwrap()
}

fn session(executor: &RemoteExecutor) -> Session {
    Session::new(Registry::global().unwrap(), Arc::new(executor.clone()))
}

fn fixture(name: &str) -> Input {
    Input::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("../jitlink/tests/fixtures").join(name)).unwrap()
}

/// The first of these compilers that is installed. Without one, says that the test skips itself; in CI that is a failure.
fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let found =
        names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file()));
    if found.is_none() {
        let in_ci = std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
        assert!(!in_ci, "{} is not installed, and CI skips no test", names.join(" or "));
        eprintln!("skipped: {} is not installed", names.join(" or "));
    }
    found
}

/// The bytes of the object of a text in C.
fn compile(compiler: &Path, text: &str, flags: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (source, object) = (folder.path().join("text.c"), folder.path().join("text.o"));
    std::fs::write(&source, text).unwrap();
    let mut command = Command::new(compiler);
    command.args(flags.split_whitespace()).arg("-w").arg("-c").arg(&source).arg("-o").arg(&object);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(&object).unwrap()
}

fn main_of(names: &[&str]) -> LinkOptions {
    LinkOptions { roots: Roots::Named(names.iter().map(|name| name.to_string()).collect()), ..LinkOptions::default() }
}

fn run(module: &Module) -> Result<i32, LinkError> {
    let entry = module.roots()[0].unwrap();
    // SAFETY: the objects are of this file, and their main is one.
    unsafe { module.run_main(entry, &[CString::from(c"program")]) }
}

#[test]
fn what_is_linked_is_there_and_not_here() {
    let executor = start(Stdio::null());
    let session = session(&executor);
    let module = session.link(&[fixture("add.o")], &LinkOptions::default()).unwrap();
    let add = module.exports().get("add").unwrap().address;
    let mut code = [0; 4];
    module.read(add, &mut code).unwrap();
    assert_eq!(code, [0x8d, 0x04, 0x37, 0xc3], "lea (%rdi,%rsi), %eax; ret");
    // SAFETY: nothing is called.
    let error = unsafe { module.function::<extern "C" fn(i32, i32) -> i32>("add") }.unwrap_err();
    assert_eq!(error.to_string(), "add is not in this process: the executor \"remote\" links for somewhere else");
    assert!(module.read(add + (1 << 30), &mut code).is_err());
    module.remove().unwrap();
    drop(session);
    assert_eq!(executor.exit(5), Ok(End::Exited(5)));
    assert_eq!(executor.ended(), Some(End::Exited(5)));
}

#[test]
fn a_thousand_objects_take_few_round_trips() {
    let Some(gcc) = find(&["gcc"]) else { return };
    // Each calls the next one; what differs is the numbers in their names, which are of one length.
    let link = compile(
        &gcc,
        "int f0001(void); int d0000[3] = {1, 2, 3}; const char *t0000 = \"t\"; int f0000(void) { return d0000[0] + f0001(); }",
        "-O1 -fPIC",
    );
    let renamed = |number: usize| {
        let mut bytes = link.clone();
        // The next one's first, so that what was renamed is not renamed again.
        for (old, new) in [("f0001", number + 1), ("f0000", number), ("d0000", number), ("t0000", number)] {
            let (old, new) = (old.as_bytes(), format!("{}{new:04}", &old[..1]));
            let places: Vec<usize> = (0..bytes.len() - old.len()).filter(|&at| link[at..].starts_with(old)).collect();
            places.into_iter().for_each(|at| bytes[at..at + old.len()].copy_from_slice(new.as_bytes()));
        }
        Input::from_bytes(format!("{number}.o"), bytes)
    };
    let main = "#include <stdio.h>\nint f0000(void); int main(void) { printf(\"%d\\n\", f0000()); return 0; }";
    let mut inputs: Vec<Input> = (0..1000).map(renamed).collect();
    inputs.push(Input::from_bytes("last.o", compile(&gcc, "int f1000(void) { return 0; }", "-O1 -fPIC")));
    inputs.push(Input::from_bytes("main.o", compile(&gcc, main, "-O1 -fPIC")));
    for shared in [true, false] {
        let mut output = tempfile::tempfile().unwrap();
        let mut executor = start(output.try_clone().unwrap().into());
        assert!(executor.shares_memory(), "the test has started the process, whose memory it may write to");
        if !shared {
            executor = executor.without_shared_memory();
        }
        let session = session(&executor);
        let before = executor.round_trips();
        let module = session.link(&inputs, &main_of(&["main"])).unwrap();
        let taken = executor.round_trips() - before;
        eprintln!("a link of {} objects: {taken} round trips, shared {shared}", inputs.len());
        assert!((1..=ROUND_TRIPS).contains(&taken), "{taken}");
        assert_eq!(module.statistics().objects, 1002);
        assert_eq!(run(&module), Ok(0));
        assert_eq!(executor.exit(0), Ok(End::Exited(0)));
        let mut text = String::new();
        std::io::Seek::rewind(&mut output).unwrap();
        std::io::Read::read_to_string(&mut output, &mut text).unwrap();
        assert_eq!(text, "1000\n");
    }
}

#[test]
fn memory_is_given_back_and_used_again() {
    let executor = start(Stdio::null());
    let session = session(&executor);
    let mut places = std::collections::HashSet::new();
    for _ in 0..100 {
        let module = session.link(&[fixture("add.o")], &LinkOptions::default()).unwrap();
        places.insert(module.exports().get("add").unwrap().address);
        module.remove().unwrap();
    }
    assert!(places.len() < 10, "{places:?}");
}

#[test]
fn threads_link_at_once_and_modules_find_each_other() {
    let Some(gcc) = find(&["gcc"]) else { return };
    let executor = start(Stdio::null());
    let session = session(&executor);
    let base = Input::from_bytes("base.o", compile(&gcc, "int base(void) { return 40; }", "-O2 -fPIC"));
    session.link(&[base], &LinkOptions::default()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (session, gcc) = (&session, &gcc);
            scope.spawn(move || {
                let text = format!("int base(void); int main{thread}(void) {{ return base() + {thread}; }}");
                let object = compile(gcc, &text, "-O2 -fPIC");
                for round in 0..10 {
                    let library = session.library(&format!("library {thread} {round}"));
                    library.search(&session.library("main"));
                    let input = Input::from_bytes(format!("{thread}.o"), object.clone());
                    let module = library.link(&[input], &main_of(&[&format!("main{thread}")])).unwrap();
                    assert_eq!(run(&module), Ok(40 + thread));
                    module.remove().unwrap();
                }
            });
        }
    });
}

#[test]
fn a_program_that_ends_itself_ends_the_executor() {
    let Some(gcc) = find(&["gcc"]) else { return };
    let executor = start(Stdio::null());
    let session = session(&executor);
    let text = "#include <stdlib.h>\nint main(void) { exit(3); }";
    let module = session.link(&[Input::from_bytes("exit.o", compile(&gcc, text, "-O2"))], &main_of(&["main"])).unwrap();
    let error = run(&module).unwrap_err();
    assert!(error.to_string().contains("the executor's process is gone: it ended with status 3"), "{error}");
    assert_eq!(executor.ended(), Some(End::Exited(3)));
    // What is asked for later fails as well, and says why.
    let error = session.link(&[fixture("add.o")], &LinkOptions::default()).unwrap_err();
    assert!(error.to_string().contains("it ended with status 3"), "{error}");
}

#[test]
fn a_crash_is_told_with_its_function_and_registers() {
    let Some(gcc) = find(&["gcc"]) else { return };
    let executor = start(Stdio::null());
    let session = session(&executor);
    let text = "__attribute__((noinline)) void store(volatile int *at) { *at = 1; } int main(void) { store((int *)64); return 0; }";
    let module =
        session.link(&[Input::from_bytes("crash.o", compile(&gcc, text, "-O1"))], &main_of(&["main"])).unwrap();
    assert!(run(&module).is_err());
    let crash = executor.crash().unwrap();
    assert_eq!(crash.signal, libc::SIGSEGV);
    assert!(crash.place.as_ref().unwrap().starts_with("in store+0x0 of crash.o"), "{crash}");
    assert_eq!(crash.registers.iter().find(|(name, _)| name == "rdi"), Some(&("rdi".to_string(), 64)));
    assert_eq!(executor.ended(), Some(End::Killed(libc::SIGSEGV)));
}

#[test]
fn a_detached_program_goes_on_to_its_end() {
    let Some(gcc) = find(&["gcc"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (begin, end) = (folder.path().join("begin"), folder.path().join("end"));
    let executor = start(Stdio::null());
    let session = session(&executor);
    let text = format!(
        "#include <stdio.h>\n#include <unistd.h>\nint main(void) {{ fclose(fopen({begin:?}, \"w\")); while (access({begin:?}, F_OK) == 0) \
         usleep(10000); fclose(fopen({end:?}, \"w\")); return 0; }}"
    );
    let module =
        session.link(&[Input::from_bytes("goes_on.o", compile(&gcc, &text, "-O1"))], &main_of(&["main"])).unwrap();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| run(&module));
        let until = |path: &Path| {
            let start = std::time::Instant::now();
            while !path.exists() {
                assert!(start.elapsed().as_secs() < 60, "{}", path.display());
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        };
        until(&begin);
        executor.detach().unwrap();
        assert!(running.join().unwrap().is_err(), "nobody is told what a program returns that was left to itself");
        std::fs::remove_file(&begin).unwrap();
        until(&end);
    });
}

#[test]
fn what_cannot_be_done_there_is_refused_by_name() {
    let executor = start(Stdio::null());
    let session = session(&executor);
    extern "C" fn log(_number: i32) {}
    let error = session.define("log", log as extern "C" fn(i32)).unwrap_err();
    assert!(error.to_string().contains("the executor \"remote\" links for somewhere else"), "{error}");
    session.define("log", Addr(0x1000)).unwrap();
}
