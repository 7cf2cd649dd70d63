//! Functions of COFF objects, called in this process by their own convention, with functions of the host's that they call.

#![cfg(all(feature = "coff", feature = "x86", feature = "in-process", target_os = "linux", target_arch = "x86_64"))]

#[allow(dead_code, reason = "shared with other tests, which use more of it")]
#[path = "../support/compilers.rs"]
mod compilers;
mod refused;

use compilers::{compile, find};
use jitlink::{Function, Input, LinkOptions, Module, Roots, Session};
use std::path::{Path, PathBuf};

/// The names of a compiler, and what makes it compile for Windows.
const COMPILERS: [(&[&str], &str); 3] = [
    (&["x86_64-w64-mingw32-gcc"], "-ffreestanding -fno-builtin"),
    (&["clang-22", "clang"], "--target=x86_64-pc-windows-gnu -ffreestanding"),
    (&["clang-22", "clang"], "--target=x86_64-pc-windows-msvc -ffreestanding"),
];

const LEVELS: [&str; 6] =
    ["-O0", "-O1", "-O2", "-O3", "-O2 -ffunction-sections -fdata-sections", "-O0 -ffunction-sections -g"];

pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/coff").join(name)
}

extern "win64" fn host_add(left: i32, right: i32) -> i32 {
    left + right
}

extern "win64" fn host_twice(value: i32) -> i32 {
    2 * value
}

static HOST_VALUE: i32 = 1234;
static HOST_DATA: i32 = 77;

/// A session that gives what the sources refer to.
pub(crate) fn session() -> Session {
    let session = Session::in_process().expect("a session");
    session.define("host_add", host_add as extern "win64" fn(i32, i32) -> i32).expect("a new name");
    session.define("host_twice", host_twice as extern "win64" fn(i32) -> i32).expect("a new name");
    session.define("host_value", &HOST_VALUE).expect("a new name");
    session.define("host_data", &HOST_DATA).expect("a new name");
    session
}

/// Two words, passed by reference.
#[repr(C)]
#[derive(Clone, Copy)]
struct Pair(u64, u64);

/// Four words, returned by reference.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
struct Wide([u64; 4]);

fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Calls all functions of `program.c`.
fn check(module: &Module, what: &str) {
    // SAFETY: the types are those of program.c, compiled for Windows; the functions are sound for what they are called with.
    unsafe {
        let seven: Function<extern "win64" fn(i64, i64, i64, i64, i64, i64, i64) -> i64> =
            module.function("seven").expect(what);
        assert_eq!(seven.call(1, 2, 3, 4, 5, 6, 7), 7 + 12 + 15 + 16 + 15 + 12 + 7, "{what}");
        let mixed: Function<extern "win64" fn(i32, f64, i32, f64) -> f64> = module.function("mixed").expect(what);
        assert_eq!(mixed.call(3, 1.5, -2, 0.5), 3.75, "{what}");
        let choose: Function<extern "win64" fn(i32) -> i32> = module.function("choose").expect(what);
        let chosen: Vec<i32> = (0..=11).map(|number| choose.call(number)).collect();
        assert_eq!(chosen, [3, 42, 77, 1234, 3, i32::from(b'e'), 7, -7, 42, 1, 2, -1], "{what}");
        assert_eq!((choose.call(4), choose.call(9), choose.call(10)), (4, 2, 4), "{what}: variables keep their values");
        let widen: Function<extern "win64" fn(Pair, u64) -> Wide> = module.function("widen").expect(what);
        assert_eq!(widen.call(Pair(5, 6), 7), Wide([5, 6, 7, 41]), "{what}");
        let sum: Function<unsafe extern "win64" fn(*const u8, u64) -> u64> = module.function("checksum").expect(what);
        let text = b"what linked code says of bytes is what Rust says of them";
        assert_eq!(sum.call(text.as_ptr(), text.len() as u64), checksum(text), "{what}");
        let sort: Function<unsafe extern "win64" fn(*mut i32, i32) -> i32> = module.function("sort").expect(what);
        let mut values = [5, -1, 3, 2, 9, 0];
        assert_eq!(sort.call(values.as_mut_ptr(), 6), 8, "{what}");
        assert_eq!(values, [-1, 0, 2, 3, 5, 9], "{what}");
        let deep: Function<extern "win64" fn(i32) -> i32> = module.function("deep").expect(what);
        assert_eq!(deep.call(10), 55, "{what}");
    }
}

#[test]
fn functions_of_every_compiler_give_the_right_answers() {
    let mut ran = 0;
    for (names, target) in COMPILERS {
        let Some(compiler) = find(names) else { continue };
        for level in LEVELS {
            let what = format!("{} {target} {level}", names[0]);
            let object = compile(&compiler, &source("program.c"), &format!("{target} {level}"));
            let session = session();
            let module = session.link(&[object], &LinkOptions::default());
            let module = module.unwrap_or_else(|errors| panic!("{what}: {errors}"));
            check(&module, &what);
            module.remove().unwrap_or_else(|error| panic!("{what}: {error}"));
            ran += 1;
        }
    }
    eprintln!("{ran} objects were called");
}

#[test]
fn what_nothing_refers_to_is_left_out_with_its_unwind_records() {
    let Some(compiler) = find(&["clang-22", "clang"]) else { return };
    let flags = "--target=x86_64-pc-windows-gnu -ffreestanding -O2 -ffunction-sections -fasynchronous-unwind-tables";
    let object = compile(&compiler, &source("program.c"), flags);
    let link = |roots: &[&str]| {
        let roots = Roots::Named(roots.iter().map(ToString::to_string).collect());
        let options = LinkOptions { roots, map: true, ..LinkOptions::default() };
        session().link(std::slice::from_ref(&object), &options).expect("a link")
    };
    // Each function of a record has twelve bytes in `.pdata`.
    let records = |module: &Module| -> u64 {
        let map = module.map().expect("a map");
        let sections = map.objects.iter().flat_map(|object| &object.sections);
        sections.filter(|section| section.name.starts_with(".pdata")).map(|section| section.size).sum()
    };
    assert_eq!(records(&link(&["deep"])), 12);
    assert_eq!(records(&link(&["sort"])), 12);
    assert_eq!(records(&link(&["sort", "deep"])), 24);
}

#[test]
fn objects_of_both_targets_of_a_compiler_link_together() {
    let Some(compiler) = find(&["clang-22", "clang"]) else { return };
    let flags = "--target=x86_64-pc-windows-gnu -ffreestanding -O1";
    let program = compile(&compiler, &source("program.c"), flags);
    let text = "int choose(int); int weak_missing(int x) { return 100 + x; } int both(void) { return choose(7); }";
    let other = compilers::text(&compiler, "c", text, "--target=x86_64-pc-windows-msvc -ffreestanding -O1");
    let both = |inputs: &[Input]| {
        let module = session().link(inputs, &LinkOptions::default()).expect("a link");
        // SAFETY: the type is that of the source.
        let both: Function<extern "win64" fn() -> i32> = unsafe { module.function("both") }.expect("a function");
        both.call()
    };
    assert_eq!(both(&[program.clone(), other.clone()]), 107);
    assert_eq!(both(&[other, program]), 107);
}
