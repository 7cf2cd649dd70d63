//! Indirect functions in sessions: looked up, called without initialisers, shared between modules, updated.
#![cfg(all(feature = "elf", feature = "x86", feature = "in-process", target_arch = "x86_64", target_os = "linux"))]

use jitlink::{Addr, Input, LinkOptions, Module, Roots, Session};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The first of the compilers that is installed. Without one, says that the test skips itself; in CI that is a failure.
fn compiler() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let find = |name: &&str| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file());
    let found = ["gcc", "clang-22", "clang"].iter().find_map(find);
    if found.is_none() {
        let in_ci = std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
        assert!(!in_ci, "no compiler of C is installed, and CI skips no test");
        eprintln!("skipped: no compiler of C is installed");
    }
    found
}

fn object(compiler: &Path, name: &str, text: &str) -> Input {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, object) = (folder.path().join("text.c"), folder.path().join("text.o"));
    std::fs::write(&source, text).expect("a source");
    let output = Command::new(compiler).args(["-O2", "-fPIC", "-w", "-c"]).arg(&source).arg("-o").arg(&object).output();
    let output = output.expect("a compiler that starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Input::from_bytes(name, std::fs::read(&object).expect("an object"))
}

fn link(session: &Session, input: Input, options: &LinkOptions) -> Module {
    session.link(&[input], options).unwrap_or_else(|errors| panic!("{errors}"))
}

fn address(module: &Module, name: &str) -> Addr {
    module.lookup(name).unwrap_or_else(|| panic!("no {name}")).address()
}

/// Calls a function that takes nothing and returns a word.
fn call(module: &Module, name: &str) -> usize {
    let at = address(module, name).0 as usize;
    // SAFETY: the tests call functions of this type only, of modules that are linked.
    unsafe { std::mem::transmute::<usize, extern "C" fn() -> usize>(at)() }
}

const MIXED: &str = "
unsigned long runs;
static double mixed(int a, double b, long c, float d, int e, int f, int g, int h) {
    return a + 10 * b + 100 * c + 1000 * d + e * 1e4 + f * 1e5 + g * 1e6 + h * 1e7;
}
static void *choose(void) { volatile double noise[40]; for (int i = 0; i < 40; i++) noise[i] = i * 1.5; runs++; return mixed; }
double f(int, double, long, float, int, int, int, int) __attribute__((ifunc(\"choose\")));
unsigned long count(void) { return runs; }
";

#[test]
fn a_function_that_is_looked_up_can_be_called_by_many_threads_without_initialisers() {
    let Some(cc) = compiler() else { return };
    let session = Session::in_process().expect("a session");
    let module = link(&session, object(&cc, "mixed.o", MIXED), &LinkOptions::default());
    assert_eq!(call(&module, "count"), 0, "a link runs nothing");
    let at = address(&module, "f").0 as usize;
    type Mixed = extern "C" fn(i32, f64, i64, f32, i32, i32, i32, i32) -> f64;
    // SAFETY: the function has this type, and its module is linked.
    let f = unsafe { std::mem::transmute::<usize, Mixed>(at) };
    let barrier = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                barrier.wait();
                assert_eq!(f(1, 2.0, 3, 4.0, 5, 6, 7, 8), 87_654_321.0, "arguments arrive as they were");
            });
        }
    });
    assert_eq!(call(&module, "count"), 1);
    // SAFETY: there is nothing to initialise.
    unsafe { module.initialise() }.expect("nothing");
    assert_eq!(call(&module, "count"), 1, "what has run does not run again");
}

#[test]
fn modules_share_an_indirect_function_and_its_address() {
    let Some(cc) = compiler() else { return };
    let session = Session::in_process().expect("a session");
    let first = link(&session, object(&cc, "mixed.o", MIXED), &LinkOptions::default());
    let text = "
        double f(int, double, long, float, int, int, int, int);
        void *pointer = f;
        void *address_of_f(void) { return f; }
        void *pointer_to_f(void) { return pointer; }
        unsigned long called(void) { return f(1, 0, 0, 0, 2, 0, 0, 0); }";
    let second = link(&session, object(&cc, "second.o", text), &LinkOptions::default());
    let f = address(&first, "f").0 as usize;
    assert_eq!((call(&second, "address_of_f"), call(&second, "pointer_to_f")), (f, f));
    assert_eq!((call(&second, "called"), call(&second, "called"), call(&first, "count")), (20_001, 20_001, 1));
    first.remove().expect_err("the other one refers to it");
    second.remove().expect("nobody needs it");
    first.remove().expect("nobody needs it now");
}

#[test]
fn resolvers_run_before_initialisers_in_order_and_may_call_each_other_s_functions() {
    let Some(cc) = compiler() else { return };
    let session = Session::in_process().expect("a session");
    let text = "
        unsigned long order, seen;
        static unsigned long one(void) { return 1; }
        static void *choose_a(void) { order = order * 10 + 1; return one; }
        unsigned long b(void);
        static void *choose_c(void) { order = order * 10 + 3 * b(); return one; }
        static void *choose_b(void) { order = order * 10 + 2; return one; }
        unsigned long a(void) __attribute__((ifunc(\"choose_a\")));
        unsigned long c(void) __attribute__((ifunc(\"choose_c\")));
        unsigned long b(void) __attribute__((ifunc(\"choose_b\")));
        __attribute__((constructor)) static void first(void) { seen = order; }
        unsigned long at_start(void) { return seen; }
        unsigned long all(void) { return order * (a() + b() + c()); }";
    let module = link(&session, object(&cc, "order.o", text), &LinkOptions::default());
    // SAFETY: the code is the test's own.
    unsafe { module.initialise() }.expect("initialisers");
    let order = call(&module, "at_start");
    assert_eq!(order.to_string().len(), 3, "each once: {order}");
    assert_eq!(call(&module, "all"), 3 * order);
}

const BEFORE: &str = "
static unsigned long old(void) { return 1; }
static void *choose(void) { return old; }
unsigned long f(void) __attribute__((ifunc(\"choose\")));
static unsigned long g(void) __attribute__((ifunc(\"choose\")));
unsigned long (*pointers[])(void) = {f, g};
unsigned long call_g(void) { return g(); }
void *address_of_f(void) { return f; }
";

#[test]
fn an_update_brings_a_new_resolver_behind_the_same_address() {
    let Some(cc) = compiler() else { return };
    let session = Session::in_process().expect("a session");
    let main = "
        unsigned long f(void);
        extern unsigned long (*pointers[])(void);
        unsigned long of_f(void) { return f(); }
        unsigned long of_pointers(void) { return pointers[0]() * 10 + pointers[1](); }";
    let options = LinkOptions { updatable: true, roots: Roots::Exported, ..LinkOptions::default() };
    let inputs = [object(&cc, "main.o", main), object(&cc, "part.o", BEFORE)];
    let module = session.link(&inputs, &options).unwrap_or_else(|errors| panic!("{errors}"));
    let results = || [call(&module, "of_f"), call(&module, "of_pointers"), call(&module, "call_g")];
    let f = address(&module, "f");
    assert_eq!(results(), [1, 11, 1]);
    // The same again, an other function that it chooses, and a plain function in its place.
    let changed = BEFORE.replace("return 1;", "return 2;");
    let plain = "
        unsigned long f(void) { return 3; }
        static unsigned long g(void) { return 4; }
        unsigned long (*pointers[])(void) = {f, g};
        unsigned long call_g(void) { return g(); }
        void *address_of_f(void) { return f; }";
    for (text, expected) in [(BEFORE, [1, 11, 1]), (&changed, [2, 22, 2]), (plain, [3, 34, 4]), (BEFORE, [1, 11, 1])] {
        // SAFETY: the functions keep their types.
        unsafe { module.update(&[object(&cc, "part.o", text)]) }.unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!((results(), address(&module, "f")), (expected, f), "{text}");
        assert_eq!(call(&module, "address_of_f"), f.0 as usize);
        // SAFETY: no thread is in replaced code.
        unsafe { module.reclaim() };
    }
}
